"""Make heat_conduction.csv, _test.csv and _more.csv: conductivity in, temperatures out.

Steady heat conduction -div(exp(u) grad T) = 10 on the unit square, T = 0 on the left side, no flux
through the others.  The log-conductivity u is a sum of eight cosines, u = 1.5 sum_k z_k c_k cos(i pi x)
cos(j pi y) with z_k standard normal and c_k = 1 / (1 + i^2 + j^2); T is observed at nine points.  Finite
volumes on 24 x 24 cells, harmonic means of the conductivity at the faces.  Geometry, field and
observations are our own choice; the published experiments of this kind differ in all three.

    python models/data/make_heat_conduction.py
"""

from pathlib import Path

import numpy as np
from scipy.linalg import solveh_banded

CELLS = 24
MODES = [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2)]
POINTS = [(x, y) for x in (0.25, 0.5, 0.9) for y in (0.15, 0.5, 0.85)]
SIZES = {  # rows, digits
    "heat_conduction.csv": (400, 9),
    "heat_conduction_test.csv": (400, 9),
    "heat_conduction_more.csv": (1500, 5),
}


def temperature(z):
    """(CELLS, CELLS) temperatures for eight coefficients of the log-conductivity."""
    centre = (np.arange(CELLS) + 0.5) / CELLS
    x, y = np.meshgrid(centre, centre, indexing="ij")
    u = sum(
        1.5 * c / (1 + i * i + j * j) * np.cos(i * np.pi * x) * np.cos(j * np.pi * y)
        for c, (i, j) in zip(z, MODES, strict=True)
    )
    k = np.exp(u)
    # row d of the upper band is the d-th diagonal above the main one, which is the last row
    band = np.zeros((CELLS + 1, CELLS, CELLS))
    for a, b, apart in (((slice(1, None), slice(None)), (slice(-1), slice(None)), CELLS),
                        ((slice(None), slice(1, None)), (slice(None), slice(-1)), 1)):  # fmt: skip
        face = 2.0 / (1.0 / k[a] + 1.0 / k[b])  # the cell size cancels against the distance
        band[-1][a] += face
        band[-1][b] += face
        band[-1 - apart][a] = -face
    band[-1, 0] += 2.0 * k[0]  # T = 0 half a cell away
    heat = np.full(CELLS * CELLS, 10.0 / CELLS**2)
    return solveh_banded(band.reshape(CELLS + 1, -1), heat).reshape(CELLS, CELLS)


def main():
    rng = np.random.default_rng(0)
    cells = [(min(int(x * CELLS), CELLS - 1), min(int(y * CELLS), CELLS - 1)) for x, y in POINTS]
    names = [f"z{k}" for k in range(len(MODES))] + [f"T{k}" for k in range(len(POINTS))]
    for file, (count, digits) in SIZES.items():
        rows = []
        for z in rng.standard_normal((count, len(MODES))):
            T = temperature(z)
            rows.append([*z, *(T[cell] for cell in cells)])
        lines = [",".join(f"{v:.{digits}g}" for v in row) for row in rows]
        (Path(__file__).parent / file).write_text("\n".join([",".join(names), *lines]) + "\n")
        print(f"{file}: {count} rows")


if __name__ == "__main__":
    main()
