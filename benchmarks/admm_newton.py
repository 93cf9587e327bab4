"""Newton's method over batches against ADMM and one NLP; the paper's two batches in one table.

    OMP_NUM_THREADS=1 python benchmarks/admm_newton.py                # all, half an hour
    OMP_NUM_THREADS=1 python benchmarks/admm_newton.py --only wells   # wells, windows, paper, shares
    OMP_NUM_THREADS=1 python benchmarks/admm_newton.py --only wells,windows --methods Newton    # minutes

Like is compared with like: the same data, lambda, mesh and start; lambda is given, so that nobody
chooses another.  Times are CPU seconds of the one process (problem, start and solve), which do not
depend on what else the machine does.  Errors are mean squares of simulations against the clean truth:
"train" from the fitted initial states over the data, "test" from true initial states of other runs.
Newton's method stops after 30 iterations at the latest, ADMM after 40; each is judged by what it
returns.  Without ``--only`` the tables go to ``benchmarks/results/admm_newton.md``, which the page shows.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.coordination.worker import Worker

RESULTS = Path(__file__).parent / "results" / "admm_newton.md"
ADMM, NEWTON = cc.ADMMRules(iterations=40), cc.NewtonRules(iterations=30)
BOYD = cc.ADMMRules(rho=1.0, relaxation=1.0, adapt=0, growth=np.inf, iterations=10)


def two_wells(seed: int, runs: int = 6) -> tuple[cc.Problem, list, np.ndarray]:
    """x'' = x - x^3 - x'/4 from runs that fall into either well; noise .05, 81 samples each."""
    rng, t, data, clean = np.random.default_rng(seed), np.linspace(0.0, 8.0, 81), [], []

    def truth(t, y):
        return [y[1], y[0] - y[0] ** 3 - 0.25 * y[1]]

    for k in range(runs + 2):
        start = rng.uniform(-1.8, 1.8, 2)
        clean.append(solve_ivp(truth, (0.0, 8.0), start, "DOP853", t, rtol=1e-10, atol=1e-10).y.T)
        noisy = clean[-1] + 0.05 * rng.standard_normal(clean[-1].shape)
        data.append(cc.Experiment(t, noisy, ("x", "v"), name=f"run {k}"))
    dynamics = cc.NeuralODE(cc.MLP((2, 24, 2)))
    return cc.Problem(dynamics, data[:runs], regularisation=cc.L2(1e-4), name="wells"), clean, t


def van_der_pol(samples: int, strength: float = 1e-4) -> tuple[cc.Problem, list, np.ndarray]:
    """A record of 10 samples a time unit, noise .1; a period is 6.7."""
    end = samples / 10.0
    t = np.linspace(0.0, end, samples)

    def truth(t, y):
        return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]

    clean = solve_ivp(truth, (0.0, end), [0.0, 1.0], "DOP853", t, rtol=1e-10, atol=1e-10).y.T
    noisy = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    data = cc.Experiment(t, noisy, ("y1", "y2"), name="run")
    dynamics = cc.NeuralODE(cc.MLP((2, 32, 2)))
    return cc.Problem(dynamics, data, regularisation=cc.L2(strength), name="VdP"), [clean], t


