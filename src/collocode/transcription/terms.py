"""The terms of a problem: collocation, path constraints, misfit, priors; for costs see `costs`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..model.event_times import Boundary
from ..model.experiment import Experiment
from ..model.misfit import misfit, spreads
from ..model.problem import Problem
from ..model.symbolic import (
    Symbols,
    constrained,
    constrained_at,
    derivatives,
    named_parameters,
    observed,
    residuals,
)
from ..numerics.scheme import Scheme
from .costs import boundary_constraints, costs, inputs_at, moves, rates, stage_places
from .decided import Group, Place, groups_of, times_of
from .initial import initial_states
from .lags import lags
from .layout import Layout, known_ends
from .lift import lift
from .links import durations, links
from .lookup import rounded_node_weights
from .regularisation import parameter_priors, prior, prior_columns, prior_shares, ridge
from .residual import integrated_residual
from .term import MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns
from .windows import ExperimentLayout

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_ROUNDED = (
    0.02  # of the time between samples, over which an event at an estimated time is rounded off
)


def build_terms(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> tuple[MappedTerm, ...]:
    """Return all terms of the NLP, objective and constraints."""
    groups = groups_of(problem)
    terms = [
        *(_collocation(problem, layout, scheme, blocks, group) for group in groups),
        *(t for group in groups for t in _algebraic(problem, layout, scheme, blocks, group)),
        *lags(problem, layout, scheme, blocks),
        *(t for group in groups for t in _path_constraints(problem, layout, scheme, blocks, group)),
        *(t for group in groups for t in boundary_constraints(problem, layout, blocks, group)),
        *initial_states(problem, layout, blocks),
        *rates(problem, layout, blocks),
        *moves(problem, layout, blocks),
        *links(problem, layout, blocks),
        *durations(layout, blocks),
        *_point_constraints(problem, layout, blocks),
        *([_misfit(problem, layout, scheme, blocks)] if problem.n_measurements else []),
        *(t for group in groups for t in costs(problem, layout, scheme, blocks, group)),
        *(t for g in groups for t in integrated_residual(problem, layout, scheme, blocks, g)),
        *ridge(problem, layout, blocks),
        *prior(layout, blocks),
        *parameter_priors(problem, layout, blocks),
    ]
    return tuple(term for term in terms if term.points)


def parameter_blocks(problem: Problem, layout: Layout, scheme: Scheme) -> dict[str, Array]:
    r"""Values of the NLP parameters.

    ``measurements`` (samples, outputs) with a number for NaN; ``censored``, where something is; ``weights``, the factors :math:`w/M`, 0 for
    NaN; ``sigma`` of every measurement, 0 where a model says it; ``regularisation`` λ; ``prior_mean`` and ``prior_weight`` of
    the columns `prior_columns`; ``prior.<name>``, 1/M for a parameter's prior; ``stage_inputs``, ``node_inputs`` and ``sample_inputs``, which is 0
    where an input is decided.
    """
    measurements, weights, samples = [], [], []
    total = max(1, problem.n_measurements)
    sigma = [
        np.where(np.isfinite(e.values) | (table > 0.0), table, 1.0)[measured(e)]
        for e, table in ((e, problem.sigma_in(e)) for e in problem.experiments)
    ]
    stages, nodes = [], []
    pairs = list(zip(problem.experiments, layout.experiments, strict=True))
    for experiment, part in pairs:
        keep = measured(experiment)
        values = experiment.values[keep]
        factor = np.isfinite(values) / total
        if experiment.weights is not None:
            factor = factor * experiment.weights[keep]
        filled = 1.0 if problem.loss.likelihood else 0.0  # one that every law can take
        measurements.append(np.nan_to_num(values, nan=filled))
        weights.append(factor)
        samples.append(inputs_at(problem, experiment, experiment.times[keep], False))
        stages.append(_stage_inputs(problem, experiment, part, scheme))
        nodes.append(inputs_at(problem, experiment, part.times, False))
    mean, prior = (np.zeros(len(prior_columns(layout))) for _ in range(2))
    for position, (*_, known) in enumerate(known_ends(problem)):
        if np.isfinite(known.std) and not known.is_fixed:
            mean[position], prior[position] = known.value, 1.0 / (total * known.std**2)
    by_group = {}
    for group in groups_of(problem):
        by_group[group.named("stage_inputs")] = np.vstack([stages[n] for n in group.numbers])
        by_group[group.named("node_inputs")] = np.vstack([nodes[n] for n in group.numbers])
    return {
        "measurements": np.vstack(measurements),
        "weights": np.vstack(weights),
        "sigma": np.vstack(sigma),
        **_censored(problem),
        "regularisation": np.array([problem.penalty.strength]),
        "prior_mean": mean,
        "prior_weight": prior,
        **prior_shares(problem, layout),
        **by_group,
        "sample_inputs": np.vstack(samples),
    }


def _censored(problem: Problem) -> dict[str, Array]:
    """(samples, outputs) -1, 0 or 1, where something is censored."""
    if all(e.censored is None for e in problem.experiments):
        return {}
    tables = [
        np.zeros(e.values.shape) if e.censored is None else np.asarray(e.censored)
        for e in problem.experiments
    ]
    pairs = zip(tables, problem.experiments, strict=True)
    return {"censored": np.vstack([table[measured(e)] for table, e in pairs])}


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
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> MappedTerm:
    """−h f at every stage, scattered to the rows by B (ones, for most schemes)."""
    s, step = Symbols.of(problem), ca.SX.sym("h")
    states, places, steps, entries = [], [], [], []
    offset, nx = 0, len(problem.states)
    for number in group.numbers:
        part = layout.experiments[number]
        stage_nodes = part.element_nodes()[:, list(scheme.stages)]
        states.append(part.states[stage_nodes.ravel()])
        places.append(stage_places(number, part, scheme))
        steps.append(np.repeat(part.mesh.steps, stage_nodes.shape[1]))
        point = offset + np.arange(stage_nodes.size).reshape(stage_nodes.shape)
        for k, q in np.argwhere(scheme.B[:, list(scheme.stages)] != 0.0):
            columns = point[:, q][:, None] * nx + np.arange(nx)[None, :]
            factor = np.full(columns.size, scheme.B[k, scheme.stages[q]])
            entries.append((part.rows[:, k, :].ravel(), columns.ravel(), factor))
        offset += stage_nodes.size
    v, f = Unknowns.of(problem, layout, s, places), derivatives(problem, s)
    constants = [times_of(places), np.concatenate(steps)[:, None], *v.constants]

    def defect(f: ca.SX) -> ca.SX:
        return v.put_into(-step * v.stretch * f)

    return MappedTerm.build(
        "collocation",
        defect(f),
        (ca.vertcat(s.x, v.own), np.hstack([np.vstack(states), v.own_columns])),
        (v.shared, v.shared_columns),
        (
            ca.vertcat(s.t, step, v.data, s.u),
            data_function(blocks, constants, [group.named("stage_inputs")]),
        ),
        _sparse(entries, (layout.rows, offset * nx)),
        lift(problem, s, v, (f, partial(derivatives, problem)), defect),
    )


def _algebraic(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> list[MappedTerm]:
    """g at every stage."""
    if not problem.algebraics:
        return []
    s, parts = Symbols.of(problem), [layout.experiments[n] for n in group.numbers]
    nodes = [part.element_nodes()[:, list(scheme.stages)].ravel() for part in parts]
    states = np.vstack([part.states[at] for part, at in zip(parts, nodes, strict=True)])
    pairs = zip(group.numbers, parts, strict=True)
    places = [stage_places(number, part, scheme) for number, part in pairs]
    v, g = Unknowns.of(problem, layout, s, places), residuals(problem, s)
    rows = np.concatenate([part.algebraic_rows.ravel() for part in parts])
    data = data_function(blocks, [times_of(places), *v.constants], [group.named("stage_inputs")])
    return [
        MappedTerm.build(
            "algebraic",
            v.put_into(g),
            (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
            (v.shared, v.shared_columns),
            (ca.vertcat(s.t, v.data, s.u), data),
            _sparse([(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))),
            lift(problem, s, v, (g, partial(residuals, problem)), v.put_into),
        )
    ]


def _path_constraints(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks, group: Group
) -> list[MappedTerm]:
    terms = []
    parts = [layout.experiments[n] for n in group.numbers]
    for number, constraint in enumerate(problem.path_constraints):
        s, places = Symbols.of(problem), []
        for n, part in zip(group.numbers, parts, strict=True):
            places.append(Place(n, part.times, False, part.element, scheme.nodes[part.place]))
        v, value = Unknowns.of(problem, layout, s, places), constrained(problem, constraint, s)
        states = np.vstack([part.states for part in parts])
        rows = np.concatenate([part.path_rows[number] for part in parts])
        scatter = _sparse(
            [(rows, np.arange(len(rows)), np.ones(len(rows)))], (layout.rows, len(rows))
        )
        inputs = [group.named("node_inputs")]
        data = data_function(blocks, [times_of(places), *v.constants], inputs)
        terms.append(
            MappedTerm.build(
                f"path.{constraint.name}",
                v.put_into(value),
                (ca.vertcat(s.x, v.own), np.hstack([states, v.own_columns])),
                (v.shared, v.shared_columns),
                (ca.vertcat(s.t, v.data, s.u), data),
                scatter,
                lift(problem, s, v, (value, partial(constrained, problem, constraint)), v.put_into),
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
    names = ["measurements", "weights", "sigma", *(["censored"] if "censored" in blocks else [])]
    known = [ca.SX.sym(name, len(problem.outputs)) for name in names]
    y, weight, sigma, censored = [*known, ca.SX(0, 1)][:4]
    value = misfit(problem, sampled.outputs, sampled.spread, (y, weight, sigma, censored))
    data = data_function(blocks, sampled.constants, [*names, "sample_inputs"])
    symbols = ca.vertcat(sampled.data, *known, sampled.inputs)
    return MappedTerm.build("misfit", value, sampled.own, sampled.shared, (symbols, data))


def prediction_term(
    problem: Problem,
    layout: Layout,
    scheme: Scheme,
    blocks: ParameterBlocks,
    spread: bool = False,
) -> MappedTerm:
    """h(x_h(t_i)), one row an output and sample: what the measurements are compared with.

    With ``spread`` the σ that a likelihood's model says of them.
    """
    sampled = _Samples(problem, layout, scheme)
    data = data_function(blocks, sampled.constants, ["sample_inputs"])
    symbols = ca.vertcat(sampled.data, sampled.inputs)
    rows = len(sampled.constants[0]) * len(problem.outputs)
    return MappedTerm.build(
        "prediction",
        sampled.spread if spread else sampled.outputs,
        sampled.own,
        sampled.shared,
        (symbols, data),
        sparse.identity(rows, format="csc"),
    )


class _Samples:
    """The outputs at the measurement times as an expression of the element's nodes.

    Where elements move along with the estimated time of an event, a sample is looked up among them.
    """

    def __init__(self, problem: Problem, layout: Layout, scheme: Scheme) -> None:
        s = Symbols.of(problem)
        if any(e.placed for e in problem.experiments):
            self._look_up(problem, layout, scheme, s)
            return
        nx, nodes = len(problem.states), scheme.intervals + 1
        states, basis = ca.SX.sym("X", nx, nodes), ca.SX.sym("l", nodes)
        own, places, rows = [], [], []
        for number, (experiment, part) in enumerate(
            zip(problem.experiments, layout.experiments, strict=True)
        ):
            if not experiment.measures:
                continue
            t = experiment.times[measured(experiment)]
            element, tau = part.mesh.locate(t)
            own.append(part.states[part.element_nodes()[element]].reshape(len(t), nodes * nx))
            places.append(Place(number, t, False, element, tau))
            rows.append(scheme.interpolation(tau))
        v = Unknowns.of(problem, layout, s, places).at_states(s, ca.mtimes(states, basis))
        h = observed(problem, s)
        self.outputs, self.spread = (v.put_into(value) for value in (h, spreads(problem, s, h)))
        self.own = (ca.vertcat(ca.vec(states), v.own), np.hstack([np.vstack(own), v.own_columns]))
        self.shared = (v.shared, v.shared_columns)
        self.data, self.inputs = ca.vertcat(basis, s.t, v.data), s.u
        self.constants = [np.vstack(rows), times_of(places), *v.constants]

    def _look_up(self, problem: Problem, layout: Layout, scheme: Scheme, s: Symbols) -> None:
        """The same among all elements that may hold a sample."""
        m, names = (
            scheme.intervals,
            list(dict.fromkeys(n for e in problem.experiments for n in e.placed)),
        )
        measuring = [
            (number, experiment, part)
            for number, (experiment, part) in enumerate(
                zip(problem.experiments, layout.experiments, strict=True)
            )
            if experiment.measures
        ]
        spans = [_spans(problem, e, part, e.times[measured(e)]) for _, e, part in measuring]
        count = max(int((last - first).max()) + 1 for first, last in spans)
        own, places, known = [], [], []
        for (number, experiment, part), (first, _) in zip(measuring, spans, strict=True):
            t, mesh = experiment.times[measured(experiment)], part.mesh
            first = np.clip(first, 0, max(0, mesh.elements - count))
            numbers = first[:, None] + np.arange(count + 1)
            beyond = np.maximum(numbers - mesh.elements, 0)  # of a mesh with fewer elements
            ends = mesh.points[numbers - beyond] + beyond * (mesh.end - mesh.start)
            shares = {b.parameter: b for b in problem.boundaries(experiment)}
            rows = [ends, _events_among(shares.values(), ends, t)]
            for name in names:
                b = shares.get(name)
                rows += [0.0 * ends if b is None else b.share(ends)]
                rows += [np.full((len(t), 1), 0.0 if b is None else b.at)]
            known.append(np.hstack(rows))
            nodes = np.minimum(first[:, None] * m + np.arange(count * m + 1), mesh.elements * m)
            own.append(part.states[nodes].reshape(len(t), -1))
            places.append(Place(number, t, False, *mesh.locate(t)))
        v = Unknowns.of(problem, layout, s, places)
        states = ca.SX.sym("X", len(problem.states), count * m + 1)
        table, p = ca.SX.sym("P", known[0].shape[1]), named_parameters(problem, s)
        ends, rest, then = (
            table[: count + 1],
            table[count + 1 : 3 * count + 1],
            ca.SX.sym("sampled"),
        )
        at = 2 * count + 1
        for name in names:
            ends = ends + table[at : at + count + 1] * (p[name] - table[at + count + 1])
            at += count + 2
        h = observed(problem, s)
        ends = ca.vertcat(ends[:-1], ends[1:], rest)
        looked_up = ca.mtimes(states, rounded_node_weights(scheme, then, ends, count))
        pair = ca.substitute([h, spreads(problem, s, h)], [s.x], [looked_up])
        self.outputs, self.spread = (v.put_into(value) for value in pair)
        self.own = (ca.vertcat(ca.vec(states), v.own), np.hstack([np.vstack(own), v.own_columns]))
        self.shared = (v.shared, v.shared_columns)
        self.data, self.inputs = ca.vertcat(table, then, s.t, v.data), s.u
        times = times_of(places)
        self.constants = [np.vstack(known), times, times, *v.constants]


def _events_among(boundaries: Iterable[Boundary], ends: Array, times: Array) -> Array:
    """(N, elements) widths over which kinks at elements' starts are rounded off.

    A jump, of an event that takes but an instant, stays one: rounded off it were a cliff in the event's
    time between any two samples, which no step of a solver gets across.
    """
    starts = ends[:, :-1]
    widths = np.zeros(starts.shape)
    for b in boundaries:
        beside = 0.1 * min(b.at - b.first, b.last - b.at - b.width)
        rounded = (
            min(_ROUNDED * float(np.median(np.diff(times))), beside) if len(times) > 1 else 0.0
        )
        near = 1e-9 * (b.last - b.first)
        for edge in (b.at, b.at + b.width) if b.width == 0.0 or b.width > rounded else ():
            widths[np.abs(starts - edge) <= near] = rounded
    return widths


def _spans(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, times: Array
) -> tuple[Index, Index]:
    """(N,) first and last of the elements that may hold each sample."""
    first = part.mesh.locate(times)[0]
    last = first.copy()
    for b in problem.boundaries(experiment):
        inside = (times > b.first) & (times < b.last)
        ends = part.mesh.locate(np.array([b.first, b.last]))[0]
        middle = part.mesh.points[ends] + part.mesh.points[ends + 1]
        first[inside] = ends[0] + int(0.5 * middle[0] < b.first)
        last[inside] = ends[1] - int(0.5 * middle[1] > b.last)
    return first, last


def _stage_inputs(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, scheme: Scheme
) -> Array:
    place = stage_places(0, part, scheme)
    return inputs_at(problem, experiment, place.times, place.left)


def _sparse(
    entries: Sequence[tuple[Index, Index, Array]], shape: tuple[int, int]
) -> sparse.csc_matrix:
    rows, columns, data = (np.concatenate([e[i] for e in entries]) for i in range(3))
    return sparse.csc_matrix((data, (rows, columns)), shape=shape)
