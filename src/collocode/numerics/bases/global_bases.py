r"""Global bases, alive on the whole interval: constant, monomials, Legendre, Chebyshev, Fourier.

With :math:`s=(t-t_0)/T\in[0,1]`.  Polynomials of equal order span one space, whatever the kind;
what differs is the conditioning of the Gram matrix, and with it the training.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.polynomial import chebyshev, legendre
from numpy.typing import ArrayLike

from ...checks import check_whole
from .. import Mask
from ..scheme import Array
from .base import Basis, Index, Interval, checked_interval


class GlobalBasis(Basis):
    """A basis whose functions are alive on the whole interval."""

    @abstractmethod
    def _evaluate(self, t: Array) -> Array:
        """(n, K) values at times inside the interval."""

    def active(self, t: ArrayLike, left: bool | Mask = False) -> tuple[Index, Array]:
        """Return all functions; see `Basis.active`."""
        values = self._evaluate(self._inside(t))
        return np.broadcast_to(np.arange(self.size), values.shape), values

    def values(self, t: ArrayLike, left: bool | Mask = False) -> Array:
        """(n, K) matrix of values; they have no jumps, so ``left`` does not matter."""
        return self._evaluate(self._inside(t))

    def constant(self) -> Array:
        """(K,) coefficients of the function 1: the first function."""
        return np.eye(self.size)[0]


@dataclass(frozen=True)
class Constant(GlobalBasis):
    """The function 1: weights that do not vary.

    Examples
    --------
    >>> Constant((0.0, 2.0)).gram()
    array([[2.]])
    """

    interval: Interval = (0.0, 1.0)
    size, degree, bounded_by_coefficients = 1, 0, True

    def __post_init__(self) -> None:
        object.__setattr__(self, "interval", checked_interval(self.interval, "Constant"))

    def _evaluate(self, t: Array) -> Array:
        return np.ones((len(t), 1))

    def gram(self) -> Array:
        """The length of the interval."""
        return np.array([[self.interval[1] - self.interval[0]]])

    def names(self) -> tuple[str, ...]:
        """``one``."""
        return ("one",)

    def nodes(self) -> Array:
        """The middle."""
        return np.array([0.5 * sum(self.interval)])


@dataclass(frozen=True)
class _Polynomials(GlobalBasis):
    """Polynomials of degree 0 to ``order``."""

    order: int
    interval: Interval = (0.0, 1.0)

    def __post_init__(self) -> None:
        kind = type(self).__name__
        object.__setattr__(self, "order", check_whole(f"the order of {kind}", self.order, 0))
        object.__setattr__(self, "interval", checked_interval(self.interval, kind))

    @property
    def size(self) -> int:
        """One more than the order."""
        return self.order + 1

    @property
    def degree(self) -> int:
        """The order."""
        return self.order

    def nodes(self) -> Array:
        """Gauss points, at which interpolation is stable."""
        start, end = self.interval
        return np.asarray(
            start + 0.5 * (end - start) * (scipy.special.roots_legendre(self.size)[0] + 1.0)
        )


@dataclass(frozen=True)
class Monomial(_Polynomials):
    r"""Powers :math:`\varphi_j=(t-t_0)^j`, or :math:`s^j` on [0, 1] where ``unit`` is set.

    Parameters
    ----------
    order : highest power d; K = d + 1.
    interval : (t_0, t_0 + T).
    unit : whether time is mapped to [0, 1] first.

    Examples
    --------
    >>> Monomial(2, (1.0, 3.0)).values([1.0, 3.0])
    array([[1., 0., 0.],
           [1., 2., 4.]])
    """

    unit: bool = False

    def _evaluate(self, t: Array) -> Array:
        return np.vander(self._unit(t) * self._length, self.size, increasing=True)

    @property
    def _length(self) -> float:
        return 1.0 if self.unit else self.interval[1] - self.interval[0]

    def gram(self) -> Array:
        r""":math:`T\,\ell^{i+j}/(i+j+1)` with :math:`\ell=T`, or 1 on [0, 1]: a Hilbert matrix."""
        power = np.add.outer(np.arange(self.size), np.arange(self.size))
        return np.asarray(
            (self.interval[1] - self.interval[0]) * self._length**power / (power + 1.0)
        )

    def names(self) -> tuple[str, ...]:
        """``t0``, ``t1``, ...; ``s0``, ``s1``, ... on [0, 1]."""
        return tuple(f"{'s' if self.unit else 't'}{j}" for j in range(self.size))


@dataclass(frozen=True)
class Legendre(_Polynomials):
    r"""Shifted Legendre polynomials :math:`\varphi_j=P_j(2s-1)`, orthogonal on the interval.

    Parameters
    ----------
    order : highest degree d; K = d + 1.
    interval : (t_0, t_0 + T).

    Examples
    --------
    >>> Legendre(2, (0.0, 30.0)).gram()
    array([[30.,  0.,  0.],
           [ 0., 10.,  0.],
           [ 0.,  0.,  6.]])
    """

    def _evaluate(self, t: Array) -> Array:
        return np.asarray(legendre.legvander(2.0 * self._unit(t) - 1.0, self.order))

    def gram(self) -> Array:
        """Diagonal T / (2j + 1)."""
        return np.diag((self.interval[1] - self.interval[0]) / (2.0 * np.arange(self.size) + 1.0))

    def names(self) -> tuple[str, ...]:
        """``P0``, ``P1``, ..."""
        return tuple(f"P{j}" for j in range(self.size))


@dataclass(frozen=True)
class Chebyshev(_Polynomials):
    r"""Shifted Chebyshev polynomials :math:`\varphi_j=\cos(j\arccos(2s-1))`, all within [-1, 1].

    Parameters
    ----------
    order : highest degree d; K = d + 1.
    interval : (t_0, t_0 + T).
    """

    def _evaluate(self, t: Array) -> Array:
        return np.asarray(chebyshev.chebvander(2.0 * self._unit(t) - 1.0, self.order))

    def gram(self) -> Array:
        r"""From :math:`T_iT_j=\frac12(T_{i+j}+T_{|i-j|})`, :math:`\int_{-1}^1T_n=2/(1-n^2)` for even n."""
        j = np.arange(self.size)

        def integral(n: np.ndarray) -> Array:
            even = n % 2 == 0
            return np.where(even, 2.0 / np.where(even, 1.0 - n.astype(float) ** 2, 1.0), 0.0)

        both = integral(np.add.outer(j, j)) + integral(np.abs(np.subtract.outer(j, j)))
        return np.asarray(0.25 * (self.interval[1] - self.interval[0]) * both)

    def names(self) -> tuple[str, ...]:
        """``T0``, ``T1``, ..."""
        return tuple(f"T{j}" for j in range(self.size))


@dataclass(frozen=True)
class Fourier(GlobalBasis):
    r"""1, :math:`\cos 2\pi js`, :math:`\sin 2\pi js` for j = 1 ... harmonics; the period is T.

    Parameters
    ----------
    harmonics : H; K = 2 H + 1.
    interval : (t_0, t_0 + T).
    """

    harmonics: int
    interval: Interval = (0.0, 1.0)

    def __post_init__(self) -> None:
        number = check_whole("the number of harmonics of Fourier", self.harmonics, 0)
        object.__setattr__(self, "harmonics", number)
        object.__setattr__(self, "interval", checked_interval(self.interval, "Fourier"))

    @property
    def size(self) -> int:
        """1 + 2 H."""
        return 2 * self.harmonics + 1

    @property
    def degree(self) -> int:
        """Enough for the fastest harmonic: ten points per period."""
        return 10 * self.harmonics

    def _evaluate(self, t: Array) -> Array:
        angle = 2.0 * np.pi * np.multiply.outer(self._unit(t), np.arange(1, self.harmonics + 1))
        waves = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(t), -1)
        return np.hstack([np.ones((len(t), 1)), waves])

    def gram(self) -> Array:
        """Diagonal: T for the constant, T/2 for the waves."""
        halves = np.append(1.0, np.full(self.size - 1, 0.5))
        return np.diag((self.interval[1] - self.interval[0]) * halves)

    def names(self) -> tuple[str, ...]:
        """``one``, ``cos1``, ``sin1``, ..."""
        waves = [f"{wave}{j}" for j in range(1, self.harmonics + 1) for wave in ("cos", "sin")]
        return ("one", *waves)

    def nodes(self) -> Array:
        """Equally spaced over the period."""
        start, end = self.interval
        return np.asarray(start + (end - start) * (np.arange(self.size) + 0.5) / self.size)
