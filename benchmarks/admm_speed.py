"""What a second worker brings: 8 equal batches with one worker and with two.

    OMP_NUM_THREADS=1 python benchmarks/admm_speed.py
    OMP_NUM_THREADS=1 python benchmarks/admm_speed.py --workers 1,2 --samples 300 --repeats 3

Every batch is one run of the Van der Pol oscillator from its own initial state (network [2, 32, 2],
Radau IIA, three stages, one element for three samples).  One worker is this process itself; two are a
pool.  Time is the sum over all iterations but the first, in which solvers are built; the iterates
are the same to the last bit, which is checked.  ``busy`` is the part of that time which a worker
spends on its batches: what is missing are batches of unequal length, traffic and the consensus step.
On a machine that others use, it tells more than the times.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

BATCHES = 8


def problem(samples: int) -> cc.Problem:
    """Eight runs of equal length and sampling."""
    t = np.linspace(0.0, 15.0 * samples / 200, samples)
    rng = np.random.default_rng(0)

    def truth(t, y):
        return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]

    runs = []
    for k in range(BATCHES):
        start = rng.uniform(-2.0, 2.0, 2)
        clean = solve_ivp(truth, (0.0, t[-1]), start, t_eval=t, rtol=1e-8, atol=1e-8).y.T
        noisy = clean + 0.1 * rng.standard_normal(clean.shape)
        runs.append(cc.Experiment(t, noisy, ("y1", "y2"), name=f"run {k}"))
    return cc.Problem(cc.NeuralODE(cc.MLP((2, 32, 2))), runs, regularisation=cc.L2(1e-4))


def measure(whole: cc.Problem, samples: int, workers: int, iterations: int):
    """Return seconds after the builds, mean ms of a solve, busy part, and the consensus."""
    solves: list[float] = []
    found = cc.admm(
        whole,
        BATCHES,
        rules=cc.ADMMRules(absolute=1e-300, relative=0.0, iterations=iterations),
        executor=cc.ProcessPool(workers) if workers > 1 else cc.InProcess(),
        settings=cc.FitSettings(mesh=samples // 3),
        callbacks=cc.Callbacks(on_batch=lambda result: solves.append(result.seconds)),
    )
    seconds = float(found.history["seconds"].to_numpy()[1:].sum())
    later = solves[BATCHES:]
    busy = sum(later) / (seconds * workers)
    return seconds, 1e3 * float(np.mean(later)), busy, found.consensus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    counts = [int(n) for n in given.workers.split(",")]
    whole = problem(given.samples)
    times: dict[int, list[float]] = {n: [] for n in counts}
    first = None
    print(f"{'workers':>7} {'s after builds':>15} {'ms a solve':>11} {'busy':>6}")
    for _ in range(given.repeats):
        for n in counts:
            seconds, solve, busy, consensus = measure(whole, given.samples, n, given.iterations)
            first = first or consensus
            assert consensus == first, "the iterates depend on the number of workers"
            times[n].append(seconds)
            print(f"{n:7d} {seconds:15.2f} {solve:11.0f} {busy:6.2f}", flush=True)
    alone = statistics.median(times[counts[0]])
    for n in counts[1:]:
        ratio = alone / statistics.median(times[n])
        print(f"{n} workers are {ratio:.2f} times as fast as {counts[0]}")


if __name__ == "__main__":
    main()
