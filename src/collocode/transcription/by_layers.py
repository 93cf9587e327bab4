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
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from .callbacks import Evaluated
from .chain_rule import Node, Point, Second
from .layers import Pass
from .lifted import Call, Graph, Lifted, State
from .outer_products import Group, PairProducts, RowProducts

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class ByLayers:
    """Values and derivatives of a term at its points.

    Parameters
    ----------
    lifted : the term without its networks.
    own, shared, data : the term's symbols; the shared ones are weights of its networks.
    points : their number K.

    Attributes
    ----------
    first_patterns : (rows, columns) of the Jacobian's nonzeros by own and by shared unknowns.
    second_patterns : the same of the Hessian's upper triangle: own-own, own-shared, shared-shared.
    """

    def __init__(self, lifted: Lifted, own: ca.SX, shared: ca.SX, data: ca.SX, points: int) -> None:
        self.lifted, self.points = lifted, points
        self.counts = own.numel(), shared.numel(), data.numel(), lifted.value.numel()
        self._graph = Graph(lifted, own, data, points)
        self._lock = threading.Lock()
        self._at: tuple[tuple[Array, ...], State] | None = None
        self._places = np.full(lifted.weights, -1)
        self._places[lifted.kept] = np.arange(len(lifted.kept))
        self._groups = self._layers_of_networks()
        self._find_patterns()

    def _layers_of_networks(self) -> list[Group]:
        """Layers of weights, function by function of their basis, and the nodes that use them."""
        groups: dict[tuple[int, int, int], Group] = {}
        for j, call in enumerate(self.lifted.calls):
            count = 1 if call.functions is None else call.functions.shape[1]
            for b in range(count):
                for k, (where_w, where_b, rows, columns) in enumerate(call.mlp.layers(), start=1):
                    begin = call.first + b * call.mlp.n_weights
                    places = self._places[begin + where_w.start : begin + where_b.stop]
                    table = places.reshape(columns + 1, rows)
                    made = groups.setdefault((call.first, b, k), Group([], table, b))
                    made.nodes.append((j, k))
        return [groups[key] for key in sorted(groups)]

    @cached_property
    def functions(self) -> tuple[Evaluated, Evaluated, Evaluated]:
        """`value`, `first` and `second` for CasADi, each point a column; weights are one column."""
        own, shared, data, values = self.counts
        K = self.points
        inputs = [(own, K), (shared, 1), (data, K)]
        first = [(len(rows), K) for rows, _ in self.first_patterns]
        second = [(len(rows), K) for rows, _ in self.second_patterns[:2]]
        second.append((len(self.second_patterns[2][0]), 1))
        return (
            Evaluated("phi", self.value, inputs, [(values, K)]),
            Evaluated("dphi", self.first, inputs, first),
            Evaluated("d2phi", self.second, [*inputs, (values, K)], second),
        )

    def _find_patterns(self) -> None:
        calls = [Pass.structure(call.mlp) for call in self.lifted.calls]
        point = Point(calls, self._graph.offsets, self._graph.input_patterns)
        by_own, by_node = point.first(self._graph.first_pattern)
        self._own_first = np.nonzero(by_own[0])
        there = {q: B[0] != 0.0 for q, B in by_node.items() if B is not None}
        rows = self.counts[3]
        self._jacobian = RowProducts(rows, self._groups, lambda i, q: [(None, there[q][i])])
        self.first_patterns = self._own_first, self._jacobian.pattern
        gradient = self._graph.first_pattern.max(axis=1)
        found, tangents = self._second(
            point, gradient, self._graph.second_pattern, lambda j, g: self._graph.bend_patterns[j]
        )
        upper = np.triu(found.own[0] != 0.0)
        self._own_second = np.nonzero(upper)

        def of_row(a: int, q: Node) -> list[tuple[Any, Any]]:
            parts: list[tuple[Any, Any]] = [(None, found.mixed[q][0, :, a] != 0.0)]
            if self.lifted.exact:
                moved = np.append(tangents[None, q][0, a] != 0.0, False)
                parts.append((moved, found.gradients[q][0] != 0.0))
            return parts

        self._mixed = RowProducts(self.counts[0], self._groups, of_row)
        self._pairs = PairProducts(self._groups, found, tangents, self.counts[1])
        self.second_patterns = self._own_second, self._mixed.pattern, self._pairs.pattern

    def _second(
        self,
        point: Point,
        gradient: Array,
        hessian: Array,
        bends: Callable[[int, Array], Array | None],
    ) -> tuple[Second, dict[Any, Array]]:
        if self.lifted.exact:
            return point.second(gradient, hessian, bends), point.tangents()
        straight = [call.without_curvature() for call in point.calls]
        point = Point(straight, point.offsets, point.inputs)
        return point.second(gradient, hessian, bends), {}

    # ---- numbers -----------------------------------------------------------------------------

    def value(self, arguments: Sequence[Array], results: Sequence[Array]) -> None:
        """(own, shared, data) -> φ; arguments and results are flat, point by point."""
        with self._lock:
            state = self._state(arguments)
            results[0][:] = self._graph.value(state).ravel()

    def first(self, arguments: Sequence[Array], results: Sequence[Array]) -> None:
        """(own, shared, data) -> nonzeros by own and by shared unknowns."""
        with self._lock:
            state = self._state(arguments)
            by_own, by_node = self._point(state).first(self._graph.first(state))
            rows, columns = self._own_first
            results[0].reshape(self.points, -1)[:] = by_own[:, rows, columns]

            def parts(i: int, q: Node) -> list[tuple[Array, Array]]:
                B = by_node[q]
                return [] if B is None else [(state.calls[q[0]].inputs[q[1] - 1], B[:, i])]

            self._jacobian.put(results[1].reshape(self.points, -1), parts, state.functions)

    def second(self, arguments: Sequence[Array], results: Sequence[Array]) -> None:
        """(own, shared, data, μ) -> nonzeros own-own, own-shared, and shared-shared, summed."""
        with self._lock:
            state = self._state(arguments[:3])
            mu = np.array(arguments[3]).reshape(self.points, -1)
            rows = self._graph.first(state)
            gradient = np.matmul(mu[:, None, :], rows)[:, 0]
            hessian = self._graph.second(state, mu)
            found, tangents = self._second(
                self._point(state), gradient, hessian, lambda j, g: self._graph.bend(state, j, g)
            )
            i, k = self._own_second
            results[0].reshape(self.points, -1)[:] = found.own[:, i, k]

            def parts(a: int, q: Node) -> list[tuple[Array, Array]]:
                inputs = state.calls[q[0]].inputs[q[1] - 1]
                both = [(inputs, found.mixed[q][:, :, a])]
                if self.lifted.exact:
                    moved = np.zeros_like(inputs)
                    moved[:, :-1] = tangents[None, q][:, a]
                    both.append((moved, found.gradients[q]))
                return both

            self._mixed.put(results[1].reshape(self.points, -1), parts, state.functions)
            inputs = {q: state.spread(q) for q in found.gradients}
            self._pairs.put(results[2], found, tangents, inputs, state.functions)

    def _state(self, arguments: Sequence[Array]) -> State:
        """Everything that is evaluated first; that of the last point is kept."""
        if self._at is not None and all(map(np.array_equal, arguments, self._at[0])):
            return self._at[1]
        kept = tuple(np.array(v) for v in arguments)
        y, d = kept[0].reshape(self.points, -1), kept[2].reshape(self.points, -1)
        theta = np.zeros(self.lifted.weights)
        theta[self.lifted.kept] = kept[1]
        outputs: list[Array] = []
        calls = []
        for j, call in enumerate(self.lifted.calls):
            s = self._graph.call(j, y, d, outputs)
            calls.append(Pass.of(call.mlp, s, _weights_of(call, theta)))
            outputs.append(calls[-1].value)
        state = State(y, d, calls, [call.functions for call in self.lifted.calls])
        self._at = kept, state
        return state

    def _point(self, state: State) -> Point:
        return Point(state.calls, self._graph.offsets, self._graph.inputs(state))


def _weights_of(call: Call, theta: Array) -> Array:
    count = call.mlp.n_weights
    if call.functions is None:
        return theta[call.first : call.first + count]
    size = call.functions.shape[1]
    table = theta[call.first : call.first + count * size].reshape(size, count)
    return np.asarray(call.functions @ table)
