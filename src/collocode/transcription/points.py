"""A term's functions at all of its points: one vector operation per scalar one, or a map.

CasADi's map runs a function's list of scalar operations at one point after the other.  Run as
operations on vectors of all points, the same list gives the same digits, is built in half the time
for 10^5 points and evaluated four times faster (one operation on 1000 numbers takes a fifth of 1000
interpreted ones), and what values, first and second derivatives have in common is computed once.
A function of very many operations is mapped: it would be built longer than it is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import casadi as ca

from .term import MappedTerm, gathered, joined, times

FEWEST_POINTS = 8
MOST_OPERATIONS = 8000
FEW_OPERATIONS = 60  # of a function that is run so even at few points: a map takes as long to make


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
    most = MOST_OPERATIONS if term.points >= FEWEST_POINTS else FEW_OPERATIONS
    if operations > most:
        return _Mapped(term, x, p)
    return _Vectors(term, x, p)


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
    """Numbers stand for the vectors that there are, so that what was computed once is found again."""

    def __init__(self, term: MappedTerm, x: ca.MX, p: ca.MX) -> None:
        self.term = term
        self.arguments: list[list[Callable[[], ca.MX]]] = [
            [partial(gathered, x, columns) for columns in term.own_columns.T],
            [partial(gathered, x, column) for column in term.shared_columns[:, None]],
            term.data_function.rows(p),
        ]
        self.vectors: list[ca.MX] = []
        self.known: dict[tuple[Any, ...], int] = {}

    def values(self, function: ca.Function, multiplier: ca.MX | None = None) -> list[Values]:
        arguments, values = self.arguments, self.term.value.numel()
        if multiplier is not None:
            scalar = multiplier.is_scalar()
            arguments = [
                *arguments,
                [partial(_of_value, multiplier, scalar, k, values) for k in range(values)],
            ]
        return [_Columns(columns, self.term.points) for columns in self._run(function, arguments)]

    def _number(self, key: tuple[Any, ...], make: Callable[[], ca.MX]) -> int:
        if key not in self.known:
            made = make()
            self.known[key] = len(self.vectors)
            self.vectors.append(made if made.is_dense() else ca.densify(made))
        return self.known[key]

    def _run(
        self, function: ca.Function, arguments: Sequence[Sequence[Callable[[], ca.MX]]]
    ) -> list[list[ca.MX]]:
        """Replay the operations; one that was done already, by whichever function, is not done again."""
        registers = [0] * function.sz_w()
        zero = ca.MX(0)
        results = [[zero] * function.nnz_out(k) for k in range(function.n_out())]
        for k in range(function.n_instructions()):
            operation, target = function.instruction_id(k), function.instruction_output(k)
            if operation == ca.OP_CONST:
                number = function.instruction_constant(k)
                key = operation, number, math.copysign(1.0, number)  # 0 is not -0
                at = self._number(key, partial(ca.MX, number))
            else:
                read = function.instruction_input(k)
                if operation == ca.OP_OUTPUT:
                    results[target[0]][target[1]] = self.vectors[registers[read[0]]]
                    continue
                if operation == ca.OP_INPUT:
                    at = self._number((operation, *read), arguments[read[0]][read[1]])
                else:
                    operands = [registers[r] for r in read]
                    vectors = [self.vectors[r] for r in operands]
                    apply = ca.MX.unary if len(vectors) == 1 else ca.MX.binary
                    at = self._number((operation, *operands), partial(apply, operation, *vectors))
            registers[target[0]] = at
        return results


def _of_value(multiplier: ca.MX, scalar: bool, number: int, values: int) -> ca.MX:
    return multiplier if scalar else multiplier[number::values]


class _Columns:
    """Entries as columns over the points; one that is the same at all of them may be a scalar."""

    def __init__(self, columns: Sequence[ca.MX], points: int) -> None:
        self.columns, self.points = columns, points

    def by_entry(self) -> list[ca.MX]:
        every = ca.MX.ones(self.points, 1)
        return [times(every, c) if c.is_scalar() else c for c in self.columns]

    def by_point(self) -> ca.MX:
        columns = self.by_entry()
        return ca.vec(ca.horzcat(*columns).T) if len(columns) > 1 else joined(columns, ca.MX(0, 1))

    def summed(self) -> ca.MX:
        sums = [times(ca.MX(self.points), c) if c.is_scalar() else ca.sum1(c) for c in self.columns]
        return joined(sums, ca.MX(0, 1))
