"""Which bounds an encoding gets, and whether bounds that a user gives hold.

A big-M below the true range of a pre-activation cuts off part of the network's graph without a word,
and the optimum with it: `proved_bounds` compares bounds that a user gives with proved ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import apart
from ..errors import InputError
from .bounds import Bounds, interval_bounds, unit_name
from .mip_bounds import mip_bounds
from .network import ReluNetwork
from .splitting import split_bounds
from .tighten import lp_bounds

# relative; how far given bounds may be inside the proved ones
_ROUNDING = 1e-9
_ROUNDING_OF_PROGRAMS = 2e-6  # twice what mip_bounds moves its bounds out by


def proved_bounds(
    network: ReluNetwork,
    box: ArrayLike,
    bounds: Any = "interval",
    constraints: Any = None,
    time_budget: float | None = None,
    workers: int = 1,
) -> Bounds:
    """Return bounds of the pre-activations that are known to hold.

    Parameters
    ----------
    bounds : ``interval``; ``lp``; ``mip``; ``split``, which is `split_bounds` and then ``lp``;
        `Bounds`, or a number M for [-M, M], which are used as they are if each contains the range proved by
        interval arithmetic or by linear programs (those of `mip_bounds`: by such programs again).
    constraints, time_budget, workers : as for `lp_bounds` and `mip_bounds`.

    Raises
    ------
    InputError
        Bounds of another kind or shape, or tighter than what can be proved, the unit named.
    """
    kinds = "'interval', 'lp', 'mip', 'split', a number or Bounds"
    if isinstance(bounds, str):
        if bounds == "interval":
            return interval_bounds(network, box)
        if bounds == "lp":
            return lp_bounds(network, box, constraints, time_budget, workers)
        if bounds == "mip":
            return mip_bounds(network, box, constraints, time_budget, workers)
        if bounds == "split":
            known = split_bounds(network, box, constraints, time_budget=time_budget)
            if time_budget is not None:
                time_budget = max(0.0, time_budget - known.seconds)
            return lp_bounds(network, box, constraints, time_budget, workers, known)
        raise InputError(f"bounds must be {kinds}, not {bounds!r}.")
    if isinstance(bounds, Bounds):
        given = bounds
        given.check(network)
    elif isinstance(bounds, int | float | np.number) and not isinstance(bounds, bool):
        if not (np.isfinite(bounds) and bounds > 0.0):
            raise InputError(f"a big-M must be positive and finite, not {bounds}.")
        sides = tuple(np.full(n, float(bounds)) for n in network.sizes[1:])
        # M is about units: an output has no big-M, so its own range stays
        outer = interval_bounds(network, box)
        given = Bounds((*(-s for s in sides[:-1]), outer.lower[-1]), (*sides[:-1], outer.upper[-1]))
    else:
        raise InputError(f"bounds must be {kinds}, not {type(bounds).__name__}.")
    proved = interval_bounds(network, box)
    exact = given.kind == "mip"  # nobody's own number is worth programs with binaries
    slack = _ROUNDING_OF_PROGRAMS if exact else _ROUNDING
    for prove in (lp_bounds, mip_bounds)[: 1 + exact]:
        if given.contains(proved, slack):
            break
        proved = prove(network, box, constraints, time_budget, workers)
    _require(given, proved, slack)
    return given


def _require(given: Bounds, proved: Bounds, slack: float) -> None:
    for layer, (low, up) in enumerate(zip(proved.lower, proved.upper, strict=True)):
        slack_low, slack_up = (slack * (1.0 + np.abs(side)) for side in (low, up))
        cut = (given.lower[layer] > low + slack_low) | (given.upper[layer] < up - slack_up)
        if cut.any():
            unit = int(np.flatnonzero(cut)[0])
            told = apart(given.lower[layer][unit], given.upper[layer][unit], low[unit], up[unit])
            raise InputError(
                f"the bounds [{told[0]}, {told[1]}] of "
                f"{unit_name(layer, unit, len(proved.lower))} would cut the graph of the network: "
                f"what can be proved is [{told[2]}, {told[3]}]; widen them, or use "
                "bounds='lp'."
            )
