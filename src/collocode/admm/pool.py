"""A pool of processes, one batch always in the same one; dead processes are replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cloudpickle

from .batches import Batch
from .executors import OnAnswer, WorkerError, answer_of, assigned
from .task import Answer, Failure, Missing, Settings, Task
from .worker import Reply, Worker

_LOSSES = 3  # of one process in one iteration, after which something is wrong with the work itself

_worker: Worker | None = None


def _begin(settings: bytes, keep: bool) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business
    _worker = Worker(cloudpickle.loads(settings), keep)


def _solve(task: Task, batch: bytes | None) -> Reply:
    assert _worker is not None
    return _worker.run(task, None if batch is None else cloudpickle.loads(batch))


class ProcessPool:
    """Worker processes of this machine, started afresh (spawn), one BLAS thread each.

    Models may be written anywhere, lambdas included: they travel by cloudpickle.
    """

    name = "process pool"

    def __init__(
        self, batches: Sequence[Batch], settings: Settings, workers: int, keep: bool = False
    ) -> None:
        self.workers = workers
        self._batches, self._keep = batches, keep
        self._settings = cloudpickle.dumps(settings)
        self._place = assigned(batches, workers)
        self._slots = [self._slot() for _ in range(workers)]
        self._sent: list[set[int]] = [set() for _ in range(workers)]

    def run(self, tasks: Sequence[Task], on_answer: OnAnswer) -> list[Answer]:
        """See `Executor`."""
        answers: dict[int, Answer] = {}
        losses = [0] * self.workers
        with _one_thread():
            pending = {self._submit(task): task for task in tasks}
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    task = pending.pop(future)
                    reply = self._reply(future, task, losses)
                    if isinstance(reply, Answer | Failure):
                        answers[task.batch] = answer_of(reply, self._batches)
                        on_answer(answers[task.batch])
                    else:
                        pending[self._submit(task)] = task
        return [answers[task.batch] for task in tasks]

    def close(self) -> None:
        """Stop the processes."""
        for slot in self._slots:
            slot.shutdown(wait=False, cancel_futures=True)

    def _slot(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _begin, (self._settings, self._keep))

    def _submit(self, task: Task) -> Future[Reply]:
        place = self._place[task.batch]
        batch = None
        if task.batch not in self._sent[place]:
            batch = cloudpickle.dumps(self._batches[task.batch])
            self._sent[place].add(task.batch)
        try:
            return self._slots[place].submit(_solve, task, batch)
        except BrokenProcessPool:  # it died between two tasks
            self._replace(place)
            return self._submit(task)

    def _reply(self, future: Future[Reply], task: Task, losses: list[int]) -> Reply:
        place = self._place[task.batch]
        try:
            reply = future.result()
        except BrokenProcessPool:
            if task.batch in self._sent[place]:  # else a task of the same death was here before
                losses[place] += 1
                self._replace(place)
            if losses[place] > _LOSSES:
                raise WorkerError(
                    f"the worker process of batch {self._batches[task.batch].name!r} died "
                    f"{losses[place]} times in one iteration; is there enough memory?"
                ) from None
            return Missing(task.batch)
        if isinstance(reply, Missing):
            self._sent[place].discard(task.batch)
        return reply

    def _replace(self, place: int) -> None:
        self._slots[place].shutdown(wait=False, cancel_futures=True)
        self._slots[place] = self._slot()
        self._sent[place].clear()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start here use one thread for linear algebra: they are many already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
