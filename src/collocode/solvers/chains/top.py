r"""The dense problem that is left: links that stayed, border, and the rows between them.

.. math:: \begin{pmatrix} F & G^T\\ G & 0\end{pmatrix}

The rows of a chain are eliminated by the QR factorisation of its :math:`G_c^T`, those of the border
by that of theirs, so that inertia and curvature are those of one reduced Hessian.  If that is not
positive definite, F is shifted by twice its lowest eigenvalue, once: Ipopt, which sees only
whether the inertia is right, would try one multiple of the identity after the other, and would damp
the states with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas, lapack

from .blocks import Places
from .elimination import Elimination

Array = NDArray[np.float64]
Index = NDArray[np.intp]
# a shift that only just suffices leaves long steps along the direction of least curvature: on 16 fits
# of 4 records the factors 1.2, 3 and 8 took 531, 483 and 958 iterations, 1.2 up to 93 for one of them
_OVER = 2.0
_MOST_EIGH = (
    600  # a larger matrix' lowest eigenvalue takes several times its Cholesky factorisation
)
_MOST_STEPS = 96
_LEAST = 1e-13  # pivots below it, relative to the largest entry, are none


class Top:
    """Factorisation of the dense problem.

    Parameters
    ----------
    elimination : of the chains.
    F : (links that stayed * states + border, same) Hessian, in the order of ``links``, then border.
    links : (stayed,) slots, ascending.
    G : (rows, border) rows of the border alone.
    shifts : whether to shift F at all.

    Attributes
    ----------
    shift : what was added to the diagonal of F.
    finite, singular : whether the numbers are numbers, and whether rows depend on each other.
    reduced, positive : the reduced Hessian before it was shifted, and whether that was definite.
    """

    def __init__(
        self,
        places: Places,
        elimination: Elimination,
        F: Array,
        links: Index,
        G: Array,
        shifts: bool,
    ) -> None:
        self.size = len(links) * places.states
        self.F, self.shift, self.singular = F, 0.0, False
        self._chains(places, elimination, links)
        self._B = elimination.B
        q, r = np.linalg.qr(G.T, mode="complete") if len(G) else (np.eye(0), np.eye(0))
        self._border = (q[:, : len(G)], r[: len(G)], q[:, len(G) :]) if len(G) else None
        if len(G):
            self.singular |= _deficient(r[: len(G)])
        self.finite = bool(np.isfinite(F).all() and np.isfinite(self._theta).all())
        if not self.finite or self.singular:
            return
        self.reduced = self._reduced()
        large = shifts and len(self.reduced) > _MOST_EIGH
        lowest, error = _lowest(self.reduced) if large else (0.0, 0.0)
        self._factor = None if lowest < 0.0 else _cholesky(self.reduced)
        self.positive = self._factor is not None
        if not self.positive and shifts:
            if not large:
                values = linalg.eigh(self.reduced, eigvals_only=True, subset_by_index=[0, 0])
                lowest = float(values[0])
            elif lowest >= 0.0:
                lowest = _by_inverse(self.reduced, error)
            least = 10.0 * _LEAST * float(np.abs(self.reduced).max())
            self._raise(_OVER * max(-lowest, least))

    def negative(self) -> int:
        """Number of negative eigenvalues of the reduced Hessian, before it was shifted."""
        return 0 if self.positive else int((np.linalg.eigvalsh(self.reduced) < 0.0).sum())

    def _raise(self, shift: float) -> None:
        """Shift F until the reduced Hessian is positive definite; the first time does it."""
        diagonal, v = np.arange(len(self.F)), self._null.shape[1]
        for _ in range(20):
            more, self.shift = shift - self.shift, shift
            self.F[diagonal, diagonal] += more
            # the null space of the chains' rows is orthonormal, and orthogonal to what the border moves
            self._full[diagonal[:v], diagonal[:v]] += more
            self._full[v:, v:] += more * self._unit
            self._factor = _cholesky(self._projected())
            if self._factor is not None:
                return
            shift *= 2.0
        self.finite = False

    def _chains(self, places: Places, el: Elimination, links: Index) -> None:
        """QR factorisations of the rows between links, for all chains of as many segments."""
        d = places.states
        at = np.full(places.elements + places.chains, -1)
        at[links] = np.arange(len(links))
        begins = np.flatnonzero(el.left >= places.elements)
        lengths = np.diff(np.append(begins, len(el.left)))
        self._rows: list[tuple[Index, Index, Array, Array]] = []
        self._null = np.zeros((self.size, places.chains * d))
        self._theta = np.zeros((self.size, places.border))
        for k in np.unique(lengths):
            chains = np.flatnonzero(lengths == k)
            segments = begins[chains][:, None] + np.arange(k)
            G = np.zeros((len(chains), k * d, (k + 1) * d))
            for j in range(k):
                G[:, j * d : (j + 1) * d, j * d : (j + 2) * d] = el.E[segments[:, j]]
            nodes = at[np.column_stack([el.left[segments[:, 0]], el.right[segments]])]
            where = (nodes[:, :, None] * d + np.arange(d)).reshape(len(chains), -1)
            q, r = np.linalg.qr(G.swapaxes(1, 2), mode="complete")
            Y, r = q[:, :, : k * d], r[:, : k * d]
            if _deficient(r):
                self.singular = True
                return
            inverse = np.linalg.inv(r)
            self._rows.append((where, segments, Y, inverse))
            columns = chains[:, None] * d + np.arange(d)
            self._null[where[:, :, None], columns[:, None, :]] = q[:, :, k * d :]
            B = el.B[segments].reshape(len(chains), k * d, -1)
            self._theta[where] = -(Y @ (inverse.swapaxes(1, 2) @ B))

    def _reduced(self) -> Array:
        t = self.size
        A, b, c = self.F[:t, :t], self.F[:t, t:], self.F[t:, t:]
        N, U = self._null, self._theta
        AU = A @ U
        full = np.empty((N.shape[1] + len(c),) * 2)
        v = N.shape[1]
        full[:v, :v], full[:v, v:] = N.T @ (A @ N), N.T @ (AU + b)
        Y = 0.5 * AU + b
        np.add(c, np.vstack([U, Y]).T @ np.vstack([Y, U]), out=full[v:, v:])
        full[v:, :v] = full[:v, v:].T
        self._full, self._unit = full, np.eye(len(c)) + U.T @ U
        return self._projected().copy()

    def _projected(self) -> Array:
        """On the null space of the border's rows."""
        if self._border is None:
            return self._full
        Z = linalg.block_diag(np.eye(self._null.shape[1]), self._border[2])
        reduced: Array = Z.T @ self._full @ Z
        return reduced

    def solve(self, b: Array, g: Array, border: Array) -> tuple[Array, Array, Array]:
        """Solve for links and border, the multipliers between links, and those of the border's rows.

        Parameters
        ----------
        b : right-hand side of links and border.
        g : (segments, states) of the rows between links.
        border : of the border's rows.
        """
        t, v = self.size, self._null.shape[1]
        x = np.zeros(t)
        for where, segments, Y, inverse in self._rows:
            rows = g[segments].reshape(len(segments), -1, 1)
            x[where] = (Y @ (inverse.swapaxes(1, 2) @ rows))[:, :, 0]
        left = b - self.F[:, :t] @ x
        rhs = np.append(self._null.T @ left[:t], left[t:] + self._theta.T @ left[:t])
        theta = np.zeros(len(b) - t)
        if self._border is not None:
            Y, r, Z = self._border
            theta = Y @ linalg.solve_triangular(r, border, trans="T", check_finite=False)
            rhs -= self._full[:, v:] @ theta
            rhs = np.append(rhs[:v], Z.T @ rhs[v:])
        if self._factor is None:
            found = np.linalg.solve(self.reduced, rhs)
        else:
            found, _ = lapack.dpotrs(self._factor, rhs, lower=1)
        if self._border is not None:
            found = np.append(found[:v], self._border[2] @ found[v:])
        theta = theta + found[v:]
        x += self._null @ found[:v] + self._theta @ theta
        solution = np.append(x, theta)
        left = b - self.F @ solution
        nu = np.zeros_like(g)
        for where, segments, Y, inverse in self._rows:
            found = inverse @ (Y.swapaxes(1, 2) @ left[where][:, :, None])
            nu[segments] = found.reshape(*segments.shape, -1)
        if self._border is None:
            return solution, nu, np.zeros(0)
        Y, r, _ = self._border
        left_border = left[t:] - np.tensordot(nu, self._B, 2)
        return solution, nu, linalg.solve_triangular(r, Y.T @ left_border, check_finite=False)


