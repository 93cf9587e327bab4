r"""Terms that call networks: values and derivatives at all points by `layers` and `chain_rule`.

Of such a term CasADi knows the function without its networks, :math:`\phi(y, v)` and the inputs
:math:`s_j(y, v)`, whose few derivatives are symbolic; what the networks add are products of matrices.
So building costs nothing for every pair of weights, and the Hessian by the weights is one product of
matrices for every pair of layers, summed over the points on the way.  The nonzeros are those of the
symbolic derivatives, and in their order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import casadi as ca
import numpy as np

from .. import kernels
from ..numerics import Array, Index
from ..numerics.parallel import for_each, parts_of
from .callbacks import Evaluated
from .chain_rule import Point, Second, Tangents
from .compiled import Job, Kernel
from .hessian_border import HessianBorder
from .layers import Pass
from .lifted_graph import Call, LiftedFunction, LiftedGraph, State
from .outer_products import Group, JacobianBorder

_PART = (
    2**17
)  # points times weights of a part: small enough for a core's cache, large enough for NumPy


class ByLayers:
    """Values and derivatives of a term at its points.

    Parameters
    ----------
    lifted : the term without its networks.
    own, shared, data : the term's symbols; the shared ones are weights of its networks.
    rows, own_rows : (K, values) and (K, own) where the points' values stand in the Jacobian and the
        points' unknowns in the Hessian, increasing from point to point.
    shared_rows : where the weights stand in the Hessian, behind those.
    heights : rows of the Jacobian and of the Hessian.

    Attributes
    ----------
    functions : (own, shared, data) -> values; -> nonzeros by the points' own unknowns and the matrix by
        weights; (own, shared, data, multipliers) -> nonzeros own-own and the matrix by weights.  A point
        is a column; weights are one column.
    kernels : for first and second derivatives, if there are any.
    own_first, own_second : (rows, columns) of a point's nonzeros by own unknowns.

    Raises
    ------
    OutOfPlace
        A weight in a product that the graph does not depend on.
    """

    def __init__(
        self,
        lifted: LiftedFunction,
        symbols: tuple[ca.SX, ca.SX, ca.SX],
        rows: Index,
        own_rows: Index,
        shared_rows: Index,
        heights: tuple[int, int],
    ) -> None:
        own, shared, data = symbols
        self.lifted, self.points = lifted, len(rows)
        self.counts = own.numel(), shared.numel(), data.numel(), lifted.value.numel()
        count = parts_of(self.points * self.counts[1] / _PART)
        ends = np.linspace(0, self.points, count + 1).astype(int).tolist()
        self._graph = LiftedGraph(lifted, own, data, ends[1])
        self._parts = [
            _Part(slice(a, b), self._graph if b == ends[1] else self._graph.over(b - a))
            for a, b in pairwise(ends)
        ]
        self._lock = threading.Lock()
        self._last: tuple[Array, ...] | None = None
        self._find_patterns((rows, own_rows, shared_rows), heights)
        own_count, weights, data_count, values = self.counts
        inputs = [(own_count, self.points), (weights, 1), (data_count, self.points)]
        dense = ca.Sparsity.dense
        first = [dense(len(self.own_first[0]), self.points), self._jacobian.pattern]
        second = [dense(len(self.own_second[0]), self.points), self._hessian.pattern]
        multipliers = (values, self.points)
        self.functions = (
            Evaluated("phi", self._put_values, inputs, [dense(*multipliers)]),
            Evaluated("dphi", lambda a, r: self.put_first(a, *r), inputs, first),
            Evaluated("d2phi", lambda a, r: self.put_second(a, *r), [*inputs, multipliers], second),
        )

    def own(self, order: int) -> ca.MX:
        """A symbol of the derivatives by own unknowns: 0 the first, 1 the second ones."""
        return ca.MX.sym("own", *self.functions[order + 1].size_out(0))

    @property
    def borders(self) -> tuple[ca.Sparsity, ca.Sparsity]:
        """Patterns of the columns of weights, of first and of second derivatives."""
        return self._jacobian.pattern, self._hessian.pattern

    def _find_patterns(self, places: tuple[Index, Index, Index], heights: tuple[int, int]) -> None:
        calls, weights = [Pass.structure(c.mlp) for c in self.lifted.calls], self.counts[1]
        groups = _layers_of_networks(self.lifted)
        point = Point(calls, self._graph.offsets, self._graph.input_patterns)
        by_own, by_node = point.first(self._graph.first_pattern)
        self.own_first = np.nonzero(by_own[0])
        there = {q: B[0] != 0.0 for q, B in by_node.items() if B is not None}
        self._jacobian = JacobianBorder(groups, there, places[0], (heights[0], weights))
        gradient = self._graph.first_pattern.max(axis=1)
        found, tangents = self._second(
            point, gradient, self._graph.second_pattern, lambda j, g: self._graph.bend_patterns[j]
        )
        self.own_second = np.nonzero(np.triu(found.own[0] != 0.0))
        shape = heights[1], weights
        self._hessian = HessianBorder(groups, found, tangents, *places[1:], shape)
        self.kernels = self._compiled()

    def _compiled(self) -> tuple[Kernel, Kernel] | None:
        """First and second derivatives by kernels, of a network that is called once and does not vary."""
        library, calls = kernels.library(), self.lifted.calls
        if library is None or len(calls) > 1 or calls[0].functions is not None:
            return None
        own_count, _, _, values = self.counts
        borders = (self._jacobian, values), (self._hessian, own_count)
        first, second = (Kernel(library, calls[0].mlp, b.places(), rows) for b, rows in borders)
        return first, second

    def _second(
        self,
        point: Point,
        gradient: Array,
        hessian: Array,
        bends: Callable[[int, Array], Array | None],
    ) -> tuple[Second, Tangents]:
        if self.lifted.exact:
            return point.second(gradient, hessian, bends), point.tangents()
        return point.straight().second(gradient, hessian, bends), {}

    def _put_values(self, arguments: Sequence[Array], results: Sequence[Array]) -> None:
        out = results[0].reshape(self.points, -1)

        def put(part: _Part) -> None:
            out[part.points] = part.graph.value(part.state)

        with self._lock:
            for part in self._at(arguments):
                put(part)

    def put_first(
        self, arguments: Sequence[Array], own: Array, border: Array, factors: Array | None = None
    ) -> None:
        """Write the derivatives of the values: by the points' own unknowns, and by weights.

        Kernels multiply the latter by (K, values) ``factors``.
        """
        own, (rows, columns) = own.reshape(self.points, -1), self.own_first

        def put(part: _Part) -> None:
            state = part.state
            by_own, by_node = part.point().first(part.graph.first(state))
            own[part.points] = by_own[:, rows, columns]
            inputs = state.inputs()
            self._jacobian.put(
                border, lambda q: (inputs[q], by_node[q]), state.functions, part.points
            )

        with self._lock:
            parts = self._at(arguments)
            if self.kernels is None:
                for_each(put, parts)
                return
            count, found, jobs = self.counts[0], [], []
            for part in parts:
                first, at = part.graph.first(part.state), part.points
                found.append(np.array(first[:, :, :count]))
                given = *part.of_call(), first[:, :, count:], found[-1], border, at.start
                scale = None if factors is None else factors[at]
                jobs.append(self.kernels[0].job(*given, scale))
            with self.kernels[0].doing(jobs):
                pass
            for part, by_own in zip(parts, found, strict=True):
                own[part.points] = by_own[:, rows, columns]

    def put_second(
        self, arguments: Sequence[Array], own: Array, border: Array, factors: Array | None = None
    ) -> None:
        """Write the second derivatives: by the points' own unknowns, and by those and weights.

        Kernels multiply those by an own unknown and a weight by (K, own) ``factors``.
        """
        own, (rows, columns) = own.reshape(self.points, -1), self.own_second
        multipliers = arguments[3].reshape(self.points, -1)
        # kernels write all of the others
        border[slice(None) if self.kernels is None else self._hessian.shares] = 0.0

        def begin(part: _Part) -> tuple[Array, Array]:
            mu = np.array(multipliers[part.points])
            gradient = np.matmul(mu[:, None, :], part.graph.first(part.state))[:, 0]
            return gradient, part.graph.second(part.state, mu)

        def put(part: _Part) -> list[Array | None]:
            state = part.state
            found, tangents = self._second(
                part.point(), *begin(part), lambda j, g: part.graph.second_of_input(state, j, g)
            )
            given = found, tangents, state.inputs(), state.functions
            self._hessian.put_mixed(*given, part.points)
            own[part.points] = found.own[:, rows, columns]
            return self._hessian.sums(*given)

        def between(begun: _Begun) -> list[Array | None]:
            state = begun.part.state
            given = *self._between(begun), state.inputs(), state.functions
            return self._hessian.sums(*given)

        with self._lock:
            parts = self._at(arguments[:3])
            if self.kernels is None:
                sums = for_each(put, parts)
                self._hessian.put_kept(border)
            else:
                begun = [
                    self._before(
                        part,
                        *begin(part),
                        border,
                        None if factors is None else factors[part.points],
                    )
                    for part in parts
                ]
                with self.kernels[1].doing([one.job for one in begun]):
                    sums = [between(one) for one in begun]
                for one in begun:
                    bend = one.part.graph.second_of_input(one.part.state, 0, one.job.down)
                    by_own = one.by_own if bend is None else one.by_own + bend
                    own[one.part.points] = by_own[:, rows, columns]
            self._hessian.put(border, sums)

    def _before(
        self,
        part: _Part,
        gradient: Array,
        hessian: Array,
        border: Array,
        factors: Array | None,
    ) -> _Begun:
        """What the kernel writes in the points' own rows."""
        assert self.kernels is not None
        call, theta, by_unknowns = part.of_call()
        count, exact = self.counts[0], self.lifted.exact
        by_own, top = np.array(hessian[:, :count, :count]), None
        if hessian.any():
            moved = call.push(by_unknowns.swapaxes(1, 2))[-1]  # outputs by the unknowns
            by_own += moved @ hessian[:, count:, :count]
            top = hessian[:, :count, count:] + moved @ hessian[:, count:, count:]
        given = call, theta, by_unknowns, top, by_own, border, part.points.start, factors
        job = self.kernels[1].job(*given, gradient[:, count:], exact)
        return _Begun(part, gradient, hessian, by_own, job)

    def _between(self, begun: _Begun) -> tuple[Second, Tangents]:
        """Second derivatives that are summed over the points."""
        exact = self.lifted.exact
        point = begun.part.point() if exact else begun.part.point().straight()
        found, tangents = point.between(begun.gradient, begun.hessian)
        return found, tangents if exact else {}

    def _at(self, arguments: Sequence[Array]) -> list[_Part]:
        """All points, with everything that is evaluated first; that of the last call is kept."""
        if self._last is not None and all(map(np.array_equal, arguments, self._last)):
            return self._parts
        self._last = None
        kept = tuple(np.array(v) for v in arguments)
        y, d = kept[0].reshape(self.points, -1), kept[2].reshape(self.points, -1)
        theta = np.zeros(self.lifted.weights)
        theta[self.lifted.kept] = kept[1]
        for part in (
            self._parts
        ):  # too little in many calls of NumPy for threads, which hold Python's lock in turn
            part.evaluate(self.lifted, y, d, theta)
        self._last = kept
        return self._parts


