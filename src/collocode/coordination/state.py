"""The coordinator's state: everything that a run needs to go on, as one value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .consensus import Consensus
from .history import Row
from .task import Point

Array = NDArray[np.float64]


class Ending(Enum):
    """Why the iteration stopped."""

    CONVERGED = "converged"
    ITERATION_LIMIT = "iteration limit"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    WORKERS_LOST = "workers lost"
    BATCHES_FAILED = "no batch could be solved"


@dataclass(frozen=True, eq=False)
class State:
    """Where a run is.

    Attributes
    ----------
    consensus : z, duals and ρ.
    points : per batch its last primal-dual point; None before the first solve, or where points
        stay with the workers.
    history : one row an iteration.
    best : the consensus of lowest simulated objective so far, and that objective.
    """

    consensus: Consensus
    points: tuple[Point | None, ...]
    history: tuple[Row, ...] = ()
    best: tuple[float, Array | None] = (float("inf"), None)

    @property
    def iteration(self) -> int:
        """Number of finished iterations."""
        return len(self.history)

    def measured(self, simulated: float, mse: float) -> State:
        """Note what the simulation of the present consensus gave."""
        best = self.best
        if np.isfinite(simulated) and simulated < best[0]:
            best = (simulated, self.consensus.z)
        history = self.history
        if history:
            history = (*history[:-1], history[-1].measured(simulated, mse))
        return replace(self, best=best, history=history)
