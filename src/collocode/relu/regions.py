r"""Linear regions: the sets of inputs on which every hidden unit stays on one piece.

On each of them the network is affine, y = J x + y_0, and each is convex: within a layer's region the
next layer's pre-activations are affine, so its kinks a = 0 (and a = c of a clipped unit) cut straight.
That gives three counts.  Sampling sees patterns at random inputs, a lower bound.  Along a segment the
kinks are found one layer after the other, exactly.  In a plane the polygons are cut, exactly.

Montufar, Pascanu, Cho & Bengio, On the number of linear regions of deep neural networks, NeurIPS
2014; Hanin & Rolnick, Complexity of linear regions in deep networks, ICML 2019 (segments, planes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import counted
from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from .bounds import as_box, sample_box
from .network import ReluNetwork

Codes = NDArray[np.int8]
MOST = 200_000  # polygons; beyond it a plane is refused
_TOLERANCE = (
    1e-10  # of a layer's largest pre-activation: how far beyond a kink is on its other side
)


def patterns(network: ReluNetwork, x: ArrayLike) -> Codes:
    """Return (samples, hidden units) codes of the piece each unit is on: 0 off, 1 on, 2 saturated."""
    found = network.pre_activations(np.atleast_2d(x))[:-1]
    if not found:
        return np.zeros((len(np.atleast_2d(x)), 0), np.int8)
    codes = [
        (a > 0.0).astype(np.int8) + (a > network.level(layer)) for layer, a in enumerate(found)
    ]
    return np.hstack(codes).astype(np.int8)


def sampled_regions(
    network: ReluNetwork, box: ArrayLike, samples: int = 20_000, seed: int = 0
) -> int:
    """Return how many different patterns random inputs of a box meet: a lower bound of all."""
    points = sample_box(as_box(network, box), samples, seed)
    return len(
        np.unique(np.packbits(patterns(network, points)[:, :, None] == [1, 2], axis=1), axis=0)
    )


@kinds_checked
def segment_breaks(network: ReluNetwork, start: ArrayLike, end: ArrayLike) -> Array:
    """Return where a segment passes from one linear region into the next.

    Parameters
    ----------
    start, end : (inputs,) its ends.

    Returns
    -------
    Increasing numbers t in (0, 1); the inputs are start + t (end - start), and the segment meets
    one region more than there are numbers.

    Raises
    ------
    InputError
        Ends of another shape, or that are the same point.

    Examples
    --------
    >>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> segment_breaks(absolute, [-1.0], [3.0])
    array([0.25])
    """
    first, last = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    if first.shape != (network.inputs,) or last.shape != first.shape or (first == last).all():
        raise InputError(
            f"a segment needs two different points of {counted(network.inputs, 'input')}; the shapes are "
            f"{first.shape} and {last.shape}."
        )
    t = np.array([0.0, 1.0])
    for layer in range(len(network.clip)):
        # between two entries of t this layer's pre-activations are affine
        a = network.pre_activations(first + t[:, None] * (last - first))[layer]
        crossings = [t]
        level = network.level(layer)
        for kink in (np.zeros_like(level), level):
            height = (a - kink)[:, np.isfinite(kink)]
            left, right = height[:-1], height[1:]
            k, unit = np.nonzero((left > 0.0) != (right > 0.0))
            share = left[k, unit] / (left[k, unit] - right[k, unit])
            crossings.append(t[k] + share * (t[k + 1] - t[k]))
        t = np.unique(np.concatenate(crossings))
        t = t[np.concatenate([[True], np.diff(t) > 1e-13])]
    middles = (t[1:] + t[:-1])[:, None] / 2.0
    codes = patterns(network, first + middles * (last - first))
    return np.asarray(t[1:-1][(codes[1:] != codes[:-1]).any(axis=1)])


@dataclass(frozen=True, eq=False)
class PlanarRegions:
    """All linear regions of a network in a rectangle of two inputs.

    Attributes
    ----------
    polygons : one (corners, 2) array a region, counter-clockwise, coordinates of the two inputs.
    gradients : (regions, outputs, 2) change of the outputs with these inputs.
    offsets : (regions, outputs) outputs are gradients · (x_i, x_j) + offsets.
    inputs : numbers of the two inputs; the others are held.
    box : (2, 2) their range.
    """

    polygons: tuple[Array, ...]
    gradients: Array
    offsets: Array
    inputs: tuple[int, int]
    box: Array

    def __len__(self) -> int:
        return len(self.polygons)

    def __repr__(self) -> str:
        return f"PlanarRegions({counted(len(self), 'region')} over inputs {self.inputs})"

    @property
    def areas(self) -> Array:
        """Area of every region, (regions,)."""
        return np.array([_area(p) for p in self.polygons])


def planar_regions(
    network: ReluNetwork,
    box: ArrayLike,
    inputs: Sequence[int] = (0, 1),
    at: ArrayLike | None = None,
) -> PlanarRegions:
    """Cut the rectangle of two inputs into the network's linear regions, exactly.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds.
    inputs : the two that vary.
    at : (inputs,) where the others are held; the middle of the box if None.

    Raises
    ------
    InputError
        Not two different inputs, ``at`` of another shape, more than 200 000 regions.

    Examples
    --------
    >>> corner = ReluNetwork((np.eye(2), [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> found = planar_regions(corner, [(-1.0, 1.0), (-1.0, 2.0)])
    >>> len(found), float(found.areas.sum())
    (4, 6.0)
    """
    limits = as_box(network, box)
    pair = tuple(int(i) for i in inputs)
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= i < network.inputs for i in pair):
        raise InputError(
            f"a plane needs two different inputs of the {network.inputs} there are, not {pair}."
        )
    point = limits.mean(axis=1) if at is None else np.array(at, dtype=float)
    if point.shape != (network.inputs,):
        raise InputError(f"at has shape {point.shape}; give ({network.inputs},) inputs.")
    (x0, x1), (y0, y1) = limits[list(pair)]
    if not (x0 < x1 and y0 < y1):
        raise InputError(f"the rectangle of inputs {pair} has no area; widen the box.")
    polygons = [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])]
    point[list(pair)] = 0.0
    J = (np.eye(network.inputs)[:, list(pair)] / network.input_scale[:, None])[None]
    offset = ((point - network.input_shift) / network.input_scale)[None]
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        J, offset = W @ J, offset @ W.T + b  # (regions, units, 2), (regions, units)
        if layer < len(network.clip):
            polygons, parent = _cut(polygons, J, offset, network.level(layer))
            J, offset = _through(network, layer, polygons, J[parent], offset[parent])
    scale = network.output_scale
    return PlanarRegions(
        tuple(polygons),
        scale[:, None] * J,
        network.output_shift + scale * offset,
        (pair[0], pair[1]),
        limits[list(pair)],
    )


def _through(
    network: ReluNetwork, layer: int, polygons: list[Array], J: Array, offset: Array
) -> tuple[Array, Array]:
    """Apply a layer's units to affine maps, each unit on one piece over its polygon."""
    centre = np.array([p.mean(axis=0) for p in polygons])
    a = np.einsum("rui,ri->ru", J, centre) + offset
    v = network.activated(a, layer)
    on = (a > 0.0) & (a <= network.level(layer))
    return np.where(on[:, :, None], J, 0.0), np.where(on, offset, v)


def _cut(
    polygons: list[Array], J: Array, offset: Array, level: Array
) -> tuple[list[Array], NDArray[np.int64]]:
    """Cut every polygon along the kinks of a layer; return the pieces and whose they are."""
    capped = np.isfinite(level)
    whole: list[Array] = []
    parent: list[int] = []
    for number, polygon in enumerate(polygons):
        a = polygon @ J[number].T + offset[number]
        heights = np.hstack([a, (a - level)[:, capped]])
        slack = _TOLERANCE * max(1.0, float(np.abs(a).max()))
        pending = [(polygon, heights)]
        while pending:
            corners, h = pending.pop()
            crossing = (h.min(axis=0) < -slack) & (h.max(axis=0) > slack)
            if not crossing.any():
                whole.append(corners)
                parent.append(number)
                continue
            h = h[:, crossing]
            pending += _halves(corners, h)
        if len(whole) > MOST:
            raise InputError(
                f"the plane has more than {MOST} linear regions; take a smaller box or network, or "
                "sampled_regions."
            )
    return whole, np.array(parent)


def _halves(corners: Array, heights: Array) -> list[tuple[Array, Array]]:
    """Cut a convex polygon where the first column of heights (affine functions) is zero."""
    both = np.hstack([corners, heights])
    follow = np.roll(both, -1, axis=0)
    h, h_next = both[:, 2], follow[:, 2]
    crosses = ((h > 0.0) & (h_next < 0.0)) | ((h < 0.0) & (h_next > 0.0))
    share = np.where(crosses, h, 0.0) / np.where(crosses, h - h_next, 1.0)
    new = both + share[:, None] * (follow - both)
    new[:, 2] = 0.0
    halves = []
    for sign in (1.0, -1.0):
        # each kept corner, and behind it the point where its edge crosses
        rows = np.stack([both, new], axis=1)
        keep = np.column_stack([sign * h >= 0.0, crosses])
        part = rows[keep]
        halves.append((part[:, :2], part[:, 3:]))
    return halves


def _area(corners: Array) -> float:
    x, y = corners.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0
