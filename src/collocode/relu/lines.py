r"""Linear bounds propagated backwards, for many boxes at once.

Every unit is held between two lines, l a + l_0 <= min(max(a, 0), c) <= u a + u_0 over [L, U].
Substituted from a pre-activation back to the inputs they give A x + d on either side, whose range
over a box is elementary.  All boxes go through the same array operations.

Zhang, Weng, Chen, Hsieh & Daniel, Efficient neural network robustness certification with general
activation functions, NeurIPS 2018; the lines of clipped units are those of its Table 2 for two kinks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .network import ReluNetwork

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lines:
    """Slopes and offsets of the two lines of every unit of a layer, (boxes, units) each."""

    below: Array
    below_offset: Array
    above: Array
    above_offset: Array


def unit_lines(low: Array, up: Array, level: Array) -> Lines:
    """Return the lines of units with ranges [low, up], (boxes, units), and levels (units,)."""
    v_low, v_up = np.clip(low, 0.0, level), np.clip(up, 0.0, level)
    width = np.where(up > low, up - low, 1.0)
    chord = np.where(up > low, (v_up - v_low) / width, 0.0)
    left, cut = low < 0.0, up > level
    # above: the chord where v is convex, else the smaller of two tangents by their areas
    c = np.where(np.isfinite(level), level, 1.0)  # where it is infinite nothing is cut
    knee = np.where(left, c / np.where(left, c - low, 1.0), 1.0)
    flat = cut & (knee * width / 2.0 + v_low >= c)
    above = np.where(cut, np.where(flat, 0.0, knee), chord)
    above_offset = np.where(flat, c, v_low - above * low)
    # below: the chord where v is concave, else 0 or the steeper line through 0
    steep = np.where(cut, v_up / np.where(cut, up, 1.0), 1.0)
    below = np.where(left, np.where(up > -low, steep, 0.0), chord)
    below_offset = np.where(left, 0.0, v_low - below * low)
    constant = (up <= 0.0) | (low >= level)
    for slope, offset in ((below, below_offset), (above, above_offset)):
        slope[constant] = 0.0
        offset[constant] = v_low[constant]
    return Lines(below, below_offset, above, above_offset)


def box_bounds(network: ReluNetwork, low: Array, up: Array) -> tuple[list[Array], list[Array]]:
    """Bound all pre-activations of a network without affine maps over many boxes.

    Parameters
    ----------
    low, up : (boxes, inputs).

    Returns
    -------
    Lower and upper bounds by layer, (boxes, units) each.
    """
    lower: list[Array] = []
    upper: list[Array] = []
    lines: list[Lines] = []
    v_low, v_up = low, up
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        plus, minus = np.maximum(W, 0.0), np.minimum(W, 0.0)
        a_low, a_up = v_low @ plus.T + v_up @ minus.T + b, v_up @ plus.T + v_low @ minus.T + b
        if layer:
            a_low = np.maximum(a_low, _backwards(network, lines, layer, low, up, 1.0))
            a_up = np.minimum(a_up, -_backwards(network, lines, layer, low, up, -1.0))
            a_up = np.maximum(a_up, a_low)  # rounding, where both are the same number
        lower.append(a_low)
        upper.append(a_up)
        if layer < len(network.clip):
            lines.append(unit_lines(a_low, a_up, network.level(layer)))
            v_low, v_up = network.activated(a_low, layer), network.activated(a_up, layer)
    return lower, upper


def _backwards(
    network: ReluNetwork, lines: list[Lines], layer: int, low: Array, up: Array, sign: float
) -> Array:
    """Return lower bounds of sign·a of a layer, (boxes, units)."""
    A = np.broadcast_to(sign * network.weights[layer], (len(low), *network.weights[layer].shape))
    total = np.broadcast_to(sign * network.biases[layer], A.shape[:2]).copy()
    for k in range(layer - 1, -1, -1):
        plus, minus, unit = np.maximum(A, 0.0), np.minimum(A, 0.0), lines[k]
        total += np.einsum("bij,bj->bi", plus, unit.below_offset)
        total += np.einsum("bij,bj->bi", minus, unit.above_offset)
        A = plus * unit.below[:, None, :] + minus * unit.above[:, None, :]
        total += A @ network.biases[k]
        A = A @ network.weights[k]
    plus, minus = np.maximum(A, 0.0), np.minimum(A, 0.0)
    return np.asarray(
        total + np.einsum("bij,bj->bi", plus, low) + np.einsum("bij,bj->bi", minus, up)
    )
