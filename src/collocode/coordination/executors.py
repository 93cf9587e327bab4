"""Where batches are solved: in this process, in a pool of processes, or on a cluster.

An executor is a value; its `Executor.open` gives a `Session`, which takes the tasks of one iteration
and brings their results in the order of the tasks.  Each batch has its own worker, so that its solver
is built there once; a worker that is lost takes only caches with it.  How tasks travel is each
session's own; what is done about a reply that is no result is the same for all, and written here.
No coordinator knows where its batches are solved, no executor what is done with their results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..checks import check_fields, counted
from ..errors import CollocodeError, InputError
from .messages import Answer
from .partition import Batch
from .subproblem import NAN, BatchResult, FitSettings, Subproblem, Task
from .worker import Failure, Missing, Question, Reply, Worker, described

OnBatch = Callable[[Any], object]
Stop = Callable[[], bool]
W = TypeVar("W", bound=Hashable)

POINTS = ("coordinator", "workers")
_LOSSES = 2  # of a batch's workers in one iteration, after which something is wrong with the batch
_STOPPED = "User_Requested_Stop"


class WorkerError(CollocodeError, RuntimeError):
    """Workers were lost, or raised, more often than is worth another try."""


class Stopped(Exception):
    """The iteration was given up because the caller's ``stop`` said so."""


@dataclass(frozen=True)
class Lost:
    """What a session says when the worker of a task is gone, and the task with it."""

    batch: int


@dataclass(frozen=True, kw_only=True)
class Executor(ABC):
    """What all executors let one choose.

    Parameters
    ----------
    points : ``coordinator`` (the batches' points travel: a lost worker loses nothing, and the
        checkpoint holds all) or ``workers`` (only consensus variables travel).
    solvers : most solvers that a worker keeps; batches of equal structure share one.

    Raises
    ------
    InputError
        Points somewhere else, no solver, no worker.
    """

    points: str = "coordinator"
    solvers: int = 32

    def __post_init__(self) -> None:
        check_fields(self)
        if self.points not in POINTS:
            places = " or the ".join(POINTS)
            raise InputError(f"points stay with the {places}, not with {self.points!r}.")
        for name in ("solvers", "workers"):
            if (number := getattr(self, name, 1)) < 1:
                raise InputError(f"{name} must be at least 1, not {number}.")

    @abstractmethod
    def open(self, batches: Sequence[Batch], settings: FitSettings) -> Session:
        """Start what solves these batches.

        Raises
        ------
        InputError, MissingDependency, WorkerError
            It cannot be started.
        """

    @property
    def worker(self) -> tuple[int, bool]:
        """What a `Worker` is made with beside the settings."""
        return self.solvers, self.points == "workers"


@dataclass(frozen=True, kw_only=True)
class InProcess(Executor):
    """All batches one after the other, in this process; see `Executor`."""

    def open(self, batches: Sequence[Batch], settings: FitSettings) -> Session:
        """See `Executor`."""
        return InProcessSession(batches, settings, Worker(settings, *self.worker))


