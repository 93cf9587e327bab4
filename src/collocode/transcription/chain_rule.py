r"""The chain rule of functions that call networks, in matrices, for many points at once.

.. math:: \phi(y, v_1,\dots,v_J),\qquad v_j = N_j\bigl(s_j(y, v_1,\dots,v_{j-1});\theta\bigr)

A *node* is one layer of one call, (j, l), counted in the order of evaluation; its perturbation is
:math:`\zeta_{jl}` of `layers`.  Calls are taken out from the last to the first, so that networks may be
called several times, several of them, and one with what another returned.  With y and the nodes,

.. math:: \frac{\partial\phi}{\partial W_q} = B_q\otimes a_q,\qquad
   \frac{\partial^2\mu^T\phi}{\partial W_q\,\partial W_r} = M_{qr}\otimes a_qa_r^T
       + \frac{\partial a_q}{\partial\zeta_r}\otimes g_qa_r^T

in which a_q is the input of node q and r not after it; the second term is there if r is before q.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..numerics import Array
from .layers import Pass

Node = tuple[int, int]
Tangents = Mapping[tuple[Node | None, Node], Array]


@dataclass(frozen=True, eq=False)
class Point:
    """Passes of all calls and the derivatives of their inputs at K points.

    Attributes
    ----------
    calls : J passes.
    offsets : where y, v_1, ..., v_J begin in (y, v_1, ..., v_J), and the length of it all.
    inputs : (K, inputs of N_j, offsets[j + 1]) derivatives of s_j by y and the outputs before.
    """

    calls: Sequence[Pass]
    offsets: Sequence[int]
    inputs: Sequence[Array]

    def nodes(self) -> list[Node]:
        """Every layer of every call, in the order of evaluation."""
        return [(j, k) for j, call in enumerate(self.calls) for k in range(1, call.depth + 1)]

    def first(self, rows: Array) -> tuple[Array, dict[Node, Array | None]]:
        """Return (K, rows, y + outputs) derivatives as those by y, and by every node."""
        by_node: dict[Node, Array | None] = {}
        for j in reversed(range(len(self.calls))):
            low, high = self.offsets[j + 1 : j + 3]
            pulled = self.calls[j].pull(rows[:, :, low:high])
            for k in range(1, len(pulled)):
                by_node[j, k] = pulled[k]
            assert pulled[0] is not None
            rows = rows[:, :, :low] + pulled[0] @ self.inputs[j]
        return rows, by_node

    def tangents(self) -> dict[tuple[Node | None, Node], Array]:
        """Return the derivative of a node's input by y (None) or a node before, (K, rows, columns)."""
        found: dict[tuple[Node | None, Node], Array] = {}
        points, ny = len(self.calls[0].value), self.offsets[1]
        of: dict[Node | None, Array] = {None: np.broadcast_to(np.eye(ny), (points, ny, ny))}
        for j, call in enumerate(self.calls):
            width = self.offsets[j + 1]
            nested = bool(self.inputs[j][:, :, ny:].any())
            for u, before in list(of.items()):
                if u is None or nested:
                    moved = call.push(before @ self.inputs[j].swapaxes(1, 2))
                    for k in range(call.depth):
                        found[u, (j, k + 1)] = moved[k]
                    by_output = moved[-1]
                else:
                    by_output = np.zeros((points, before.shape[1], call.value.shape[1]))
                of[u] = np.concatenate([before, by_output], axis=2)
            for layer in range(1, call.depth + 1):
                moved = call.push_from(layer)
                for k, a in enumerate(moved[:-1], start=layer):
                    found[(j, layer), (j, k + 1)] = a
                if j + 1 < len(self.calls):
                    last = moved[-1]
                    if last.ndim == 2:
                        last = last[:, :, None] * np.eye(last.shape[1])
                    zero = np.zeros((points, last.shape[1], width))
                    of[j, layer] = np.concatenate([zero, last], axis=2)
        return found

    def second(
        self,
        gradient: Array,
        hessian: Array,
        bends: Callable[[int, Array], Array | None],
    ) -> Second:
        """Return the second derivatives by y and all nodes.

        Parameters
        ----------
        gradient, hessian : (K, y + outputs) and (K, y + outputs, same) of φ.
        bends : (j, (K, inputs) gradient by s_j) -> second derivative of gᵀ s_j by y and the outputs
            before, or None for zero.
        """
        by_nodes: dict[tuple[Node, Node], Array | None] = {}
        cross: dict[Node, Array] = {}
        gradients: dict[Node, Array] = {}
        for j in reversed(range(len(self.calls))):
            low, high = self.offsets[j + 1 : j + 3]
            call, S = self.calls[j], self.inputs[j]
            g = call.pull(gradient[:, None, low:high])
            down = [part for part in g if part is not None]
            own = call.curvature(_some(hessian[:, low:high, low:high]), down)
            upper = call.pull(_some(hessian[:, :low, low:high]))
            for node, rows in cross.items():
                pulled = call.pull(_some(rows[:, :, low:high]))
                for k in range(1, call.depth + 1):
                    by_nodes[node, (j, k)] = pulled[k]
                cross[node] = rows[:, :, :low] + (0.0 if pulled[0] is None else pulled[0] @ S)
            for k in range(1, call.depth + 1):
                gradients[j, k] = down[k][:, 0]
                for m in range(k, call.depth + 1):
                    by_nodes[(j, m), (j, k)] = own[m, k]
                cross[j, k] = _sum(
                    _transposed(upper[k]), _times(own[k, 0], S), (len(S), down[k].shape[2], low)
                )
            hessian = self._through(j, hessian[:, :low, :low], upper[0], own[0, 0])
            bend = bends(j, down[0][:, 0])
            if bend is not None:
                hessian = hessian + bend
            gradient = gradient[:, :low] + (down[0] @ S)[:, 0]
        return Second(hessian, cross, by_nodes, gradients)

    def between(self, gradient: Array, hessian: Array) -> tuple[Second, Tangents]:
        """Return only what two nodes have of each other, of one call: what sums over the points need."""
        (call,), low = self.calls, self.offsets[1]
        down = [part for part in call.pull(gradient[:, None, low:]) if part is not None]
        own = call.curvature(_some(hessian[:, low:, low:]), down, 1)
        layers = range(1, call.depth + 1)
        tangents: dict[tuple[Node | None, Node], Array] = {
            ((0, layer), (0, k + 1)): moved
            for layer in layers
            for k, moved in enumerate(call.inputs_from(layer), start=layer)
        }
        by_nodes = {((0, m), (0, k)): part for (m, k), part in own.items()}
        gradients = {(0, k): down[k][:, 0] for k in layers}
        return Second(hessian[:, :low, :low], {}, by_nodes, gradients), tangents

    def straight(self) -> Point:
        """Return the same of networks that are linear in inputs and weights about these points."""
        return replace(self, calls=[call.without_curvature() for call in self.calls])

    def _through(self, j: int, hessian: Array, mixed: Array | None, own: Array | None) -> Array:
        """Second derivatives by what s_j depends on, without those of s_j itself."""
        S = self.inputs[j]
        if mixed is not None:
            half = mixed @ S
            hessian = hessian + half + half.swapaxes(1, 2)
        if own is not None:
            hessian = hessian + S.swapaxes(1, 2) @ own @ S
        return hessian


@dataclass(frozen=True, eq=False)
class Second:
    """Second derivatives of a function that calls networks.

    Attributes
    ----------
    own : (K, y, y).
    mixed : by node and y, (K, rows, y).
    nodes : by two nodes, the later one first; a 2-D array is a diagonal, None is zero.
    gradients : by node, (K, rows).
    """

    own: Array
    mixed: dict[Node, Array]
    nodes: dict[tuple[Node, Node], Array | None]
    gradients: dict[Node, Array]


def _some(rows: Array) -> Array | None:
    return rows if rows.any() else None


def _transposed(rows: Array | None) -> Array | None:
    return None if rows is None else rows.swapaxes(1, 2)


def _times(left: Array | None, right: Array) -> Array | None:
    return None if left is None else np.asarray(left @ right)


def _sum(a: Array | None, b: Array | None, shape: tuple[int, int, int]) -> Array:
    if a is None:
        return np.zeros(shape) if b is None else b
    return a if b is None else a + b
