"""A term's values and derivatives where they stand in f, g, J and H: from its graph, or layer by layer."""

from __future__ import annotations

import casadi as ca
import numpy as np
from scipy import sparse

from ..numerics import Index
from .by_layers import ByLayers
from .matrices import BorderedMatrix, Collector, product, to_dm
from .points import points_of
from .squares import Squares
from .term import MappedTerm, Pattern, gathered, joined, minus, times


class TermEntries:
    """One term with its arguments gathered from the NLP's vectors."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX) -> None:
        self.term = term
        self.run = None if term.scatter is None else _run(term.scatter)
        self._gather(x, p)

    def _gather(self, x: ca.MX, p: ca.MX) -> None:
        self.points = points_of(self.term, x, p)

    def total(self) -> ca.MX:
        """Sum over the points (objective terms)."""
        return self.points.values(self.term.function)[0].summed()

    def value(self) -> ca.MX:
        """Values, in the order of the points."""
        return self.points.values(self.term.function)[0].by_point()

    def by_row(self) -> ca.MX:
        """(rows,) values in the rows that they belong to."""
        assert self.term.scatter is not None
        values, rows = self.value(), self.term.scatter.shape[0]
        if self.run is None:
            return product(self.term.scatter, values)
        first, last = self.run
        return joined([ca.MX.zeros(first), values, ca.MX.zeros(rows - last)], values)

    def add_gradient(self, gradient: Collector) -> None:
        """Add own nonzeros, and the shared ones summed over the points, to a column (objective terms)."""
        function, own, shared = self.term.first_derivatives
        own_values, shared_values = self.points.values(function)
        for values, columns in (
            (own_values.by_entry(), self.term.columns[:, own.columns].T.ravel()),
            ([shared_values.summed()], self.term.columns[0, shared.columns]),
        ):
            gradient.add(values, (columns, np.zeros_like(columns)), 0)

    def add_jacobian(self, blocks: BorderedMatrix) -> None:
        """Scatter the term's Jacobian to the rows of the NLP."""
        term = self.term
        assert term.scatter is not None
        function, own, shared = term.first_derivatives
        own_values, shared_values = self.points.values(function)
        scatter = term.scatter.tocsc()
        self._scatter(blocks, own_values.by_entry(), own)
        if scatter.nnz == scatter.shape[1] and (scatter.data == 1.0).all():
            targets = scatter.indices.reshape(term.points, -1)
            if blocks.add_border(
                shared_values.by_point, shared, targets, term.shared_columns, term
            ):
                return
        self._scatter(blocks, shared_values.by_entry(), shared)

    def _scatter(self, blocks: BorderedMatrix, values: list[ca.MX], pattern: Pattern) -> None:
        term = self.term
        assert term.scatter is not None
        scatter, every = term.scatter.tocoo(), term.columns
        point, output = np.divmod(scatter.col, term.value.numel())
        rows, columns, sources, factors = [], [], [], []
        for i in range(term.value.numel()):
            of_row, entry = np.flatnonzero(pattern.rows == i), np.flatnonzero(output == i)
            k = point[entry]
            rows.append(np.repeat(scatter.row[entry], len(of_row)))
            columns.append(every[np.ix_(k, pattern.columns[of_row])].ravel())
            sources.append((k[:, None] + of_row[None, :] * term.points).ravel())
            factors.append(np.repeat(scatter.data[entry], len(of_row)))
        weights = np.concatenate(factors)
        blocks.add(
            values,
            (np.concatenate(rows), np.concatenate(columns)),
            np.concatenate(sources),
            None if (weights == 1.0).all() else weights,
        )

    def add_hessian(self, blocks: BorderedMatrix, sigma: ca.MX, lam: ca.MX) -> None:
        """Add the upper triangle of the term's part of the Hessian of the Lagrangian."""
        term, (function, own, mixed, shared) = self.term, self.term.second_derivatives
        multiplier = self.multiplier(sigma, lam)
        values = self.points.values(function, multiplier)
        self._triangle(blocks, values[0].by_entry(), own, term.columns)
        own_columns = term.own_columns
        outside = not own_columns.size or own_columns.max() < blocks.start
        if not outside or not blocks.add_border(
            values[1].by_point, mixed, own_columns, term.shared_columns, term
        ):
            self._triangle(blocks, values[1].by_entry(), mixed, term.columns)
        self._triangle(blocks, [values[2].summed()], shared, term.columns[:1])

    def multiplier(self, sigma: ca.MX, lam: ca.MX) -> ca.MX:
        """What the values are multiplied by in the Lagrangian: one number, or one per value."""
        scatter = self.term.scatter
        if scatter is None:
            return sigma
        return lam[slice(*self.run)] if self.run else ca.mtimes(to_dm(scatter.T), lam)

    @staticmethod
    def _triangle(
        blocks: BorderedMatrix, values: list[ca.MX], pattern: Pattern, columns: Index
    ) -> None:
        """Add values in the order of the entries, each at all of its points."""
        a, b = columns[:, pattern.rows].T.ravel(), columns[:, pattern.columns].T.ravel()
        # two arguments that are one variable at some point: both halves fall on the diagonal
        doubled = (a == b) & np.repeat(pattern.rows != pattern.columns, len(columns))
        factors = np.where(doubled, 2.0, 1.0) if doubled.any() else None
        blocks.add(values, (np.minimum(a, b), np.maximum(a, b)), 0, factors)


