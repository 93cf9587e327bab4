r"""Losses: what a measurement costs; and regularisers.

.. math:: \frac1M \sum_{i} w_i\,\rho\Bigl(\frac{h_i(x(t_i)) - y_i}{\sigma_i}\Bigr)
          + \lambda \lVert\theta\rVert^2

The sum runs over the `M` finite measurements, so the loss does not grow with the number of data
and λ keeps its meaning.  Every ρ is scaled so that :math:`\rho(r)=r^2` to second order at zero.

===============  ==========================================================  ======================
`LeastSquares`   :math:`r^2`                                                 smooth
`PseudoHuber`    :math:`2\delta^2(\sqrt{1+(r/\delta)^2}-1)`                  smooth
`Huber`          :math:`r^2` for :math:`|r|\le\delta`, else                  once: ρ'' jumps at ±δ
                 :math:`2\delta|r|-\delta^2`
===============  ==========================================================  ======================

A loss is a function of prediction, measurement and σ; the three above need the residual only.
Likelihoods, with log terms, counts or censored values, are further records: see `likelihoods`.
Sources: Huber, *Robust Statistics*, 1981; Charbonnier et al., IEEE Trans. Image Proc. 6, 1997.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from ..checks import check_fields
from ..errors import InputError
from ..numerics import Array
from .activations import CASADI, NUMPY, Operations

Sigma = float | Mapping[str, float] | None
_UNSAID = float("nan")


class Loss(ABC):
    """The cost of one measurement `y` that was predicted as `h`, with noise of size σ.

    Attributes
    ----------
    sigma : standard deviation of the noise, one for all outputs or by output name; None divides
        every output by the standard deviation of its data, which makes the loss free of units.
    smoothness : number of continuous derivatives by `h`.
    quadratic : whether the cost is quadratic in `h`.
    kink : over how many σ the slope turns from one side to the other; infinite where it never does at once.
    likelihood : whether it is twice the negative logarithm of a density, see `likelihoods`.
    """

    sigma: Sigma
    smoothness: ClassVar[float] = np.inf
    likelihood: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False

    @abstractmethod
    def cost(self, h: Any, y: Any, sigma: Any, ops: Operations = NUMPY) -> Any:
        """Cost of every measurement, in NumPy or CasADi."""

    @property
    def kink(self) -> float:
        """See the class."""
        return np.inf

    def rounded(self, h: Any, y: Any, sigma: Any, factor: Any) -> Any:
        """The cost as a solver sees it, its kink so many times as wide; the slopes far from it stay."""
        return self.cost(h, y, sigma, CASADI)

    @abstractmethod
    def slope(self, h: Array, y: Array, sigma: Array) -> Array:
        """∂cost/∂h."""

    @abstractmethod
    def curvature(self, h: Array, y: Array, sigma: Array) -> Array:
        """∂²cost/∂h²; where it jumps, the value of one side."""

    def with_sigma(self, sigma: Mapping[str, float]) -> Self:
        """Return the same loss with σ by output."""
        return replace(self, sigma=sigma)  # type: ignore[type-var]

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the outputs of which it says something of their own."""
        return tuple(self.sigma) if isinstance(self.sigma, Mapping) else ()

    def among(self, outputs: Collection[str]) -> Self:
        """Return the same loss without what it says of other outputs."""
        if not isinstance(self.sigma, Mapping):
            return self
        kept = {name: value for name, value in self.sigma.items() if name in outputs}
        return replace(self, sigma=kept)  # type: ignore[type-var]

    def sigma_of(self, output: str, spread: float) -> float:
        """Return σ of an output whose data have standard deviation ``spread``."""
        if self.sigma is None:
            return spread if spread > 0.0 else 1.0
        if not isinstance(self.sigma, Mapping):
            return float(self.sigma)
        if output not in self.sigma:
            raise InputError(f"{type(self).__name__} has no sigma for output {output!r}; add it.")
        return float(self.sigma[output])


