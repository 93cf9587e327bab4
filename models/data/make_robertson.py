"""Make ``robertson.csv`` and ``robertson_test.csv``: Robertson's reactions on a logarithmic scale.

The truth is y1' = -k1 y1 + k3 y2 y3, y2' = k1 y1 - k3 y2 y3 - k2 y2^2, y3' = k2 y2^2 with k1 = 0.04,
k2 = 3e7, k3 = 1e4 and y(0) = (1, 0, 0), integrated by SciPy's Radau at a relative tolerance of 1e-10.
For training 46 samples, evenly spaced in log t, 1e-4 ... 1e5; for testing the start (0.5, 0, 0.5) at
the same times.  The measured values are y1, 1e4 y2 and y3, with independent normal noise of standard
deviation 0.01 from ``numpy.random.default_rng(8)``.  A first row without values marks t = 0, where
the reaction starts.  Run it from anywhere; it writes the files beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

K1, K2, K3 = 0.04, 3.0e7, 1.0e4
FIRST, LAST, SAMPLES, SIGMA, SEED = 1e-4, 1e5, 46, 0.01, 8
FILES = {"robertson.csv": (1.0, 0.0, 0.0), "robertson_test.csv": (0.5, 0.0, 0.5)}


def robertson(t, y):
    slow, fast, back = K1 * y[0], K2 * y[1] ** 2, K3 * y[1] * y[2]
    return [back - slow, slow - back - fast, fast]


def main() -> None:
    rng = np.random.default_rng(SEED)
    times = np.geomspace(FIRST, LAST, SAMPLES)
    for name, initial in FILES.items():
        path = solve_ivp(
            robertson,
            (0.0, LAST),
            initial,
            "Radau",
            times,
            rtol=1e-10,
            atol=1e-16,
            max_step=LAST / 50,
        )
        table = path.y.T * [1.0, 1e4, 1.0] + SIGMA * rng.standard_normal((SAMPLES, 3))
        lines = ["t,y1,y2_e4,y3", "0,,,"]
        lines += [
            ",".join(f"{v:.7g}" for v in (t, *row)) for t, row in zip(times, table, strict=True)
        ]
        target = Path(__file__).with_name(name)
        target.write_text("\n".join(lines) + "\n")
        print(f"wrote {target.name} ({len(lines) - 1} rows)")


if __name__ == "__main__":
    main()
