"""One symmetric matrix after another of a pattern, of which one triangle is there: products, and refined solutions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from ... import kernels
from ...kernels.calls import Calls
from ...numerics import Array, Index
from ...numerics.parallel import for_each, most_threads, parts_of

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
        if self._calls is None:
            product, *others = for_each(lambda run: run.times(self.values, x), self._runs)
        else:
            self._calls.place("x", x)
            for run in self._runs:
                self._calls.place(run.name, self.values[run.entries])
            self._calls.run(most_threads())
            product, *others = (run.product for run in self._runs)
        for other in others:
            product += other
        return product

    @cached_property
    def _runs(self) -> list[_Run]:
        count = len(self.rows)
        ends = np.linspace(0, count, parts_of(count / _RUN) + 1).astype(int).tolist()
        return [_Run(self, slice(a, b)) for a, b in pairwise(ends)]

    @cached_property
    def _calls(self) -> Calls | None:
        library = kernels.library()
        if library is None:
            return None
        return Calls(library, [[run.find_lines()] for run in self._runs])


class _Run:
    """Some entries of a symmetric matrix, one after the other."""

    def __init__(self, matrix: Symmetric, entries: slice) -> None:
        self.entries, self.name = entries, str(entries.start)
        self._rows, self._columns, self._size = (
            matrix.rows[entries],
            matrix.columns[entries],
            matrix.size,
        )

    def find_lines(self) -> tuple[Any, ...]:
        """The call that makes the `product`: of runs of neighbouring rows of a column, an entry of the diagonal being one of its own."""
        rows, columns = self._rows, self._columns
        on = rows == columns
        changed = (np.diff(rows) != 1) | (np.diff(columns) != 0) | on[1:] | on[:-1]
        first = np.flatnonzero(np.append(True, changed))[: len(rows)]
        lines = [v[first].astype(np.int32) for v in (columns, rows)]
        lines.append(np.diff(first, append=len(columns)).astype(np.int32))
        self.product = np.empty(self._size)
        return "symmetric_product", self._size, len(first), *lines, self.name, "x", self.product

    @cached_property
    def _whole(self) -> sparse.coo_matrix:
        both = np.append(self._rows, self._columns), np.append(self._columns, self._rows)
        return sparse.coo_matrix((np.zeros(len(both[0])), both), shape=(self._size,) * 2)

    def times(self, values: Array, x: Array) -> Array:
        """(n,) what the entries, and those of the other triangle, make of x."""
        below = values[self.entries].copy()
        below[self._rows == self._columns] = 0.0
        self._whole.data = np.append(values[self.entries], below)
        product: Array = self._whole @ x
        return product
