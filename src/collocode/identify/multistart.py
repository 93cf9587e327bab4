"""Multistart: the same problem from many random weights, or parameters, one program for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from ..adapt.automesh import AutoMesh
from ..errors import InputError, check_type, quietly
from ..model.problem import Problem
from ..numerics.scheme import Scheme
from ..results.doubts import warn
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.protocol import OnIteration
from ..solvers.solve import make_solver
from ..starts.strategies import start_from
from ..transcription.discretize import MeshLike, discretize
from .climb import solve_begun
from .fit import discretized, judged, out_of_time, scheme_of, settle, unsaid
from .scattered import hopeless, scattered
from .scored import fit_by_scoring
from .scoring import meshes_for, scorable

_EQUAL = 1e-6  # objectives closer than this, relatively, are of one optimum


@dataclass(frozen=True, eq=False, kw_only=True)
class Multistart:
    """Solutions from several seeds, best first among the converged ones.

    Attributes
    ----------
    solutions, seeds : in the order of the runs.
    table : one row a seed: objective, simulated error, status, iterations, seconds.
    termination : ``INTERRUPTED`` if Ctrl-C ended it, else ``CONVERGED``.
    """

    solutions: tuple[Solution, ...]
    seeds: tuple[int, ...]
    table: pd.DataFrame
    termination: Termination = Termination.CONVERGED

    @property
    def best(self) -> Solution:
        """The converged solution of lowest objective (of lowest violation if none converged)."""
        return self.solutions[self.seeds.index(self.best_seed)]

    @property
    def best_seed(self) -> int:
        """The seed of the best solution; of equal optima the first."""
        runs = list(zip(self.seeds, self.solutions, strict=True))
        converged = [(seed, s) for seed, s in runs if s.success]
        if converged:
            least = min(s.result.objective for _, s in converged)
            slack = _EQUAL * max(abs(least), 1e-300)
            return next(seed for seed, s in converged if s.result.objective <= least + slack)
        return min(runs, key=lambda run: run[1].result.violation)[0]


def multistart(
    problem: Problem,
    seeds: int | Sequence[int] = 10,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike | AutoMesh | str = "auto",
    start: str = "auto",
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    on_run: Callable[[int, Solution], Any] | None = None,
    on_iteration: OnIteration | None = None,
    time_limit: float | None = None,
) -> Multistart:
    """Solve from several seeds: of random weights, or of parameters where there are no networks.

    What `fit` climbs by scoring starts from points of a Latin hypercube over the parameters' bounds, on
    their scales; seed 0 is their own starts.  A climb that falls behind the best is given up, one that
    cannot begin is left out; both are in the table.

    All are solved on one mesh and with one λ, so that their objectives compare: where these are to be
    chosen, the first seed that is solved chooses them.

    Parameters
    ----------
    problem, scheme, degree, mesh, start, interface, options, deterministic, on_iteration : as for
        `fit`.
    seeds : how many (0, 1, ...), or which.
    on_run : called with the seed and its solution after every run.
    time_limit : seconds for all runs; what there is by then comes back, its last run stopped by it.

    Returns
    -------
    All runs; after Ctrl-C those up to and with the interrupted one.

    Raises
    ------
    InputError
        No seeds.
    """
    check_type("multistart", problem, Problem)
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(s) for s in seeds)
    if not chosen:
        raise InputError("multistart needs at least one seed.")
    if unsaid(start, mesh, interface, options) and scorable(problem):
        return _from_parameters(
            problem, chosen, scheme_of(scheme, degree), on_run, on_iteration, time_limit
        )
    interrupt = Interrupt(time_limit)
    auto, nlp = discretized(problem, scheme, degree, mesh)
    how = interface, options, deterministic
    solver, settled = make_solver(nlp, *how), False
    solutions, rows, end = [], [], Termination.CONVERGED
    with interrupt:
        for seed in chosen:
            began = time.perf_counter()
            solution = solve_begun(solver, nlp, start, seed, on_iteration)
            if settled:
                solution = judged(solution, auto, how)
            elif solution.success:
                begin = partial(start_from, strategy=start, seed=seed)
                solution = settle(solution, auto, how, begin, on_iteration)
                assert solution.nlp is not None
                nlp, settled = replace(solution.nlp, start_record=None), True
                solver = make_solver(nlp, *how)
            if interrupt.late:
                solution = out_of_time(solution)
            seconds = time.perf_counter() - began
            solution = replace(solution, result=solution.result.with_timings(total=seconds))
            rows.append({"seed": seed, **_row(solution, seconds)})
            solutions.append(solution)
            if on_run is not None:
                on_run(seed, solution)
            if interrupt.requested or solution.result.termination is Termination.INTERRUPTED:
                end = Termination.TIME_LIMIT if interrupt.late else Termination.INTERRUPTED
                break
    found = Multistart(
        solutions=tuple(solutions),
        seeds=chosen[: len(rows)],
        table=pd.DataFrame(rows).set_index("seed"),
        termination=end,
    )
    warn(found.best)
    return found


def _from_parameters(
    problem: Problem,
    seeds: Sequence[int],
    scheme: Scheme,
    on_run: Callable[[int, Solution], Any] | None,
    on_iteration: OnIteration | None,
    time_limit: float | None,
) -> Multistart:
    """Climb from scattered parameters."""
    nlp = discretize(problem, scheme, mesh=meshes_for(problem))
    half, best, end = 0.5 * problem.n_measurements, float("inf"), Termination.CONVERGED
    solutions: list[Solution] = []
    kept: list[int] = []
    rows = []
    with quietly(), Interrupt(time_limit) as interrupt:
        for seed, values in zip(seeds, scattered(problem, seeds), strict=True):
            began = time.perf_counter()
            solution = fit_by_scoring(
                problem, scheme, values, on_iteration, hopeless(best), nlp=nlp
            )
            seconds = time.perf_counter() - began
            if solution is None:
                rows.append({"seed": seed, "status": "cannot begin there", "seconds": seconds})
            else:
                best = min(best, half * solution.result.objective)
                solution = replace(solution, result=solution.result.with_timings(total=seconds))
                rows.append({"seed": seed, **_row(solution, seconds)})
                kept.append(seed)
                solutions.append(solution)
                if on_run is not None:
                    on_run(seed, solution)
            if interrupt.requested:
                end = Termination.TIME_LIMIT if interrupt.late else Termination.INTERRUPTED
                break
    if not solutions:
        raise InputError(
            f"none of {len(rows)} starts of problem {problem.name!r} can be simulated; narrow the "
            "parameters' bounds or ask for more seeds."
        )
    found = Multistart(
        solutions=tuple(solutions),
        seeds=tuple(kept),
        table=pd.DataFrame(rows).set_index("seed"),
        termination=end,
    )
    warn(found.best)
    return found


def _row(solution: Solution, seconds: float) -> dict[str, Any]:
    scores = [s.simulated for s in solution.score() if s.role == "train"]
    return {
        "objective": solution.result.objective,
        "simulated": float(sum(scores) / len(scores)) if scores else float("nan"),
        "status": solution.status,
        "iterations": solution.result.iterations,
        "seconds": seconds,
    }
