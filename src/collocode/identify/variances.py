r"""Variances of what is linear in a fit's unknowns, and how much the data tell of each.

The covariance `C` of `uncertainty` is a sum of parts: one of every group of data whose noise is one (see
`noise`), one of the penalty and the priors.  Of a row `r` of derivatives by the unknowns

.. math:: s^2 = \sum_g r^TC_gr,\qquad \nu = s^4\Big/\sum_g (r^TC_gr)^2/\nu_g,

the sum over the groups whose variance was estimated, of :math:`\nu_g` degrees of freedom (Satterthwaite, Biometrics Bulletin 2, 1946).
:math:`s^2` is infinite where `r` moves along a direction that nothing determines, and where it hangs on
data none of which is left to tell their noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .linearised import Linearised
from .noise import Noise

Array = NDArray[np.float64]
_FELT = 1e-9  # share of a variance below which a part of it is rounding


@dataclass(frozen=True, eq=False)
class Variances:
    """Variances along the unknowns of a linearised fit.

    Attributes
    ----------
    lin, noise : the fit and the noise of its data.
    parts : (d, d) covariances of every group of data, then of penalty and priors.
    factor : makes the variance good that a likelihood estimates too small by the lost freedom.
    most : degrees of freedom at most.
    """

    lin: Linearised
    noise: Noise
    parts: Sequence[Array]
    factor: float
    most: float

    @classmethod
    def of(cls, lin: Linearised, noise: Noise, alpha: float, factor: float = 1.0) -> Variances:
        """Take the sandwich apart."""
        F, parts = lin.inverse_root, []
        along = lin.J @ F
        scores = factor * lin.precision * noise.of_data
        for number in range(len(noise.known)):
            mine = noise.group == number
            parts.append(along[mine].T @ (scores[mine, None] * along[mine]))
        bias = np.sqrt(lin.strength**2 / alpha) * (lin.penalty @ F) if np.isfinite(alpha) else F[:0]
        prior = lin.prior @ F
        parts.append(factor * (bias.T @ bias + prior.T @ prior))
        root = lin.allowed @ F
        left = lin.n - float(lin.leverage.sum())
        most = max(left, 1.0) if factor > 1.0 else np.inf
        return cls(lin, noise, [np.asarray(root @ part @ root.T) for part in parts], factor, most)

    @cached_property
    def covariance(self) -> Array:
        """(d, d) of what the data determine."""
        return np.asarray(np.sum(self.parts, axis=0))

    def along(
        self, rows: Array, added: Array | None = None, group: ArrayLike = ()
    ) -> tuple[Array, Array]:
        """Return variances and degrees of freedom along (k, d) ``rows``.

        Parameters
        ----------
        added : (k,) variance that is added, of data of a known noise or of those of ``group``.
        group : (k,) numbers of groups of data; -1 for none.
        """
        noise = self.noise
        spread = np.array([np.clip((rows @ C * rows).sum(axis=1), 0.0, None) for C in self.parts])
        unit = spread[:-1] / noise.variance[:, None]
        untold = (unit * ~noise.told[:, None]).sum(axis=0) > _FELT * unit.sum(axis=0)
        if added is not None:
            at = np.asarray(group, dtype=int)
            known = at < 0
            spread[np.where(known, -1, at), np.arange(len(rows))] += added
            untold |= ~known & ~noise.told[at]
        unknown = np.flatnonzero(~noise.known | noise.refuted)
        freedom = np.maximum(noise.freedom[unknown], 1.0)[:, None]
        rest = (spread[unknown] ** 2 / freedom).sum(axis=0)
        total = spread.sum(axis=0)
        counted = np.clip(total**2 / np.maximum(rest, 1e-9 * total**2 + 1e-300), 1.0, 1e9)
        variance = np.where(untold | self.lin.flat_along(rows), np.inf, total)
        return variance, np.minimum(counted, self.most)
