"""A term's functions at all of its points: one vector operation per scalar one, or a map.

CasADi's map runs a function's list of scalar operations at one point after the other.  Run as
operations on vectors of all points, the same list gives the same digits, is built in half the time
for 10^5 points and evaluated four times faster (one operation on 1000 numbers takes a fifth of 1000
interpreted ones), and what values, first and second derivatives have in common is computed once.
A function of very many operations is mapped: it would be built longer than it is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from .term import MappedTerm

Index = NDArray[np.intp]
FEWEST_POINTS = 8
MOST_OPERATIONS = 8000


class Values(Protocol):
    """Results of one function, (entries, points)."""

    def by_entry(self) -> list[ca.MX]:
        """All points of the first entry, then of the next, in as many parts as there are."""

    def by_point(self) -> ca.MX:
        """All entries of the first point, then of the next."""

    def summed(self) -> ca.MX:
        """(entries,) sums over the points."""


class Points(Protocol):
    """The points of a term: evaluates functions of (own, shared, data[, multiplier])."""

    def values(self, function: ca.Function, multiplier: ca.MX | None = None) -> list[Values]:
        """Return the results; the multiplier is one number for all, or a column of all values."""


def points_of(term: MappedTerm, x: ca.MX, p: ca.MX) -> Points:
    """Gather a term's arguments and choose how its functions are run."""
    operations = term.second_derivatives[0].n_instructions()
    if term.points < FEWEST_POINTS or operations > MOST_OPERATIONS:
        return _Mapped(term, x, p)
    return _Vectors(term, x, p)


def gathered(x: ca.MX, columns: Index) -> ca.MX:
    """Return entries of a vector, as a column; evenly spaced ones need no list."""
    if not columns.size:
        return ca.MX(0, 1)
    steps = np.diff(columns)
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        return x[int(columns[0]) : int(columns[-1]) + 1 : int(steps[0])]
    return ca.vec(x[columns.tolist()])


class _Mapped:
    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX) -> None:
        shared, own = gathered(x, term.shared_columns), gathered(x, term.own_columns.ravel())
        self.term = term
        self.arguments = (
            ca.reshape(own, term.own_columns.shape[1], term.points),
            ca.repmat(shared, 1, term.points) if shared.numel() else ca.MX(0, term.points),
            term.data_function(p),
        )

    def values(self, function: ca.Function, multiplier: ca.MX | None = None) -> list[Values]:
        points, arguments = self.term.points, list(self.arguments)
        if multiplier is not None:
            every = ca.MX.ones(self.term.value.numel() * points, 1)
            column = multiplier * every if multiplier.is_scalar() else multiplier
            arguments.append(ca.reshape(column, -1, points))
        # in two steps where that can be: patterns are repeated one by one, so two short rows are quicker
        inner = next(k for k in range(math.isqrt(points), 0, -1) if points % k == 0)
        mapped = function.map(inner, "serial").map(points // inner, "serial")
        return [_Matrix(result) for result in mapped.call(arguments)]


class _Matrix:
    def __init__(self, matrix: ca.MX) -> None:
        self.matrix = matrix

    def by_entry(self) -> list[ca.MX]:
        return [ca.vec(self.matrix.T)]

    def by_point(self) -> ca.MX:
        return ca.vec(self.matrix)

    def summed(self) -> ca.MX:
        return ca.sum2(self.matrix)


class _Vectors:
    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX) -> None:
        data = term.data_function(p)
        self.term = term
        self.arguments = [
            [gathered(x, columns) for columns in term.own_columns.T],
            [x[int(column)] for column in term.shared_columns],
            [ca.vec(row) for row in ca.vertsplit(data)] if data.numel() else [],
        ]
        self.known: dict[tuple[int, ...], ca.MX] = {}
        self.constants: dict[float, ca.MX] = {}

    def values(self, function: ca.Function, multiplier: ca.MX | None = None) -> list[Values]:
        arguments, values = self.arguments, self.term.value.numel()
        if multiplier is not None:
            scalar = multiplier.is_scalar()
            several = [multiplier if scalar else multiplier[k::values] for k in range(values)]
            arguments = [*arguments, several]
        return [_Columns(columns, self.term.points) for columns in self._run(function, arguments)]

    def _run(
        self, function: ca.Function, arguments: Sequence[Sequence[ca.MX]]
    ) -> list[list[ca.MX]]:
        """Replay the operations; one that was done already, by whichever function, is not done again."""
        registers: list[ca.MX] = [None] * function.sz_w()
        results = [[ca.MX(0)] * function.nnz_out(k) for k in range(function.n_out())]
        for k in range(function.n_instructions()):
            operation, target = function.instruction_id(k), function.instruction_output(k)
            read = function.instruction_input(k)
            if operation == ca.OP_OUTPUT:
                results[target[0]][target[1]] = registers[read[0]]
            elif operation == ca.OP_INPUT:
                registers[target[0]] = arguments[read[0]][read[1]]
            elif operation == ca.OP_CONST:
                number = function.instruction_constant(k)
                registers[target[0]] = self.constants.setdefault(number, ca.MX(number))
            else:
                operands = [registers[r] for r in read]
                key = (operation, *(operand.__hash__() for operand in operands))
                if key not in self.known:
                    apply = ca.MX.unary if len(operands) == 1 else ca.MX.binary
                    result = apply(operation, *operands)
                    self.known[key] = result if result.is_dense() else ca.densify(result)
                registers[target[0]] = self.known[key]
        return results


class _Columns:
    """Entries as columns over the points; one that is the same at all of them may be a scalar."""

    def __init__(self, columns: Sequence[ca.MX], points: int) -> None:
        self.columns, self.points = columns, points

    def by_entry(self) -> list[ca.MX]:
        return [c * ca.MX.ones(self.points, 1) if c.is_scalar() else c for c in self.columns]

    def by_point(self) -> ca.MX:
        return ca.vec(ca.horzcat(*self.by_entry()).T)

    def summed(self) -> ca.MX:
        return ca.vertcat(*(self.points * c if c.is_scalar() else ca.sum1(c) for c in self.columns))
