r"""Sums of squares of what is linear in the unknowns: the misfit of measured states, the ridge, priors.

.. math:: \sum_i w_i \Bigl(\sum_k a_{ik} x_{c_{ik}} - y_i\Bigr)^2

Their derivatives are known: a gradient that is one product with the matrix of the a, and a Hessian whose
nonzeros are constant multiples of the w.  So nothing is differentiated, and a point costs no operation of a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import casadi as ca
import numpy as np
from scipy import sparse

from ..numerics import Array, Index


@dataclass(frozen=True, eq=False)
class Squares:
    """A term of the objective as the sum above.

    Attributes
    ----------
    columns, factors : (squares, k) c, different ones in a row, and a.
    weights : parameter vector -> w, a column, or one number for all.
    targets : parameter vector -> y, a column; None for zero.
    """

    columns: Index
    factors: Array
    weights: Callable[[ca.MX], ca.MX]
    targets: Callable[[ca.MX], ca.MX] | None = None

    def matrix(self, width: int) -> sparse.csr_matrix:
        """(squares, width) of the a."""
        count, k = self.columns.shape
        starts = k * np.arange(count + 1)
        given = self.factors.ravel(), self.columns.ravel(), starts
        return sparse.csr_matrix(given, shape=(count, width))

    def slopes(self) -> tuple[Index, Index, Array]:
        """Columns, squares and factors of what the gradient is made of."""
        count, k = self.columns.shape
        return self.columns.ravel(), np.repeat(np.arange(count), k), 2.0 * self.factors.ravel()

    def curvatures(self) -> tuple[Index, Index, Index, Array]:
        """Rows, columns, squares and factors of what the Hessian's upper triangle is made of."""
        i, j = np.triu_indices(self.columns.shape[1])
        a, b = self.columns[:, i], self.columns[:, j]
        factors = 2.0 * self.factors[:, i] * self.factors[:, j]
        square = np.repeat(np.arange(len(a)), len(i))
        return np.minimum(a, b).ravel(), np.maximum(a, b).ravel(), square, factors.ravel()
