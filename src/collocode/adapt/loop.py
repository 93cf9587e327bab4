"""The adaptive loop: solve, estimate, decide, mark, refine, and again.

It knows no meshes, no solvers and no networks, only an `Adaptive` method with these five steps; `refine`
bisects elements of time through it, `refine_layers` the layers of a network.  What is refined how, is
between ``mark`` and ``refine``: marking gives every element an action (an integer, zero for none), and
bisecting, merging or another degree are different numbers to the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from ..checks import check_fields, counted
from ..errors import InputError
from ..numerics import Index
from ..results.status import Outcome, Termination
from ..solvers.interrupt import interrupted
from .refinement import Cycle

D = TypeVar("D")  # a discrete problem with its start
S = TypeVar("S")  # what solving it gives
C = TypeVar("C", bound=Cycle)


class Adaptive(Protocol[D, S, C]):
    """What the loop goes round."""

    def solve(self, discrete: D, seconds: float) -> S:
        """Solve a discrete problem, within the time that is left."""

    def estimate(self, solved: S, before: Sequence[C]) -> C:
        """Estimate the errors of one or several goals; ``before`` are the earlier cycles."""

    def decide(self, cycles: Sequence[C]) -> Outcome | None:
        """Return why to end after the last of the cycles; None goes on."""

    def mark(self, cycle: C) -> Index:
        """(E,) action per element; none at all where the budget has no room for any."""

    def refine(self, solved: S, actions: Index) -> D:
        """Do what is marked, and carry the solution over as a start."""


@dataclass(frozen=True)
class Budget:
    """What a loop may use.

    Parameters
    ----------
    elements, cycles, seconds : most of each.
    unit : what an element is called.

    Raises
    ------
    InputError
        No cycle or no time at all.
    """

    elements: int
    cycles: int
    seconds: float = float("inf")
    unit: str = "element"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.cycles < 1:
            raise InputError(f"the number of cycles must be positive, not {self.cycles}.")
        if not self.seconds > 0.0:
            raise InputError(f"the time limit must be positive, not {self.seconds}.")

    def check(self, elements: int, what: str = "mesh") -> None:
        """Refuse a first mesh that is too large already."""
        if elements > self.elements:
            raise InputError(
                f"the first {what} has {counted(elements, self.unit)}, more than the budget of "
                f"{self.elements}; start with fewer or raise max_{self.unit}s."
            )

    def outcome(self, cycles: int, seconds: float) -> Outcome | None:
        """Return which limit of cycles or time is reached, if one is."""
        if seconds >= self.seconds:
            return Outcome(termination=Termination.TIME_LIMIT)
        if cycles >= self.cycles:
            return Outcome(termination=Termination.ITERATION_LIMIT, message="cycle limit")
        return None


class Adapted(NamedTuple):
    """How a loop ended, its last solution, all its cycles, and the solution before the last."""

    outcome: Outcome
    solved: Any
    cycles: tuple[Any, ...]
    before: Any = None


def adapt(
    method: Adaptive[D, S, C],
    solved: S,
    seconds: float,
    budget: Budget,
    on_cycle: Callable[[C], Any] | None = None,
) -> Adapted:
    """Go round until the method or the budget ends it, or Ctrl-C within an `Interrupt`.

    Parameters
    ----------
    method : the five steps.
    solved, seconds : the first solution, and what it took; so that several loops can begin with it.
    budget : limits of elements, cycles and time.
    on_cycle : called with every cycle.
    """
    cycles: list[C] = []
    spent, last = 0.0, None
    while True:
        began = time.perf_counter() - seconds
        cycle = method.estimate(solved, cycles)
        done = [*cycles, cycle]
        outcome = method.decide(done)
        if outcome is None and interrupted():
            outcome = Outcome(termination=Termination.INTERRUPTED)
        outcome = outcome or budget.outcome(len(done), spent + time.perf_counter() - began)
        if outcome is None:
            actions = method.mark(cycle)
            cycle = replace(cycle, actions=actions)
            if not np.any(actions):
                used = f"{budget.unit} budget used up"
                outcome = Outcome(termination=Termination.SIZE_LIMIT, message=used)
        cycle = replace(cycle, seconds=time.perf_counter() - began)
        cycles.append(cycle)
        spent += cycle.seconds
        if on_cycle is not None:
            on_cycle(cycle)
        if outcome is not None:
            return Adapted(outcome, solved, tuple(cycles), last)
        began, last = time.perf_counter(), solved
        solved = method.solve(method.refine(solved, cycle.actions), budget.seconds - spent)
        seconds = time.perf_counter() - began
