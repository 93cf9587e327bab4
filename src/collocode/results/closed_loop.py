"""What a plant did under plans that were made again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..archives import Schema
from ..forms import Numbers
from ..numerics import Array
from .solution import Solution
from .store import RESULT, result_tree

if TYPE_CHECKING:
    import pandas as pd

LOOP = Schema(
    "closed loop",
    1,
    "a closed loop",
    {
        "name": str,
        "sample": float,
        "states": Numbers(("samples", "states"), finite=True),
        "seconds": Numbers(("moves",)),
        "failed": [int],
        "setpoints": {"*": Numbers(("samples",))},
        "wanted": int,
        "plans": [RESULT],
    },
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClosedLoop:
    """What `RecedingHorizon.run` returns.

    Attributes
    ----------
    times : (moves + 1,) of the samples.
    states : (moves + 1, states) of the plant there.
    plans : one a move.
    seconds : (moves,) wall time that each plan took.
    failed : numbers of the plans that were not solved.
    setpoints : (moves + 1,) at the samples, by state.
    wanted : how many moves were asked for; more than there are plans if the loop was stopped.
    """

    times: Array
    states: Array
    plans: tuple[Solution, ...]
    seconds: Array
    failed: tuple[int, ...] = ()
    setpoints: Mapping[str, Array] = field(default_factory=dict)
    wanted: int = 0

    @property
    def name(self) -> str:
        """Of the model that planned."""
        return self.plans[0].name

    @property
    def sample(self) -> float:
        """How long a move is held."""
        return float(self.times[1] - self.times[0])

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end."""
        return len(self.plans) < self.wanted

    @property
    def instead(self) -> str:
        """What was done where plans were not solved."""
        if 0 not in self.failed:
            return "the moves before them went on"
        return "the first was followed as it ended, as there was none before, and went on"

    @cached_property
    def predicted(self) -> Array:
        """(moves, states) where every plan wanted to be one sample later."""
        return np.vstack(
            [p.states([p.trajectories[0].mesh.start + self.sample]) for p in self.plans]
        )

    @property
    def gap(self) -> Array:
        """(moves, states) of the plant's answer from what was planned, in the plant's units."""
        return np.asarray(self.states[1:] - self.predicted)

    @property
    def iterations(self) -> list[int]:
        """Of the solver, a plan each."""
        return [plan.result.iterations for plan in self.plans]

    def control(self, name: str, times: ArrayLike) -> Array:
        """(N,) an input as the plant saw it at ``times``."""
        t = np.atleast_1d(np.asarray(times, dtype=float))
        sample = self.times[1] - self.times[0]
        number = np.clip(np.floor(t / sample + 1e-9).astype(int), 0, len(self.plans) - 1)
        local = np.maximum(0.0, t - self.times[number])
        found = [self.plans[k].control(name, [s])[0] for k, s in zip(number, local, strict=True)]
        return np.array(found)

    def save(self, path: str | Path) -> None:
        """Write it to an ``.npz`` file, which `RecedingHorizon.load` reads with the model at hand.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        LOOP.write(
            path,
            {
                "name": self.name,
                "sample": self.sample,
                "states": self.states,
                "seconds": self.seconds,
                "failed": list(self.failed),
                "setpoints": dict(self.setpoints),
                "wanted": self.wanted,
                "plans": [result_tree(plan.result) for plan in self.plans],
            },
        )

    def to_frame(self) -> pd.DataFrame:
        """Samples as a table: time, states, inputs as they were from then on, seconds of the plan."""
        import pandas as pd

        model = self.plans[0].model
        columns: dict[str, Array] = {"time": self.times[:-1]}
        columns.update({name: self.states[:-1, i] for i, name in enumerate(model.states)})
        columns.update({name: self.control(name, self.times[:-1]) for name in model.inputs})
        return pd.DataFrame({**columns, "seconds": self.seconds})
