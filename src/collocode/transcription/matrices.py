"""Sparse matrices put together from mapped values: entries picked by index, and a dense border."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np
from scipy import sparse

from ..numerics import Array, Index
from .term import MappedTerm, Pattern, joined, picked, plus, times

Scales = tuple[Array, Array] | None  # factors of the rows and of the columns
_FULL = 20  # entries a column
_MOST_RUNS = 2000  # of consecutive rows; more are collected entry by entry


def border_start(terms: Sequence[MappedTerm], columns: int) -> int:
    """First of the trailing columns that some term shares over its points."""
    shared = [t.shared_columns for t in terms if len(t.shared_columns)]
    longest = max(shared, key=len, default=np.empty(0, dtype=int))
    trailing = len(longest) and (longest == np.arange(columns - len(longest), columns)).all()
    return columns - len(longest) if trailing else columns


class BorderedMatrix:
    """A matrix with a dense border of shared columns on its right.

    The border of a chain of elements is the bulk of J and H, and in the order of the points it is
    one mapped sparse matrix, transposed: CasADi lays it out without an index list.  All else is
    collected entry by entry.
    """

    def __init__(self, shape: tuple[int, int], start: int) -> None:
        self.shape, self.start = shape, start
        self.rest = Collector(shape)
        self.borders: list[ca.MX] = []
        self.columns: list[tuple[int, ca.MX]] = []

    def add(self, *arguments: Any) -> None:
        """Collect entries; see `Collector.add`."""
        self.rest.add(*arguments)

    def add_constant(self, rows: Index, columns: Index, data: Array) -> None:
        """Collect constant entries."""
        self.rest.add_constant(rows, columns, data)

    def add_border(
        self,
        values: Callable[[], ca.MX],
        pattern: Pattern,
        targets: Index,
        shared: Index,
        term: MappedTerm,
    ) -> bool:
        """Add nonzeros, point by point, by shared columns in rows ``targets``, if they line up.

        They do if the term shares just the border's columns and the rows (points, local rows)
        increase from point to point.
        """
        height, width = self.shape
        used = np.unique(pattern.rows)
        if not len(used) or not np.array_equal(shared, np.arange(self.start, width)):
            return False
        rows = targets[:, used].ravel()
        runs = np.flatnonzero(np.diff(rows) != 1)
        if (np.diff(rows) <= 0).any() or len(runs) > _MOST_RUNS:
            return False
        own = term.own.numel()
        local = ca.Sparsity.triplet(
            len(shared),
            len(used),
            (pattern.columns - own).tolist(),
            np.searchsorted(used, pattern.rows).tolist(),
        )
        mapped = ca.MX(ca.repmat(local, 1, term.points), values())
        parts, done, last = [], 0, -1
        for end in [*(runs + 1).tolist(), len(rows)]:
            parts += [ca.MX(len(shared), int(rows[done]) - last - 1), mapped[:, done:end]]
            done, last = end, int(rows[end - 1])
        parts.append(ca.MX(len(shared), height - last - 1))
        self.borders.append(ca.horzcat(*parts).T)
        return True

    def add_columns(self, matrix: ca.MX, columns: Index) -> None:
        """Add a sparse matrix of increasing columns."""
        height, width = self.shape
        ends = np.flatnonzero(np.diff(columns) != 1) + 1
        parts, last = [], int(columns[0])
        for begin, end in zip([0, *ends], [*ends, len(columns)], strict=True):
            parts.append(ca.MX(height, int(columns[begin]) - last))
            parts.append(matrix[:, int(begin) : int(end)] if len(ends) else matrix)
            last = int(columns[end - 1]) + 1
        parts.append(ca.MX(height, width - last))
        wide = [part for part in parts if part.shape[1]]
        self.columns.append((int(columns[0]), wide[0] if len(wide) == 1 else ca.horzcat(*wide)))

    def matrix(self, scales: Scales = None) -> ca.MX:
        """Return the whole matrix, scaled."""
        if not self.borders and not self.columns:
            return self.rest.matrix(scales)
        whole = self._collected()
        for first, matrix in self.columns:
            whole = _added(whole, first, matrix)
        return whole if scales is None else times(_outer(*scales, whole.sparsity()), whole)

    def _collected(self) -> ca.MX:
        rest = self.rest.matrix()
        if not self.borders:
            return rest
        border = self.borders[0]
        for more in self.borders[1:]:
            border += more
        left, right = ca.horzsplit(rest, [0, self.start, self.shape[1]])
        return ca.horzcat(left, right + border if right.nnz() else border)


def _added(whole: ca.MX, first: int, tail: ca.MX) -> ca.MX:
    """Add a matrix to the columns from ``first`` on, where it has most of the entries."""
    left, right = ca.horzsplit(whole, [0, first, whole.shape[1]])
    if right.nnz():
        rows, columns = (np.array(v) for v in right.sparsity().get_triplet())
        where = tail.sparsity().get_nz((rows + columns * whole.shape[0]).tolist())
        if min(where) < 0:
            tail = tail + right
        else:
            tail.nz[where] = tail.nz[where] + right.nz[:]
    return ca.horzcat(left, tail)


def _outer(left: Array, right: Array, pattern: ca.Sparsity) -> ca.DM:
    """Return left rightᵀ on a pattern; CasADi's products take long for many columns, lists for many entries."""
    if pattern.nnz() > _FULL * pattern.size2():
        sides = (ca.diag(ca.DM(v.tolist())) for v in (left, right))
        return ca.mtimes([next(sides), ca.DM(pattern, 1.0), next(sides)])
    rows = np.array(pattern.row(), dtype=np.intp)
    starts = np.array(pattern.colind(), dtype=np.intp)
    columns = np.repeat(np.arange(len(right)), starts[1:] - starts[:-1])
    return ca.DM(pattern, (left[rows] * right[columns]).tolist())