class SquaresEntries(TermEntries):
    """One term that is a sum of squares of what is linear in the unknowns."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX, squares: Squares) -> None:
        self._squares = squares
        super().__init__(term, x, p)

    def _gather(self, x: ca.MX, p: ca.MX) -> None:
        squares = self._squares
        left = product(squares.matrix(x.numel()), x)
        if squares.targets is not None:
            left = minus(left, squares.targets(p))
        self._weights, self._left = squares.weights(p), left
        self._weighed = times(self._weights, left)

    def total(self) -> ca.MX:
        """See `TermEntries`."""
        return ca.dot(self._weighed, self._left)

    def add_gradient(self, gradient: Collector) -> None:
        """See `TermEntries`."""
        columns, squares, factors = self._squares.slopes()
        gradient.add([self._weighed], (columns, np.zeros_like(columns)), squares, factors)

    def add_hessian(self, blocks: BorderedMatrix, sigma: ca.MX, lam: ca.MX) -> None:
        """See `TermEntries`."""
        rows, columns, squares, factors = self._squares.curvatures()
        one = self._weights.is_scalar()  # for all
        sources = np.zeros_like(squares) if one else squares
        blocks.add([times(sigma, self._weights)], (rows, columns), sources, factors)


class Layered:
    """A term's values and derivatives layer by layer, and where they stand in J and H."""

    def __init__(self, term: MappedTerm, shape: tuple[int, int]) -> None:
        assert term.lifted is not None and term.scatter is not None
        scatter, values, own_columns = term.scatter, term.value.numel(), term.own_columns
        ones = scatter.nnz == scatter.shape[1] and (scatter.data == 1.0).all()
        self.rows_as_they_are = ones and _increasing(scatter.indices)
        places = scatter.indices if self.rows_as_they_are else np.arange(term.points * values)
        height = shape[0] if self.rows_as_they_are else len(places)
        self.columns_as_they_are = _increasing(own_columns.ravel())
        if self.columns_as_they_are:
            own_rows, shared_rows = own_columns, term.shared_columns
        else:
            own_rows = np.arange(own_columns.size).reshape(own_columns.shape)
            shared_rows = own_columns.size + np.arange(len(term.shared_columns))
        self.functions = ByLayers(
            term.lifted,
            (term.own, term.shared, term.data),
            places.reshape(term.points, values),
            own_rows,
            shared_rows,
            (height, shape[1] if self.columns_as_they_are else int(shared_rows[-1]) + 1),
        )


