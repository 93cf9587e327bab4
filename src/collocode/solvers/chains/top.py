r"""The problem that is left of all chains: as many columns a chain as it has states, and the border.

.. math:: \begin{pmatrix} D_1 & & W_1\\ & \ddots & \vdots\\ W_1^T & \cdots & S\end{pmatrix}

The rows of the border alone are eliminated by the QR factorisation of their transpose, so that inertia and
curvature are those of one reduced Hessian.  If that is not positive definite, it is shifted by twice its
lowest eigenvalue, once: Ipopt, which sees only whether the inertia is right, would try one multiple of
the identity after the other, and would damp the states with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas, lapack

from .ends import add_square, deficient

Array = NDArray[np.float64]
# a shift that only just suffices leaves long steps along the direction of least curvature: on 16 fits
# of 4 records the factors 1.2, 3 and 8 took 531, 483 and 958 iterations, 1.2 up to 93 for one of them
_OVER = 2.0
_MOST_EIGH = 600  # a larger matrix' lowest eigenvalue takes several Cholesky factorisations
_MOST_STEPS = 96
_MIXED = 1.0  # random part of the vector that it begins with: less hides what is lowest
_LEAST = 1e-13  # pivots below it, relative to the largest entry, are none


@dataclass(frozen=True, eq=False)
class Arrow:
    """A symmetric matrix of small blocks and a border.

    Attributes
    ----------
    D, W : (blocks, d, d), (blocks, d, border).
    S : (border, border), of which the upper triangle counts.
    """

    D: Array
    W: Array
    S: Array

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.D.shape[0] * self.D.shape[1] + len(self.S)

    def dense(self) -> Array:
        """The whole matrix."""
        count, d = self.D.shape[:2]
        full, v = np.zeros((self.size, self.size)), count * d
        block = np.arange(v).reshape(count, d)
        full[block[:, :, None], block[:, None, :]] = self.D
        full[:v, v:] = self.W.reshape(v, len(self.S))
        full[v:, v:] = np.triu(self.S)
        full[v:] += np.triu(full, 1).T[v:]
        return full

    def largest(self) -> float:
        """Largest entry, of the border's own those on the diagonal."""
        parts = (self.D, self.W, np.diagonal(self.S))
        return max(float(np.abs(part).max(initial=0.0)) for part in parts)

    def times(self, v: Array) -> Array:
        """Product with a vector."""
        count, d = self.D.shape[:2]
        x, y = v[: count * d], v[count * d :]
        W = self.W.reshape(count * d, len(self.S))
        first: Array = (self.D @ x.reshape(count, d, 1)).reshape(-1) + W @ y
        if not len(y):
            return first
        return np.append(first, blas.dsymv(1.0, self.S.T, y, lower=1) + x @ W)

    def cholesky(
        self, shift: float = 0.0, units: Array | None = None, out: Array | None = None
    ) -> Factor | None:
        """Factorise, or return None if a pivot is not clearly positive.

        Parameters
        ----------
        shift : of the diagonal; in the border it is that of I + UᵀU with U the ``units``.
        out : where the border's factor may be written.
        """
        d = self.D.shape[1]
        D = self.D + shift * np.eye(d)
        try:
            L = np.linalg.cholesky(D)
        except np.linalg.LinAlgError:
            return None
        pivots = np.diagonal(L, axis1=1, axis2=2) ** 2
        if not (pivots > _LEAST * np.abs(np.diagonal(D, axis1=1, axis2=2))).all():
            return None
        inverse = np.linalg.inv(L)
        V = (inverse @ self.W).reshape(len(D) * d, len(self.S))
        if out is None or out.shape != self.S.shape:
            out = np.empty_like(self.S)
        out[:] = self.S
        diagonal = np.einsum("ii->i", out)
        diagonal += shift
        if units is not None and shift:
            add_square(out, units, shift)
        before = diagonal.copy()
        add_square(out, V, -1.0)
        last = _cholesky(out, before)
        return None if last is None else Factor(inverse, V, last)


@dataclass
class Last:
    """What a matrix tells of the next one.

    Attributes
    ----------
    positive : whether its reduced Hessian was.
    vector : that of its lowest eigenvalue, or of the last one that was looked for; None at first.
    """

    positive: bool = False
    vector: Array | None = None


