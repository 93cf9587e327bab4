"""How worker processes are started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Start processes that leave Ctrl-C to the caller, have one BLAS thread each, and no script.

    A signal that is blocked here is blocked in the children too, from their first instruction on.
    A spawned process would import the caller's script, and begin what that begins; models bring
    their code along instead, see `collocode.coordination.parcel`.
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
