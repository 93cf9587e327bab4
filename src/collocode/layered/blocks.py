r"""Blocks: what one layer does to the state, in both directions.

A block is one step :math:`x_{n+1}=\Phi(x_n;K,b,h)` of an integrator in depth.  It is written once
over an `Arithmetic`: rows of NumPy samples or one CasADi column.  Its `pullback` takes cotangents back
through the step and returns *factors*, pairs whose products are the derivatives by (K, b): summed
over samples they are the gradient, unsummed a Jacobian.

====================  ============================================================  ==========
`ResidualBlock`       x + h φ(K x + b): a ResNet layer, explicit Euler, DG(0)       one stage
`RungeKuttaBlock`     the classical method of order four on x' = φ(K(t) x + b(t))   three
`HamiltonianBlock`    Z⁻ = h φ(Kᵀ Y + b), Y⁺ = h φ(K Z + b): symplectic Euler       one stage
`AntisymmetricBlock`  x + h φ(½(K − Kᵀ) x + b)                                      one stage
`LeapfrogBlock`       x" = −Kᵀ φ(K x + b): leapfrog, the second order in depth      one stage
====================  ============================================================  ==========

The last three are in `stable_blocks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ..model.activations import CASADI, NUMPY, Activation, Operations, activation
from ..numerics import Array


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
    bias : whether b is in it.
    """

    stage: int
    cotangent: Array
    argument: Array
    transposed: bool = False
    bias: bool = True

    def gradient(self) -> tuple[Array, Array]:
        """(d, d) and (d,) derivatives by K and b, summed over samples."""
        by_matrix = self.cotangent.T @ self.argument
        by_bias = self.cotangent.sum(axis=0) if self.bias else np.zeros(by_matrix.shape[0])
        return by_matrix.T if self.transposed else by_matrix, by_bias

    def rows(self) -> Array:
        """(..., S, d*d + d) derivatives by [K column by column, b], sample by sample."""
        first, second = self.argument[..., :, None], self.cotangent[..., None, :]
        # column-major: the last axis runs over the rows of K
        outer = (
            second.swapaxes(-1, -2) * first.swapaxes(-1, -2) if self.transposed else first * second
        )
        flat = outer.reshape(*outer.shape[:-2], -1)
        by_bias = self.cotangent if self.bias else np.zeros((*flat.shape[:-1], first.shape[-2]))
        return np.concatenate([flat, by_bias], axis=-1)


# stage of the weights, where the slope before is followed to, weight in sixths
_RK4 = ((0, 0.0, 1.0), (1, 0.5, 2.0), (1, 0.5, 2.0), (2, 1.0, 1.0))


@dataclass(frozen=True)
class Block(ABC):
    """One layer; see the module for the kinds.

    Parameters
    ----------
    activation : one of `activation_names`.

    Raises
    ------
    InputError
        Unknown activation.
    """

    activation: str = "tanh"
    stages: ClassVar[tuple[float, ...]] = (0.0,)  # where in the layer, 0 to 1, weights are needed

    def __post_init__(self) -> None:
        activation(self.activation)

    @property
    def phi(self) -> Activation:
        """The activation with its derivatives."""
        return activation(self.activation)

    def state_size(self, width: int) -> int:
        """Length of the state of a network of the given width."""
        return width

    @abstractmethod
    def step(self, x: Any, K: Any, b: Any, h: Any, arithmetic: Arithmetic = ROWS) -> Any:
        """Take the states through the layer.

        Parameters
        ----------
        x : (S, state_size) states.
        K, b : (stages, d, d) and (stages, d) weights at the layer's `stages`.
        h : length of the layer.
        """

    @abstractmethod
    def tangent(
        self, x: Array, K: Array, b: Array, h: float, dx: Array, dK: Array, db: Array
    ) -> Array:
        """Return the derivative of the step in the direction (dx, dK, db); shapes as for `step`."""

    @abstractmethod
    def pullback(
        self, x: Array, K: Array, b: Array, h: float, p: Array
    ) -> tuple[Array, list[Factor]]:
        """Take cotangents (..., S, state_size) of the step's result back to its argument.

        Returns
        -------
        The cotangents of ``x`` and the factors of the derivatives by the weights.
        """


