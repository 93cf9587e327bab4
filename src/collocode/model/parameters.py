r"""Parameters: their scales, bounds and priors.

A program decides :math:`z`, a model sees :math:`p=g(z)`.  Starts, bounds, steps and intervals are taken
on the scale of z and told in natural units.

=============  ==========================  ======================================
scale          z                           fits
=============  ==========================  ======================================
``"linear"``   p                           any number
``"log"``      :math:`\ln p`               positive ones, over orders of magnitude
``"log10"``    :math:`\log_{10}p`          the same
``"logit"``    :math:`\ln(p/(1-p))`        shares, between 0 and 1
=============  ==========================  ======================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from statistics import NormalDist
from typing import Any, Literal, get_args

import numpy as np

from ..checks import apart, check_choice, check_fields
from ..errors import InputError
from ..kinds import check_type
from ..numerics.bases import Basis
from .activations import NUMPY, Operations
from .varying import Block, check_basis

Kind = Literal["normal", "laplace", "lognormal", "loglaplace", "uniform"]
_LN10 = math.log(10.0)
_SOFT = 1e-3  # of a Laplace prior's kink, in units of its width


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a parameter is decided.

    Attributes
    ----------
    name : as a user writes it.
    lower, upper : where natural values lie.
    decided : p -> z, of numbers.
    natural : (z, operations) -> p, of numbers or symbols.
    slope : (z, p) -> dp/dz.
    decade : how far apart p and 10 p are (of a logit, where p is small).
    """

    name: str
    lower: float
    upper: float
    decided: Callable[[Any], Any]
    natural: Callable[[Any, Operations], Any]
    slope: Callable[[Any, Any], Any]
    decade: float


def _exp(z: Any, ops: Any) -> Any:
    """Return exp(z), which is inf at the end of an interval that nothing bounds."""
    with np.errstate(over="ignore"):
        return ops.exp(z)


SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="linear",
            lower=-np.inf,
            upper=np.inf,
            decided=lambda p: p,
            natural=lambda z, ops: z,
            slope=lambda z, p: np.ones_like(p),
            decade=np.inf,
        ),
        Scale(
            name="log",
            lower=0.0,
            upper=np.inf,
            decided=np.log,
            natural=lambda z, ops: _exp(z, ops),
            slope=lambda z, p: p,
            decade=_LN10,
        ),
        Scale(
            name="log10",
            lower=0.0,
            upper=np.inf,
            decided=np.log10,
            natural=lambda z, ops: _exp(_LN10 * z, ops),
            slope=lambda z, p: _LN10 * p,
            decade=1.0,
        ),
        Scale(
            name="logit",
            lower=0.0,
            upper=1.0,
            decided=lambda p: np.log(p) - np.log1p(-p),
            natural=lambda z, ops: ops.sigmoid(z),
            slope=lambda z, p: p * (1.0 - p),
            decade=_LN10,
        ),
    )
}


