"""From a start to a solution, with one rung more where the first fit fails.

The cheap starts are compared before anything is solved (`collocode.starts.ladder`).  Whether the best
of them was good shows in the fit: if that ends nowhere, or explains less than half of what the data's
means leave, the horizon grows from the same start (a few short fits) and the program is solved again.
Of the two solutions the better one is returned, and its record names both.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import interrupted
from ..solvers.options import DEFAULTS
from ..solvers.outcome import untouched
from ..solvers.protocol import OnIteration, Solver
from ..solvers.solve import solve_with
from ..starts.ladder import merit_of_means
from ..starts.strategies import Start, start_from
from ..transcription.nlp import NLP

_NOWHERE = (
    Termination.INFEASIBLE,
    Termination.DIVERGING,
    Termination.STALLED,
    Termination.EVALUATION_ERROR,
    Termination.ERROR,
)


def climb(
    solver: Solver,
    nlp: NLP,
    start: Start = "auto",
    seed: int = 0,
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Solve from a start; from ``auto``, a fit that fails is tried again from a growing horizon.

    Parameters
    ----------
    solver : built for ``nlp``.
    start, seed : as for `start_from`; every start but ``auto`` is solved from as it stands.
    on_iteration : as for `solve`.
    """
    first = solve_begun(solver, nlp, start, seed, on_iteration)
    if not (isinstance(start, str) and start == "auto") or not _failed(nlp, first):
        return first
    second = solve_begun(solver, nlp, "horizon", seed, on_iteration)
    if _rank(nlp, second) < _rank(nlp, first):
        chosen, other = second, first
    else:
        chosen, other = first, second
    if second.result.termination is Termination.INTERRUPTED:
        chosen = replace(chosen, result=replace(chosen.result, termination=Termination.INTERRUPTED))
    assert first.start_record and chosen.start_record and other.start_record
    reason = (
        f"the fit from there ended with: {other.status}, objective {other.result.objective:.3g}"
    )
    passed = {**first.start_record.passed, other.start_record.name: reason}
    record = replace(first.start_record, name=chosen.start_record.name, passed=passed)
    spent = {
        key: first.result.timings[key] + second.result.timings[key]
        for key in ("start", "solve")
        if key in first.result.timings and key in second.result.timings
    }
    return replace(chosen, start_record=record, result=chosen.result.with_timings(**spent))


def solve_begun(
    solver: Solver,
    nlp: NLP,
    start: Start,
    seed: int = 0,
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Solve from a start as it stands; what Ctrl-C left of the start if that was interrupted."""
    began = time.perf_counter()
    begun = start_from(nlp, start, seed)
    seconds = time.perf_counter() - began
    if interrupted() or (begun.start_record is not None and begun.start_record.interrupted):
        solution = Solution.of(begun, untouched(begun))
    else:
        solution = solve_with(solver, begun, on_iteration=on_iteration)
    return replace(solution, result=solution.result.with_timings(start=seconds))


def _failed(nlp: NLP, solution: Solution) -> bool:
    """Whether a fit ended nowhere, or explains nothing."""
    result = solution.result
    if result.success or result.termination is Termination.ACCEPTABLE:
        return result.objective > 0.5 * merit_of_means(nlp)
    return ended_nowhere(solution)


def ended_nowhere(solution: Solution) -> bool:
    """Whether a fit failed, and not by a limit that the caller set."""
    result = solution.result
    exhausted = result.termination is Termination.ITERATION_LIMIT
    return result.termination in _NOWHERE or (
        exhausted and result.iterations >= DEFAULTS["max_iter"]
    )


def _rank(nlp: NLP, solution: Solution) -> tuple[bool, float, float]:
    """Solved before not, then by objective, then by violation."""
    result = solution.result
    solved = result.success or result.termination is Termination.ACCEPTABLE
    return not solved, result.objective if solved else result.violation, result.objective
