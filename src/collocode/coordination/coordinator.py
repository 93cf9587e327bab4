"""The iteration: solve all batches, agree, move the duals, judge, keep a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CollocodeError
from ..solvers.interrupt import Interrupt
from .batches import Batch
from .consensus import ADMMRules, Prox
from .entries import Entries
from .executors import Executor, Stop, Stopped, WorkerError
from .history import Row, measured_by
from .penalty import Penalty
from .state import Ending, State
from .task import Answer, Task

Array = NDArray[np.float64]
_RESUME = " The checkpoint holds the last complete iteration; resume goes on from it."
_TINY = 1e-12  # objectives below it are zero: a fit without noise and penalty


@dataclass(frozen=True, eq=False)
class Coordinator:
    """What stays the same during a run.

    Attributes
    ----------
    batches, entries : who agrees on what.
    penalty, weights : the regulariser, and how many of the last entries it is about.
    rules : stopping, relaxation, ρ.
    iterations, seconds : limits.
    measure : whether every consensus is simulated.
    save : called with the state after every iteration; may raise a CollocodeError, which is noted
        and stops nothing.
    on_iteration, on_answer : the caller's functions.
    """

    batches: tuple[Batch, ...]
    entries: Entries
    penalty: Penalty
    weights: int
    rules: ADMMRules
    iterations: int
    seconds: float = np.inf
    measure: bool = True
    save: Callable[[State], Any] | None = None
    on_iteration: Callable[[Row], Any] | None = None
    on_answer: Callable[[Answer], Any] | None = None

    def run(self, state: State, executor: Executor) -> tuple[State, Ending, list[str]]:
        """Iterate; return the last state, why it is the last, and what went wrong on the way."""
        began, troubles = time.perf_counter(), list[str]()
        ending = Ending.ITERATION_LIMIT
        with Interrupt() as interrupt:

            def late() -> bool:
                return bool(state.history) and time.perf_counter() - began > self.seconds

            def stop() -> bool:
                return interrupt.requested or late()

            while state.iteration < self.iterations:
                try:
                    answers, state = self._iterate(state, executor, stop)
                except WorkerError as error:
                    hint = _RESUME if self.save is not None and state.history else ""
                    return state, Ending.WORKERS_LOST, [*troubles, f"{error}{hint}"]
                except Stopped:
                    ended = late() and not interrupt.requested
                    return state, Ending.TIME_LIMIT if ended else Ending.INTERRUPTED, troubles
                for trouble in (*self._kept(answers), *self._saved(state)):
                    if trouble not in troubles:
                        troubles.append(trouble)
                if self.on_iteration is not None:
                    self.on_iteration(state.history[-1])
                if self._agreed(state):
                    ending = Ending.CONVERGED
                    break
                if all(a.rescue == "kept" for a in answers):
                    ending = Ending.BATCHES_FAILED
                    break
                if late():
                    ending = Ending.TIME_LIMIT
                    break
            return self._measured(state, executor), ending, troubles

    def _agreed(self, state: State) -> bool:
        """Whether the residuals are small and the consensus also fits where it is simulated."""
        last = state.history[-1]
        if last.primal > last.primal_limit or last.dual > last.dual_limit:
            return False
        if not self.measure or state.iteration < 2:
            return True
        simulated = state.history[-2].simulated  # of the consensus that this iteration began with
        return bool(simulated <= (1.0 + self.rules.gap) * last.objective + _TINY)

    def prox(self) -> Prox:
        """Proximal operator of regulariser and bounds, entry by entry."""
        lower, upper = self.entries.lower, self.entries.upper
        scale, first = self.entries.scale, len(self.entries) - self.weights

        def step(v: Array, size: Array) -> Array:
            z = v.copy()
            z[first:] = self.penalty.prox(v[first:], size[first:])
            return np.clip(z, lower / scale, upper / scale)

        return step

    def _iterate(self, state: State, executor: Executor, stop: Stop) -> tuple[list[Answer], State]:
        began, old = time.perf_counter(), state.consensus
        answers = executor.run(self._tasks(state, solve=True), self.on_answer or _ignore, stop)
        if self.measure:
            state = state.measured(*measured_by(answers, self._penalised(old.z)))
        values, losses = [a.values for a in answers], [a.loss for a in answers]
        penalised = self._penalised(old.z)
        lagrangian = old.lagrangian(losses, values, penalised)
        new = old.updated(values, self.prox(), self.rules.relaxation)
        residuals = new.residuals(values, old, self.rules)
        row = Row.of(
            state.iteration + 1,
            old,
            residuals,
            answers,
            (sum(losses) + self._penalised(new.z), lagrangian),
            time.perf_counter() - began,
            [b.name for b in self.batches],
        )
        if not residuals.small:
            new = new.steered(residuals, self.rules, row.iteration)
        points = tuple(a.point for a in answers)
        return answers, replace(state, consensus=new, points=points, history=(*state.history, row))

    def _tasks(self, state: State, solve: bool) -> list[Task]:
        c = state.consensus
        return [
            Task(
                b,
                state.iteration,
                c.target(b),
                c.z[c.copies[b]],
                c.rho,
                state.points[b],
                measure=self.measure and (state.iteration > 0 or not solve),
                solve=solve,
            )
            for b in range(len(self.batches))
        ]

    def _measured(self, state: State, executor: Executor) -> State:
        """Simulate the last consensus, which no iteration has looked at."""
        if not self.measure or not state.history:
            return state
        try:
            answers = executor.run(self._tasks(state, solve=False), _ignore)
        except WorkerError:
            return state
        return state.measured(*measured_by(answers, self._penalised(state.consensus.z)))

    def _penalised(self, z: Array) -> float:
        return self.penalty.value(z[len(z) - self.weights :])

    def _kept(self, answers: Sequence[Answer]) -> list[str]:
        """What to report of batches that keep their last points."""
        return [
            f"batch {self.batches[a.batch].name!r} keeps its last point ({a.status})."
            for a in answers
            if a.rescue == "kept"
        ]

    def _saved(self, state: State) -> Sequence[str]:
        if self.save is None:
            return []
        try:
            self.save(state)
        except CollocodeError as error:  # a full disk must not cost the run
            return [str(error)]
        return []


def _ignore(answer: Answer) -> None:
    """Nobody looks."""