def _lowest(A: Array) -> tuple[float, float]:
    """Lowest eigenvalue of a large matrix, to a tenth if it is negative, and how near it is."""
    return _lanczos(lambda v: blas.dsymv(1.0, A.T, v, lower=1), len(A), 0.1)


def _lanczos(times: Callable[[Array], Array], n: int, tolerance: float) -> tuple[float, float]:
    """Lowest eigenvalue by Lanczos' method, at most too high, and how near it is.

    A negative one is what it is asked for; one that is positive soon is given up.
    """
    V = np.zeros((_MOST_STEPS + 1, n))
    V[0] = np.random.default_rng(0).standard_normal(n)
    V[0] /= np.linalg.norm(V[0])
    diagonal, beside = np.zeros(_MOST_STEPS), np.zeros(_MOST_STEPS)
    lowest = error = 0.0
    for k in range(_MOST_STEPS):
        w = times(V[k])
        diagonal[k] = w @ V[k]
        for _ in range(2):  # orthogonal to working precision
            w -= V[: k + 1].T @ (V[: k + 1] @ w)
        beside[k] = np.linalg.norm(w)
        ended = beside[k] <= _LEAST * np.abs(diagonal).max()
        if k % 8 == 7 or ended:
            values, vectors = linalg.eigh_tridiagonal(
                diagonal[: k + 1], beside[:k], select="i", select_range=(0, 0)
            )
            lowest, error = float(values[0]), float(beside[k] * abs(vectors[-1, 0]))
            if ended or error <= tolerance * abs(lowest) or (lowest > 0.0 and k > _MOST_STEPS // 2):
                break
        V[k + 1] = w / beside[k]
    return lowest, error


def _by_inverse(A: Array, shift: float) -> float:
    """Lowest eigenvalue, at most too high, of a matrix that ``shift`` makes about positive definite."""
    diagonal, factor = np.arange(len(A)), None
    shift = max(shift, 10.0 * _LEAST * float(np.abs(A).max()))
    while factor is None and np.isfinite(shift):
        moved = A.copy()
        moved[diagonal, diagonal] += shift
        factor = _cholesky(moved)
        shift *= 4.0
    if factor is None:
        return 0.0
    used = shift / 4.0
    found = _lanczos(lambda v: -lapack.dpotrs(factor, v, lower=1)[0], len(A), 1e-8)[0]
    return -1.0 / found - used


def _cholesky(A: Array) -> Array | None:
    """Return the lower factor, or None if a pivot is not clearly positive."""
    if not len(A):
        return A
    factor, info = lapack.dpotrf(A.T, lower=1, clean=0)  # in the order that LAPACK has
    if info:
        return None
    pivots = np.diagonal(factor) ** 2
    least = _LEAST * np.abs(np.diagonal(A))
    return factor if bool((pivots > least).all()) else None


def _deficient(r: Array) -> bool:
    """Whether one of the triangular matrices is not invertible, to working precision."""
    diagonal = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    return bool((diagonal <= 1e-13 * np.abs(r).max(axis=(-2, -1))[..., None]).any())
