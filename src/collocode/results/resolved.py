"""What a solution has decided: windows whose inputs and times are given by it, and what they cost.

Algebraic variables stand among the inputs of a window that has been solved, as functions of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import casadi as ca
import numpy as np

from ..model.calls import Call
from ..model.delays import Delay
from ..model.experiment import Experiment
from ..model.held_out import predecessor
from ..model.initial import fixed
from ..model.problem import Problem
from ..model.symbolic import Symbols, initial_values
from ..numerics import Array
from ..numerics.bases import PiecewiseConstant
from ..numerics.mesh import Mesh
from ..numerics.signals import Signal
from ..transcription.nlp import NLP
from ..transcription.residual import NAME
from ..transcription.rest import rest_of
from ..transcription.term import MappedTerm
from ..transcription.windows import Spanned, nodes_of
from .delayed import histories, late_signal
from .fitted import Trajectory
from .model import TrainedModel
from .status import SolverResult


def resolved(nlp: NLP, x: Array, number: int) -> tuple[Experiment, Mesh]:
    """Return a window as it is decided at ``x``: every input is a signal, every time a number."""
    experiment, part = nlp.problem.experiments[number], nlp.layout.experiments[number]
    if not (part.decided or part.spanned or len(part.free_times) or experiment.placed):
        return experiment, part.mesh
    mesh = part.mesh
    if experiment.placed:
        found = {name: parameter_at(nlp, x, number, name) for name in experiment.placed}
        moved = nlp.problem.moved(experiment, mesh.points, found)
        return replace(experiment, placed=found), Mesh(moved)
    if len(part.free_times):
        start, end = x[part.free_times]
        share = (mesh.points - mesh.start) / (mesh.end - mesh.start)
        mesh = Mesh(start * (1.0 - share) + end * share)
    signals = dict(experiment.inputs)
    for name, decided in part.decided.items():
        if name in nlp.problem.lags:
            continue
        control, values = experiment.controls.get(name), x[decided.columns]
        kind = "stages" if control is None else control.kind
        if kind == "constant":
            signals[name] = Signal(mesh.points[:-1], values[:, 0], "zoh")
        elif kind == "linear":
            signals[name] = Signal(mesh.points, np.append(values[:, 0], values[-1, 1]))
        else:
            times = decided.times(mesh).ravel()
            signals[name] = Signal(times, values.ravel(), "polynomial", mesh.points)
    for name, function in part.spanned.items():
        signals[name] = _signal(function, x[function.columns], part.mesh, mesh)
    p = x[nlp.layout.parameter_columns(number, nlp.problem.coefficient_names)]
    history = histories(nlp.problem, experiment, p)
    for name, delay in nlp.problem.lags.items():
        state, by = nlp.problem.states.index(delay.of), delay_at(nlp, x, number, delay)
        signals[name] = late_signal(
            nlp.scheme, part.mesh, x[part.states[:, state]], by, history.get(delay.of)
        )
    return experiment.resolved(signals, history, mesh.start, mesh.end), mesh


def delay_at(nlp: NLP, x: Array, number: int, delay: Delay) -> float:
    """How far back an experiment looks at a point."""
    if not isinstance(delay.by, str):
        return float(delay.by)
    return parameter_at(nlp, x, number, delay.by)


def parameter_at(nlp: NLP, x: Array, number: int, name: str) -> float:
    """A parameter's natural value at a point, as an experiment sees it."""
    q = next(q for q in nlp.problem.all_parameters if q.name == name)
    return float(q.natural(x[nlp.layout.parameter_columns(number, q.names)[0]]))


def _signal(function: Spanned, coefficients: Array, given: Mesh, mesh: Mesh) -> Signal:
    """The function of a basis as a signal, polynomial between the points of mesh and basis.

    ``given`` is the mesh in the times of the basis, ``mesh`` the same as it is decided.
    """
    basis = function.basis
    share = (mesh.end - mesh.start) / (given.end - given.start)
    if isinstance(basis, PiecewiseConstant):
        inside = np.array([max(given.start, t) for t in basis.points[:-1]])
        keep = np.append(inside[1:] > inside[:-1], True)
        keep &= inside < given.end
        times = mesh.start + share * (inside - given.start)
        return Signal(times[keep], coefficients[keep], "zoh")
    whole = given.with_points(basis.breaks)
    nodes = 0.5 * (1.0 - np.cos(np.pi * (np.arange(basis.degree + 1) + 0.5) / (basis.degree + 1)))
    times = whole.points[:-1, None] + whole.steps[:, None] * nodes[None, :]
    values = basis.values(times.ravel()) @ coefficients
    moved = [mesh.start + share * (t - given.start) for t in (times.ravel(), whole.points)]
    return Signal(moved[0], values, "polynomial", moved[1])


