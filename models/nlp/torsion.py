"""Elastic–plastic torsion of a bar of square cross-section.

min ∫ ½ |∇v|² − c v  subject to  |v| ≤ distance to the boundary of the unit square, by linear finite
elements on triangles.

Source: E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 15, optimum −0.418087 for
50 × 50.
"""

import numpy as np

import collocode as cc


def problem(n: int = 50, force: float = 5.0) -> cc.Program:
    """
    n: inner grid points in each direction
    force: the constant c
    """
    builder = cc.ProgramBuilder("torsion")
    h = 1.0 / (n + 1)
    edge = np.minimum(np.arange(n + 2), np.arange(n + 2)[::-1]) * h
    distance = np.minimum(edge[:, None], edge[None, :])
    v = builder.variable("v", (n + 2, n + 2), lower=-distance, upper=distance, start=distance)

    def energy(here, along, across):
        gradient = ((along - here) / h) ** 2 + ((across - here) / h) ** 2
        return h * h / 2.0 * (gradient / 2.0 - force / 3.0 * (here + along + across))

    i, j = (k.ravel() for k in np.mgrid[0 : n + 1, 0 : n + 1])
    builder.minimize(energy, v[i, j], v[i + 1, j], v[i, j + 1])
    builder.minimize(energy, v[i + 1, j + 1], v[i, j + 1], v[i + 1, j])
    return builder.build()
