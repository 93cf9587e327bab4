"""Consensus ADMM against one NLP: how good, in how many iterations, and when is it faster?

    OMP_NUM_THREADS=1 python benchmarks/admm.py             # all four questions, some minutes
    OMP_NUM_THREADS=1 python benchmarks/admm.py --quick     # small sizes, nothing is written
    OMP_NUM_THREADS=1 python benchmarks/admm.py --only curve,batches

Van der Pol oscillator, 10 samples a time unit, sigma = 0.1, [2, 32, 2] tanh, lambda = 1e-4, Radau with
three stages, one element for three samples.  Like is compared with like: the same data, lambda, mesh
and start.  Errors are mean squares of the simulation over the whole record, from the fitted initial
state, against the clean truth; the states are fitted to every consensus before it is simulated.
Without ``--quick`` the tables go to ``benchmarks/results/admm.md`` and the figure to
``docs/img/admm.png``, which the pages show.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

ROOT = Path(__file__).parents[1]
TABLES, FIGURE = ROOT / "benchmarks" / "results" / "admm.md", ROOT / "docs" / "img" / "admm.png"


def made(
    samples: int, seed: int, end: float | None = None
) -> tuple[cc.Problem, np.ndarray, np.ndarray]:
    """A problem of ``samples`` on [0, samples / 10], its times and its clean truth."""
    end = samples / 10.0 if end is None else end
    t = np.linspace(0.0, end, samples)

    def truth(t, y):
        return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]

    clean = solve_ivp(truth, (0.0, end), [0.0, 1.0], "DOP853", t, rtol=1e-10, atol=1e-10).y.T
    noisy = clean + 0.1 * np.random.default_rng(seed).standard_normal(clean.shape)
    data = cc.Experiment(t, noisy, ("y1", "y2"), name="run")
    problem = cc.Problem(
        cc.NeuralODE(cc.MLP((2, 32, 2))), data, regularisation=cc.L2(1e-4), name="Van der Pol"
    )
    return problem, t, clean


def errors(solution: cc.Solution, t: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """(samples,) squared errors of the simulation, infinite where it broke down."""
    run = solution.simulate(0, times=t)
    return np.mean((np.nan_to_num(run.states, nan=np.inf) - clean) ** 2, axis=1)


class Judge:
    """Fits the states of all data to given weights, as `admm` does at its end, and simulates."""

    def __init__(self, problem: cc.Problem, t: np.ndarray, clean: np.ndarray) -> None:
        self.nlp = cc.start_from(cc.discretize(problem), "smoothing")
        self.solver, self.t, self.clean = cc.make_solver(self.nlp), t, clean

    def __call__(self, weights: np.ndarray) -> float:
        x, lower, upper = self.nlp.start.copy(), self.nlp.lower.copy(), self.nlp.upper.copy()
        for vector in (x, lower, upper):
            vector[self.nlp.layout.weights] = weights
        fixed = replace(self.nlp, lower=lower, upper=upper).with_start(x)
        return float(errors(cc.solve_with(self.solver, fixed), self.t, self.clean).mean())


def judged(problem, t, clean, batches: int, iterations: int, every: int = 1):
    """Run ADMM; return the result, and (iteration, error) of the consensus networks on the way."""
    judge, curve = Judge(problem, t, clean), []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.npz"

        def look(row) -> None:
            if row.iteration % every == 0 or row.iteration < 4:
                with np.load(file) as stored:  # written just before
                    weights = stored["z"][-len(judge.nlp.layout.weights) :]
                curve.append((row.iteration, judge(weights)))

        found = cc.admm(
            problem,
            batches,
            rules=cc.ADMMRules(iterations=iterations),
            checkpoint=file,
            callbacks=cc.Callbacks(look),
        )
        return found, np.array(curve)


def table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [f"**{title}**", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def curve(quick: bool) -> tuple[str, list]:
    """The set-up of the paper: two windows of 150 samples each."""
    rows, curves = [], []
    for seed in range(1 if quick else 4):
        problem, t, clean = made(300, seed)
        single = cc.fit(problem)
        found, path = judged(problem, t, clean, 2, 10 if quick else 40)
        first = t <= 15.0
        (a, b), (p, q) = (
            (e[first].mean(), e[~first].mean())
            for e in (errors(s, t, clean) for s in (single, found.solution))
        )
        h = found.history
        good = path[path[:, 1] <= 1.3 * 0.5 * (a + b)]
        rows.append(
            [str(seed), f"{a:.2e}", f"{p:.2e}", f"{p / a:.2f}", f"{b:.2e}", f"{q:.2e}", f"{q / b:.2f}",
             f"{good[0, 0]:.0f}" if len(good) else "none", str(len(h)),
             f"{h['scaled'].iloc[-1]:.1e}", f"{h['primal'].iloc[-1]:.1e}"]
        )  # fmt: skip
        curves.append((seed, path, 0.5 * (a + b), h))
    heads = ["seed", "single [0, 15]", "ADMM", "ratio", "single [15, 30]", "ADMM", "ratio",
             "first iteration within 1.3", "iterations", "scaled primal residual", "primal residual"]  # fmt: skip
    return table("Two windows, 300 samples: error against the truth", heads, rows), curves


def batches(quick: bool) -> str:
    """The same data in 4, 8, 16 windows; and in windows shorter than a period."""
    rows = []
    cases = [(600, (4,))] if quick else [(2400, (4, 8, 16)), (300, (4, 8))]
    for samples, counts in cases:
        problem, t, clean = made(samples, 0)
        began = time.perf_counter()
        single = cc.fit(problem)
        seconds, e = time.perf_counter() - began, errors(single, t, clean).mean()
        rows.append([str(samples), "1 (single NLP)", f"{samples / 10:.0f}", "", f"{seconds:.1f}",
                     f"{single.result.objective:.5f}", f"{e:.2e}", "1"])  # fmt: skip
        for count in counts:
            found = cc.admm(problem, count, rules=cc.ADMMRules(iterations=8 if quick else 40))
            mse = errors(found.solution, t, clean).mean()
            rows.append([str(samples), str(count), f"{samples / 10 / count:.3g}",
                         f"{len(found.history)} ({found.termination.value})", f"{found.seconds:.1f}",
                         f"{found.solution.result.objective:.5f}", f"{mse:.2e}", f"{mse / e:.2f}"])  # fmt: skip
    heads = ["samples", "batches", "length of a window", "iterations", "seconds", "objective",
             "error against the truth", "ratio"]  # fmt: skip
    return table("The same data in more batches (a period is 6.7)", heads, rows)


def peak(process: int | str = "self") -> float:
    """Peak memory of a process in MB; unlike ``ru_maxrss`` it knows nothing of the parent's."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024.0
    return float("nan")


