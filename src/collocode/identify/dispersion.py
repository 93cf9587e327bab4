r"""Parameters that say the noise of data and nothing else: whose noise, and how well it is known.

With the slopes :math:`D_{ik}` of the logarithm of every datum's variance by such parameters, and `P` what
priors say of them, their covariance is

.. math:: A = \Bigl(\tfrac12\sum_i\Bigl(1-\frac{\sum h}{N}\Bigr)\iota_iD_i^TD_i+P\Bigr)^{-1},

with ι the information that a datum has on its variance, one of a normal one, and the share of the data that the
fit used up taken off.  Data that some parameter joins are one *part*, which has that share in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..numerics import Array, Index
from .linearised import Linearised

LEAST = 0.02  # share of data that counts as their degrees of freedom at least


@dataclass(frozen=True, eq=False, kw_only=True)
class Dispersion:
    """Parameters of noise, and the data whose noise they are.

    Attributes
    ----------
    columns : (m,) which unknowns they are.
    drift : (n, m) slopes of the logarithm of every datum's variance.
    covariance : (m, m) A.
    part : (n,) number of every datum's part; -1 where its noise is no parameter's.
    part_of : (m,) the same of the parameters.
    data : (parts,) for how many data it counts, with what priors are worth.
    told : (parts,) what each of these tells of the variance.
    """

    columns: Index
    drift: Array
    covariance: Array
    part: Index
    part_of: Index
    data: Array
    told: Array

    def data_of(self, column: int) -> Index:
        """Numbers of the data whose noise an unknown says."""
        return np.flatnonzero(self.part == self.part_of[self.columns == column][0])

    def freedom(self, column: int) -> tuple[float, bool]:
        """Degrees of freedom of the variance that an unknown says, and whether it alone says it, of all its data."""
        k = self.columns.tolist().index(column)
        slopes = self.drift[self.data_of(column)]
        size = float(np.abs(slopes[:, k]).max())
        alone = np.ptp(slopes[:, k]) < 1e-6 * size and not np.delete(slopes, k, axis=1).any()
        return 2.0 / max(size**2 * self.covariance[k, k], 1e-300), bool(alone)


def dispersion_of(lin: Linearised) -> Dispersion:
    """Take a linearised fit's parameters of noise apart, without those that a bound holds."""
    moving = np.abs(lin.allowed[lin.sizes]).max(axis=1, initial=0.0) > 0.0
    columns, drift = lin.sizes[moving], lin.drift[:, moving]
    believed, m = lin.believed[np.ix_(moving, moving)], int(moving.sum())
    touched = sparse.csr_array(drift != 0.0).astype(float)
    part_of = sparse.csgraph.connected_components(touched.T @ touched)[1] if m else np.empty(0, int)
    part = np.full(lin.n, -1)
    for k in range(m):
        part[drift[:, k] != 0.0] = part_of[k]
    inverse, data, told = np.zeros((m, m)), [], []
    for number in range(int(part_of.max(initial=-1)) + 1):
        mine, own = part == number, part_of == number
        D, weight = drift[np.ix_(mine, own)], lin.tells[mine]
        heard = 0.5 * D.T @ (weight[:, None] * D)
        P = believed[np.ix_(own, own)]
        share = float(np.trace(np.linalg.pinv(heard + P) @ heard)) / max(int(own.sum()), 1)
        count = float(lin.counts[mine].sum())
        data.append(count / max(share, 1e-9))
        told.append(float(weight.sum()) / max(count, 1e-300))
        left = max(1.0 - float(lin.leverage[mine].sum()) / data[-1], LEAST)
        inverse[np.ix_(own, own)] = left * heard + P
    return Dispersion(
        columns=columns,
        drift=drift,
        covariance=np.asarray(np.linalg.pinv(inverse, hermitian=True)) if m else inverse,
        part=part,
        part_of=part_of,
        data=np.array(data),
        told=np.array(told),
    )
