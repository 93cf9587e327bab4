"""Where a run that was not fitted begins, as far as it tells that itself."""

from __future__ import annotations

import numpy as np

from ..model.experiment import Experiment
from ..model.initial import as_initial, free
from ..numerics import Array
from ..numerics.smoothing import Smoother
from .model import TrainedModel

_BEFORE = 0.05  # of a series' length by which its smoothed curve may be continued to the start


def first_state(model: TrainedModel, experiment: Experiment, start: float) -> Array:
    """(states,) values at ``start``: those given in ``initial``, else smoothed data; NaN where nothing tells.

    Data tell a state where the output of its name is that state and nothing else.
    """
    given = [as_initial(experiment.initial.get(state, free())).value for state in model.states]
    state = np.array(given, dtype=float)
    smoothed = {
        name: value
        for name in np.array(model.states)[np.isnan(state)].tolist()
        if name in experiment.outputs and np.isfinite(value := _smoothed(experiment, name, start))
    }
    for name, value in smoothed.items():
        state[model.states.index(name)] = value
    if not smoothed:
        return state
    inputs = [float(experiment.inputs[name](start)[0]) for name in model.inputs]
    seen = model.observe(
        state[None], np.array([inputs]), np.array([start]), np.zeros((1, len(model.algebraics)))
    )[0]
    for name, value in smoothed.items():
        if not np.isclose(seen[model.outputs.index(name)], value, rtol=1e-9, atol=0.0):
            state[model.states.index(name)] = np.nan
    return state


def _smoothed(experiment: Experiment, name: str, start: float) -> float:
    values = experiment.values[:, experiment.outputs.index(name)]
    if experiment.censored is not None:  # of which only a limit is known
        limits = np.asarray(experiment.censored)[:, experiment.outputs.index(name)]
        values = np.where(limits != 0.0, np.nan, values)
    times = experiment.times[np.isfinite(values)]
    if not len(times) or start < times[0] - _BEFORE * (times[-1] - times[0]):
        return float("nan")
    return float(Smoother(experiment.times, values)(start))