class LayeredTermEntries(TermEntries):
    """One term whose networks are evaluated layer by layer."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX, layers: Layered) -> None:
        super().__init__(term, x, p)
        self.places, self.layers = layers, layers.functions

    def _gather(self, x: ca.MX, p: ca.MX) -> None:
        term = self.term
        own = gathered(x, term.own_columns.ravel())
        self.arguments = (
            ca.reshape(own, term.own_columns.shape[1], term.points),
            gathered(x, term.shared_columns),
            term.data_function(p),
        )

    def value(self) -> ca.MX:
        """See `TermEntries`."""
        return ca.vec(self.layers.functions[0].call([*self.arguments])[0])

    def writes_trailing(self, columns: int) -> bool:
        """Whether kernels write derivatives by weights, whose columns are the last ones, in their places."""
        places, shared = self.places, self.term.shared_columns
        as_they_are = places.rows_as_they_are and places.columns_as_they_are
        trailing = np.arange(columns - len(shared), columns)
        return as_they_are and self.layers.kernels is not None and np.array_equal(shared, trailing)

    def add_jacobian(self, blocks: BorderedMatrix) -> None:
        """See `TermEntries`."""
        assert self.term.scatter is not None
        own_values, border = self.layers.functions[1].call([*self.arguments])
        self.add_own_first(blocks, own_values)
        if not self.places.rows_as_they_are:
            border = ca.mtimes(to_dm(self.term.scatter), border)
        blocks.add_columns(border, self.term.shared_columns)

    def add_own_first(self, blocks: BorderedMatrix, values: ca.MX) -> None:
        """Scatter the derivatives by the points' own unknowns."""
        self._scatter(blocks, [ca.vec(values.T)], Pattern.row_major(*self.layers.own_first))

    def multipliers(self, sigma: ca.MX, lam: ca.MX) -> ca.MX:
        """(values, points) multipliers."""
        return ca.reshape(self.multiplier(sigma, lam), -1, self.term.points)

    def add_hessian(self, blocks: BorderedMatrix, sigma: ca.MX, lam: ca.MX) -> None:
        """See `TermEntries`."""
        arguments = [*self.arguments, self.multipliers(sigma, lam)]
        own_values, border = self.layers.functions[2].call(arguments)
        self.add_own_second(blocks, own_values)
        if not self.places.columns_as_they_are:
            rows = np.append(self.term.own_columns.ravel(), self.term.shared_columns)
            entries = np.ones(len(rows)), (rows, np.arange(len(rows)))
            placing = sparse.csc_matrix(entries, shape=(blocks.shape[0], len(rows)))
            border = ca.mtimes(to_dm(placing), border)
        blocks.add_columns(border, self.term.shared_columns)

    def add_own_second(self, blocks: BorderedMatrix, values: ca.MX) -> None:
        """Add the second derivatives by the points' own unknowns."""
        own = Pattern.row_major(*self.layers.own_second)
        self._triangle(blocks, [ca.vec(values.T)], own, self.term.columns)


def entries_of(term: MappedTerm, x: ca.MX, p: ca.MX, layers: Layered | None) -> TermEntries:
    """Return a term with its arguments gathered, in the way that suits it."""
    if term.squares is not None:
        return SquaresEntries(term, x, p, term.squares)
    return TermEntries(term, x, p) if layers is None else LayeredTermEntries(term, x, p, layers)


def _increasing(numbers: Index) -> bool:
    return bool((np.diff(numbers) > 0).all())


def _run(scatter: sparse.csc_matrix) -> tuple[int, int] | None:
    """First and last + 1 of the rows if value j goes to row first + j and nothing is added up."""
    rows = scatter.indices
    if scatter.nnz != scatter.shape[1] or not len(rows) or (np.diff(rows) != 1).any():
        return None
    if (scatter.data != 1.0).any() or (np.diff(scatter.indptr) != 1).any():
        return None
    return int(rows[0]), int(rows[-1]) + 1
