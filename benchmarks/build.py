"""How long the NLP of a neural ODE takes to build, and how much memory, as the record grows.

    python benchmarks/build.py                       # N = 200, 1000, 4000, 20000
    python benchmarks/build.py --samples 200,20000

The Van der Pol problem of ``benchmarks/van_der_pol.py`` (162 weights, Radau IIA, three stages, one
element for three samples) on [0, 15 N / 200].  Build is ``discretize`` plus ``make_solver``; every
N is a fresh process, and its peak memory is above what the imports took.  CPU time, without imports.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time


def measure(samples: int) -> dict[str, float]:
    """Build once in this process."""
    import casadi as ca
    import numpy as np
    from scipy.integrate import solve_ivp

    import collocode as cc
    from peers.common import import_collocode

    import_collocode()
    ca.load_nlpsol("ipopt")
    end = 15.0 * samples / 200
    t = np.linspace(0.0, end, samples)

    def truth(t, y):
        return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]

    clean = solve_ivp(truth, (0.0, end), [0.0, 1.0], t_eval=t, rtol=1e-8, atol=1e-8).y.T
    noisy = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 32, 2))), cc.Experiment(t, noisy, ("y1", "y2")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    nlp = cc.discretize(problem, mesh=samples // 3)
    middle = time.process_time()
    cc.make_solver(nlp)
    return {
        "discretize": middle - began,
        "solver": time.process_time() - middle,
        "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", default="200,1000,4000,20000")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments.worker)))
        return
    print(
        f"{'N':>6} {'discretize s':>13} {'solver s':>9} {'total s':>8} {'ms a sample':>12} {'MB':>6}"
    )
    for samples in (int(n) for n in arguments.samples.split(",")):
        command = [sys.executable, __file__, "--worker", str(samples)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        total = row["discretize"] + row["solver"]
        print(
            f"{samples:6d} {row['discretize']:13.3f} {row['solver']:9.3f} {total:8.3f} "
            f"{1e3 * total / samples:12.3f} {row['memory']:6.0f}"
        )


if __name__ == "__main__":
    main()
