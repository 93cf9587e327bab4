r"""First and second derivatives of networks layer by layer, in matrices, for many points at once.

One pass of a network with :math:`z_l=W_la_{l-1}+b_l,\ a_l=\varphi(z_l)` is differentiated by
perturbations :math:`\zeta_l` that are added to every :math:`z_l`: a weight's derivative is that by
:math:`\zeta_l` times an entry of :math:`a_{l-1}` (a bias' entry is 1).

* *pull* (reverse) takes rows :math:`\partial\cdot/\partial N` to rows by all :math:`\zeta_l` and by the input,
  :math:`g_l=\varphi'_l\circ W_{l+1}^Tg_{l+1}`;
* *push* (forward) takes :math:`\partial s/\partial u` of the input to :math:`\partial a_l/\partial u`;
* *curvature* gives the second derivatives :math:`M_{lm}` by :math:`\zeta_l,\zeta_m` from that by the
  output, :math:`M_{lm}=\varphi'_l\circ W_{l+1}^TM_{l+1,m}` for m > l, and for m = l the diagonal
  :math:`\varphi''_l\circ W_{l+1}^Tg_{l+1}` on top.

All arrays begin with the points; rows of the same kind are one product of matrices (BLAS).  A 2-D array
where a matrix a point is expected is its diagonal, and None is zero.  In the arithmetic of `structure`
(ones for whatever may differ from zero) the same functions tell where the derivatives' nonzeros are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from ..model.activations import ACTIVATIONS
from ..model.network import MLP
from ..numerics import Array


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of a network at K points.

    Attributes
    ----------
    weights : W_1, ..., W_L, (rows, columns) or, where they differ from point to point, (K, rows, columns).
    inputs : a_0, ..., a_{L-1}, each with a one behind it for the bias: (K, columns + 1).
    angles : z_1, ..., z_{L-1}, (K, rows).
    activation : by name.
    scale, output_scale : fixed factors of input and output, or 1.
    value : (K, outputs).
    """

    weights: tuple[Array, ...]
    inputs: tuple[Array, ...]
    angles: tuple[Array, ...]
    activation: str
    scale: Array | float
    output_scale: Array | float
    value: Array

    @cached_property
    def slopes(self) -> tuple[Array, ...]:
        """(K, rows) φ' of the hidden layers."""
        slope = ACTIVATIONS[self.activation].slope
        return tuple(slope(z, one[:, :-1]) for z, one in self._hidden)

    @cached_property
    def bends(self) -> tuple[Array | None, ...]:
        """(K, rows) φ'' of the hidden layers, or None for zero."""
        phi = ACTIVATIONS[self.activation]
        if phi.name == "linear":
            return (None,) * len(self.angles)
        return tuple(phi.curvature(z, one[:, :-1]) for z, one in self._hidden)

    @property
    def _hidden(self) -> Iterator[tuple[Array, Array]]:
        return zip(self.angles, self.inputs[1:], strict=True)

    @property
    def depth(self) -> int:
        """Number L of layers."""
        return len(self.weights)

    @classmethod
    def of(cls, mlp: MLP, s: Array, theta: Array) -> Pass:
        """Evaluate a network.

        Parameters
        ----------
        s : (K, inputs).
        theta : (weights,), or (K, weights) where they differ from point to point.
        """
        phi, points = ACTIVATIONS[mlp.activation], len(s)
        scale, output_scale = scales_of(mlp)
        a = s - np.array(mlp.shift) if mlp.shift else s
        a = a * scale
        weights, inputs, angles = [], [], []
        for where_w, where_b, rows, columns in mlp.layers():
            # W column by column, then b, is [W b] transposed, row by row
            both = theta[..., where_w.start : where_b.stop].reshape(
                *theta.shape[:-1], columns + 1, rows
            )
            one = np.ones((points, columns + 1))
            one[:, :-1] = a
            z = one @ both if both.ndim == 2 else np.matmul(one[:, None, :], both)[:, 0]
            weights.append(both[..., :-1, :].swapaxes(-1, -2))
            inputs.append(one)
            if len(weights) < len(mlp.sizes) - 1:
                a = phi(z)
                angles.append(z)
        parts = tuple(weights), tuple(inputs), tuple(angles)
        return cls(*parts, phi.name, scale, output_scale, z * output_scale)

    @classmethod
    def structure(cls, mlp: MLP) -> Pass:
        """Return one point with a one for everything that is not always zero."""
        sizes, curved = mlp.sizes, mlp.activation != "linear"
        hidden = tuple(np.ones((1, a)) for a in sizes[1:-1])
        made = cls(
            tuple(np.ones((b, a)) for a, b in pairwise(sizes)),
            tuple(np.ones((1, a + 1)) for a in sizes[:-1]),
            hidden,
            mlp.activation,
            1.0,
            1.0,
            np.ones((1, sizes[-1])),
        )
        bends = hidden if curved else (None,) * len(hidden)
        made.__dict__.update(slopes=hidden, bends=bends)  # what the properties would be
        return made

    def without_curvature(self) -> Pass:
        """Return the pass of a network that is linear in inputs and weights about these points."""
        made = replace(self)
        made.__dict__.update(slopes=self.slopes, bends=(None,) * len(self.angles))
        return made

    def pull(self, rows: Array | None) -> list[Array | None]:
        """Return (K, rows, outputs) rows as rows by the input (at 0) and by ζ_1, ..., ζ_L."""
        if rows is None:
            return [None] * (self.depth + 1)
        at = rows * self.output_scale
        found: list[Array | None] = [at]
        for layer in range(self.depth, 0, -1):
            at = self._down(at, layer)
            found.append(at)
        return found[::-1]

    def _down(self, rows: Array, layer: int) -> Array:
        """Rows by ζ_layer as rows by ζ of the layer below, or by the input."""
        found = _times(rows, self.weights[layer - 1])
        if layer == 1:
            found *= self.scale
        else:
            found *= self.slopes[layer - 2][:, None, :]
        return found

    def push(self, tangents: Array) -> list[Array]:
        """Return (K, rows, inputs) derivatives of the input as those of a_0, ..., a_{L-1} and N."""
        return [tangents * self.scale, *self._up(tangents * self.scale, 0)]

    def push_from(self, layer: int) -> list[Array]:
        """Return the derivatives of a_layer, ..., a_{L-1} and N by ζ_layer; the first is diagonal."""
        if layer == self.depth:
            return [np.broadcast_to(self.output_scale, self.value.shape)]
        first = self.slopes[layer - 1]
        return [first, *self._up(first, layer)]

    def inputs_from(self, layer: int) -> list[Array]:
        """Return those of a_layer, ..., a_{L-1} alone."""
        if layer == self.depth:
            return []
        first = self.slopes[layer - 1]
        return [first, *self._up(first, layer, self.depth - 1)]

    def _up(self, at: Array, layer: int, last: int | None = None) -> list[Array]:
        found = []
        for above in range(layer, self.depth if last is None else last):
            at = _times(at, self.weights[above].swapaxes(-1, -2))
            at *= self.slopes[above][:, None, :] if above < self.depth - 1 else self.output_scale
            found.append(at)
        return found

    def curvature(
        self, top: Array | None, gradient: list[Array], lowest: int = 0
    ) -> dict[tuple[int, int], Array | None]:
        """Return the second derivatives by ζ_m and ζ_l, m >= l >= lowest, under (m, l); l = 0 is the input.

        Parameters
        ----------
        top : (K, outputs, outputs) second derivative by the output.
        gradient : (K, 1, rows) what `pull` makes of the first derivative.
        """
        last = self.depth
        found: dict[tuple[int, int], Array | None] = {}
        scaled = None if top is None else self.pull_once(top)
        found[last, last] = scaled
        for layer in range(last - 1, lowest - 1, -1):
            for m in range(last, layer, -1):
                above = found[m, layer + 1]
                found[m, layer] = None if above is None else self._down(above, layer + 1)
            below = found[layer + 1, layer]
            block = None if below is None else self._down(below.swapaxes(1, 2), layer + 1)
            bends = self.bends[layer - 1] if layer > 0 else None
            if bends is not None:
                bend = bends * _times(gradient[layer + 1], self.weights[layer])[:, 0]
                block = bend if block is None else _add_diagonal(block, bend)
            found[layer, layer] = block
        return found

    def pull_once(self, top: Array) -> Array:
        """Second derivative by the output as that by ζ_L."""
        factor = np.broadcast_to(self.output_scale, top.shape[-1:])
        scaled: Array = top * factor * factor[:, None]
        return scaled


def scales_of(mlp: MLP) -> tuple[Array | float, Array | float]:
    """Return fixed factors of input and output, or 1."""
    output_scale = np.array(mlp.output_scale) if mlp.output_scale else 1.0
    return 1.0 / np.array(mlp.scale) if mlp.scale else 1.0, output_scale


def _times(rows: Array, weights: Array) -> Array:
    """(K, r, n) or diagonal (K, n) times (n, m) or (K, n, m)."""
    if rows.ndim == 2:
        return np.asarray(rows[:, :, None] * weights)
    if weights.ndim == 3:
        return np.asarray(np.matmul(rows, weights))
    points, count, _ = rows.shape
    flat = rows.reshape(points * count, -1) @ weights
    return np.asarray(flat.reshape(points, count, -1))


def _add_diagonal(blocks: Array, diagonal: Array) -> Array:
    which = np.arange(diagonal.shape[1])
    blocks[:, which, which] += diagonal
    return blocks
