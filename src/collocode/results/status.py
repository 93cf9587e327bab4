"""How a computation ended: two enums and its own words.

`Termination` says why it stopped, whatever it was: a solver, a training, a refinement, a growth, a
coordination of batches.  `SolutionStatus` says what a solver's point is worth.  The split, and most of
the names, are those of ``pyomo.contrib.solver.common.results``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..numerics import Array


class Termination(Enum):
    """Why a computation stopped; a message beside it has the specifics, such as which limit.

    ``ITERATION_LIMIT`` counts what is repeated: iterations, meshes, rounds.  ``SIZE_LIMIT`` is a budget of
    elements or layers.  ``EARLY_STOPPED`` is validation's doing.
    """

    CONVERGED = "converged"
    ACCEPTABLE = "converged to acceptable level only"
    EARLY_STOPPED = "stopped early: validation no longer improves"
    ITERATION_LIMIT = "iteration limit"
    TIME_LIMIT = "time limit"
    SIZE_LIMIT = "size limit"
    INFEASIBLE = "locally infeasible"
    DIVERGING = "iterates diverge"
    UNBOUNDED = "the objective has no bound"
    STALLED = "no further progress"
    INTERRUPTED = "interrupted"
    EVALUATION_ERROR = "a function could not be evaluated"
    ERROR = "solver error"

    @property
    def failed(self) -> bool:
        """Whether there is nothing to go on from."""
        return self in (
            Termination.INFEASIBLE,
            Termination.DIVERGING,
            Termination.UNBOUNDED,
            Termination.EVALUATION_ERROR,
            Termination.ERROR,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """How a loop ended: the base of what `refine`, `refine_layers` and `grow` return.

    Attributes
    ----------
    termination : why it stopped.
    message : the specifics, such as "element budget used up"; may be empty.
    """

    termination: Termination
    message: str = ""

    @property
    def status(self) -> str:
        """Why it stopped, in words."""
        return self.message or self.termination.value


class SolutionStatus(Enum):
    """What the returned point is worth."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    NONE = "no solution"


@dataclass(frozen=True, eq=False)
class SolverResult:
    r"""What a solver hands back, whatever the solver, in the NLP's own units.

    Attributes
    ----------
    x : (columns,) the point: the last iterate, or the best one if the solver stopped early.
    lam_g, lam_x : multipliers with L = f + λᵀ g (positive at an active upper bound).
    objective, violation : f, and the largest violation of a row or bound, at ``x``.
    termination, status, message : see the enums; ``message`` is the solver's own text.
    history : per iteration: ``objective``, ``primal`` and ``dual`` infeasibility, ``mu``, ``step``.
    timings : seconds by what they were spent on.
    interface, solver, linear_solver, options : what ran; ``kernels`` tells whether compiled ones were used.
    """

    x: Array
    lam_g: Array
    lam_x: Array
    objective: float
    violation: float
    termination: Termination
    status: SolutionStatus
    message: str
    history: dict[str, Array] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    interface: str = ""
    solver: str = ""
    linear_solver: str = ""
    kernels: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"SolverResult({self.ending}, "
            f"objective={self.objective:.6g}, violation={self.violation:.1e}, "
            f"iterations={self.iterations}, {self.solver} through {self.interface})"
        )

    @property
    def ending(self) -> str:
        """Termination and worth of the point, in words."""
        return f"{self.termination.value} ({self.status.value})"

    @property
    def iterations(self) -> int:
        """Number of iterations."""
        return max(0, len(self.history.get("objective", ())) - 1)

    @property
    def success(self) -> bool:
        """Whether the point is a solution to the requested tolerance."""
        return self.termination is Termination.CONVERGED

    def with_timings(self, **seconds: float) -> SolverResult:
        """Return the result with more timings."""
        return replace(self, timings={**self.timings, **seconds})
