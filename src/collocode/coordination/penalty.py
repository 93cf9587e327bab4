r"""Regularisers of the consensus step: values and proximal operators.

`L1` and `L2` act entry by entry.  Where weights vary in time, the ridge is an integral,
:math:`\lambda\frac1T\int\lVert\theta(t)\rVert^2dt = \lambda\,\theta^TM\theta` with the bases' Gram
matrices in `M`, and its proximal operator solves :math:`(I + 2\lambda s M) z = v`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from ..model.losses import L1, L2

Array = NDArray[np.float64]


class Penalty(Protocol):
    """What the consensus step asks of a regulariser."""

    @property
    def strength(self) -> float:
        """λ."""

    def value(self, theta: Array) -> float:
        """r(θ)."""

    def prox(self, v: Array, step: Array | float) -> Array:
        """Minimise r(z) + Σ (z - v)²/(2 step)."""


@dataclass(frozen=True, eq=False)
class IntegralL2:
    """λ θᵀ M θ with a symmetric positive semidefinite matrix M."""

    strength: float
    matrix: sparse.csr_matrix

    def value(self, theta: Array) -> float:
        """Value of the penalty."""
        return float(self.strength * (theta @ (self.matrix @ theta)))

    def prox(self, v: Array, step: Array | float) -> Array:
        """Solve (I + 2 λ s M) z = v; the step ``s`` is one number, every weight being in all batches."""
        size = float(np.max(step))
        system = sparse.identity(len(v)) + 2.0 * self.strength * size * self.matrix
        return np.asarray(spsolve(sparse.csc_matrix(system), v))


@dataclass(frozen=True, eq=False)
class ScaledL1:
    """λ Σ |s z| for entries that are in units s."""

    strength: float
    scale: Array

    def value(self, theta: Array) -> float:
        """Value of the penalty."""
        return float(self.strength * np.abs(self.scale * theta).sum())

    def prox(self, v: Array, step: Array | float) -> Array:
        """Soft threshold."""
        return np.asarray(
            np.sign(v) * np.maximum(np.abs(v) - self.strength * self.scale * step, 0.0)
        )


def consensus_penalty(given: L1 | L2, matrix: sparse.csr_matrix, scale: Array) -> Penalty:
    """Return the regulariser of the consensus' weights.

    Parameters
    ----------
    given : in the weights' own units.
    matrix : M, the identity for plain weights.
    scale : (weights,) units of the consensus entries.
    """
    units = sparse.diags(scale)
    scaled = sparse.csr_matrix(units @ matrix @ units)
    if not matrix.shape[0] or abs(scaled - sparse.identity(len(scale))).max() == 0.0:
        return given
    if isinstance(given, L1):
        return ScaledL1(given.strength, scale)
    return IntegralL2(given.strength, scaled)
