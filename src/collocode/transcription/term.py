r"""Mapped terms: one small function, evaluated at many points.

Objective and constraints of a transcription are sums of terms

.. math:: \phi(v_k, s, d_k),\qquad k = 1,\dots,K

in which :math:`v_k` are the unknowns of point `k` (its states), `s` unknowns that all points share
(weights, parameters) and :math:`d_k` data.  Derivatives are taken once, of :math:`\phi`; the points
are mapped, and the results scattered by precomputed indices (`assembly`).  So the build cost does
not depend on the number of points, and J and H have the exact sparsity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import casadi as ca
import numpy as np
from scipy import sparse

from ..errors import InputError
from ..model.user_code import has_nan, operations_of
from ..numerics import Array, Index, Mask
from .lifted_graph import LiftedFunction
from .squares import Squares

ParameterBlocks = Mapping[str, Array]


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
    lifted : the same function with the results of networks left open, to be evaluated `by_layers`.
    squares : the same function, if it is a sum of squares of what is linear in the unknowns.
    """

    name: str
    own: ca.SX
    shared: ca.SX
    data: ca.SX
    value: ca.SX
    own_columns: Index
    shared_columns: Index
    data_function: DataFunction
    scatter: sparse.csc_matrix | None = None
    lifted: LiftedFunction | None = None
    squares: Squares | None = None

    @classmethod
    def build(
        cls,
        name: str,
        value: ca.SX,
        own: tuple[ca.SX, Index],
        shared: tuple[ca.SX, Index] | None = None,
        data: tuple[ca.SX, DataFunction] | None = None,
        scatter: sparse.spmatrix | None = None,
        lifted: LiftedFunction | None = None,
        squares: Squares | None = None,
    ) -> MappedTerm:
        """Make a term, leaving out the unknowns that ``value`` does not depend on.

        Without ``shared`` there are none; without ``data`` there are none, nor any parameters.

        Raises
        ------
        InputError
            A value that is NaN whatever the unknowns are.
        """
        nothing, columns = ca.SX(0, 1), own[1]
        shared = shared or (nothing, np.empty(0, dtype=np.intp))
        data = data or (nothing, data_function({}, [np.empty((len(columns), 0))], ()))
        value = value if value.is_dense() else ca.densify(value)
        function = ca.Function("phi", [own[0], shared[0], data[0]], [value], {"allow_free": True})
        operations = operations_of(function)
        if has_nan(function, operations):
            raise InputError(
                f"the function of {name!r} is NaN whatever its arguments are: call casadi's or NumPy's "
                "functions in it, not math's, which cannot take symbols, and no NaN constant."
            )
        used: tuple[set[int], ...] = (set(), set(), set())
        for k in (k for k, operation in enumerate(operations) if operation == ca.OP_INPUT):
            argument, entry = function.instruction_input(k)
            used[argument].add(entry)
        kept = [sorted(entries) for entries in used]
        if lifted is not None:
            lifted = replace(lifted, kept=np.array(kept[1], dtype=int))
        made = cls(
            name,
            _only(own[0], kept[0]),
            _only(shared[0], kept[1]),
            data[0],
            value,
            own[1][:, kept[0]],
            shared[1][kept[1]],
            data[1],
            None if scatter is None else sparse.csc_matrix(scatter),
            lifted,
            squares,
        )
        if len(kept[0]) == own[0].numel() and len(kept[1]) == shared[0].numel():
            made.__dict__["function"] = function  # as the property would make it
        return made

    def __repr__(self) -> str:
        return f"MappedTerm({self.name!r}, points={self.points}, values={self.value.numel()})"

    @property
    def points(self) -> int:
        """Number K of points."""
        return len(self.own_columns)

    @property
    def columns(self) -> Index:
        """(K, own + shared) NLP columns of a point's unknowns."""
        shared = np.broadcast_to(self.shared_columns, (self.points, len(self.shared_columns)))
        return np.hstack([self.own_columns, shared])

    def equals(self, other: MappedTerm, p: Array, tolerance: float = 1e-9) -> bool:
        """Whether another term is the same function of the same columns and, at ``p``, data."""
        if self.function.serialize() != other.function.serialize():
            return False
        for a, b in ((self.own_columns, other.own_columns), (self.columns, other.columns)):
            if not np.array_equal(a, b):
                return False
        if self.scatter is None or other.scatter is None:
            if self.scatter is not other.scatter:
                return False
        elif self.scatter.shape != other.scatter.shape or (self.scatter != other.scatter).nnz:
            return False
        mine, theirs = (np.asarray(term.data_function(p)) for term in (self, other))
        size = np.abs(mine).max(axis=1, initial=0.0, keepdims=True)
        return bool((np.abs(mine - theirs) <= tolerance * size).all())

    @cached_property
    def function(self) -> ca.Function:
        """(own, shared, data) -> value, at one point."""
        return ca.Function("phi", [self.own, self.shared, self.data], [self.value])

    @cached_property
    def first_derivatives(self) -> tuple[ca.Function, Pattern, Pattern]:
        """Jacobian nonzeros at one point: by own and by shared unknowns."""
        unknowns = joined([self.own, self.shared], self.own)
        jacobian = ca.jacobian(self.value, unknowns)
        rows, columns = _triplet(jacobian)
        by_own = columns < self.own.numel()
        own, shared = (Pattern.of(rows, columns, mask) for mask in (by_own, ~by_own))
        arguments = [self.own, self.shared, self.data]
        outputs = [_nonzeros(jacobian, pattern) for pattern in (own, shared)]
        return ca.Function("dphi", arguments, outputs), own, shared

    @cached_property
    def second_derivatives(self) -> tuple[ca.Function, Pattern, Pattern, Pattern]:
        r"""Upper-triangle nonzeros of the Hessian of :math:`\mu^T\phi` at one point.

        Own-own, own-shared and shared-shared ones apart.
        """
        unknowns = joined([self.own, self.shared], self.own)
        multiplier = ca.SX.sym("mu", self.value.numel())
        hessian = ca.triu(ca.hessian(ca.dot(multiplier, self.value), unknowns)[0])
        rows, columns = _triplet(hessian)
        count = self.own.numel()
        masks = (columns < count, (rows < count) & (columns >= count), rows >= count)
        own, mixed, shared = (Pattern.of(rows, columns, mask) for mask in masks)
        arguments = [self.own, self.shared, self.data, multiplier]
        outputs = [_nonzeros(hessian, pattern) for pattern in (own, mixed, shared)]
        return ca.Function("d2phi", arguments, outputs), own, mixed, shared


