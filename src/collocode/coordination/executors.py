"""Where batches are solved: in this process, in a pool of processes, or on a cluster.

An executor takes the tasks of one iteration and brings their answers in the order of the tasks.
Each batch has its own worker, so that its solver is built there once; a worker that is lost takes
only caches with it.  How tasks travel is each executor's own; what is done about a reply that is no
answer is the same for all, and written here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from ..errors import CollocodeError, InputError
from .batches import Batch
from .subproblem import Subproblem
from .task import Answer, Failure, Lost, Missing, Settings, Task
from .worker import Reply, Worker, described

OnAnswer = Callable[[Answer], object]
Stop = Callable[[], bool]

_LOSSES = 2  # of a batch's workers in one iteration, after which something is wrong with the batch
_STOPPED = "User_Requested_Stop"


class WorkerError(CollocodeError, RuntimeError):
    """Workers were lost, or raised, more often than is worth another try."""


class Stopped(Exception):
    """The iteration was given up because the caller's ``stop`` said so."""


def never() -> bool:
    """Do not stop."""
    return False


class Executor(Protocol):
    """What the coordinator asks for."""

    name: str

    @property
    def workers(self) -> int:
        """How many there are."""

    def run(self, tasks: Sequence[Task], on_answer: OnAnswer, stop: Stop = never) -> list[Answer]:
        """Solve all tasks; return the answers in their order.

        Raises
        ------
        InputError
            A batch that cannot be solved by anybody, as its data or functions are wrong.
        WorkerError
            Workers that are lost again and again, or a cluster that is gone.
        Stopped
            ``stop()`` became true, or a solver was interrupted.
        """

    def close(self) -> None:
        """Give up the workers."""


class Exchange(ABC):
    """What executors have in common: tasks out, replies in, and what follows from a reply.

    A batch that raises is tried once more elsewhere.  If that raises too, its last point stands and
    its answer says so (``rescue`` is ``kept``, ``status`` the message): one bad batch does not cost
    the run.

    Parameters
    ----------
    batches, settings : what is solved, and how.
    """

    name: str
    workers: int

    def __init__(self, batches: Sequence[Batch], settings: Settings) -> None:
        self._batches, self._settings = batches, settings
        self._last: dict[int, Answer] = {}

    def run(self, tasks: Sequence[Task], on_answer: OnAnswer, stop: Stop = never) -> list[Answer]:
        """See `Executor`."""
        answers: dict[int, Answer] = {}
        raised, losses = set[int](), Counter[int]()
        try:
            for task in tasks:
                self._send(task)
            while len(answers) < len(tasks):
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
                    answers[task.batch] = self._settled(task, reply)
                    on_answer(answers[task.batch])
        except BaseException:
            self._abandon()
            raise
        return [answers[task.batch] for task in tasks]

    @abstractmethod
    def close(self) -> None:
        """Give up the workers."""

    @abstractmethod
    def _send(self, task: Task, elsewhere: bool = False) -> None:
        """Send a task to its batch's worker, or to another one, with what it needs there."""

    @abstractmethod
    def _receive(self, stop: Stop) -> tuple[Task, Reply | Lost]:
        """Wait for a reply.

        Raises
        ------
        Stopped, WorkerError
        """

    @abstractmethod
    def _abandon(self) -> None:
        """Forget the tasks that are under way."""

    def _settled(self, task: Task, reply: Answer | Failure) -> Answer:
        if isinstance(reply, Failure):
            return self._kept(task, reply)
        if reply.status == _STOPPED:
            raise Stopped
        self._last[task.batch] = replace(reply, point=None)
        return reply

    def _kept(self, task: Task, failure: Failure) -> Answer:
        """Let the last point stand.

        Raises
        ------
        InputError, WorkerError
            The batch itself is wrong, or has no point yet.
        """
        name, message = self._batches[task.batch].name, failure.message.rstrip(".")
        if failure.input_error:
            raise InputError(f"batch {name!r}: {message}.")
        last = self._last.get(task.batch)
        if last is None and task.point is not None:  # a run that was resumed
            try:
                last = Subproblem(self._batches[task.batch], self._settings).standing(task)
            except Exception as error:
                message += f"; its last point cannot be read: {described(error)}"
        if last is None:
            raise WorkerError(f"batch {name!r} could not be solved ({message}).")
        return replace(
            last,
            iteration=task.iteration,
            point=task.point,
            simulated=float("nan"),
            squares=(float("nan"), 1),
            status=message,
            rescue="kept",
            iterations=0,
            seconds=0.0,
            build_seconds=0.0,
        )


class InProcess(Exchange):
    """All batches one after the other, here."""

    name, workers = "in-process", 1

    def __init__(self, batches: Sequence[Batch], settings: Settings, keep: bool = False) -> None:
        super().__init__(batches, settings)
        self._worker = Worker(settings, keep)
        self._queue: deque[Task] = deque()

    def close(self) -> None:
        """Nothing to give up."""

    def _send(self, task: Task, elsewhere: bool = False) -> None:
        self._queue.append(task)

    def _receive(self, stop: Stop) -> tuple[Task, Reply | Lost]:
        if stop():
            raise Stopped
        task = self._queue.popleft()
        return task, self._worker.run(task, self._batches[task.batch])

    def _abandon(self) -> None:
        self._queue.clear()


def assigned(batches: Sequence[Batch], workers: int) -> list[int]:
    """Worker of every batch: the largest first, each to the worker with the least to do."""
    load, place = [0] * workers, [0] * len(batches)
    sizes = [b.problem.n_measurements for b in batches]
    for k in sorted(range(len(batches)), key=lambda k: -sizes[k]):
        place[k] = load.index(min(load))
        load[place[k]] += sizes[k]
    return place


def make_executor(
    batches: Sequence[Batch], settings: Settings, workers: int, scheduler: str | None, keep: bool
) -> Executor:
    """Return the executor that was asked for; see `collocode.coordination`.

    Raises
    ------
    MissingDependency
        A cluster without ``distributed``.
    WorkerError
        A cluster that cannot be reached, or has no workers.
    """
    if scheduler is not None:
        from .cluster import Cluster

        return Cluster(batches, settings, workers, scheduler, keep)
    if workers > 1 and len(batches) > 1:
        from .pool import ProcessPool

        return ProcessPool(batches, settings, min(workers, len(batches)), keep)
    return InProcess(batches, settings, keep)


def _worth_a_try(failure: Failure, raised: set[int]) -> bool:
    return not failure.input_error and failure.batch not in raised


def _died(times: int) -> str:
    return f"its worker died {times} times in one iteration; is there enough memory?"
