"""Time and memory of exporting the Van der Pol NLP as an .nl file, and of reading it back.

    python benchmarks/export.py                       # N = 200, 1000, 4000, 10000 samples
    python benchmarks/export.py --samples 200,1000 --json export.json

[2, 32, 2] tanh network, Radau with 3 stages, samples every 0.075; every size runs in a fresh Python
process on one thread.  Memory is the peak of the process above what it held before the export.
The last line compares the largest size with the one before: 1.0 means linear growth.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

COLUMNS = ("samples", "variables", "rows", "export s", "export MB", "file MB", "read s", "read MB")


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def measure(samples: int) -> dict[str, float]:
    """Export and read back one size in this process."""
    import numpy as np
    from scipy.integrate import solve_ivp

    import collocode as cc

    t = 0.075 * np.arange(samples)
    rhs = lambda t, y: [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]  # noqa: E731
    y = solve_ivp(rhs, (0.0, t[-1]), [0.0, 1.0], "DOP853", t, rtol=1e-8).y.T
    y = y + 0.1 * np.random.default_rng(0).normal(size=y.shape)
    data = cc.Experiment(t, y, outputs=("y1", "y2"))
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 32, 2))), data, regularisation=cc.L2(1e-4))
    nlp = cc.start_from(cc.discretize(problem), "interpolate")
    import pyomo.environ
    import pyomo.repn.plugins.nl_writer  # noqa: F401

    with TemporaryDirectory() as folder:
        before, began = peak(), time.perf_counter()
        file = cc.write_nl(nlp, Path(folder) / "vdp.nl")
        exported, after = time.perf_counter() - began, peak()
        size = file.path.stat().st_size / 1e6
        began = time.perf_counter()
        model = cc.read_nl(file.path)
        read = time.perf_counter() - began
    assert abs(model.objective(model.start) - nlp.objective(nlp.start)) < 1e-9
    values = (samples, nlp.columns, nlp.rows, exported, after - before, size, read, peak() - after)
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Run every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", default="200,1000,4000,10000")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(measure(args.worker)))
        return
    rows = []
    print("  ".join(f"{name:>10}" for name in COLUMNS), flush=True)
    for samples in args.samples.split(","):
        command = [sys.executable, __file__, "--worker", samples]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
        rows.append(json.loads(run.stdout))
        print("  ".join(f"{rows[-1][name]:10.4g}" for name in COLUMNS), flush=True)
    if len(rows) > 1:
        factor = rows[-1]["samples"] / rows[-2]["samples"]
        growth = (rows[-1][name] / rows[-2][name] / factor for name in ("export s", "export MB"))
        print("growth against linear: time {:.2f}, memory {:.2f}".format(*growth))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
