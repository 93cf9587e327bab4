"""What travels between Newton's coordinator and its batches; plain values that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..numerics import Array, Index
from .subproblem import Point


class Aim(Enum):
    """What a linearisation is for."""

    STEP = "step"
    """Newton's step."""
    MULTIPLIERS = "multipliers"
    """Multipliers by least squares: an identity for the Hessian, nothing to be met."""
    FEASIBLE = "feasible"
    """The shortest step that meets the rows: an identity for the Hessian, no objective."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Direction:
    """A Newton direction of the consensus.

    Attributes
    ----------
    values : (copies,) of the consensus variables that a batch has, scaled.
    pull : (ends,) multipliers of the rows by which its last states meet another window.
    corrects : the direction of which this is the second-order correction.
    """

    values: Array
    pull: Array
    corrects: Direction | None = None

    def of(self, copies: Index, meets: Index) -> Direction:
        """Return a batch's part: its copies, and what its last states meet."""
        before = None if self.corrects is None else self.corrects.of(copies, meets)
        return Direction(values=self.values[copies], pull=self.pull[meets], corrects=before)


@dataclass(frozen=True, eq=False, kw_only=True)
class NewtonTask:
    """What a batch is asked: all that its answer depends on, so that any worker can give it.

    Attributes
    ----------
    batch, iteration : numbers.
    point : where the batch is.
    values : (copies,) the consensus there, scaled.
    pull : (ends,) multipliers of its last states.
    mu : of the barrier.
    direction : None asks for a linearisation at the point.
    trials : sizes at which to try the direction; without any the batch moves along it.
    size, dual_size : by which it moves.
    aim : of the direction that the linearisation is for, see `Aim`.
    rounding : how many times as wide as in the end the loss's kink is, where it has a sharp one.
    """

    batch: int
    iteration: int
    point: Point
    values: Array
    pull: Array
    mu: float
    direction: Direction | None = None
    trials: tuple[float, ...] = ()
    size: float = 0.0
    dual_size: float = 0.0
    aim: Aim = Aim.STEP
    rounding: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What every answer to a `NewtonTask` says.

    Attributes
    ----------
    batch, iteration : of the task.
    point : where the batch is now; None where that has not changed.
    seconds : that the answer took.
    """

    batch: int
    iteration: int
    point: Point | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Answer):
    """A batch at a point.

    Attributes
    ----------
    loss, barrier : its part of the misfit, and its barrier.
    violation, largest : of collocation and of where windows meet, sum and maximum of moduli, scaled.
    stationarity, complementarity : largest residuals of its own columns.
    pull : (copies,) derivative of its Lagrangian by the copies; zero for last states.
    matrix : lower triangle of the reduced Hessian by ports and ends, row by row.
    gradient, ends : reduced gradient, and by how much last states miss the next window.
    """

    loss: float
    barrier: float
    violation: float
    largest: float
    stationarity: float
    complementarity: float
    pull: Array
    matrix: Array
    gradient: Array
    ends: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Trials(Answer):
    """What a batch finds along a direction.

    Attributes
    ----------
    sizes : largest steps of its variables and multipliers that keep its bounds.
    slope : of misfit and barrier along the direction.
    losses, barriers, violations : at every size asked for.
    correction : reduced gradient and ends of the second-order correction of the first of them.
    """

    sizes: tuple[float, float]
    slope: float
    losses: tuple[float, ...]
    barriers: tuple[float, ...]
    violations: tuple[float, ...]
    correction: tuple[Array, Array] | None
