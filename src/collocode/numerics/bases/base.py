r"""What every basis of functions of time offers.

A basis is K functions :math:`\varphi_j` on an interval.  What follows from them alone is written
here once: values out of locally alive functions, the coefficients of the constant function, and
*prolongation*, the matrix `P` with

.. math:: \sum_j c_j\,\varphi_j(t) = \sum_i (Pc)_i\,\psi_i(t)\qquad\text{for all } t .

`P` interpolates at K points and is then checked between them, so it is exact or refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ...checks import apart
from ...errors import InputError
from .. import Index, Mask
from ..scheme import Array

Interval = tuple[float, float]
_CONTAINED = 1e-8  # of the largest value; what is not contained misses by far more
_SLACK = 1e-9  # of the interval: how far rounding may carry a time outside, or beyond a jump


class Basis(ABC):
    r"""K functions of time on an interval; a frozen value, equal to another of the same data.

    A kind implements `interval`, `size`, `active`, `gram`, `names`, `nodes` and `degree`.
    """

    interval: Interval

    @property
    @abstractmethod
    def size(self) -> int:
        """Number K of functions."""

    @property
    def support(self) -> int:
        """Number k of functions that are alive at a time; K for a global basis."""
        return self.size

    @property
    def breaks(self) -> Array:
        """Inner times at which some function is not smooth; a mesh does well to have them."""
        return np.empty(0)

    @property
    def bounded_by_coefficients(self) -> bool:
        """Whether bounds on the coefficients bound just the function, no more and no less."""
        return False

    @property
    @abstractmethod
    def degree(self) -> int:
        """Number of Gauss points that resolves one function between two breaks, less one."""

    @abstractmethod
    def active(self, t: ArrayLike, left: bool | Mask = False) -> tuple[Index, Array]:
        """Return the functions that are alive at every time.

        Parameters
        ----------
        t : (n,) times in the interval.
        left : at a jump, take the limit from the left instead of the right; one, or one per time.

        Returns
        -------
        (n, support) indices of functions and (n, support) their values.

        Raises
        ------
        InputError
            A time outside the interval.
        """

    @abstractmethod
    def gram(self) -> Array:
        r"""(K, K) matrix :math:`\int\varphi_i\varphi_j\,dt` over the interval."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Short names of the functions, such as ``P0``."""

    @abstractmethod
    def nodes(self) -> Array:
        """(K,) times at which values determine the coefficients."""

    def probes(self) -> Array:
        """Times, about four per function, so dense that bounds there all but bound a function.

        They are Chebyshev points of every piece: a polynomial of degree d that keeps within ±1 at n of
        them exceeds it by a factor of at most 1/cos(πd/2n) between (Ehlich & Zeller, Math. Z. 86, 1964).
        """
        ends = np.unique(np.concatenate([self.breaks, self.interval]))
        count = max(3, -(-4 * self.size // (len(ends) - 1)))
        place = 0.5 * (1.0 - np.cos(np.pi * np.arange(count) / (count - 1)))
        inner = ends[:-1, None] + np.diff(ends)[:, None] * place
        return np.unique(np.append(inner[:, :-1], ends[-1]))

    def values(self, t: ArrayLike, left: bool | Mask = False) -> Array:
        r"""(n, K) matrix :math:`\varphi_j(t_i)`; arguments as for `active`."""
        indices, alive = self.active(t, left)
        matrix = np.zeros((len(indices), self.size))
        np.put_along_axis(matrix, indices, alive, axis=1)
        return matrix

    def constant(self) -> Array:
        """(K,) coefficients of the function 1."""
        return np.ones(self.size)

    def amplitudes(self) -> Array:
        """(K,) sizes of the functions as powers of two, for the scaling of their coefficients."""
        largest = np.abs(self.values(self.probes())).max(axis=0)
        return np.asarray(np.exp2(np.round(np.log2(largest))))

    def mean_square(self) -> Array:
        r"""(K, K) matrix :math:`\frac1T\int\varphi_i\varphi_j\,dt`; ``[[1]]`` for a constant."""
        return self.gram() / (self.interval[1] - self.interval[0])

    def prolong(self, other: Basis) -> Array:
        """Return the matrix that takes coefficients to those of the same function in ``other``.

        Returns
        -------
        (other.size, size) array.

        Raises
        ------
        InputError
            If the intervals differ, or ``other`` does not contain every function of this basis.

        Examples
        --------
        >>> from collocode.numerics.bases import Legendre, Monomial
        >>> (Monomial(1, (0.0, 2.0)).prolong(Legendre(2, (0.0, 2.0))) + 0.0).round(12)
        array([[1., 1.],
               [0., 1.],
               [0., 0.]])
        """
        self._same_interval(other)
        nodes = other.nodes()
        matrix = np.linalg.solve(other.values(nodes), self.values(nodes))
        t = self._between(other)
        mine = self.values(t)
        missed = np.abs(other.values(t) @ matrix - mine).max(axis=0)
        bad = np.flatnonzero(missed > _CONTAINED * np.abs(mine).max(axis=0))
        if len(bad):
            raise InputError(
                f"{self!r} cannot be prolonged to {other!r}: its function {self.names()[bad[0]]} is "
                "not among them; choose a higher order or a mesh that has all the points."
            )
        return np.asarray(matrix, dtype=float)

    def _same_interval(self, other: Basis) -> None:
        gap = np.abs(np.subtract(self.interval, other.interval)).max()
        if gap > _SLACK * (self.interval[1] - self.interval[0]):
            raise InputError(
                f"{self!r} cannot be prolonged to {other!r}: the intervals differ; "
                "give both the same one."
            )

    def _between(self, other: Basis) -> Array:
        """Gauss points on every piece on which both bases are smooth, enough to tell them apart."""
        ends = np.unique(np.concatenate([self.breaks, other.breaks, self.interval]))
        long = np.diff(ends) > _SLACK * (ends[-1] - ends[0])
        lower, step = ends[:-1][long], np.diff(ends)[long]
        points, _ = scipy.special.roots_legendre(self.degree + other.degree + 2)
        return np.asarray((lower[:, None] + 0.5 * step[:, None] * (points + 1.0)).ravel())

    def _inside(self, t: ArrayLike) -> Array:
        """Times as an array, rounding beyond the ends taken back."""
        times = np.atleast_1d(np.asarray(t, dtype=float))
        start, end = self.interval
        slack = _SLACK * (end - start)
        outside = ~((times >= start - slack) & (times <= end + slack))
        if outside.any():
            told = apart(times[outside][0], start, end, digits=12)
            raise InputError(
                f"time {told[0]} lies outside the interval [{told[1]}, {told[2]}] of "
                f"{self!r}; give the basis an interval that covers all times asked for."
            )
        return np.clip(times, start, end)

    def _unit(self, t: ArrayLike) -> Array:
        """Times mapped to [0, 1]."""
        start, end = self.interval
        return (self._inside(t) - start) / (end - start)


def checked_interval(value: Any, what: str) -> Interval:
    """Return ``value`` as two finite, increasing numbers."""
    try:
        start, end = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} needs an interval (start, end) of two numbers, not {value!r}."
        ) from error
    if not (np.isfinite([start, end]).all() and start < end):
        raise InputError(f"{what} needs a finite interval with start < end, not {value!r}.")
    return start, end
