"""From terms to f, ∇f, g, J and H as CasADi Functions of fixed sparsity.

Each term's local derivatives are mapped over its points; the nonzeros of J and H are then picked
out of the mapped results by one index vector (a gather).  Only entries that several points feed
need a sum, and that is one sparse product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .term import MappedTerm, Pattern

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Functions:
    """The NLP's functions; arguments ``x, p`` and, for the Hessian, ``lam_f, lam_g``.

    ``hessian`` is the upper triangle of the Hessian of σ f + λᵀ g.
    """

    objective: ca.Function
    gradient: ca.Function
    constraints: ca.Function
    jacobian: ca.Function
    hessian: ca.Function


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

    f = sum((ca.repsum(q.value(), 1, q.term.points) for q in objective), ca.MX(0.0))
    g = ca.mtimes(_dm(linear), x)
    for q in constraint:
        g += ca.mtimes(_dm(q.term.scatter), ca.vec(q.value()))

    gradient = _Collector((n, 1))
    for q in objective:
        own_values, own, shared_values, shared = q.jacobian()
        gradient.add(own_values, q.own_entries(own, 0), 0)
        gradient.add(shared_values, q.shared_entries(shared, 0), 0)
    jacobian = _Collector((m, n))
    constant = sparse.coo_matrix(linear)
    jacobian.add_constant(constant.row, constant.col, constant.data)
    for q in constraint:
        q.add_jacobian(jacobian)
    hessian = _Collector((n, n))
    for q in points:
        q.add_hessian(hessian, sigma, lam)

    names, options = ["x", "p"], {"allow_free": False}
    grad = ca.densify(gradient.matrix())
    return Functions(
        ca.Function("nlp_f", [x, p], [f], names, ["f"], options),
        ca.Function("nlp_grad_f", [x, p], [f, grad], names, ["f", "grad_f_x"], options),
        ca.Function("nlp_g", [x, p], [g], names, ["g"], options),
        ca.Function("nlp_jac_g", [x, p], [g, jacobian.matrix()], names, ["g", "jac_g_x"], options),
        ca.Function(
            "nlp_hess_l",
            [x, p, sigma, lam],
            [hessian.matrix()],
            ["x", "p", "lam_f", "lam_g"],
            ["triu_hess_gamma_x_x"],
            options,
        ),
    )


class _Point:
    """One term with its arguments gathered from the NLP's vectors."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX) -> None:
        self.term = term
        own = x[term.own_columns.ravel().tolist()] if term.own_columns.size else ca.MX(0, 1)
        shared = x[term.shared_columns.tolist()] if term.shared_columns.size else ca.MX(0, 1)
        self.arguments = (
            ca.reshape(own, term.own_columns.shape[1], term.points),
            ca.repmat(shared, 1, term.points),
            term.data_function(p),
        )

    def value(self) -> ca.MX:
        return _mapped(self.term.function, self.term.points, *self.arguments)[0]

    def jacobian(self) -> tuple[ca.MX, Pattern, ca.MX, Pattern]:
        """Own nonzeros a point, and the shared ones summed over the points (objective terms)."""
        function, own, shared = self.term.first_derivatives
        own_values, shared_values = _mapped(function, self.term.points, *self.arguments)
        return ca.vec(own_values), own, ca.repsum(shared_values, 1, self.term.points), shared

    def own_entries(self, pattern: Pattern, row: int) -> tuple[Index, Index]:
        columns = self.term.columns[:, pattern.columns]
        return columns.ravel(), np.full(columns.size, row)

    def shared_entries(self, pattern: Pattern, row: int) -> tuple[Index, Index]:
        columns = self.term.columns[0, pattern.columns]
        return columns, np.full(len(columns), row)

    def add_jacobian(self, collector: _Collector) -> None:
        term = self.term
        assert term.scatter is not None
        function, own, shared = term.first_derivatives
        mapped = _mapped(function, term.points, *self.arguments)
        scatter = term.scatter.tocoo()
        point, output = np.divmod(scatter.col, term.value.numel())
        for pattern, values in zip((own, shared), mapped, strict=True):
            rows, columns, sources, factors = [], [], [], []
            for i in range(term.value.numel()):
                of_row, entry = np.flatnonzero(pattern.rows == i), np.flatnonzero(output == i)
                k = point[entry]
                rows.append(np.repeat(scatter.row[entry], len(of_row)))
                columns.append(term.columns[np.ix_(k, pattern.columns[of_row])].ravel())
                sources.append((k[:, None] * len(pattern) + of_row[None, :]).ravel())
                factors.append(np.repeat(scatter.data[entry], len(of_row)))
            weights = np.concatenate(factors)
            collector.add(
                ca.vec(values),
                (np.concatenate(rows), np.concatenate(columns)),
                np.concatenate(sources),
                None if (weights == 1.0).all() else weights,
            )

    def add_hessian(self, collector: _Collector, sigma: ca.MX, lam: ca.MX) -> None:
        term, (function, own, shared) = self.term, self.term.second_derivatives
        if term.scatter is None:
            multiplier = ca.repmat(sigma, 1, term.points)
        else:
            pulled = ca.mtimes(_dm(term.scatter.T), lam)
            multiplier = ca.reshape(pulled, term.value.numel(), term.points)
        own_values, shared_values = _mapped(function, term.points, *self.arguments, multiplier)
        if len(own):
            a, b = term.columns[:, own.rows].ravel(), term.columns[:, own.columns].ravel()
            collector.add(ca.vec(own_values), (np.minimum(a, b), np.maximum(a, b)), 0)
        if len(shared):
            a, b = term.columns[0, shared.rows], term.columns[0, shared.columns]
            collector.add(
                ca.repsum(shared_values, 1, self.term.points),
                (np.minimum(a, b), np.maximum(a, b)),
                0,
            )


