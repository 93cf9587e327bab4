"""One thread for linear algebra: the same numbers everywhere, and no threads that wait.

The systems of a factorisation are too small to gain from a second BLAS thread, worker processes
are many already, and a sum in another order is another number.  CasADi's wheel brings an OpenBLAS
of its own beside NumPy's and SciPy's.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import threadpoolctl

from .wheel import libraries

_BLAS = re.compile("blas|blis|mkl|armpl", re.IGNORECASE)  # in the names of their files

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _CasadiOpenBLAS(threadpoolctl.OpenBLASController):
    """The OpenBLAS of the CasADi wheel, whose name threadpoolctl does not know."""

    internal_api = "casadi-openblas"
    filename_prefixes = ("libcasadi-tp-openblas",)


threadpoolctl.register(_CasadiOpenBLAS)


class _Controller(threadpoolctl.ThreadpoolController):
    """Looks at what BLAS may be called only: the real paths of all 150 libraries take 8 ms, their `Path`s 3."""

    def _make_controller_from_path(self, filepath: str) -> None:
        if _BLAS.search(filepath):
            super()._make_controller_from_path(filepath)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit every BLAS of this process to one thread, for the time of the context."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def single_threaded(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate an entry point: it computes within `one_blas_thread`.

    Not by `contextlib`, whose frames would stand in every traceback and before the line that a warning names.
    """

    @wraps(function)
    def limited(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with one_blas_thread():
            return function(*args, **kwargs)

    return limited


@cache  # all libraries are loaded with the package, or here
def _controller() -> threadpoolctl.ThreadpoolController:
    import scipy.linalg  # noqa: F401  # late, as all of SciPy; what is not loaded yet is not limited

    _load_casadi_blas()
    return _Controller()


def _load_casadi_blas() -> None:
    """Load what CasADi would load with its first solver; only what is loaded can be limited."""
    for library in libraries("casadi-tp-openblas"):
        with suppress(OSError):
            ctypes.CDLL(str(library))
            return