def trajectories_of(nlp: NLP, result: SolverResult) -> tuple[Trajectory, ...]:
    """Return the trajectories of all experiments at a solver's point."""
    x, layout, names = result.x, nlp.layout, nlp.problem.coefficient_names
    found = []
    for number, (given, part) in enumerate(
        zip(nlp.problem.experiments, layout.experiments, strict=True)
    ):
        experiment, mesh = resolved(nlp, x, number)
        found.append(
            Trajectory(
                experiment=experiment,
                mesh=mesh,
                times=part.times if mesh is part.mesh else nodes_of(mesh, nlp.scheme),
                states=x[part.states],
                multipliers=result.lam_g[part.rows],
                parameters=x[layout.parameter_columns(number, names)],
                controls=given.controls,
            )
        )
    return tuple(found)


def held_out_of(nlp: NLP, result: SolverResult) -> tuple[Experiment, ...]:
    """Return the held-out experiments, with what the fitted ones tell of them as numbers."""
    if not nlp.problem.test:
        return ()
    fitted, found = nlp.problem.experiments, []
    for experiment in nlp.problem.test:
        model = TrainedModel.of(nlp, result.x, predecessor(experiment, fitted))
        found.append(begun(nlp.problem, model, experiment))
    return tuple(found)


def costs_of(nlp: NLP, x: Array) -> dict[str, float]:
    """Return what every cost of the problem adds to the objective at ``x``."""
    found = {cost.name: 0.0 for cost in nlp.problem.costs}
    terms = [term for term in nlp.terms if term.name.startswith("cost.") or term.name == NAME]
    if terms:
        values = Call(nlp.cache("costs", lambda: _sums(nlp, terms)), (x, nlp.p))()
        for term, value in zip(terms, values, strict=True):
            name = term.name.removeprefix("cost.")  # of a cost, or of the moves of a control
            found[name] = found.get(name, 0.0) + float(value)
    return found


def begun(problem: Problem, model: TrainedModel, experiment: Experiment) -> Experiment:
    """Return a test experiment with what the parameters give, initial states and times of events, as numbers."""
    s = Symbols.of(problem)
    p = bound(model, experiment)
    if experiment.placed:
        values = dict(zip(model.parameter_names, model.natural(p).tolist(), strict=True))
        experiment = replace(experiment, placed={n: values[n] for n in experiment.placed})
    if experiment.history:
        experiment = replace(experiment, history=histories(problem, experiment, p))
    given = initial_values(problem, experiment, s)
    if not given and experiment.steady is None:
        return experiment
    if experiment.steady is not None:
        state = rest_of(problem, experiment).state(p, model.theta)
        known = dict(zip(problem.states, state.tolist(), strict=True))
    else:
        function = ca.Function("initial", [s.p], [ca.vertcat(*given.values())])
        found = np.asarray(function(p), dtype=float).ravel()
        known = dict(zip(given, found.tolist(), strict=True))
    there = {name: fixed(value) for name, value in known.items() if np.isfinite(value)}
    return replace(experiment, steady=None, initial={**experiment.initial, **there})


def bound(model: TrainedModel, experiment: Experiment) -> Array:
    """(parameters,) decided values as an experiment sees them."""
    values = {**dict(zip(model.parameter_names, model.natural(model.parameters), strict=True))}
    own = {k: values[v] if isinstance(v, str) else v for k, v in experiment.parameters.items()}
    return model.with_values(own).parameters


def _sums(nlp: NLP, terms: Sequence[MappedTerm]) -> ca.Function:
    """(x, p) -> the sum of every term over its points."""
    x, p = ca.MX.sym("x", nlp.columns), ca.MX.sym("p", len(nlp.p))
    sums = []
    for term in terms:
        own = ca.reshape(x[term.own_columns.ravel().tolist()], -1, term.points)
        shared = ca.repmat(x[term.shared_columns.tolist()], 1, term.points)
        sums.append(ca.sum2(term.function.map(term.points)(own, shared, term.data_function(p))))
    return ca.Function("costs", [x, p], [ca.densify(ca.vertcat(*sums))])
