r"""Likelihoods: what a measurement says when the size, or the kind, of its noise is to be estimated.

A fit minimises :math:`\frac2M\bigl(-\log L\bigr)`, constants included, so that with a normal noise of known
σ the objective is that of `LeastSquares` plus a constant, and multipliers and intervals mean the same.

====================  ==========================================  =================================
record                law of the datum y                          σ is
====================  ==========================================  =================================
`Normal`              mean h, standard deviation σ                that
`LogNormal`           log y normal about log h                    the logarithm's deviation
`Laplace`             median h, scale σ                           the scale
`Student`             h + σ T, T of ν degrees of freedom          the scale
`Poisson`             counts of mean h                            not there
`NegativeBinomial`    counts of mean h, variance h + σ h²         the overdispersion
====================  ==========================================  =================================

σ is a number, a parameter's name, a pair ``(a, b)`` of either for :math:`\sigma=a+b|h|`, a function
``sigma(h, x, u, p)``, or None: then every output has a parameter ``sigma_<output>``, which is
estimated.  `Experiment.sigma`, where given, is believed instead.  A datum that is `Experiment.censored`
says that y is below, or above, its value.  Source: Pawitan, *In All Likelihood*, 2001.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import casadi as ca
import numpy as np
import scipy

from ..errors import InputError
from ..numerics import Array, Mask
from .activations import CASADI, NUMPY, Operations
from .losses import Loss
from .special import log_normal_tail

Size = float | str
Spread = Size | tuple[Size, Size] | Callable[..., Any] | None
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_SOFT = 1e-2  # of a Laplace kink, in units of its scale: what a solver sees at the end; Newton steps fail at less


@dataclass(frozen=True)
class Likelihood(Loss):
    """A loss that is twice the negative logarithm of a density.

    Parameters
    ----------
    sigma : see the module; one for all outputs, or by output name.
    per_experiment : whether a σ that is estimated by None is each experiment's own.
    """

    sigma: Spread | Mapping[str, Spread] = None  # type: ignore[assignment]
    _: KW_ONLY
    per_experiment: bool = False
    likelihood: ClassVar[bool] = True
    dispersed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given = self.sigma
        for name, spread in given.items() if isinstance(given, Mapping) else [("all", given)]:
            sizes = spread if isinstance(spread, tuple) else (spread,)
            numbers = [v for v in sizes if isinstance(v, int | float)]
            wrong = not all(np.isfinite(v) and v >= 0.0 for v in numbers)
            wrong |= isinstance(spread, tuple) and len(spread) != 2
            wrong |= not isinstance(spread, tuple) and 0.0 in numbers
            known = all(v is None or isinstance(v, str | int | float) or callable(v) for v in sizes)
            if wrong or not known:
                raise InputError(
                    f"sigma of {name} must be a positive number, a parameter's name, a pair (a, b) of "
                    f"them, a function of (h, x, u, p) or None, not {spread!r}."
                )

    @abstractmethod
    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """-log of the density, or probability, of ``y``; ``soft`` rounds kinks off for a solver."""

    @abstractmethod
    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """Fisher's information of a datum on h and on σ, which are orthogonal."""

    def blunted(self, spread: Array) -> Array:
        """Curvature of the cost where h is uncertain by ``spread`` σ, over Fisher's; one without a kink."""
        return np.ones_like(spread)

    @abstractmethod
    def deviation(self, h: Array, s: Array) -> Array:
        """Standard deviation of the data, in their units."""

    def minus_log_tail(self, h: Any, y: Any, s: Any, side: float, ops: Operations = NUMPY) -> Any:
        """-log of the probability of less than ``y`` (side -1), or of more (side 1)."""
        raise InputError(
            f"data that are censored have no {type(self).__name__} likelihood here; take Normal or "
            "LogNormal, or leave them out (NaN)."
        )

    def saturated(self, y: Any) -> Any:
        """The prediction under which ``y`` is most likely."""
        return y

    def takes(self, y: Array) -> Mask:
        """Which numbers can be data."""
        return np.ones_like(y, dtype=bool)

    def guess(self, noise: float, size: float) -> float:
        """A first σ for data of this size whose noise has this standard deviation."""
        return noise

    def cost(self, h: Any, y: Any, sigma: Any, ops: Operations = NUMPY) -> Any:
        """Twice the negative logarithm; what a solver sees of it, where the arguments are symbols."""
        return 2.0 * self.minus_log(h, y, sigma, ops, soft=ops is CASADI)

    def tail(self, h: Any, y: Any, sigma: Any, side: float, ops: Operations = NUMPY) -> Any:
        """The cost of a datum that is censored below (side -1) or above (1) its value."""
        return 2.0 * self.minus_log_tail(h, y, sigma, side, ops)

    def deviance(self, h: Array, y: Array, sigma: Array) -> Array:
        """Deviance residuals, of the sign of y − h: their square is what a datum costs beyond the least."""
        with np.errstate(all="ignore"):
            lost = self.minus_log(h, y, sigma) - self.minus_log(self.saturated(y), y, sigma)
            return np.asarray(np.sign(y - h) * np.sqrt(np.maximum(2.0 * lost, 0.0)))

    @cached_property
    def _derivatives(self) -> ca.Function:
        h, y, s = (ca.SX.sym(name) for name in "hys")
        value = self.cost(h, y, s, CASADI)
        slope = ca.gradient(value, h)
        return ca.Function("derivatives", [h, y, s], [slope, ca.gradient(slope, h)])

    def _derivative(self, k: int, h: Array, y: Array, sigma: Array) -> Array:
        tables = np.broadcast_arrays(h, y, sigma)
        found = self._derivatives(*(ca.DM(t.reshape(1, -1).tolist()) for t in tables))[k]
        return np.asarray(found, dtype=float).reshape(tables[0].shape)

    def slope(self, h: Array, y: Array, sigma: Array) -> Array:
        """∂cost/∂h, by CasADi."""
        return self._derivative(0, h, y, sigma)

    def curvature(self, h: Array, y: Array, sigma: Array) -> Array:
        """∂²cost/∂h², by CasADi."""
        return self._derivative(1, h, y, sigma)

    def of(self, output: str) -> Likelihood:
        """Return itself: it is that of every output."""
        return self

    def spread_of(self, output: str) -> Spread:
        """What is said of σ of an output; None where it is to be estimated."""
        if not isinstance(self.sigma, Mapping):
            return self.sigma
        if output not in self.sigma:
            raise InputError(f"{type(self).__name__} has no sigma for output {output!r}; add it.")
        return self.sigma[output]

    def sigma_of(self, output: str, spread: float) -> float:
        """σ of an output where it is a number; 0 where a model says it, 1 where there is none."""
        given = self.spread_of(output) if self.dispersed else 1.0
        return float(given) if isinstance(given, int | float) else 0.0

    def naming(self, outputs: Sequence[str], names: Mapping[str, str]) -> Self:
        """Return the same with parameters of these names, by output, for what is estimated by None."""
        if not names:
            return self
        return replace(self, sigma={n: names.get(n, self.spread_of(n)) for n in outputs})

    def with_sigma(self, sigma: Mapping[str, float]) -> Self:
        """Return the same: what is estimated is told by the parameters."""
        return self


