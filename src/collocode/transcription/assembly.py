"""From terms to f, ∇f, g, J and H as CasADi Functions of fixed sparsity.

Each term's local derivatives are mapped over its points; the nonzeros of J and H are then picked
out of the mapped results by one index vector (a gather).  Only entries that several points feed
need a sum, and that is one sparse product.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cached_property, partial, reduce

import casadi as ca
import numpy as np
from scipy import sparse

from ..numerics import Array
from .callbacks import Evaluated
from .functions import HESSIAN, JACOBIAN, Functions
from .in_place import in_place
from .matrices import BorderedMatrix, Collector, border_start, product
from .outer_products import OutOfPlace
from .term import MappedTerm, plus, times
from .term_entries import Layered, LayeredTermEntries, TermEntries, entries_of

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
    """The `Expressions` of some terms; of x / s, the constraints times r and the objective times c if these are given."""

    def __init__(
        self,
        terms: Sequence[MappedTerm],
        linear: sparse.spmatrix,
        parameters: int,
        layers: Sequence[Layered | None],
        scales: tuple[Array, Array, float] | None = None,
    ) -> None:
        self._terms, self._linear, self.layers, self._scales = terms, linear, layers, scales
        m, n = linear.shape
        x, p, lam = ca.MX.sym("x", n), ca.MX.sym("p", parameters), ca.MX.sym("lam_g", m)
        self.symbols = x, p, ca.MX.sym("lam_f"), lam
        by_layers = [part.functions for part in layers if part is not None]
        self.exact = all(functions.lifted.exact for functions in by_layers)
        self.kernels = any(functions.kernels is not None for functions in by_layers)

    def scaled(self, s: Array, r: Array, c: float) -> _Assembly:
        count = self.symbols[1].numel()
        return _Assembly(self._terms, self._linear, count, self.layers, (s, r, c))

    @cached_property
    def _column(self) -> ca.MX | None:
        return None if self._scales is None else _factors(self._scales[0])

    @cached_property
    def _row(self) -> ca.MX | None:
        return None if self._scales is None else _factors(self._scales[1])

    def _weighed(self, value: ca.MX) -> ca.MX:
        """Times the objective's scale."""
        factor = 1.0 if self._scales is None else self._scales[2]
        return value if factor == 1.0 else times(ca.MX(factor), value)

    @cached_property
    def _x(self) -> ca.MX:
        x = self.symbols[0]
        return x if self._column is None else times(self._column, x)

    @cached_property
    def _points(self) -> list[TermEntries]:
        x, p = self._x, self.symbols[1]
        return [
            entries_of(term, x, p, layers)
            for term, layers in zip(self._terms, self.layers, strict=True)
        ]

    @cached_property
    def f(self) -> ca.MX:
        costs = [q.total() for q in self._points if q.term.scatter is None]
        return self._weighed(_dense(reduce(plus, costs) if costs else ca.MX.zeros(1)))

    @cached_property
    def gradient(self) -> ca.MX:
        gradient = Collector((self.symbols[0].numel(), 1))
        for q in self._points:
            if q.term.scatter is None:
                q.add_gradient(gradient)
        dense = self._weighed(gradient.dense())
        return dense if self._column is None else times(self._column, dense)

    @cached_property
    def g(self) -> ca.MX:
        linear = self._linear
        parts = [q.by_row() for q in self._points if q.term.scatter is not None]
        if linear.nnz or not parts:
            parts.insert(0, product(linear, self._x))
        g = _dense(reduce(plus, parts))
        return g if self._row is None else times(self._row, g)

    @cached_property
    def jacobian(self) -> ca.MX:
        function = self.jacobian_in_place
        return self._jacobian() if function is None else function.call([*self.symbols[:2]])[-1]

    @cached_property
    def hessian(self) -> ca.MX:
        function = self.hessian_in_place
        return self._hessian() if function is None else function.call([*self.symbols])[-1]

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
        return in_place(
            "nlp_jac_g", JACOBIAN, self.symbols[:2], q.arguments, (own, rest, border), put
        )

    @cached_property
    def hessian_in_place(self) -> Evaluated | None:
        q = self._alone
        if q is None:
            return None
        factors = None
        if self._scales is not None:
            factors = np.ascontiguousarray(self._scales[0][q.term.own_columns])
        own, put = q.layers.own(1), partial(q.layers.put_second, factors=factors)
        arguments = *q.arguments, q.multipliers(self._weight, self._multipliers)
        rest, border = self._hessian(own), q.layers.borders[1]
        return in_place("nlp_hess_l", HESSIAN, self.symbols, arguments, (own, rest, border), put)

    @cached_property
    def _alone(self) -> LayeredTermEntries | None:
        """The only term by layers, if kernels can write all of the border's columns."""
        found = [q for q in self._points if isinstance(q, LayeredTermEntries)]
        columns = self.symbols[0].numel()
        if len(found) != 1 or not found[0].writes_trailing(columns):
            return None
        shared = found[0].term.shared_columns
        ones = self._scales is None or (self._scales[0][shared] == 1.0).all()
        return found[0] if ones else None

    @cached_property
    def _weight(self) -> ca.MX:
        return self._weighed(self.symbols[2])

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
        return blocks.matrix(None if self._scales is None else (self._scales[1], self._scales[0]))

    def _hessian(self, own: ca.MX | None = None) -> ca.MX:
        """The upper triangle, likewise."""
        n = self.symbols[0].numel()
        blocks = BorderedMatrix((n, n), border_start(self._terms, n))
        for q in self._points:
            if own is not None and q is self._alone:
                self._alone.add_own_second(blocks, own)
            else:
                q.add_hessian(blocks, self._weight, self._multipliers)
        return blocks.matrix(None if self._scales is None else (self._scales[0], self._scales[0]))


def _factors(scales: Array) -> ca.MX | None:
    return None if (scales == 1.0).all() else ca.MX(scales.tolist())


def _dense(values: ca.MX) -> ca.MX:
    """All entries; asking first is quicker than `densify`, which finds out what it is given."""
    return values if values.is_dense() else ca.densify(values)


def _layers(term: MappedTerm, shape: tuple[int, int]) -> Layered | None:
    """How a term's networks are evaluated layer by layer, if they can be; else its graph is."""
    own, shared, lifted = term.own_columns, term.shared_columns, term.lifted
    suits = lifted is not None and term.scatter is not None and own.size and len(shared)
    worth = lifted is not None and (len(shared) >= LEAST_WEIGHTS or not lifted.exact)
    if suits and worth and own.max() < shared.min() and (np.diff(shared) > 0).all():
        with contextlib.suppress(OutOfPlace):
            return Layered(term, shape)
    return None
