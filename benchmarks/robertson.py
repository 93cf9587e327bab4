"""Robertson's stiff reactions: collocation against least squares over an integrator.

    OMP_NUM_THREADS=1 python benchmarks/robertson.py
    python benchmarks/robertson.py --cap 120 --repeats 5

Everyone estimates the three rate constants of ``models/robertson.py`` from the same data, by their
logarithms, from the same start.  The sequential methods are SciPy's ``least_squares`` (trf, Jacobian by
finite differences) over ``solve_ivp`` with rtol 1e-6, atol 1e-9.  An explicit integrator cannot reach
the end of the record: its time for one simulation is shown as far as the cap allows.
"""

from __future__ import annotations

import argparse
import runpy
import time
from pathlib import Path
from statistics import median

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import collocode as cc

MODEL = runpy.run_path(str(Path(__file__).parents[1] / "models" / "robertson.py"))
RTOL, ATOL = 1e-6, 1e-9
TRUE = np.log10([MODEL["K1"], MODEL["K2"], MODEL["K3"]])


class OutOfTime(Exception):
    """The cap on wall time was reached."""


class Reactions:
    """The right-hand side in NumPy, with a count of its calls and a cap on the time."""

    def __init__(self, cap: float) -> None:
        self.calls, self.end = 0, time.perf_counter() + cap

    def __call__(self, t, y, k1, k2, k3):
        self.calls += 1
        if time.perf_counter() > self.end:
            raise OutOfTime
        slow, fast, back = k1 * y[0], k2 * (1e-4 * y[1]) ** 2, k3 * 1e-4 * y[1] * y[2]
        return [back - slow, 1e4 * (slow - back - fast), fast]


def collocation(problem: cc.Problem) -> tuple[float, np.ndarray, str]:
    """Seconds, estimates and work of `fit`."""
    began = time.perf_counter()
    solution = cc.fit(problem, **MODEL["DEFAULTS"])
    seconds = time.perf_counter() - began
    return (
        seconds,
        np.array(list(solution.parameters.values())),
        (f"{solution.result.iterations} iterations"),
    )


def sequential(problem: cc.Problem, method: str, cap: float) -> tuple[float, np.ndarray, str]:
    """The same of single shooting with an integrator."""
    data = problem.experiments[0]
    known = np.isfinite(data.values)
    rhs, simulations = Reactions(cap), 0

    def residual(z: np.ndarray) -> np.ndarray:
        nonlocal simulations
        simulations += 1
        run = solve_ivp(
            rhs,
            (0.0, data.times[-1]),
            [1.0, 0.0, 0.0],
            method,
            data.times,
            args=tuple(10.0**z),
            rtol=RTOL,
            atol=ATOL,
        )
        reached = run.y.T if run.y.shape[1] == len(data.times) else np.full(known.shape, 1e3)
        return (reached[known] - data.values[known]) / 0.01

    start = np.array([q.start for q in problem.dynamics.parameters])
    began = time.perf_counter()
    try:
        found = least_squares(residual, start, diff_step=1e-4).x
    except OutOfTime:
        found = np.full(3, np.nan)
    seconds = time.perf_counter() - began
    return seconds, found, f"{simulations} simulations, {rhs.calls} evaluations of f"


def one_simulation(method: str, end: float, cap: float) -> tuple[float, int]:
    """Seconds (inf above the cap) and evaluations of one simulation of the truth up to ``end``."""
    rhs = Reactions(cap)
    began = time.perf_counter()
    try:
        solve_ivp(
            rhs,
            (0.0, end),
            [1.0, 0.0, 0.0],
            method,
            [end],
            args=tuple(10.0**TRUE),
            rtol=RTOL,
            atol=ATOL,
        )
    except OutOfTime:
        return np.inf, rhs.calls
    return time.perf_counter() - began, rhs.calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cap", type=float, default=20.0, help="seconds for one run")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    problem = MODEL["problem"](test="")
    print(
        "lg k of the truth:",
        TRUE.round(3),
        "start:",
        [q.start for q in problem.dynamics.parameters],
    )
    print(f"\n{'method':<24}{'seconds':>9}  {'lg k1, lg k2, lg k3':<26}work")
    rows = {"collocation (Radau, 81x3)": lambda: collocation(problem)}
    for method in ("LSODA", "BDF", "Radau", "RK45"):
        rows[f"shooting, {method}"] = lambda m=method: sequential(problem, m, args.cap)
    for label, run in rows.items():
        runs = [run() for _ in range(1 if "RK45" in label else args.repeats)]
        seconds, estimate, work = median(r[0] for r in runs), runs[0][1], runs[0][2]
        shown = (
            "not reached" if np.isnan(estimate).any() else " ".join(f"{v:.3f}" for v in estimate)
        )
        print(f"{label:<25}{seconds:>8.2f}  {shown:<26}{work}")
    print("\none simulation of the truth, seconds (evaluations of f)")
    ends = (1.0, 10.0, 100.0, 1000.0, 1e5)
    print(f"{'up to t =':<12}" + "".join(f"{end:>18g}" for end in ends))
    for method in ("RK45", "LSODA", "Radau"):
        cells, gone = [], False
        for end in ends:
            seconds, calls = (np.inf, 0) if gone else one_simulation(method, end, args.cap)
            gone = not np.isfinite(seconds)
            cells.append(f"> {args.cap:g}" if gone else f"{seconds:.3f} ({calls})")
        print(f"{method:<12}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
