"""From terms to f, ∇f, g, J and H as CasADi Functions of fixed sparsity.

Each term's local derivatives are mapped over its points; the nonzeros of J and H are then picked
out of the mapped results by one index vector (a gather).  Only entries that several points feed
need a sum, and that is one sparse product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .functions import Functions
from .matrices import BorderedMatrix, Collector, border_start, to_dm
from .term import MappedTerm, Pattern

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def assemble(terms: Sequence[MappedTerm], linear: sparse.spmatrix, parameters: int) -> Functions:
    """Build the functions of min Σ objective terms s.t. linear x + Σ scattered terms.

    Parameters
    ----------
    terms : objective terms (no scatter) and constraint terms.
    linear : (rows, columns) constant part of the constraints.
    parameters : length of the parameter vector.
    """
    m, n = linear.shape
    x, p = ca.MX.sym("x", n), ca.MX.sym("p", parameters)
    sigma, lam = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", m)
    points = [_Point(term, x, p) for term in terms]
    objective = [q for q in points if q.term.scatter is None]
    constraint = [q for q in points if q.term.scatter is not None]

    f = sum((ca.sum2(q.value()) for q in objective), ca.MX(0.0))
    g = ca.MX.zeros(m) if linear.nnz == 0 else ca.mtimes(to_dm(linear), x)
    for q in constraint:
        g += q.scattered()

    gradient = Collector((n, 1))
    for q in objective:
        own_values, own, shared_values, shared = q.jacobian()
        gradient.add(own_values, q.own_entries(own, 0), 0)
        gradient.add(shared_values, q.shared_entries(shared, 0), 0)
    start = border_start(terms, n)
    jacobian, hessian = BorderedMatrix((m, n), start), BorderedMatrix((n, n), start)
    constant = sparse.coo_matrix(linear)
    jacobian.add_constant(constant.row, constant.col, constant.data)
    for q in constraint:
        q.add_jacobian(jacobian)
    for q in points:
        q.add_hessian(hessian, sigma, lam)

    return Functions.of(
        [x, p, sigma, lam],
        f,
        (f, gradient.matrix()),
        g,
        (g, jacobian.matrix()),
        hessian.matrix(),
        tuple(f for q in points if q.layers is not None for f in q.layers.functions),
    )


class _Point:
    """One term with its arguments gathered from the NLP's vectors."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX) -> None:
        self.term, self.layers = term, term.by_layers
        own = x[term.own_columns.ravel().tolist()] if term.own_columns.size else ca.MX(0, 1)
        shared = x[term.shared_columns.tolist()] if term.shared_columns.size else ca.MX(0, 1)
        self.arguments = (
            ca.reshape(own, term.own_columns.shape[1], term.points),
            shared if self.layers is not None else ca.repmat(shared, 1, term.points),
            term.data_function(p),
        )

        self.run = None if term.scatter is None else _run(term.scatter)

    def value(self) -> ca.MX:
        if self.layers is not None:
            return self.layers.functions[0].call([*self.arguments])[0]
        return _mapped(self.term.function, self.term.points, *self.arguments)[0]

    def first(self) -> tuple[list[ca.MX], Pattern, Pattern]:
        """Nonzeros of the Jacobian by own and by shared unknowns, a point a column."""
        if self.layers is not None:
            values = self.layers.functions[1].call([*self.arguments])
            own, shared = (Pattern.row_major(*p) for p in self.layers.first_patterns)
            return values, own, self._among_all(shared)
        function, own, shared = self.term.first_derivatives
        return _mapped(function, self.term.points, *self.arguments), own, shared

    def second(self, multiplier: ca.MX) -> tuple[list[ca.MX], Pattern, Pattern, Pattern]:
        """Nonzeros own-own and own-shared, a point a column, and shared-shared, summed."""
        if self.layers is not None:
            values = self.layers.functions[2].call([*self.arguments, multiplier])
            own, mixed, shared = (Pattern.row_major(*p) for p in self.layers.second_patterns)
            count = self.term.own.numel()
            shared = Pattern.row_major(shared.rows + count, shared.columns + count)
            return values, own, self._among_all(mixed), shared
        function, own, mixed, shared = self.term.second_derivatives
        values = _mapped(function, self.term.points, *self.arguments, multiplier)
        return [*values[:2], ca.sum2(values[2])], own, mixed, shared

    def _among_all(self, pattern: Pattern) -> Pattern:
        """A pattern by shared unknowns as one by own and shared ones."""
        return Pattern.row_major(pattern.rows, pattern.columns + self.term.own.numel())

    def scattered(self) -> ca.MX:
        """(rows,) values in the rows that they belong to."""
        assert self.term.scatter is not None
        values, rows = ca.vec(self.value()), self.term.scatter.shape[0]
        if self.run is None:
            return ca.mtimes(to_dm(self.term.scatter), values)
        first, last = self.run
        return ca.vertcat(ca.MX.zeros(first), values, ca.MX.zeros(rows - last))

    def jacobian(self) -> tuple[ca.MX, Pattern, ca.MX, Pattern]:
        """Own nonzeros a point, and the shared ones summed over the points (objective terms)."""
        (own_values, shared_values), own, shared = self.first()
        return ca.vec(own_values), own, ca.sum2(shared_values), shared

    def own_entries(self, pattern: Pattern, row: int) -> tuple[Index, Index]:
        columns = self.term.columns[:, pattern.columns]
        return columns.ravel(), np.full(columns.size, row)

    def shared_entries(self, pattern: Pattern, row: int) -> tuple[Index, Index]:
        columns = self.term.columns[0, pattern.columns]
        return columns, np.full(len(columns), row)

    def add_jacobian(self, blocks: BorderedMatrix) -> None:
        """Scatter the term's Jacobian to the rows of the NLP."""
        term = self.term
        assert term.scatter is not None
        (own_values, shared_values), own, shared = self.first()
        scatter = term.scatter.tocsc()
        self._scatter(blocks, own_values, own)
        if scatter.nnz == scatter.shape[1] and (scatter.data == 1.0).all():
            targets = scatter.indices.reshape(term.points, -1)
            if blocks.add_border(shared_values, shared, targets, term.shared_columns, term):
                return
        self._scatter(blocks, shared_values, shared)

    def _scatter(self, blocks: BorderedMatrix, values: ca.MX, pattern: Pattern) -> None:
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
            sources.append((k[:, None] * len(pattern) + of_row[None, :]).ravel())
            factors.append(np.repeat(scatter.data[entry], len(of_row)))
        weights = np.concatenate(factors)
        blocks.add(
            ca.vec(values),
            (np.concatenate(rows), np.concatenate(columns)),
            np.concatenate(sources),
            None if (weights == 1.0).all() else weights,
        )

    def add_hessian(self, blocks: BorderedMatrix, sigma: ca.MX, lam: ca.MX) -> None:
        """Add the upper triangle of the term's part of the Hessian of the Lagrangian."""
        term = self.term
        if term.scatter is None:
            multiplier = ca.repmat(sigma, 1, term.points)
        else:
            pulled = lam[slice(*self.run)] if self.run else ca.mtimes(to_dm(term.scatter.T), lam)
            multiplier = ca.reshape(pulled, term.value.numel(), term.points)
        values, own, mixed, shared = self.second(multiplier)
        self._triangle(blocks, values[0], own, term.columns)
        own_columns = term.own_columns
        outside = not own_columns.size or own_columns.max() < blocks.start
        if not outside or not blocks.add_border(
            values[1], mixed, own_columns, term.shared_columns, term
        ):
            self._triangle(blocks, values[1], mixed, term.columns)
        self._triangle(blocks, values[2], shared, term.columns[:1])

    @staticmethod
    def _triangle(blocks: BorderedMatrix, values: ca.MX, pattern: Pattern, columns: Index) -> None:
        a, b = columns[:, pattern.rows].ravel(), columns[:, pattern.columns].ravel()
        # two arguments that are one variable at some point: both halves fall on the diagonal
        doubled = (a == b) & np.tile(pattern.rows != pattern.columns, len(columns))
        factors = np.where(doubled, 2.0, 1.0) if doubled.any() else None
        blocks.add(ca.vec(values), (np.minimum(a, b), np.maximum(a, b)), 0, factors)


def _mapped(function: ca.Function, points: int, *arguments: Any) -> list[ca.MX]:
    """Map in two steps where that can be: patterns are repeated one by one, so two short rows are quicker."""
    inner = next(k for k in range(math.isqrt(points), 0, -1) if points % k == 0)
    return function.map(inner, "serial").map(points // inner, "serial").call(list(arguments))


def _run(scatter: sparse.csc_matrix) -> tuple[int, int] | None:
    """First and last + 1 of the rows if value j goes to row first + j and nothing is added up."""
    rows = scatter.indices
    if scatter.nnz != scatter.shape[1] or not len(rows) or (np.diff(rows) != 1).any():
        return None
    if (scatter.data != 1.0).any() or (np.diff(scatter.indptr) != 1).any():
        return None
    return int(rows[0]), int(rows[-1]) + 1
