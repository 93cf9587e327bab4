"""Make ``drifting_oscillator.csv`` and ``drifting_oscillator_test.csv``: a damper that wears out.

The truth is x' = v, v' = -k x - c(t) v with k = 4 s^-2 and c(t) = 0.05 + 0.5 exp(-t/10) s^-1,
integrated by SciPy's DOP853 at a tolerance of 1e-12.  The mass starts at (x, v) = (2 m, 0) and is
pushed anew at t = 10 s and at t = 20 s; each 10 s are one run of 80 samples.  Three such runs train,
and three with other pushes over the same time test.  Independent normal noise of standard deviation
0.02 (m, m/s) from ``numpy.random.default_rng(11)``.  Run it from anywhere; it writes the files
beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

STIFFNESS = 4.0
RUN, SAMPLES, SIGMA, SEED = 10.0, 80, 0.02, 11
FILES = {
    "drifting_oscillator.csv": [("first", 2.0, 0.0), ("second", 0.5, 3.0), ("third", -1.5, 1.0)],
    "drifting_oscillator_test.csv": [
        ("early", 1.0, 2.0),
        ("middle", -1.0, -2.0),
        ("late", 1.0, -1.5),
    ],
}


def damping(t):
    return 0.05 + 0.5 * np.exp(-t / 10.0)


def drifting_oscillator(t, y):
    return [y[1], -STIFFNESS * y[0] - damping(t) * y[1]]


def main() -> None:
    rng = np.random.default_rng(SEED)
    for name, runs in FILES.items():
        lines = ["run,t,x,v"]
        for number, (label, *initial) in enumerate(runs):
            times = np.linspace(number * RUN, (number + 1) * RUN, SAMPLES)
            path = solve_ivp(
                drifting_oscillator,
                (times[0], times[-1]),
                initial,
                method="DOP853",
                rtol=1e-12,
                atol=1e-12,
                t_eval=times,
            )
            noisy = path.y.T + SIGMA * rng.standard_normal((SAMPLES, 2))
            table = np.column_stack([times, noisy])
            lines += [f"{label},{t:.10g},{x:.10g},{v:.10g}" for t, x, v in table]
        target = Path(__file__).with_name(name)
        target.write_text("\n".join(lines) + "\n")
        print(f"wrote {target.name} ({len(lines) - 1} rows)")


if __name__ == "__main__":
    main()
