"""From terms to f, ∇f, g, J and H as CasADi Functions of fixed sparsity.

Each term's local derivatives are mapped over its points; the nonzeros of J and H are then picked
out of the mapped results by one index vector (a gather).  Only entries that several points feed
need a sum, and that is one sparse product.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cached_property, partial

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .by_layers import ByLayers
from .callbacks import Evaluated
from .functions import Functions, outer
from .in_place import in_place
from .matrices import BorderedMatrix, Collector, border_start, to_dm
from .outer_products import OutOfPlace
from .points import points_of
from .term import MappedTerm, Pattern, gathered, times

Array = NDArray[np.float64]
Index = NDArray[np.intp]
# Measured: below, the graph's scalars take as long as the calls of NumPy
LEAST_WEIGHTS = 64


def assemble(terms: Sequence[MappedTerm], linear: sparse.spmatrix, parameters: int) -> Functions:
    """Build the functions of min Σ objective terms s.t. linear x + Σ scattered terms.

    Parameters
    ----------
    terms : objective terms (no scatter) and constraint terms.
    linear : (rows, columns) constant part of the constraints.
    parameters : length of the parameter vector.
    """
    layers = [_layers(term, linear.shape) for term in terms]
    return Functions(_Assembly(terms, linear, parameters, layers))


class _Assembly:
    """The `Expressions` of some terms, of x / s and with the constraints times r if these are given."""

    def __init__(
        self,
        terms: Sequence[MappedTerm],
        linear: sparse.spmatrix,
        parameters: int,
        layers: Sequence[_Layers | None],
        scales: tuple[Array, Array] | None = None,
    ) -> None:
        self._terms, self._linear, self.layers, self._scales = terms, linear, layers, scales
        m, n = linear.shape
        x, p, lam = ca.MX.sym("x", n), ca.MX.sym("p", parameters), ca.MX.sym("lam_g", m)
        self.symbols = x, p, ca.MX.sym("lam_f"), lam
        self.exact = all(part is None or part.functions.lifted.exact for part in layers)

    def scaled(self, s: Array, r: Array) -> _Assembly:
        return _Assembly(self._terms, self._linear, self.symbols[1].numel(), self.layers, (s, r))

    @cached_property
    def _column(self) -> ca.DM | None:
        return None if self._scales is None else ca.DM(self._scales[0].tolist())

    @cached_property
    def _row(self) -> ca.DM | None:
        return None if self._scales is None else ca.DM(self._scales[1].tolist())

    @cached_property
    def _x(self) -> ca.MX:
        x = self.symbols[0]
        return x if self._column is None else times(self._column, x)

    @cached_property
    def _points(self) -> list[_Point]:
        x, p = self._x, self.symbols[1]
        return [
            _Point(term, x, p) if layers is None else _PointByLayers(term, x, p, layers)
            for term, layers in zip(self._terms, self.layers, strict=True)
        ]

    @cached_property
    def f(self) -> ca.MX:
        costs = [q.total() for q in self._points if q.term.scatter is None]
        return ca.densify(sum(costs, ca.MX(0.0)))

    @cached_property
    def gradient(self) -> ca.MX:
        gradient = Collector((self.symbols[0].numel(), 1))
        for q in self._points:
            if q.term.scatter is None:
                own_values, own, shared_values, shared = q.jacobian()
                gradient.add(own_values, q.own_entries(own, 0), 0)
                gradient.add(shared_values, q.shared_entries(shared, 0), 0)
        dense = ca.densify(gradient.matrix())
        return dense if self._column is None else times(self._column, dense)

    @cached_property
    def g(self) -> ca.MX:
        linear = self._linear
        g = ca.mtimes(to_dm(linear), self._x) if linear.nnz else ca.MX.zeros(linear.shape[0])
        for q in self._points:
            if q.term.scatter is not None:
                g += q.scattered()
        g = ca.densify(g)
        return g if self._row is None else times(self._row, g)

    @cached_property
    def jacobian(self) -> ca.MX:
        function = self.jacobian_in_place
        return self._jacobian() if function is None else function.call([*self.symbols[:2]])[0]

    @cached_property
    def hessian(self) -> ca.MX:
        function = self.hessian_in_place
        return self._hessian() if function is None else function.call([*self.symbols])[0]

    @cached_property
    def jacobian_in_place(self) -> Evaluated | None:
        q = self._alone
        if q is None:
            return None
        assert q.term.scatter is not None
        factors = None
        if self._scales is not None:
            factors = self._scales[1][q.term.scatter.indices].reshape(q.term.points, -1)
        own, put = q.layers.own(0), partial(q.layers.put_first, factors=factors)
        rest, border = self._jacobian(own), q.layers.borders[0]
        return in_place("nlp_jac_g", self.symbols[:2], q.arguments, (own, rest, border), put)

    @cached_property
    def hessian_in_place(self) -> Evaluated | None:
        q = self._alone
        if q is None:
            return None
        factors = None
        if self._scales is not None:
            factors = np.ascontiguousarray(self._scales[0][q.term.own_columns])
        own, put = q.layers.own(1), partial(q.layers.put_second, factors=factors)
        arguments = *q.arguments, q.multipliers(self.symbols[2], self._multipliers)
        rest, border = self._hessian(own), q.layers.borders[1]
        return in_place("nlp_hess_l", self.symbols, arguments, (own, rest, border), put)

    @cached_property
    def _alone(self) -> _PointByLayers | None:
        """The only term by layers, if kernels can write all of the border's columns."""
        found = [q for q in self._points if isinstance(q, _PointByLayers)]
        columns = self.symbols[0].numel()
        if len(found) != 1 or not found[0].writes_trailing(columns):
            return None
        shared = found[0].term.shared_columns
        ones = self._scales is None or (self._scales[0][shared] == 1.0).all()
        return found[0] if ones else None

    @cached_property
    def _multipliers(self) -> ca.MX:
        lam = self.symbols[3]
        return lam if self._row is None else times(self._row, lam)

    def _jacobian(self, own: ca.MX | None = None) -> ca.MX:
        """The matrix; without what is written in place, whose derivatives by own unknowns are ``own``."""
        constant = sparse.coo_matrix(self._linear)
        blocks = BorderedMatrix(constant.shape, border_start(self._terms, constant.shape[1]))
        blocks.add_constant(constant.row, constant.col, constant.data)
        for q in self._points:
            if own is not None and q is self._alone:
                self._alone.add_own_first(blocks, own)
            elif q.term.scatter is not None:
                q.add_jacobian(blocks)
        matrix = blocks.matrix()
        if self._scales is None:
            return matrix
        return times(outer(self._scales[1], self._scales[0], matrix.sparsity()), matrix)

    def _hessian(self, own: ca.MX | None = None) -> ca.MX:
        """The upper triangle, likewise."""
        n = self.symbols[0].numel()
        blocks = BorderedMatrix((n, n), border_start(self._terms, n))
        for q in self._points:
            if own is not None and q is self._alone:
                self._alone.add_own_second(blocks, own)
            else:
                q.add_hessian(blocks, self.symbols[2], self._multipliers)
        matrix = blocks.matrix()
        if self._scales is None:
            return matrix
        return times(outer(self._scales[0], self._scales[0], matrix.sparsity()), matrix)


