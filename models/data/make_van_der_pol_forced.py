"""Make ``van_der_pol_forced.csv`` and ``van_der_pol_forced_test.csv``: a driven oscillator.

The truth is y1' = y2, y2' = (1 - y1^2) y2 - y1 + u(t), integrated by SciPy's DOP853 at a tolerance of
1e-11.  Three runs differ in length, sampling, amplitude and frequency of u(t) = A cos(w t); in the
test run u is a sum of two sines.  The column u holds samples of the forcing at the measurement
times; cubic interpolation gives it back to 1e-3.  Independent normal noise of standard deviation
0.05 on y1 and y2 from ``numpy.random.default_rng(6)``.  Run it from anywhere; it writes the files
beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

SIGMA, SEED = 0.05, 6
# run: initial state, length, sampling interval, forcing
RUNS = {
    "weak": ((0.0, 1.0), 8.0, 0.1, lambda t: 0.5 * np.cos(1.7 * t)),
    "medium": ((2.0, 0.0), 12.0, 0.15, lambda t: 1.2 * np.cos(t)),
    "strong": ((-1.0, -1.0), 16.0, 0.2, lambda t: 2.0 * np.cos(0.6 * t)),
    "unseen": ((1.0, 0.5), 16.0, 0.1, lambda t: np.sin(0.8 * t) + 0.6 * np.sin(1.9 * t)),
}
FILES = {
    "van_der_pol_forced.csv": ("weak", "medium", "strong"),
    "van_der_pol_forced_test.csv": ("unseen",),
}


def main() -> None:
    rng = np.random.default_rng(SEED)
    for name, labels in FILES.items():
        lines = ["run,t,u,y1,y2"]
        for label in labels:
            initial, end, step, u = RUNS[label]
            times = np.linspace(0.0, end, round(end / step) + 1)

            def oscillator(t, y, u=u):
                return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0] + u(t)]

            path = solve_ivp(
                oscillator, (0.0, end), initial, "DOP853", times, rtol=1e-11, atol=1e-11
            )
            noisy = path.y.T + SIGMA * rng.standard_normal((len(times), 2))
            table = np.column_stack([times, u(times), noisy])
            lines += [f"{label}," + ",".join(f"{v:.8g}" for v in row) for row in table]
        target = Path(__file__).with_name(name)
        target.write_text("\n".join(lines) + "\n")
        print(f"wrote {target.name} ({len(lines) - 1} rows)")


if __name__ == "__main__":
    main()
