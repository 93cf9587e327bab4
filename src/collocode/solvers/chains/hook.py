"""The way into stock Ipopt: its interface to Pardiso takes functions instead of a library.

``PardisoSolverInterface::SetFunctions`` is exported by the libipopt of the casadi wheel under its
mangled name, which is looked for in the library and taken only if all arguments are what is expected
here.  Which program a call belongs to is told by an option that Pardiso's interface passes on.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from ...numerics import Array, Index
from ..wheel import libraries

# void (*init)(void*, const int*, const int*, int*, double*, int*), void (*pardiso)(void**, 5 × const
# int*, const double*, 4 × const int*, int*, const int*, double*, double*, int*, double*), bool, …
_BEGINS = b"_ZN5Ipopt22PardisoSolverInterface12SetFunctions"
_WITH = b"EPFvPvPKiS3_PiPdS4_EPFvPS1_S3_S3_S3_S3_S3_PKdS3_S3_S3_S3_S4_S3_S5_S5_S4_S5_EbPFv"
_NAME = re.compile(re.escape(_BEGINS + _WITH) + rb"\w+E")
_USUAL = (_BEGINS + _WITH + b"S3_S3_S3_SA_S4_S4_S5_S4_S5_S4_iE").decode()
_int = ctypes.POINTER(ctypes.c_int)
_double = ctypes.POINTER(ctypes.c_double)
_handle = ctypes.POINTER(ctypes.c_void_p)
_INIT = ctypes.CFUNCTYPE(None, _handle, _int, _int, _int, _double, _int)
_PARDISO = ctypes.CFUNCTYPE(
    None, _handle, *[_int] * 5, _double, *[_int] * 6, _double, _double, _int, _double
)
_ANALYSE, _FACTOR, _SOLVE, _RELEASE = 11, 22, 33, -1
_ID, _PERTURBED, _POSITIVE, _NEGATIVE = 7, 13, 21, 22  # places in Pardiso's parameters
_FATAL, _SINGULAR = -1, -4


class LinearSolver(Protocol):
    """What Ipopt's matrices of one solve are given to."""

    def factor(self, values: Array) -> tuple[int, bool]:
        """Return the number of negative eigenvalues, and whether the matrix is singular."""

    def solve(self, rhs: Array) -> Array:
        """Return the solution."""

    def close(self) -> None:
        """Ipopt has ended."""


class Client(Protocol):
    """Who makes a linear solver for a pattern (compressed rows of the upper triangle, from 0)."""

    negative: int  # eigenvalues that Ipopt wants to see
    error: BaseException | None
    seconds: float  # of wall time that it took

    def analyse(self, start: Index, columns: Index) -> LinearSolver:
        """Return a linear solver."""


_clients: WeakValueDictionary[int, Client] = WeakValueDictionary()
_open: dict[int, tuple[Client, LinearSolver]] = {}
_numbers = itertools.count(1000)  # no number that the option has where somebody else gives it
_under_way: list[int] = []  # an entry each solve, of several threads
_LOCK = threading.Lock()


@lru_cache(maxsize=1)
def _set_functions() -> Callable[..., None] | None:
    for library in libraries("ipopt"):
        loaded = ctypes.CDLL(str(library))
        function = getattr(loaded, _USUAL, None) or getattr(loaded, _name_in(library), None)
        if function is not None:
            function.restype = None
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p]
            return function
    return None


def _name_in(library: Path) -> str:
    """Where the last argument, which is not used here, has another type: a search takes 1 ms of a first fit."""
    with library.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        found = _NAME.search(text, max(text.find(_BEGINS), 0))
        return found[0].decode() if found else "none"


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether this Ipopt takes a linear solver from here."""
    return _set_functions() is not None


def register(client: Client) -> int:
    """Return the number by which Ipopt names the client, for `options`."""
    number = next(_numbers)
    _clients[number] = client
    return number


def options(number: int) -> dict[str, Any]:
    """Ipopt's options for a registered client, which refines every solution by itself."""
    return {
        "linear_solver": "pardiso",
        "pardiso_max_iterative_refinement_steps": number,
        "fast_step_computation": "yes",  # without residuals that nothing would be made of
        "min_refinement_steps": 0,
        "max_refinement_steps": 0,
        "residual_ratio_max": 1e10,
        "residual_ratio_singular": 1e20,
    }


@contextmanager
def connected() -> Iterator[None]:
    """Let Ipopt's Pardiso interface call here meanwhile; afterwards it looks for Pardiso's library again.

    It asks once a solve, and whoever else asks in this process, through whatever package, means Pardiso.
    """
    function = _set_functions()
    assert function is not None
    with _LOCK:
        _under_way.append(1)
        init, pardiso = (ctypes.cast(f, ctypes.c_void_p) for f in (_initialise, _pardiso))
        function(init, pardiso, False, None)
    try:
        yield
    finally:
        with _LOCK:
            _under_way.pop()
            if not _under_way:
                function(None, None, False, None)


@_INIT
def _initialise(handle, _kind, _solver, _parameters, _numbers, error) -> None:  # type: ignore[no-untyped-def]
    for k in range(64):  # Ipopt clears 64 bytes, not 64 pointers
        handle[k] = None
    error[0] = 0


@_PARDISO
def _pardiso(  # type: ignore[no-untyped-def]
    handle, _m, _n, _t, phase, size, a, ia, ja, _p, count, parameters, _l, b, _x, error, _d
) -> None:
    client, began = None, time.perf_counter()
    try:
        error[0] = 0
        if phase[0] == _ANALYSE:
            client = _clients[parameters[_ID]]
            start = np.ctypeslib.as_array(ia, (size[0] + 1,)) - 1
            columns = np.ctypeslib.as_array(ja, (int(start[-1]),)) - 1
            number = handle[0] or next(_numbers)
            _close(handle[0])
            _open[number] = client, client.analyse(start.astype(np.intp), columns.astype(np.intp))
            handle[0] = number
        elif phase[0] == _RELEASE:
            _close(handle[0])
            handle[0] = None
        elif phase[0] == _FACTOR:
            client, solver = _open[handle[0]]
            entries = int(ia[size[0]]) - 1
            negative, singular = solver.factor(np.ctypeslib.as_array(a, (entries,)))
            parameters[_PERTURBED] = 0
            # Ipopt takes the larger of this number and the one it wants: too few would pass for right
            if singular or negative < client.negative:
                error[0] = _SINGULAR
                return
            parameters[_NEGATIVE], parameters[_POSITIVE] = negative, size[0] - negative
        elif phase[0] == _SOLVE:
            client, solver = _open[handle[0]]
            for rhs in np.ctypeslib.as_array(b, (count[0], size[0])):
                rhs[:] = solver.solve(rhs.copy())
            parameters[6] = 0
    except BaseException as problem:  # must not pass through Ipopt's own code
        if client is not None:
            client.error = problem.with_traceback(None)  # whose frames would keep Ipopt's arrays
        error[0] = _FATAL
    finally:
        if client is not None:
            client.seconds += time.perf_counter() - began


def _close(number: int | None) -> None:
    if number:
        _, solver = _open.pop(number, (None, None))
        if solver is not None:
            solver.close()
