r"""Elimination of a chain's rows and inner columns by orthogonal cyclic reduction.

An element's rows read :math:`A_i x_i + A_e x_e + B\theta = r` with its inner columns
:math:`x_i` and its two links :math:`x_e`.  With :math:`Q^T A_i = (R;\,0)` the first rows give

.. math:: x_i = T x_e + U\theta + \varrho,\qquad T = -R^{-1}(Q^T A_e)_1,\ U = -R^{-1}(Q^T B)_1,

and the others are one equation between neighbouring links.  Two neighbours are merged likewise, the
link between them taking the place of :math:`x_i`, until each chain is one segment.  Where that would
let errors grow (a large T), the link stays: both sides of it are segments then.  So every column is
an affine function of the links that stayed, each of the two next to it only, and of the border; this
is a basis of the null space of all rows that is as well conditioned as the problem is.

Cyclic reduction is due to Wright, SIAM J. Sci. Stat. Comput. 13 (1992), for the same matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .blocks import Blocks, Places

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_SMALL = 12  # rows up to which Householder's method is vectorised over the matrices


@dataclass(eq=False)
class _Level:
    """What one round eliminated: ``middle`` by rows of segments that link ``left`` and ``right``."""

    middle: Index | None
    left: Index
    right: Index
    first: Index  # segments that were merged with their successors
    keep: NDArray[np.bool_] | None
    Q: Array  # transposed
    R: Array  # inverted
    E: Array
    T: Array
    U: Array


class Elimination:
    """One elimination of the equality rows of all elements.

    Parameters
    ----------
    blocks : loaded.
    growth : largest entry of T at which a link is eliminated.

    Attributes
    ----------
    left, right : (segments,) slots of the links that stayed.
    E, B : (segments, states, 2 states) and (segments, states, border), the rows that are left.
    Z : (elements + 1, own, 2 states + border): every owned column by the two links of its segment
        and the border.  The last slot is the left link of any segment.
    segment : (elements,) the segment that an element lies in.
    singular : whether some inner columns are not determined by the rows.
    """

    def __init__(self, blocks: Blocks, growth: float, Z: Array) -> None:
        self.places, self.Z = blocks.places, Z
        self.levels: list[_Level] = []
        p = self.places
        self.left, self.right = p.before.copy(), np.arange(p.elements)
        self.singular = False
        ends = np.concatenate([blocks.A_left, blocks.A[:, :, p.inner :]], axis=2)
        if p.inner:
            self._elements(blocks, ends)
        else:
            self.E, self.B = ends, blocks.A_border
        frozen = np.zeros(p.elements + p.chains, dtype=bool)
        while self._merge(frozen, growth):
            pass
        self._basis()

    def _elements(self, blocks: Blocks, ends: Array) -> None:
        n = self.places.inner
        Q, R = self._orthogonal(blocks.A[:, :, :n])
        E, B = Q @ ends, Q @ blocks.A_border
        T, U = -(R @ E[:, :n]), -(R @ B[:, :n])
        everything = np.arange(self.places.elements)
        self.levels.append(
            _Level(
                None, self.left.copy(), self.right.copy(), everything, None,
                Q, R, E[:, :n].copy(), T, U,
            )  # fmt: skip
        )
        self.E, self.B = E[:, n:], B[:, n:]

    def _merge(self, frozen: NDArray[np.bool_], growth: float) -> bool:
        """Merge neighbours two by two; freeze links where that would let errors grow."""
        joined = np.append((self.right[:-1] == self.left[1:]) & ~frozen[self.right[:-1]], False)
        if not joined.any():
            return False
        # within a run of joined segments, every other one begins a pair
        index = np.arange(len(joined))
        begins = np.append(True, ~joined[:-1])
        run = index[begins][np.cumsum(begins) - 1]
        first = index[joined & ((index - run) % 2 == 0)]
        d = self.places.states
        E1, E2 = self.E[first], self.E[first + 1]
        Q, R = self._orthogonal(np.concatenate([E1[:, :, d:], E2[:, :, :d]], axis=1))
        E = Q[:, :, :d] @ np.pad(E1[:, :, :d], ((0, 0), (0, 0), (0, d)))
        E += Q[:, :, d:] @ np.pad(E2[:, :, d:], ((0, 0), (0, 0), (d, 0)))
        T = -(R @ E[:, :d])
        bad = ~(np.abs(T).max(axis=(1, 2)) <= growth)
        if bad.any():
            frozen[self.right[first[bad]]] = True
            first, Q, R, E, T = (a[~bad] for a in (first, Q, R, E, T))
        B = Q @ self._stacked(self.B, first)
        keep = np.ones(len(joined), dtype=bool)
        keep[first + 1] = False
        level = _Level(
            self.right[first], self.left[first], self.right[first + 1], first, keep,
            Q, R, E[:, :d].copy(), T, -(R @ B[:, :d]),
        )  # fmt: skip
        self.levels.append(level)
        self.E[first], self.right[first] = E[:, d:], level.right
        if len(first) == keep.sum():
            self.E, self.B = E[:, d:].copy(), B[:, d:]
        else:
            rest = self.B[keep]
            rest[np.cumsum(keep)[first] - 1] = B[:, d:]
            self.E, self.B = self.E[keep], rest
        self.left, self.right = self.left[keep], self.right[keep]
        return True

    def _orthogonal(self, A: Array) -> tuple[Array, Array]:
        """Return (matrices) Qᵀ and R⁻¹ of A = Q (R; 0)."""
        n = A.shape[2]
        if A.shape[1] <= _SMALL:
            Q, R = householder(A)
        else:
            Q, R = np.linalg.qr(A, mode="complete")
            Q, R = Q.swapaxes(1, 2), R[:, :n]
        diagonal = np.abs(np.diagonal(R, axis1=1, axis2=2))
        if len(R) and not (diagonal > 1e-13 * np.abs(R).max(axis=(1, 2))[:, None]).all():
            self.singular = True
            R = R + np.eye(n)
        return Q, _inverse(R)

    @staticmethod
    def _stacked(B: Array, first: Index) -> Array:
        """Rows of segments ``first`` over those of their successors."""
        if 2 * len(first) == len(B):
            return B.reshape(len(first), -1, B.shape[2])
        return np.concatenate([B[first], B[first + 1]], axis=1)

    def _basis(self) -> None:
        p, Z, d = self.places, self.Z, self.places.states
        stayed = np.zeros(p.elements + p.chains, dtype=bool)
        stayed[self.left] = stayed[self.right] = True
        link = Z[:, p.inner :]
        link[self.right] = 0.0
        link[self.right, :, d : 2 * d] = np.eye(d)
        link[-1] = 0.0
        link[-1, :, :d] = np.eye(d)
        for level in reversed(self.levels):
            left = np.where(stayed[level.left], p.elements, level.left)
            values = level.T[:, :, :d] @ link[left]
            values += level.T[:, :, d:] @ link[level.right]
            values[:, :, 2 * d :] += level.U
            if level.middle is None:
                Z[:-1, : p.inner] = values
            else:
                link[level.middle] = values
        self.start = np.where(stayed[p.before], p.elements, p.before)
        # segments are ranges of elements: the end of each is the slot of its right link
        self.segment = np.searchsorted(self.right, np.arange(p.elements))

    # ---- right-hand sides ----------------------------------------------------------------------

    def up(self, r: Array) -> tuple[Array, list[Array]]:
        """Right-hand sides of the segments, and what each level's own rows are left with."""
        own, seg = [], r
        for level in self.levels:
            d = level.R.shape[1]
            if level.keep is None:
                x = (level.Q @ seg[:, :, None])[:, :, 0]
                seg = x[:, d:]
            else:
                both = np.concatenate([seg[level.first], seg[level.first + 1]], axis=1)
                x = (level.Q @ both[:, :, None])[:, :, 0]
                seg = seg.copy()
                seg[level.first] = x[:, d:]
                seg = seg[level.keep]
            own.append((level.R @ x[:, :d, None])[:, :, 0])
        return seg, own

    def particular(self, own: list[Array]) -> Array:
        """(slots, own) a point that satisfies the eliminated rows, zero at links and border."""
        p = self.places
        y = np.zeros((p.elements + p.chains, p.own))
        for level, rho in zip(reversed(self.levels), reversed(own), strict=True):
            ends = np.concatenate([y[level.left, p.inner :], y[level.right, p.inner :]], axis=1)
            values = (level.T @ ends[:, :, None])[:, :, 0] + rho
            if level.middle is None:
                y[: p.elements, : p.inner] = values
            else:
                y[level.middle, p.inner :] = values
        return y

    def multipliers(self, g: Array, nu: Array) -> Array:
        """(elements, rows) from what is left of stationarity, which is used up, and those on top."""
        p, d = self.places, self.places.states
        own = []
        for level in self.levels:
            left = g[:, : p.inner][: p.elements] if level.middle is None else g[level.middle, p.inner :]
            mu = (level.R.swapaxes(1, 2) @ left[:, :, None])[:, :, 0]
            ends = (level.E.swapaxes(1, 2) @ mu[:, :, None])[:, :, 0]
            g[level.left, p.inner :] -= ends[:, :d]
            g[level.right, p.inner :] -= ends[:, d:]
            own.append(mu)
        for level, mu in zip(reversed(self.levels), reversed(own), strict=True):
            if level.keep is None:
                both = np.concatenate([mu, nu], axis=1)
                nu = (level.Q.swapaxes(1, 2) @ both[:, :, None])[:, :, 0]
            else:
                before = np.empty((len(level.keep), d))
                before[level.keep] = nu
                both = np.concatenate([mu, before[level.first]], axis=1)
                both = (level.Q.swapaxes(1, 2) @ both[:, :, None])[:, :, 0]
                before[level.first], before[level.first + 1] = both[:, :d], both[:, d:]
                nu = before
        return nu


