"""What a solution has decided: windows whose inputs and times are given by it, and what they cost.

Algebraic variables stand among the inputs of a window that has been solved, as functions of time.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from ..transcription.term import MappedTerm
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
        control, values = experiment.controls.get(name), x[decided.columns]
        kind = "stages" if control is None else control.kind
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
    terms = [term for term in nlp.terms if term.name.startswith("cost.")]
    if terms:
        values = nlp.cache("costs", lambda: _sums(nlp, terms))(x, nlp.p)
        for term, value in zip(terms, np.asarray(values, dtype=float).ravel(), strict=True):
            found[term.name.removeprefix("cost.")] += float(value)
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


def _sums(nlp: NLP, terms: Sequence[MappedTerm]) -> ca.Function:
    """(x, p) -> the sum of every term over its points."""
    x, p = ca.MX.sym("x", nlp.columns), ca.MX.sym("p", len(nlp.p))
    sums = []
    for term in terms:
        own = ca.reshape(x[term.own_columns.ravel().tolist()], -1, term.points)
        shared = ca.repmat(x[term.shared_columns.tolist()], 1, term.points)
        sums.append(ca.sum2(term.function.map(term.points)(own, shared, term.data_function(p))))
    return ca.Function("costs", [x, p], [ca.vertcat(*sums)])
