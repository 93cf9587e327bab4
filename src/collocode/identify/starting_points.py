"""Starts scattered over the parameters' bounds, on their scales, and when to give one up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import qmc

from ..model.parameters import SCALES, Parameter
from ..model.problem import Problem

CANDIDATES = 10
_DECADES = 2.0  # about a start, where a bound is missing
_PATIENCE = 40  # iterations before a climb can be given up ...
_AHEAD = 5.0  # ... if so many times its last twenty steps' gain leave it ...
_BEHIND = 10.0  # ... by so much of -log L behind the best


def starting_points(problem: Problem, seeds: Sequence[int]) -> list[list[dict[str, float]]]:
    """Return candidates for every seed, parameter values in natural units; seed 0 has the parameters' own starts.

    The others are points of a Latin hypercube between the decided bounds, or over the parameters' ``starts``
    (McKay, Beckman and Conover, Technometrics 21, 1979), which depends on the largest seed alone.  Odd seeds
    begin as they are drawn; even ones from what explains the data best of `CANDIDATES`, which leads away from
    plateaus but prefers models that hardly react, so neither is best for all problems.
    """
    free = [q for q in problem.all_parameters if q.lower < q.upper and not q.per_experiment]
    free = [q for q in free if not all(q.name in e.parameters for e in problem.experiments)]
    if not free:
        return [[{}] for _ in seeds]
    count = max(1, max(seeds))
    unit = qmc.LatinHypercube(len(free), rng=0).random(CANDIDATES * count)
    points: list[list[dict[str, float]]] = []
    for seed in seeds:
        first, most = CANDIDATES * (seed - 1), 1 if seed % 2 else CANDIDATES
        block = unit[first : first + most] if seed else unit[:0]
        placed = [[_place(q, u) for u, q in zip(row, free, strict=True)] for row in block.tolist()]
        named = [zip(free, z, strict=True) for z in placed]
        points.append([{q.name: float(q.natural(v)) for q, v in pairs} for pairs in named] or [{}])
    return points


def _place(q: Parameter, share: float) -> float:
    """Where to look for a parameter, as it is decided."""
    if q.starts is not None:
        return q.drawn(share)
    low, high = _range(q)
    return low + share * (high - low)


def _range(q: Parameter) -> tuple[float, float]:
    """Between what a parameter is looked for, as it is decided."""
    low, high = q.decided_bounds
    start = float(q.decided(q.start))
    decade = SCALES[q.scale].decade
    width = _DECADES * (decade if math.isfinite(decade) else max(abs(start), 1e-3))
    return (
        low if math.isfinite(low) else start - width,
        high if math.isfinite(high) else start + width,
    )


def hopeless(best: float) -> Callable[[Sequence[float]], bool]:
    """Return whether a climb, told by its values of -log L, will not come near the best so far."""

    def give_up(values: Sequence[float]) -> bool:
        if len(values) <= _PATIENCE or not np.isfinite(best):
            return False
        gain = values[-21] - values[-1]
        return bool(values[-1] - _AHEAD * gain > best + _BEHIND)

    return give_up
