"""Make ``van_der_pol_batches.csv`` and ``..._test.csv``: the oscillator over two windows and a third.

The truth is y1' = y2, y2' = mu (1 - y1^2) y2 - y1 with mu = 1 and y(0) = (0, 1), integrated by
SciPy's DOP853 at a tolerance of 1e-12.  300 equidistant samples on t = 0 ... 30 are for training
and 150 on t = 30 ... 45 for testing, with independent normal noise of standard deviation 0.1 from
``numpy.random.default_rng(0)``.  Run it from anywhere; it writes the files beside itself, always
the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

MU, Y0, SIGMA, SEED = 1.0, (0.0, 1.0), 0.1, 0
WINDOWS = {
    "van_der_pol_batches.csv": (0.0, 30.0, 300),
    "van_der_pol_batches_test.csv": (30.0, 45.0, 150),
}


def van_der_pol(t, y):
    return [y[1], MU * (1.0 - y[0] ** 2) * y[1] - y[0]]


def main() -> None:
    rng = np.random.default_rng(SEED)
    path = solve_ivp(
        van_der_pol, (0.0, 45.0), Y0, method="DOP853", rtol=1e-12, atol=1e-12, dense_output=True
    )
    for name, (start, end, samples) in WINDOWS.items():
        times = np.linspace(start, end, samples)
        table = np.column_stack(
            [times, path.sol(times).T + SIGMA * rng.standard_normal((samples, 2))]
        )
        target = Path(__file__).with_name(name)
        np.savetxt(target, table, fmt="%.10g", delimiter=",", header="t,y1,y2", comments="")
        print(f"wrote {target.name} ({samples} rows)")


if __name__ == "__main__":
    main()
