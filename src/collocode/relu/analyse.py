r"""The figures that explain how hard a network is to optimize over.

Decided units need no binary; big-Ms and the gap at the root say how weak the relaxation is; linear
regions how much there is to search; nodes and seconds what it cost, the bounds' own time apart; and
the error on test data what the network is worth as a surrogate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..checks import check_choice, counted
from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from ..numerics.random import generator
from ..solvers.threads import single_threaded
from .bounds import Bounds, as_box, count_states
from .constraints import sampled_range
from .network import ReluNetwork
from .optimise import maximize, minimize
from .problem import OptimizationSettings, OptimumResult
from .proved import proved_bounds
from .regions import planar_regions, sampled_regions, segment_breaks

_PLANE = 20_000  # sampled regions above which the plane is not cut


@dataclass(frozen=True, kw_only=True)
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
    """Errors on test data, one entry per output.

    Attributes
    ----------
    rmse, largest : root mean square and largest error.
    relative : rmse over the standard deviation of the data.
    """

    rmse: tuple[float, ...]
    relative: tuple[float, ...]
    largest: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Indicators of a network over a box.

    Attributes
    ----------
    network : whose they are.
    facts : one entry per set of bounds.
    regions : counts of linear regions.
    results : the optimization with each set of bounds; empty if none was asked for.
    error : on test data, None without.
    """

    network: ReluNetwork
    facts: tuple[BoundFacts, ...]
    regions: RegionCounts
    results: tuple[OptimumResult, ...]
    error: SurrogateError | None

    @property
    def table(self) -> pd.DataFrame:
        """One row per set of bounds."""
        rows = []
        for k, fact in enumerate(self.facts):
            row: dict[str, Any] = {
                "bounds": fact.kind,
                "stable": fact.stable_share,
                "undecided": fact.undecided,
                "big-M mean": fact.big_m_mean,
                "big-M largest": fact.big_m_largest,
                "excess": fact.excess,
                "tightening s": fact.seconds,
            }
            if self.results:
                found = self.results[k]
                row |= {
                    "root gap": found.root_gap,
                    "nodes": found.nodes,
                    "solver s": found.seconds,
                    "total s": found.seconds + found.tightening_seconds,
                    "optimum": found.value,
                    "status": found.status.value,
                }
            rows.append(row)
        return pd.DataFrame(rows).set_index("bounds")

    def __repr__(self) -> str:
        exact = "" if self.regions.planar is None else f", {self.regions.planar} in all"
        lines = [
            f"{self.network!r}, {counted(self.network.units, 'hidden unit')}",
            f"linear regions: {self.regions.sampled} at {self.regions.samples} random inputs, "
            f"{self.regions.segment:.1f} along a segment{exact}",
        ]
        if self.error is not None:
            shown = ", ".join(f"{e:.2%}" for e in self.error.relative)
            lines.append(f"test error: {shown} of the standard deviation")
        shown = self.table.to_string(float_format=lambda v: f"{v:.3g}")
        return "\n".join([*lines, shown])


@single_threaded
def analyse(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    *,
    objective: int | ArrayLike = 0,
    bounds: Sequence[Any] = ("interval", "lp", "split"),
    solve: bool = True,
    sense: str = "maximize",
    data: tuple[ArrayLike, ArrayLike] | None = None,
    samples: int = 20_000,
    seed: int = 0,
    settings: OptimizationSettings | None = None,
    **changes: Any,
) -> Analysis:
    """Return the indicators of a network over a box, under each set of bounds.

    Parameters
    ----------
    box, constraints, objective : see `maximize`.
    bounds : the sets to compare, see `proved_bounds`.
    solve : optimize with each of them, for root gap, nodes and time.
    sense : ``maximize`` or ``minimize``.
    data : (x, y) test samples.
    samples, seed : random inputs for counts and ranges.
    settings, changes : as for `maximize`; without settings the solver has 60 seconds each time.

    Raises
    ------
    InputError
        As `maximize`; ``data`` of another shape.

    Examples
    --------
    >>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> found = analyse(absolute, [(-2.0, 1.0)], samples=1000)
    >>> found.regions.sampled, found.facts[0].undecided, found.results[0].value
    (2, 2, 2.0)
    """
    check_choice("sense", sense, ("maximize", "minimize"))
    how = (settings or OptimizationSettings(time_limit=60.0)).changed(changes)
    limits = as_box(network, box)
    reached = sampled_range(network, limits, samples, seed)
    regions = count_regions(network, limits, samples, seed)
    error = None if data is None else surrogate_error(network, *data)
    facts, results = [], []
    for kind in bounds:
        if solve:
            optimise = maximize if sense == "maximize" else minimize
            found = optimise(
                network, limits, constraints, objective=objective, settings=how, bounds=kind
            )
            results.append(found)
            # the ranges of scaled units say nothing about those that were reached
            excess = np.nan if how.scaling else _excess(found.bounds, reached)
            units, big_m = found.summary.units, np.array(found.summary.big_m)
            facts.append(_facts(kind, found.tightening_seconds, units, big_m, excess))
        else:
            linear = None if callable(constraints) else constraints
            ranges = proved_bounds(network, limits, kind, linear, how.time_budget)
            units, big_m = count_states(ranges.stable(network)), ranges.big_m(network)
            facts.append(_facts(kind, ranges.seconds, units, big_m, _excess(ranges, reached)))
    return Analysis(network, tuple(facts), regions, tuple(results), error)


def _facts(
    bounds: Any, seconds: float, units: Mapping[str, int], big_m: Array, excess: float
) -> BoundFacts:
    """Return counts of units and sizes of big-Ms as `BoundFacts`."""
    if isinstance(bounds, Bounds):
        kind = bounds.kind
    else:
        kind = bounds if isinstance(bounds, str) else f"M = {bounds:g}"
    size = big_m if len(big_m) else np.zeros(1)
    return BoundFacts(
        kind=kind,
        seconds=seconds,
        **units,
        big_m_mean=float(size.mean()),
        big_m_median=float(np.median(size)),
        big_m_largest=float(size.max()),
        excess=excess,
    )


def _excess(bounds: Bounds, reached: Bounds) -> float:
    """Return the mean over hidden units of width over sampled width, those that never move left out."""
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
    rng = generator(seed)
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


@kinds_checked
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
    return SurrogateError(*(tuple(part.tolist()) for part in (rmse, relative, largest)))