@dataclass(frozen=True)
class Normal(Likelihood):
    """Normal noise; ``Normal()`` estimates its size for every output."""

    quadratic = True

    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """½ ((y − h)/σ)² + log σ + ½ log 2π."""
        return 0.5 * ((y - h) / s) ** 2 + ops.log(s) + _HALF_LOG_2PI

    def minus_log_tail(self, h: Any, y: Any, s: Any, side: float, ops: Operations = NUMPY) -> Any:
        """-log Φ."""
        return log_normal_tail(side * (y - h) / s, ops)

    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """1/σ² and 2/σ²."""
        return 1.0 / s**2, 2.0 / s**2

    def deviation(self, h: Array, s: Array) -> Array:
        """σ."""
        return s + 0.0 * h


@dataclass(frozen=True)
class LogNormal(Likelihood):
    """Normal noise of the logarithm: log y is normal about log h, both positive.

    Parameters
    ----------
    sigma : standard deviation of the logarithm.
    base : ``"e"`` or ``"10"``, of the logarithm that σ is of.
    """

    _: KW_ONLY
    base: Literal["e", "10"] = "e"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base not in ("e", "10"):
            raise InputError(f"the base of a LogNormal is 'e' or '10', not {self.base!r}.")

    @property
    def _unit(self) -> float:
        return math.log(10.0) if self.base == "10" else 1.0

    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """That of the logarithm, and log y for the change of variables."""
        width, log_y = self._unit * s, ops.log(y)
        return 0.5 * ((log_y - ops.log(h)) / width) ** 2 + ops.log(width) + log_y + _HALF_LOG_2PI

    def minus_log_tail(self, h: Any, y: Any, s: Any, side: float, ops: Operations = NUMPY) -> Any:
        """-log Φ of the logarithm."""
        return log_normal_tail(side * (ops.log(y) - ops.log(h)) / (self._unit * s), ops)

    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """1/(h σ)² and 2/σ²."""
        return 1.0 / (h * self._unit * s) ** 2, 2.0 / s**2

    def deviation(self, h: Array, s: Array) -> Array:
        """h exp(σ²/2) √(exp σ² − 1)."""
        v = (self._unit * s) ** 2
        return np.asarray(h * np.exp(0.5 * v) * np.sqrt(np.expm1(v)))

    def takes(self, y: Array) -> Mask:
        """Positive ones."""
        return np.asarray(y > 0.0)

    def guess(self, noise: float, size: float) -> float:
        """Relative to the size."""
        return min(noise / size, 1.0) / self._unit if size > 0.0 else 1.0