def measure(samples: int, workers: int, iterations: int) -> dict[str, float]:
    """Time and memory of one run in this process; no workers mean one NLP."""
    # one more sample, so that all elements hold three intervals and windows share a solver
    problem, t, clean = made(samples + 1, 0, samples / 10.0)
    before, workers_peak = peak(), 0.0

    def look(row) -> None:
        nonlocal workers_peak
        here = [peak(child.pid) for child in multiprocessing.active_children()]
        workers_peak = max([workers_peak, *here])

    began = time.perf_counter()
    if not workers:
        solution, steady, count = cc.fit(problem), float("nan"), 0
    else:
        found = cc.admm(
            problem,
            max(2, samples // 150),
            rules=cc.ADMMRules(iterations=iterations, simulate=False),
            executor=cc.ProcessPool(workers) if workers > 1 else cc.InProcess(),
            callbacks=cc.Callbacks(look),
        )
        solution, count = found.solution, len(found.history)
        steady = float(np.median(found.history["seconds"].iloc[2:]))
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "iterations": count,
        "steady": steady,
        "memory": peak() - before,
        "worker": workers_peak - before if workers > 1 else 0.0,
        "error": float(errors(solution, t, clean).mean()),
    }


def sizes(quick: bool) -> str:
    """When it pays: growing records in windows of 150 samples."""
    rows = []
    for samples in (300, 600) if quick else (300, 1200, 4800):
        runs = []
        for workers in (0, 1, 2):
            given = [str(samples), str(workers), "6" if quick else "30"]
            command = [sys.executable, __file__, "--measure", *given]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(answer.splitlines()[-1]))
        for workers, run in enumerate(runs):
            name = "single NLP" if not workers else f"ADMM, {workers} worker{'s'[: workers - 1]}"
            speed = runs[1]["steady"] / run["steady"] if workers else float("nan")
            memory = f"{run['memory']:.0f}" + (
                f" + {run['worker']:.0f} a worker" if workers > 1 else ""
            )
            rows.append([str(samples), name, str(max(2, samples // 150) if workers else 1),
                         f"{run['seconds']:.1f}", f"{run['iterations']}" if workers else "",
                         f"{run['steady']:.2f}" if workers else "",
                         f"{speed:.2f}" if workers > 1 else "", memory, f"{run['error']:.2e}"])  # fmt: skip
    heads = ["samples", "method", "batches", "seconds", "iterations", "s an iteration", "speed-up",
             "peak memory above imports, MB", "error against the truth"]  # fmt: skip
    return table("Growing records, windows of 150 samples", heads, rows)


def polish(quick: bool) -> str:
    """What the monolithic solve costs from the consensus, and what it brings."""
    rows = []
    for samples, count in ((300, 2),) if quick else ((300, 2), (300, 8), (2400, 16)):
        problem, t, clean = made(samples, 0)
        single = cc.fit(problem)
        for iterations in (5, 20):
            rules = cc.ADMMRules(iterations=iterations, simulate=False)
            found = cc.admm(problem, count, rules=rules, polish=True)
            for name, s in ((f"after {iterations} iterations", found.solution),):
                rows.append([str(samples), str(count), name, str(s.result.iterations),
                             f"{s.result.timings['solve']:.2f}", f"{s.result.objective:.6f}",
                             f"{errors(s, t, clean).mean():.2e}"])  # fmt: skip
        rows.append([str(samples), "", "single NLP", str(single.result.iterations),
                     f"{single.result.timings['solve']:.2f}", f"{single.result.objective:.6f}",
                     f"{errors(single, t, clean).mean():.2e}"])  # fmt: skip
    heads = ["samples", "batches", "polished", "IPOPT iterations", "its seconds", "objective",
             "error against the truth"]  # fmt: skip
    return table("Polishing: one solve of the whole from the consensus", heads, rows)


def draw(curves: list) -> None:
    """Error ratio and residual by iteration, a line a noise seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
    for colour, (seed, path, single, h) in zip(colours, curves, strict=False):
        left.plot(
            path[:, 0], path[:, 1] / single, "o-", color=colour, markersize=3, label=f"seed {seed}"
        )
        right.plot(h.index, h["scaled"], "o-", color=colour, markersize=3)
    left.axhline(1.3, color="#6b6b6b", linestyle=":", label="1.3")
    right.axhline(1e-2, color="#6b6b6b", linestyle=":")
    left.set_ylabel("error of the consensus / of the single fit")
    right.set_ylabel("scaled primal residual")
    left.legend(frameon=False)
    for ax in (left, right):
        ax.set_yscale("log")
        ax.set_xlabel("iteration")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#ececec")
    figure.savefig(FIGURE, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="curve,batches,sizes,polish")
    parser.add_argument("--measure", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    texts, wanted = [], arguments.only.split(",")
    for name, ask in (("batches", batches), ("sizes", sizes), ("polish", polish)):
        if name in wanted:
            texts.append(ask(arguments.quick))
            print(texts[-1], flush=True)
    if "curve" in wanted:
        text, curves = curve(arguments.quick)
        texts.insert(0, text)
        print(text, flush=True)
        if not arguments.quick:
            draw(curves)
    if not arguments.quick and len(wanted) == 4:
        TABLES.write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