class ResidualLoss(Loss):
    """A loss ρ(r) of the scaled residual r = (h − y)/σ, even, with ρ(r) = r² near zero.

    Examples
    --------
    >>> Huber(1.0).rho(np.array([0.5, 3.0])), Huber(1.0).weight(np.array([0.5, 3.0]))
    (array([0.25, 5.  ]), array([1.        , 0.33333333]))
    """

    def __post_init__(self) -> None:
        given = self.sigma
        values = given.items() if isinstance(given, Mapping) else [("all", given)]
        for name, value in values if given is not None else ():
            if not isinstance(value, Real) or not (np.isfinite(value) and value > 0.0):
                raise InputError(f"sigma of {name} must be positive and finite, not {value!r}.")

    @abstractmethod
    def rho(self, r: Any, ops: Operations = NUMPY) -> Any:
        """ρ, in NumPy or CasADi."""

    @abstractmethod
    def psi(self, r: Array) -> Array:
        """ρ'."""

    @abstractmethod
    def psi_slope(self, r: Array) -> Array:
        """ρ''; where it jumps, the value of one side."""

    def weight(self, r: Array) -> Array:
        """ρ'(r) / (2 r), one at zero: what iteratively reweighted least squares gives a residual."""
        safe = np.where(r == 0.0, 1.0, r)
        return np.where(r == 0.0, 1.0, self.psi(r) / (2.0 * safe))

    def cost(self, h: Any, y: Any, sigma: Any, ops: Operations = NUMPY) -> Any:
        """ρ((h − y)/σ)."""
        return self.rho((h - y) / sigma, ops)

    def slope(self, h: Array, y: Array, sigma: Array) -> Array:
        """ρ'(r)/σ."""
        return np.asarray(self.psi((h - y) / sigma) / sigma)

    def curvature(self, h: Array, y: Array, sigma: Array) -> Array:
        """ρ''(r)/σ²."""
        return np.asarray(self.psi_slope((h - y) / sigma) / sigma**2)


@dataclass(frozen=True)
class LeastSquares(ResidualLoss):
    r"""Weighted least squares :math:`\frac1M\sum_i w_i\,((h_i(x(t_i)) - y_i)/\sigma_i)^2`.

    The sum runs over the `M` finite measurements; the :math:`w_i` are the experiments' weights.

    Parameters
    ----------
    sigma : standard deviation of the noise, one for all outputs or by output name; None divides
        every output by the standard deviation of its data, which makes the loss free of units.
    """

    sigma: Sigma = None
    quadratic = True

    def rho(self, r: Any, ops: Operations = NUMPY) -> Any:
        """r²."""
        return r**2

    def psi(self, r: Array) -> Array:
        """2 r."""
        return 2.0 * r

    def psi_slope(self, r: Array) -> Array:
        """2."""
        return np.full_like(r, 2.0)


class _Robust(ResidualLoss):
    delta: float

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()
        if np.isnan(self.delta):
            name = type(self).__name__
            raise InputError(
                f"{name} needs its delta, from where on a residual counts as an outlier, in units of σ; "
                f"write {name}(1.345, sigma) with the σ of the noise."
            )
        if not (np.isfinite(self.delta) and self.delta > 0.0):
            raise InputError(
                f"delta of {type(self).__name__} must be positive and finite, not {self.delta}."
            )

    @property
    def kink(self) -> float:
        """δ."""
        return self.delta

    def rounded(self, h: Any, y: Any, sigma: Any, factor: Any) -> Any:
        """ρ of another δ, divided by what the slopes at ±∞ have become steeper by."""
        return self._rho((h - y) / sigma, self.delta * factor, CASADI) / factor

    @abstractmethod
    def _rho(self, r: Any, delta: Any, ops: Operations) -> Any:
        """ρ of any δ."""

    def rho(self, r: Any, ops: Operations = NUMPY) -> Any:
        """See `ResidualLoss.rho`."""
        return self._rho(r, self.delta, ops)


@dataclass(frozen=True)
class Huber(_Robust):
    r"""Squares up to δ, straight lines beyond: outliers pull with a bounded force.

    ρ'' jumps at ±δ.  IPOPT crosses that, as it does in an `elu`; `PseudoHuber` has no jump.  Written
    as :math:`\rho=c\,(2r-c)` with :math:`c=\tfrac12(|r+\delta|-|r-\delta|)`, r clipped to ±δ, which every
    backend can say and whose derivatives are right at zero.

    Parameters
    ----------
    delta : from where on a residual counts as an outlier, in units of σ; 1.345 with the true σ costs
        5 % of efficiency where the noise is normal after all.
    sigma : as for `LeastSquares`.  Give the noise's; by None, δ counts in standard deviations of the
        data and seldom acts.
    """

    delta: float = _UNSAID
    sigma: Sigma = None
    smoothness = 1

    def _rho(self, r: Any, delta: Any, ops: Operations) -> Any:
        """c (2 r − c), r clipped to c."""
        c = 0.5 * (ops.absolute(r + delta) - ops.absolute(r - delta))
        return c * (2.0 * r - c)

    def psi(self, r: Array) -> Array:
        """2 r, clipped to ±2 δ."""
        return 2.0 * np.clip(r, -self.delta, self.delta)

    def psi_slope(self, r: Array) -> Array:
        """2 within ±δ, else 0."""
        return np.where(np.abs(r) <= self.delta, 2.0, 0.0)


