"""The polygon of largest area among those with n sides and diameter at most one.

Corners in polar coordinates around the last one; all pairs of corners are at most one apart, so the
number of constraints grows with the square of n.

Source: E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 1.  Its published value,
0.674981 for n = 100 variables (50 corners), is a local optimum; the disk's area π/4 = 0.7854 bounds all.
"""

import numpy as np

import collocode as cc


def problem(corners: int = 50) -> cc.Program:
    """
    corners: of the polygon
    """
    n = corners
    builder = cc.ProgramBuilder("polygon")
    angles = np.pi * np.arange(n) / (n - 1)
    r = builder.variable("r", n, lower=0.0, upper=1.0, start=np.sin(angles))
    theta = builder.variable("theta", n, lower=0.0, upper=np.pi, start=angles)
    r[n - 1].fix(0.0)
    theta[n - 1].fix(np.pi)
    k = np.arange(n - 1)
    ends = r[k], r[k + 1], theta[k], theta[k + 1]
    builder.maximize(lambda a, b, s, t: a * b * np.sin(t - s) / 2.0, *ends)
    builder.constraint("order", lambda s, t: t - s, theta[k], theta[k + 1], lower=0.0)
    i, j = np.triu_indices(n, 1)
    builder.constraint(
        "diameter",
        lambda a, b, s, t: a**2 + b**2 - 2.0 * a * b * np.cos(s - t),
        *(r[i], r[j], theta[i], theta[j]),
        upper=1.0,
    )
    return builder.build()
