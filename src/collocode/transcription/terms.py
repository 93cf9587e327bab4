"""The terms of an identification problem: collocation, path constraints, misfit, priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained, constrained_at, derivatives, observed
from ..numerics.scheme import Scheme
from .layout import ExperimentLayout, Layout
from .term import MappedTerm

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Blocks = Mapping[str, Array]


def build_terms(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: Blocks
) -> tuple[MappedTerm, ...]:
    """Return all terms of the NLP, objective and constraints."""
    terms = [
        _collocation(problem, layout, scheme, blocks),
        *_path_constraints(problem, layout, blocks),
        *_point_constraints(problem, layout, blocks),
        _misfit(problem, layout, scheme, blocks),
        _ridge(layout, blocks),
        _prior(layout, blocks),
    ]
    return tuple(term for term in terms if term is not None and term.points)


def parameter_blocks(problem: Problem, layout: Layout, scheme: Scheme) -> dict[str, Array]:
    r"""Values of the NLP parameters.

    ``measurements`` (samples, outputs) with 0 for NaN; ``weights``, the factors
    :math:`w/(M\sigma^2)`, 0 for NaN; ``regularisation`` λ; ``prior_mean`` and ``prior_weight`` of
    the columns `prior_columns`; ``stage_inputs``, ``node_inputs`` and ``sample_inputs``.
    """
    measurements, weights, samples = [], [], []
    total = max(1, problem.n_measurements)
    sigma = np.array([problem.loss.sigma_of(n, problem.spread[n]) for n in problem.outputs])
    stages, nodes = [], []
    for experiment, part in zip(problem.experiments, layout.experiments, strict=True):
        keep = measured(experiment)
        values = experiment.values[keep]
        factor = np.isfinite(values) / (total * sigma**2)
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
        "regularisation": np.array([problem.regularisation.strength]),
        "prior_mean": mean,
        "prior_weight": prior,
        "stage_inputs": np.vstack(stages),
        "node_inputs": np.vstack(nodes),
        "sample_inputs": np.vstack(samples),
    }


def prior_columns(layout: Layout) -> Index:
    """Columns that may carry a quadratic prior: initial states, shared parameters, weights."""
    first = [e.states[0] for e in layout.experiments]
    return np.concatenate([*first, layout.shared, layout.weights])


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


def _collocation(problem: Problem, layout: Layout, scheme: Scheme, blocks: Blocks) -> MappedTerm:
    """−h f at every stage, scattered to the rows by B (ones, for most schemes)."""
    s, step = Symbols.of(problem), ca.SX.sym("h")
    own, times, steps, entries = [], [], [], []
    offset, nx = 0, len(problem.states)
    for number, part in enumerate(layout.experiments):
        stage_nodes = part.element_nodes()[:, list(scheme.stages)]
        own.append(_own_columns(problem, layout, number, part.states[stage_nodes.ravel()]))
        times.append(part.times[stage_nodes].ravel())
        steps.append(np.repeat(part.mesh.steps, stage_nodes.shape[1]))
        point = offset + np.arange(stage_nodes.size).reshape(stage_nodes.shape)
        for k, q in np.argwhere(scheme.B[:, list(scheme.stages)] != 0.0):
            columns = point[:, q][:, None] * nx + np.arange(nx)[None, :]
            factor = np.full(columns.size, scheme.B[k, scheme.stages[q]])
            entries.append((part.rows[:, k, :].ravel(), columns.ravel(), factor))
        offset += stage_nodes.size
    constants = [np.concatenate(times)[:, None], np.concatenate(steps)[:, None]]
    return MappedTerm.build(
        "collocation",
        -step * derivatives(problem, s),
        (ca.vertcat(s.x, s.p), np.vstack(own)),
        (s.theta, layout.weights),
        (ca.vertcat(s.t, step, s.u), _data_function(blocks, constants, ["stage_inputs"])),
        _sparse(entries, (layout.rows, offset * nx)),
    )


def _path_constraints(problem: Problem, layout: Layout, blocks: Blocks) -> list[MappedTerm]:
    terms = []
    for number, constraint in enumerate(problem.path_constraints):
        s = Symbols.of(problem)
        own = [
            _own_columns(problem, layout, e, part.states)
            for e, part in enumerate(layout.experiments)
        ]
        rows = np.concatenate([part.path_rows[number] for part in layout.experiments])
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        times = np.concatenate([part.times for part in layout.experiments])
        terms.append(
            MappedTerm.build(
                f"path.{constraint.name}",
                constrained(problem, constraint, s),
                (ca.vertcat(s.x, s.p), np.vstack(own)),
                (s.theta, layout.weights),
                (ca.vertcat(s.t, s.u), _data_function(blocks, [times[:, None]], ["node_inputs"])),
                scatter,
            )
        )
    return terms


def _point_constraints(problem: Problem, layout: Layout, blocks: Blocks) -> list[MappedTerm]:
    terms = []
    for constraint in problem.point_constraints:
        s, z = Symbols.of(problem), ca.SX.sym("z", constraint.points.shape[1])
        names = [q.name for q in problem.dynamics.parameters]
        parameters = layout.parameter_columns(0, names)
        count, rows = len(constraint.points), layout.point_rows[constraint.name]
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        terms.append(
            MappedTerm.build(
                f"point.{constraint.name}",
                constrained_at(problem, constraint, s, z),
                (s.p, np.tile(parameters, (count, 1))),
                (s.theta, layout.weights),
                (z, _data_function(blocks, [constraint.points], [])),
                scatter,
            )
        )
    return terms


def _misfit(problem: Problem, layout: Layout, scheme: Scheme, blocks: Blocks) -> MappedTerm:
    """Σ w (h(x_h(t_i)) − y_i)², with x_h the scheme's interpolant."""
    sampled = _Samples(problem, layout, scheme)
    y, weight = (ca.SX.sym(name, len(problem.outputs)) for name in ("y", "w"))
    value = ca.dot(weight, (sampled.outputs - y) ** 2)
    data = _data_function(blocks, sampled.constants, ["measurements", "weights", "sample_inputs"])
    symbols = ca.vertcat(sampled.data, y, weight, sampled.inputs)
    return MappedTerm.build("misfit", value, sampled.own, sampled.shared, (symbols, data))


