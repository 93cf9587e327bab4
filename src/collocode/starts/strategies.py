"""Named start strategies for an NLP.

===================== ==================================== ===================================
name                  states                               weights and parameters
===================== ==================================== ===================================
``interpolate``       data, joined by lines                Glorot; the parameters' own starts
``smoothing``         smoothing spline (GCV)               the same
``gradient_matching`` smoothing spline (GCV)               fitted to the spline's slopes
``simulate``          simulated with the start's weights   the same
``horizon``           fits of growing windows, from the    fitted
                      gradient-matching start
a `Solution`          its interpolated states, continued   its own, taken to the problem's
                      by simulation on a longer record     bases in time
an array              as given                             as given
===================== ==================================== ===================================
"""

from __future__ import annotations

import difflib

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.problem import Problem
from ..model.varying import prolongation
from ..results.model import TrainedModel
from ..results.simulate import simulate
from ..results.solution import Solution
from ..transcription.discretize import initial_weights
from ..transcription.nlp import NLP
from .gradient_matching import match_gradients
from .horizon import go_on, grow_horizon

Array = NDArray[np.float64]
Start = str | Solution | NDArray[np.float64]
STRATEGIES = ("gradient_matching", "horizon", "smoothing", "interpolate", "simulate")


def start_from(nlp: NLP, strategy: Start = "gradient_matching", seed: int = 0) -> NLP:
    """Return the NLP with a starting point made by a strategy.

    Parameters
    ----------
    nlp : from `discretize`.
    strategy : ``gradient_matching`` (smoothed data, weights and parameters fitted to their slopes),
        ``horizon`` (fits of growing windows), ``smoothing``, ``interpolate``, ``simulate``, a
        `Solution` of a like problem, or (columns,) values.
    seed : of the random weights.

    Raises
    ------
    InputError
        Unknown strategy, or a solution or array that does not fit.
    """
    if isinstance(strategy, Solution):
        return _inside(nlp, _from_solution(nlp, strategy))
    if not isinstance(strategy, str):
        return nlp.with_start(strategy)
    if strategy not in STRATEGIES:
        near = difflib.get_close_matches(strategy, STRATEGIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(STRATEGIES)}."
        raise InputError(f"unknown start strategy {strategy!r}; {hint}")
    x = nlp.start.copy()
    x[nlp.layout.weights] = initial_weights(nlp.problem, seed)
    if strategy in ("smoothing", "gradient_matching", "horizon"):
        smooth_states(nlp, x)
    if strategy in ("gradient_matching", "horizon"):
        match_gradients(nlp, x)
    if strategy == "horizon":
        x = grow_horizon(nlp, np.clip(x, nlp.lower, nlp.upper))
    if strategy == "simulate":
        _simulate_states(nlp, x)
    return _inside(nlp, x)


def smooth_states(nlp: NLP, x: Array) -> None:
    """Put smoothing splines of the measured states into ``x``, in place."""
    problem = nlp.problem
    if problem.observe is not None:
        return
    for experiment, part in zip(problem.experiments, nlp.layout.experiments, strict=True):
        for name, smoother in problem.smoothers(experiment).items():
            x[part.states[:, problem.states.index(name)]] = smoother(part.times)


def _simulate_states(nlp: NLP, x: Array) -> None:
    """Replace the states by a simulation, as far as that goes."""
    experiments = zip(nlp.problem.experiments, nlp.layout.experiments, strict=True)
    for number, (experiment, part) in enumerate(experiments):
        model = TrainedModel.of(nlp, x, number)
        run = simulate(model, x[part.states[0]], part.times, experiment.inputs, rtol=1e-6)
        good = np.isfinite(run.states).all(axis=1)
        x[part.states[good]] = run.states[good]


def _from_solution(nlp: NLP, solution: Solution) -> Array:
    problem, layout = nlp.problem, nlp.layout
    if not alike(problem, solution.model):
        raise InputError(
            f"the solution has states {', '.join(solution.model.states)} and "
            f"{len(solution.model.theta)} weights, the problem {', '.join(problem.states)} and "
            f"{len(layout.weights)}; start from a solution of a like problem."
        )
    x = nlp.start.copy()
    known = {part.experiment.name: part for part in solution.trajectories}
    x[layout.weights] = _weights(problem, solution.model)
    for number, part in enumerate(layout.experiments):
        if part.name not in known:
            continue
        mesh = known[part.name].mesh
        times = np.clip(part.times, mesh.start, mesh.end)
        x[part.states] = solution.states(times, part.name)
        values = dict(zip(solution.model.parameter_names, known[part.name].parameters, strict=True))
        for q in problem.dynamics.parameters:
            basis = solution.model.bases.get(q.name)
            names = [q.name] if basis is None else [f"{q.name}.{f}" for f in basis.names()]
            if all(name in values for name in names):
                matrix = prolongation(basis, q.basis, f"parameter {q.name!r}")
                found = matrix @ [values[name] for name in names]
                x[layout.parameter_columns(number, q.names)] = found
        inside = int((part.times <= mesh.end + 1e-9 * (mesh.end - mesh.start)).sum())
        if 0 < inside < len(part.times):  # of a longer record: its end is simulated
            go_on(nlp, x, number, TrainedModel.of(nlp, x, number), inside)
    return x


def alike(problem: Problem, model: TrainedModel) -> bool:
    """Whether states and networks' sizes are the same, however the weights vary in time."""
    there = [network.sizes for network in model.networks.values()]
    here = [network.sizes for network in problem.dynamics.networks.values()]
    return model.states == problem.states and there == here


def _weights(problem: Problem, model: TrainedModel) -> Array:
    """The solution's weights, taken to the bases in time that the problem has."""
    parts, start = [np.empty(0)], 0
    pairs = zip(model.networks.values(), problem.dynamics.networks.items(), strict=True)
    for old, (name, new) in pairs:
        table = model.theta[start : start + old.n_weights].reshape(-1, old.mlp.n_weights)
        start += old.n_weights
        parts.append((prolongation(old.basis, new.basis, f"network {name!r}") @ table).ravel())
    return np.concatenate(parts)


def _inside(nlp: NLP, x: Array) -> NLP:
    return nlp.with_start(np.clip(x, nlp.lower, nlp.upper))
