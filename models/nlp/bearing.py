"""Journal bearing: the pressure in a lubricant between two circular cylinders.

min ∫ ½ w(s) |∇v|² − e sin(s) v  over v ≥ 0 on (0, 2π) × (0, 2b), w(s) = (1 + e cos s)³, by linear
finite elements on triangles.

COPS gives the upper triangles the weight (2 w_i + 2 w_{i−1}) / 3, where linear elements have
(2 w_i + w_{i−1}) / 3; its published optimum belongs to that.  Without it the optimum is −0.180487.

Source: E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 16, optimum −0.15482 for
50 × 50.
"""

import numpy as np

import collocode as cc


def problem(
    n: int = 50, eccentricity: float = 0.1, b: float = 10.0, as_published: bool = True
) -> cc.Program:
    """
    n: inner grid points in each direction
    eccentricity: of the cylinders
    b: half the length of the bearing
    as_published: weights of the collection; otherwise those of linear finite elements
    """
    builder = cc.ProgramBuilder("bearing")
    hx, hy = 2.0 * np.pi / (n + 1), 2.0 * b / (n + 1)
    s = hx * np.arange(n + 2)
    weight = (1.0 + eccentricity * np.cos(s)) ** 3
    start = np.tile(np.maximum(np.sin(s), 0.0)[:, None], (1, n + 2))
    v = builder.variable("v", (n + 2, n + 2), lower=0.0, start=start)
    for edge in (v[0], v[-1], v[:, 0], v[:, -1]):
        edge.fix(0.0)

    def energy(here, along, across, w):
        return hx * hy / 12.0 * w * (((along - here) / hx) ** 2 + ((across - here) / hy) ** 2)

    i, j = (k.ravel() for k in np.mgrid[0 : n + 1, 0 : n + 1])
    lower = weight[i] + 2.0 * weight[i + 1] if as_published else 2.0 * weight[i] + weight[i + 1]
    builder.minimize(energy, v[i, j], v[i + 1, j], v[i, j + 1], lower)
    i, j = i + 1, j + 1
    upper = 2.0 * weight[i] + (2.0 if as_published else 1.0) * weight[i - 1]
    builder.minimize(energy, v[i, j], v[i - 1, j], v[i, j - 1], upper)
    i, j = (k.ravel() for k in np.mgrid[0 : n + 2, 0 : n + 2])
    builder.minimize(lambda a, force: -hx * hy * force * a, v[i, j], eccentricity * np.sin(s[i]))
    return builder.build()
