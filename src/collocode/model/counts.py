"""Likelihoods of counts: `Poisson` and `NegativeBinomial`; for what they share with others see `likelihoods`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..numerics import Array, Mask
from .activations import NUMPY, Operations
from .likelihoods import Likelihood
from .special import log_gamma


class _Counts(Likelihood):
    """What laws of counts have in common."""

    def saturated(self, y: Any) -> Any:
        """The count, or hardly more than nothing."""
        return np.maximum(y, 1e-10)

    def takes(self, y: Array) -> Mask:
        """Whole numbers from 0 on."""
        return np.asarray((y >= 0.0) & (y == np.round(y)))


@dataclass(frozen=True)
class Poisson(_Counts):
    """Counts whose mean and variance are the prediction."""

    dispersed = False

    def __post_init__(self) -> None:
        if self.sigma is not None:
            raise InputError(
                f"Poisson counts have no sigma ({self.sigma!r}), their variance is their mean; take "
                "NegativeBinomial for more."
            )

    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """h − y log h + log y!."""
        return h - y * ops.log(h) + log_gamma(y + 1.0, ops)

    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """1/h, and nothing."""
        return 1.0 / h, np.zeros_like(h)

    def deviation(self, h: Array, s: Array) -> Array:
        """√h."""
        return np.sqrt(np.maximum(h, 0.0))


@dataclass(frozen=True)
class NegativeBinomial(_Counts):
    """Counts of mean h and variance h + σ h²: Poisson ones whose rate varies by itself."""

    def minus_log(self, h: Any, y: Any, s: Any, ops: Operations = NUMPY, soft: bool = False) -> Any:
        """That of the count of failures before 1/σ successes."""
        r = 1.0 / s
        counted = log_gamma(y + 1.0, ops) + log_gamma(r, ops) - log_gamma(y + r, ops)
        return counted + (y + r) * ops.log(1.0 + s * h) - y * ops.log(s * h)

    def information(self, h: Array, s: Array) -> tuple[Array, Array]:
        """1/(h + σ h²), and that on σ summed over all counts."""
        return 1.0 / (h + s * h**2), _overdispersion(h, s)

    def deviation(self, h: Array, s: Array) -> Array:
        """√(h + σ h²)."""
        return np.asarray(np.sqrt(np.maximum(h + s * h**2, 0.0)))

    def guess(self, noise: float, size: float) -> float:
        """By moments."""
        return float(np.clip((noise**2 - size) / max(size, 1e-300) ** 2, 1e-3, 10.0))


def _overdispersion(h: Array, s: Array) -> Array:
    """Fisher's information on σ of negative binomial counts, by summing over them."""
    import scipy

    found = np.empty(np.broadcast(h, s).shape)
    for k, (mean, size) in enumerate(
        zip(*(np.ravel(v) for v in np.broadcast_arrays(h, s)), strict=True)
    ):
        top = int(mean + 12.0 * np.sqrt(mean + size * mean**2) + 30.0)
        y, r = np.arange(top + 1.0), 1.0 / size
        log_p = -NegativeBinomial(1.0).minus_log(mean, y, size)
        score = (
            scipy.special.digamma(y + r)
            - scipy.special.digamma(r)
            - np.log1p(size * mean)
            + 1.0
            - (y + r) / (mean + r)
        )  # by r; that by σ has the factor r²
        found.flat[k] = np.sum(np.exp(log_p) * (r**2 * score) ** 2)
    return found
