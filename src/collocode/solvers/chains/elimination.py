r"""Elimination of a chain's rows and inner columns by orthogonal cyclic reduction.

An element's rows read :math:`A_i x_i + A_e x_e + B\theta = r` with its inner columns
:math:`x_i` and its two links :math:`x_e`.  With :math:`Q^T A_i = (R;\,0)` the first rows give

.. math:: x_i = T x_e + U\theta + \varrho,\qquad T = -R^{-1}(Q^T A_e)_1,\ U = -R^{-1}(Q^T B)_1,

and the others are one equation between neighbouring links.  A few neighbours are merged likewise,
the links between them taking the place of :math:`x_i`, until each chain is one segment.  Where that would
let errors grow (a large T), the link stays: both sides of it are segments then.  So every column is
an affine function of the links that stayed, each of the two next to it only, and of the border; this
is a basis of the null space of all rows that is as well conditioned as the problem is.

Cyclic reduction is due to Wright, SIAM J. Sci. Stat. Comput. 13 (1992), for the same matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...numerics import Array, Index, Mask

_GROUP = 4  # segments merged at once
_FEW, _SMALL = 64, 16  # more matrices with fewer rows are done all at once, not by LAPACK


class Rows(Protocol):
    """Chains of elements and their equality rows, by left link, own columns and border.

    ``before`` has the slot of every element's left link; the first links' come after the elements.
    """

    states: int
    inner: int
    own: int
    elements: int
    chains: int
    before: Index
    A_left: Array
    A: Array
    A_border: Array


@dataclass(eq=False)
class _Level:
    """What one round eliminated: from groups of segments, the links between them.

    Attributes
    ----------
    middle : (groups, links) slots; None where it is the inner columns of the elements.
    left, right : (groups,) slots of the links at their ends.
    members : (groups, segments), numbers in the round.
    keep : which numbers go on to the next round, each group as its first segment.
    Q, R, E, T, U : Qᵀ, R⁻¹, the eliminating rows by ends, and what they give; see the module.
    """

    middle: Index | None
    left: Index
    right: Index
    members: Index
    keep: Mask
    Q: Array
    R: Array
    E: Array
    T: Array
    U: Array


class Elimination:
    """One elimination of the equality rows of all elements.

    Parameters
    ----------
    rows : of the chains.
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

    def __init__(self, rows: Rows, growth: float, Z: Array) -> None:
        self.places, self.Z = rows, Z
        self.levels: list[_Level] = []
        p = self.places
        self.left, self.right = p.before.copy(), np.arange(p.elements)
        self.singular = False
        ends = np.concatenate([rows.A_left, rows.A[:, :, p.inner :]], axis=2)
        if p.inner:
            self._elements(rows, ends)
        else:
            self.E, self.B = ends, rows.A_border
        frozen = np.zeros(p.elements + p.chains, dtype=bool)
        while self._merge(frozen, growth):
            pass
        self._basis()

    def _elements(self, rows: Rows, ends: Array) -> None:
        n, count = self.places.inner, self.places.elements
        Q, R = self._orthogonal(rows.A[:, :, :n])
        E, B = Q @ ends, Q @ rows.A_border
        level = _Level(
            None, self.left.copy(), self.right.copy(), np.arange(count)[:, None],
            np.ones(count, dtype=bool), Q, R, E[:, :n].copy(), -(R @ E[:, :n]), -(R @ B[:, :n]),
        )  # fmt: skip
        self.levels.append(level)
        self.E, self.B = E[:, n:], B[:, n:]

    def _merge(self, frozen: Mask, growth: float) -> bool:
        """Merge groups of neighbours; freeze a link where that would let errors grow."""
        members = self._groups(frozen)
        if not len(members):
            return False
        d, g = self.places.states, members.shape[1]
        n, q = len(members), (g - 1) * self.places.states
        inner, ends = np.zeros((n, g * d, q)), np.zeros((n, g * d, 2 * d))
        for i in range(g):
            rows, E = slice(i * d, (i + 1) * d), self.E[members[:, i]]
            if i:
                inner[:, rows, (i - 1) * d : i * d] = E[:, :, :d]
            else:
                ends[:, rows, :d] = E[:, :, :d]
            if i < g - 1:
                inner[:, rows, i * d : (i + 1) * d] = E[:, :, d:]
            else:
                ends[:, rows, d:] = E[:, :, d:]
        Q, R = self._orthogonal(inner)
        E = Q @ ends
        T = -(R @ E[:, :q])
        bad = ~(np.abs(T).max(axis=(1, 2)) <= growth)
        if bad.any():
            frozen[self.right[members[bad, (g - 1) // 2]]] = True
            members, Q, R, E, T = (a[~bad] for a in (members, Q, R, E, T))
            if not len(members):
                return True
        B = Q @ self._stacked(members)
        keep = np.ones(len(self.left), dtype=bool)
        keep[members[:, 1:]] = False
        first, last = members[:, 0], members[:, -1]
        level = _Level(
            self.right[members[:, :-1]], self.left[first], self.right[last], members, keep,
            Q, R, E[:, :q].copy(), T, -(R @ B[:, :q]),
        )  # fmt: skip
        self.levels.append(level)
        self.E[first], self.right[first] = E[:, q:], level.right
        if len(first) == keep.sum():
            self.E, self.B = self.E[keep], B[:, q:]
        else:
            rest = self.B[keep]
            rest[(np.cumsum(keep) - 1)[first]] = B[:, q:]
            self.E, self.B = self.E[keep], rest
        self.left, self.right = self.left[keep], self.right[keep]
        return True

    def _groups(self, frozen: Mask) -> Index:
        """(groups, size) segments that are merged next: by fours, what is left by threes and twos."""
        joined = (self.right[:-1] == self.left[1:]) & ~frozen[self.right[:-1]]
        begins = np.flatnonzero(np.append(True, ~joined))
        lengths = np.diff(np.append(begins, len(self.left)))
        size = min(_GROUP, int(lengths.max()))
        if size < 2:
            return np.empty((0, 2), dtype=int)
        counts = lengths // size
        before = np.repeat(np.cumsum(counts) - counts, counts)
        first = np.repeat(begins, counts) + size * (np.arange(counts.sum()) - before)
        groups: Index = first[:, None] + np.arange(size)
        return groups

    def _orthogonal(self, A: Array) -> tuple[Array, Array]:
        """Return (matrices) Qᵀ and R⁻¹ of A = Q (R; 0)."""
        n, many = A.shape[2], len(A) > _FEW
        if many and A.shape[1] <= _SMALL:
            Q, R = householder(A)
        else:
            Q, R = np.linalg.qr(A, mode="complete")
            Q, R = np.ascontiguousarray(Q.swapaxes(1, 2)), R[:, :n]
        diagonal = np.abs(np.diagonal(R, axis1=1, axis2=2))
        if not (diagonal > 1e-13 * np.abs(R).max(axis=(1, 2))[:, None]).all():
            self.singular = True
            R = R + np.eye(n)
        inverse = _inverse(R) if many else np.asarray(np.linalg.inv(R), dtype=float)
        return Q, inverse

    def _stacked(self, members: Index) -> Array:
        """Border entries of each group's rows, one segment over the other."""
        groups, size = members.shape
        if groups * size == len(self.B):
            return self.B.reshape(groups, size * self.B.shape[1], self.B.shape[2])
        return self.B[members].reshape(groups, size * self.B.shape[1], self.B.shape[2])

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
                link[level.middle] = values.reshape(*level.middle.shape, d, -1)
        self.start = np.where(stayed[p.before], p.elements, p.before)
        # segments are ranges of elements: the end of each is the slot of its right link
        self.segment = np.searchsorted(self.right, np.arange(p.elements))

    # ---- right-hand sides ----------------------------------------------------------------------

    def up(self, r: Array) -> tuple[Array, list[Array]]:
        """Right-hand sides of the segments, and what each level's own rows are left with."""
        own, seg = [], r
        for level in self.levels:
            q = level.R.shape[1]
            x = level.Q @ seg[level.members].reshape(len(level.members), -1, 1)
            if level.middle is None:
                seg = x[:, q:, 0]
            else:
                seg = seg.copy()
                seg[level.members[:, 0]] = x[:, q:, 0]
                seg = seg[level.keep]
            own.append(level.R @ x[:, :q])
        return seg, own

    def particular(self, own: list[Array]) -> Array:
        """(slots, own) a point that satisfies the eliminated rows, zero at links and border."""
        p = self.places
        y = np.zeros((p.elements + p.chains, p.own))
        link = y[:, p.inner :]
        for level, rho in zip(reversed(self.levels), reversed(own), strict=True):
            ends = np.concatenate([link[level.left], link[level.right]], axis=1)
            values = level.T @ ends[:, :, None] + rho
            if level.middle is None:
                y[: p.elements, : p.inner] = values[:, :, 0]
            else:
                link[level.middle] = values.reshape(*level.middle.shape, -1)
        return y

    def multipliers(self, g: Array, nu: Array) -> Array:
        """(elements, rows) from what is left of stationarity, which is used up, and those on top."""
        p, d = self.places, self.places.states
        link, own = g[:, p.inner :], []
        for level in self.levels:
            left = g[: p.elements, : p.inner] if level.middle is None else link[level.middle]
            mu = level.R.swapaxes(1, 2) @ left.reshape(len(left), -1, 1)
            ends = (level.E.swapaxes(1, 2) @ mu)[:, :, 0]
            link[level.left] -= ends[:, :d]
            link[level.right] -= ends[:, d:]
            own.append(mu)
        for level, mu in zip(reversed(self.levels), reversed(own), strict=True):
            before = np.empty((len(level.keep), d))
            before[level.keep] = nu
            both = np.concatenate([mu, before[level.members[:, 0], :, None]], axis=1)
            both = level.Q.swapaxes(1, 2) @ both
            if level.middle is None:
                return both[:, :, 0]
            before[level.members] = both.reshape(*level.members.shape, d)
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