@dataclass(frozen=True)
class Prior:
    r"""What is known of a parameter beside the data: the density of its value.

    Its :math:`-\log\pi`, constants included, is added to :math:`-\log L`.

    =================  ==============================================================
    kind               density
    =================  ==============================================================
    ``"normal"``       mean ``location``, standard deviation ``width``
    ``"laplace"``      median ``location``, scale ``width``
    ``"lognormal"``    :math:`\ln v` normal, with ``location`` and ``width`` those of the logarithm
    ``"loglaplace"``   :math:`\ln v` Laplace, the same
    ``"uniform"``      between ``location`` and ``width``, its ends
    =================  ==============================================================

    Parameters
    ----------
    kind, location, width : see the table.
    on : ``"natural"``, v is the parameter; ``"scale"``, it is what is decided, say its log10.

    Raises
    ------
    InputError
        An unknown kind, numbers that are not finite, a width that is not positive, crossed ends.

    Examples
    --------
    >>> round(float(Prior("normal", 1.0, 0.5).cost(1.5, 1.5)), 6)  # -log of scipy.stats.norm(1, 0.5).pdf
    0.725791
    """

    kind: Kind
    location: float
    width: float
    _: KW_ONLY
    on: Literal["natural", "scale"] = "natural"

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("kind of prior", self.kind, get_args(Kind))
        check_choice("on= of a prior", self.on, ("natural", "scale"))
        if not np.isfinite([self.location, self.width]).all():
            raise InputError(
                f"a {self.kind} prior needs finite numbers, not {self.location} and {self.width}."
            )
        if self.kind == "uniform" and not self.location < self.width:
            raise InputError(
                f"a uniform prior lies between two ends, lower first, not {self.location:g} and "
                f"{self.width:g}."
            )
        if not self.width > 0.0 and self.kind != "uniform":
            raise InputError(
                f"the width of a {self.kind} prior must be positive, not {self.width}."
            )

    def cost(self, p: Any, z: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """-log π of a natural value ``p``, decided as ``z``; inside its ends, where it is uniform.

        ``soft`` rounds the kink of a Laplace density off, for a solver.
        """
        v = p if self.on == "natural" else z
        if self.kind == "uniform":
            return math.log(self.width - self.location) + 0.0 * v
        change = 0.0
        if self.kind.startswith("log"):
            v = change = ops.log(v)
        r = (v - self.location) / self.width
        if self.kind.endswith("normal"):
            return 0.5 * r**2 + math.log(self.width) + 0.5 * math.log(2.0 * math.pi) + change
        size = ops.sqrt(r**2 + _SOFT**2) if soft else ops.absolute(r)
        return size + math.log(2.0 * self.width) + change

    def quantile(self, share: float) -> float:
        """Return the value that this share of the density lies below, natural or on the scale, see ``on``."""
        if self.kind == "uniform":
            return self.location + share * (self.width - self.location)
        if self.kind.endswith("normal"):
            v = self.location + self.width * NormalDist().inv_cdf(share)
        else:
            side = math.copysign(1.0, share - 0.5)
            v = self.location - side * self.width * math.log(1.0 - abs(2.0 * share - 1.0))
        return math.exp(v) if self.kind.startswith("log") else v

    def curvature(self, p: float, z: float, slope: float) -> float:
        """Precision that it gives the decided value, the square of the slope over the variance."""
        if self.kind == "uniform":
            return 0.0
        by = slope if self.on == "natural" else 1.0
        by /= (p if self.on == "natural" else z) if self.kind.startswith("log") else 1.0
        return (by / self.width) ** 2


@dataclass(frozen=True)
class Parameter:
    r"""A physical parameter to be estimated.

    Parameters
    ----------
    name : as ``p.<name>`` in the right-hand side.
    start : first guess.
    lower, upper : bounds; equal ones fix it.
    unit : for reports.
    per_experiment : whether every experiment has a value of its own.
    basis : makes it a function of time, :math:`p(t)=\sum_j c_j\,\varphi_j(t)`, that starts out
        constant.  Its coefficients are called ``<name>.<function>``.  The bounds hold for p(t): where
        they can, through the coefficients (a constant, piecewise constants, splines of degree 1), else
        as constraints at the basis' `probes` (at every node, if ``per_experiment``).
    scale : ``"linear"``, ``"log"``, ``"log10"`` or ``"logit"``: on which it is decided.  All that is
        given and told is in natural units; the program's column of its name holds the decided value.
    prior : a `Prior`, whose -log is a cost.
    starts : a `Prior` that `multistart` draws starts from, within the bounds; by default any place between
        them, on the scale, is as good.

    Raises
    ------
    InputError
        Crossed bounds, a start that is not finite, outside the bounds or off the scale, a scale or a
        prior beside a basis.

    Examples
    --------
    >>> from collocode.numerics.bases import Legendre
    >>> Parameter("c", 0.5, lower=0.0, basis=Legendre(2, (0.0, 30.0))).names
    ('c.P0', 'c.P1', 'c.P2')
    >>> Parameter("k", 0.01, lower=1e-4, upper=10.0, scale="log10").decided_bounds
    (-4.0, 1.0)
    """

    name: str
    start: float
    lower: float = -np.inf
    upper: float = np.inf
    _: KW_ONLY
    unit: str = ""
    per_experiment: bool = False
    basis: Basis | None = None
    scale: str = "linear"
    prior: Prior | None = None
    starts: Prior | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self.lower, self.upper, f"parameter {self.name!r}")
        if not np.isfinite(self.start):
            raise InputError(
                f"parameter {self.name!r} starts at {self.start}; give a finite guess."
            )
        if not self.lower <= self.start <= self.upper:
            told = apart(self.start, self.lower, self.upper)
            raise InputError(
                f"parameter {self.name!r} starts at {told[0]}, outside its bounds "
                f"[{told[1]}, {told[2]}]; move the start or the bounds."
            )
        check_choice("scale", self.scale, SCALES)
        for what, given in (("prior", self.prior), ("starts=", self.starts)):
            if given is not None:
                check_type(f"the {what} of parameter {self.name!r}", given, Prior)
        scale = SCALES[self.scale]
        if not scale.lower < self.start < scale.upper:
            told = apart(self.start, scale.lower, scale.upper)
            raise InputError(
                f"parameter {self.name!r} starts at {told[0]}, which has no {self.scale}; start it "
                f"between {told[1]} and {told[2]}."
            )
        if self.basis is not None and (self.scale != "linear" or self.prior is not None):
            raise InputError(
                f"parameter {self.name!r} varies in time, so it is decided on the linear scale and "
                "without a prior; leave out scale= and prior=."
            )
        if self.basis is not None:
            check_basis(self.basis, f"parameter {self.name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its coefficients; its own if it does not vary in time."""
        if self.basis is None:
            return (self.name,)
        return tuple(f"{self.name}.{function}" for function in self.basis.names())

    @property
    def block(self) -> Block:
        """Its coefficients."""
        return Block(1, self.basis)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Coefficients of the start, constant in time."""
        if self.basis is None:
            return (float(self.decided(self.start)),)
        return tuple((self.start * self.basis.constant()).tolist())

    def decided(self, value: Any) -> Any:
        """Take natural numbers to the scale."""
        with np.errstate(divide="ignore"):  # a bound of zero is none on a logarithm
            return SCALES[self.scale].decided(value)

    def natural(self, decided: Any, ops: Operations = NUMPY) -> Any:
        """Take decided numbers, or symbols, to natural units."""
        return SCALES[self.scale].natural(decided, ops)

    def drawn(self, share: float) -> float:
        """Return the decided start, within the bounds, that this ``share`` of the ``starts`` lies below."""
        assert self.starts is not None
        value, (low, high) = self.starts.quantile(share), self.decided_bounds
        if self.starts.on == "natural":
            scale = SCALES[self.scale]
            value = float(self.decided(min(max(value, scale.lower), scale.upper)))
        return min(max(value, low), high)

    def slope(self, decided: Any) -> Any:
        """Derivative of the natural value by the decided one."""
        return SCALES[self.scale].slope(decided, self.natural(decided))

    @property
    def decided_bounds(self) -> tuple[float, float]:
        """Bounds on the scale; a uniform prior is one of them."""
        scale, prior = SCALES[self.scale], self.prior
        lower, upper = max(self.lower, scale.lower), min(self.upper, scale.upper)
        uniform = prior is not None and prior.kind == "uniform"
        if prior is not None and uniform and prior.on == "natural":
            lower, upper = max(lower, prior.location), min(upper, prior.width)
        low, high = float(self.decided(lower)), float(self.decided(upper))
        if prior is not None and uniform and prior.on == "scale":
            low, high = max(low, prior.location), min(high, prior.width)
        return low, high

    @property
    def bounded_by_rows(self) -> bool:
        """Whether bounds on p(t) are more than bounds on its coefficients."""
        bounded = np.isfinite(self.lower) or np.isfinite(self.upper)
        return bool(bounded) and self.basis is not None and not self.basis.bounded_by_coefficients


def check_bounds(lower: float, upper: float, what: str) -> None:
    """Refuse NaN and crossed bounds."""
    if np.isnan(lower) or np.isnan(upper):
        raise InputError(f"a bound of {what} is NaN; use -inf and inf for none.")
    if lower > upper:
        told = apart(lower, upper)
        raise InputError(f"the bounds of {what} cross ({told[0]} > {told[1]}); swap them.")