class Session(ABC):
    """What executors have in common: tasks out, replies in, and what follows from a reply.

    A batch that raises is tried once more elsewhere.  If that raises too, its last point stands and
    its result says so (``rescue`` is ``kept``, ``status`` the message): one bad batch does not cost
    the run.

    Parameters
    ----------
    batches, settings : what is solved, and how.
    """

    name: str
    workers: int

    def __init__(self, batches: Sequence[Batch], settings: FitSettings) -> None:
        self._batches, self._settings = batches, settings
        self._last: dict[int, BatchResult] = {}

    def run(
        self, tasks: Sequence[Question], on_batch: OnBatch, stop: Stop = lambda: False
    ) -> list[Any]:
        """Solve all tasks; return the results in their order.

        Raises
        ------
        InputError
            A batch that cannot be solved by anybody, as its data or functions are wrong.
        WorkerError
            Workers that are lost again and again, or a cluster that is gone.
        Stopped
            ``stop()`` became true, or a solver was interrupted.
        """
        results: dict[int, BatchResult | Answer] = {}
        raised, losses = set[int](), Counter[int]()
        try:
            for task in tasks:
                self._send(task)
            while len(results) < len(tasks):
                task, reply = self._receive(stop)
                if isinstance(reply, Lost):
                    losses[task.batch] += 1
                    if losses[task.batch] > _LOSSES:
                        reply = Failure(task.batch, _died(losses[task.batch]))
                        raised.add(task.batch)
                if isinstance(reply, Missing | Lost):
                    self._send(task)
                elif isinstance(reply, Failure) and _worth_a_try(reply, raised):
                    raised.add(task.batch)
                    self._send(task, elsewhere=True)
                else:
                    results[task.batch] = self._accepted(task, reply)
                    on_batch(results[task.batch])
        except BaseException:
            self._abandon()
            raise
        return [results[task.batch] for task in tasks]

    @abstractmethod
    def close(self) -> None:
        """Give up the workers."""

    @abstractmethod
    def _send(self, task: Question, elsewhere: bool = False) -> None:
        """Send a task to its batch's worker, or to another one, with what it needs there."""

    @abstractmethod
    def _receive(self, stop: Stop) -> tuple[Question, Reply | Lost]:
        """Wait for a reply.

        Raises
        ------
        Stopped, WorkerError
        """

    @abstractmethod
    def _abandon(self) -> None:
        """Forget the tasks that are under way."""

    def _accepted(
        self, task: Question, reply: BatchResult | Answer | Failure
    ) -> BatchResult | Answer:
        if isinstance(reply, Failure):
            return self._kept(task, reply)
        if isinstance(reply, Answer):
            return reply
        if reply.status == _STOPPED:
            raise Stopped
        self._last[task.batch] = replace(reply, point=None)
        return reply

    def _kept(self, task: Question, failure: Failure) -> BatchResult:
        """Let the last point stand.

        Raises
        ------
        InputError, WorkerError
            The batch itself is wrong, or has no point yet.
        """
        name, message = self._batches[task.batch].name, failure.message.rstrip(".")
        if failure.input_error:
            raise InputError(f"batch {name!r}: {message}.")
        if not isinstance(task, Task):
            raise WorkerError(f"batch {name!r} could not be linearised ({message}).")
        last = self._last.get(task.batch)
        if last is None and task.point is not None:  # a run that was resumed
            try:
                last = Subproblem(self._batches[task.batch], self._settings).unsolved(task)
            except Exception as error:
                message += f"; its last point cannot be read: {described(error)}"
        if last is None:
            raise WorkerError(f"batch {name!r} could not be solved ({message}).")
        return BatchResult(
            batch=task.batch,
            iteration=task.iteration,
            values=last.values,
            loss=last.loss,
            squares=(NAN, 1),
            point=task.point,
            status=message,
            rescue="kept",
        )


class InProcessSession(Session):
    """All batches one after the other, here."""

    name, workers = "in-process", 1

    def __init__(self, batches: Sequence[Batch], settings: FitSettings, worker: Worker) -> None:
        super().__init__(batches, settings)
        self._worker = worker
        self._queue: deque[Question] = deque()

    def close(self) -> None:
        """Nothing to give up."""

    def _send(self, task: Question, elsewhere: bool = False) -> None:
        self._queue.append(task)

    def _receive(self, stop: Stop) -> tuple[Question, Reply | Lost]:
        if stop():
            raise Stopped
        task = self._queue.popleft()
        return task, self._worker.run(task, self._batches[task.batch])

    def _abandon(self) -> None:
        self._queue.clear()


def balanced(
    place: Mapping[int, W], sizes: Sequence[int], workers: Sequence[W], move: bool = True
) -> dict[int, W]:
    """Return a worker for every batch, such that few batches move and none is overloaded.

    The largest batches come first, each to the worker with the least to do.

    Parameters
    ----------
    place : where batches are; those of workers that are gone need a new one.
    sizes : work of every batch.
    workers : who is there.
    move : whether batches may leave a worker that has more than its share.
    """
    load: dict[W, int] = dict.fromkeys(workers, 0)
    fair, found = sum(sizes) / len(workers), dict[int, W]()
    order = sorted(range(len(sizes)), key=lambda b: -sizes[b])
    for b in order:
        home = place.get(b)
        if (
            home is not None
            and home in load
            and (not move or not load[home] or load[home] + sizes[b] <= fair)
        ):
            found[b] = home
            load[home] += sizes[b]
    for b in order:
        if b not in found:
            found[b] = min(load, key=lambda worker: load[worker])
            load[found[b]] += sizes[b]
    return found


def _worth_a_try(failure: Failure, raised: set[int]) -> bool:
    return not failure.input_error and failure.batch not in raised


def _died(times: int) -> str:
    return f"its worker died {counted(times, 'time')} in one iteration; is there enough memory?"
