"""Chains of a part by NumPy: their elimination, the Hessian on its basis, and right-hand sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from .elimination import Elimination, Rows

Array = NDArray[np.float64]
Index = NDArray[np.intp]


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
        self.left, self.right, self.E, self.B, self.singular = (
            el.left,
            el.right,
            el.E,
            el.B,
            el.singular,
        )

    def project(self, shared: Array) -> tuple[Array, Array]:
        """ZᵀHZ.

        Parameters
        ----------
        shared : (border, border) whose upper triangle becomes that of the border.

        Returns
        -------
        (segments, 2 states, 2 states) half of that of the ends of the segments, and
        (segments, 2 states, border) that of ends and border.
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
        return own, mixed

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


def add_both(out: Array, A: Array, B: Array) -> None:
    """Add AᵀB + BᵀA to the upper triangle of a symmetric matrix, in place."""
    if A.size and out.size:
        blas.dsyr2k(1.0, A.T, B.T, beta=1.0, c=out.T, lower=1, overwrite_c=1)


def add_square(out: Array, A: Array, factor: float) -> None:
    """Add a multiple of AᵀA to the upper triangle of a symmetric matrix, in place."""
    if A.size and out.size:
        blas.dsyrk(factor, A.T, beta=1.0, c=out.T, lower=1, overwrite_c=1)
