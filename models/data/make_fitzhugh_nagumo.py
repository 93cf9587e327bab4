"""Make ``fitzhugh_nagumo.csv`` and ``fitzhugh_nagumo_test.csv``: a neuron's voltage, noisy.

The truth is v' = c (v - v^3/3 + w), w' = -(v - a + b w)/c with a = 0.2, b = 0.2, c = 3 and
(v, w)(0) = (-1, 1), integrated by SciPy's DOP853 at a tolerance of 1e-12.  201 equidistant samples of
v on t = 0 ... 20 are for training and 201 on t = 20 ... 40 for testing, with independent normal noise
of standard deviation 0.1 from ``numpy.random.default_rng(5)``; w is not measured.  Run it from
anywhere; it writes the files beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

A, B, C, INITIAL = 0.2, 0.2, 3.0, (-1.0, 1.0)
SAMPLES, SIGMA, SEED = 201, 0.1, 5
WINDOWS = {"fitzhugh_nagumo.csv": (0.0, 20.0), "fitzhugh_nagumo_test.csv": (20.0, 40.0)}


def fitzhugh_nagumo(t, y):
    v, w = y
    return [C * (v - v**3 / 3.0 + w), -(v - A + B * w) / C]


def tables(seed: int = SEED, sigma: float = SIGMA) -> dict[str, np.ndarray]:
    """(samples, 2) times and noisy voltages by file name."""
    rng = np.random.default_rng(seed)
    path = solve_ivp(
        fitzhugh_nagumo, (0.0, 40.0), INITIAL, "DOP853", rtol=1e-12, atol=1e-12, dense_output=True
    )
    found = {}
    for name, (start, end) in WINDOWS.items():
        times = np.linspace(start, end, SAMPLES)
        found[name] = np.column_stack(
            [times, path.sol(times)[0] + sigma * rng.standard_normal(SAMPLES)]
        )
    return found


def main() -> None:
    for name, table in tables().items():
        target = Path(__file__).with_name(name)
        np.savetxt(target, table, fmt="%.10g", delimiter=",", header="t,v", comments="")
        print(f"wrote {target.name} ({len(table)} rows)")


if __name__ == "__main__":
    main()
