"""Make ``van_der_pol.csv``: 200 noisy samples of the Van der Pol oscillator.

The truth is y1' = y2, y2' = mu (1 - y1^2) y2 - y1 with mu = 1 and y(0) = (0, 1), integrated by
SciPy's DOP853 at a tolerance of 1e-12; t = 0 ... 15 in 200 equidistant samples; independent
normal noise of standard deviation 0.1 from ``numpy.random.default_rng(0)``.  Run it from
anywhere; it writes the file beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

MU, Y0, END, SAMPLES, SIGMA, SEED = 1.0, (0.0, 1.0), 15.0, 200, 0.1, 0


def van_der_pol(t, y):
    return [y[1], MU * (1.0 - y[0] ** 2) * y[1] - y[0]]


def main() -> None:
    times = np.linspace(0.0, END, SAMPLES)
    truth = solve_ivp(
        van_der_pol, (0.0, END), Y0, t_eval=times, method="DOP853", rtol=1e-12, atol=1e-12
    )
    noise = SIGMA * np.random.default_rng(SEED).standard_normal((SAMPLES, 2))
    table = np.column_stack([times, truth.y.T + noise])
    target = Path(__file__).with_name("van_der_pol.csv")
    np.savetxt(target, table, fmt="%.10g", delimiter=",", header="t,y1,y2", comments="")
    print(f"wrote {target} ({SAMPLES} rows)")


if __name__ == "__main__":
    main()
