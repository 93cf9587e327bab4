"""What a solution has decided: windows whose inputs and times are given by it, and what they cost."""

from __future__ import annotations

from dataclasses import replace

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.experiment import Experiment, fixed
from ..model.problem import Problem
from ..model.symbolic import Symbols, initial_values
from ..numerics.mesh import Mesh
from ..numerics.signals import Signal
from ..transcription.nlp import NLP
from .model import TrainedModel

Array = NDArray[np.float64]


def resolved(nlp: NLP, x: Array, number: int) -> tuple[Experiment, Mesh]:
    """Return a window as it is decided at ``x``: every input is a signal, every time a number."""
    experiment, part = nlp.problem.experiments[number], nlp.layout.experiments[number]
    if not part.decided and not len(part.free_times):
        return experiment, part.mesh
    mesh = part.mesh
    if len(part.free_times):
        start, end = x[part.free_times]
        share = (mesh.points - mesh.start) / (mesh.end - mesh.start)
        mesh = Mesh(start * (1.0 - share) + end * share)
    signals = dict(experiment.inputs)
    for name, decided in part.decided.items():
        kind, values = experiment.controls[name].kind, x[decided.columns]
        if kind == "constant":
            signals[name] = Signal(mesh.points[:-1], values[:, 0], "zoh")
        elif kind == "linear":
            signals[name] = Signal(mesh.points, np.append(values[:, 0], values[-1, 1]))
        else:
            times = decided.times(mesh).ravel()
            signals[name] = Signal(times, values.ravel(), "polynomial", mesh.points)
    given = replace(
        experiment,
        inputs=signals,
        controls={},
        start=mesh.start,
        end=mesh.end,
        start_bounds=None,
        end_bounds=None,
        duration_bounds=None,
    )
    return given, mesh


def costs_of(nlp: NLP, x: Array) -> dict[str, float]:
    """Return what every cost of the problem adds to the objective at ``x``."""
    found = {cost.name: 0.0 for cost in nlp.problem.costs}
    for term in nlp.terms:
        name = term.name.removeprefix("cost.")
        if name != term.name:
            shared = ca.repmat(ca.DM(x[term.shared_columns]), 1, term.points)
            own = x[term.own_columns].T
            values = term.function.map(term.points)(own, shared, term.data_function(nlp.p))
            found[name] += float(np.sum(np.asarray(values)))
    return found


def begun(problem: Problem, model: TrainedModel, experiment: Experiment) -> Experiment:
    """Return a test experiment with the initial states that the parameters give as numbers."""
    s = Symbols.of(problem)
    given = initial_values(problem, experiment, s)
    if not given:
        return experiment
    values = {**dict(zip(model.parameter_names, model.natural(model.parameters), strict=True))}
    bound = {k: values[v] if isinstance(v, str) else v for k, v in experiment.parameters.items()}
    function = ca.Function("initial", [s.p], [ca.vertcat(*given.values())])
    found = np.asarray(function(model.with_values(bound).parameters), dtype=float).ravel()
    known = {name: fixed(value) for name, value in zip(given, found.tolist(), strict=True)}
    return replace(experiment, initial={**experiment.initial, **known})
