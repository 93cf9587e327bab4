"""Functions with the results of their networks left open, and their symbolic derivatives over all points."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import casadi as ca
import numpy as np

from ..model.network import MLP
from ..numerics import Array, Index
from .callbacks import Mapped
from .chain_rule import Node
from .layers import Pass


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a network in a term.

    Attributes
    ----------
    mlp : the network.
    inputs : SX column of what it is called with.
    outputs : symbols that stand for its result.
    first : where its weights begin among those that the points share.
    functions : (K, functions) values of the basis that spreads the weights over time; None for
        weights that do not vary.
    """

    mlp: MLP
    inputs: ca.SX
    outputs: ca.SX
    first: int
    functions: Array | None


@dataclass(frozen=True, eq=False)
class LiftedFunction:
    """The function of a term with the results of its networks as arguments of their own.

    Attributes
    ----------
    value : φ as an SX column of the term's symbols and all ``outputs``.
    calls : in the order of evaluation.
    kept : places among all shared weights of those that the term has.
    weights : number of all shared weights.
    exact : whether the networks' own second derivatives count (else: Gauss-Newton).
    """

    value: ca.SX
    calls: tuple[Call, ...]
    kept: Index
    weights: int
    exact: bool = True


@dataclass(eq=False)
class State:
    """All that is evaluated first at a point of the program.

    Attributes
    ----------
    y, d : (K, own), (K, data).
    calls : passes of the networks.
    functions : of every call, the values of its weights' basis, (K, functions), or None.
    weights : of every call, (weights,), or (K, weights) where they vary.
    slopes : derivatives of φ and of every s_j, once somebody has asked for them.
    """

    y: Array
    d: Array
    calls: list[Pass]
    functions: list[Array | None]
    weights: list[Array]
    slopes: list[Array] | None = None

    @property
    def outputs(self) -> list[Array]:
        """(K, outputs) of every call."""
        return [call.value for call in self.calls]

    def inputs(self) -> dict[Node, Array]:
        """(K, columns + 1) inputs of every node, a one for the bias included."""
        return {
            (j, k): a
            for j, call in enumerate(self.calls)
            for k, a in enumerate(call.inputs, start=1)
        }


class LiftedGraph:
    """The symbolic part of a term: φ, s_j and their derivatives by y and all outputs, mapped."""

    def __init__(self, lifted: LiftedFunction, own: ca.SX, data: ca.SX, points: int) -> None:
        v = [call.outputs for call in lifted.calls]
        w = ca.vertcat(own, *v)
        sizes = [own.numel(), *(part.numel() for part in v)]
        self.offsets = [0, *np.cumsum(sizes).tolist()]
        self._points = points
        base, count = [own, data, *v], lifted.value.numel()
        self._value = self._function(base, [lifted.value])
        jacobian = ca.jacobian(lifted.value, w)
        befores = [w[: self.offsets[j + 1]] for j in range(len(v))]
        slopes = [
            ca.jacobian(c.inputs, before) for c, before in zip(lifted.calls, befores, strict=True)
        ]
        # transposed, so that each point's matrix comes row by row
        self._first = self._function(base, [jacobian.T, *(s.T for s in slopes)])
        # of a plain collocation equation these are the lengths of the elements
        entries = ca.vertcat(*(ca.vec(part) for part in (jacobian, *slopes)))
        self._of_data = not ca.depends_on(entries, w)
        self._kept: tuple[Array, list[Array]] | None = None
        mu = ca.SX.sym("mu", count)
        hessian = ca.hessian(ca.dot(mu, lifted.value), w)[0]
        self._second = self._function([*base, mu], [hessian]) if hessian.nnz() else None
        self._calls, self._bends, self.bend_patterns = [], [], []
        self._chosen = [_places_in(own, call.inputs) for call in lifted.calls]
        for j, (call, before) in enumerate(zip(lifted.calls, befores, strict=True)):
            self._calls.append(self._function([own, data, *v[:j]], [call.inputs]))
            g = ca.SX.sym("g", call.inputs.numel())
            bend = ca.hessian(ca.dot(g, call.inputs), before)[0]
            there = bool(bend.nnz())
            self._bends.append(self._function([own, data, *v[:j], g], [bend]) if there else None)
            self.bend_patterns.append(_ones(bend) if there else None)
        self.first_pattern, self.second_pattern = _ones(jacobian), _ones(hessian)
        self.input_patterns = [_ones(s) for s in slopes]

    def _function(self, arguments: list[ca.SX], results: list[ca.SX]) -> Mapped:
        return Mapped(arguments, results, self._points)

    def over(self, points: int) -> LiftedGraph:
        """The same over another number of points, with memory of its own."""
        made, (one, few) = copy(self), (("_value", "_first", "_second"), ("_calls", "_bends"))
        made._points, made._kept = points, None
        for name in one:
            setattr(made, name, _over(getattr(self, name), points))
        for name in few:
            setattr(made, name, [_over(part, points) for part in getattr(self, name)])
        return made

    def call(self, j: int, y: Array, d: Array, outputs: list[Array]) -> Array:
        """(K, inputs) what call j is called with."""
        chosen = self._chosen[j]
        if chosen is not None:
            return np.asarray(y.take(chosen, axis=1))
        return self._calls[j](y, d, *outputs[:j])[0]

    def value(self, state: State) -> Array:
        """(K, values)."""
        return self._value(state.y, state.d, *state.outputs)[0]

    def first(self, state: State) -> Array:
        """(K, values, y + outputs) derivatives of φ."""
        return self._slopes(state)[0].reshape(self._points, -1, self.offsets[-1])

    def inputs(self, state: State) -> list[Array]:
        """(K, inputs, y + outputs before) derivatives of every s_j."""
        parts = self._slopes(state)[1:]
        return [part.reshape(self._points, -1, self.offsets[j + 1]) for j, part in enumerate(parts)]

    def _slopes(self, state: State) -> list[Array]:
        if state.slopes is None:
            kept = self._kept
            if kept is None or not self._of_data or not np.array_equal(kept[0], state.d):
                kept = state.d, self._first(state.y, state.d, *state.outputs)
            state.slopes, self._kept = kept[1], kept
        return state.slopes

    def second(self, state: State, mu: Array) -> Array:
        """(K, y + outputs, same) second derivatives of μᵀφ."""
        size = self.offsets[-1]
        if self._second is None:
            return np.zeros((self._points, size, size))
        found = self._second(state.y, state.d, *state.outputs, mu)[0]
        return found.reshape(self._points, size, size)

    def second_of_input(self, state: State, j: int, g: Array) -> Array | None:
        """(K, y + outputs before, same) second derivatives of gᵀ s_j."""
        function = self._bends[j]
        if function is None:
            return None
        size = self.offsets[j + 1]
        return function(state.y, state.d, *state.outputs[:j], g)[0].reshape(
            self._points, size, size
        )


def _places_in(own: ca.SX, inputs: ca.SX) -> Index | None:
    """Where the inputs are among a point's unknowns, if they are nothing else."""
    if not inputs.is_dense():
        return None
    place = {symbol.element_hash(): k for k, symbol in enumerate(own.elements())}
    found = [place.get(part.element_hash(), -1) for part in inputs.elements()]
    return None if -1 in found else np.array(found, dtype=np.intp)


def _over(function: Mapped | None, points: int) -> Mapped | None:
    return None if function is None else function.over(points)


def _ones(matrix: ca.SX) -> Array:
    """(1, rows, columns) ones where the matrix has entries."""
    return np.asarray(ca.DM(matrix.sparsity(), 1.0))[None]
