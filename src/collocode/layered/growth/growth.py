"""What growing a network returns: its cycles, the best network, how it ended; and its file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...archives import Schema
from ...checks import check_path, counted
from ...forms import Numbers
from ...kinds import check_type
from ...numerics import Array, Mask
from ...results.status import Outcome, Termination
from ..network import LayeredNetwork
from ..trainers.training import TRAINED, Training, training_of
from .insertion import Extension


@dataclass(frozen=True, eq=False, kw_only=True)
class GrowthCycle:
    """One depth: its training, what the indicator said of it, and what was done then.

    Attributes
    ----------
    training : at this depth.
    values, depths : (L,) scores and where in [0, T] they are; empty where none were taken.
    scoring_seconds : what they cost.
    extension : how the next network was made; None if it was the last.
    frozen : (n_weights,) true on weights that were not trained; None if all were.
    """

    training: Training
    values: Array = field(default_factory=lambda: np.empty(0))
    depths: Array = field(default_factory=lambda: np.empty(0))
    scoring_seconds: float = 0.0
    extension: Extension | None = None
    frozen: Mask | None = None

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.training.network.layers

    @property
    def least_loss(self) -> float:
        """Least validation loss; without validation the least objective."""
        for column in ("validation_loss", "objective"):
            values = self.training.history[column].to_numpy(dtype=float)
            if np.isfinite(values).any():
                return float(np.nanmin(values))
        return float("inf")


@dataclass(frozen=True, eq=False, kw_only=True)
class Growth(Outcome):
    """The outcome of `grow`.

    Attributes
    ----------
    termination, message : why it stopped; ``status`` in words.
    indicator, trainer : names of both.
    cycles : all depths, the first one first.
    name : of the problem.
    """

    indicator: str
    trainer: str
    cycles: tuple[GrowthCycle, ...]
    name: str = "layered network"

    @property
    def success(self) -> bool:
        """Whether it ended by a rule of its own, not by a limit of time, Ctrl-C or a failure."""
        limits = (Termination.TIME_LIMIT, Termination.INTERRUPTED)
        return self.termination not in limits and not self.termination.failed

    @property
    def best_cycle(self) -> int:
        """Cycle of least validation loss; of least objective without validation."""
        return int(np.argmin([cycle.least_loss for cycle in self.cycles]))

    @property
    def best(self) -> Training:
        """Training at the best depth; its ``best`` are the weights to use."""
        return self.cycles[self.best_cycle].training

    @property
    def last(self) -> Training:
        """Training at the last depth."""
        return self.cycles[-1].training

    @property
    def network(self) -> LayeredNetwork:
        """The best network."""
        return self.best.network

    @property
    def theta(self) -> Array:
        """Weights of the best network."""
        return self.best.best

    @property
    def iterations(self) -> int:
        """Iterations of all trainings."""
        return sum(cycle.training.iterations for cycle in self.cycles)

    @property
    def training_seconds(self) -> float:
        """Wall time of all trainings."""
        return float(sum(cycle.training.seconds for cycle in self.cycles))

    @property
    def scoring_seconds(self) -> float:
        """Wall time of all scores and line searches."""
        searches = sum(cycle.extension.seconds for cycle in self.cycles if cycle.extension)
        return float(searches + sum(cycle.scoring_seconds for cycle in self.cycles))

    def table(self) -> pd.DataFrame:
        """One row per depth: layers, training, validation, score and what the new layer did."""
        return pd.DataFrame([_row(n, cycle) for n, cycle in enumerate(self.cycles)])

    @property
    def history(self) -> pd.DataFrame:
        """Histories of all trainings, one after the other: iterations and seconds run on."""
        parts, iterations, seconds = [], 0, 0.0
        for number, cycle in enumerate(self.cycles):
            part = cycle.training.history.assign(cycle=number, layers=cycle.layers)
            part["iteration"] += iterations
            part["seconds"] += seconds
            iterations += cycle.training.iterations
            seconds += cycle.training.seconds
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    @property
    def scores(self) -> pd.DataFrame:
        """All scores: cycle, depth in [0, T], score."""
        parts = [
            pd.DataFrame({"cycle": n, "depth": cycle.depths, "score": cycle.values})
            for n, cycle in enumerate(self.cycles)
            if len(cycle.values)
        ]
        columns = ["cycle", "depth", "score"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def __str__(self) -> str:
        """Return one line: why it stopped, depths, the best of them."""
        first, last = self.cycles[0].layers, self.cycles[-1].layers
        return (
            f"{self.indicator}: {self.status}; {first} to {counted(last, 'layer')}, best with "
            f"{self.network.layers}: {self.best}"
        )

    __repr__ = __str__


def _row(number: int, cycle: GrowthCycle) -> dict[str, float]:
    training, extension = cycle.training, cycle.extension
    history = training.history
    at_best = history[history["iteration"] == training.best_iteration].iloc[-1]
    known = cycle.values[np.isfinite(cycle.values)]
    nan = float("nan")
    return {
        "cycle": number,
        "layers": cycle.layers,
        "weights": training.network.n_weights,
        "iterations": training.iterations,
        "objective": training.objective,
        "training": at_best["training"],
        "validation": at_best["validation"],
        "validation_loss": at_best["validation_loss"],
        "score": known.max() if len(known) else nan,
        "position": extension.position if extension else nan,
        "epsilon": extension.epsilon if extension else nan,
        "predicted": extension.predicted if extension else nan,
        "decrease": extension.decrease if extension else nan,
        "seconds": training.seconds,
        "scoring_seconds": cycle.scoring_seconds + (extension.seconds if extension else 0.0),
    }


_CYCLE = {
    "training": TRAINED,
    "values": Numbers(("places",)),
    "depths": Numbers(("places",)),
    "scoring_seconds": float,
    "extension": (Extension, None),
    "frozen": (Numbers(("weights",), dtype="bool"), None),
}
GROWTH = Schema(
    "growth",
    1,  # a new version too when the trainings' files get one
    "a growth",
    {
        "termination": Termination,
        "message": str,
        "indicator": str,
        "trainer": str,
        "name": str,
        "cycles": [_CYCLE],
    },
)


def save_growth(growth: Growth, path: str | Path) -> Path:
    """Write a growth to an ``.npz`` file, in one step; return its path.

    Raises
    ------
    FileError
        The folder is missing or cannot be written.
    """
    check_type("save_growth", growth, Growth)
    return GROWTH.write(
        path,
        {
            **{name: getattr(growth, name) for name in GROWTH.form},
            "termination": growth.termination.name,
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
    check_path("load_growth", path)
    return GROWTH.read(path, _growth)


def _growth(tree: dict[str, Any]) -> Growth:
    cycles = tuple(_cycle(entry) for entry in tree["cycles"])
    if not cycles:
        raise ValueError("it has no cycles")
    return Growth(**{**tree, "termination": Termination[tree["termination"]], "cycles": cycles})


def _entry(cycle: GrowthCycle) -> dict[str, Any]:
    extension = asdict(cycle.extension) if cycle.extension else None
    plain = {name: getattr(cycle, name) for name in _CYCLE}
    return {**plain, "training": cycle.training.tree(), "extension": extension}


def _cycle(entry: dict[str, Any]) -> GrowthCycle:
    found = entry["extension"]
    extension = None if found is None else Extension(**found)
    return GrowthCycle(
        **{**entry, "training": training_of(entry["training"]), "extension": extension}
    )
