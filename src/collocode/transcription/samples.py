"""The outputs at the measurement times, and what is made of them: the misfit and the predictions."""

from __future__ import annotations

from collections.abc import Iterable

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.event_times import Boundary
from ..model.experiment import Experiment
from ..model.losses import LeastSquares
from ..model.misfit import misfit, spreads
from ..model.problem import Problem
from ..model.symbolic import (
    Symbols,
    named_parameters,
    observed,
)
from ..numerics import Array, Index, Mask
from ..numerics.scheme import Scheme
from .decided import Place, times_of
from .layout import Layout
from .lookup import rounded_node_weights
from .squares import Squares
from .term import DataFunction, MappedTerm, ParameterBlocks, data_function
from .unknowns import Unknowns
from .windows import ExperimentLayout

_ROUNDED = (
    0.02  # of the time between samples, over which an event at an estimated time is rounded off
)
_SOMETIMES = "censored", "rounding"  # parameters of some problems


def measured(experiment: Experiment) -> Mask:
    """Which times have at least one finite value."""
    return np.asarray(np.isfinite(experiment.values).any(axis=1))


def misfit_term(
    problem: Problem, layout: Layout, scheme: Scheme, blocks: ParameterBlocks
) -> MappedTerm:
    """Σ w ρ((h(x_h(t_i)) − y_i)/σ_i), with x_h the scheme's interpolant and ρ the problem's loss."""
    sampled = SampledOutputs(problem, layout, scheme)
    names = ["measurements", "weights", "sigma", *(n for n in _SOMETIMES if n in blocks)]
    known = {n: ca.SX.sym(n, len(problem.outputs) if n != "rounding" else 1) for n in names}
    y, weight, sigma = (known[n] for n in names[:3])
    censored, rounding = known.get("censored", ca.SX(0, 1)), known.get("rounding", 1.0)
    value = misfit(problem, sampled.outputs, sampled.spread, (y, weight, sigma, censored), rounding)
    data = data_function(blocks, sampled.constants, [*names, "sample_inputs"])
    symbols = ca.vertcat(sampled.data, *known.values(), sampled.inputs)
    squares = sampled.squares(problem, data) if type(problem.loss) is LeastSquares else None
    return MappedTerm.build(
        "misfit", value, sampled.own, sampled.shared, (symbols, data), squares=squares
    )


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
    sampled = SampledOutputs(problem, layout, scheme)
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


class SampledOutputs:
    """The outputs at the measurement times as an expression of the element's nodes.

    Where elements move along with the estimated time of an event, a sample is looked up among them.
    """

    def __init__(self, problem: Problem, layout: Layout, scheme: Scheme) -> None:
        s = Symbols.of(problem)
        self._basis: Array | None = None  # (samples, nodes), where that is what they are
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
        self._basis = np.vstack(rows)
        self.constants = [self._basis, times_of(places), *v.constants]

    def squares(self, problem: Problem, data: DataFunction) -> Squares | None:
        """The misfit by `LeastSquares`, whose data begin with ``constants``, where outputs are states at the nodes."""
        states, known = problem.states, len(self.constants)
        if self._basis is None or problem.observe or not set(problem.outputs) <= set(states):
            return None
        nodes, outputs = self._basis.shape[1], len(problem.outputs)
        at = np.array([states.index(name) for name in problem.outputs])
        columns = self.own[1][:, at[:, None] + len(states) * np.arange(nodes)]

        def weights(p: ca.MX) -> ca.MX:
            sigma = data.entries(p, known + 2)
            return data.entries(p, known + 1) / (sigma * sigma)

        return Squares(
            columns=columns.reshape(-1, nodes),
            factors=np.repeat(self._basis, outputs, axis=0),
            weights=weights,
            targets=lambda p: data.entries(p, known),
        )

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
