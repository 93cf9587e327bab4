"""The hanging chain: the shape of least potential energy of a chain of given length.

min ∫₀¹ x √(1+u²) dt  subject to  x' = u,  ∫₀¹ √(1+u²) dt = L,  x(0) = a,  x(1) = b

by the trapezoidal rule, as in COPS.  The limit of fine grids is the catenary.

Source: E. Dolan, J. Moré, T. Munson, Benchmarking Optimization Software with COPS 3.0,
ANL/MCS-TM-273, 2004; problem 4, optimum 5.06891.
"""

import numpy as np

import collocode as cc


def length(u):
    return (1.0 + u**2) ** 0.5


def problem(
    n: int = 800, length_of_chain: float = 4.0, left: float = 1.0, right: float = 3.0
) -> cc.Program:
    """
    n: number of intervals
    length_of_chain: of the chain, more than the distance of its ends
    left: height of the left end
    right: height of the right end
    """
    builder = cc.ProgramBuilder("chain")
    h, s = 1.0 / n, np.linspace(0.0, 1.0, n + 1)
    bend = 4.0 * abs(right - left)
    lowest = 0.25 if right > left else 0.75
    x = builder.variable("x", n + 1, start=bend * s * (s / 2 - lowest) + left)
    u = builder.variable("u", n + 1, start=bend * (s - lowest))
    x[0].fix(left)
    x[n].fix(right)
    k = np.arange(n)
    ends = x[k], x[k + 1], u[k], u[k + 1]
    builder.minimize(lambda a, b, v, w: h / 2 * (a * length(v) + b * length(w)), *ends)
    builder.constraint("slope", lambda a, b, v, w: b - a - h / 2 * (v + w), *ends, equals=0.0)
    whole = builder.constraint("length", rows=1, equals=length_of_chain)
    whole.add(lambda v, w: h / 2 * (length(v) + length(w)), u[k], u[k + 1], at=0)
    return builder.build()