def householder(A: Array) -> tuple[Array, Array]:
    """Return Qᵀ and R of many small matrices (count, rows, columns), all at once."""
    count, m, n = A.shape
    W = np.empty((count, m, n + m))
    W[:, :, :n], W[:, :, n:] = A, np.eye(m)
    for j in range(n):
        v = W[:, j:, j].copy()
        norm = np.sqrt(np.einsum("gi,gi->g", v, v))
        v[:, 0] += np.where(v[:, 0] >= 0.0, norm, -norm)
        square = np.einsum("gi,gi->g", v, v)
        factor = 2.0 / np.where(square > 0.0, square, 1.0)
        t = v[:, None, :] @ W[:, j:, j:]
        W[:, j:, j:] -= (factor[:, None] * v)[:, :, None] * t
    return np.ascontiguousarray(W[:, :, n:]), np.triu(W[:, :n, :n])


def _inverse(R: Array) -> Array:
    """Inverses of upper triangular matrices."""
    n = R.shape[1]
    inverse = np.zeros_like(R)
    for j in range(n - 1, -1, -1):
        inverse[:, j, j] = 1.0 / R[:, j, j]
        if j < n - 1:
            row = R[:, None, j, j + 1 :] @ inverse[:, j + 1 :, j + 1 :]
            inverse[:, j, j + 1 :] = -row[:, 0] / R[:, j, j, None]
    return inverse
