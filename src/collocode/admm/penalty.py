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

from ..model.loss import L1, L2

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


def consensus_penalty(given: L1 | L2, matrix: sparse.csr_matrix) -> Penalty:
    """Return the regulariser of the weight vector; ``matrix`` is M, the identity for plain weights."""
    identity = sparse.identity(matrix.shape[0])
    if isinstance(given, L1) or not matrix.shape[0] or abs(matrix - identity).max() == 0.0:
        return given
    return IntegralL2(given.strength, matrix)
