"""One symmetric matrix after another of a pattern, of which the upper triangle is there: products, and refined solutions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ... import kernels
from ...kernels import address
from ...numerics import Array, Index
from ...numerics.parallel import for_each, parts_of

ACCURATE, STEPS = 1e-10, 10  # of refinement, as Ipopt has it
_RUN = 2**18  # entries that one thread multiplies


class Symmetric:
    """See the module.

    Parameters
    ----------
    start, columns : compressed rows of the upper triangle, from 0.

    Attributes
    ----------
    values : (entries,), which may change.
    rows, columns : of the entries.
    diagonal : (n,) number of the entry, -1 where there is none.
    """

    def __init__(self, start: Index, columns: Index) -> None:
        n = len(start) - 1
        self.values: Array = np.zeros(len(columns))
        many = parts_of(len(columns) / _RUN)
        ends = np.searchsorted(start, np.linspace(0, len(columns), many + 1)).tolist()
        ends[-1] = n
        self._runs = [_Rows(start, columns, self.values, slice(a, b)) for a, b in pairwise(ends)]
        self.rows, self.columns = np.repeat(np.arange(n), np.diff(start)), columns
        self.diagonal = np.full(n, -1)
        on = np.flatnonzero(self.rows == columns)
        self.diagonal[self.rows[on]] = on

    def refined(self, rhs: Array, solve: Callable[[Array], Array]) -> tuple[Array, float]:
        """Return the solution and its residual, relative as Ipopt takes it."""
        x = solve(rhs)
        best, least = x, np.inf
        size = float(np.abs(rhs).max(initial=0.0))
        for _ in range(STEPS):
            left = rhs - self.times(x)
            scale = size + min(float(np.abs(x).max(initial=0.0)), 1e6 * size)
            ratio = float(np.abs(left).max(initial=0.0)) / scale if scale else 0.0
            if not ratio < least:
                break
            best, least = x, ratio
            if ratio <= ACCURATE:
                break
            x = x + solve(left)
        return best, least

    def times(self, x: Array) -> Array:
        """Product with the whole matrix, in runs of rows that are the same on all cores."""
        product = np.zeros(len(x))
        for run, (above, below) in zip(
            self._runs, for_each(lambda run: run.times(x), self._runs), strict=True
        ):
            product[run.rows] += above
            product += below
        return product


class _Rows:
    """Some rows of a symmetric matrix, of which the upper triangle is there.

    Parameters
    ----------
    start, columns, values : compressed rows of all; the values may change.
    rows : of them.
    """

    def __init__(self, start: Index, columns: Index, values: Array, rows: slice) -> None:
        at = slice(int(start[rows.start]), int(start[rows.stop]))
        self.rows, self._values, self._size = rows, values[at], len(start) - 1
        begins, columns = start[rows.start : rows.stop + 1] - at.start, columns[at]
        of_rows = np.repeat(np.arange(rows.start, rows.stop), np.diff(begins))
        self._library = kernels.library()
        if self._library is not None:
            self._find_runs(begins, columns, of_rows)
            return
        shape = rows.stop - rows.start, len(start) - 1
        self._upper = sparse.csr_matrix((self._values, columns, begins), shape=shape)
        self._upper.data = self._values  # whatever SciPy has made of it
        self._on = np.flatnonzero(of_rows == columns)
        self._diagonal = columns[self._on]

    def _find_runs(self, begins: Index, columns: Index, rows: Index) -> None:
        """Runs of neighbouring columns, of which the diagonal is one of its own."""
        changed = (np.diff(columns) != 1) | (np.diff(rows) != 0) | (columns == rows)[:-1]
        first = np.flatnonzero(np.append(True, changed))
        self._begins = np.searchsorted(first, begins)
        self._columns = columns[first].astype(np.int32)
        self._lengths = np.diff(first, append=len(columns)).astype(np.int32)
        # always in the same memory, whose addresses need not be asked for at every product
        self._above, self._below = np.empty(self.rows.stop - self.rows.start), np.empty(self._size)
        sizes = self.rows.start, len(self._above), self._size
        arrays: list[NDArray[Any]] = [self._begins, self._columns, self._lengths, self._values]
        self._given = [*map(ctypes.c_int64, sizes), *map(address, arrays)]
        self._found = address(self._above), address(self._below)

    def times(self, x: Array) -> tuple[Array, Array]:
        """(rows,) of the product, and (n,) what the triangle's transpose adds to all of it, until the next one."""
        if self._library is None:
            below: Array = self._upper.T @ x[self.rows]
            below[self._diagonal] -= self._values[self._on] * x[self._diagonal]
            return self._upper @ x, below
        self._library.upper_product(*self._given, address(x), *self._found)
        return self._above, self._below
