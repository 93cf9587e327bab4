"""What a plant did under plans that were made again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .solution import Solution

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


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
    """

    times: Array
    states: Array
    plans: tuple[Solution, ...]
    seconds: Array
    failed: tuple[int, ...] = ()

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

    def to_frame(self) -> pd.DataFrame:
        """Samples as a table: time, states, inputs as they were from then on, seconds of the plan."""
        import pandas as pd

        model = self.plans[0].model
        columns: dict[str, Array] = {"time": self.times[:-1]}
        columns.update({name: self.states[:-1, i] for i, name in enumerate(model.states)})
        columns.update({name: self.control(name, self.times[:-1]) for name in model.inputs})
        return pd.DataFrame({**columns, "seconds": self.seconds})
