"""From a start to a solution, with other starts where the fit from the first one fails.

The cheap starts are compared before anything is solved (`collocode.starts.ladder`).  Whether the best
of them was good shows in the fit: if that ends nowhere, or explains less than half of what the data's
means leave, the horizon grows from the same start (a few short fits) and the program is solved again.
Of a model without networks more is asked, its simulation has to come near the noise, and before the
horizon grows, single shooting looks for better numbers (`collocode.starts.shooting`); but not where a
bound of a parameter is what keeps the fit from the data, which one more solve without it tells.  The best of the
solutions is returned, and its record names the others.

A problem that decides is solved once more, from a simulation under its guessed inputs, if from the guesses
of its states it ends nowhere: a straight line from end to end may be far from what the equations let pass.
Where ends of windows are free, simulations over two to sixteen times the guessed time follow: in a time that is
too short for any control, Ipopt's restoration stays at a least violation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..adapt.duals import state_weights
from ..adapt.first_mesh import meshes_along
from ..errors import InputError
from ..model.misfit import noise_parameters
from ..results.released import strong_bounds
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import interrupted
from ..solvers.options import DEFAULTS
from ..solvers.outcome import untouched
from ..solvers.protocol import OnIteration, Solver, WarmStart
from ..solvers.solve import solve_with
from ..starts.ladder import merit_of_means, why_not
from ..starts.optima import Optimum, can_search, equal_to, is_better, is_open, optima, worth_of
from ..starts.restarts import restarted_misfit
from ..starts.shooting import can_shoot, enough_for, simulated_misfit
from ..starts.strategies import Start, carried_over, simulated, start_from
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP, StartRecord

_NOWHERE = (
    Termination.INFEASIBLE,
    Termination.DIVERGING,
    Termination.UNBOUNDED,
    Termination.STALLED,
    Termination.EVALUATION_ERROR,
    Termination.ERROR,
)
# Times the guessed time, of simulations that a problem that decides is begun from.
_LONGER = (1.0, 2.0, 4.0, 8.0, 16.0)


def solve_with_fallbacks(
    solver: Solver,
    nlp: NLP,
    start: Start = "auto",
    seed: int = 0,
    on_iteration: OnIteration | None = None,
    remake: Callable[[NLP], Solver] | None = None,
) -> Solution:
    """Solve from a start; from ``auto``, a fit that fails is tried again by shooting and a growing horizon.

    Parameters
    ----------
    solver : built for ``nlp``.
    start, seed : as for `start_from`; every start but ``auto`` is solved from as it stands.
    on_iteration : as for `solve`.
    remake : makes another solver, where the mesh may be chosen: what shooting finds needs one that
        its simulation can be followed on.
    """
    found = solve_begun(solver, nlp, start, seed, on_iteration)
    if not (isinstance(start, str) and start == "auto"):
        return found
    if nlp.problem.decides:
        unmeasured = not any(e.measures and e.controls for e in nlp.problem.experiments)
        for times in _LONGER if unmeasured else ():
            longer = _over(nlp, times)
            if interrupted() or longer is None or not ended_nowhere(found):
                break
            found = _better(found, solve_begun(solver, longer, "simulate", seed, on_iteration))
        return found
    for rung in ("shooting", "horizon") if can_shoot(nlp) else ("horizon",):
        if not failed(found):
            break
        if _held_by_bounds(solver, found):
            return found
        other = solve_begun(solver, nlp, rung, seed, on_iteration, remake)
        found = _better(found, other)

    def again(begun: NLP, began: float) -> Solution:
        return _solve(solver, begun, began, on_iteration, remake)

    return best_of_optima(nlp, found, again)


def _over(nlp: NLP, times: float) -> NLP | None:
    """The program begun with so many times its guessed time, as far as free ends may go; None without any."""
    if times == 1.0:
        return nlp
    free = [part.free_times for part in nlp.layout.experiments if len(part.free_times)]
    if not free:
        return None
    x, columns = nlp.start.copy(), np.concatenate(free)
    first = min(part.mesh.start for part in nlp.layout.experiments)
    x[columns] = first + times * (x[columns] - first)
    x[columns] = np.clip(x[columns], nlp.lower[columns], nlp.upper[columns])
    return None if np.array_equal(x, nlp.start) else nlp.with_start(x)


def best_of_optima(
    nlp: NLP, found: Solution, again: Callable[[NLP, float], Solution | None]
) -> Solution:
    """The best of a fit and other optima, where nothing tells that it is the one; its record names those that are equal.

    Parameters
    ----------
    nlp : of the problem, with the parameters' own starts.
    again : solves the program that is begun at a better optimum, since a time; None if that cannot be.
    """
    mine = _nlp(found)
    if not found.success or interrupted() or not can_search(mine):
        return found
    if not is_open(mine, found.result.x):
        return found
    began = time.perf_counter()
    # on the program that shooting saw, which may have scattered points already
    at = carried_over(mine, found.result.x, nlp)
    known = optima(nlp, start_from(nlp, "smoothing").start, at)
    if known and is_better(nlp, known[0], worth_of(nlp, at).misfit):  # none where the time was over
        x = simulated(nlp, known[0].x)
        begun = replace(nlp.with_start(x), start_record=StartRecord(name="shooting"))
        other = again(begun, began)
        found = found if other is None else _better(found, other)
    at = carried_over(_nlp(found), found.result.x, nlp)
    equal = [] if interrupted() else equal_to(nlp, worth_of(nlp, at), known)
    record = found.start_record
    assert record is not None
    return replace(found, start_record=replace(record, rivals=tuple(_named(nlp, o) for o in equal)))


def _named(nlp: NLP, optimum: Optimum) -> dict[str, float]:
    """Parameters of an optimum by name, in natural units."""
    values, of_noise = {}, noise_parameters(nlp.problem)
    for q in (q for q in nlp.problem.all_parameters if q.name not in of_noise):
        for column in nlp.layout.columns_of(q.name).tolist():
            values[nlp.column_names[column]] = float(q.natural(optimum.x[column]))
    return values


def _held_by_bounds(solver: Solver, found: Solution) -> bool:
    """Whether a fit misses the data since a parameter's bound holds it: no other start would help.

    It is solved once more, from where it ended, without the bounds that have multipliers; if that explains
    the data, they are what is in the way, as the findings say.
    """
    nlp = _nlp(found)
    if not found.success or len(nlp.layout.weights):
        return False
    problem, count = nlp.problem, len(nlp.layout.experiments)
    # meshes, and rows of delays, are made for times within their bounds: these stay
    needed = {name for e in problem.experiments for name in e.placed}
    needed |= {str(delay.by) for delay in problem.lags.values()}
    names = [name for name in problem.coefficient_names if name not in needed]
    columns = np.concatenate([nlp.layout.parameter_columns(k, names) for k in range(count)])
    held = columns[strong_bounds(found, nlp)[columns]]
    if not len(held):
        return False
    lower, upper = nlp.lower.copy(), nlp.upper.copy()
    lower[held], upper[held] = -np.inf, np.inf
    released = replace(nlp.with_start(found.result.x), lower=lower, upper=upper)
    again = solve_with(solver, released)
    return again.success and not failed(again)


def _better(first: Solution, second: Solution) -> Solution:
    """The better of two, whose record names both and whose times are those of both."""
    chosen, other = first, second
    if _rank(second) < _rank(first):
        chosen, other = second, first
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
    remake: Callable[[NLP], Solver] | None = None,
) -> Solution:
    """Solve from a start as it stands; what Ctrl-C left of the start if that was interrupted."""
    began = time.perf_counter()
    begun = start_from(nlp, start, seed)
    shot = isinstance(start, str) and start == "shooting"
    return _solve(solver, begun, began, on_iteration, remake if shot else None)


def _solve(
    solver: Solver,
    begun: NLP,
    began: float,
    on_iteration: OnIteration | None,
    remake: Callable[[NLP], Solver] | None,
) -> Solution:
    """Solve what was begun at some time, with ``remake`` on a mesh along its start."""
    if remake is not None:
        meshes = meshes_along(begun, begun.start)
        begun = _moved(begun, discretize(begun.problem, begun.scheme, mesh=meshes))
        solver = remake(begun)
    seconds = time.perf_counter() - began
    if interrupted() or (begun.start_record is not None and begun.start_record.interrupted):
        solution = Solution.of(begun, untouched(begun))
    else:
        solution = solve_with(solver, begun, warm=_multipliers(begun), on_iteration=on_iteration)
    return replace(solution, result=solution.result.with_timings(start=seconds))


def _moved(begun: NLP, nlp: NLP) -> NLP:
    """The program of another mesh, started from the simulation with the same numbers."""
    x = carried_over(begun, begun.start, nlp)
    return replace(nlp.with_start(simulated(nlp, x)), start_record=begun.start_record)


def _multipliers(begun: NLP) -> WarmStart | None:
    """Adjoint of what shooting found: a cold barrier would push IPOPT far away from that optimum."""
    shot = begun.start_record is not None and begun.start_record.name == "shooting"
    if not shot or why_not(begun, begun.start):
        return None
    gradient = np.asarray(begun.functions.gradient(begun.start, begun.p)[1], dtype=float).ravel()
    try:
        weights = state_weights(begun, begun.start, gradient)
    except InputError:  # where the simulation ended, the equations may be singular
        return None
    return WarmStart(weights, np.zeros(begun.columns))


def failed(solution: Solution) -> bool:
    """Whether a fit ended nowhere, or explains too little."""
    result = solution.result
    if result.success or result.termination is Termination.ACCEPTABLE:
        # beside networks noise is no measure, for a penalty may keep a good fit above it
        nlp = _nlp(solution)
        networks = len(nlp.layout.weights) > 0
        enough = 0.5 * merit_of_means(nlp) if networks else enough_for(nlp)
        return _misfit(solution) > enough
    return ended_nowhere(solution)


def ended_nowhere(solution: Solution) -> bool:
    """Whether a fit failed, and not by a limit that the caller set."""
    result = solution.result
    exhausted = result.termination is Termination.ITERATION_LIMIT
    return result.termination in _NOWHERE or (
        exhausted and result.iterations >= DEFAULTS["max_iter"]
    )


def _misfit(solution: Solution) -> float:
    """What the fit misses: of a model without networks by simulation, which no coarse mesh flatters.

    Where that loses the data, though its pieces follow them, the model is one that forgets where it began.
    """
    nlp = _nlp(solution)
    if len(nlp.layout.weights) or nlp.problem.decides:
        return solution.result.objective
    found = simulated_misfit(nlp, solution.result.x)
    return (
        found if found <= enough_for(nlp) else min(found, restarted_misfit(nlp, solution.result.x))
    )


def _rank(solution: Solution) -> tuple[bool, float, float]:
    """Solved before not, then by misfit, then by violation."""
    result = solution.result
    solved = result.success or result.termination is Termination.ACCEPTABLE
    if solved and solution.loss.likelihood:  # whose noise is part of what it finds
        return False, result.objective, result.objective
    return not solved, _misfit(solution) if solved else result.violation, result.objective


def _nlp(solution: Solution) -> NLP:
    assert solution.nlp is not None  # it has just been solved
    return solution.nlp
