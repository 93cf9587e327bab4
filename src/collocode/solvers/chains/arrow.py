"""A symmetric matrix of small blocks and a border, and its Cholesky factorisation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import blas, lapack

from ...numerics import Array
from .ends import add_square

NO_PIVOT = 1e-13  # pivots below it, relative to the largest entry, are none


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
        full, v = self.upper(), self.size - len(self.S)
        full[v:, v:] = np.triu(self.S)
        full[v:] += np.triu(full, 1).T[v:]
        return full

    def upper(self) -> Array:
        """The whole matrix, in which only the upper triangle counts."""
        count, d = self.D.shape[:2]
        full, v = np.zeros((self.size, self.size)), count * d
        block = np.arange(v).reshape(count, d)
        full[block[:, :, None], block[:, None, :]] = self.D
        full[:v, v:] = self.W.reshape(v, len(self.S))
        full[v:, v:] = self.S
        return full

    @cached_property
    def largest(self) -> float:
        """Largest entry, of the border's own those on the diagonal."""
        parts = (self.D, self.W, np.diagonal(self.S))
        return max(float(np.abs(part).max(initial=0.0)) for part in parts)

    @property
    def finite(self) -> bool:
        """Whether every number is one."""
        if np.isfinite(self.D.sum() + self.W.sum() + self.S.sum()):
            return True
        return bool(np.isfinite(self.times(np.ones(self.size))).all())  # where they count

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
        if not (pivots > NO_PIVOT * np.abs(np.diagonal(D, axis1=1, axis2=2))).all():
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


def _cholesky(A: Array, before: Array) -> Array | None:
    """Return the lower factor, or None if a pivot is not clearly positive beside the diagonal before."""
    if not len(A):
        return A
    # its upper triangle, in the order that LAPACK has, in place
    factor, info = lapack.dpotrf(A.T, lower=1, clean=0, overwrite_a=1)
    if info:
        return None
    positive = bool((np.diagonal(factor) ** 2 > NO_PIVOT * np.abs(before)).all())
    return factor if positive else None
