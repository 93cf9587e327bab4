r"""LDLᵀ by one small dense matrix an element, for chains whose border is narrow: controls, free times, a few parameters.

In the order of the elements, Ipopt's matrix is one of overlapping blocks with a few rows, the border's, that any may touch.
An element's *front* is what the elements before leave of its left link, its own columns, slacks and rows, and
the rows that these touch later: its right link and the border.  Its own are eliminated by pivots of 1 × 1 and 2 × 2; what
finds no pivot that bounds the growth of errors waits for the next front.  That is the multifrontal method (Duff
and Reid, ACM Trans. Math. Softw. 9, 1983), as MUMPS has it, with an order that the program tells: nothing is analysed or ordered,
and nothing is asked of the matrix but its pattern.  The signs of all pivots are the inertia, relaxed equations included.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import address
from ...numerics import Array
from ...transcription.program import Program
from .places import Order, Unsuited
from .refined import Symmetric

_FINE, _SINGULAR, _NOT_FINITE = range(3)


class Fronts:
    """The matrices of one program, one after the other; compiled kernels do the work.

    Parameters
    ----------
    library : the compiled kernels.
    program, order : with a `structure`, and what Ipopt makes of its columns and rows.
    matrix : of which the pattern is taken.

    Raises
    ------
    Unsuited
        The pattern is not one of chains and a border, in words.
    """

    def __init__(
        self, library: ctypes.CDLL, program: Program, order: Order, matrix: Symmetric
    ) -> None:
        if program.structure is None:
            raise Unsuited("it has no chains")
        if order.size != matrix.size:
            raise Unsuited("Ipopt treats its fixed variables otherwise")
        self.order, self.matrix = order, matrix
        of_columns, of_rows, last = program.structure.groups(program.columns, program.rows)
        rows = of_rows[order.equalities], of_rows[order.inequalities]
        groups = np.concatenate([of_columns[order.columns], rows[1], *rows]).astype(np.int32)
        library.fronts_new.restype = ctypes.c_void_p
        library.fronts_solve.restype = ctypes.c_double
        library.fronts_factor.restype = ctypes.c_int64
        sizes = map(ctypes.c_int64, (order.size, len(last), len(matrix.rows)))
        arrays: list[NDArray[Any]] = [
            matrix.rows.astype(np.int64),
            matrix.columns.astype(np.int64),
            groups,
            last.astype(np.uint8),
        ]
        made = library.fronts_new(*sizes, *map(address, arrays))
        if not made:
            raise Unsuited("its chains touch each other")
        self._library, self._made = library, ctypes.c_void_p(made)
        weakref.finalize(self, library.fronts_free, self._made)
        self._negative = ctypes.c_int64(0)

    def factor(self, values: Array) -> tuple[int, bool]:
        """Return the number of negative eigenvalues and whether the matrix is singular.

        Raises
        ------
        Unsuited
            A factor is not finite.
        """
        at = ctypes.byref(self._negative)
        found = self._library.fronts_factor(self._made, address(values), at)
        if found not in (_FINE, _SINGULAR):
            raise Unsuited("a factor is not finite" if found == _NOT_FINITE else "no memory")
        return self._negative.value, found == _SINGULAR

    def solve(self, rhs: Array, accurate: float, steps: int) -> float:
        """Put the solution in place of the right-hand side.

        Returns
        -------
        its residual, relative as Ipopt takes it, after as many ``steps`` of refinement as it takes to be ``accurate``.
        """
        given = ctypes.c_double(accurate), ctypes.c_int64(steps)
        left: float = self._library.fronts_solve(self._made, address(rhs), *given)
        return left