class Collector:
    """Collects (row, column, factor x source value) and turns them into one sparse MX."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.values: list[ca.MX] = []
        self.length = 0
        self.places: list[Index] = []
        self.sources: list[Index] = []
        self.factors: list[Array] = []
        self.constant_places, self.constants = np.empty(0, dtype=np.intp), np.empty(0)

    def add(
        self,
        values: Sequence[ca.MX],
        entries: tuple[Index, Index],
        sources: Index | int,
        factors: Array | None = None,
    ) -> None:
        """Add values in parts; entry j takes ``values[sources[j]]``, or ``values[j]`` if sources is 0."""
        rows, columns = entries
        if not len(rows):
            return
        where = np.arange(len(rows)) if isinstance(sources, int) else sources
        self.places.append(columns * self.shape[0] + rows)
        self.sources.append(where + self.length)
        self.factors.append(np.ones(len(rows)) if factors is None else factors)
        self.values += values
        self.length += sum(part.numel() for part in values)

    def add_constant(self, rows: Index, columns: Index, data: Array) -> None:
        """Add constant entries."""
        places = np.asarray(columns, dtype=np.intp) * self.shape[0] + rows
        self.constant_places = np.append(self.constant_places, places)
        self.constants = np.append(self.constants, data)

    def matrix(self, scales: Scales = None) -> ca.MX:
        """Return the matrix, scaled: nonzeros are gathered, summed where several meet, and added to the constants."""
        varying = np.concatenate([np.empty(0, dtype=np.intp), *self.places])
        every = np.concatenate([varying, self.constant_places])
        places, entry = np.unique(every, return_inverse=True)
        height, width = self.shape
        starts, rows = (
            np.searchsorted(places, height * np.arange(width + 1)),
            places % max(height, 1),
        )
        pattern = ca.Sparsity(height, width, starts.tolist(), rows.tolist())
        scale = np.ones(len(places))
        if scales is not None:
            scale = scales[0][rows] * np.repeat(scales[1], np.diff(starts))
        added = np.bincount(entry[len(varying) :], weights=self.constants, minlength=len(places))
        constant = ca.MX((scale * added).tolist()) if added.any() else None
        if not len(varying):
            return ca.MX(pattern, ca.MX.zeros(len(places)) if constant is None else constant)
        nonzeros = self._gathered(entry[: len(varying)], scale)
        return ca.MX(pattern, nonzeros if constant is None else plus(constant, nonzeros))

    def dense(self) -> ca.MX:
        """Return the matrix of one column in full."""
        rows = np.arange(self.shape[0])
        self.add_constant(rows, np.zeros_like(rows), np.zeros(len(rows)))
        return self.matrix()

    def _gathered(self, entry: Index, scale: Array) -> ca.MX:
        """Sums of the values that belong to each of the entries, times what these are scaled by."""
        sources, factors, count = (
            np.concatenate(self.sources),
            np.concatenate(self.factors),
            len(scale),
        )
        many = np.bincount(entry, minlength=count)
        if 2 * count < len(entry):  # most entries are sums: one product makes them all
            data = factors * scale[entry]
            sums = sparse.csc_matrix((data, (entry, sources)), shape=(count, self.length))
            return product(sums, joined(self.values, ca.MX(0, 1)))
        # from a value, a sum of several, which are few, or a zero where there is nothing but a constant
        first = int(many.min(initial=1) == 0)
        values = joined([ca.MX(0.0)] * first + self.values, ca.MX(0, 1))
        gather, weights, alone = np.zeros(count, dtype=int), scale.copy(), many[entry] == 1
        gather[entry[alone]] = first + sources[alone]
        weights[entry[alone]] *= factors[alone]
        several = np.flatnonzero(many > 1)
        if len(several):
            gather[several] = first + self.length + np.arange(len(several))
            which, here = np.searchsorted(several, entry[~alone]), first + sources[~alone]
            sums = _sums(values, which, here, factors[~alone], len(several))
            values = ca.vertcat(values, sums)
        nonzeros = picked(values, gather)
        return nonzeros if (weights == 1.0).all() else times(ca.MX(weights.tolist()), nonzeros)


def _sums(values: ca.MX, which: Index, sources: Index, factors: Array, count: int) -> ca.MX:
    """(count,) sums of factor x value by ``which``: of first, second, … ones where all have about as many."""
    order = np.argsort(which, kind="stable")
    which, sources, factors = which[order], sources[order], factors[order]
    rank = np.arange(len(which)) - np.searchsorted(which, which)
    most = int(rank.max()) + 1
    if most * count > 2 * len(which):
        used, place = np.unique(sources, return_inverse=True)
        matrix = sparse.csc_matrix((factors, (which, place)), shape=(count, len(used)))
        return product(matrix, picked(values, used))
    total = ca.MX.zeros(count)
    for k in range(most):
        mine = rank == k
        part = picked(values, sources[mine])
        if (factors[mine] != 1.0).any():
            part = times(ca.MX(factors[mine].tolist()), part)
        if mine.sum() < count:  # the others have fewer
            place = np.zeros(count, dtype=int)
            place[which[mine]] = 1 + np.arange(mine.sum())
            part = picked(ca.vertcat(ca.MX(0.0), part), place)
        total = plus(total, part) if k else part
    return total


def product(matrix: sparse.spmatrix, values: ca.MX) -> ca.MX:
    """Return a constant matrix times dense values; what ``mtimes`` first asks, the result's pattern, is known."""
    return ca.mac(to_dm(matrix), values, ca.MX.zeros(matrix.shape[0], values.shape[1]))


def to_dm(matrix: sparse.spmatrix) -> ca.DM:
    """Convert a SciPy matrix; lists cross into CasADi ten times faster than arrays do."""
    csc = sparse.csc_matrix(matrix)
    csc.sum_duplicates()
    pattern = ca.Sparsity(*csc.shape, csc.indptr.tolist(), csc.indices.tolist())
    return ca.DM(pattern, 1.0 if (csc.data == 1.0).all() else csc.data.tolist())
