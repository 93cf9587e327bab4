"""Make ``van_der_pol_stiff.csv`` and ``van_der_pol_stiff_test.csv``: relaxation oscillations.

The truth is y1' = y2, y2' = mu (1 - y1^2) y2 - y1 with mu = 8 and y(0) = (2, 0), integrated by
SciPy's Radau at a tolerance of 1e-11.  201 equidistant samples on t = 0 ... 25 are for training and
201 on t = 25 ... 50 for testing, with independent normal noise of standard deviation 0.1 from
``numpy.random.default_rng(0)``.  Run it from anywhere; it writes the files beside itself.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

MU, Y0, SAMPLES, SIGMA, SEED = 8.0, (2.0, 0.0), 201, 0.1, 0
WINDOWS = {"van_der_pol_stiff.csv": (0.0, 25.0), "van_der_pol_stiff_test.csv": (25.0, 50.0)}


def van_der_pol(t, y):
    return [y[1], MU * (1.0 - y[0] ** 2) * y[1] - y[0]]


def main() -> None:
    rng = np.random.default_rng(SEED)
    path = solve_ivp(
        van_der_pol, (0.0, 50.0), Y0, method="Radau", rtol=1e-11, atol=1e-12, dense_output=True
    )
    for name, (start, end) in WINDOWS.items():
        times = np.linspace(start, end, SAMPLES)
        noisy = path.sol(times).T + SIGMA * rng.standard_normal((SAMPLES, 2))
        target = Path(__file__).with_name(name)
        table = np.column_stack([times, noisy])
        np.savetxt(target, table, fmt="%.8g", delimiter=",", header="t,y1,y2", comments="")
        print(f"wrote {target.name} ({SAMPLES} rows); true state at {start:g}: {path.sol(start)}")


if __name__ == "__main__":
    main()
