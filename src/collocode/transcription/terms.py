"""The terms of an identification problem: collocation, path constraints, misfit, priors."""

from __future__ import annotations

from collections.abc import Sequence

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..model.activations import CASADI
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained, constrained_at, derivatives, observed
from ..numerics.scheme import Scheme
from .layout import ExperimentLayout, Layout
from .regularisation import prior, prior_columns, ridge
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Place, Unknowns

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def build_terms(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> tuple[MappedTerm, ...]:
    """Return all terms of the NLP, objective and constraints."""
    terms = [
        _collocation(problem, layout, scheme, blocks),
        *_path_constraints(problem, layout, blocks),
        *_point_constraints(problem, layout, blocks),
        _misfit(problem, layout, scheme, blocks),
        *ridge(problem, layout, blocks),
        prior(layout, blocks),
    ]
    return tuple(term for term in terms if term is not None and term.points)


def parameter_blocks(problem: Problem, layout: Layout, scheme: Scheme) -> dict[str, Array]:
    r"""Values of the NLP parameters.

    ``measurements`` (samples, outputs) with 0 for NaN; ``weights``, the factors :math:`w/M`, 0 for
    NaN; ``sigma`` of every measurement; ``regularisation`` λ; ``prior_mean`` and ``prior_weight`` of
    the columns `prior_columns`; ``stage_inputs``, ``node_inputs`` and ``sample_inputs``.
    """
    measurements, weights, samples = [], [], []
    total = max(1, problem.n_measurements)
    sigma = [problem.sigma_in(e)[measured(e)] for e in problem.experiments]
    stages, nodes = [], []
    for experiment, part in zip(problem.experiments, layout.experiments, strict=True):
        keep = measured(experiment)
        values = experiment.values[keep]
        factor = np.isfinite(values) / total
        if experiment.weights is not None:
            factor = factor * experiment.weights[keep]
        measurements.append(np.nan_to_num(values))
        weights.append(factor)
        samples.append(_inputs(problem, experiment, experiment.times[keep], False))
        stages.append(_stage_inputs(problem, experiment, part, scheme))
        nodes.append(_inputs(problem, experiment, part.times, False))
    mean, prior = np.zeros(len(prior_columns(layout))), np.zeros(len(prior_columns(layout)))
    position = 0
    for experiment in problem.experiments:
        for state in problem.states:
            initial = problem.initial_of(experiment, state)
            if np.isfinite(initial.std) and not initial.is_fixed:
                mean[position], prior[position] = initial.value, 1.0 / (total * initial.std**2)
            position += 1
    return {
        "measurements": np.vstack(measurements),
        "weights": np.vstack(weights),
        "sigma": np.vstack(sigma),
        "regularisation": np.array([problem.penalty.strength]),
        "prior_mean": mean,
        "prior_weight": prior,
        "stage_inputs": np.vstack(stages),
        "node_inputs": np.vstack(nodes),
        "sample_inputs": np.vstack(samples),
    }


def measured(experiment: Experiment) -> NDArray[np.bool_]:
    """Which times have at least one finite value."""
    return np.asarray(np.isfinite(experiment.values).any(axis=1))


def linear_part(layout: Layout, scheme: Scheme) -> sparse.csr_matrix:
    """Return the constant part of the rows, Σ_j D_kj X_j, of all experiments."""
    rows, columns, data = [], [], []
    for part in layout.experiments:
        states = part.states[part.element_nodes()]  # (elements, nodes, states)
        for k, j in np.argwhere(scheme.D != 0.0):
            rows.append(part.rows[:, k, :].ravel())
            columns.append(states[:, j, :].ravel())
            data.append(np.full(rows[-1].size, scheme.D[k, j]))
    entries = (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, shape=(layout.rows, layout.columns))


def _collocation(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> MappedTerm:
    """−h f at every stage, scattered to the rows by B (ones, for most schemes)."""
    s, step = Symbols.of(problem), ca.SX.sym("h")
    states, places, steps, entries = [], [], [], []
    offset, nx = 0, len(problem.states)
    for number, part in enumerate(layout.experiments):
        stage_nodes = part.element_nodes()[:, list(scheme.stages)]
        states.append(part.states[stage_nodes.ravel()])
        times = part.times[stage_nodes].ravel()
        places.append(Place(number, times, _ends_element(part, scheme)))
        steps.append(np.repeat(part.mesh.steps, stage_nodes.shape[1]))
        point = offset + np.arange(stage_nodes.size).reshape(stage_nodes.shape)
        for k, q in np.argwhere(scheme.B[:, list(scheme.stages)] != 0.0):
            columns = point[:, q][:, None] * nx + np.arange(nx)[None, :]
            factor = np.full(columns.size, scheme.B[k, scheme.stages[q]])
            entries.append((part.rows[:, k, :].ravel(), columns.ravel(), factor))
        offset += stage_nodes.size
    v = Unknowns.of(problem, layout, s, places)
    constants = [_times(places), np.concatenate(steps)[:, None], *v.constants]
    return MappedTerm.build(
        "collocation",
        v.put_into(-step * derivatives(problem, s)),
        (ca.vertcat(s.x, v.own), np.hstack([np.vstack(states), v.own_columns])),
        (v.shared, v.shared_columns),
        (ca.vertcat(s.t, step, v.data, s.u), data_function(blocks, constants, ["stage_inputs"])),
        _sparse(entries, (layout.rows, offset * nx)),
    )


def _path_constraints(
    problem: Problem, layout: Layout, blocks: ParameterBlocks
) -> list[MappedTerm]:
    terms = []
    for number, constraint in enumerate(problem.path_constraints):
        s = Symbols.of(problem)
        places = [Place(e, part.times) for e, part in enumerate(layout.experiments)]
        v = Unknowns.of(problem, layout, s, places)
        states = np.vstack([part.states for part in layout.experiments])
        rows = np.concatenate([part.path_rows[number] for part in layout.experiments])
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        data = data_function(blocks, [_times(places), *v.constants], ["node_inputs"])
        terms.append(
            MappedTerm.build(
                f"path.{constraint.name}",
                v.put_into(constrained(problem, constraint, s)),
                (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
                (v.shared, v.shared_columns),
                (ca.vertcat(s.t, v.data, s.u), data),
                scatter,
            )
        )
    return terms


def _point_constraints(
    problem: Problem, layout: Layout, blocks: ParameterBlocks
) -> list[MappedTerm]:
    terms = []
    for constraint in problem.point_constraints:
        s, z = Symbols.of(problem), ca.SX.sym("z", constraint.points.shape[1])
        points, times = constraint.held_at(problem.varies_in_time)
        v = Unknowns.of(problem, layout, s, [Place(0, times)])
        rows = layout.point_rows[constraint.name]
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        terms.append(
            MappedTerm.build(
                f"point.{constraint.name}",
                v.put_into(constrained_at(problem, constraint, s, z)),
                (v.own, v.own_columns),
                (v.shared, v.shared_columns),
                (ca.vertcat(z, v.data), data_function(blocks, [points, *v.constants], [])),
                scatter,
            )
        )
    return terms


def _misfit(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> MappedTerm:
    """Σ w ρ((h(x_h(t_i)) − y_i)/σ_i), with x_h the scheme's interpolant and ρ the problem's loss."""
    sampled = _Samples(problem, layout, scheme)
    y, weight, sigma = (ca.SX.sym(name, len(problem.outputs)) for name in ("y", "w", "sigma"))
    value = ca.dot(weight, problem.loss.cost(sampled.outputs, y, sigma, CASADI))
    names = ["measurements", "weights", "sigma", "sample_inputs"]
    data = data_function(blocks, sampled.constants, names)
    symbols = ca.vertcat(sampled.data, y, weight, sigma, sampled.inputs)
    return MappedTerm.build("misfit", value, sampled.own, sampled.shared, (symbols, data))


def prediction_term(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> MappedTerm:
    """h(x_h(t_i)), one row an output and sample: what the measurements are compared with."""
    sampled = _Samples(problem, layout, scheme)
    data = data_function(blocks, sampled.constants, ["sample_inputs"])
    symbols = ca.vertcat(sampled.data, sampled.inputs)
    rows = len(sampled.constants[0]) * len(problem.outputs)
    return MappedTerm.build(
        "prediction",
        sampled.outputs,
        sampled.own,
        sampled.shared,
        (symbols, data),
        sparse.identity(rows, format="csc"),
    )


class _Samples:
    """The outputs at the measurement times as an expression of the element's nodes."""

    def __init__(self, problem: Problem, layout: Layout, scheme: Scheme) -> None:
        s = Symbols.of(problem)
        nx, nodes = len(problem.states), scheme.intervals + 1
        states, basis = ca.SX.sym("X", nx, nodes), ca.SX.sym("l", nodes)
        own, places, rows = [], [], []
        for number, (experiment, part) in enumerate(
            zip(problem.experiments, layout.experiments, strict=True)
        ):
            t = experiment.times[measured(experiment)]
            element, tau = part.mesh.locate(t)
            own.append(part.states[part.element_nodes()[element]].reshape(len(t), nodes * nx))
            places.append(Place(number, t))
            rows.append(scheme.interpolation(tau))
        v = Unknowns.of(problem, layout, s, places)
        outputs = v.put_into(observed(problem, s))
        self.outputs = ca.substitute(outputs, s.x, ca.mtimes(states, basis))
        self.own = (ca.vertcat(ca.vec(states), v.own), np.hstack([np.vstack(own), v.own_columns]))
        self.shared = (v.shared, v.shared_columns)
        self.data, self.inputs = ca.vertcat(basis, s.t, v.data), s.u
        self.constants = [np.vstack(rows), _times(places), *v.constants]


def _times(places: Sequence[Place]) -> Array:
    """(points, 1) times."""
    return np.concatenate([p.times for p in places])[:, None]


def _ends_element(part: ExperimentLayout, scheme: Scheme) -> NDArray[np.bool_]:
    """(stages of all elements,) which of them lie at the end of their element."""
    return np.tile(scheme.nodes[list(scheme.stages)] == 1.0, part.mesh.elements)


def _stage_inputs(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, scheme: Scheme
) -> Array:
    stages = list(scheme.stages)
    times = part.times[part.element_nodes()[:, stages]].ravel()
    return _inputs(problem, experiment, times, _ends_element(part, scheme))


def _inputs(
    problem: Problem, experiment: Experiment, times: Array, left: NDArray[np.bool_] | bool
) -> Array:
    columns = [experiment.inputs[name](times, left) for name in problem.inputs]
    return np.column_stack(columns) if columns else np.empty((len(times), 0))


def _sparse(
    entries: Sequence[tuple[Index, Index, Array]], shape: tuple[int, int]
) -> sparse.csc_matrix:
    rows, columns, data = (np.concatenate([e[i] for e in entries]) for i in range(3))
    return sparse.csc_matrix((data, (rows, columns)), shape=shape)