def _layers(term: MappedTerm, shape: tuple[int, int]) -> _Layers | None:
    """How a term's networks are evaluated layer by layer, if they can be; else its graph is."""
    own, shared, lifted = term.own_columns, term.shared_columns, term.lifted
    suits = lifted is not None and term.scatter is not None and own.size and len(shared)
    worth = lifted is not None and (len(shared) >= LEAST_WEIGHTS or not lifted.exact)
    if suits and worth and own.max() < shared.min() and (np.diff(shared) > 0).all():
        with contextlib.suppress(OutOfPlace):
            return _Layers(term, shape)
    return None


class _Point:
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

    def scattered(self) -> ca.MX:
        """(rows,) values in the rows that they belong to."""
        assert self.term.scatter is not None
        values, rows = self.value(), self.term.scatter.shape[0]
        if self.run is None:
            return ca.mtimes(to_dm(self.term.scatter), values)
        first, last = self.run
        return ca.vertcat(ca.MX.zeros(first), values, ca.MX.zeros(rows - last))

    def jacobian(self) -> tuple[list[ca.MX], Pattern, list[ca.MX], Pattern]:
        """Own nonzeros by entry, and the shared ones summed over the points (objective terms)."""
        function, own, shared = self.term.first_derivatives
        own_values, shared_values = self.points.values(function)
        return own_values.by_entry(), own, [shared_values.summed()], shared

    def own_entries(self, pattern: Pattern, row: int) -> tuple[Index, Index]:
        columns = self.term.columns[:, pattern.columns]
        return columns.T.ravel(), np.full(columns.size, row)

    def shared_entries(self, pattern: Pattern, row: int) -> tuple[Index, Index]:
        columns = self.term.columns[0, pattern.columns]
        return columns, np.full(len(columns), row)

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
        scatter = term.scatter.tocoo()
        point, output = np.divmod(scatter.col, term.value.numel())
        rows, columns, sources, factors = [], [], [], []
        for i in range(term.value.numel()):
            of_row, entry = np.flatnonzero(pattern.rows == i), np.flatnonzero(output == i)
            k = point[entry]
            rows.append(np.repeat(scatter.row[entry], len(of_row)))
            columns.append(term.columns[np.ix_(k, pattern.columns[of_row])].ravel())
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


class _Layers:
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


class _PointByLayers(_Point):
    """One term whose networks are evaluated layer by layer."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX, layers: _Layers) -> None:
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
        return ca.vec(self.layers.functions[0].call([*self.arguments])[0])

    def writes_trailing(self, columns: int) -> bool:
        """Whether kernels write derivatives by weights, whose columns are the last ones, in their places."""
        places, shared = self.places, self.term.shared_columns
        as_they_are = places.rows_as_they_are and places.columns_as_they_are
        trailing = np.arange(columns - len(shared), columns)
        return self.layers.compiled and as_they_are and np.array_equal(shared, trailing)

    def add_jacobian(self, blocks: BorderedMatrix) -> None:
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
