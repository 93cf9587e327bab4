"""Multistart: the same problem from many random weights, or parameters, one program for all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..adapt.automesh import AutoMesh
from ..checks import counted
from ..conditions import UNFITTED, fingerprint
from ..errors import InputError, quietly
from ..kinds import check_type
from ..model.misfit import scorable
from ..model.problem import Problem
from ..numerics.scheme import Scheme
from ..results.doubts import warn
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.protocol import OnIteration
from ..solvers.solve import make_solver
from ..solvers.threads import single_threaded
from ..starts.strategies import start_from
from ..transcription.discretize import MeshLike
from .climbs import Climber, Climbs, ClimbsFile, Start
from .fallbacks import solve_begun
from .fit import discretized, judged, out_of_time, scheme_of, settle, unsaid
from .noise import without_noise
from .starting_points import starting_points

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


@single_threaded
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
    workers: int = 1,
    checkpoint: str | Path | None = None,
    shares: Sequence[float] = (),
) -> Multistart:
    """Solve from several seeds: of random weights, or of parameters where there are no networks.

    What `fit` climbs by scoring starts from points of a Latin hypercube over the parameters' bounds, on
    their scales, or over their distributions of starts; seed 0 is their own starts.  A climb that falls
    behind the best is given up, one that cannot begin is left out; both are in the table.

    All are solved on one mesh and with one λ, so that their objectives compare: where these are to be
    chosen, the first seed that is solved chooses them.

    Parameters
    ----------
    problem, scheme, degree, mesh, start, interface, options, deterministic, on_iteration : as for
        `fit`.
    seeds : how many (0, 1, ...), or which.
    on_run : called with the seed and its solution after every run.
    time_limit : seconds for all runs; what there is by then comes back, its last run stopped by it.
    workers : processes that climb over parameters side by side, at most eight, with the same results as
        one.
    checkpoint : an archive that such climbs are kept in as they end; where it is there, they go on.
    shares : of every experiment's duration whose data such a climb looks at first, say (0.2, 0.5):
        from few to all, where a simulation from a start soon loses long or oscillating records.

    Returns
    -------
    All runs; after Ctrl-C those up to and with the interrupted one.

    Raises
    ------
    InputError
        No seeds; workers, a checkpoint or shares for another kind of problem.
    FileError
        A checkpoint of another problem or other seeds.
    """
    check_type("multistart", problem, Problem)
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(s) for s in seeds)
    if not chosen:
        raise InputError("multistart needs at least one seed.")
    if over_parameters(problem, start, mesh, interface, options):
        climber = Climber(problem, scheme_of(scheme, degree), _checked_shares(shares))
        file = None if checkpoint is None else Path(checkpoint)
        look = on_run, on_iteration
        return _from_parameters(climber, chosen, file, workers, *look, time_limit)
    if workers > 1 or checkpoint is not None or len(shares):
        raise InputError(
            "workers=, checkpoint= and shares= are of multistarts over parameters, of a likelihood "
            "without networks and constraints, with start, mesh, interface and options left as they are; "
            "leave them out."
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


def over_parameters(
    problem: Problem, start: Any, mesh: Any, interface: str, options: Mapping[str, Any] | None
) -> bool:
    """Whether a multistart climbs by scoring, from scattered parameters."""
    return unsaid(start, mesh, interface, options) and scorable(problem)


def _from_parameters(
    climber: Climber,
    seeds: Sequence[int],
    file: Path | None,
    workers: int,
    on_run: Callable[[int, Solution], Any] | None,
    on_iteration: OnIteration | None,
    time_limit: float | None,
) -> Multistart:
    """Climb from scattered parameters."""
    problem = climber.problem
    starts, end = starting_points(problem, seeds), Termination.CONVERGED
    kept = None if file is None else ClimbsFile(file, _conditions(climber, starts))
    known = {} if kept is None else kept.read()
    climbs = Climbs(climber, starts, {k: known[s] for k, s in enumerate(seeds) if s in known})
    solutions: dict[int, Solution] = {}

    def note(place: int) -> None:
        climb, seed = climbs.done[place], seeds[place]
        if climb.began:
            found = without_noise(climber.solution(climb))
            timed = found.result.with_timings(total=climb.seconds)
            solutions[place] = replace(found, result=timed)
            if on_run is not None:
                on_run(seed, solutions[place])
        if kept is not None and climb.termination is not Termination.INTERRUPTED:
            known[seed] = climb
            kept.write(known, len(known) == len(seeds))

    with quietly(), Interrupt(time_limit) as interrupt:
        for place in list(climbs.done):
            note(place)
        for place in climbs.run(workers, interrupt, on_iteration):
            note(place)
        if interrupt.requested:
            end = Termination.TIME_LIMIT if interrupt.late else Termination.INTERRUPTED
    if not solutions:
        raise InputError(
            f"none of {counted(len(climbs.done), 'start')} of problem {problem.name!r} can be simulated; narrow "
            "the parameters' bounds or ask for more seeds."
        )
    rows = []
    for place, climb in sorted(climbs.done.items()):
        row = {"status": "cannot begin there", "seconds": climb.seconds}
        if climb.began:
            row = _row(solutions[place], climb.seconds)
        rows.append({"seed": seeds[place], **row})
    found = Multistart(
        solutions=tuple(solutions[place] for place in sorted(solutions)),
        seeds=tuple(seeds[place] for place in sorted(solutions)),
        table=pd.DataFrame(rows).set_index("seed"),
        termination=end,
    )
    warn(found.best)
    return found


def _conditions(climber: Climber, starts: Sequence[Start]) -> dict[str, Any]:
    """What has to be the same for climbs of a checkpoint to count."""
    scheme = climber.scheme
    return {
        "problem": fingerprint(climber.problem, without=UNFITTED),
        "scheme": json.dumps([scheme.name, scheme.degree, scheme.residual]),
        "starts": json.dumps([[[*values.values()] for values in start] for start in starts]),
        "shares": json.dumps(climber.shares),
    }


def _checked_shares(given: Sequence[float]) -> tuple[float, ...]:
    shares = tuple(float(share) for share in given)
    if list(shares) != sorted({w for w in shares if 0.0 < w < 1.0}):
        raise InputError(
            f"shares= takes rising numbers between 0 and 1, say (0.2, 0.5), not {tuple(given)}."
        )
    return shares


def _row(solution: Solution, seconds: float) -> dict[str, Any]:
    scores = [s.simulated for s in solution.score() if s.role == "train"]
    return {
        "objective": solution.result.objective,
        "simulated": float(sum(scores) / len(scores)) if scores else float("nan"),
        "status": solution.status,
        "iterations": solution.result.iterations,
        "seconds": seconds,
    }
