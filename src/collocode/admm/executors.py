"""Where batches are solved: in this process, in a pool of processes, or on a cluster.

An executor takes the tasks of one iteration and brings their answers in the order of the tasks.
Each batch has its own worker, so that its solver is built there once; a worker that is lost takes
only caches with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..errors import CollocodeError, InputError
from .batches import Batch
from .task import Answer, Failure, Missing, Settings, Task
from .worker import Reply, Worker

OnAnswer = Callable[[Answer], object]


class WorkerError(CollocodeError, RuntimeError):
    """Workers were lost, or raised, more often than is worth another try."""


class Executor(Protocol):
    """What the coordinator asks for."""

    name: str
    workers: int

    def run(self, tasks: Sequence[Task], on_answer: OnAnswer) -> list[Answer]:
        """Solve all tasks; return the answers in their order.

        Raises
        ------
        InputError
            A batch that cannot be solved by anybody, as its data or functions are wrong.
        WorkerError
            Workers that are lost again and again, or a cluster that is gone.
        """

    def close(self) -> None:
        """Give up the workers."""


class InProcess:
    """All batches one after the other, here."""

    name, workers = "in-process", 1

    def __init__(self, batches: Sequence[Batch], settings: Settings, keep: bool = False) -> None:
        self._batches = batches
        self._worker = Worker(settings, keep)

    def run(self, tasks: Sequence[Task], on_answer: OnAnswer) -> list[Answer]:
        """See `Executor`."""
        answers = []
        for task in tasks:
            reply: Reply = self._worker.run(task)
            if isinstance(reply, Missing):
                reply = self._worker.run(task, self._batches[task.batch])
            answers.append(answer_of(reply, self._batches))
            on_answer(answers[-1])
        return answers

    def close(self) -> None:
        """Nothing to give up."""


def answer_of(reply: Reply, batches: Sequence[Batch]) -> Answer:
    """Return the answer, or raise what the worker could not.

    Raises
    ------
    InputError, WorkerError
        The task raised.
    """
    if isinstance(reply, Answer):
        return reply
    name = batches[reply.batch].name
    if isinstance(reply, Failure) and reply.input_error:
        raise InputError(f"batch {name!r}: {reply.message}")
    message = reply.message if isinstance(reply, Failure) else "its data did not arrive"
    raise WorkerError(f"batch {name!r} could not be solved ({message.rstrip('.')}).")


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
    """Return the executor that was asked for; see `collocode.admm`.

    Raises
    ------
    MissingDependency
        A cluster without ``distributed``.
    """
    if scheduler is not None:
        from .cluster import Cluster

        return Cluster(batches, settings, workers, scheduler, keep)
    if workers > 1:
        from .pool import ProcessPool

        return ProcessPool(batches, settings, min(workers, len(batches)), keep)
    return InProcess(batches, settings, keep)
