r"""The coordinator's part of a Newton step: the batches' condensed systems, added up.

.. math:: \begin{pmatrix} \sum_b S_b + r'' + \delta I_w & E^T\\ E & -D\end{pmatrix}
          \begin{pmatrix}\Delta z\\ \pi^+\end{pmatrix} = -\begin{pmatrix} \sum_b g_b + r' \\ e\end{pmatrix}

The rows `E` say that a window's last state is where the next one begins; without them and the batches'
own rows, which are eliminated, the matrix is that of the one NLP.  Weights and parameters
are shifted: all else is eliminated, which leaves the weights' matrix, and its eigenvalues
are all that is needed for the δ of any trust region, see `shifts`.  States where windows meet are damped only
where that is not enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from ..numerics import Array, Index, Mask
from .condensed import Linear
from .shifts import length, shift_within

_OVER = 1.3  # the shift over the most negative eigenvalue, at least; see the page
_LEAST = 2e-16  # of the largest entry that rounds the weights' matrix: their curvature, at least


class Coupled:
    """The system of one linearisation.

    Parameters
    ----------
    linear : what the batches say.
    places : per batch, where its rows belong: consensus variables, then n + those that its last states
        meet.
    hessian, gradient : of regulariser and barrier, by consensus variables.
    states : how many of the first variables are states where windows meet.
    shifted, fixed : (n,) which variables may be shifted, and which do not move.

    Attributes
    ----------
    gradient : as given.
    rhs : negative right-hand side.
    shift, length : δ, and how far the weights go with it, of which `within` decides.
    """

    def __init__(
        self,
        linear: Sequence[Linear],
        places: Sequence[Index],
        hessian: Array,
        gradient: Array,
        states: int,
        shifted: Mask,
        fixed: Mask,
    ) -> None:
        n = self._n = len(gradient)
        self._places = places
        K = np.zeros((n + states, n + states))
        K[:n, :n] = hessian
        for result, place in zip(linear, self._places, strict=True):
            S = np.zeros((len(place), len(place)))
            S[np.tril_indices(len(place))] = result.matrix
            K[np.ix_(place, place)] += S + np.tril(S, -1).T
        meet = np.arange(states)
        K[n + meet, meet] -= 1.0
        K[meet, n + meet] -= 1.0
        stuck = np.flatnonzero(fixed)
        K[stuck] = K[:, stuck] = 0.0
        K[stuck, stuck] = 1.0
        self._K, self._wanted, self.gradient = K, states, gradient
        self._met = np.setdiff1d(meet, stuck)
        self._fixed, self._shifted = stuck, np.flatnonzero(shifted & ~fixed)
        self.rhs = self.summed([(r.gradient, r.ends) for r in linear])
        self.finite = bool(np.isfinite(K).all() and np.isfinite(self.rhs).all())
        self.shift, self.length = 0.0, 0.0

    def summed(self, parts: Sequence[tuple[Array, Array]]) -> Array:
        """Right-hand side from the batches' gradients and ends."""
        total = np.append(self.gradient, np.zeros(len(self._K) - self._n))
        for place, (g, e) in zip(self._places, parts, strict=True):
            total[place] += np.append(g, e)
        total[self._fixed] = 0.0
        return total

    @property
    def bend(self) -> float:
        """Largest curvature of a state where windows meet: what a damping is measured by."""
        return float(np.abs(self._K[self._met, self._met]).max(initial=0.0)) or 1.0

    def factorise(self, damping: float = 0.0) -> bool:
        """Eliminate all but the weights; tell whether some shift of them gives the right inertia.

        Parameters
        ----------
        damping : of states where windows meet, added to their curvatures.
        """
        if not self.finite:
            return False
        K, w = self._K.copy(), self._shifted
        K[self._met, self._met] += damping
        rest = self._rest = np.setdiff1d(np.arange(len(K)), w)
        factor, pivots, info = lapack.dsytrf(K[np.ix_(rest, rest)], lower=1)
        if info or _negative(factor, pivots) != self._wanted:
            return False
        self._factor = factor, pivots
        self._by_weights = self._of_rest(K[np.ix_(rest, w)])
        S, taken = K[np.ix_(w, w)], K[np.ix_(w, rest)] @ self._by_weights
        # not of K, whose largest entries are curvatures of states: they would bend flat weights
        self._least = _LEAST * max(float(np.abs(M).max(initial=0.0)) for M in (S, taken))
        S = S - taken
        self._curvatures, self._axes = np.linalg.eigh(0.5 * (S + S.T))
        return True

    def within(self, radius: float) -> None:
        """Choose the least shift whose step of the weights is within a radius.

        The shift is no less than 1.3 times what makes the matrix positive definite.
        """
        curvatures, g = self._curvatures, self._along(self.rhs)
        lowest = float(curvatures.min(initial=np.inf))
        least = max(0.0, self._least - lowest, -_OVER * lowest)
        self.shift = shift_within(curvatures, g, least, radius)
        self.length = length(curvatures, g, self.shift)

    def solve(self, rhs: Array) -> tuple[Array, Array]:
        """Step of the consensus, and the multipliers after it."""
        x, g = np.empty(len(rhs)), self._along(rhs)
        x[self._shifted] = step = -self._axes @ (g / (self._curvatures + self.shift))
        x[self._rest] = -self._of_rest(rhs[self._rest]) - self._by_weights @ step
        return x[: self._n].copy(), x[self._n :].copy()

    def _along(self, rhs: Array) -> Array:
        """Gradient of the weights, what is eliminated taken out, along the axes of their matrix."""
        return np.asarray(
            self._axes.T @ (rhs[self._shifted] - self._by_weights.T @ rhs[self._rest])
        )

    def _of_rest(self, rhs: Array) -> Array:
        if not len(self._rest):
            return np.zeros(rhs.shape)
        return np.asarray(lapack.dsytrs(*self._factor, rhs, lower=1)[0])


def _negative(factor: Array, pivots: NDArray[np.int32]) -> int:
    """Number of negative pivots of a symmetric factorisation (lower triangle)."""
    diagonal = np.diagonal(factor)
    single = pivots > 0
    # a block of two is always indefinite: one of each sign
    return int((diagonal[single] < 0.0).sum() + (~single).sum() // 2)
