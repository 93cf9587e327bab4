"""What bounds, linear regions and test data say about a network, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .bounds import UNDECIDED, Bounds, describe
from .network import ReluNetwork
from .regions import planar_regions, sampled_regions, segment_breaks

Array = NDArray[np.float64]
_PLANE = 20_000  # sampled regions above which the plane is not cut


@dataclass(frozen=True)
class BoundFacts:
    """What a set of bounds says about a network.

    Attributes
    ----------
    kind, seconds : of the bounds.
    off, on, saturated, undecided : numbers of hidden units.
    big_m_mean, big_m_median, big_m_largest : of max(|L|, |U|) over the undecided units.
    excess : mean over hidden units of (U - L) / (sampled range): 1 would be exact, and less means
        that parts of the box were left out because the optimum cannot be there.
    """

    kind: str
    seconds: float
    off: int
    on: int
    saturated: int
    undecided: int
    big_m_mean: float
    big_m_median: float
    big_m_largest: float
    excess: float

    @property
    def stable_share(self) -> float:
        """Share of hidden units that need no binary."""
        units = self.off + self.on + self.saturated + self.undecided
        return 1.0 - self.undecided / units if units else 1.0


@dataclass(frozen=True)
class RegionCounts:
    """How many linear regions a network has in a box.

    Attributes
    ----------
    sampled, samples : patterns met, and at how many random inputs; a lower bound of all.
    segment : mean exact number along random segments from face to face.
    planar : exact number, with two inputs; None otherwise, or where there are too many.
    """

    sampled: int
    samples: int
    segment: float
    planar: int | None


@dataclass(frozen=True)
class SurrogateError:
    """Errors on test data, one entry an output.

    Attributes
    ----------
    rmse, largest : root mean square and largest error.
    relative : rmse over the standard deviation of the data.
    """

    rmse: tuple[float, ...]
    relative: tuple[float, ...]
    largest: tuple[float, ...]


def bound_facts(
    network: ReluNetwork, bounds: Bounds, reached: Bounds, label: str | None = None
) -> BoundFacts:
    """Return what bounds say about a network; ``reached`` are sampled ranges."""
    states = bounds.stable(network)
    chosen = [
        np.maximum(np.abs(low), np.abs(up))[state == UNDECIDED]
        for low, up, state in zip(bounds.lower, bounds.upper, states, strict=False)
    ]
    size = np.concatenate([np.zeros(0), *chosen])
    excess = excess_of(bounds, reached)
    return facts_of(label or bounds.kind, bounds.seconds, describe(states), size, excess)


def facts_of(
    kind: str, seconds: float, units: Mapping[str, int], big_m: ArrayLike, excess: float
) -> BoundFacts:
    """Return counts of units and sizes of big-Ms as `BoundFacts`."""
    size = np.asarray(big_m, dtype=float)
    size = size if len(size) else np.zeros(1)
    return BoundFacts(
        kind,
        seconds,
        **units,
        big_m_mean=float(size.mean()),
        big_m_median=float(np.median(size)),
        big_m_largest=float(size.max()),
        excess=excess,
    )


def excess_of(bounds: Bounds, reached: Bounds) -> float:
    """Return the mean over hidden units of width over sampled width; units that never move are left out."""
    wide, seen = (
        np.concatenate([np.zeros(0), *(u - x for x, u in zip(b.lower, b.upper, strict=True))][:-1])
        for b in (bounds, reached)
    )
    moves = seen > 1e-12 * (1.0 + seen.max(initial=0.0))
    return float(np.mean(wide[moves] / seen[moves])) if moves.any() else 1.0


def count_regions(
    network: ReluNetwork, box: Array, samples: int = 20_000, seed: int = 0, segments: int = 20
) -> RegionCounts:
    """Count linear regions: sampled, along random segments between opposite faces, in the plane."""
    sampled = sampled_regions(network, box, samples, seed)
    rng = np.random.default_rng(seed)
    wide = np.flatnonzero(box[:, 1] > box[:, 0])
    counts: list[int] = []
    for k in range(segments if len(wide) else 0):
        ends = rng.uniform(box[:, 0], box[:, 1], (2, len(box)))
        face = wide[k % len(wide)]
        ends[:, face] = box[face]
        counts.append(len(segment_breaks(network, *ends)) + 1)
    planar = None
    if len(wide) == network.inputs == 2 and sampled <= _PLANE:
        planar = len(planar_regions(network, box))
    return RegionCounts(sampled, samples, float(np.mean(counts or [1])), planar)


def surrogate_error(network: ReluNetwork, x: ArrayLike, y: ArrayLike) -> SurrogateError:
    """Return the errors of a network on test samples x (samples, inputs), y (samples, outputs).

    Raises
    ------
    InputError
        Shapes that do not fit.
    """
    target = np.asarray(y, dtype=float)
    target = target[:, None] if target.ndim == 1 else target
    guess = network(np.atleast_2d(np.asarray(x, dtype=float)))
    if target.shape != guess.shape:
        raise InputError(
            f"the test data have outputs of shape {target.shape}, but the network gives "
            f"{guess.shape}."
        )
    error = guess - target
    rmse = np.sqrt(np.mean(error**2, axis=0))
    deviation = target.std(axis=0)
    relative = rmse / np.where(deviation > 0.0, deviation, 1.0)
    largest = np.abs(error).max(axis=0)
    return SurrogateError(*(tuple(float(v) for v in part) for part in (rmse, relative, largest)))
