r"""Bounds by splitting the box: the union of what linear bound propagation proves on each of many parts.

.. math:: L = \min_p L^{(p)},\quad U = \max_p U^{(p)},\qquad \text{box} = \bigcup_p \text{box}_p

On a part, every unit is held between two lines, l a + l_0 <= min(max(a, 0), c) <= u a + u_0 over
[L, U].  Substituted from a pre-activation back to the inputs they give A x + d on either side, whose
range over a box is elementary.  All parts go through the same array operations.

On a small part nearly all units are decided and these bounds are almost exact, so for few inputs the
union comes close to the true range, which no relaxation over the whole box does.  Parts that the
constraints exclude are dropped; in an optimization also those that cannot beat a known point, and
then the box itself shrinks to the hull of what is left.

Zhang, Weng, Chen, Hsieh & Daniel, Efficient neural network robustness certification with general
activation functions, NeurIPS 2018 (CROWN; the lines of clipped units are those of its Table 2 for two
kinks).  Splitting on inputs with a cutoff is the spatial branch and bound of global optimization;
Bunel et al., Branch and bound for piecewise linear neural network verification, JMLR 21 (2020),
compare it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_whole
from ..kinds import kinds_checked
from ..numerics import Array, Mask
from ..solvers.interrupt import interrupted
from .bounds import Bounds, affine_range, core_box
from .constraints import Linear, as_linear, require_feasible
from .network import ReluNetwork

_CHUNK = 2**21  # entries of the largest array of a batch
_ROUNDS = 60
_PARTS, _WORK = 1024, 2e10  # parts, and multiplications for a round of all of them


@kinds_checked
def split_bounds(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    parts: int | None = None,
    time_budget: float | None = None,
) -> Bounds:
    """Bound all pre-activations by splitting the box.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds of the inputs.
    constraints : linear constraints (see `as_linear`); those on inputs alone are used.
    parts : how many parts the box may have in the end; by default 1024, or fewer where the network
        is large.  With many inputs they stay large themselves.
    time_budget : seconds; the last complete splitting counts.

    Raises
    ------
    InputError
        An unbounded input, no parts, infeasible constraints, named.
    """
    linear = as_linear(network, constraints).on_inputs(network)
    require_feasible(network, box, linear)
    cost = np.zeros(network.inputs + network.outputs)
    core = core_box(network, box)
    return split_box(network, core, linear.core(network), cost, np.inf, parts, time_budget)[1]


def split_box(
    network: ReluNetwork,
    box: Array,
    linear: Linear,
    cost: Array,
    value: float,
    parts: int | None = None,
    time_budget: float | None = None,
) -> tuple[Array, Bounds]:
    """Split a box; keep the parts where cost·[x; y] <= value may hold.

    Parameters
    ----------
    box, linear, cost, value : over inner inputs and outputs (see `ReluNetwork.core`).
    parts, time_budget : as for `split_bounds`.

    Returns
    -------
    The hull of the parts that are left, and bounds that hold on it wherever the constraints and the
    value do.
    """
    parts = _affordable(network) if parts is None else check_whole("parts", parts)
    began = time.perf_counter()
    deadline = np.inf if time_budget is None else began + time_budget
    value += 1e-6 * (1.0 + abs(value)) if np.isfinite(value) else 0.0
    boxes = box[None]
    bounds = _bounds(network, boxes)
    complete = True
    for _ in range(_ROUNDS):
        widths = (boxes[:, :, 1] - boxes[:, :, 0]) / np.maximum(box[:, 1] - box[:, 0], 1e-300)
        if 2 * len(boxes) > parts or widths.max() < 1e-4:
            break
        if interrupted() or time.perf_counter() > deadline:
            complete = False
            break
        halves = _halved(boxes, widths.argmax(axis=1))
        found = _bounds(network, halves)
        kept = _kept(halves, found, linear, cost, value)
        if not kept.any():  # the constraints alone exclude all, to rounding: keep what was proved
            break
        boxes = halves[kept]
        bounds = [a[kept] for a in found[0]], [a[kept] for a in found[1]]
    hull = np.stack([boxes[:, :, 0].min(axis=0), boxes[:, :, 1].max(axis=0)], axis=1)
    lower, upper = bounds
    return hull, Bounds(
        tuple(a.min(axis=0) for a in lower),
        tuple(a.max(axis=0) for a in upper),
        kind="split",
        seconds=time.perf_counter() - began,
        complete=complete,
        conditional=bool(np.isfinite(value) or linear.A[:, network.inputs :].any()),
    )


def _affordable(network: ReluNetwork) -> int:
    """Return how many parts can be bounded in some seconds."""
    n = network.sizes
    work = sum(4 * n[j] * n[k] * n[k - 1] for j in range(2, len(n)) for k in range(1, j))
    return int(np.clip(_WORK / max(work, 1), 1, _PARTS))


def _bounds(network: ReluNetwork, boxes: Array) -> tuple[list[Array], list[Array]]:
    """Return `crown_bounds`, computed in batches that fit the cache."""
    widest = max(W.shape[0] * max(W.shape) for W in network.weights)
    count = max(1, -(-len(boxes) * widest // _CHUNK))
    core = network.core()
    found = [
        crown_bounds(core, part[:, :, 0], part[:, :, 1]) for part in np.array_split(boxes, count)
    ]
    layers = range(len(network.weights))
    return (
        [np.concatenate([f[0][k] for f in found]) for k in layers],
        [np.concatenate([f[1][k] for f in found]) for k in layers],
    )


def _halved(boxes: Array, axis: NDArray[np.int64]) -> Array:
    """Return both halves of every box, cut across ``axis``."""
    rows = np.arange(len(boxes))
    middle = boxes[rows, axis].mean(axis=1)
    left, right = boxes.copy(), boxes.copy()
    left[rows, axis, 1], right[rows, axis, 0] = middle, middle
    return np.concatenate([left, right])


def _kept(
    boxes: Array,
    bounds: tuple[list[Array], list[Array]],
    linear: Linear,
    cost: Array,
    value: float,
) -> Mask:
    """Tell which boxes may hold a point that satisfies the constraints and the value."""
    low = np.hstack([boxes[:, :, 0], bounds[0][-1]])
    up = np.hstack([boxes[:, :, 1], bounds[1][-1]])
    kept = np.ones(len(boxes), dtype=bool)
    if np.isfinite(value):
        kept &= affine_range(cost[None], np.zeros(1), low.T, up.T)[0][0] <= value
    if len(linear.A):
        least, most = affine_range(linear.A, np.zeros((len(linear.A), 1)), low.T, up.T)
        slack = 1e-7 * (1.0 + np.abs(linear.A).sum(axis=1))[:, None]
        kept &= (least <= linear.upper[:, None] + slack).all(axis=0)
        kept &= (most >= linear.lower[:, None] - slack).all(axis=0)
    return kept


@dataclass(frozen=True, eq=False)
class LinearRelaxation:
    """Slopes and offsets of the lines below and above every unit of a layer, (boxes, units) each."""

    below: Array
    below_offset: Array
    above: Array
    above_offset: Array


def relax_units(low: Array, up: Array, level: Array) -> LinearRelaxation:
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
    return LinearRelaxation(below, below_offset, above, above_offset)


def crown_bounds(network: ReluNetwork, low: Array, up: Array) -> tuple[list[Array], list[Array]]:
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
    relaxed: list[LinearRelaxation] = []
    v_low, v_up = low, up
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        plus, minus = np.maximum(W, 0.0), np.minimum(W, 0.0)
        a_low, a_up = v_low @ plus.T + v_up @ minus.T + b, v_up @ plus.T + v_low @ minus.T + b
        if layer:
            a_low = np.maximum(a_low, _backwards(network, relaxed, layer, low, up, 1.0))
            a_up = np.minimum(a_up, -_backwards(network, relaxed, layer, low, up, -1.0))
            a_up = np.maximum(a_up, a_low)  # rounding, where both are the same number
        lower.append(a_low)
        upper.append(a_up)
        if layer < len(network.clip):
            relaxed.append(relax_units(a_low, a_up, network.level(layer)))
            v_low, v_up = network.activated(a_low, layer), network.activated(a_up, layer)
    return lower, upper


def _backwards(
    network: ReluNetwork,
    relaxed: list[LinearRelaxation],
    layer: int,
    low: Array,
    up: Array,
    sign: float,
) -> Array:
    """Return lower bounds of sign·a of a layer, (boxes, units)."""
    A = np.broadcast_to(sign * network.weights[layer], (len(low), *network.weights[layer].shape))
    total = np.broadcast_to(sign * network.biases[layer], A.shape[:2]).copy()
    for k in range(layer - 1, -1, -1):
        plus, minus, unit = np.maximum(A, 0.0), np.minimum(A, 0.0), relaxed[k]
        total += np.einsum("bij,bj->bi", plus, unit.below_offset)
        total += np.einsum("bij,bj->bi", minus, unit.above_offset)
        A = plus * unit.below[:, None, :] + minus * unit.above[:, None, :]
        total += A @ network.biases[k]
        A = A @ network.weights[k]
    plus, minus = np.maximum(A, 0.0), np.minimum(A, 0.0)
    return np.asarray(
        total + np.einsum("bij,bj->bi", plus, low) + np.einsum("bij,bj->bi", minus, up)
    )
