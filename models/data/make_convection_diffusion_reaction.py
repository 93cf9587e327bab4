"""Make ``convection_diffusion_reaction.csv`` and ``..._test.csv``: a pipe with a consuming wall.

    0 = D c'' - v c' - k c / (1 + c) + s exp(-((x - x0) / 0.1)^2),   c(0) = c_in,   c'(1) = 0

The steady concentration c(x) on [0, 1] for 500 draws of the six parameters (ranges in `RANGES`,
uniform; of D the logarithm), read at twelve places.  Central differences on 400 cells, solved by
Newton's method with a banded matrix; the cell Péclet number stays below 1/4.  The first 400 rows
are for training and validation, the others for the test.  All quantities are dimensionless.
Random numbers of ``numpy.random.default_rng(8)``.  Run it from anywhere; it writes the files beside
itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.linalg import solve_banded

RANGES = {
    "log_D": (np.log(0.05), np.log(0.5)),
    "v": (1.0, 10.0),
    "k": (0.0, 20.0),
    "s": (0.0, 20.0),
    "x0": (0.2, 0.8),
    "c_in": (0.2, 2.0),
}
CELLS, SENSORS, ROWS, SEED = 400, 12, {"": 400, "_test": 100}, 8


def steady(log_D, v, k, s, x0, c_in):
    """Concentration at the ends of the cells, from x = 0 to 1."""
    h = 1.0 / CELLS
    x = np.linspace(0.0, 1.0, CELLS + 1)
    lower, upper = np.exp(log_D) / h**2 + 0.5 * v / h, np.exp(log_D) / h**2 - 0.5 * v / h
    source = s * np.exp(-(((x - x0) / 0.1) ** 2))
    c = np.full(CELLS + 1, c_in)
    for _ in range(50):
        ahead = np.append(c[2:], c[-2])  # c' = 0 at the outlet, by reflection
        residual = np.empty_like(c)
        residual[0] = c[0] - c_in
        residual[1:] = (
            lower * c[:-1] + upper * ahead - (lower + upper) * c[1:] - k * c[1:] / (1.0 + c[1:])
        ) + source[1:]
        bands = np.zeros((3, CELLS + 1))
        bands[0, 2:] = upper
        bands[1, 0], bands[1, 1:] = 1.0, -(lower + upper) - k / (1.0 + c[1:]) ** 2
        bands[2, :-1] = lower
        bands[2, -2] += upper
        change = solve_banded((1, 1), bands, -residual)
        c = c + change
        if np.abs(change).max() < 1e-12:
            return c
    raise RuntimeError("Newton's method does not converge")


def main() -> None:
    rng = np.random.default_rng(SEED)
    places = np.linspace(0, CELLS, SENSORS + 1).round().astype(int)[1:]
    head = ",".join([*RANGES, *(f"c{j + 1}" for j in range(SENSORS))])
    for suffix, count in ROWS.items():
        lines = [head]
        for _ in range(count):
            drawn = [rng.uniform(*ends) for ends in RANGES.values()]
            values = [*drawn, *steady(*drawn)[places]]
            lines.append(",".join(f"{value:.6g}" for value in values))
        target = Path(__file__).with_name(f"convection_diffusion_reaction{suffix}.csv")
        target.write_text("\n".join(lines) + "\n")
        print(f"wrote {target.name} ({count} rows)")


if __name__ == "__main__":
    main()