@dataclass(frozen=True, eq=False)
class Pattern:
    """Row, column and position of some nonzeros of a local matrix, in row-major order."""

    rows: Index
    columns: Index
    positions: Index

    @classmethod
    def of(cls, rows: Index, columns: Index, mask: Mask) -> Pattern:
        """Take the nonzeros that ``mask`` picks."""
        where = np.flatnonzero(mask)
        where = where[np.lexsort((columns[where], rows[where]))]
        return cls(rows[where], columns[where], where)

    @classmethod
    def row_major(cls, rows: Index, columns: Index) -> Pattern:
        """Nonzeros that come in row-major order."""
        return cls(rows, columns, np.arange(len(rows)))

    def __len__(self) -> int:
        return len(self.rows)


def _only(symbols: ca.SX, kept: list[int]) -> ca.SX:
    if len(kept) == symbols.numel():
        return symbols
    return symbols[kept] if kept else ca.SX(0, 1)


def _triplet(matrix: ca.SX) -> tuple[Index, Index]:
    rows, columns = matrix.sparsity().get_triplet()
    return np.array(rows, dtype=int), np.array(columns, dtype=int)


def _nonzeros(matrix: ca.SX, pattern: Pattern) -> ca.SX:
    if not len(pattern):
        return ca.SX(0, 1)
    found = matrix.nz[pattern.positions.tolist()]
    return found if found.is_column() else ca.vec(found)  # nz of a row is a row


