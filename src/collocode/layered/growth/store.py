"""Files of growths: what was done at each depth, with the trainings themselves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...files import Schema
from ...results.status import Termination
from ..trainers.training import training_of
from .growth import Extension, Growth, GrowthCycle

GROWTH = Schema("growth", 1, "a growth")  # a new version too when the trainings' files get one


def save_growth(growth: Growth, path: str | Path) -> Path:
    """Write a growth to an ``.npz`` file, in one step; return its path.

    Raises
    ------
    FileError
        The folder is missing or cannot be written.
    """
    return GROWTH.write(
        path,
        {
            "termination": growth.termination.name,
            "message": growth.message,
            "indicator": growth.indicator,
            "trainer": growth.trainer,
            "name": growth.name,
            "cycles": [_entry(cycle) for cycle in growth.cycles],
        },
    )


def load_growth(path: str | Path) -> Growth:
    """Read what `save_growth` wrote, a checkpoint of `grow` for example.

    Raises
    ------
    FileError
        Missing, corrupt or foreign file.
    """
    return GROWTH.read(path, _growth)


def _growth(tree: dict[str, Any]) -> Growth:
    cycles = tuple(_cycle(entry) for entry in tree["cycles"])
    if not cycles:
        raise ValueError("it has no cycles")
    words = {key: str(tree[key]) for key in ("message", "indicator", "trainer", "name")}
    return Growth(termination=Termination[tree["termination"]], cycles=cycles, **words)


def _entry(cycle: GrowthCycle) -> dict[str, Any]:
    return {
        "training": cycle.training.tree(),
        "values": cycle.values,
        "depths": cycle.depths,
        "scoring_seconds": cycle.scoring_seconds,
        "extension": asdict(cycle.extension) if cycle.extension else None,
        "frozen": cycle.frozen,
    }


def _cycle(entry: dict[str, Any]) -> GrowthCycle:
    training = training_of(entry["training"])
    values, depths = (np.asarray(entry[name], dtype=float) for name in ("values", "depths"))
    if values.shape != depths.shape:
        raise ValueError("scores and depths differ in number")
    frozen = entry["frozen"]
    if frozen is not None and (frozen.dtype, frozen.shape) != (bool, training.theta.shape):
        raise ValueError("the frozen weights do not fit the network")
    return GrowthCycle(
        training=training,
        values=values,
        depths=depths,
        scoring_seconds=float(entry["scoring_seconds"]),
        extension=Extension(**entry["extension"]) if entry["extension"] else None,
        frozen=frozen,
    )