@dataclass(frozen=True)
class ResidualBlock(Block):
    """x + h φ(K x + b); its unit steps are the layers of a ResNet (He et al., CVPR 2016)."""

    def step(self, x: Any, K: Any, b: Any, h: Any, arithmetic: Arithmetic = ROWS) -> Any:
        """Return x + h φ(K x + b)."""
        return x + h * self.phi(arithmetic.affine(K[0], x, b[0]), arithmetic.ops)

    def tangent(
        self, x: Array, K: Array, b: Array, h: float, dx: Array, dK: Array, db: Array
    ) -> Array:
        """Return dx + h φ' (K dx + dK x + db)."""
        return dx + h * tangent_of(self.phi, K[0], x, b[0], dx, dK[0], db[0])[1]

    def pullback(
        self, x: Array, K: Array, b: Array, h: float, p: Array
    ) -> tuple[Array, list[Factor]]:
        """Return p + Kᵀ q with q = h φ' p; see `Block.pullback`."""
        _, slope = slope_of(self.phi, ROWS.affine(K[0], x, b[0]))
        q = (h * slope) * p
        return p + q @ K[0], [Factor(0, q, x)]


@dataclass(frozen=True)
class RungeKuttaBlock(Block):
    """The classical Runge-Kutta method on x' = φ(K(t) x + b(t)): a neural ODE in depth."""

    stages = (0.0, 0.5, 1.0)  # beginning, middle and end

    def step(self, x: Any, K: Any, b: Any, h: Any, arithmetic: Arithmetic = ROWS) -> Any:
        """Return x + h (k₁ + 2 k₂ + 2 k₃ + k₄) / 6."""
        rate, total = 0.0 * x, 0.0
        for stage, shift, weight in _RK4:
            at = arithmetic.affine(K[stage], x + shift * h * rate, b[stage])
            rate = self.phi(at, arithmetic.ops)
            total = total + weight * rate
        return x + (h / 6.0) * total

    def tangent(
        self, x: Array, K: Array, b: Array, h: float, dx: Array, dK: Array, db: Array
    ) -> Array:
        """Differentiate the four stages; see `Block.tangent`."""
        rate, change, total = np.zeros_like(x), np.zeros_like(dx), dx.copy()
        for stage, shift, weight in _RK4:
            at, towards = x + shift * h * rate, dx + shift * h * change
            rate, change = tangent_of(
                self.phi, K[stage], at, b[stage], towards, dK[stage], db[stage]
            )
            total += (h * weight / 6.0) * change
        return total

    def pullback(
        self, x: Array, K: Array, b: Array, h: float, p: Array
    ) -> tuple[Array, list[Factor]]:
        """Take the four stages back, last first; see `Block.pullback`."""
        arguments, slopes, rate = [], [], np.zeros_like(x)
        for stage, shift, _ in _RK4:
            arguments.append(x + shift * h * rate)
            rate, slope = slope_of(self.phi, ROWS.affine(K[stage], arguments[-1], b[stage]))
            slopes.append(slope)
        total, factors = p.copy(), []
        by_rate = np.zeros_like(p)  # what the stage after this one hands back
        for (stage, shift, weight), argument, slope in zip(
            _RK4[::-1], arguments[::-1], slopes[::-1], strict=True
        ):
            q = slope * ((h * weight / 6.0) * p + by_rate)
            factors.append(Factor(stage, q, argument))
            by_argument = q @ K[stage]
            total += by_argument
            by_rate = shift * h * by_argument
        return total, factors


def slope_of(phi: Activation, a: Array) -> tuple[Array, Array]:
    """φ(a) and φ'(a)."""
    value = np.asarray(phi(a), dtype=float)
    return value, phi.slope(a, value)


def tangent_of(
    phi: Activation, K: Array, x: Array, b: Array, dx: Array, dK: Array, db: Array
) -> tuple[Array, Array]:
    """φ(K x + b) and its derivative in the direction (dx, dK, db)."""
    value, slope = slope_of(phi, ROWS.affine(K, x, b))
    return value, slope * (dx @ K.T + ROWS.affine(dK, x, db))
