r"""The problem that is left of all chains: as many columns a chain as it has states, and the border.

.. math:: \begin{pmatrix} D_1 & & W_1\\ & \ddots & \vdots\\ W_1^T & \cdots & S\end{pmatrix}

The rows of the border alone are eliminated by the QR factorisation of their transpose, so that inertia and
curvature are those of one reduced Hessian.  If that is not positive definite, it is shifted by a multiple of its
lowest eigenvalue (`pace`), once: Ipopt, which sees only whether the inertia is right, would try one multiple of
the identity after the other, and would damp the states with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg
from scipy.linalg import blas

from ...numerics import Array
from .arrow import Arrow, Factor
from .dense import Dense
from .ends import deficient
from .lowest import Last, by_inverse, least, lowest

_MOST_EIGH = 600  # a larger matrix' lowest eigenvalue takes several Cholesky factorisations


class Top:
    """Factorisation of what is left.

    Parameters
    ----------
    arrow : of the chains and the border.
    units : returns (links, border) U; a unit diagonal of links and border is I + UᵀU in the border.
    G : (rows, border) rows of the border alone.
    shifts : whether to shift at all.
    scratch : (border, border) where the factor is written.
    last : of the matrix before; that of this one is put there.
    over : multiple of the lowest eigenvalue.

    Attributes
    ----------
    shift : what was added to the diagonal.
    finite, singular : whether the numbers are numbers, and whether rows depend on each other.
    arrow, positive : the reduced Hessian before it was shifted, and whether that was definite.
    """

    def __init__(
        self,
        arrow: Arrow,
        units: Callable[[], Array],
        G: Array,
        shifts: bool,
        scratch: Array,
        last: Last,
        over: float = 2.0,
    ) -> None:
        self.shift, self.singular = 0.0, False
        self._whole, self._units, self._scratch, self._last = arrow, units, scratch, last
        self._border: tuple[Array, Array, Array] | None = None
        if len(G):
            q, r = np.linalg.qr(G.T, mode="complete")
            self._border = q[:, : len(G)], r[: len(G)], q[:, len(G) :]
            self.singular = deficient(r[: len(G)])
        self.finite = arrow.finite
        if not self.finite or self.singular:
            return
        self.arrow = self._projected()
        if not shifts:
            self._factor = self._cholesky()
            self.positive = self._factor is not None
        else:
            self._settle(last, over)

    def _cholesky(self, shift: float = 0.0, units: Array | None = None) -> Factor | Dense | None:
        """Factorise what is left, as it is or shifted."""
        A = self.arrow
        dense = self._last.dense(A.size)
        if dense is not None:
            return dense.cholesky(A, shift, units)
        return A.cholesky(shift, units, self._scratch)

    def _settle(self, last: Last, over: float) -> None:
        """Factorise, shifted if it has to be."""
        A, scratch = self.arrow, self._scratch
        # of many chains most columns are blocks, which a product makes little of
        blocks = A.size - len(A.S)
        large = A.size > _MOST_EIGH or blocks > len(A.S)
        # where the matrix before was not positive definite this one will not be either, mostly
        looked = last.lowest < 0.0 or (large and not last.positive)
        found, few = lowest(A, last, large, scratch) if looked else 0.0, least(A)
        self._factor = None if found < -few else self._cholesky()
        self.positive = self._factor is not None
        if not self.positive and not looked:
            found = lowest(A, last, large, scratch)
        if not self.positive and large and found >= 0.0:
            found = by_inverse(A, last, scratch)
        last.note(None if self.positive else found)
        if not self.positive:
            self._raise(over * max(-found, few))

    def negative(self) -> int:
        """Number of negative eigenvalues of the reduced Hessian, before it was shifted."""
        return 0 if self.positive else int((np.linalg.eigvalsh(self.arrow.dense()) < 0.0).sum())

    def _raise(self, shift: float) -> None:
        """Shift until the reduced Hessian is positive definite; the first time does it."""
        # the basis of a chain's links is orthonormal, and orthogonal to what the border moves
        self._rows = self._units()
        units = self._rows if self._border is None else self._rows @ self._border[2]
        for _ in range(20):
            self.shift = shift
            self._factor = self._cholesky(shift, units)
            if self._factor is not None:
                return
            shift *= 2.0
        self.finite = False

    def _projected(self) -> Arrow:
        """On the null space of the border's rows."""
        if self._border is None:
            return self._whole
        whole, Z = self._whole, self._border[2]
        return Arrow(whole.D, whole.W @ Z, Z.T @ blas.dsymm(1.0, whole.S.T, Z, lower=1))

    def solve(self, v: Array, theta: Array, rows: Array) -> tuple[Array, Array, Array]:
        """Solve for v (chains, states), the border, and the multipliers of its ``rows``."""
        whole, given, fixed = self._whole, theta, np.zeros(len(theta))
        if self._border is not None:
            Y, r, Z = self._border
            fixed = Y @ linalg.solve_triangular(r, rows, trans="T", check_finite=False)
            v, theta = v - whole.W @ fixed, Z.T @ (theta - self._times(fixed))
        rhs = np.append(v, theta)
        if self._factor is None:
            found = np.linalg.solve(self.arrow.dense(), rhs)
        else:
            found = self._factor.solve(rhs)
        v, theta = np.asarray(found[: v.size].reshape(v.shape)), np.asarray(found[v.size :])
        if self._border is None:
            return v, theta, np.zeros(0)
        theta = fixed + Z @ theta
        left = given - self._times(theta) - np.tensordot(v, whole.W, 2)
        return v, theta, linalg.solve_triangular(r, Y.T @ left, check_finite=False)

    def _times(self, theta: Array) -> Array:
        """Product of the border's own part, shifted, with a vector."""
        product: Array = blas.dsymv(1.0, self._whole.S.T, theta, lower=1)
        if self.shift:
            product += self.shift * (theta + (self._rows @ theta) @ self._rows)
        return product
