"""A solution of a like problem as a start: the same runs on another mesh, longer records, other bases in time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..checks import counted
from ..errors import InputError
from ..model.problem import Problem
from ..model.varying import prolongation
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..results.fitted import Trajectory
from ..results.model import TrainedModel
from ..results.resolved import resolved
from ..results.solution import Solution
from ..transcription.nlp import NLP
from ..transcription.windows import ExperimentLayout, nodes_of
from .horizon import go_on


def from_solution(nlp: NLP, solution: Solution) -> Array:
    """Return the NLP's start with states, weights, parameters and decisions of a solution where names agree.

    A record that is longer than the solution's is simulated from there on.

    Raises
    ------
    InputError
        Other states, or networks of other sizes.
    """
    problem, layout = nlp.problem, nlp.layout
    if not alike(problem, solution.model):
        raise InputError(
            f"the solution has states {', '.join(solution.model.states)} and "
            f"{counted(len(solution.model.theta), 'weight')}, the problem {', '.join(problem.states)} and "
            f"{len(layout.weights)}; start from a solution of a like problem."
        )
    x = nlp.start.copy()
    known = {part.experiment.name: part for part in solution.trajectories}
    x[layout.weights] = _weights(problem, solution.model)
    for number, part in enumerate(layout.experiments):
        if part.name not in known:
            continue
        mesh = known[part.name].mesh
        decided = not problem.experiments[number].measures or bool(
            problem.experiments[number].controls
        )
        values = dict(zip(solution.model.parameter_names, known[part.name].parameters, strict=True))
        for q in problem.all_parameters:
            if q.name in problem.experiments[number].parameters:
                continue
            basis = solution.model.bases.get(q.name)
            names = [q.name] if basis is None else [f"{q.name}.{f}" for f in basis.names()]
            if all(name in values for name in names):
                matrix = prolongation(basis, q.basis, f"parameter {q.name!r}")
                found = matrix @ [values[name] for name in names]
                if solution.model.scales.get(q.name, "linear") != q.scale:
                    found = q.decided(solution.model.parameter(q.name, [0.0]))
                x[layout.parameter_columns(number, q.names)] = found
        if decided:
            _take_window(x, part, solution)
            continue
        times = nodes_of(resolved(nlp, x, number)[1], nlp.scheme)
        x[part.states] = solution.states(np.clip(times, mesh.start, mesh.end), part.name)
        _take_decided(x, part, known[part.name], partial(_clipped, mesh))
        inside = int((part.times <= mesh.end + 1e-9 * (mesh.end - mesh.start)).sum())
        if 0 < inside < len(part.times):  # of a longer record: its end is simulated
            go_on(nlp, x, number, TrainedModel.of(nlp, x, number), inside)
    return x


def _take_window(x: Array, part: ExperimentLayout, solution: Solution) -> None:
    """Put states, decided inputs and times of the window of that name into ``x``."""
    there = solution.trajectories[solution.index(part.name)]
    mesh, here = there.mesh, part.mesh

    def moved(times: Array) -> Array:
        share = (times - here.start) / (here.end - here.start)
        return np.asarray(
            np.clip(mesh.start + share * (mesh.end - mesh.start), mesh.start, mesh.end)
        )

    x[part.states] = solution.states(moved(part.times), part.name)
    _take_decided(x, part, there, moved)
    for name, function in part.spanned.items():
        nodes = function.basis.nodes()
        values = there.experiment.inputs[name](moved(np.clip(nodes, here.start, here.end)))
        x[function.columns] = np.linalg.solve(function.basis.values(nodes), values)
    if len(part.free_times):
        x[part.free_times] = mesh.start, mesh.end


def _clipped(mesh: Mesh, times: Array) -> Array:
    return np.clip(times, mesh.start, mesh.end)


def _take_decided(
    x: Array, part: ExperimentLayout, there: Trajectory, moved: Callable[[Array], Array]
) -> None:
    """Put decided inputs and algebraic variables at ``moved`` times into ``x``, as far as they are known."""
    for name, decided in part.decided.items():
        signal = there.experiment.inputs.get(name)
        if signal is not None:
            times = moved(decided.times(part.mesh))
            left = np.broadcast_to(decided.nodes == 1.0, times.shape).ravel()
            x[decided.columns] = signal(times.ravel(), left).reshape(times.shape)


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
