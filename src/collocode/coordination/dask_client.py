"""The connection to a Dask cluster: all that is asked of ``distributed``, in one place."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ..errors import MissingDependency
from .executors import WorkerError
from .worker import isolated

LOCAL = "local"
_SOON = 1.0  # seconds after which to ask whether the worker that has a result is still there
_OVER = ("closing", "closed")  # what a client is that has failed to connect again
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+")
_REACH, _PATIENCE = 8.0, 20.0  # seconds to wait for a first sign of life, and for any other answer


def is_address(scheduler: str) -> bool:
    """Whether it is ``local`` or looks like ``tcp://host:port``."""
    return scheduler == LOCAL or _ADDRESS.fullmatch(scheduler) is not None


class DaskClient:
    """A client, and with ``local`` the cluster that it is the only client of.

    Parameters
    ----------
    scheduler : ``tcp://host:port``, or ``local`` for ``workers`` processes on this machine.
    on_done : called, in some thread, with the key of every task that has ended.

    Raises
    ------
    MissingDependency
        ``distributed`` is not installed.
    WorkerError
        Nobody answers at the address.
    """

    def __init__(self, scheduler: str, workers: int, on_done: Callable[[str], Any]) -> None:
        try:
            import distributed
        except ImportError as error:
            raise MissingDependency(
                "batches on a cluster need distributed; pip install 'collocode[cluster]'."
            ) from error
        self._distributed, self._on_done = distributed, on_done
        self._open = ExitStack()
        self._open.enter_context(_quiet())
        try:
            self._client = self._connected(scheduler, workers)
        except BaseException:
            self._open.close()
            raise
        self.address: str = self._client.scheduler.address

    def _connected(self, scheduler: str, workers: int) -> Any:
        target: Any = scheduler
        if scheduler == LOCAL:
            with isolated():
                target = self._distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                )
            self._open.callback(target.close, timeout=_REACH)
        try:
            client = self._distributed.Client(target, timeout=_REACH, set_as_default=False)
        except OSError as error:
            raise WorkerError(
                f"no Dask scheduler answers at {scheduler!r}; give the address that `dask "
                "scheduler` prints, such as tcp://host:8786."
            ) from error
        self._open.callback(_closed, client)
        return client

    def close(self) -> None:
        """Let go of the cluster; a local one stops."""
        self._open.close()

    def workers(self) -> tuple[str, ...] | None:
        """Addresses of the workers that are alive; None while the connection is broken.

        Raises
        ------
        WorkerError
            The scheduler has not come back, or does not answer.
        """
        if self._client.status in _OVER:
            raise self._gone()
        if self._client.status != "running":
            return None
        try:
            known = self._client.sync(self._client.scheduler.ncores, callback_timeout=_PATIENCE)
        except TimeoutError as error:
            raise WorkerError(f"the Dask scheduler at {self.address} does not answer.") from error
        except (OSError, AttributeError):  # it breaks, or has just been closed
            return None
        return tuple(sorted(known))

    def submit(self, key: str, worker: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have ``function(*arguments)`` called by a worker, and by no other; return a future.

        Raises
        ------
        WorkerError
            The connection has been given up.
        """
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph")
                future = self._client.submit(
                    function, *arguments, key=key, workers=[worker], allow_other_workers=False
                )
        except Exception as error:
            if self._client.status in _OVER:
                raise self._gone() from error
            raise
        future.add_done_callback(lambda ended: self._on_done(ended.key))
        return future

    def result(self, future: Any, worker: str) -> Any:
        """What the function returned at ``worker``; None if that was lost.

        Raises
        ------
        Exception
            What the cluster raised, as when a worker lacks a package.
        WorkerError
            The scheduler is gone.
        """
        if future.status == "error" and not isinstance(
            future.exception(timeout=_PATIENCE), self._distributed.KilledWorker
        ):
            raise future.exception()
        end = time.monotonic() + _PATIENCE
        while future.status == "finished" and time.monotonic() < end:
            try:
                return future.result(timeout=_SOON)
            except (CancelledError, OSError):  # it is on its way, or went with the worker
                if worker not in (self.workers() or ()):
                    break
        return None

    def _gone(self) -> WorkerError:
        return WorkerError(f"the Dask scheduler at {self.address} is gone.")

    def drop(self, futures: Iterable[Any]) -> None:
        """Give up tasks; those that run already run to their end."""
        with suppress(Exception):
            for future in futures:
                future.release()

    def leave(self, worker: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a worker call a function some time after we are gone."""
        with suppress(Exception):
            self._distributed.fire_and_forget(
                self._client.submit(function, *arguments, workers=[worker], pure=False)
            )


def _closed(client: Any) -> None:
    with suppress(Exception):  # a scheduler that hangs does not say good-bye
        client.close(timeout=_REACH)


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out what Dask uses to get out of its own loops."""
    return not (record.exc_info and getattr(record.exc_info[0], "__name__", "") == "AllExit")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's loggers from the terminal: what matters is said in our own errors."""
    logging.getLogger("asyncio").addFilter(_worth_a_line)  # for good: it speaks afterwards
    names = [n for n in logging.root.manager.loggerDict if n.split(".")[0] == "distributed"]
    loggers = [logging.getLogger(name) for name in {"distributed", *names}]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
