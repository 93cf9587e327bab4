"""What an optimization over a network returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..results.status import SolutionStatus, Termination
from .bounds import Bounds
from .record import Record

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OptimumResult:
    """The optimum, or the best point and the best bound when the solver stopped early.

    Attributes
    ----------
    x : (inputs,) the best point, NaN if there is none.
    y : (outputs,) the network's outputs at x, by forward evaluation.
    value : the objective at (x, y).
    bound : no feasible point is better than this.
    status, termination, message : what the point is worth, why the solver stopped, its own word.
    nodes : branch-and-bound nodes; -1 where the solver does not say.
    seconds : of the solver; ``tightening_seconds`` of the bounds before it.
    root_bound : optimum of the LP relaxation (NaN where it was not asked for or is no LP).
    embedded_error : largest difference between the encoding's outputs and y, in units of the
        output scale.
    sense : 1 for a maximum, -1 for a minimum.
    solver, record, bounds : what ran, what it was given, and the ranges it was built from.
    """

    x: Array
    y: Array
    value: float
    bound: float
    status: SolutionStatus
    termination: Termination
    message: str
    nodes: int
    seconds: float
    tightening_seconds: float
    root_bound: float
    embedded_error: float
    sense: int
    solver: str
    record: Record
    bounds: Bounds

    @property
    def gap(self) -> float:
        """Distance from value to bound, relative to max(1, |value|); inf without a point."""
        if not np.isfinite(self.value):
            return np.inf
        return max(0.0, self.sense * (self.bound - self.value)) / max(1.0, abs(self.value))

    @property
    def root_gap(self) -> float:
        """Distance from value to the bound of the LP relaxation, relative as in ``gap``."""
        return self.sense * (self.root_bound - self.value) / max(1.0, abs(self.value))

    @property
    def success(self) -> bool:
        """Whether the value is proved to be the optimum, to the solver's tolerance."""
        return self.status is SolutionStatus.OPTIMAL

    @property
    def encoding(self) -> str:
        """Name of the encoding."""
        return self.record.encoding

    def __repr__(self) -> str:
        return (
            f"OptimumResult({'max' if self.sense > 0 else 'min'} {self.value:.6g}, "
            f"bound {self.bound:.6g}, {self.status.value} ({self.termination.value}), "
            f"{self.nodes} nodes, {self.seconds:.3g} s + {self.tightening_seconds:.3g} s of "
            f"tightening, {self.solver})"
        )
