"""The iteration: solve all batches, agree, move the duals, judge, keep a checkpoint.

`run` knows nothing of the method and nothing of where batches are solved.  A `Coordinator` says what
the batches are asked and what follows from their results: `ADMM` is one.  An executor's session brings
the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import CollocodeError
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..transcription.nlp import NLP
from .consensus import ADMMRules, Consensus
from .executors import OnBatch, Session, Stopped, WorkerError
from .partition import Batch
from .state import Iteration, State
from .subproblem import BatchResult, Task
from .variables import ConsensusVariables, Regulariser

Array = NDArray[np.float64]
_RESUME = " The checkpoint holds the last complete iteration; resume goes on from it."
_TINY = 1e-12  # objectives below it are zero: a fit without noise and penalty


class Coordinator(Protocol):
    """A method that makes batches agree; its state is apart from it."""

    def tasks(self, state: State, solve: bool = True) -> list[Task]:
        """What the batches are asked next: to solve, or only to simulate the consensus."""

    def step(self, state: State, results: Sequence[BatchResult], seconds: float) -> State:
        """Return the state after an iteration whose batches gave these results."""

    def simulated(self, state: State, results: Sequence[BatchResult]) -> State:
        """Note what batches say of the present consensus; nothing if they were not asked."""

    def converged(self, state: State) -> bool:
        """Whether the state is good enough."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ADMM:
    """Consensus ADMM, see `collocode.coordination.consensus`.

    Attributes
    ----------
    rules : stopping, relaxation, ρ.
    variables : what the batches agree on.
    regulariser : of the consensus' weights.
    batches : their names.
    """

    rules: ADMMRules
    variables: ConsensusVariables
    regulariser: Regulariser
    batches: tuple[str, ...]

    def start(self, whole: NLP, batches: Sequence[Batch]) -> State:
        """Return the state to begin with: the whole problem's start, and no duals."""
        z, rho = self.variables.initial(whole, batches), self.rules.for_batches(len(batches)).rho
        assert rho is not None
        copies = [self.variables.copies(batch) for batch in batches]
        return State(Consensus.start(z, copies, rho), (None,) * len(batches))

    def tasks(self, state: State, solve: bool = True) -> list[Task]:
        """See `Coordinator`."""
        c = state.consensus
        return [
            Task(
                batch=b,
                iteration=state.iteration,
                target=c.target(b),
                consensus=c.z[c.copies[b]],
                rho=c.rho,
                point=state.points[b],
                simulate=self.rules.simulate and (state.iteration > 0 or not solve),
                solve=solve,
            )
            for b in range(len(self.batches))
        ]

    def step(self, state: State, results: Sequence[BatchResult], seconds: float) -> State:
        """See `Coordinator`."""
        state, old = self.simulated(state, results), state.consensus
        values, losses = [r.values for r in results], [r.loss for r in results]
        lagrangian = old.lagrangian(losses, values, self._penalty(old.z))
        new = old.updated(values, self.variables.prox(self.regulariser), self.rules.relaxation)
        residuals = new.residuals(values, old, self.rules)
        rescued = [f"{self.batches[r.batch]}: {r.rescue}" for r in results if r.rescue]
        last = Iteration(
            iteration=state.iteration + 1,
            **asdict(residuals),
            rho=old.rho,
            objective=sum(losses) + self._penalty(new.z),
            lagrangian=lagrangian,
            steps=sum(r.iterations for r in results),
            seconds=seconds,
            batch_seconds=max(r.seconds for r in results),
            build_seconds=sum(r.build_seconds for r in results),
            rescued="; ".join(rescued),
        )
        if not residuals.small:
            new = new.steered(residuals, self.rules, last.iteration)
        points = tuple(r.point for r in results)
        return replace(state, consensus=new, points=points, history=(*state.history, last))

    def simulated(self, state: State, results: Sequence[BatchResult]) -> State:
        """See `Coordinator`."""
        if not self.rules.simulate:
            return state
        return state.simulated(results, self._penalty(state.consensus.z))

    def converged(self, state: State) -> bool:
        """Whether the residuals are small and the consensus also fits where it is simulated."""
        last = state.history[-1]
        if last.primal > last.primal_limit or last.dual > last.dual_limit:
            return False
        if not self.rules.simulate or state.iteration < 2:
            return True
        found = state.history[-2].simulated_objective  # of what this iteration began with
        return bool(found <= (1.0 + self.rules.gap) * last.objective + _TINY)

    def _penalty(self, z: Array) -> float:
        return self.regulariser.value(z[len(z) - self.variables.weights :])