@dataclass(frozen=True, eq=False)
class Factor:
    """Cholesky factorisation of an `Arrow`: L⁻¹ of the blocks, L⁻¹W, and the border's factor."""

    inverse: Array
    V: Array
    last: Array

    def solve(self, b: Array) -> Array:
        """Solve for one right-hand side."""
        count, d = self.inverse.shape[:2]
        v = count * d
        z = (self.inverse @ b[:v].reshape(count, d, 1)).reshape(v)
        y, _ = lapack.dpotrs(self.last, b[v:] - self.V.T @ z, lower=1)
        left = (z - self.V @ y).reshape(count, d, 1)
        return np.append((self.inverse.swapaxes(1, 2) @ left).reshape(v), y)


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
    ) -> None:
        self.shift, self.singular = 0.0, False
        self._whole, self._units, self._scratch = arrow, units, scratch
        self._border: tuple[Array, Array, Array] | None = None
        if len(G):
            q, r = np.linalg.qr(G.T, mode="complete")
            self._border = q[:, : len(G)], r[: len(G)], q[:, len(G) :]
            self.singular = deficient(r[: len(G)])
        self.finite = bool(np.isfinite(arrow.times(np.ones(arrow.size))).all())
        if not self.finite or self.singular:
            return
        self.arrow = self._projected()
        # of many chains most columns are blocks, which a product makes little of
        blocks = self.arrow.size - len(self.arrow.S)
        large = shifts and (self.arrow.size > _MOST_EIGH or blocks > len(self.arrow.S))
        # where the matrix before was not positive definite this one will not be either, mostly
        looked = large and not last.positive
        lowest, error = _lowest(self.arrow, last) if looked else (0.0, 0.0)
        self._factor = None if lowest < 0.0 else self.arrow.cholesky(out=scratch)
        last.positive = self.positive = self._factor is not None
        if self.positive or not shifts:
            return
        if not large:
            dense = self.arrow.dense()
            values = linalg.eigh(dense, eigvals_only=True, subset_by_index=[0, 0])
            lowest = float(values[0])
        elif not looked:
            lowest, error = _lowest(self.arrow, last)
        if large and lowest >= 0.0:
            lowest = _by_inverse(self.arrow, error, scratch)
        least = 10.0 * _LEAST * self.arrow.largest()
        self._raise(_OVER * max(-lowest, least))

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
            self._factor = self.arrow.cholesky(shift, units, self._scratch)
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


def _lowest(A: Arrow, last: Last) -> tuple[float, float]:
    """Lowest eigenvalue of a large matrix, to a tenth if it is negative, and how near it is."""
    lowest, error, last.vector = _lanczos(A.times, A.size, 0.1, last.vector)
    return lowest, error


def _lanczos(
    times: Callable[[Array], Array], n: int, tolerance: float, near: Array | None = None
) -> tuple[float, float, Array]:
    """Lowest eigenvalue by Lanczos' method, at most too high, how near it is, and its vector.

    One that is positive soon is given up.  It begins at random and, if given, with what is ``near``.
    """
    V = np.zeros((_MOST_STEPS + 1, n))
    V[0] = np.random.default_rng(0).standard_normal(n)
    if near is not None and len(near) == n:
        V[0] *= _MIXED / np.linalg.norm(V[0])
        V[0] += near
    V[0] /= np.linalg.norm(V[0])
    diagonal, beside = np.zeros(_MOST_STEPS), np.zeros(_MOST_STEPS)
    lowest, error, coefficients = 0.0, 0.0, np.ones(1)
    for k in range(_MOST_STEPS):
        w = times(V[k])
        diagonal[k] = w @ V[k]
        for _ in range(2):  # orthogonal to working precision
            w -= V[: k + 1].T @ (V[: k + 1] @ w)
        beside[k] = np.linalg.norm(w)
        ended = beside[k] <= _LEAST * np.abs(diagonal).max()
        if k % 4 == 3 or ended:
            values, vectors = linalg.eigh_tridiagonal(
                diagonal[: k + 1], beside[:k], select="i", select_range=(0, 0)
            )
            coefficients = vectors[:, 0]
            lowest, error = float(values[0]), float(beside[k] * abs(coefficients[-1]))
            if ended or error <= tolerance * abs(lowest) or (lowest > 0.0 and k > _MOST_STEPS // 2):
                break
        V[k + 1] = w / beside[k]
    return lowest, error, coefficients @ V[: len(coefficients)]


def _by_inverse(A: Arrow, shift: float, out: Array | None = None) -> float:
    """Lowest eigenvalue, at most a tenth too low, of a matrix that ``shift`` makes about positive definite."""
    least = 10.0 * _LEAST * A.largest()
    shift = max(shift, least)
    while (factor := A.cholesky(shift, out=out)) is None and np.isfinite(shift):
        shift *= 4.0
    if factor is None:
        return 0.0
    solve = factor.solve
    found, error, _ = _lanczos(lambda v: -solve(v), A.size, 1e-3)
    lowest = -1.0 / (found - error) - shift
    # a much smaller one is known better by what a smaller shift leaves
    few = least < -lowest < 1e-2 * shift
    return _by_inverse(A, -2.0 * lowest, out) if few else lowest


def _cholesky(A: Array, before: Array) -> Array | None:
    """Return the lower factor, or None if a pivot is not clearly positive beside the diagonal before."""
    if not len(A):
        return A
    # its upper triangle, in the order that LAPACK has, in place
    factor, info = lapack.dpotrf(A.T, lower=1, clean=0, overwrite_a=1)
    if info:
        return None
    positive = bool((np.diagonal(factor) ** 2 > _LEAST * np.abs(before)).all())
    return factor if positive else None
