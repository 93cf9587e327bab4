"""Rules and state of Newton's method over batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..checks import check_fields
from ..errors import InputError
from ..numerics import Array
from .filter import Filter
from .messages import Direction, Linear
from .state import Iteration
from .subproblem import Point

_MU = 1e-6  # first barrier, as of the one NLP


@dataclass(frozen=True, kw_only=True)
class NewtonRules:
    """Newton's method over batches.

    Parameters
    ----------
    tolerance : largest violation, slope of the Lagrangian and complementarity at the end, scaled.
    iterations, time_limit : limits, the latter in seconds.

    Raises
    ------
    InputError
        Values that are not positive.
    """

    tolerance: float = 1e-8
    iterations: int = 300
    time_limit: float = np.inf

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.tolerance > 0.0:
            raise InputError(f"the tolerance must be positive, not {self.tolerance}.")
        if self.iterations < 1:
            raise InputError(f"iterations must be at least 1, not {self.iterations}.")
        if not self.time_limit >= 0.0:
            raise InputError(f"the time limit must not be negative, not {self.time_limit}.")


@dataclass(frozen=True, eq=False, kw_only=True)
class NewtonState:
    """Where a run of `Newton` is.

    Attributes
    ----------
    z : (n,) consensus, scaled.
    pull : (states,) multipliers where windows meet.
    net : (n,) multipliers of bounds of the consensus.
    points : per batch where it is.
    mu : of the barrier.
    radius : how long the next step of the weights may be.
    rounding : how many times as wide as in the end a sharp kink of the loss is.
    damping : of states where windows meet, in the next step.
    filter : what is not accepted again; None before the first step.
    history : one record per iteration.
    linear : what the batches say of this point; None lets them say it again.
    """

    z: Array
    pull: Array
    net: Array
    points: tuple[Point, ...]
    mu: float = _MU
    radius: float = np.inf
    rounding: float = 1.0
    damping: float = 0.0
    filter: Filter | None = None
    history: tuple[Iteration, ...] = ()
    linear: tuple[Linear, ...] | None = field(default=None, repr=False)

    @property
    def iteration(self) -> int:
        """Number of finished iterations."""
        return len(self.history)


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """A step that is taken.

    Attributes
    ----------
    direction, size, dual_size : where to, and how far variables and multipliers go.
    filter, objective : after it.
    trust : how many times its length the next one may have; at 1 the region stays what it is.
    """

    direction: Direction
    size: float
    dual_size: float
    filter: Filter
    objective: float
    trust: float = 1.0

    def radius(self, last: float, length: float) -> float:
        """Return the radius after it, where a full step has a length."""
        return self.trust * length if self.trust < 1.0 else max(last, self.trust * length)
