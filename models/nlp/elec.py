"""Electrons on a sphere: positions of least Coulomb potential (Thomson's problem).

min Σ_{i<j} 1/|x_i − x_j|  subject to  |x_i| = 1.  All pairs: their number grows with the square of n.

Source: E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 2, optimum 1055.18 for
n = 50.  There are many local optima; the seed chooses the start.
"""

import numpy as np

import collocode as cc


def problem(n: int = 50, seed: int = 0) -> cc.Program:
    """
    n: number of electrons
    seed: of the random first positions
    """
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((n, 3))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    builder = cc.ProgramBuilder("elec")
    position = builder.variable("position", (n, 3), start=first)
    i, j = np.triu_indices(n, 1)
    builder.minimize(
        lambda a, b: sum((a[k] - b[k]) ** 2 for k in range(3)) ** -0.5, position[i], position[j]
    )
    builder.constraint(
        "sphere", lambda a: a[0] ** 2 + a[1] ** 2 + a[2] ** 2, position[np.arange(n)], equals=1.0
    )
    return builder.build()
