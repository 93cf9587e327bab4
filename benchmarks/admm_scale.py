"""Many small batches through a bounded pool: time, memory and traffic as their number grows.

    OMP_NUM_THREADS=1 python benchmarks/admm_scale.py
    OMP_NUM_THREADS=1 python benchmarks/admm_scale.py --batches 25,100,200 --workers 2 --iterations 5

Experiments: every batch is one run of a damped oscillator (20 samples of two states, network
[2, 8, 2]).  Windows: every batch is a window of one long run with the same 20 samples, and neighbours
share the states where they meet.  Every row is a fresh process.  Build is the first iteration, in
which every worker builds its solver and every batch its NLP; s/iteration is the median of the others.
Memory is the peak resident size (VmHWM) of the coordinator and of the largest worker.  Traffic counts
pickled bytes, sent and received, per batch in the last iteration, once with points that travel and
once with points that stay with the workers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import collocode as cc

SAMPLES, DURATION = 20, 2.0


def oscillator(t: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    """Noisy states of a damped oscillator."""
    a, b = start
    x = np.exp(-0.02 * t) * (a * np.cos(2.0 * t) + b * np.sin(2.0 * t))
    v = np.exp(-0.02 * t) * (b * np.cos(2.0 * t) - a * np.sin(2.0 * t))
    noise = np.random.default_rng(seed).standard_normal((len(t), 2))
    return np.column_stack([x, v]) + 0.02 * noise


def problem(kind: str, batches: int) -> tuple[cc.Problem, int]:
    """Return the problem and the number of elements of each of its experiments."""
    network = cc.NeuralODE(cc.MLP((2, 8, 2)))
    if kind == "windows":
        t = np.linspace(0.0, DURATION * batches, SAMPLES * batches + 1)[1:]
        data = oscillator(t, np.array([1.0, 0.5]), 0)
        run = cc.Experiment(t, data, ("x", "v"), name="run", start=0.0)
        return cc.Problem(network, run), 7 * batches
    t = np.linspace(0.0, DURATION, SAMPLES)
    starts = np.random.default_rng(0).uniform(0.5, 1.5, (batches, 2))
    runs = [
        cc.Experiment(t, oscillator(t, start, k), ("x", "v"), name=f"run {k}")
        for k, start in enumerate(starts)
    ]
    return cc.Problem(network, runs), 7


def peak(pid: int | str) -> float:
    """Peak resident size of a process in MB; ru_maxrss would count what it was forked from."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Watch:
    """Notes memory and traffic after every iteration."""

    def __init__(self) -> None:
        self.memory, self.sessions, self.bytes = 0.0, [], []

    def look(self, row) -> None:
        children = multiprocessing.active_children()
        self.memory = max([self.memory, *(peak(child.pid) for child in children)])
        self.bytes.append(sum(self.sessions[-1].traffic))


def watched(workers: int, points: str, watch: Watch) -> cc.ProcessPool:
    """A pool whose session the watch looks at."""

    class Pool(cc.ProcessPool):
        def open(self, batches, settings):
            watch.sessions.append(super().open(batches, settings))
            return watch.sessions[-1]

    return Pool(workers, points=points)


def measure(kind: str, batches: int, workers: int, iterations: int) -> dict[str, float]:
    """Run once with each way to keep points."""
    found: dict[str, float] = {}
    whole, mesh = problem(kind, batches)
    rules = cc.ADMMRules(absolute=1e-300, relative=0.0, iterations=iterations)
    for points in ("coordinator", "workers"):
        watch = Watch()
        began = time.perf_counter()
        result = cc.admm(
            whole,
            batches,
            rules=rules,
            executor=watched(workers, points, watch),
            settings=cc.FitSettings(mesh=mesh),
            callbacks=cc.Callbacks(watch.look),
        )
        total = time.perf_counter() - began
        found[f"bytes_{points}"] = (watch.bytes[-1] - watch.bytes[-2]) / batches
        if points == "coordinator":
            seconds = result.history["seconds"].to_list()
            found |= {"build": seconds[0], "iteration": statistics.median(seconds[1:])}
            found |= {"total": total, "worker": watch.memory, "coordinator": peak("self")}
            found["scaled"] = float(result.history["scaled"].iloc[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", default="25,100,200")
    parser.add_argument("--kinds", default="experiments,windows")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, batches = given.one
        print(json.dumps(measure(kind, int(batches), given.workers, given.iterations)))
        return
    print(
        f"{'kind':12} {'batches':>7} {'build s':>8} {'s/iteration':>12} {'total s':>8} "
        f"{'coordinator MB':>15} {'worker MB':>10} {'bytes, points travel':>21} {'stay':>6}"
    )
    for kind in given.kinds.split(","):
        for batches in given.batches.split(","):
            command = [sys.executable, __file__, "--one", kind, batches]
            command += ["--workers", str(given.workers), "--iterations", str(given.iterations)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            row = json.loads(output)
            print(
                f"{kind:12} {batches:>7} {row['build']:8.2f} {row['iteration']:12.3f} "
                f"{row['total']:8.1f} {row['coordinator']:15.0f} {row['worker']:10.0f} "
                f"{row['bytes_coordinator']:21.0f} {row['bytes_workers']:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
