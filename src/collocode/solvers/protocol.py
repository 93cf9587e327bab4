"""What every solver interface offers, and how one is chosen.

A solver is built once for an NLP's functions and then solves as often as data, starts and bounds
change.  The three interfaces (CasADi's, cyipopt's and Pyomo's) differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..numerics import Array
from ..results.status import SolverResult
from ..transcription.program import Program
from .interrupt import Interrupt


@dataclass(frozen=True)
class Progress:
    """One iteration, as shown to a caller: number, objective, infeasibilities."""

    iteration: int
    objective: float
    primal: float
    dual: float = float("nan")


OnIteration = Callable[[Progress], Any]
_UNJUDGED = 16  # iterates; whose violation is asked for only if the solve does not succeed


@dataclass(frozen=True, eq=False)
class WarmStart:
    """Multipliers to start from, in the NLP's own units and sign (the point is ``program.start``).

    ``mu`` is the barrier parameter to begin with.
    """

    lam_g: Array
    lam_x: Array
    mu: float = 1e-6

    def scaled(self, program: Program) -> tuple[Array, Array]:
        """Return the multipliers of the scaled program."""
        c = program.objective_scale
        return c * self.lam_g / program.row_scale, c * self.lam_x * program.column_scale


class Solver(Protocol):
    """A solver built for one NLP structure."""

    def solve(
        self,
        program: Program,
        warm: WarmStart | None = None,
        on_iteration: OnIteration | None = None,
    ) -> SolverResult:
        """Solve the NLP (same functions; its own start, bounds and parameters)."""


class BestIterate:
    """Keeps the best point seen: feasible before infeasible, then by objective or violation."""

    def __init__(self, tolerance: float = 1e-6) -> None:
        self.tolerance = tolerance
        self.x: Array | None = None
        self._key: tuple[bool, float] = (True, np.inf)

    def offer(self, x: Array, objective: float, violation: float) -> None:
        """Look at one iterate."""
        feasible = violation <= self.tolerance
        key = (not feasible, objective if feasible else violation)
        if np.isfinite(key[1]) and key < self._key:
            self._key, self.x = key, x.copy()


class Watch:
    """Looks at every iterate of one solve: keeps the best, shows progress, tells when to stop.

    Parameters
    ----------
    program : the (scaled) NLP that is being solved.
    interrupt : set by Ctrl-C.
    on_iteration : the caller's function.
    weight : what the objective has been multiplied by.

    Attributes
    ----------
    error : what ``on_iteration`` raised; the solver raises it again once IPOPT has returned.
    """

    def __init__(
        self,
        program: Program,
        interrupt: Interrupt,
        on_iteration: OnIteration | None,
        weight: float = 1.0,
    ) -> None:
        self._best = BestIterate()
        self._seen: list[tuple[Array, float, Array]] = []
        self.error: BaseException | None = None
        self._interrupt, self._show, self._weight = interrupt, on_iteration, weight
        self._lower = np.concatenate([program.lower, program.row_lower])
        self._upper = np.concatenate([program.upper, program.row_upper])
        self._count = 0

    def look(self, x: Array, f: float, g: Array, dual: float = float("nan")) -> bool:
        """Take note of an iterate; return whether to go on."""
        self._seen.append((x.copy(), f, g.copy()))
        try:
            if self._show is not None:
                self._show(Progress(self._count, f / self._weight, self._judge(), dual))
            elif len(self._seen) == _UNJUDGED:
                self._judge()
        except BaseException as error:  # a Python error must not pass through the solver's C code
            self.error = error
        self._count += 1
        return self.error is None and not self._interrupt.requested

    @property
    def best(self) -> BestIterate:
        """The best iterate so far."""
        self._judge()
        return self._best

    def _judge(self) -> float:
        """Compare what was seen since the last time; return the violation of the last one."""
        violation = 0.0
        for x, f, g in self._seen:
            values = np.concatenate([x, g])
            below, above = self._lower - values, values - self._upper
            # unlike Python's max, it lets no NaN slip through
            violation = float(np.maximum(below.max(initial=0.0), above.max(initial=0.0)))
            self._best.offer(x, f, violation)
        self._seen.clear()
        return violation
