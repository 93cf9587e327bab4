"""The iteration: solve all batches, agree, move the duals, judge, keep a checkpoint.

`run` knows nothing of the method and nothing of where batches are solved.  A `Coordinator` says what
the batches are asked and what follows from their results: `ADMM` is one.  An executor's session brings
the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from ..checks import counted
from ..errors import CollocodeError
from ..numerics import Array
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.protocol import OnIteration
from ..transcription.nlp import NLP
from .consensus import ADMMRules, Consensus
from .executors import Session, Stopped, WorkerError
from .partition import Batch
from .state import Iteration, State
from .subproblem import BatchResult, Task
from .variables import ConsensusVariables, Regulariser

Ask = Callable[[Sequence[Any]], list[Any]]
_RESUME = " The checkpoint holds the last complete iteration; resume goes on from it."
_TINY = 1e-12  # objectives below it are zero: a fit without noise and penalty


class Stalled(Exception):
    """There is no way on, in words."""


class AnyState(Protocol):
    """What a run needs to know of a method's state."""

    @property
    def history(self) -> tuple[Iteration, ...]:
        """One record per iteration."""

    @property
    def iteration(self) -> int:
        """Number of finished iterations."""


S = TypeVar("S", bound=AnyState)


class Coordinator(Protocol[S]):
    """A method that makes batches agree; its state is apart from it."""

    @property
    def batches(self) -> tuple[str, ...]:
        """Names of the batches."""

    def iterate(self, state: S, ask: Ask) -> S:
        """Return the state after one more iteration; ``ask`` brings the batches' answers to tasks.

        Raises
        ------
        Stalled
            There is no way on from this state.
        """

    def converged(self, state: S) -> bool:
        """Whether the state is good enough."""

    def ended(self, state: S, ask: Ask) -> S:
        """Return the last state with what only the end of a run asks for."""


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
        z, rho = self.variables.initial(whole), self.rules.for_batches(len(batches)).rho
        assert rho is not None
        copies = [self.variables.copies(batch) for batch in batches]
        return State(Consensus.start(z, copies, rho), (None,) * len(batches))

    def tasks(self, state: State, solve: bool = True) -> list[Task]:
        """What the batches are asked next: to solve, or only to simulate the consensus."""
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

    def iterate(self, state: State, ask: Ask) -> State:
        """See `Coordinator`."""
        began = time.perf_counter()
        results = ask(self.tasks(state))
        return self.step(state, results, time.perf_counter() - began)

    def ended(self, state: State, ask: Ask) -> State:
        """Simulate the last consensus, which no iteration has looked at."""
        tasks = self.tasks(state, solve=False)
        if not state.history or not all(task.simulate for task in tasks):
            return state
        return self.simulated(state, ask(tasks))

    def step(self, state: State, results: Sequence[BatchResult], seconds: float) -> State:
        """Return the state after an iteration whose batches gave these results."""
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
        """Note what batches say of the present consensus; nothing if they were not asked."""
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
        return self.variables.penalty(self.regulariser, z)


@dataclass(frozen=True, eq=False)
class Outcome(Generic[S]):
    """How an iteration ended.

    Attributes
    ----------
    state : the last one.
    termination, message : why it is the last, in a word and in a sentence.
    warnings : what went wrong on the way without stopping it.
    """

    state: S
    termination: Termination
    message: str
    warnings: tuple[str, ...]


def ignore(_: object) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class Callbacks:
    """Functions that are called on the way.

    Parameters
    ----------
    on_iteration : with an `Iteration`, after each.
    on_batch : with what a batch answers, a `BatchResult` of ADMM, after each answer.
    on_finish : with a `Progress`, in every iteration of the last solve.
    """

    on_iteration: Callable[[Iteration], Any] = ignore
    on_batch: Callable[[Any], Any] = ignore
    on_finish: OnIteration | None = None


def run(
    coordinator: Coordinator[S],
    session: Session,
    state: S,
    iterations: int,
    time_limit: float = np.inf,
    *,
    save: Callable[[S], Any] | None = None,
    callbacks: Callbacks = Callbacks(),
) -> Outcome[S]:
    """Repeat a coordinator's iteration.

    Parameters
    ----------
    coordinator, session : the method, and what solves the batches.
    state : to begin with.
    iterations, time_limit : limits, the latter in seconds.
    save : called with the state after every iteration; may raise a CollocodeError, which is noted
        and stops nothing.
    callbacks : the caller's functions.
    """
    began, warnings, answers = time.perf_counter(), list[str](), list[Any]()

    def late() -> bool:
        return bool(state.history) and time.perf_counter() - began > time_limit

    end = Termination.ITERATION_LIMIT, counted(iterations, "iteration")
    out_of_time = Termination.TIME_LIMIT, f"{time_limit:g} s"
    with Interrupt() as interrupt:

        def stop() -> bool:
            return interrupt.requested or late()

        def ask(tasks: Sequence[Any]) -> list[Any]:
            answers[:] = session.run(tasks, callbacks.on_batch, stop)
            return list(answers)

        while state.iteration < iterations:
            try:
                state = coordinator.iterate(state, ask)
            except WorkerError as error:
                hint = _RESUME if save is not None and state.history else ""
                return Outcome(state, Termination.ERROR, f"{error}{hint}", tuple(warnings))
            except Stopped:
                end = Termination.INTERRUPTED, "the last complete iteration counts"
                if late() and not interrupt.requested:
                    end = out_of_time
                return Outcome(state, *end, tuple(warnings))
            except Stalled as why:
                end = Termination.STALLED, str(why)
                break
            lost = [r for r in answers if isinstance(r, BatchResult) and r.rescue == "kept"]
            kept = [_kept(coordinator.batches, r) for r in lost]
            warnings += [w for w in (*kept, *_saved(state, save)) if w not in warnings]
            callbacks.on_iteration(state.history[-1])
            if coordinator.converged(state):
                end = Termination.CONVERGED, "the batches agree"
                break
            if len(kept) == len(answers):
                end = Termination.STALLED, "no batch could be solved"
                break
            if late():
                end = out_of_time
                break
        with suppress(WorkerError):
            state = coordinator.ended(state, lambda tasks: session.run(tasks, ignore))
    return Outcome(state, *end, tuple(warnings))


def _kept(batches: Sequence[str], result: BatchResult) -> str:
    return f"batch {batches[result.batch]!r} keeps its last point ({result.status})."


def _saved(state: S, save: Callable[[S], Any] | None) -> Sequence[str]:
    """Save a state; return what went wrong."""
    try:
        if save is not None:
            save(state)
    except CollocodeError as error:  # a full disk must not cost the run
        return [str(error)]
    return []
