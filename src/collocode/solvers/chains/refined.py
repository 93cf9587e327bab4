"""One symmetric matrix after another of a pattern, of which one triangle is there: products, and refined solutions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
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
_RUN = (
    2**19
)  # entries that one thread multiplies at least, since each run makes a vector of all rows


class Symmetric:
    """See the module.

    Parameters
    ----------
    size : number of rows.
    rows, columns : of the entries of one triangle, in any order, from 0; those of the diagonal may come several times.

    Attributes
    ----------
    values : (entries,), which are somebody else's and may change.
    rows, columns : as given.
    diagonal : (n,) number of the entry, the first one if there are several; -1 where there is none.
    again : entries of the diagonal that came before.
    """

    def __init__(self, size: int, rows: Index, columns: Index) -> None:
        self.size, self.rows, self.columns = size, rows, columns
        self.values: Array = np.zeros(0)
        on = np.flatnonzero(rows == columns)
        self.diagonal = np.full(size, -1)
        self.diagonal[rows[on[::-1]]] = on[::-1]
        self.again = on[self.diagonal[rows[on]] != on]
        self._first = self.diagonal[rows[self.again]]

    def equals(self, size: int, rows: Index, columns: Index) -> bool:
        """Whether this is the pattern."""
        return (
            self.size == size
            and np.array_equal(self.rows, rows)
            and np.array_equal(self.columns, columns)
        )

    def fold(self, values: Array) -> None:
        """Add up, in place, what comes several times: in the first entry of all, and zero in the others."""
        if len(self.again):
            np.add.at(values, self._first, values[self.again])
            values[self.again] = 0.0

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
        """Product with the whole matrix, in runs of entries that are the same on all cores."""
        product, *others = for_each(lambda run: run.times(self.values, x), self._runs)
        for other in others:
            product += other
        return product

    @cached_property
    def _runs(self) -> list[_Run]:
        count = len(self.rows)
        ends = np.linspace(0, count, parts_of(count / _RUN) + 1).astype(int).tolist()
        return [_Run(self, slice(a, b)) for a, b in pairwise(ends)]


class _Run:
    """Some entries of a symmetric matrix, one after the other."""

    def __init__(self, matrix: Symmetric, entries: slice) -> None:
        rows, columns = matrix.rows[entries], matrix.columns[entries]
        self._entries, self._size, self._library = entries, matrix.size, kernels.library()
        if self._library is not None:
            self._find_lines(rows, columns)
            return
        both = np.append(rows, columns), np.append(columns, rows)
        self._on = np.flatnonzero(rows == columns)
        self._whole = sparse.coo_matrix((np.zeros(len(both[0])), both), shape=(self._size,) * 2)

    def _find_lines(self, rows: Index, columns: Index) -> None:
        """Runs of neighbouring rows of a column; an entry of the diagonal is one of its own."""
        on = rows == columns
        changed = (np.diff(rows) != 1) | (np.diff(columns) != 0) | on[1:] | on[:-1]
        first = np.flatnonzero(np.append(True, changed))[: len(rows)]
        self._columns, self._rows = (v[first].astype(np.int32) for v in (columns, rows))
        self._lengths = np.diff(first, append=len(columns)).astype(np.int32)
        # always in the same memory, whose addresses need not be asked for at every product
        self._product = np.empty(self._size)
        arrays: list[NDArray[Any]] = [self._columns, self._rows, self._lengths]
        sizes = self._size, len(first)
        self._given = [*map(ctypes.c_int64, sizes), *map(address, arrays)]
        self._found = address(self._product)

    def times(self, values: Array, x: Array) -> Array:
        """(n,) what the entries, and those of the other triangle, make of x, until the next product."""
        values = values[self._entries]
        if self._library is None:
            below = values.copy()
            below[self._on] = 0.0
            self._whole.data = np.append(values, below)
            product: Array = self._whole @ x
            return product
        self._library.symmetric_product(*self._given, address(values), address(x), self._found)
        return self._product
