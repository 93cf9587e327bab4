r"""Variances of what is linear in a fit's unknowns, and how much the data tell of each.

The covariance `C` of `uncertainty` is a sum of parts: one of every group of data whose noise is one (see
`noise`), one of the penalty and the priors.  Of a row `r` of derivatives by the unknowns

.. math:: s^2 = \sum_g r^TC_gr,\qquad \nu = s^4\Big/\sum_g (r^TC_gr)^2/\nu_g,

the sum over the groups whose variance was estimated, of :math:`\nu_g` degrees of freedom (Satterthwaite, Biometrics Bulletin 2, 1946).
Where parameters τ of a likelihood say the variances (see `dispersion`, A their covariance) it is
:math:`g^TAg/2`, :math:`g=\partial s^2/\partial\tau`, which is the same where each says one group's (Giesbrecht and
Burns, Biometrics 41, 1985); and as such a fit weighs its data by what it estimates, :math:`2\Phi\Lambda\Phi` is added to
`C` (Kackar and Harville, J. Am. Stat. Assoc. 79, 1984; Kenward and Roger, Biometrics 53, 1997):

.. math:: \Lambda=\sum_{kl}A_{kl}\Bigl(\sum_i\frac{D_{ik}D_{il}}{v_i}j_ij_i^T-P_k\Phi P_l\Bigr),\qquad
          P_k=\sum_i\frac{D_{ik}}{v_i}j_ij_i^T,\qquad \Phi=\Bigl(\sum_i\frac1{v_i}j_ij_i^T+\dots\Bigr)^{-1}.

:math:`s^2` is infinite where `r` moves along a direction that nothing determines, and where it hangs on
data none of which is left to tell their noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..numerics import Array
from .linearised import Linearised
from .noise import Noise

_FELT = 1e-9  # share of a variance below which a part of it is rounding


@dataclass(frozen=True, eq=False)
class Variances:
    """Variances along the unknowns of a linearised fit.

    Attributes
    ----------
    lin, noise : the fit and the noise of its data.
    parts : (d, d) covariances of every group of data, then of penalty and priors, then of the weights
        that a likelihood estimates.
    changes : (d, d) their slopes by the parameters that say the noise of data.
    """

    lin: Linearised
    noise: Noise
    parts: Sequence[Array]
    changes: Sequence[Array]

    @classmethod
    def of(cls, lin: Linearised, noise: Noise, alpha: float) -> Variances:
        """Take the sandwich apart."""
        F, parts = lin.inverse_root, []
        along = lin.J @ F
        scores = lin.precision * noise.of_data
        prior = lin.prior @ F
        on_sigma = lin.datum >= 0
        owner = np.where(on_sigma, noise.group[lin.datum], -1)
        for number, v in enumerate(noise.variance):
            mine, rows = noise.group == number, prior[owner == number]
            parts.append(along[mine].T @ (scores[mine, None] * along[mine]) + v * rows.T @ rows)
        bias = np.sqrt(lin.strength**2 / alpha) * (lin.penalty @ F) if np.isfinite(alpha) else F[:0]
        parts.append(bias.T @ bias + prior[~on_sigma].T @ prior[~on_sigma])
        parts.append(_of_weights(lin, noise, along))
        changes = [along.T @ ((scores * D)[:, None] * along) for D in noise.dispersion.drift.T]
        root = lin.allowed @ F

        def by_unknowns(tables: Sequence[Array]) -> list[Array]:
            return [np.asarray(root @ table @ root.T) for table in tables]

        return cls(lin, noise, by_unknowns(parts), by_unknowns(changes))

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
        unit = spread[:-2] / noise.variance[:, None]
        moved = np.array([(rows @ C * rows).sum(axis=1) for C in self.changes])
        moved = moved.reshape(len(self.changes), len(rows))
        untold = (unit * ~noise.told[:, None]).sum(axis=0) > _FELT * unit.sum(axis=0)
        if added is not None:
            at = np.asarray(group, dtype=int)
            known = at < 0
            spread[np.where(known, -2, at), np.arange(len(rows))] += added
            untold |= ~known & ~noise.told[at]
            for number in np.unique(at[~known]):
                slopes = noise.dispersion.drift[noise.group == number].mean(axis=0)
                moved += np.where(at == number, added, 0.0) * slopes[:, None]
        unknown = np.flatnonzero(~noise.known | noise.refuted)
        freedom = np.maximum(noise.freedom[unknown], 1.0)[:, None]
        rest = (spread[unknown] ** 2 / freedom).sum(axis=0)
        rest += 0.5 * np.einsum("kr,kl,lr->r", moved, noise.dispersion.covariance, moved)
        total = spread.sum(axis=0)
        counted = np.clip(total**2 / np.maximum(rest, 1e-9 * total**2 + 1e-300), 1.0, 1e9)
        variance = np.where(untold | self.lin.flat_along(rows), np.inf, total)
        return variance, counted


def _of_weights(lin: Linearised, noise: Noise, along: Array) -> Array:
    """2ΦΛΦ in the directions of H's root, where H is one."""
    told, r = noise.dispersion, along.shape[1]
    if not len(told.columns):
        return np.zeros((r, r))
    weight = lin.precision * lin.loss_curvature / noise.of_data
    estimated = told.part >= 0
    x, D = along[estimated], told.drift[estimated]
    before, w = (lin.precision * lin.loss_curvature)[estimated], weight[estimated]
    Phi = np.linalg.inv(np.eye(r) + x.T @ ((w - before)[:, None] * x))
    twice = w * np.einsum("ik,kl,il->i", D, told.covariance, D)
    Lambda = x.T @ (twice[:, None] * x)
    P = np.array([x.T @ ((w * d)[:, None] * x) for d in D.T])
    mixed = np.tensordot(told.covariance, P, axes=1)
    for one, other in zip(P, mixed, strict=True):
        Lambda -= one @ Phi @ other
    return np.asarray(2.0 * Phi @ Lambda @ Phi)