@dataclass(frozen=True)
class PseudoHuber(_Robust):
    r"""A smooth Huber, :math:`2\delta^2(\sqrt{1+(r/\delta)^2}-1)`; SciPy calls it ``soft_l1``.

    Parameters
    ----------
    delta, sigma : as for `Huber`.
    """

    delta: float = _UNSAID
    sigma: Sigma = None

    def _rho(self, r: Any, delta: Any, ops: Operations) -> Any:
        """2 r² / (1 + √(1 + (r/δ)²)), which does not cancel near zero."""
        return 2.0 * r**2 / (1.0 + ops.sqrt(1.0 + (r / delta) ** 2))

    def psi(self, r: Array) -> Array:
        """2 r / √(1 + (r/δ)²)."""
        return np.asarray(2.0 * r / np.sqrt(1.0 + (r / self.delta) ** 2))

    def psi_slope(self, r: Array) -> Array:
        """2 / (1 + (r/δ)²)^{3/2}."""
        return np.asarray(2.0 / (1.0 + (r / self.delta) ** 2) ** 1.5)


LOSSES: dict[str, type[ResidualLoss]] = {
    "squared": LeastSquares,
    "huber": Huber,
    "pseudo_huber": PseudoHuber,
}


@dataclass(frozen=True)
class _Regulariser:
    strength: float = 1e-4

    def __post_init__(self) -> None:
        check_fields(self)
        if not (np.isfinite(self.strength) and self.strength >= 0.0):
            raise InputError(
                f"the strength of {type(self).__name__} must be finite and not negative, not "
                f"{self.strength}."
            )


@dataclass(frozen=True)
class L2(_Regulariser):
    r"""Ridge :math:`\lambda\lVert\theta\rVert^2` on the network weights, biases included.

    Weights that vary in time bear their mean square,
    :math:`\frac\lambda T\int\lVert\theta(t)\rVert^2dt`, whatever the basis.
    """

    def value(self, theta: Array) -> float:
        """λ ‖θ‖²."""
        return float(self.strength * (theta @ theta))

    def prox(self, v: Array, step: Array | float) -> Array:
        r"""Minimise :math:`\lambda\lVert z\rVert^2 + \sum (z - v)^2/(2\,step)`: v / (1 + 2 λ step)."""
        return np.asarray(v / (1.0 + 2.0 * self.strength * step))


@dataclass(frozen=True)
class Evidence:
    r"""Ridge whose λ the data choose: where the evidence of the fit is greatest, see `fit`.

    Parameters
    ----------
    start : λ of the first solve, and of whatever solves but once (`discretize`, `admm`, files); None
        takes 1e-4, or what is nearest to it from :math:`v/M` to :math:`10v/M`, v the share of noise in
        the smoothed data's variance: weights of size 1 to 1/3.

    Raises
    ------
    InputError
        A start that is not positive and finite.
    """

    start: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.start is not None and not (np.isfinite(self.start) and self.start > 0.0):
            raise InputError(
                f"the start of Evidence must be positive and finite, not {self.start}."
            )


@dataclass(frozen=True)
class L1(_Regulariser):
    r"""Lasso :math:`\lambda\lVert\theta\rVert_1`, which sets weights to zero.

    It has kinks, so it is no part of an NLP; `admm` handles it exactly in its consensus step.
    """

    def value(self, theta: Array) -> float:
        """λ ‖θ‖₁."""
        return float(self.strength * np.abs(theta).sum())

    def prox(self, v: Array, step: Array | float) -> Array:
        r"""Minimise :math:`\lambda\lVert z\rVert_1 + \sum (z - v)^2/(2\,step)`: soft threshold."""
        return np.asarray(np.sign(v) * np.maximum(np.abs(v) - self.strength * step, 0.0))
