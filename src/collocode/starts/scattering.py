"""Points scattered over the values that parameters may have, and which of them lie in basins of their own."""

from __future__ import annotations

import numpy as np

from ..numerics import Array, Index
from ..transcription.nlp import NLP

_POINTS, _MOST_DOUBLED = 64, 2  # twice as many a parameter, up to two of them
_NEAR, _FAR = 1.0, 2.0  # decades about the parameters' starts
_WIDE = 1e3  # times the start, beyond which a bound only says that there is none


def spread_out(nlp: NLP, columns: Index, x: Array) -> Array:
    """(points, columns) values of parameters: half of them within a factor of ten of ``x``, half over all they may be.

    That is between the bounds, if there are two of the size of ``x``; else within a factor of a hundred.
    """
    count, here = len(columns), x[columns]
    lower, upper = nlp.lower[columns], nlp.upper[columns]
    unit = _evenly(_POINTS * 2 ** min(count, _MOST_DOUBLED), 2 * count)
    size = np.maximum(np.abs(here), nlp.column_scale[columns])
    by_decades = np.isin(columns, _decades(nlp))
    positive = (here > 0.0) & (lower >= 0.0) & ~by_decades
    width = np.where(by_decades, np.log(10.0), 10.0 * size)

    def about(share: Array, decades: float) -> Array:
        off = decades * (2.0 * share - 1.0)
        return np.asarray(np.where(positive, here * 10.0**off, here + width * off))

    bounded = np.isfinite(upper - lower) & (
        by_decades | (np.maximum(np.abs(lower), np.abs(upper)) <= _WIDE * size)
    )
    with np.errstate(invalid="ignore"):  # inf - inf, where there are no bounds
        between = lower + unit[:, :count] * (upper - lower)
    far = np.where(bounded, between, about(unit[:, :count], _FAR))
    near = about(unit[:, count:], _NEAR)
    # one of each in turn, so that those that can be afforded are spread as well
    points = np.stack([near, far], axis=1).reshape(-1, count)[: len(unit)]
    return np.clip(points, lower, upper)


def around(nlp: NLP, columns: Index, x: Array, share: float) -> Array:
    """(points, columns) values within a share of those of ``x``, of a decade or of a state's size, between the bounds."""
    here, count = x[columns], len(columns)
    unit = _evenly(_POINTS * 2 ** min(count, _MOST_DOUBLED), count)
    size = np.maximum(np.abs(x), nlp.column_scale)
    for part in nlp.layout.experiments:
        size[part.states[0]] = nlp.problem.state_scale
    size = size[columns]
    width = share * np.where(np.isin(columns, _decades(nlp)), 1.0, size)
    points = here + width * (2.0 * unit - 1.0)
    return np.clip(points, nlp.lower[columns], nlp.upper[columns])


def basins(nlp: NLP, columns: Index, points: Array, costs: Array) -> Index:
    """Numbers of the points that cost less than their neighbours, the cheapest first.

    Source: Törn and Viitanen, *Topographical global optimization*, in Recent Advances in Global
    Optimization, Princeton University Press, 1992.
    """
    values = points[:, columns]
    size = np.maximum(np.median(np.abs(values), axis=0), nlp.column_scale[columns])
    place = np.where(np.isin(columns, _decades(nlp)), values, np.arcsinh(10.0 * values / size))
    apart = np.abs(place[:, None] - place[None]).max(axis=2)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1, kind="stable")[:, : min(2 * len(columns), len(points) - 1)]
    lowest = np.flatnonzero(costs < costs[near].min(axis=1, initial=np.inf))
    return np.asarray(lowest[np.argsort(costs[lowest], kind="stable")])


def _decades(nlp: NLP) -> list[int]:
    """Columns of parameters that are decided on another scale than the linear one."""
    scaled = [q.name for q in nlp.problem.all_parameters if q.scale != "linear"]
    return [c for name in scaled for c in nlp.layout.columns_of(name).tolist()]


def _evenly(count: int, dimension: int) -> Array:
    """(count, dimension) points that fill the unit cube evenly, however many there are: multiples of irrational numbers.

    They are powers of the positive root of z^(dimension + 1) = z + 1 (Roberts, *The unreasonable effectiveness of
    quasirandom sequences*, 2018).  SciPy's sequences are as good, but its statistics load for longer than a fit.
    """
    root = 2.0
    for _ in range(40):
        root = (1.0 + root) ** (1.0 / (dimension + 1))
    steps = 1.0 / root ** np.arange(1, dimension + 1)
    return np.asarray((0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0)
