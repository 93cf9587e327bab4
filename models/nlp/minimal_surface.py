"""The surface of least area over the unit square that lies above an obstacle.

min ∫ √(1 + |∇v|²)  subject to  v ≥ 1 on [¼, ¾]², v ≥ 0, v = 1 − (2x − 1)² on the edges y = 0 and 1 and
v = 0 on x = 0 and 1, by linear finite elements on triangles.

Source: E. Dolan, J. Moré, T. Munson, COPS 3.0, ANL/MCS-TM-273, 2004; problem 17, optimum 2.51488 for
50 × 50.
"""

import numpy as np

import collocode as cc


def problem(n: int = 50, obstacle: float = 1.0) -> cc.Program:
    """
    n: inner grid points in each direction
    obstacle: its height
    """
    builder = cc.ProgramBuilder("minimal_surface")
    h = 1.0 / (n + 1)
    frame = np.tile((1.0 - (2.0 * h * np.arange(n + 2) - 1.0) ** 2)[:, None], (1, n + 2))
    v = builder.variable("v", (n + 2, n + 2), lower=0.0, start=frame)
    first, last = int(np.floor(0.25 / h)), int(np.ceil(0.75 / h))
    v[first : last + 1, first : last + 1].bound(lower=obstacle)
    v[0].fix(0.0)
    v[-1].fix(0.0)
    v[:, 0].fix(frame[:, 0])
    v[:, -1].fix(frame[:, -1])

    def area(here, along, across):
        return h * h / 2.0 * (1.0 + ((along - here) / h) ** 2 + ((across - here) / h) ** 2) ** 0.5

    i, j = (k.ravel() for k in np.mgrid[0 : n + 1, 0 : n + 1])
    builder.minimize(area, v[i, j], v[i + 1, j], v[i, j + 1])
    builder.minimize(area, v[i + 1, j + 1], v[i, j + 1], v[i + 1, j])
    return builder.build()
