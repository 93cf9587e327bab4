"""The way into stock Ipopt: its interface to HSL's MA57 takes functions instead of a library.

``Ma57TSolverInterface::SetFunctions`` is exported by the libipopt of the casadi wheel under its mangled
name, which tells the types of all arguments.  MA57 takes the entries of a matrix in whatever order they come, so
Ipopt hands them over as it has them: to sort them would take longer than everything else that it does.
Which program a call belongs to is told by an option that is passed on to MA57.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from ...numerics import Array, Index
from ..wheel import libraries
from .refined import Symmetric

# ma57a(n, entries, rows, columns, lkeep, keep, iwork, icntl, info, rinfo),
# ma57b(n, entries, a, fact, lfact, ifact, lifact, lkeep, keep, iwork, icntl, cntl, info, rinfo),
# ma57c(job, n, fact, lfact, ifact, lifact, count, rhs, lrhs, work, lwork, iwork, icntl, info), ma57e, ma57i(cntl, icntl)
_NAME = (
    "_ZN5Ipopt20Ma57TSolverInterface12SetFunctionsEPFvPiS1_PKiS3_S1_S1_S1_S1_S1_PdE"
    "PFvS1_S1_S4_S4_S1_S1_S1_S1_S1_S1_S1_S4_S1_S4_EPFvS1_S1_S4_S1_S1_S1_S1_S4_S1_S4_S1_S1_S1_S1_E"
    "PFvS1_S1_S1_S4_S1_S4_S1_S1_S1_S1_S1_S1_EPFvS4_S1_E"
)
_place = ctypes.c_void_p  # addresses, of which reading one number is what takes least
_ANALYSE = ctypes.CFUNCTYPE(None, *[_place] * 10)
_FACTOR = ctypes.CFUNCTYPE(None, *[_place] * 14)
_SOLVE = ctypes.CFUNCTYPE(None, *[_place] * 14)
_ENLARGE = ctypes.CFUNCTYPE(None, *[_place] * 12)
_INITIALISE = ctypes.CFUNCTYPE(None, *[_place] * 2)
_ID = 10  # in MA57's parameters: its block size
_STATE, _MEMORY, _NEGATIVE = 0, (8, 9), 23  # in what it tells
_FINE, _FATAL, _SINGULAR = 0, -1, 4


class LinearSolver(Protocol):
    """What Ipopt's matrices of one solve are given to."""

    def factor(self, values: Array) -> tuple[int, bool]:
        """Return the number of negative eigenvalues, and whether the matrix is singular."""

    def solve(self, rhs: Array) -> Array:
        """Return the solution."""

    def close(self) -> None:
        """Ipopt has ended."""


class Client(Protocol):
    """Who makes a linear solver for matrices of a pattern."""

    negative: int  # eigenvalues that Ipopt wants to see
    error: BaseException | None
    seconds: float  # of wall time that it took

    def matrix(self, size: int, rows: Index, columns: Index) -> Symmetric:
        """Return matrices of a pattern: entries of one triangle, from 0; those of the diagonal may come twice."""

    def analyse(self, matrix: Symmetric) -> LinearSolver:
        """Return a linear solver."""


_clients: WeakValueDictionary[int, Client] = WeakValueDictionary()
_open: dict[int, _Open] = {}
_numbers = itertools.count(1000)  # no number that the option has where somebody else gives it
_under_way: list[int] = []  # an entry each solve, of several threads
_LOCK = threading.Lock()


@lru_cache(maxsize=1)
def _set_functions() -> Callable[..., None] | None:
    for library in libraries("ipopt"):
        function = getattr(ctypes.CDLL(str(library)), _NAME, None)
        if function is not None:
            function.restype = None
            function.argtypes = [ctypes.c_void_p] * 5
            return function
    return None


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
        "linear_solver": "ma57",
        "ma57_block_size": number,
        "linear_system_scaling": "none",
        "fast_step_computation": "yes",  # without residuals that nothing would be made of
        "min_refinement_steps": 0,
        "max_refinement_steps": 0,
        "residual_ratio_max": 1e10,
        "residual_ratio_singular": 1e20,
    }


