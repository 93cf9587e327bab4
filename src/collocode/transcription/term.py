r"""Mapped terms: one small function, evaluated at many points.

Objective and constraints of a transcription are sums of terms

.. math:: \phi(v_k, s, d_k),\qquad k = 1,\dots,K

in which :math:`v_k` are the unknowns of point `k` (its states), `s` unknowns that all points share
(weights, parameters) and :math:`d_k` data.  Derivatives are taken once, of :math:`\phi`; the points
are mapped, and the results scattered by precomputed indices (`assembly`).  So the build cost does
not depend on the number of points, and J and H have the exact sparsity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class MappedTerm:
    r"""One term of an NLP.

    Attributes
    ----------
    name : for messages and exported files.
    own, shared, data, value : SX columns, the arguments of :math:`\phi` and its result.
    own_columns : (K, len(own)) NLP columns of the points' unknowns.
    shared_columns : (len(shared),) NLP columns.
    data_function : parameter vector -> (len(data), K).
    scatter : (rows of the NLP, K * len(value)) matrix that adds the values to the constraints;
        None for a term of the objective, whose one value is summed over the points.
    """

    name: str
    own: ca.SX
    shared: ca.SX
    data: ca.SX
    value: ca.SX
    own_columns: Index
    shared_columns: Index
    data_function: ca.Function
    scatter: sparse.csc_matrix | None = None

    @classmethod
    def build(
        cls,
        name: str,
        value: ca.SX,
        own: tuple[ca.SX, Index],
        shared: tuple[ca.SX, Index],
        data: tuple[ca.SX, ca.Function],
        scatter: sparse.spmatrix | None = None,
    ) -> MappedTerm:
        """Make a term, leaving out the unknowns that ``value`` does not depend on."""
        used = {v.__hash__() for v in ca.symvar(value)}

        def prune(symbols: ca.SX, columns: Index) -> tuple[ca.SX, Index]:
            keep = [j for j, v in enumerate(ca.vertsplit(symbols)) if v.__hash__() in used]
            kept = symbols[keep] if keep else ca.SX(0, 1)
            return kept, columns[..., keep]

        own_symbols, own_columns = prune(*own)
        shared_symbols, shared_columns = prune(*shared)
        scattered = None if scatter is None else sparse.csc_matrix(scatter)
        return cls(
            name,
            own_symbols,
            shared_symbols,
            data[0],
            ca.densify(value),
            own_columns,
            shared_columns,
            data[1],
            scattered,
        )

    @property
    def points(self) -> int:
        """Number K of points."""
        return len(self.own_columns)

    @property
    def columns(self) -> Index:
        """(K, own + shared) NLP columns of a point's unknowns."""
        shared = np.broadcast_to(self.shared_columns, (self.points, len(self.shared_columns)))
        return np.hstack([self.own_columns, shared])

    @cached_property
    def function(self) -> ca.Function:
        """(own, shared, data) -> value, at one point."""
        return ca.Function("phi", [self.own, self.shared, self.data], [self.value])

    @cached_property
    def first_derivatives(self) -> tuple[ca.Function, Pattern, Pattern]:
        """Jacobian nonzeros at one point, those by own and those by shared unknowns apart."""
        unknowns = ca.vertcat(self.own, self.shared)
        jacobian = ca.jacobian(self.value, unknowns)
        own, shared = Pattern.split(jacobian.sparsity(), self.own.numel(), triangle=False)
        function = ca.Function(
            "dphi",
            [self.own, self.shared, self.data],
            [_nonzeros(jacobian, own), _nonzeros(jacobian, shared)],
        )
        return function, own, shared

    @cached_property
    def second_derivatives(self) -> tuple[ca.Function, Pattern, Pattern]:
        r"""Upper-triangle nonzeros of the Hessian of :math:`\mu^T\phi`: own rows, and shared-shared."""
        unknowns = ca.vertcat(self.own, self.shared)
        multiplier = ca.SX.sym("mu", self.value.numel())
        hessian = ca.triu(ca.hessian(ca.dot(multiplier, self.value), unknowns)[0])
        own, shared = Pattern.split(hessian.sparsity(), self.own.numel(), triangle=True)
        function = ca.Function(
            "d2phi",
            [self.own, self.shared, self.data, multiplier],
            [_nonzeros(hessian, own), _nonzeros(hessian, shared)],
        )
        return function, own, shared


@dataclass(frozen=True, eq=False)
class Pattern:
    """Row, column and position of some nonzeros of a local matrix."""

    rows: Index
    columns: Index
    positions: Sequence[int]

    @classmethod
    def split(cls, pattern: ca.Sparsity, own: int, triangle: bool) -> tuple[Pattern, Pattern]:
        """Part a pattern: nonzeros that touch an own unknown, and those that touch only shared ones."""
        rows, columns = (np.array(part, dtype=int) for part in pattern.get_triplet())
        touches = (rows < own) if triangle else (columns < own)
        return tuple(  # type: ignore[return-value]
            cls(rows[mask], columns[mask], np.flatnonzero(mask).tolist())
            for mask in (touches, ~touches)
        )

    def __len__(self) -> int:
        return len(self.rows)


def _nonzeros(matrix: ca.SX, pattern: Pattern) -> ca.SX:
    return matrix.nz[list(pattern.positions)] if len(pattern) else ca.SX(0, 1)
