r"""The coordinator's part of a Newton step: the batches' condensed systems, added up.

.. math:: \begin{pmatrix} \sum_b S_b + r'' + \delta I_w & E^T\\ E & -D\end{pmatrix}
          \begin{pmatrix}\Delta z\\ \pi^+\end{pmatrix} = -\begin{pmatrix} \sum_b g_b + r' \\ e\end{pmatrix}

The rows `E` say that a window's last state is where the next one begins; without them and the batches'
own rows, which are eliminated, the matrix is that of the one NLP.  Its inertia tells whether the step
leads downhill; where it does not, the weights (and shared parameters) are shifted by a little more
than the least δ that makes it so, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from .condensed import Linear

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_OVER, _NEAR = 1.2, 1.3  # the shift over the least one, and how well that is found; see the page
_LEAST = 1e-12  # of the largest entry: the first shift that is tried
_MOST = 1e12


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
    shift, least : of the last factorisation, and the least that is tried.
    typical : median of the diagonal entries that may be shifted.
    """

    def __init__(
        self,
        linear: Sequence[Linear],
        places: Sequence[Index],
        hessian: Array,
        gradient: Array,
        states: int,
        shifted: NDArray[np.bool_],
        fixed: NDArray[np.bool_],
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
        self._fixed, self._shifted = stuck, np.flatnonzero(shifted & ~fixed)
        self.rhs = self.summed([(r.gradient, r.ends) for r in linear])
        self.finite = bool(np.isfinite(K).all() and np.isfinite(self.rhs).all())
        own = np.abs(np.diagonal(K))[self._shifted]
        self.shift, self.typical = 0.0, float(np.median(own)) if len(own) else 0.0
        self.least = _LEAST * float(np.abs(K).max())

    def summed(self, parts: Sequence[tuple[Array, Array]]) -> Array:
        """Right-hand side from the batches' gradients and ends."""
        total = np.append(self.gradient, np.zeros(len(self._K) - self._n))
        for place, (g, e) in zip(self._places, parts, strict=True):
            total[place] += np.append(g, e)
        total[self._fixed] = 0.0
        return total

    def factorise(self, last: float, least: float = 0.0) -> bool:
        """Factorise with a shift of at least ``least`` and the right inertia; tell whether one was found.

        Parameters
        ----------
        last : shift of the last iteration, near which the search begins.
        """
        if not self.finite:
            return False
        if self._right(least):
            return True
        low, shift = least, max(least * 4.0, last / 8.0, self.least)
        while not self._right(shift):
            low, shift = shift, shift * 8.0
            if shift > _MOST:
                return False
        low = max(low, shift / 8.0)
        while shift > _NEAR * low:
            middle = float(np.sqrt(low * shift))
            low, shift = (low, middle) if self._right(middle) else (middle, shift)
        return self._right(_OVER * shift)

    def _right(self, shift: float) -> bool:
        K = self._K.copy()
        K[self._shifted, self._shifted] += shift
        factor, pivots, info = lapack.dsytrf(K, lower=1)
        if info:
            return False
        self._factor, self.shift = (factor, pivots), shift
        return _negative(factor, pivots) == self._wanted

    def solve(self, rhs: Array) -> tuple[Array, Array]:
        """Step of the consensus, and the multipliers after it."""
        x, _ = lapack.dsytrs(*self._factor, -rhs, lower=1)
        return x[: self._n].copy(), x[self._n :].copy()


def _negative(factor: Array, pivots: NDArray[np.int32]) -> int:
    """Number of negative pivots of a symmetric factorisation (lower triangle)."""
    diagonal = np.diagonal(factor)
    single = pivots > 0
    # a block of two is always indefinite: one of each sign
    return int((diagonal[single] < 0.0).sum() + (~single).sum() // 2)