def prediction_term(problem: Problem, layout: Layout, scheme: Scheme, blocks: Blocks) -> MappedTerm:
    """h(x_h(t_i)), one row an output and sample: what the measurements are compared with."""
    sampled = _Samples(problem, layout, scheme)
    data = _data_function(blocks, sampled.constants, ["sample_inputs"])
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
        own, times, rows = [], [], []
        for number, (experiment, part) in enumerate(
            zip(problem.experiments, layout.experiments, strict=True)
        ):
            t = experiment.times[measured(experiment)]
            element, tau = part.mesh.locate(t)
            columns = part.states[part.element_nodes()[element]].reshape(len(t), nodes * nx)
            own.append(_own_columns(problem, layout, number, columns))
            times.append(t)
            rows.append(scheme.interpolation(tau))
        self.outputs = ca.substitute(observed(problem, s), s.x, ca.mtimes(states, basis))
        self.own = (ca.vertcat(ca.vec(states), s.p), np.vstack(own))
        self.shared = (s.theta, layout.weights)
        self.data, self.inputs = ca.vertcat(basis, s.t), s.u
        self.constants = [np.vstack(rows), np.concatenate(times)[:, None]]


def _ridge(layout: Layout, blocks: Blocks) -> MappedTerm | None:
    """λ θ² for every weight."""
    if not len(layout.weights):
        return None
    theta, strength = ca.SX.sym("theta"), ca.SX.sym("lambda")
    p, start = _parameter_symbol(blocks), _offsets(blocks)["regularisation"]
    data = ca.Function("data", [p], [ca.repmat(p[start], 1, len(layout.weights))])
    return MappedTerm.build(
        "ridge",
        strength * theta**2,
        (theta, layout.weights[:, None]),
        (ca.SX(0, 1), np.empty(0, dtype=int)),
        (strength, data),
    )


def _prior(layout: Layout, blocks: Blocks) -> MappedTerm:
    """weight · (v − mean)² for every column that may carry a prior."""
    v, mean, weight = ca.SX.sym("v"), ca.SX.sym("mean"), ca.SX.sym("weight")
    data = _data_function(blocks, [], ["prior_mean", "prior_weight"])
    return MappedTerm.build(
        "prior",
        weight * (v - mean) ** 2,
        (v, prior_columns(layout)[:, None]),
        (ca.SX(0, 1), np.empty(0, dtype=int)),
        (ca.vertcat(mean, weight), data),
    )


def _own_columns(problem: Problem, layout: Layout, experiment: int, states: Index) -> Index:
    """Append every point's parameter columns to its state columns.

    Shared parameters are listed per point too: they are few, and the experiments' own may differ.
    """
    names = [q.name for q in problem.dynamics.parameters]
    parameters = layout.parameter_columns(experiment, names)
    return np.hstack([states, np.broadcast_to(parameters, (len(states), len(parameters)))])


def _stage_inputs(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, scheme: Scheme
) -> Array:
    stages = list(scheme.stages)
    times = part.times[part.element_nodes()[:, stages]].ravel()
    ends_element = np.tile(scheme.nodes[stages] == 1.0, part.mesh.elements)
    return _inputs(problem, experiment, times, ends_element)


def _inputs(problem: Problem, experiment: Experiment, times: Array, left: Array | bool) -> Array:
    columns = [experiment.inputs[name](times, left) for name in problem.inputs]
    return np.column_stack(columns) if columns else np.empty((len(times), 0))


def _data_function(blocks: Blocks, constants: Sequence[Array], names: Sequence[str]) -> ca.Function:
    """Parameter vector -> (data, points): constant rows, then the rows of the named blocks."""
    p, offsets = _parameter_symbol(blocks), _offsets(blocks)
    rows = []
    for constant in constants:
        flat = np.ascontiguousarray(constant).ravel().tolist()
        rows.append(ca.MX(ca.reshape(ca.DM(flat), constant.shape[1], constant.shape[0])))
    for name in names:
        block = blocks[name]
        points, width = (len(block), 1) if block.ndim == 1 else block.shape
        part = p[offsets[name] : offsets[name] + block.size]
        rows.append(ca.reshape(part, width, points))
    return ca.Function("data", [p], [ca.vertcat(*rows)])


def _parameter_symbol(blocks: Blocks) -> ca.MX:
    return ca.MX.sym("p", sum(np.size(v) for v in blocks.values()))


def _offsets(blocks: Blocks) -> dict[str, int]:
    sizes = np.cumsum([0, *(np.size(v) for v in blocks.values())])
    return dict(zip(blocks, sizes.tolist(), strict=False))


def _sparse(
    entries: Sequence[tuple[Index, Index, Array]], shape: tuple[int, int]
) -> sparse.csc_matrix:
    rows, columns, data = (np.concatenate([e[i] for e in entries]) for i in range(3))
    return sparse.csc_matrix((data, (rows, columns)), shape=shape)