@dataclass(frozen=True)
class Laplace(Likelihood):
    """Double exponential noise, whose likelihood is greatest at the median: it looks past outliers."""

    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """|y − h|/σ + log 2σ."""
        r = (y - h) / s
        size = ops.sqrt(r**2 + _SOFT**2) if soft else ops.absolute(r)
        return size + ops.log(2.0 * s)

    @property
    def kink(self) -> float:
        """What it is rounded off over."""
        return _SOFT

    def rounded(self, h: Any, y: Any, sigma: Any, factor: Any) -> Any:
        """√(r² + ε²) for |r|, ε so many times as large as at the end."""
        r = (y - h) / sigma
        return 2.0 * (CASADI.sqrt(r**2 + (_SOFT * factor) ** 2) + CASADI.log(2.0 * sigma))

    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """1/σ² twice, as the median of many data tells."""
        return 1.0 / s**2, 1.0 / s**2

    def blunted(self, spread: Array) -> Array:
        """exp(a²/2) erfc(a/√2), the mean of exp(−a|z|) over normal z: densities fall off from the kink."""
        return np.asarray(scipy.special.erfcx(spread / math.sqrt(2.0)))

    def deviation(self, h: Array, s: Array) -> Array:
        """√2 σ."""
        return np.asarray(math.sqrt(2.0) * s + 0.0 * h)

    def guess(self, noise: float, size: float) -> float:
        """The noise over √2."""
        return noise / math.sqrt(2.0)


@dataclass(frozen=True)
class Student(Likelihood):
    """Noise σ T with T of Student's law: heavy tails that outliers come from.

    Parameters
    ----------
    sigma : the scale.
    freedom : degrees of freedom ν.
    """

    _: KW_ONLY
    freedom: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.isfinite(self.freedom) and self.freedom > 0.0):
            raise InputError(f"freedom of Student must be positive and finite, not {self.freedom}.")

    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """½(ν + 1) log(1 + r²/ν) + log σ + a constant."""
        n, r = self.freedom, (y - h) / s
        constant = math.lgamma(0.5 * n) - math.lgamma(0.5 * n + 0.5) + 0.5 * math.log(n * math.pi)
        return 0.5 * (n + 1.0) * ops.log(1.0 + r**2 / n) + ops.log(s) + constant

    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """(ν + 1)/(ν + 3)/σ² and 2ν/(ν + 3)/σ²."""
        n = self.freedom
        return (n + 1.0) / (n + 3.0) / s**2, 2.0 * n / (n + 3.0) / s**2

    def deviation(self, h: Array, s: Array) -> Array:
        """σ √(ν/(ν − 2)); inf for ν up to 2."""
        n = self.freedom
        return s * (math.sqrt(n / (n - 2.0)) if n > 2.0 else np.inf) + 0.0 * h
