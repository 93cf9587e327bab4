"""The connection to a Dask cluster: all that is asked of ``distributed``, in one place."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ..errors import InputError, MissingDependency
from .executors import WorkerError
from .processes import undisturbed

LOCAL = "local"
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+")
_REACH, _PATIENCE = 8.0, 20.0  # seconds to wait for a first sign of life, and for any other answer


class Link:
    """A client, and with ``local`` the cluster that it is the only client of.

    Parameters
    ----------
    scheduler : ``tcp://host:port``, or ``local`` for ``workers`` processes on this machine.
    on_done : called, in some thread, with the key of every task that has ended.

    Raises
    ------
    InputError
        No address.
    MissingDependency
        ``distributed`` is not installed.
    WorkerError
        Nobody answers at the address.
    """

    def __init__(self, scheduler: str, workers: int, on_done: Callable[[str], Any]) -> None:
        if scheduler != LOCAL and not _ADDRESS.fullmatch(scheduler):
            raise InputError(
                f"the scheduler is 'local' or an address such as tcp://host:8786, not {scheduler!r}."
            )
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
            with undisturbed():
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
        self._open.callback(client.close, timeout=_REACH)
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
        if self._client.status in ("closing", "closed"):
            raise WorkerError(f"the Dask scheduler at {self.address} is gone.")
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
        """Have ``function(*arguments)`` called by a worker, and by no other; return a future."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            future = self._client.submit(
                function, *arguments, key=key, workers=[worker], allow_other_workers=False
            )
        future.add_done_callback(lambda ended: self._on_done(ended.key))
        return future

    def result(self, future: Any) -> Any:
        """What the function returned; None if the result was lost.

        Raises
        ------
        Exception
            What the cluster raised, as when a worker lacks a package.
        """
        failed = future.status == "error"
        try:
            return future.result(timeout=_REACH)
        except (CancelledError, OSError, self._distributed.KilledWorker):
            if failed and not isinstance(future.exception(), self._distributed.KilledWorker):
                raise
            return None

    def cancel(self, futures: list[Any]) -> None:
        """Drop tasks; those that run already run to their end."""
        with suppress(Exception):
            self._client.cancel(futures, force=True)

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a short function called by every worker, some time soon."""
        with suppress(Exception):
            self._client.run(function, *arguments, wait=False, on_error="ignore")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's loggers from the terminal: what matters is said in our own errors."""
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