class _Collector:
    """Collects (row, column, factor x source value) and turns them into one sparse MX."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.values: list[ca.MX] = []
        self.length = 0
        self.rows: list[Index] = []
        self.columns: list[Index] = []
        self.sources: list[Index] = []
        self.factors: list[Array | None] = []

    def add(
        self,
        values: ca.MX,
        entries: tuple[Index, Index],
        sources: Index | int,
        factors: Array | None = None,
    ) -> None:
        """Add values; entry j takes ``values[sources[j]]``, or ``values[j]`` if sources is 0."""
        rows, columns = entries
        if not len(rows):
            return
        where = np.arange(len(rows)) if isinstance(sources, int) else sources
        self.rows.append(rows)
        self.columns.append(columns)
        self.sources.append(where + self.length)
        self.factors.append(factors)
        self.values.append(values)
        self.length += values.numel()

    def add_constant(self, rows: Index, columns: Index, data: Array) -> None:
        """Add constant entries."""
        self.add(ca.MX(ca.DM(data.tolist())), (rows, columns), 0)

    def matrix(self) -> ca.MX:
        """Return the matrix, its nonzeros gathered and, where needed, summed."""
        if not self.rows:
            return ca.MX(ca.Sparsity(*self.shape))
        rows, columns = np.concatenate(self.rows), np.concatenate(self.columns)
        sources = np.concatenate(self.sources)
        plain = all(part is None for part in self.factors)
        factors = (
            None
            if plain
            else np.concatenate(
                [
                    np.ones(len(r)) if f is None else f
                    for r, f in zip(self.rows, self.factors, strict=True)
                ]
            )
        )
        values = ca.vertcat(*self.values)
        entries = sparse.coo_matrix((np.arange(len(rows)), (rows, columns)), shape=self.shape)
        entries.has_canonical_format = True  # keep contributions to one entry apart
        compressed = entries.tocsc()
        compressed.sort_indices()
        order, rows, starts = compressed.data, compressed.indices, compressed.indptr
        first = np.append(True, rows[1:] != rows[:-1])
        first[starts[:-1][starts[:-1] < len(rows)]] = True
        lead = order[first]
        count = np.concatenate([[0], np.cumsum(first)])
        pattern = ca.Sparsity(*self.shape, count[starts].tolist(), rows[first].tolist())
        gather = sources[lead]
        if len(lead) < len(order):  # several contributions to one entry: sum these, few, apart
            entry = count[1:] - 1
            several = np.flatnonzero(np.bincount(entry) > 1)
            chosen = np.isin(entry, several)
            used, place = np.unique(sources[order[chosen]], return_inverse=True)
            which = np.searchsorted(several, entry[chosen])
            weights = np.ones(len(which)) if factors is None else factors[order[chosen]]
            sums = sparse.csc_matrix((weights, (which, place)), shape=(len(several), len(used)))
            gather[several] = self.length + np.arange(len(several))
            values = ca.vertcat(values, ca.mtimes(_dm(sums), values[used.tolist()]))
            if factors is not None:
                factors[lead[several]] = 1.0
        nonzeros = ca.vec(values[gather.tolist()])  # a gather from one value is a row
        if factors is not None and (factors[lead] != 1.0).any():
            nonzeros = ca.DM(factors[lead].tolist()) * nonzeros
        return ca.MX(pattern, nonzeros)


def _mapped(function: ca.Function, points: int, *arguments: Any) -> list[ca.MX]:
    return function.map(points, "serial").call(list(arguments))


def _dm(matrix: sparse.spmatrix) -> ca.DM:
    """Convert a SciPy matrix; lists cross into CasADi ten times faster than arrays do."""
    csc = sparse.csc_matrix(matrix)
    csc.sum_duplicates()
    pattern = ca.Sparsity(*csc.shape, csc.indptr.tolist(), csc.indices.tolist())
    return ca.DM(pattern, csc.data.tolist())
