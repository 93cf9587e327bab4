"""Batches on a Dask cluster, each always at the same worker, for as long as that worker lives.

Tasks are bound to their workers, so that the scheduler does not move them to where their data are
not.  Who is alive is asked every second: the tasks of a worker that is gone are sent elsewhere, with
their data, and from the next iteration on workers that have joined get their share.  A scheduler
that is gone or does not answer, or a cluster that stays without workers, ends the run.
"""

from __future__ import annotations

import itertools
import queue
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any

from .batches import Batch
from .dask_link import LOCAL, Link
from .executors import Exchange, OnAnswer, Stop, Stopped, WorkerError, never
from .parcel import packed, unpacked
from .task import Answer, Failure, Lost, Missing, Settings, Task
from .worker import Reply, Worker, described

_TICK, _LOOK = 0.1, 1.0  # seconds between two looks at whether to stop, and at who is alive
_ALONE = 10.0  # seconds that a cluster may be without workers
_RUNS = 4  # how many runs a worker has caches of, of this program or of others

_workers: OrderedDict[str, Worker] = OrderedDict()


def _solve(
    run: str, task: Task, settings: bytes | None, batch: bytes | None
) -> Reply:  # runs in a Dask worker
    worker = _workers.get(run)
    if worker is None:
        if settings is None:
            return Missing(task.batch)
        worker = _workers[run] = Worker(*unpacked(settings))
    _workers.move_to_end(run)
    while len(_workers) > _RUNS:
        _workers.popitem(last=False)
    return worker.run(task, batch)


def _forget(run: str) -> None:  # runs in a Dask worker
    _workers.pop(run, None)


class Cluster(Exchange):
    """Workers of a Dask scheduler, or with ``local`` of a cluster of our own on this machine.

    Raises
    ------
    MissingDependency
        ``distributed`` is not installed.
    WorkerError
        Nobody answers at the address, or there are no workers.
    """

    name = "Dask cluster"

    def __init__(
        self,
        batches: Sequence[Batch],
        settings: Settings,
        workers: int = 1,
        scheduler: str = LOCAL,
        keep: bool = False,
    ) -> None:
        super().__init__(batches, settings)
        self._run, self._count = uuid.uuid4().hex, itertools.count()
        self._parcel = packed((settings, keep), "the settings")
        self._sizes = [b.problem.n_measurements for b in batches]
        self._place: dict[int, str] = {}
        self._knows: dict[str, set[int]] = {}
        self._pending: dict[str, tuple[Task, str, Any]] = {}
        self._backlog: deque[tuple[Task, Reply | Lost]] = deque()
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._seen = self._next = time.monotonic()
        self._connected = True
        self._link = Link(scheduler, workers, self._done.put)
        try:
            self._gather()
        except BaseException:
            self._link.close()
            raise

    @property
    def workers(self) -> int:  # type: ignore[override]
        """How many were alive at the last look."""
        return len(self._knows)

    def run(self, tasks: Sequence[Task], on_answer: OnAnswer, stop: Stop = never) -> list[Answer]:
        """See `Executor`."""
        self._gather()
        self._place = balanced(self._place, self._sizes, list(self._knows))
        return super().run(tasks, on_answer, stop)

    def close(self) -> None:
        """Free the workers' caches and let go of the cluster."""
        for address in self._knows:
            self._link.leave(address, _forget, self._run)
        self._link.close()

    def _gather(self) -> None:
        """Wait until some worker is there."""
        self._seen = time.monotonic()
        self._look()
        while not self._knows or not self._connected:
            time.sleep(_TICK)
            self._look()

    def _send(self, task: Task, elsewhere: bool = False) -> None:
        place = self._place[task.batch]
        others = [address for address in self._knows if address != place]
        if elsewhere and others:
            place = self._place[task.batch] = others[task.batch % len(others)]
        settings = batch = None
        if task.batch not in self._knows[place]:
            data = self._batches[task.batch]
            settings, batch = self._parcel, packed(data, f"batch {data.name!r}")
            self._knows[place].add(task.batch)
        key = f"collocode-{self._run}-{task.batch}-{next(self._count)}"
        future = self._link.submit(key, place, _solve, self._run, task, settings, batch)
        self._pending[key] = (task, place, future)

    def _receive(self, stop: Stop) -> tuple[Task, Reply | Lost]:
        while True:
            if stop():
                raise Stopped
            if time.monotonic() >= self._next:
                self._look()
            if self._backlog and self._knows and self._connected:
                return self._backlog.popleft()
            try:
                key = self._done.get(timeout=_TICK)
            except queue.Empty:
                continue
            if key in self._pending:
                task, place, future = self._pending.pop(key)
                self._backlog.append((task, self._reply(task, place, future)))

    def _reply(self, task: Task, place: str, future: Any) -> Reply:
        try:
            reply: Reply = self._link.result(future, place) or Missing(task.batch)
        except WorkerError:
            raise
        except ImportError as error:
            message = f"{described(error)}; install the same packages for all workers"
            reply = Failure(task.batch, message)
        except Exception as error:
            reply = Failure(task.batch, described(error))
        if isinstance(reply, Missing | Failure) and place in self._knows:
            self._knows[place].discard(task.batch)
        return reply

    def _look(self) -> None:
        """Find out who is alive; take back the tasks of those who are not."""
        alive = self._link.workers()
        now = time.monotonic()
        self._next = now + _LOOK
        if alive:
            self._seen = now
        elif now - self._seen > _ALONE and alive is None:
            raise WorkerError(f"the Dask scheduler at {self._link.address} is gone.")
        elif now - self._seen > _ALONE:
            raise WorkerError(
                f"the Dask scheduler at {self._link.address} has no workers; start some with "
                f"`dask worker {self._link.address}`."
            )
        self._connected = alive is not None
        if alive is None:
            return
        gone = self._knows.keys() - set(alive)
        self._knows = {address: self._knows.get(address, set()) for address in alive}
        if gone and alive:
            homes = {b: place for b, place in self._place.items() if place not in gone}
            self._place = balanced(homes, self._sizes, list(alive), move=False)
        self._take_back(gone)

    def _take_back(self, gone: set[str]) -> None:
        futures, accused = [], set[str]()
        for key, (task, place, future) in list(self._pending.items()):
            if place in gone:  # the first of its tasks was running, the others wait for their turn
                del self._pending[key]
                futures.append(future)
                lost = Missing(task.batch) if place in accused else Lost(task.batch)
                self._backlog.append((task, lost))
                accused.add(place)
        self._link.drop(futures)

    def _abandon(self) -> None:
        self._link.drop([future for _, _, future in self._pending.values()])
        self._pending.clear()
        self._backlog.clear()


def balanced(
    place: Mapping[int, str], sizes: Sequence[int], workers: Sequence[str], move: bool = True
) -> dict[int, str]:
    """Return a worker for every batch, such that few batches move and none is overloaded.

    Parameters
    ----------
    place : where batches are; those of workers that are gone need a new one.
    sizes : work of every batch.
    workers : who is there.
    move : whether batches may leave a worker that has more than its share.
    """
    load = dict.fromkeys(workers, 0)
    fair, found = sum(sizes) / len(workers), dict[int, str]()
    order = sorted(range(len(sizes)), key=lambda b: -sizes[b])
    for b in order:
        home = place.get(b, "")
        if home in load and (not move or not load[home] or load[home] + sizes[b] <= fair):
            found[b] = home
            load[home] += sizes[b]
    for b in order:
        if b not in found:
            found[b] = min(load, key=lambda address: load[address])
            load[found[b]] += sizes[b]
    return found