@dataclass(frozen=True, eq=False)
class Outcome:
    """How an iteration ended.

    Attributes
    ----------
    state : the last one.
    termination, message : why it is the last, in a word and in a sentence.
    warnings : what went wrong on the way without stopping it.
    """

    state: State
    termination: Termination
    message: str
    warnings: tuple[str, ...]


def _ignore(_: object) -> None:
    """Nobody looks."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Loop:
    """Repeat a coordinator's iteration.

    Attributes
    ----------
    coordinator, batches : the method, and the names of what it coordinates.
    iterations, time_limit : limits, the latter in seconds.
    save : called with the state after every iteration; may raise a CollocodeError, which is noted
        and stops nothing.
    on_iteration, on_batch : the caller's functions.
    """

    coordinator: Coordinator
    batches: tuple[str, ...]
    iterations: int
    time_limit: float = np.inf
    save: Callable[[State], Any] | None = None
    on_iteration: Callable[[Iteration], Any] | None = None
    on_batch: OnBatch | None = None

    def run(self, state: State, session: Session) -> Outcome:
        """Iterate from a state, with batches that are solved by a session."""
        began, warnings = time.perf_counter(), list[str]()

        def ended(termination: Termination, message: str) -> Outcome:
            return Outcome(state, termination, message, tuple(warnings))

        with Interrupt() as interrupt:

            def late() -> bool:
                return bool(state.history) and time.perf_counter() - began > self.time_limit

            def stop() -> bool:
                return interrupt.requested or late()

            termination, message = Termination.ITERATION_LIMIT, f"{self.iterations} iterations"
            while state.iteration < self.iterations:
                try:
                    results, state = self._iterate(state, session, stop)
                except WorkerError as error:
                    hint = _RESUME if self.save is not None and state.history else ""
                    return ended(Termination.ERROR, f"{error}{hint}")
                except Stopped:
                    if late() and not interrupt.requested:
                        return ended(Termination.TIME_LIMIT, f"{self.time_limit:g} s")
                    return ended(Termination.INTERRUPTED, "the last complete iteration counts")
                for warning in (*self._kept(results), *self._saved(state)):
                    if warning not in warnings:
                        warnings.append(warning)
                if self.on_iteration is not None:
                    self.on_iteration(state.history[-1])
                if self.coordinator.converged(state):
                    termination, message = Termination.CONVERGED, "the batches agree"
                    break
                if all(r.rescue == "kept" for r in results):
                    termination, message = Termination.STALLED, "no batch could be solved"
                    break
                if late():
                    termination, message = Termination.TIME_LIMIT, f"{self.time_limit:g} s"
                    break
            state = self._simulated(state, session)
            return ended(termination, message)

    def _iterate(
        self, state: State, session: Session, stop: Callable[[], bool]
    ) -> tuple[list[BatchResult], State]:
        began = time.perf_counter()
        results = session.run(self.coordinator.tasks(state), self.on_batch or _ignore, stop)
        return results, self.coordinator.step(state, results, time.perf_counter() - began)

    def _simulated(self, state: State, session: Session) -> State:
        """Simulate the last consensus, which no iteration has looked at."""
        tasks = self.coordinator.tasks(state, solve=False)
        if not state.history or not all(task.simulate for task in tasks):
            return state
        try:
            results = session.run(tasks, _ignore)
        except WorkerError:
            return state
        return self.coordinator.simulated(state, results)

    def _kept(self, results: Sequence[BatchResult]) -> list[str]:
        """What to report of batches that keep their last points."""
        return [
            f"batch {self.batches[r.batch]!r} keeps its last point ({r.status})."
            for r in results
            if r.rescue == "kept"
        ]

    def _saved(self, state: State) -> Sequence[str]:
        if self.save is None:
            return []
        try:
            self.save(state)
        except CollocodeError as error:  # a full disk must not cost the run
            return [str(error)]
        return []