class _Part:
    """Points that one thread works on.

    Attributes
    ----------
    points : of all.
    graph : of so many.
    state : what is evaluated first.
    """

    def __init__(self, points: slice, graph: LiftedGraph) -> None:
        self.points, self.graph = points, graph
        self.state: State

    def of_call(self) -> tuple[Pass, Array, Array]:
        """The pass of the one call, its weights, and the derivatives of its inputs."""
        return self.state.calls[0], self.state.weights[0], self.graph.inputs(self.state)[0]

    def evaluate(self, lifted: LiftedFunction, y: Array, d: Array, theta: Array) -> None:
        """Evaluate the networks; y, d are (K, own) and (K, data) of all points."""
        y, d = y[self.points], d[self.points]
        outputs: list[Array] = []
        calls, weights = [], []
        functions = [
            None if call.functions is None else call.functions[self.points] for call in lifted.calls
        ]
        with np.errstate(all="ignore"):  # a step too far is the solver's business
            for j, (call, basis) in enumerate(zip(lifted.calls, functions, strict=True)):
                s = self.graph.call(j, y, d, outputs)
                weights.append(_weights_of(call, basis, theta))
                calls.append(Pass.of(call.mlp, s, weights[-1]))
                outputs.append(calls[-1].value)
        self.state = State(y, d, calls, functions, weights)

    def point(self) -> Point:
        """For the chain rule."""
        return Point(self.state.calls, self.graph.offsets, self.graph.inputs(self.state))


