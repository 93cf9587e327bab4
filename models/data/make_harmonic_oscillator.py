"""Make ``harmonic_oscillator.csv`` and ``harmonic_oscillator_test.csv``: a few noisy samples.

The truth is x' = v, v' = -x with x(0) = 1, v(0) = 0, so x = cos t and v = -sin t.  40 equidistant
samples on t = 0 ... 10 are for training and 40 on t = 10 ... 20 for testing, with independent
normal noise of standard deviation 0.05 from ``numpy.random.default_rng(1)``.  Run it from anywhere;
it writes the files beside itself, always the same bytes.
"""

from pathlib import Path

import numpy as np

SAMPLES, SIGMA, SEED = 40, 0.05, 1
WINDOWS = {"harmonic_oscillator.csv": (0.0, 10.0), "harmonic_oscillator_test.csv": (10.0, 20.0)}


def main() -> None:
    rng = np.random.default_rng(SEED)
    for name, (start, end) in WINDOWS.items():
        times = np.linspace(start, end, SAMPLES)
        states = np.column_stack([np.cos(times), -np.sin(times)])
        table = np.column_stack([times, states + SIGMA * rng.standard_normal((SAMPLES, 2))])
        target = Path(__file__).with_name(name)
        np.savetxt(target, table, fmt="%.10g", delimiter=",", header="t,x,v", comments="")
        print(f"wrote {target.name} ({SAMPLES} rows)")


if __name__ == "__main__":
    main()
