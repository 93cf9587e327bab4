"""The connection to a Dask cluster: all that is asked of ``distributed``, in one place."""

from __future__ import annotations

import logging
import re
import ssl
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import FileError, InputError, MissingDependency
from ..kinds import check_type
from ..solvers.processes import isolated
from .executors import WorkerError

LOCAL = "local"
_SOON = 1.0  # seconds after which to ask whether the worker that has a result is still there
_ENCRYPTED = ("tls://", "wss://")
_OVER = ("closing", "closed")  # what a client is that has failed to connect again
_LEAST = 200_000_000  # bytes that a worker needs before it has seen a batch
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+")
_REACH, _PATIENCE = 8.0, 20.0  # seconds to wait for a first sign of life, and for any other answer


def _dask() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise MissingDependency(
            "batches on a cluster need distributed; pip install 'collocode[cluster]'."
        ) from error
    return distributed


def security_from(authority: Path, certificate: Path, key: Path | None = None) -> Any:
    """Return the `distributed.Security` of a client with these PEM files.

    Raises
    ------
    FileError
        A file that is not there.
    """
    for path in filter(None, (authority, certificate, key)):
        if not path.is_file():
            raise FileError(f"{path} is no file; give a certificate or key in PEM format.")
    names = {"tls_ca_file": authority, "tls_client_cert": certificate, "tls_client_key": key}
    files = {name: str(path) for name, path in names.items() if path is not None}
    return _dask().Security(require_encryption=True, **files)


def is_address(scheduler: str) -> bool:
    """Whether it is ``local`` or looks like ``tcp://host:port``."""
    return scheduler == LOCAL or _ADDRESS.fullmatch(scheduler) is not None


class DaskClient:
    """A client, and with ``local`` the cluster that it is the only client of.

    Parameters
    ----------
    scheduler : ``tcp://`` or ``tls://host:port``, or ``local`` for processes on this machine.
    security : a `distributed.Security`; None takes what Dask is configured with, and for ``local``
        certificates that are made for this cluster and never written.
    on_done : called, in some thread, with the key of every task that has ended.
    local : of a local cluster, see `distributed.LocalCluster`.

    Raises
    ------
    MissingDependency
        ``distributed`` is not installed, or what makes certificates or a dashboard.
    InputError
        An address without encryption with a ``security`` that wants it, or the reverse.
    WorkerError
        Nobody answers at the address, or not to this certificate.
    """

    def __init__(
        self, scheduler: str, security: Any, on_done: Callable[[str], Any], **local: Any
    ) -> None:
        self._distributed, self._on_done = _dask(), on_done
        self._open = ExitStack()
        self._open.enter_context(_quiet())
        try:
            self._client = self._connected(scheduler, security, local)
        except BaseException:
            self._open.close()
            raise
        self.address: str = self._client.scheduler.address

    def _connected(self, scheduler: str, security: Any, local: dict[str, Any]) -> Any:
        target: Any = scheduler
        if security is not None:
            check_type("security", security, self._distributed.Security)
        if scheduler == LOCAL:
            security = security or self._temporary()
            target = self._started(security, local)
        else:
            self._check_encryption(scheduler, security)
        try:
            client = self._distributed.Client(
                target, timeout=_REACH, set_as_default=False, security=security
            )
        except OSError as error:
            certificate = scheduler.startswith(_ENCRYPTED)
            remedy = "the certificates" if certificate else "the address"
            raise WorkerError(
                f"no Dask scheduler answers at {scheduler!r}"
                f"{' to this certificate' if certificate else ''}; give {remedy} that `dask "
                f"scheduler` {'was started with' if certificate else 'prints'}, such as "
                f"{'--tls-ca-file ca.pem' if certificate else 'tcp://host:8786'}."
            ) from error
        self._open.callback(_closed, client)
        return client

    def _started(self, security: Any, local: dict[str, Any]) -> Any:
        if local["dashboard_address"] is not None and find_spec("bokeh") is None:
            raise MissingDependency("the dashboard of a cluster needs bokeh; pip install bokeh.")
        _check_memory(local["memory_limit"])
        with isolated():
            cluster = self._distributed.LocalCluster(
                threads_per_worker=1, silence_logs=logging.CRITICAL, security=security, **local
            )
        self._open.callback(cluster.close, timeout=_REACH)
        return cluster

    def _temporary(self) -> Any:
        try:
            return self._distributed.Security.temporary()
        except ImportError as error:
            raise MissingDependency(
                "certificates for a cluster need cryptography; pip install 'collocode[cluster]'."
            ) from error

    def _check_encryption(self, scheduler: str, security: Any) -> None:
        """Say what Dask says less plainly, or only after some seconds."""
        known = security or self._distributed.Security()  # what Dask is configured with
        encrypted = scheduler.startswith(_ENCRYPTED)
        try:
            ready = known.get_connection_args("client")["ssl_context"] is not None
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"the certificates cannot be read: {error}.") from error
        if encrypted and not ready:
            raise InputError(
                f"the scheduler at {scheduler!r} wants a certificate; give "
                "security=distributed.Security(tls_ca_file=..., tls_client_cert=..., "
                "tls_client_key=...)."
            )
        if known.require_encryption and not encrypted:
            raise InputError(
                f"security asks for encryption, which {scheduler!r} does not have; give the "
                "tls:// address of a scheduler with certificates."
            )

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


def _check_memory(limit: Any) -> None:
    from dask.utils import parse_bytes

    try:
        number = 1.0 if limit is None else float(limit)
    except (TypeError, ValueError):
        try:
            number = float(parse_bytes(limit))
        except (TypeError, ValueError, AttributeError):
            number = -1.0
    if not (0.0 < number <= 1.0 or number >= _LEAST):
        raise InputError(
            f"memory_limit is a size of at least {_LEAST // 10**6} MB such as '2GB', or a part of "
            f"the machine's such as 0.5, not {limit!r}."
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