def measured(work):
    """Return what ``work`` returns, and its CPU seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def single(problem: cc.Problem) -> cc.Solution:
    """One NLP, on the mesh and from the start that the batches have."""
    return cc.solve(cc.start_from(cc.discretize(problem), "gradient_matching"))


def error(solution: cc.Solution, clean, t, test: bool = False) -> float:
    """Mean squared error of simulations against the truth."""
    runs, found = len(solution.trajectories), []
    if test:
        for states in clean[runs:]:
            found.append(cc.simulate(solution.model, states[0], t).states - states)
    else:
        for k in range(runs):
            found.append(solution.simulate(k, times=t).states - clean[k])
    return float(np.mean([np.nan_to_num(e, nan=np.inf) ** 2 for e in found]))


def table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [f"**{title}**", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


METHODS = ["ADMM", "Newton"]


def compared(problem, clean, t, batches, test: bool = False, methods=None) -> list[list[str]]:
    """Rows of both methods for some numbers of batches, after that of the one NLP."""
    fit, cpu = measured(lambda: single(problem))
    base = [error(fit, clean, t, flag) for flag in ((False, True) if test else (False,))]
    rows = [["one NLP", "", str(fit.result.iterations), f"{fit.result.objective:.6f}",
             *(f"{e:.2e}" for e in base), f"{cpu:.1f} s"]]  # fmt: skip
    methods = METHODS if methods is None else methods
    for count in batches:
        for name, rules in ((m, {"ADMM": ADMM, "Newton": NEWTON}[m]) for m in methods):
            found, seconds = measured(
                lambda count=count, rules=rules: cc.admm(problem, count, rules=rules)
            )
            ours = [
                error(found.solution, clean, t, flag)
                for flag in ((False, True) if test else (False,))
            ]
            rows.append([name, str(count), f"{len(found.history)} ({found.termination.value})",
                         f"{found.solution.result.objective:.6f}",
                         *(f"{a / b:.2f}" for a, b in zip(ours, base, strict=True)),
                         f"{seconds / cpu:.1f}"])  # fmt: skip
        print(rows[-len(methods) :], flush=True)
    return rows


HEADS = ["method", "batches", "iterations", "objective", "error (ratio)"]


def wells() -> str:
    """Six runs, a batch each, on four data sets."""
    rows = []
    for seed in range(4):
        found = compared(*two_wells(seed), (6,), test=True)
        rows += [[str(seed), *row] for row in found]
    heads = ["data", *HEADS[:4], "train error (ratio)", "test error (ratio)", "CPU (ratio)"]
    return table("Six runs of a two-well oscillator, a batch each", heads, rows)


def windows() -> str:
    """One record in ever more windows, down to half a period."""
    rows = []
    for samples, counts in ((300, (2, 4, 9)), (2400, (4, 8, 16))):
        methods = METHODS if samples < 1000 else ("Newton",)  # ADMM: see admm.py
        found = compared(*van_der_pol(samples), counts, methods=methods)
        rows += [[str(samples), *row] for row in found]
    return table("One record in windows (9 of 300 samples are half a period each)",
                 ["samples", *HEADS, "CPU (ratio)"], rows)  # fmt: skip


def paper() -> str:
    """Two batches of 150 samples, sigma = .1, lambda = 1e-3, and training in sequence."""
    problem, clean, t = van_der_pol(300, 1e-3)
    rows = []
    for name, work in (
        ("one NLP", lambda: single(problem)),
        ("ADMM as in the paper (rho = 1, 10 iterations)", lambda: cc.admm(problem, 2, rules=BOYD)),
        ("ADMM, our rules", lambda: cc.admm(problem, 2, rules=ADMM)),
        ("Newton over the batches", lambda: cc.admm(problem, 2, rules=NEWTON)),
    ):
        found, cpu = measured(work)
        solution = getattr(found, "solution", found)
        history = getattr(found, "history", None)
        steps = solution.result.iterations if history is None else len(history)
        rest = "" if history is None else f"{history['primal'].iloc[-1]:.1e}"
        rows.append([name, str(steps), rest, f"{solution.result.objective:.5f}",
                     f"{error(solution, clean, t):.2e}", f"{cpu:.1f}"])  # fmt: skip
        print(rows[-1], flush=True)
    rows.append(sequential(problem, clean[0], t))
    print(rows[-1], flush=True)
    heads = ["training", "iterations", "primal residual", "objective", "error", "CPU s"]
    return table("The paper's two batches of 150 samples, and training in sequence", heads, rows)


def sequential(problem: cc.Problem, clean: np.ndarray, t: np.ndarray) -> list[str]:
    """The usual training in sequence: an integrator in the loop, its adjoint, Adam."""
    from peers import common, diffrax_adam

    data = common.Data(t, problem.experiments[0].values)
    found, cpu = measured(lambda: diffrax_adam.run(data, regularisation=1e-3))
    run = solve_ivp(
        lambda t, y: found.rhs(y), (0.0, t[-1]), found.y0, t_eval=t, rtol=1e-8, atol=1e-8
    )
    miss = float(np.mean((run.y.T - clean) ** 2)) if run.y.shape[1] == len(t) else np.inf
    return [f"in sequence: {found.detail}", "", "", "", f"{miss:.2e}", f"{cpu:.1f}"]


def shares() -> str:
    """Which part of an iteration's CPU the batches take: that part is done by workers at once."""
    spent = [0.0]
    usual = Worker.run

    def watched(self, task, batch=None):
        began = time.process_time()
        reply = usual(self, task, batch)
        spent[0] += time.process_time() - began
        return reply

    rows = []
    for samples in (300, 1200, 4800):
        problem, *_ = van_der_pol(samples)
        count = max(2, samples // 150)
        Worker.run, spent[0], marks = watched, 0.0, []
        try:
            look = cc.Callbacks(
                lambda row, marks=marks: marks.append((time.process_time(), spent[0]))
            )
            cc.admm(problem, count, rules=cc.NewtonRules(iterations=8), callbacks=look)
        finally:
            Worker.run = usual
        total, batches = (np.diff([m[k] for m in marks]).mean() for k in (0, 1))
        nlp = cc.start_from(cc.discretize(problem), "gradient_matching")
        fit, cpu = measured(lambda nlp=nlp: cc.solve(nlp))
        bound = [total / (total - batches + batches / w) for w in (2, 4, 16)]
        rows.append([str(samples), str(count), f"{1e3 * cpu / fit.result.iterations:.0f}",
                     f"{1e3 * total:.0f}", f"{batches / total:.2f}",
                     *(f"{b:.1f}" for b in bound)])  # fmt: skip
        print(rows[-1], flush=True)
    heads = ["samples", "batches", "one NLP, CPU ms an iteration", "Newton", "share of the batches",
             "at best, 2 workers", "4", "16"]  # fmt: skip
    return table("What workers can save of an iteration", heads, rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="wells,windows,paper,shares")
    parser.add_argument("--methods", default="ADMM,Newton", help="of the first two tables")
    given = parser.parse_args()
    wanted, METHODS[:] = given.only.split(","), given.methods.split(",")
    asked = {"wells": wells, "windows": windows, "paper": paper, "shares": shares}
    texts = []
    for name in wanted:
        texts.append(asked[name]())
        print(texts[-1], flush=True)
    if len(wanted) == len(asked):
        RESULTS.write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