@dataclass(frozen=True, eq=False)
class _Begun:
    """Second derivatives of a part's points before the kernel's job is done: of what, by own unknowns, and the job."""

    part: _Part
    gradient: Array
    hessian: Array
    by_own: Array
    job: Job


def _layers_of_networks(lifted: LiftedFunction) -> list[Group]:
    """Layers of weights, function by function of their basis, and the nodes that use them."""
    shared = np.full(lifted.weights, -1)
    shared[lifted.kept] = np.arange(len(lifted.kept))
    groups: dict[tuple[int, int, int], Group] = {}
    for j, call in enumerate(lifted.calls):
        count = 1 if call.functions is None else call.functions.shape[1]
        for b in range(count):
            begin = call.first + b * call.mlp.n_weights
            for k, (where_w, where_b, rows, columns) in enumerate(call.mlp.layers(), start=1):
                places = shared[begin + where_w.start : begin + where_b.stop]
                table = places.reshape(columns + 1, rows)
                made = groups.setdefault((call.first, b, k), Group([], table, b))
                made.nodes.append((j, k))
    return [groups[key] for key in sorted(groups)]


def _weights_of(call: Call, basis: Array | None, theta: Array) -> Array:
    count = call.mlp.n_weights
    if basis is None:
        return theta[call.first : call.first + count]
    size = basis.shape[1]
    table = theta[call.first : call.first + count * size].reshape(size, count)
    return np.asarray(basis @ table)
