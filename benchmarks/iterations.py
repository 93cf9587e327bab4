"""What would other options of IPOPT save?  Iterations, trials, CPU time and optima, paired, over seeds and cases.

    OMP_NUM_THREADS=1 python benchmarks/iterations.py linear_solver=mumps mu_init=1e-4
    OMP_NUM_THREADS=1 python benchmarks/iterations.py mu_strategy=adaptive --cases all --seeds 10
    OMP_NUM_THREADS=1 python benchmarks/iterations.py max_soc=0,recalc_y=yes --cases vdp-200-3,lv

A candidate is a list of options; each runs from the same starts as the default, in turns.  Mesh and λ are
pinned.  A line has the sums over the seeds; trials are points of the line search without second-order
corrections, factorisations are told by ``chains`` alone.  An optimum is lower or higher if by more than a
thousandth.  The last lines have geometric means of the ratios over all cases, and how the optima moved in all.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import collocode as cc
from state_scaling import CASES as RECORDS
from state_scaling import fitzhugh_nagumo, lotka_volterra, neural

Case = tuple[Callable[[], cc.Problem], int, int]


def decay(t: float, y: np.ndarray) -> list[float]:
    return [-0.8 * y[0], 0.8 * y[0] - 0.3 * y[1]]


def bounded(rhs: Any, start: list[float], samples: int, hidden: int, slack: float) -> cc.Problem:
    """A record whose states are held within its clean range, widened on both sides by a share of it."""
    made = neural(rhs, start, 0.1 * samples, samples, 0.05, hidden)
    values = made.experiments[0].values
    low, high = values.min(axis=0), values.max(axis=0)
    room = slack * (high - low)
    bounds = {
        name: (a - r, b + r) for name, a, b, r in zip(made.states, low, high, room, strict=True)
    }
    return cc.Problem(
        made.dynamics,
        made.experiments,
        regularisation=cc.L2(1e-5),
        states=made.states,
        bounds=bounds,
    )


def free(rhs: Any, start: list[float], samples: int, hidden: int) -> Case:
    return (
        lambda: neural(rhs, start, 0.1 * samples, samples, 0.05, hidden),
        3,
        max(6, samples // 3),
    )


def held(rhs: Any, start: list[float], samples: int, hidden: int, slack: float) -> Case:
    return (lambda: bounded(rhs, start, samples, hidden, slack), 3, samples // 3)


SMALL: dict[str, Case] = {
    "lv-8-50": free(lotka_volterra, [1.0, 1.0], 50, 8),
    "lv-8-100": free(lotka_volterra, [1.0, 1.0], 100, 8),
    "lv-8-200": free(lotka_volterra, [1.0, 1.0], 200, 8),
    "lv-16-50": free(lotka_volterra, [1.0, 1.0], 50, 16),
    "lv-16-200": free(lotka_volterra, [1.0, 1.0], 200, 16),
    "fhn-16-30": free(fitzhugh_nagumo, [-1.0, 1.0], 30, 16),
    "fhn-10-100": free(fitzhugh_nagumo, [-1.0, 1.0], 100, 10),
    "fhn-8-200": free(fitzhugh_nagumo, [-1.0, 1.0], 200, 8),
}
BOUNDED: dict[str, Case] = {
    "decay-8-50-active": held(decay, [1.0, 0.0], 50, 8, -0.05),
    "lv-16-50-loose": held(lotka_volterra, [1.0, 1.0], 50, 16, 1.0),
    "lv-16-200-loose": held(lotka_volterra, [1.0, 1.0], 200, 16, 1.0),
    "lv-16-200-active": held(lotka_volterra, [1.0, 1.0], 200, 16, -0.05),
    "fhn-16-200-active": held(fitzhugh_nagumo, [-1.0, 1.0], 200, 16, -0.05),
    "fhn-32-1000-loose": held(fitzhugh_nagumo, [-1.0, 1.0], 1000, 32, 1.0),
}
SETS = {
    "small": list(SMALL),
    "bounded": list(BOUNDED),
    "large": ["vdp-200-3", "vdp-1000-3", "vdp-1000-7", "lv-long", "fhn-long", "forced-long"],
}
CASES: dict[str, Case] = {**RECORDS, **SMALL, **BOUNDED}


def options_of(text: str) -> dict[str, Any]:
    """``name=value,name=value``."""

    def read(value: str) -> Any:
        try:
            return float(value)
        except ValueError:
            return value

    return {k: read(v) for k, v in (part.split("=") for part in text.split(",") if part)}


def solved(program: cc.NLP, options: dict[str, Any]) -> list[float]:
    """Iterations, trials, factorisations, CPU seconds, objective and success of one solve."""
    began = time.process_time()
    solver = cc.make_solver(program, options=options)
    result = solver.solve(program)
    spent = time.process_time() - began
    steps = result.history["step"][1:]
    trials = float(np.sum(1.0 - np.round(np.log2(np.maximum(steps, 1e-12)))))
    session = getattr(solver, "_session", None)
    count = session.count.chains + session.count.mumps if session else np.nan
    return [result.iterations, trials, count, spent, result.objective, result.success]


def compare(name: str, candidates: list[str], seeds: int, most: float) -> np.ndarray:
    """Print a line for each candidate; return (candidates, seeds, 6) what `solved` tells."""
    make, stages, elements = CASES[name]
    nlp = cc.discretize(make(), "radau", stages, mesh=elements)
    table = np.empty((len(candidates), seeds, 6))
    for candidate in candidates:  # imports and first calls are not what is measured
        solved(nlp, {"max_iter": 2, **options_of(candidate)})
    for seed in range(seeds):
        begun = cc.start_from(nlp, seed=seed)
        for k, candidate in enumerate(candidates):
            options = {"max_cpu_time": most, **options_of(candidate)}
            table[k, seed] = solved(begun, options)
    for k, candidate in enumerate(candidates):
        its, trials, count, cpu, _, good = table[k].sum(axis=0)
        lower, higher, _ = moved(table, k)
        print(
            f"| {name} | {candidate or 'default'} | {its:.0f} | {trials:.0f} | "
            f"{'' if np.isnan(count) else f'{count:.0f}'} | {cpu:.2f} | {good:.0f} of {seeds} | "
            f"{lower} lower, {higher} higher |",
            flush=True,
        )
    return table


def moved(table: np.ndarray, k: int) -> tuple[int, int, float]:
    """How many optima are lower and higher than the default's, and by how much in all, relatively."""
    both = (table[k, :, 5] > 0) & (table[0, :, 5] > 0)
    change = (table[k, both, 4] - table[0, both, 4]) / np.abs(table[0, both, 4])
    return int((change < -1e-3).sum()), int((change > 1e-3).sum()), float(change.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("candidates", nargs="+", help="name=value,name=value")
    parser.add_argument(
        "--cases", default="small,bounded,large", help=f"of {', '.join([*SETS, *CASES])}, or all"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--most", type=float, default=60.0, help="CPU seconds of one solve")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    candidates = ["", *arguments.candidates]
    words = arguments.cases.split(",")
    names = list(CASES) if words == ["all"] else [n for w in words for n in SETS.get(w, [w])]
    print("| case | options | iterations | trials | factorisations | CPU s | solved | optima |")
    print("|---|---|---|---|---|---|---|---|")
    tables = [compare(name, candidates, arguments.seeds, arguments.most) for name in names]
    print("\n| options | iterations | trials | CPU s | solved | optima | sum of relative changes |")
    print("|---|---|---|---|---|---|---|")
    for k, candidate in enumerate(candidates):
        logs = [np.log(t[k, :, :4] / t[0, :, :4]).mean(axis=0) for t in tables]
        its, trials, _, cpu = np.exp(np.mean(logs, axis=0))
        lower, higher, change = np.sum([moved(t, k) for t in tables], axis=0)
        good = sum(t[k, :, 5].sum() for t in tables)
        print(
            f"| {candidate or 'default'} | × {its:.2f} | × {trials:.2f} | × {cpu:.2f} | "
            f"{good:.0f} of {len(tables) * arguments.seeds} | {lower:.0f} lower, {higher:.0f} higher | "
            f"{change:+.1e} |"
        )


if __name__ == "__main__":
    main()