@contextmanager
def connected(client: Client) -> Iterator[None]:
    """Let Ipopt's interface to MA57 call here meanwhile; afterwards it looks for HSL's library again.

    It asks once a solve, and whoever else asks in this process, through whatever package, means HSL's.  What was
    made for the client is closed then, since MA57 is not told when Ipopt has ended.
    """
    function = _set_functions()
    assert function is not None
    with _LOCK:
        _under_way.append(1)
        calls = (_analyse, _factor, _solve, _enlarge, _initialise)
        function(*(ctypes.cast(f, ctypes.c_void_p) for f in calls))
    try:
        yield
    finally:
        with _LOCK:
            _under_way.pop()
            if not _under_way:
                function(None, None, None, None, None)
        for number in [k for k, made in _open.items() if made.client is client]:
            _open.pop(number).solver.close()


@dataclass
class _Open:
    """A linear solver, and Ipopt's numbers of the last matrix where they are."""

    client: Client
    matrix: Symmetric
    solver: LinearSolver
    values: Array


def _int(place: int, k: int = 0) -> ctypes.c_int:
    return ctypes.c_int.from_address(place + 4 * k)


def _array(place: int, count: int, kind: Any = ctypes.c_double) -> Any:
    """What stands in Ipopt's memory."""
    return np.frombuffer((kind * count).from_address(place), dtype=kind)


@_INITIALISE
def _initialise(_cntl, icntl) -> None:  # type: ignore[no-untyped-def]
    ctypes.memset(icntl, 0, 20 * 4)


@_ENLARGE
def _enlarge(*_: int) -> None:
    """Never called: no factorisation asks for more memory."""


@_ANALYSE
def _analyse(n, entries, rows, columns, _l, keep, _w, icntl, info, _r) -> None:  # type: ignore[no-untyped-def]
    def work(client: Client) -> None:
        size, count = _int(n).value, _int(entries).value
        where = (_array(place, count, ctypes.c_int) - 1 for place in (rows, columns))
        matrix = client.matrix(size, *where)
        number = next(_numbers)
        _open[number] = _Open(client, matrix, client.analyse(matrix), np.zeros(0))
        _int(keep).value = number
        for k in _MEMORY:  # of its factors, in which the number of the linear solver stands
            _int(info, k).value = 1

    _done(_clients.get(_int(icntl, _ID).value), info, work)


@_FACTOR
def _factor(n, entries, a, _f, _lf, ifact, _li, _lk, keep, _w, _ic, _c, info, _r) -> None:  # type: ignore[no-untyped-def]
    number = _int(ifact).value = _int(keep).value

    def work(client: Client) -> None:
        made, count = _open[number], _int(entries).value
        if len(made.values) != count or made.values.ctypes.data != a:
            made.values = _array(a, count)
        made.matrix.fold(made.values)
        negative, singular = made.solver.factor(made.values)
        _int(info, _NEGATIVE).value = negative
        # too few negative eigenvalues are not what Ipopt corrects by shifting the Hessian
        if singular or negative < client.negative:
            _int(info, _STATE).value = _SINGULAR

    _done(_client_of(number), info, work)


@_SOLVE
def _solve(_j, n, _f, _lf, ifact, _li, count, rhs, _lr, _wk, _lw, _w, _ic, info) -> None:  # type: ignore[no-untyped-def]
    number, size = _int(ifact).value, _int(n).value
    sides = _array(rhs, size * _int(count).value).reshape(-1, size)

    def work(_: Client) -> None:
        for side in sides:
            side[:] = _open[number].solver.solve(side.copy())

    if not _done(_client_of(number), info, work):
        # Ipopt goes on with whatever stands here: with no step, until it factorises again or shows an iterate
        sides[:] = 0.0


def _client_of(number: int) -> Client | None:
    made = _open.get(number)
    return None if made is None else made.client


def _done(client: Client | None, info: int, work: Callable[[Client], None]) -> bool:
    """Whether that was possible; what is raised must not pass through Ipopt's own code, and ends all that comes after it."""
    state, began = _int(info, _STATE), time.perf_counter()
    state.value = _FATAL
    if client is None or client.error is not None:
        return False
    try:
        state.value = _FINE
        work(client)
    except BaseException as problem:
        client.error = problem.with_traceback(None)  # whose frames would keep Ipopt's arrays
        state.value = _FATAL
    finally:
        client.seconds += time.perf_counter() - began
    return client.error is None