@dataclass(frozen=True, eq=False)
class DataFunction:
    """What is known of a term's points: numbers, and entries of the parameter vector.

    Attributes
    ----------
    parameters : length of the parameter vector.
    tables : (points, rows) each, of numbers or, if of whole ones, of places in the parameter vector.
    """

    parameters: int
    tables: Sequence[Array | Index]

    def __call__(self, p: Any) -> Any:
        """(rows, points) at a parameter vector, a symbol or numbers."""
        return self._function(p)

    @cached_property
    def _function(self) -> ca.Function:
        p, rows = ca.MX.sym("p", self.parameters), []
        for table in self.tables:
            values = _values(p, np.ascontiguousarray(table).ravel())
            rows.append(ca.reshape(values, table.shape[1], table.shape[0]))
        return ca.Function("data", [p], [ca.vertcat(*rows)])

    def entries(self, p: ca.MX, table: int) -> ca.MX:
        """Return one of the tables, point by point, as a column."""
        return _values(p, np.ascontiguousarray(self.tables[table]).ravel())

    def rows(self, p: ca.MX) -> list[Callable[[], ca.MX]]:
        """Return how to make each row: a column over the points, or what is the same at all of them."""
        return [partial(_row, p, row) for table in self.tables for row in table.T]


def _row(p: ca.MX, row: Array | Index) -> ca.MX:
    return _values(p, row[:1] if len(row) and (row == row[0]).all() else row)


def _values(p: ca.MX, table: Any) -> ca.MX:
    if np.issubdtype(table.dtype, np.integer):
        return gathered(p, table)
    return ca.MX(table.tolist()) if table.size else ca.MX(0, 1)


def data_function(
    blocks: ParameterBlocks, constants: Sequence[Array], names: Sequence[str]
) -> DataFunction:
    """Return constant rows, then the rows of the named blocks; a block of one row is all points' own."""
    offsets, tables = offsets_of(blocks), [np.asarray(c, dtype=float) for c in constants]
    points = max((len(table) for table in [*tables, *(blocks[n] for n in names)]), default=0)
    for name in names:
        block = blocks[name]
        width = 1 if block.ndim == 1 else block.shape[1]
        places = offsets[name] + np.arange(block.size).reshape(len(block), width)
        tables.append(np.broadcast_to(places, (points, width)))
    return DataFunction(sum(np.size(v) for v in blocks.values()), tables)


def gathered(x: ca.MX, columns: Index) -> ca.MX:
    """Return entries of a vector, as a column; evenly spaced ones need no list."""
    if not columns.size:
        return ca.MX(0, 1)
    steps = np.diff(columns)
    if not len(steps):
        return x[int(columns[0])]
    if steps[0] > 0 and (steps == steps[0]).all():
        return x[int(columns[0]) : int(columns[-1]) + 1 : int(steps[0])]
    return picked(x, columns)


def picked(values: ca.MX, places: Index) -> ca.MX:
    """Return entries of a column, as a column."""
    found = values[places.tolist()]
    return found if values.numel() > 1 else ca.vec(found)  # from one value CasADi makes a row


def times(a: ca.MX | ca.DM, b: ca.MX) -> ca.MX:
    """Return a product by entries; CasADi's ``*`` takes ten times as long to find out what it is given."""
    return ca.MX.binary(ca.OP_MUL, a if isinstance(a, ca.MX) else ca.MX(a), b)


def plus(a: ca.MX | ca.DM, b: ca.MX) -> ca.MX:
    """Return a sum, like `times`."""
    return ca.MX.binary(ca.OP_ADD, a if isinstance(a, ca.MX) else ca.MX(a), b)


def minus(a: ca.MX, b: ca.MX) -> ca.MX:
    """Return a difference, like `times`."""
    return ca.MX.binary(ca.OP_SUB, a, b)


def joined(parts: list[Any], nothing: Any) -> Any:
    """Return columns one below the other, without a call of CasADi's for one part or none."""
    filled = [part for part in parts if part.numel()]
    if len(filled) > 1:
        return ca.vertcat(*filled)
    return filled[0] if filled else nothing


def offsets_of(blocks: ParameterBlocks) -> dict[str, int]:
    """Where every block begins in the parameter vector."""
    sizes = np.cumsum([0, *(np.size(v) for v in blocks.values())])
    return dict(zip(blocks, sizes.tolist(), strict=False))
