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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..solvers.processes import deserialize, serialize
from .dask_client import LOCAL, DaskClient, is_address
from .executors import (
    Executor,
    Lost,
    OnBatch,
    Session,
    Stop,
    Stopped,
    WorkerError,
    balanced,
)
from .partition import Batch
from .subproblem import FitSettings
from .worker import Failure, Missing, Question, Reply, Worker, described

_TICK, _LOOK = 0.1, 1.0  # seconds between two looks at whether to stop, and at who is alive
_ALONE = 10.0  # seconds that a cluster may be without workers
_RUNS = 4  # how many runs a worker has caches of, of this program or of others

_workers: OrderedDict[str, Worker] = OrderedDict()


def _solve(
    run: str, task: Question, setup: bytes | None, batch: bytes | None
) -> Reply:  # runs in a Dask worker
    worker = _workers.get(run)
    if worker is None:
        if setup is None:
            return Missing(task.batch)
        worker = _workers[run] = Worker(*deserialize(setup))
    _workers.move_to_end(run)
    while len(_workers) > _RUNS:
        _workers.popitem(last=False)
    return worker.run(task, batch)


def _forget(run: str) -> None:  # runs in a Dask worker
    _workers.pop(run, None)


@dataclass(frozen=True)
class DaskCluster(Executor):
    """Workers of a Dask scheduler, or of a cluster of our own; needs ``collocode[cluster]``.

    Who reaches a scheduler can run code on its workers, and its workers and itself can run code
    here: Dask's messages are pickles.  With certificates only their holders reach it.

    Parameters
    ----------
    scheduler : ``tcp://host:port`` or ``tls://host:port``, or ``local`` for ``workers`` processes
        on this machine.
    workers : of a local cluster; others have the workers that they have.
    security : a `distributed.Security`; None takes what Dask is configured with.  A local cluster
        makes itself certificates that last as long as it does.
    memory_limit : of a local cluster's worker, such as ``"2GB"`` or ``0.5`` of the machine; a
        worker that exceeds it is killed and started again.  None sets no limit.
    dashboard_address : of a local cluster, such as ``":8787"``; it needs bokeh and asks nobody for
        a certificate.  None shows none.
    points, solvers : see `Executor`.

    Raises
    ------
    InputError
        No address, or what a local cluster takes for one that runs already.
    """

    scheduler: str = LOCAL
    workers: int = 1
    security: Any = None
    memory_limit: str | int | float | None = None
    dashboard_address: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_address(self.scheduler):
            raise InputError(
                "the scheduler is 'local' or an address such as tcp://host:8786, not "
                f"{self.scheduler!r}."
            )
        for name in ("memory_limit", "dashboard_address"):
            if self.scheduler != LOCAL and getattr(self, name) is not None:
                raise InputError(
                    f"{name} is for a cluster of our own; give it to what starts the one at "
                    f"{self.scheduler!r}."
                )

    def open(self, batches: Sequence[Batch], settings: FitSettings) -> DaskSession:
        """See `Executor`."""
        return DaskSession(batches, settings, self)


class DaskSession(Session):
    """A cluster at work.

    Raises
    ------
    MissingDependency
        ``distributed`` is not installed.
    WorkerError
        Nobody answers at the address, or there are no workers.
    """

    name = "Dask cluster"

    def __init__(
        self, batches: Sequence[Batch], settings: FitSettings, cluster: DaskCluster
    ) -> None:
        super().__init__(batches, settings)
        self._run, self._count = uuid.uuid4().hex, itertools.count()
        self._setup = serialize((settings, *cluster.worker), "the settings")
        self._sizes = [b.problem.n_measurements for b in batches]
        self._place: dict[int, str] = {}
        self._knows: dict[str, set[int]] = {}
        self._pending: dict[str, tuple[Question, str, Any]] = {}
        self._backlog: deque[tuple[Question, Reply | Lost]] = deque()
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._seen = self._next = time.monotonic()
        self._connected = True
        self._client = DaskClient(
            cluster.scheduler,
            cluster.security,
            self._done.put,
            n_workers=cluster.workers,
            memory_limit=cluster.memory_limit,
            dashboard_address=cluster.dashboard_address,
        )
        try:
            self._gather()
        except BaseException:
            self._client.close()
            raise

    @property
    def workers(self) -> int:  # type: ignore[override]
        """How many were alive at the last look."""
        return len(self._knows)

    def run(
        self, tasks: Sequence[Question], on_batch: OnBatch, stop: Stop = lambda: False
    ) -> list[Any]:
        """See `Session`."""
        self._gather()
        self._place = balanced(self._place, self._sizes, list(self._knows))
        return super().run(tasks, on_batch, stop)

    def close(self) -> None:
        """Free the workers' caches and let go of the cluster."""
        for address in self._knows:
            self._client.leave(address, _forget, self._run)
        self._client.close()

    def _gather(self) -> None:
        """Wait until some worker is there."""
        self._seen = time.monotonic()
        self._look()
        while not self._knows or not self._connected:
            time.sleep(_TICK)
            self._look()

    def _send(self, task: Question, elsewhere: bool = False) -> None:
        place = self._place[task.batch]
        others = [address for address in self._knows if address != place]
        if elsewhere and others:
            place = self._place[task.batch] = others[task.batch % len(others)]
        setup = batch = None
        if task.batch not in self._knows[place]:
            data = self._batches[task.batch]
            setup, batch = self._setup, serialize(data, f"batch {data.name!r}")
            self._knows[place].add(task.batch)
        key = f"collocode-{self._run}-{task.batch}-{next(self._count)}"
        future = self._client.submit(key, place, _solve, self._run, task, setup, batch)
        self._pending[key] = (task, place, future)

    def _receive(self, stop: Stop) -> tuple[Question, Reply | Lost]:
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

    def _reply(self, task: Question, place: str, future: Any) -> Reply:
        try:
            reply: Reply = self._client.result(future, place) or Missing(task.batch)
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
        alive = self._client.workers()
        now = time.monotonic()
        self._next = now + _LOOK
        if alive:
            self._seen = now
        elif now - self._seen > _ALONE and alive is None:
            raise WorkerError(f"the Dask scheduler at {self._client.address} is gone.")
        elif now - self._seen > _ALONE:
            raise WorkerError(
                f"the Dask scheduler at {self._client.address} has no workers; start some with "
                f"`dask worker {self._client.address}`."
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
        self._client.drop(futures)

    def _abandon(self) -> None:
        self._client.drop([future for _, _, future in self._pending.values()])
        self._pending.clear()
        self._backlog.clear()
