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

from ..errors import InputError
from .bounds import Bounds, as_box, sampled_range
from .indicators import (
    BoundFacts,
    RegionCounts,
    SurrogateError,
    bound_facts,
    count_regions,
    excess_of,
    facts_of,
    surrogate_error,
)
from .network import ReluNetwork
from .optimise import maximize, minimize
from .proof import proved_bounds
from .result import OptimumResult


@dataclass(frozen=True, eq=False)
class Analysis:
    """Indicators of a network over a box.

    Attributes
    ----------
    network : whose they are.
    facts : one entry a set of bounds.
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
        """One row a set of bounds."""
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
            f"{self.network!r}, {self.network.units} hidden units",
            f"linear regions: {self.regions.sampled} at {self.regions.samples} random inputs, "
            f"{self.regions.segment:.1f} along a segment{exact}",
        ]
        if self.error is not None:
            shown = ", ".join(f"{e:.2%}" for e in self.error.relative)
            lines.append(f"test error: {shown} of the standard deviation")
        shown = self.table.to_string(float_format=lambda v: f"{v:.3g}")
        return "\n".join([*lines, shown])


def analyse(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    *,
    bounds: Sequence[Any] = ("interval", "lp", "split"),
    solve: bool = True,
    sense: str = "maximize",
    data: tuple[ArrayLike, ArrayLike] | None = None,
    samples: int = 20_000,
    seed: int = 0,
    time_budget: float | None = None,
    time_limit: float | None = 60.0,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Analysis:
    """Return the indicators of a network over a box, under each set of bounds.

    Parameters
    ----------
    box, constraints : see `maximize`.
    bounds : the sets to compare, see `proved_bounds`.
    solve : optimize with each of them, for root gap, nodes and time.
    sense : ``maximize`` or ``minimize``.
    data : (x, y) test samples.
    samples, seed : random inputs for counts and ranges.
    time_budget : seconds for the bounds.
    time_limit, options, settings : of `maximize`.

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
    if sense not in ("maximize", "minimize"):
        raise InputError(f"sense must be maximize or minimize, not {sense!r}.")
    limits = as_box(network, box)
    reached = sampled_range(network, limits, samples, seed)
    regions = count_regions(network, limits, samples, seed)
    error = None if data is None else surrogate_error(network, *data)
    facts, results = [], []
    for kind in bounds:
        if not solve:
            linear = None if callable(constraints) else constraints
            ranges = proved_bounds(network, limits, kind, linear, time_budget)
            facts.append(bound_facts(network, ranges, reached, _label(kind)))
            continue
        found = (maximize if sense == "maximize" else minimize)(
            network,
            limits,
            constraints,
            bounds=kind,
            time_budget=time_budget,
            time_limit=time_limit,
            options=options,
            **settings,
        )
        results.append(found)
        # the ranges of scaled units say nothing about those that were reached
        excess = np.nan if settings.get("scaling") else excess_of(found.bounds, reached)
        record = found.record
        facts.append(
            facts_of(_label(kind), found.tightening_seconds, record.units, record.big_m, excess)
        )
    return Analysis(network, tuple(facts), regions, tuple(results), error)


def _label(bounds: Any) -> str:
    if isinstance(bounds, Bounds):
        return bounds.kind
    return bounds if isinstance(bounds, str) else f"M = {bounds:g}"
