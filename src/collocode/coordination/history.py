"""What a run leaves behind: one row an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from .consensus import Consensus, Residuals
from .task import Answer


@dataclass(frozen=True)
class Row:
    """One iteration.

    Attributes
    ----------
    iteration : from 1.
    primal, dual, primal_limit, dual_limit, scaled : see `Residuals`.
    rho : the penalty of this iteration's solves.
    objective : Σ f_b + r(z), with the batches' own copies in f_b.
    lagrangian : augmented Lagrangian before the dual step.
    simulated : Σ f_b + r(z) with the consensus simulated; NaN where not measured.
    mse : mean squared error of the simulated consensus against the data, in the data's units.
    steps : IPOPT iterations of all batches.
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
    simulated: float
    mse: float
    steps: int
    seconds: float
    batch_seconds: float
    build_seconds: float
    rescued: str

    @classmethod
    def of(
        cls,
        number: int,
        consensus: Consensus,
        residuals: Residuals,
        answers: Sequence[Answer],
        values: tuple[float, float],
        seconds: float,
        names: Sequence[str],
    ) -> Row:
        """Sum up an iteration; ``values`` are objective and augmented Lagrangian."""
        rescued = [f"{names[a.batch]}: {a.rescue}" for a in answers if a.rescue]
        return cls(
            number,
            **asdict(residuals),
            rho=consensus.rho,
            objective=values[0],
            lagrangian=values[1],
            simulated=float("nan"),
            mse=float("nan"),
            steps=sum(a.iterations for a in answers),
            seconds=seconds,
            batch_seconds=max(a.seconds for a in answers),
            build_seconds=sum(a.build_seconds for a in answers),
            rescued="; ".join(rescued),
        )

    def measured(self, simulated: float, mse: float) -> Row:
        """Return the row with what the simulation of its consensus gave."""
        return replace(self, simulated=simulated, mse=mse)


def measured_by(answers: Sequence[Answer], penalty: float) -> tuple[float, float]:
    """Return the simulated objective and mean squared error that answers report."""
    simulated = sum(a.simulated for a in answers) + penalty
    squares, count = (sum(a.squares[k] for a in answers) for k in (0, 1))
    return float(simulated), float(squares / count) if count else float("nan")


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the history as a table, one row an iteration."""
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(Row.__dataclass_fields__))
    return frame.set_index("iteration")
