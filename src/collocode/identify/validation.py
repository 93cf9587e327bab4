"""How well a fit to a part of the data simulates the rest: what a sweep chooses by."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics import Array
from ..results.first_state import first_state
from ..results.fitted import Trajectory
from ..results.model import TrainedModel
from ..results.resolved import begun, bound
from ..results.simulate import simulate
from ..results.solution import Solution


def validation_error(solution: Solution, whole: Problem) -> float:
    """Mean simulated loss of the data the fit has not seen; squared residuals in units of spread."""
    return _error(solution, whole, seen=False)


def training_error(solution: Solution, whole: Problem) -> float:
    """Mean simulated loss of the data that were fitted, in the same units."""
    return _error(solution, whole, seen=True)


def whole_error(solution: Solution, whole: Problem) -> float:
    """Mean simulated loss of all data, in the same units."""
    return _error(solution, whole, seen=None)


def _error(solution: Solution, whole: Problem, seen: bool | None) -> float:
    total, count = 0.0, 0
    spread = np.array([whole.spread[n] or 1.0 for n in whole.outputs])
    sigma = np.array(list(whole.sigma.values()))
    fitted = {part.experiment.name: part for part in solution.trajectories}
    for e in whole.experiments:
        part = fitted.get(e.name)
        known = e.times <= (part.experiment.times[-1] if part else -np.inf)
        wanted = np.ones_like(known) if seen is None else known == seen
        if not wanted.any():
            continue
        outputs = _predicted(solution, whole, e, part)
        measured = np.isfinite(e.values[wanted])
        if whole.loss.likelihood:
            costs = ((outputs[wanted] - e.values[wanted]) / spread) ** 2
        else:
            costs = whole.loss.cost(outputs[wanted], e.values[wanted], sigma)
            costs = costs * (sigma / spread) ** 2
        total += float(np.nan_to_num(costs[measured], nan=np.inf).sum())
        count += int(measured.sum())
    return total / count if count else float("nan")


def _predicted(solution: Solution, whole: Problem, e: Experiment, part: Trajectory | None) -> Array:
    """(N, outputs) simulation from the beginning of an experiment, fitted or not."""
    if part is None:
        model = solution.model.with_parameters(bound(solution.model, e))
    else:
        model = solution.model.with_parameters(part.parameters)
    e = begun(whole, model, e)
    start, initial = (part.times[0], part.states[0]) if part else _first_state(whole, model, e)
    times = np.unique(np.append(start, e.times))
    run = simulate(model, initial, times, e.inputs, history=e.history)
    used = np.searchsorted(times, e.times)
    u = [e.inputs[n](e.times) for n in model.inputs]
    z = None if run.algebraics is None else run.algebraics[used]
    found = model.observe(run.states[used], np.column_stack(u) if u else None, e.times, z)
    return e.met(found)


def _first_state(problem: Problem, model: TrainedModel, e: Experiment) -> tuple[float, Array]:
    """When an experiment that was not fitted began and in what state: as given, or by its smoothed values.

    It begins with the first sample where nothing is given.
    """
    known = [problem.initial_of(e, label).value for label in problem.states]
    assert e.start is not None
    start = e.start if np.isfinite(known).any() else float(e.times[0])
    state = first_state(model, e, start)
    if not np.isfinite(state).all():
        label = problem.states[int(np.flatnonzero(~np.isfinite(state))[0])]
        raise InputError(
            f"held-out experiment {e.name!r} does not tell {label}(0); give it in initial=."
        )
    return start, state
