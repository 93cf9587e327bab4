"""A pool of processes, one batch always in the same one; dead processes are replaced.

Each process waits at its end of a pipe for one task at a time.  It needs nobody to stop it: when
the other end is closed, or dies, it ends.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import cloudpickle

from ..solvers.processes import deserialize, isolated, serialize
from .executors import Executor, Lost, Session, Stop, Stopped, balanced
from .partition import Batch
from .subproblem import FitSettings
from .worker import Failure, Missing, Question, Reply, Worker

_TICK = 0.1  # seconds between two looks at whether to stop


@dataclass(frozen=True)
class ProcessPool(Executor):
    """Worker processes of this machine, started afresh (spawn), one BLAS thread each.

    Parameters
    ----------
    workers : their number; no more are started than there are batches.
    points, solvers : see `Executor`.
    """

    workers: int = 2

    def open(self, batches: Sequence[Batch], settings: FitSettings) -> PoolSession:
        """See `Executor`."""
        return PoolSession(batches, settings, self)


class PoolSession(Session):
    """A pool at work.

    Attributes
    ----------
    traffic : bytes sent and bytes received so far.
    """

    name = "process pool"

    def __init__(self, batches: Sequence[Batch], settings: FitSettings, pool: ProcessPool) -> None:
        super().__init__(batches, settings)
        self.workers, self.traffic = min(pool.workers, len(batches)), [0, 0]
        self._setup = serialize((settings, *pool.worker), "the settings")
        sizes = [b.problem.n_measurements for b in batches]
        self._place = balanced({}, sizes, range(self.workers))
        self._queues: list[deque[Question]] = [deque() for _ in range(self.workers)]
        self._busy: dict[int, Question] = {}
        self._processes = [_Process(self._setup) for _ in range(self.workers)]

    def close(self) -> None:
        """Stop the processes; those that are busy are killed."""
        for place, process in enumerate(self._processes):
            process.close(kill=place in self._busy)
        for process in self._processes:
            process.join()

    def _send(self, task: Question, elsewhere: bool = False) -> None:
        if elsewhere:
            self._place[task.batch] = (self._place[task.batch] + 1) % self.workers
        place = self._place[task.batch]
        self._queues[place].append(task)
        self._feed(place)

    def _feed(self, place: int) -> None:
        """Hand an idle process its next task, with the data that it lacks."""
        if place in self._busy or not self._queues[place]:
            return
        task = self._busy[place] = self._queues[place].popleft()
        process, data = self._processes[place], None
        if task.batch not in process.knows:
            batch = self._batches[task.batch]
            data = serialize(batch, f"batch {batch.name!r}")
        # if it is dead, reading will tell
        with suppress(OSError):
            self.traffic[0] += process.send((task, data))
            process.knows.add(task.batch)

    def _receive(self, stop: Stop) -> tuple[Question, Reply | Lost]:
        while True:
            if stop():
                raise Stopped
            pipes = {self._processes[place].pipe: place for place in self._busy}
            for pipe in wait(list(pipes), timeout=_TICK):
                place = pipes[pipe]  # type: ignore[index]
                return self._reply(place, self._busy.pop(place))

    def _reply(self, place: int, task: Question) -> tuple[Question, Reply | Lost]:
        process = self._processes[place]
        reply: Reply | Lost
        try:
            data = process.pipe.recv_bytes()
            self.traffic[1] += len(data)
            reply = cloudpickle.loads(data)
        except (EOFError, OSError):
            self._replace(place)
            reply = Lost(task.batch)
        if isinstance(reply, Missing | Failure):
            process.knows.discard(task.batch)
        self._feed(place)
        return task, reply

    def _replace(self, place: int) -> None:
        self._processes[place].close(kill=True)
        self._processes[place].join()
        self._processes[place] = _Process(self._setup)

    def _abandon(self) -> None:
        for queue in self._queues:
            queue.clear()
        for place in list(self._busy):
            self._replace(place)
            del self._busy[place]


class _Process:
    """A worker process, our end of its pipe, and which batches it knows."""

    def __init__(self, setup: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.knows: set[int] = set()
        self.pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, setup), daemon=True)
        with isolated():
            self._process.start()
        there.close()

    def send(self, message: tuple[Question, bytes | None]) -> int:
        data = cloudpickle.dumps(message)
        self.pipe.send_bytes(data)
        return len(data)

    def close(self, kill: bool) -> None:
        self.pipe.close()
        if kill:
            self._process.kill()

    def join(self) -> None:
        self._process.join(2.0)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(pipe: Connection, setup: bytes) -> None:
    """Solve what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business
    worker = Worker(*deserialize(setup))
    with suppress(EOFError, OSError):
        while True:
            task, batch = cloudpickle.loads(pipe.recv_bytes())
            pipe.send_bytes(cloudpickle.dumps(worker.run(task, batch)))
