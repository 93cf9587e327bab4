"""The coordinator's state, everything that a run needs to go on, and its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from ..numerics import Array
from .consensus import Consensus
from .subproblem import BatchResult, Point


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """One iteration.

    Attributes
    ----------
    iteration : from 1.
    primal, dual, primal_limit, dual_limit, scaled : see `Residuals`; of Newton's method the largest
        violation (twice) and slope of the Lagrangian.
    rho : the penalty of this iteration's solves; of Newton's method the shift of the weights' Hessian.
    objective : Σ f_b + r(z), with the batches' own copies in f_b.
    lagrangian : augmented Lagrangian before the dual step; NaN for Newton's method.
    simulated_objective : Σ f_b + r(z) with the consensus network, simulated batch by batch; NaN where
        not measured.
    batch_mse : mean squared error of these simulations against the data, in the data's units.  They
        start where the batches' own networks start, window by window; the error of the returned
        model, whose states are fitted to the consensus, is `ADMMResult.mse`.
    steps : IPOPT iterations of all batches, or the linearisations that Newton's method had of them.
    size : of the step along Newton's direction; NaN for ADMM.
    seconds : wall time of the iteration; ``batch_seconds`` of the slowest batch, ``build_seconds``
        spent on building in all batches.
    rescued : batches that were not solved at the first attempt, with what helped.
    """

    iteration: int
    primal: float
    dual: float
    primal_limit: float
    dual_limit: float
    scaled: float
    rho: float
    objective: float
    lagrangian: float
    simulated_objective: float = float("nan")
    batch_mse: float = float("nan")
    steps: int
    size: float = float("nan")
    seconds: float
    batch_seconds: float
    build_seconds: float
    rescued: str


def simulated(results: Sequence[BatchResult], penalty: float = 0.0) -> tuple[float, float]:
    """Return the simulated objective and mean squared error that batches report."""
    objective = sum(r.simulated_loss for r in results) + penalty
    squares, count = (sum(r.squares[k] for r in results) for k in (0, 1))
    return float(objective), float(squares / count) if count else float("nan")


def table(history: Sequence[Iteration]) -> pd.DataFrame:
    """Return the history as a table, one row per iteration."""
    names = list(Iteration.__dataclass_fields__)
    frame = pd.DataFrame([asdict(row) for row in history], columns=names)
    return frame.set_index("iteration")


@dataclass(frozen=True, eq=False)
class State:
    """Where a run is.

    Attributes
    ----------
    consensus : z, duals and ρ.
    points : per batch its last primal-dual point; None before the first solve, or where points
        stay with the workers.
    history : one record per iteration.
    best : the consensus of lowest simulated objective so far, and that objective.
    """

    consensus: Consensus
    points: tuple[Point | None, ...]
    history: tuple[Iteration, ...] = ()
    best: tuple[float, Array | None] = (float("inf"), None)

    @property
    def z(self) -> Array:
        """(n,) consensus, scaled."""
        return self.consensus.z

    @property
    def iteration(self) -> int:
        """Number of finished iterations."""
        return len(self.history)

    def simulated(self, results: Sequence[BatchResult], penalty: float) -> State:
        """Note what the simulation of the present consensus gave; ``penalty`` is its r(z)."""
        (objective, mse), best, history = simulated(results, penalty), self.best, self.history
        if np.isfinite(objective) and objective < best[0]:
            best = (objective, self.consensus.z)
        if history:
            last = replace(history[-1], simulated_objective=objective, batch_mse=mse)
            history = (*history[:-1], last)
        return replace(self, best=best, history=history)
