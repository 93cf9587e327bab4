r"""Losses and regularisers.

.. math:: \frac1M \sum_{i} w_i \Bigl(\frac{h_i(x(t_i)) - y_i}{\sigma_i}\Bigr)^2
          + \lambda \lVert\theta\rVert^2

The sum runs over the `M` finite measurements, so the loss does not grow with the number of data
and λ keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


@dataclass(frozen=True)
class LeastSquares:
    r"""Weighted least squares :math:`\frac1M\sum_i w_i\,((h_i(x(t_i)) - y_i)/\sigma_i)^2`.

    The sum runs over the `M` finite measurements; the :math:`w_i` are the experiments' weights.

    Parameters
    ----------
    sigma : standard deviation of the noise, one for all outputs or by output name; None divides
        every output by the standard deviation of its data, which makes the loss free of units.
    """

    sigma: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        given = self.sigma
        if given is None:
            return
        for name, value in given.items() if isinstance(given, Mapping) else [("all", given)]:
            if not (np.isfinite(value) and value > 0.0):
                raise InputError(f"sigma of {name} must be positive and finite, not {value}.")

    def sigma_of(self, output: str, spread: float) -> float:
        """Return the divisor of an output whose data have standard deviation ``spread``."""
        if self.sigma is None:
            return spread if spread > 0.0 else 1.0
        if not isinstance(self.sigma, Mapping):
            return float(self.sigma)
        if output not in self.sigma:
            raise InputError(f"LeastSquares has no sigma for output {output!r}; add it.")
        return float(self.sigma[output])


@dataclass(frozen=True)
class L2:
    r"""Ridge penalty :math:`\lambda\lVert\theta\rVert^2` on the network weights, biases included.

    Weights that vary in time bear their mean square,
    :math:`\frac\lambda T\int\lVert\theta(t)\rVert^2dt`, whatever the basis.
    """

    strength: float = 1e-4

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength >= 0.0):
            raise InputError(
                f"the strength of L2 must be finite and not negative, not {self.strength}."
            )

    def value(self, theta: NDArray[np.float64]) -> float:
        """Value of the penalty."""
        return float(self.strength * (theta @ theta))

    def prox(
        self, v: NDArray[np.float64], step: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        r"""Minimise :math:`\lambda\lVert z\rVert^2 + \sum (z - v)^2/(2\,step)`: v / (1 + 2 λ step)."""
        return np.asarray(v / (1.0 + 2.0 * self.strength * step))


@dataclass(frozen=True)
class L1:
    r"""Lasso penalty :math:`\lambda\lVert\theta\rVert_1`, which sets weights to zero.

    It has kinks, so it is no part of an NLP; `admm` handles it exactly in its consensus step.
    """

    strength: float = 1e-4

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength >= 0.0):
            raise InputError(
                f"the strength of L1 must be finite and not negative, not {self.strength}."
            )

    def value(self, theta: NDArray[np.float64]) -> float:
        """Value of the penalty."""
        return float(self.strength * np.abs(theta).sum())

    def prox(
        self, v: NDArray[np.float64], step: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        r"""Minimise :math:`\lambda\lVert z\rVert_1 + \sum (z - v)^2/(2\,step)`: soft threshold."""
        return np.asarray(np.sign(v) * np.maximum(np.abs(v) - self.strength * step, 0.0))
