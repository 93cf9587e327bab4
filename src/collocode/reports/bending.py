"""Intervals that are not what they say, since the model bends within them: told by holding parameters at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..identify.intervals import Uncertainty

LEAST = 0.85  # what an interval of 95 % has to hold by the profile: three times the risk that it says is told
_WIDE = 0.15  # of an estimate: a standard deviation within which models are straight
_MOST_COLUMNS = 20_000  # of all solves together


def bent(trust: Uncertainty, rows: Sequence[Mapping[str, Any]], columns: int) -> dict[str, float]:
    """By name of a parameter, how sure its interval of 95 % is by the profile, where that is less than 85 %.

    Intervals that are narrow beside their estimate are not asked, nor any where the solves, of ``columns`` each,
    would be many.
    """
    wide = [
        row["name"]
        for row in rows
        if np.isfinite(row["std"]) and row["std"] > _WIDE * abs(row["value"]) and not row["note"]
    ]
    if not wide or columns * len(wide) > _MOST_COLUMNS:
        return {}
    return {name: p for name, p in trust.profiled_level(names=wide).items() if p < LEAST}
