"""Processes and what is sent to them.

Models are written anywhere: in scripts, notebooks, files given to the command line, lambdas.  A
process elsewhere can import what is installed and nothing else, so functions and classes of all
other modules travel with their code.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from ..errors import InputError

_PACKAGE = __name__.partition(".")[0]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def prefer_one_thread() -> None:
    """Let the BLAS libraries that this process will load begin with one thread, unless the user said how many.

    Their threads wait for each other by spinning, which costs more than they save on our sizes.
    """
    if not any(name in os.environ for name in _THREADS):
        os.environ.update(dict.fromkeys(_THREADS, "1"))


@contextmanager
def isolated() -> Iterator[None]:
    """Start processes that leave Ctrl-C to the caller, have one BLAS thread each, and no script.

    A signal that is blocked here is blocked in the children too, from their first instruction on.
    A spawned process would import the caller's script, and begin what that begins; models bring
    their code along instead, see `serialize`.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    main = sys.modules["__main__"]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def serialize(value: Any, what: str) -> bytes:
    """Return ``value`` as bytes; ``what`` names it in messages.

    Raises
    ------
    InputError
        It holds something that cannot be sent, such as an open file.
    """
    try:
        with _code_included():
            return bytes(cloudpickle.dumps(value))
    except Exception:  # a module's globals may not travel where the module itself can be imported
        try:
            return bytes(cloudpickle.dumps(value))
        except Exception as error:
            raise InputError(
                f"{what} cannot be sent to another process ({' '.join(str(error).split())}); keep "
                "open files, locks and symbols out of the model, or solve in this process."
            ) from error


def deserialize(data: bytes) -> Any:
    """Return what `serialize` was given."""
    return cloudpickle.loads(data)


@contextmanager
def _code_included() -> Iterator[None]:
    modules = [m for m in list(sys.modules.values()) if not _installed(m)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _installed(module: ModuleType) -> bool:
    """Whether every Python with the same packages can import the module."""
    known = getattr(module, "__dict__", {})  # getattr on the module itself may set off an import
    name, file = str(known.get("__name__")), known.get("__file__")
    if file is None or sys.modules.get(name) is not module:
        return True
    return _is_ours(name) or _in_environment(str(file))


@cache  # a thousand modules are looked at for every batch
def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in (_PACKAGE, "__main__", "__mp_main__")


@cache
def _in_environment(file: str) -> bool:
    return any(file.startswith(root) for root in _roots())


@cache
def _roots() -> tuple[str, ...]:
    paths = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
    return tuple({text for path in paths for text in (str(path), str(Path(path).resolve()))})
