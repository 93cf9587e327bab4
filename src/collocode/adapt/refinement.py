"""What a refinement returns: its cycles, and how it ended; of meshes in time, and what all have in common."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np

from ..numerics import Index
from ..results.solution import Solution
from ..results.status import Outcome, Termination
from .estimate import Estimate
from .goals import AnyGoal

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Cycle:
    """One round of an adaptive loop: a solution's estimate, and what was done then.

    Attributes
    ----------
    estimate : of the goal's error; it has the mesh, the indicators and the goal's value.
    actions : (E,) `collocode.adapt.marking.Action` per element; empty after the last cycle.
    seconds : of the whole cycle; ``estimate.seconds`` of them for the estimate.
    """

    estimate: Estimate
    actions: Index = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    seconds: float = 0.0

    @property
    def elements(self) -> int:
        """Number of elements."""
        return len(self.estimate.indicators)

    @property
    def marked(self) -> tuple[int, ...]:
        """Numbers of the elements that were changed next."""
        return tuple(np.flatnonzero(self.actions).tolist())

    @property
    def solved(self) -> bool:
        """Whether the solution is one, so that the estimate holds."""
        return self.estimate.stationary

    def size_columns(self) -> dict[str, Any]:
        """Return the first columns of the table: how large it is, and its values."""
        return {"elements": self.elements, "goal": self.estimate.value}

    def work_columns(self) -> dict[str, Any]:
        """Return the last columns of the table, before the seconds: what it took."""
        return {}


C = TypeVar("C", bound=Cycle)


@dataclass(frozen=True, eq=False, kw_only=True)
class Refinement(Outcome, Generic[C]):
    """The outcome of an adaptive loop.

    Attributes
    ----------
    termination, message : why it stopped; ``status`` in words.
    cycles : all meshes, the first one first.
    tol : bound of the estimated error, None if none was asked for.
    rule : how elements were marked.
    uniform : the same with all elements bisected, if that was asked for.
    """

    cycles: tuple[C, ...]
    tol: float | None
    rule: str
    uniform: Self | None = None

    @property
    def success(self) -> bool:
        """Whether the tolerance was reached by a solution."""
        return self.termination is Termination.CONVERGED

    @property
    def estimate(self) -> Estimate:
        """Estimate on the last mesh."""
        return self.cycles[-1].estimate

    @property
    def seconds(self) -> float:
        """Wall time of all cycles."""
        return float(sum(cycle.seconds for cycle in self.cycles))

    @property
    def best(self) -> C:
        """The cycle to use: the last one."""
        return self.cycles[-1]

    @property
    def most_accurate(self) -> C | None:
        """The solved cycle of least Σ|η|: the others are measured against its corrected value."""
        usable = [c for c in self._comparable if c.solved and np.isfinite(c.estimate.magnitude)]
        return min(usable, key=lambda c: c.estimate.magnitude, default=None)

    @property
    def _comparable(self) -> tuple[C, ...]:
        return self.cycles

    def exact(self, cycle: C) -> float:
        """Value that a cycle's error is measured against; nan where there is none."""
        best = self.most_accurate
        known = best is not None and best is not cycle
        return best.estimate.corrected if best is not None and known else float("nan")

    def table(self) -> pd.DataFrame:
        """One row per cycle.

        ``error`` and ``effectivity`` (the estimate over the error) are against the reference; where there
        is none, the corrected value of the most accurate cycle stands for it, and that cycle's own are
        left out.
        """
        import pandas as pd

        rows = []
        for number, c in enumerate(self.cycles):
            e, exact = c.estimate, self.exact(c)
            rows.append(
                {
                    "cycle": number,
                    **c.size_columns(),
                    "estimate": e.error,
                    "magnitude": e.magnitude,
                    "error": exact - e.value,
                    "effectivity": e.effectivity(exact),
                    "marked": len(c.marked),
                    **c.work_columns(),
                    "solved": c.solved,
                    "seconds": c.seconds,
                    "estimate seconds": e.seconds,
                }
            )
        return pd.DataFrame(rows).set_index("cycle")

    def with_uniform(self, uniform: Self) -> Self:
        """Return the refinement with a uniform one beside it."""
        return replace(self, uniform=uniform)


@dataclass(frozen=True, eq=False, kw_only=True)
class MeshCycle(Cycle):
    """One mesh of a refinement.

    Attributes
    ----------
    unknowns, objective : of the NLP.
    iterations, termination : of the solver.
    guard : estimate of the objective, where the goal is another and the fit itself is still rough: elements
        are marked for both.
    reference : exact value of the goal for this cycle, where it can be had.
    """

    unknowns: int
    objective: float
    iterations: int
    termination: Termination
    guard: Estimate | None = None
    reference: float | None = None

    def size_columns(self) -> dict[str, Any]:
        """Elements, unknowns, objective and goal."""
        return {
            "elements": self.elements,
            "unknowns": self.unknowns,
            "objective": self.objective,
            "goal": self.estimate.value,
        }

    def work_columns(self) -> dict[str, Any]:
        """Iterations."""
        return {"iterations": self.iterations}


@dataclass(frozen=True, eq=False, kw_only=True)
class MeshRefinement(Refinement[MeshCycle]):
    """The outcome of `refine`.

    Attributes
    ----------
    goal : whose error was estimated.
    solution : on the last mesh; ``estimate`` its error.
    reference : value of the goal that errors are measured against, if one was given.
    others : cycles of the run beside it; the most accurate of all is the reference of both.
    """

    tol: float
    goal: AnyGoal
    solution: Solution
    reference: float | None = None
    others: tuple[MeshCycle, ...] = ()

    @property
    def _comparable(self) -> tuple[MeshCycle, ...]:
        return (*self.cycles, *self.others)

    def exact(self, cycle: MeshCycle) -> float:
        """The cycle's own reference, the given one, or that of the most accurate cycle."""
        for known in (cycle.reference, self.reference):
            if known is not None:
                return known
        return super().exact(cycle)

    def with_uniform(self, uniform: Self) -> Self:
        """Return the refinement with a uniform one beside it, measured by one reference."""
        beside = replace(uniform, others=self.cycles)
        return replace(self, uniform=beside, others=uniform.cycles)

    def __repr__(self) -> str:
        e = self.estimate
        return (
            f"MeshRefinement({self.goal}: {e.value:.6g}, error {e.error:.2e}, {self.status}, "
            f"cycles={len(self.cycles)}, elements={self.cycles[-1].elements})"
        )
