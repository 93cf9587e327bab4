"""Chains of a part by NumPy: their elimination, the Hessian on its basis, and right-hand sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ...numerics import Array, Index, Mask
from .elimination import Elimination, Rows
from .ends import Ends, add_both, deficient


class Bordered(Rows, Protocol):
    """Rows with a border; ``firsts`` are the slots of the first links."""

    border: int
    firsts: Index


class Plain:
    """One part's chains, factorised again and again; see `compiled` for the same by kernels.

    Parameters
    ----------
    rows : of the chains; the arrays keep their places.
    hessian : H (slots, own, own), across (elements, states, own) and H_border (slots, own, border).
    couples : whether ``across`` is anything.

    Attributes
    ----------
    left, right, E, B, singular : of the last elimination; see `Elimination`.
    """

    def __init__(self, rows: Bordered, hessian: tuple[Array, Array, Array], couples: bool) -> None:
        self._rows, self._couples = rows, couples
        self._H, self._across, self._H_border = hessian
        self.Z = np.zeros((rows.elements + 1, rows.own, 2 * rows.states + rows.border))
        self._X = np.zeros((rows.elements, *self.Z.shape[1:]))
        self._whole = np.zeros((self.Z.shape[2], self.Z.shape[2]))

    def eliminate(self, growth: float) -> None:
        """Eliminate rows and inner columns, and links by which errors grow no more than that."""
        self._el = el = Elimination(self._rows, growth, self.Z)
        self.left, self.right, self.E, self.B = el.left, el.right, el.E, el.B
        self.singular = el.singular

    def project(self, shared: Array) -> None:
        """ZᵀHZ.

        Parameters
        ----------
        shared : (border, border) whose upper triangle becomes that of the border.
        """
        el, Z, X, c = self._el, self.Z[:-1], self._X, 2 * self._rows.states
        np.matmul(0.5 * self._H[: len(Z)], Z, out=X)
        if self._couples:
            X += self._across.swapaxes(1, 2) @ self.Z[el.start, self._rows.inner :]
        X[:, :, c:] += self._H_border[: len(Z)]
        w = Z.shape[2]
        # the two links' columns come along: without them there would be a copy of Z and X
        self._whole[:] = 0.0
        add_both(self._whole, Z.reshape(-1, w), X.reshape(-1, w))
        shared[:] = self._whole[c:, c:]
        count = len(el.right)
        own, mixed = np.empty((count, c, c)), np.empty((count, c, w - c))
        for where, rows in _runs(el.right):
            Zs, Xs = (v[rows].reshape(where.stop - where.start, -1, w) for v in (Z, X))
            both = Zs[:, :, :c].swapaxes(1, 2) @ Xs
            own[where], mixed[where] = both[:, :, :c], both[:, :, c:]
            mixed[where] += Xs[:, :, :c].swapaxes(1, 2) @ Zs[:, :, c:]
        # half of that of the ends of the segments, and that of ends and border
        self._own, self._mixed = own, mixed

    def ends(self, chains: Index, first: Index, k: int, fixed: Mask, shared: Array) -> Ends | None:
        """What is left of chains of k segments, of which the first are told, on top of `project`.

        Parameters
        ----------
        fixed : (slots, states) columns that are fixed.
        shared : what the links add to the upper triangle of the border is added.

        Returns
        -------
        nothing if rows between links depend on each other.
        """
        p, d, n, count = self._rows, self._rows.states, self._rows.border, len(chains)
        segments, size = first[:, None] + np.arange(k), (k + 1) * d
        G = np.zeros((count, k * d, size))
        A, b = np.zeros((count, size, size)), np.zeros((count, size, n))
        firsts = p.firsts[chains]
        A[:, :d, :d] = self._H[firsts, p.inner :, p.inner :]
        b[:, :d] = self._H_border[firsts, p.inner :]
        for j in range(k):
            at = slice(j * d, (j + 2) * d)
            G[:, j * d : (j + 1) * d, at] = self.E[segments[:, j]]
            half = self._own[segments[:, j]]
            A[:, at, at] += half + half.swapaxes(1, 2)
            b[:, at] += self._mixed[segments[:, j]]
        links = np.column_stack([self.left[segments[:, 0]], self.right[segments]])
        diagonal = np.arange(size)
        A[:, diagonal, diagonal] += fixed[links].reshape(count, size)
        q, r = np.linalg.qr(G.swapaxes(1, 2), mode="complete")
        Y, r = q[:, :, : k * d], r[:, : k * d]
        if deficient(r):
            return None
        P, N = -(np.linalg.inv(r) @ Y.swapaxes(1, 2)), q[:, :, k * d :]
        theta = P.swapaxes(1, 2) @ self.B[segments].reshape(count, k * d, -1)
        AU = A @ theta
        D, W = N.swapaxes(1, 2) @ A @ N, N.swapaxes(1, 2) @ (AU + b)
        add_both(shared, theta.reshape(-1, n), (0.5 * AU + b).reshape(-1, n))
        return Ends(chains, segments, links, P, N, A, b, theta, D, W)

    def down(self, own: Array, rows: Array, theta: Array) -> tuple[Array, Array, Array]:
        """Eliminate a right-hand side: (slots, own), and (elements, rows).

        Returns
        -------
        (slots, own) a point that satisfies the eliminated rows and is zero elsewhere, (segments, states)
        the rows that are left, (slots, states) what is left at the links; ``theta`` (border,) is added to.
        """
        el, Z, p = self._el, self.Z[:-1], self._rows
        d, c, E = p.states, 2 * p.states, p.elements
        seg, rho = el.up(rows)
        y = el.particular(rho)
        h = own - self._times(y)
        theta += h[:E].reshape(-1) @ Z.reshape(-1, Z.shape[2])[:, c:]
        theta -= np.tensordot(y, self._H_border, 2)
        ends = (Z[:, :, :c].swapaxes(1, 2) @ h[:E, :, None])[:, :, 0]
        ends = np.add.reduceat(ends, np.append(0, el.right[:-1] + 1), axis=0)
        links = np.zeros((E + p.chains, d))
        links[el.left] += ends[:, :d]
        links[el.right] += ends[:, d:]
        links[p.firsts] += h[p.firsts, p.inner :]
        return y, seg, links

    def up(self, own: Array, links: Array, nu: Array, theta: Array, y: Array) -> Array:
        """Complete the solution of the right-hand side that went down.

        Parameters
        ----------
        links, nu : (slots, states) the links that stayed, (segments, states) multipliers of their rows.
        y : what `down` returned; completed.

        Returns
        -------
        (elements, rows) multipliers.
        """
        el, Z, p = self._el, self.Z[:-1], self._rows
        c, E = 2 * p.states, p.elements
        ends = np.concatenate([links[el.left], links[el.right]], axis=1)[el.segment]
        y[:E] += (Z[:, :, :c] @ ends[:, :, None])[:, :, 0]
        y[:E] += (Z.reshape(-1, Z.shape[2])[:, c:] @ theta).reshape(E, p.own)
        y[p.firsts, p.inner :] = links[p.firsts]
        return el.multipliers(own - self._times(y) - self._H_border @ theta, nu)

    def _times(self, y: Array) -> Array:
        """H y over the owned columns."""
        out: Array = (self._H @ y[:, :, None])[:, :, 0]
        if self._couples:
            p = self._rows
            before = y[p.before, p.inner :, None]
            out[: p.elements] += (self._across.swapaxes(1, 2) @ before)[:, :, 0]
            out[p.before, p.inner :] += (self._across @ y[: p.elements, :, None])[:, :, 0]
        return out


def _runs(last: Index) -> Iterator[tuple[slice, slice]]:
    """Runs of segments of one length, and their elements; ``last`` element of every segment."""
    lengths = np.diff(last, prepend=-1)
    starts = np.flatnonzero(np.append(True, np.diff(lengths) != 0))
    for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(last)], strict=True):
        yield slice(a, b), slice(int(last[a] - lengths[a]) + 1, int(last[b - 1]) + 1)
