"""The shape of a cam: the largest valve opening area with bounds on curvature, and convex.

The radii r_i at equal angles; convexity of three neighbouring ones is
−r_{i−1} r_i − r_i r_{i+1} + 2 r_{i−1} r_{i+1} cos θ ≤ 0, and |r_{i+1} − r_i| ≤ α θ.

Source: M. Anitescu, R. Serban, 1998; E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004;
problem 3, optimum 4.2791 for n = 1000.
"""

import numpy as np

import collocode as cc

SMALLEST, LARGEST, VALVE = 1.0, 2.0, 1.0


def problem(n: int = 1000, curvature: float = 1.5) -> cc.Program:
    """
    n: number of radii
    curvature: limit of it, alpha
    """
    builder = cc.ProgramBuilder("camshape")
    theta = 2.0 * np.pi / (5 * (n + 1))
    r = builder.variable(
        "r", n, lower=SMALLEST, upper=LARGEST, start=(SMALLEST + LARGEST) / 2, scale=1.0
    )
    k = np.arange(n)
    builder.maximize(lambda a: np.pi * VALVE / n * a, r[k])

    def bend(a, b, c):
        return -a * b - b * c + 2.0 * a * c * np.cos(theta)

    i = np.arange(1, n - 1)
    builder.constraint("convex", bend, r[i - 1], r[i], r[i + 1], upper=0.0)
    # the cam goes on with the smallest radius before the first, and with the largest after the last
    builder.constraint("convex_start", bend, SMALLEST, r[0], r[1], upper=0.0)
    builder.constraint("convex_before", bend, SMALLEST, SMALLEST, r[0], upper=0.0)
    builder.constraint("convex_end", bend, r[n - 2], r[n - 1], LARGEST, upper=0.0)
    builder.constraint("convex_after", bend, r[n - 1], LARGEST, r[n - 1], upper=0.0)
    limits = {"lower": -curvature * theta, "upper": curvature * theta}
    j = np.arange(n - 1)
    builder.constraint("curvature", lambda a, b: b - a, r[j], r[j + 1], **limits)
    builder.constraint("curvature_start", lambda a: a - SMALLEST, r[0], **limits)
    builder.constraint("curvature_end", lambda a: LARGEST - a, r[n - 1], **limits)
    return builder.build()
