"""MUMPS by its C interface, from the library that comes with Ipopt.

It takes over where chains are not enough, and is looked for when that first happens.  The layout of its
structure is read from the header in the wheel, and the whole is tried on a small matrix before it is relied on.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ...numerics import Array, Index
from ..wheel import WHEEL, libraries

_TYPES: dict[str, Any] = {
    "MUMPS_INT": ctypes.c_int,
    "MUMPS_INT8": ctypes.c_int64,
    "DMUMPS_REAL": ctypes.c_double,
    "DMUMPS_COMPLEX": ctypes.c_double,
    "char": ctypes.c_char,
}
_SEQUENTIAL = -987654  # the communicator of a MUMPS without MPI


def _header() -> Path | None:
    # looking through all of its headers takes longer than anything else here
    include = WHEEL / "include"
    near = (include / folder / "mumps" / "dmumps_c.h" for folder in ("coin-or", "coin"))
    return next(
        chain((path for path in near if path.exists()), include.glob("**/dmumps_c.h")), None
    )


def _declared(text: str) -> list[tuple[str, Any]] | None:
    """Names and types of the structure in MUMPS's header, None if it has none.

    By the methods of strings: compiling regular expressions for it takes 1 ms of a first fit.
    """
    text = "".join(part.rpartition("*/")[2] for part in text.split("/*"))
    _, _, after = text.partition("typedef struct {")
    body, ends, _ = after.partition("} DMUMPS_STRUC_C;")
    length = text.partition("#define MUMPS_VERSION_MAX_LEN ")[2].split(maxsplit=1)[:1]
    if not ends or not length:
        return None
    fields = []
    for line in body.replace("MUMPS_VERSION_MAX_LEN", length[0]).split(";"):
        kind, _, names = line.strip().partition(" ")
        for name in filter(None, names.split(",")):
            label, _, sizes = name.strip(" *]").partition("[")
            entry = ctypes.POINTER(_TYPES[kind]) if "*" in name else _TYPES[kind]
            size = sum(int(n) for n in sizes.split("+")) if sizes else 0
            fields.append((label, entry * size if size else entry))
    return fields


@lru_cache(maxsize=1)
def _interface() -> tuple[type[ctypes.Structure], ctypes._CFuncPtr]:  # type: ignore[name-defined]
    """Return the structure and ``dmumps_c``.

    Raises
    ------
    OSError
        No library or no header in the wheel.
    """
    header, found = _header(), libraries("coinmumps")
    if header is None or not found:
        raise OSError("the casadi wheel has no MUMPS with its header")
    fields = _declared(header.read_text())
    if fields is None:
        raise OSError(f"{header} does not declare DMUMPS_STRUC_C")
    structure = type("Structure", (ctypes.Structure,), {"_fields_": fields})
    # PyDLL keeps Python's lock: MUMPS has global variables
    function = ctypes.PyDLL(str(found[0])).dmumps_c
    function.restype = None
    return structure, function


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether MUMPS can be called: a matrix of known inertia is factorised."""
    try:
        tried = Mumps(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), 3)
        negative, singular = tried.factor(np.array([2.0, 1.0, -3.0, 0.0]))
        x = tried.solve(np.array([3.0, -3.0, 1.0]))
        tried.close()
    except OSError:
        return False
    return negative == 2 and not singular and bool(np.allclose(x, 1.0))


class Mumps:
    """One symmetric matrix after another of one pattern.

    Parameters
    ----------
    rows, columns : (entries,) of the upper triangle, from 0.
    size : number of rows.

    Raises
    ------
    OSError
        MUMPS is not there.
    """

    def __init__(self, rows: Index, columns: Index, size: int) -> None:
        structure, self._call = _interface()
        self._m = m = structure()
        m.sym, m.par, m.job, m.comm_fortran = 2, 1, -1, _SEQUENTIAL
        self._run(-1)
        for k in range(4):
            m.icntl[k] = 0
        # as Ipopt sets it, with this package's ordering and no scaling of its own
        for number, value in ((5, 0), (6, 5), (7, 0), (9, 0), (12, 1), (13, 1000)):
            m.icntl[number] = value
        m.cntl[0] = 1e-6
        self._i = (rows + 1).astype(np.int32)
        self._j = (columns + 1).astype(np.int32)
        self._a = np.zeros(len(rows))
        m.n, m.nz, m.nnz = size, 0, len(rows)
        m.irn, m.jcn, m.a = (
            v.ctypes.data_as(ctypes.POINTER(t))
            for v, t in (
                (self._i, ctypes.c_int),
                (self._j, ctypes.c_int),
                (self._a, ctypes.c_double),
            )
        )
        self._analysed = False

    def factor(self, values: Array) -> tuple[int, bool]:
        """Return the number of negative eigenvalues and whether the matrix is singular."""
        self._a[:] = values
        if not self._analysed:
            if self._run(1) < 0:
                return 0, True
            self._analysed = True
        status = self._run(2)
        while status in (-8, -9) and self._m.icntl[13] < 1_000_000:  # its guess of memory was low
            self._m.icntl[13] *= 2
            status = self._run(2)
        return int(self._m.infog[11]), status < 0

    def solve(self, rhs: Array) -> Array:
        """Return the solution."""
        x = rhs.copy()
        self._m.rhs = x.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        self._m.nrhs, self._m.lrhs = 1, len(x)
        self._run(3)
        return x

    def close(self) -> None:
        """Give the memory back."""
        self._run(-2)

    def _run(self, job: int) -> int:
        self._m.job = job
        self._call(ctypes.byref(self._m))
        return int(self._m.infog[0])
