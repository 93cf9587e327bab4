"""The lowest eigenvalue of one `Arrow` after another, each near the one before.

By LAPACK, or of a large matrix by Lanczos' method.  Where the matrix before had a negative one, that tells how
far to shift: what Lanczos' method then makes of the shifted matrix' inverse converges in a few steps,
also to an eigenvalue that is tiny beside the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from ... import kernels
from ...numerics import Array
from .arrow import NO_PIVOT, Arrow
from .dense import MOST_ROWS, MOST_STEPS, Dense

# (V, diagonal, beside, k, end) writes rows k + 1 to end of V, orthonormal, and the numbers k to end - 1 of the
# tridiagonal matrix; returns end, or less where the method has ended
Steps = Callable[[Array, Array, Array, int, int], int]
# (vector to begin with, tolerance) -> lowest eigenvalue, how near that is, and its vector
Lowest = Callable[[Array, float], tuple[float, float, Array]]
_MIXED = 1.0  # random part of the vector that it begins with: less hides what is lowest


@dataclass
class Last:
    """What a matrix tells of the next one.

    Attributes
    ----------
    positive : whether it was positive definite.
    lowest : its lowest eigenvalue if that was negative, else 0, and how near that is known.
    by_inverse : whether that took an inverse, of a large matrix.
    vector : that of its lowest eigenvalue, or of the last one that was looked for; None at first.
    """

    positive: bool = False
    lowest: float = 0.0
    error: float = 0.0
    by_inverse: bool = False
    vector: Array | None = None
    _dense: Dense | None = None

    def dense(self, size: int) -> Dense | None:
        """What factorises matrices of so many rows, if they are few and kernels are compiled."""
        if self._dense is None or self._dense.size != size:
            library = kernels.library() if size <= MOST_ROWS else None
            self._dense = None if library is None else Dense(library, size)
        return self._dense

    def note(self, lowest: float | None) -> None:
        """Take note of a matrix' lowest eigenvalue; None if it is positive definite."""
        self.positive, self.lowest = lowest is None, min(lowest or 0.0, 0.0)
        self.by_inverse &= not self.positive


def least(A: Arrow) -> float:
    """What an eigenvalue has to be beside the largest entry to count as one."""
    return 10.0 * NO_PIVOT * A.largest


def lowest(A: Arrow, last: Last, large: bool, scratch: Array | None = None) -> float:
    """Lowest eigenvalue, of a large matrix to a tenth if it is negative; at most too high if it is positive."""
    if last.lowest < 0.0 and (last.by_inverse or not large):
        return by_inverse(A, last, scratch)
    if not large:
        values, vectors = linalg.eigh(A.dense(), subset_by_index=[0, 0])
        last.vector = vectors[:, 0]
        return float(values[0])
    begin = _first(A.size, last.vector)
    found, last.error, last.vector = _lanczos(_steps(A.times), begin, 0.1)
    if found >= 0.0 > last.lowest:  # too small beside the others to be seen
        return by_inverse(A, last, scratch)
    return found


def by_inverse(A: Arrow, last: Last, scratch: Array | None = None) -> float:
    """Lowest eigenvalue, at most a tenth too low, of a matrix that a shift makes about positive definite."""
    last.by_inverse = True
    shift = -2.0 * last.lowest or last.error
    return _by_inverse(A, shift, last, scratch)


def _by_inverse(A: Arrow, shift: float, last: Last, scratch: Array | None) -> float:
    few = least(A)
    shift = max(shift, few)
    while (inverse := _inverse(A, shift, last, scratch)) is None and np.isfinite(shift):
        shift *= 4.0
    if inverse is None:
        return 0.0
    found, error, last.vector = inverse(_first(A.size, last.vector), 1e-3)
    lowest = -1.0 / (found - error) - shift
    # a much smaller one is known better by what a smaller shift leaves
    if few < -lowest < 1e-2 * shift:
        return _by_inverse(A, -2.0 * lowest, last, scratch)
    return lowest


def _inverse(A: Arrow, shift: float, last: Last, scratch: Array | None) -> Lowest | None:
    """What finds the lowest eigenvalue of -(A + shift I)⁻¹, or None if a pivot of A + shift I is not clearly positive."""
    dense = last.dense(A.size)
    if dense is not None:
        factorised = dense.cholesky(A, shift)
        return None if factorised is None else factorised.lowest_of_inverse
    factor = A.cholesky(shift, out=scratch)
    if factor is None:
        return None
    return partial(_lanczos, _steps(lambda v: -factor.solve(v)))


def _steps(times: Callable[[Array], Array]) -> Steps:
    """Steps with a product."""

    def steps(V: Array, diagonal: Array, beside: Array, first: int, end: int) -> int:
        for k in range(first, end):
            w = times(V[k])
            diagonal[k] = w @ V[k]
            for _ in range(2):  # orthogonal to working precision
                w -= V[: k + 1].T @ (V[: k + 1] @ w)
            beside[k] = np.linalg.norm(w)
            if beside[k] <= NO_PIVOT * np.abs(diagonal).max():
                return k + 1
            V[k + 1] = w / beside[k]
        return end

    return steps


def _first(n: int, near: Array | None) -> Array:
    """The vector of length one that Lanczos' method begins with: random and, if given, what is ``near``."""
    begin = _random(n)
    if near is not None and len(near) == n:
        begin = (_MIXED / np.linalg.norm(begin)) * begin + near
    return np.asarray(begin / np.linalg.norm(begin))


def _lanczos(steps: Steps, begin: Array, tolerance: float) -> tuple[float, float, Array]:
    """Lowest eigenvalue by Lanczos' method, at most too high, how near it is, and its vector.

    One that is positive soon is given up.
    """
    V = np.zeros((MOST_STEPS + 1, len(begin)))
    V[0] = begin
    diagonal, beside = np.zeros(MOST_STEPS), np.zeros(MOST_STEPS)
    lowest, error, coefficients, done = 0.0, 0.0, np.ones(1), 0
    while done < MOST_STEPS:
        due = done + 4
        done = steps(V, diagonal, beside, done, due)
        lowest, coefficients = _of_tridiagonal(diagonal[:done], beside[:done])
        error = float(beside[done - 1] * abs(coefficients[-1]))
        ended = beside[done - 1] <= NO_PIVOT * np.abs(diagonal).max()
        if ended or error <= tolerance * abs(lowest) or (lowest > 0.0 and done > MOST_STEPS // 2):
            break
    return lowest, error, coefficients @ V[:done]


@lru_cache(maxsize=4)  # always the same numbers, which take as long to make as a step
def _random(n: int) -> Array:
    return np.random.default_rng(0).standard_normal(n)


def _of_tridiagonal(diagonal: Array, beside: Array) -> tuple[float, Array]:
    """Lowest eigenvalue and its vector, as SciPy's ``eigh_tridiagonal`` has LAPACK find them."""
    n, only = len(diagonal), 2  # by number
    _, values, vectors, info = lapack.dstemr(  # which writes to what it is given
        diagonal.copy(), beside.copy(), only, 0.0, 1.0, 1, 1, lwork=18 * n, liwork=10 * n
    )
    if info:
        raise np.linalg.LinAlgError("a tridiagonal matrix has no eigenvalue")
    return float(values[0]), vectors[:, 0]
