"""Make ``damped_oscillator.csv`` and ``damped_oscillator_test.csv``: three releases of one mass.

The truth is x' = v, v' = -(k x + c v)/m with k/m = 4 s^-2 and c/m = 0.5 s^-1, integrated by SciPy's
DOP853 at a tolerance of 1e-12.  Two releases (x, v) = (1 m, 0) and (-0.5 m, 2 m/s), 60 samples each
on t = 0 ... 6 s, are for training, a third from (0.8 m, -1 m/s) is for testing.  Independent normal
noise of standard deviation 0.02 (m, m/s) from ``numpy.random.default_rng(2)``.  Run it from
anywhere; it writes the files beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

STIFFNESS, DAMPING = 4.0, 0.5
END, SAMPLES, SIGMA, SEED = 6.0, 60, 0.02, 2
FILES = {
    "damped_oscillator.csv": {"pulled": (1.0, 0.0), "pushed": (-0.5, 2.0)},
    "damped_oscillator_test.csv": {"unseen": (0.8, -1.0)},
}


def damped_oscillator(t, y):
    return [y[1], -STIFFNESS * y[0] - DAMPING * y[1]]


def main() -> None:
    rng = np.random.default_rng(SEED)
    times = np.linspace(0.0, END, SAMPLES)
    for name, releases in FILES.items():
        lines = ["release,t,x,v"]
        for label, initial in releases.items():
            path = solve_ivp(
                damped_oscillator,
                (0.0, END),
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
