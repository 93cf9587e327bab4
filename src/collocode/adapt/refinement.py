"""What a refinement returns: its cycles, its last solution, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import pandas as pd

from ..results.solution import Solution
from .estimate import ErrorEstimate
from .goals import AnyGoal


class RefinementStatus(Enum):
    """Why a refinement stopped."""

    REACHED = "tolerance reached"
    BUDGET = "element budget used up"
    CYCLES = "cycle limit"
    STAGNATION = "no further progress"
    UNSOLVED = "not solved on the last mesh"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, eq=False)
class Cycle:
    """One mesh of a refinement.

    Attributes
    ----------
    elements, unknowns : sizes of mesh and NLP.
    objective : of the NLP.
    estimate : of the goal's error; it has the mesh, the indicators and the goal's value.
    marked : number of elements that were bisected next.
    iterations, solved : of the solver; whether it converged.
    seconds : of the whole cycle; ``estimate.seconds`` of them for the estimate.
    reference : exact value of the goal for this cycle, where it can be had; else None.
    """

    elements: int
    unknowns: int
    objective: float
    estimate: ErrorEstimate
    marked: int
    iterations: int
    solved: bool
    seconds: float
    reference: float | None = None


@dataclass(frozen=True, eq=False)
class Refinement:
    """The outcome of `refine`.

    Attributes
    ----------
    status : why it stopped.
    goal, tol : what was asked for.
    rule : how elements were marked.
    solution : on the last mesh; ``estimate`` its error.
    cycles : all meshes, the first one first.
    reference : value of the goal that errors are measured against, if one was given.
    uniform : the same with all elements bisected, if that was asked for.
    others : cycles of the run beside it; the most accurate of all is the reference of both.
    """

    status: RefinementStatus
    goal: AnyGoal
    tol: float
    rule: str
    solution: Solution
    cycles: tuple[Cycle, ...]
    reference: float | None = None
    uniform: Refinement | None = None
    others: tuple[Cycle, ...] = ()

    @property
    def success(self) -> bool:
        """Whether the tolerance was reached by a solution."""
        return self.status is RefinementStatus.REACHED

    @property
    def estimate(self) -> ErrorEstimate:
        """Estimate on the last mesh."""
        return self.cycles[-1].estimate

    @property
    def seconds(self) -> float:
        """Wall time of all cycles."""
        return float(sum(cycle.seconds for cycle in self.cycles))

    def best_reference(self) -> float | None:
        """Return the given reference, or the corrected value of the most accurate solved cycle."""
        if self.reference is not None:
            return self.reference
        best = self._most_accurate()
        return None if best is None else best.estimate.corrected

    def _most_accurate(self) -> Cycle | None:
        usable = [
            c
            for c in (*self.cycles, *self.others)
            if c.solved and np.isfinite(c.estimate.magnitude)
        ]
        return min(usable, key=lambda c: c.estimate.magnitude, default=None)

    @property
    def table(self) -> pd.DataFrame:
        """One row a cycle.

        ``error`` and ``effectivity`` are against the reference; where none was given, the corrected
        value of the most accurate cycle stands for it, and that cycle's own are left out.
        """
        best, reference = self._most_accurate(), self.best_reference()
        rows = []
        for number, c in enumerate(self.cycles):
            exact = c.reference if c.reference is not None else reference
            judge = self.reference is not None or c.reference is not None
            known = exact is not None and (judge or c is not best)
            error = float("nan") if exact is None or not known else exact - c.estimate.value
            rows.append(
                {
                    "cycle": number,
                    "elements": c.elements,
                    "unknowns": c.unknowns,
                    "objective": c.objective,
                    "goal": c.estimate.value,
                    "estimate": c.estimate.error,
                    "magnitude": c.estimate.magnitude,
                    "error": error,
                    "effectivity": c.estimate.error / error if error else float("nan"),
                    "marked": c.marked,
                    "iterations": c.iterations,
                    "solved": c.solved,
                    "seconds": c.seconds,
                    "estimate seconds": c.estimate.seconds,
                }
            )
        return pd.DataFrame(rows).set_index("cycle")

    def with_uniform(self, uniform: Refinement) -> Refinement:
        """Return the refinement with a uniform one beside it, measured by one reference."""
        beside = replace(uniform, others=self.cycles)
        return replace(self, uniform=beside, others=uniform.cycles)

    def __repr__(self) -> str:
        e = self.estimate
        return (
            f"Refinement({self.goal}: {e.value:.6g}, error {e.error:.2e}, {self.status.value}, "
            f"cycles={len(self.cycles)}, elements={self.cycles[-1].elements})"
        )
