"""`Arrow`s of few rows as dense matrices, by the kernels in `kernels/top.c`: a call for what LAPACK does in several."""

from __future__ import annotations

import ctypes

import numpy as np
from scipy.linalg import lapack

from ...kernels import address
from ...numerics import Array
from .arrow import NO_PIVOT, Arrow

MOST_ROWS = (
    256  # blocks of a larger matrix, which are zero beside themselves, are worth leaving out
)
MOST_STEPS = 96  # of Lanczos' method


class Dense:
    """A matrix of so many rows after the other, always in the same memory.

    Parameters
    ----------
    library : the compiled kernels.
    size : rows.
    """

    def __init__(self, library: ctypes.CDLL, size: int) -> None:
        self._factor, self._lanczos = library.arrow_factor, library.lanczos_lowest
        self.size = size
        lower = np.empty((size, size))
        self._lower = lower.T  # as LAPACK has it
        self._vectors, self._found = np.empty((MOST_STEPS + 1, size)), np.empty(size + 2)
        self._rooms = np.empty(size), np.empty(25 * MOST_STEPS), np.empty(12 * MOST_STEPS, np.intc)
        before, *rooms = (address(v) for v in self._rooms)
        at, *ends = (address(v) for v in (lower, self._vectors, self._found))
        self._to_factorise, self._to_step = (at, before), (at, ends[0], *rooms, ends[1])

    def cholesky(self, A: Arrow, shift: float = 0.0, units: Array | None = None) -> Dense | None:
        """Factorise, or return None if a pivot is not clearly positive; see `Arrow.cholesky`."""
        count, d = A.D.shape[:2]
        rows = np.zeros((0, len(A.S))) if units is None else units
        D, W, S, U = map(np.ascontiguousarray, (A.D, A.W, A.S, rows))
        sizes = map(ctypes.c_int64, (count, d, len(S)))
        done = self._factor(
            *sizes, address(D), address(W), address(S), ctypes.c_double(shift),
            ctypes.c_int64(len(U)), address(U), ctypes.c_double(NO_PIVOT), *self._to_factorise,
        )  # fmt: skip
        return self if done else None

    def solve(self, b: Array) -> Array:
        """Solve for one right-hand side."""
        found: Array = lapack.dpotrs(self._lower, b, lower=1)[0]
        return found

    def lowest_of_inverse(self, begin: Array, tolerance: float) -> tuple[float, float, Array]:
        """Lowest eigenvalue of minus the inverse of what is factorised; see `lowest.lanczos`."""
        self._vectors[0] = begin
        steps = self._lanczos(
            ctypes.c_int64(self.size), ctypes.c_int64(MOST_STEPS), ctypes.c_double(tolerance),
            ctypes.c_double(NO_PIVOT), *self._to_step,
        )  # fmt: skip
        if not steps:
            raise np.linalg.LinAlgError("a tridiagonal matrix has no eigenvalue")
        return float(self._found[0]), float(self._found[1]), self._found[2:].copy()
