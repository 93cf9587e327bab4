"""How well a fit to a part of the data simulates the rest: what a sweep chooses by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.problem import Problem
from ..results.resolved import begun
from ..results.simulate import simulate
from ..results.solution import Solution

Array = NDArray[np.float64]


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
        model = solution.model if part is None else solution.model.with_parameters(part.parameters)
        initial = part.states[0] if part is not None else _first_state(whole, e.name)
        history = begun(whole, model, e).history
        run = simulate(model, initial, e.times, e.inputs, history=history)
        u = [e.inputs[n](e.times) for n in model.inputs]
        outputs = model.observe(
            run.states, np.column_stack(u) if u else None, e.times, run.algebraics
        )
        measured = np.isfinite(e.values[wanted])
        if whole.loss.likelihood:
            costs = ((outputs[wanted] - e.values[wanted]) / spread) ** 2
        else:
            costs = whole.loss.cost(outputs[wanted], e.values[wanted], sigma)
            costs = costs * (sigma / spread) ** 2
        total += float(np.nan_to_num(costs[measured], nan=np.inf).sum())
        count += int(measured.sum())
    return total / count if count else float("nan")


def _first_state(problem: Problem, name: str) -> Array:
    """Initial state of an experiment that was not fitted: given, or its smoothed first values."""
    experiment = next(e for e in problem.experiments if e.name == name)
    smooth = problem.smoothers(experiment)
    state = []
    for label in problem.states:
        known = problem.initial_of(experiment, label)
        if np.isfinite(known.value):
            state.append(known.value)
        elif label in smooth:
            state.append(float(smooth[label](experiment.times[0])))
        else:
            raise InputError(
                f"held-out experiment {name!r} does not tell {label}(0); give it in initial=."
            )
    return np.array(state)
