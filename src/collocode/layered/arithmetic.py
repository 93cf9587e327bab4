"""What blocks are written over: rows of samples or one CasADi column; and factors of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.activations import CASADI, NUMPY, Operations

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arithmetic:
    """How states look: ``affine(K, x, b)``, halving and joining of states."""

    ops: Operations
    affine: Callable[[Any, Any, Any], Any]
    split: Callable[[Any], tuple[Any, Any]]
    join: Callable[[Any, Any], Any]


ROWS = Arithmetic(
    NUMPY,
    lambda K, x, b: x @ K.T + b,
    lambda x: (x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]),
    lambda y, z: np.concatenate([y, z], axis=-1),
)
COLUMN = Arithmetic(
    CASADI,
    lambda K, x, b: K @ x + b,
    lambda x: tuple(ca.vertsplit(x, x.numel() // 2)),
    ca.vertcat,
)


@dataclass(frozen=True, eq=False)
class Factor:
    """Cotangents of one affine map K x + b (or Kᵀ x + b): they give its share of the derivatives.

    Attributes
    ----------
    stage : which of the layer's weights the map uses.
    cotangent : (..., S, d) derivatives by the map's result.
    argument : (S, d) what it was applied to.
    transposed : whether the map is Kᵀ x + b.
    """

    stage: int
    cotangent: Array
    argument: Array
    transposed: bool = False

    def gradient(self) -> tuple[Array, Array]:
        """(d, d) and (d,) derivatives by K and b, summed over samples."""
        by_matrix = self.cotangent.T @ self.argument
        return by_matrix.T if self.transposed else by_matrix, self.cotangent.sum(axis=0)

    def rows(self) -> Array:
        """(..., S, d*d + d) derivatives by [K column by column, b], sample by sample."""
        first, second = self.argument[..., :, None], self.cotangent[..., None, :]
        # column-major: the last axis runs over the rows of K
        outer = (
            second.swapaxes(-1, -2) * first.swapaxes(-1, -2) if self.transposed else first * second
        )
        flat = outer.reshape(*outer.shape[:-2], -1)
        return np.concatenate([flat, self.cotangent], axis=-1)
