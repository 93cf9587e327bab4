r"""Blocks of layers whose signals neither explode nor die with depth.

Their equations are Hamiltonian, antisymmetric or of the second order, as in Haber & Ruthotto, *Stable
architectures for deep neural networks*, Inverse Problems 34 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice
from ..numerics import Array
from .blocks import (
    ROWS,
    Arithmetic,
    Block,
    Factor,
    ResidualBlock,
    RungeKuttaBlock,
    slope_of,
    tangent_of,
)


@dataclass(frozen=True)
class HamiltonianBlock(Block):
    """Z⁻ = h φ(Kᵀ Y + b), then Y⁺ = h φ(K Z + b); the state is (Y, Z).

    Symplectic Euler for a Hamiltonian, so that signals neither explode nor die with depth
    (Haber & Ruthotto, Inverse Problems 34, 2018).  Z begins at zero; the read-out sees Y.
    """

    def state_size(self, width: int) -> int:
        """Twice the width."""
        return 2 * width

    def step(self, x: Any, K: Any, b: Any, h: Any, arithmetic: Arithmetic = ROWS) -> Any:
        """Return (Y, Z) after the layer."""
        y, z = arithmetic.split(x)
        z = z - h * self.phi(arithmetic.affine(K[0].T, y, b[0]), arithmetic.ops)
        y = y + h * self.phi(arithmetic.affine(K[0], z, b[0]), arithmetic.ops)
        return arithmetic.join(y, z)

    def tangent(
        self, x: Array, K: Array, b: Array, h: float, dx: Array, dK: Array, db: Array
    ) -> Array:
        """Differentiate both half-steps; see `Block.tangent`."""
        (y, z), (dy, dz) = ROWS.split(x), ROWS.split(dx)
        value, change = tangent_of(self.phi, K[0].T, y, b[0], dy, dK[0].T, db[0])
        z, dz = z - h * value, dz - h * change
        dy = dy + h * tangent_of(self.phi, K[0], z, b[0], dz, dK[0], db[0])[1]
        return np.asarray(ROWS.join(dy, dz))

    def pullback(
        self, x: Array, K: Array, b: Array, h: float, p: Array
    ) -> tuple[Array, list[Factor]]:
        """Take both half-steps back; see `Block.pullback`."""
        y, z = ROWS.split(x)
        value, slope_z = slope_of(self.phi, ROWS.affine(K[0].T, y, b[0]))
        z = z - h * value
        _, slope_y = slope_of(self.phi, ROWS.affine(K[0], z, b[0]))
        py, pz = ROWS.split(p)
        q_y = (h * slope_y) * py
        pz = pz + q_y @ K[0]
        q_z = (-h * slope_z) * pz
        return (
            ROWS.join(py + q_z @ K[0].T, pz),
            [Factor(0, q_y, z), Factor(0, q_z, y, transposed=True)],
        )


@dataclass(frozen=True)
class AntisymmetricBlock(Block):
    """x + h φ(A x + b) with A = ½(K − Kᵀ), whose eigenvalues are imaginary.

    The symmetric part of K takes no part.
    """

    def step(self, x: Any, K: Any, b: Any, h: Any, arithmetic: Arithmetic = ROWS) -> Any:
        """Return x + h φ(A x + b)."""
        return x + h * self.phi(arithmetic.affine(_skew(K[0]), x, b[0]), arithmetic.ops)

    def tangent(
        self, x: Array, K: Array, b: Array, h: float, dx: Array, dK: Array, db: Array
    ) -> Array:
        """Return dx + h φ' (A dx + dA x + db)."""
        return dx + h * tangent_of(self.phi, _skew(K[0]), x, b[0], dx, _skew(dK[0]), db[0])[1]

    def pullback(
        self, x: Array, K: Array, b: Array, h: float, p: Array
    ) -> tuple[Array, list[Factor]]:
        """Return p + Aᵀ q with q = h φ' p; half of q belongs to K, half to −Kᵀ."""
        A = _skew(K[0])
        _, slope = slope_of(self.phi, ROWS.affine(A, x, b[0]))
        q = (h * slope) * p
        halves = [Factor(0, 0.5 * q, x), Factor(0, 0.5 * q, -x, transposed=True)]
        return p + q @ A, halves


@dataclass(frozen=True)
class LeapfrogBlock(Block):
    """v ← v − h Kᵀ φ(K x + b), then x ← x + h v; the state is (x, v).

    On layers of one length it is x₊ = 2x − x₋ − h² Kᵀ φ(K x + b).  v begins at zero; the read-out sees x.
    """

    def state_size(self, width: int) -> int:
        """Twice the width."""
        return 2 * width

    def step(self, x: Any, K: Any, b: Any, h: Any, arithmetic: Arithmetic = ROWS) -> Any:
        """Return (x, v) after the layer."""
        y, v = arithmetic.split(x)
        force = self.phi(arithmetic.affine(K[0], y, b[0]), arithmetic.ops)
        v = v - h * arithmetic.affine(K[0].T, force, 0.0)
        return arithmetic.join(y + h * v, v)

    def tangent(
        self, x: Array, K: Array, b: Array, h: float, dx: Array, dK: Array, db: Array
    ) -> Array:
        """Differentiate force and motion; see `Block.tangent`."""
        (y, _), (dy, dv) = ROWS.split(x), ROWS.split(dx)
        force, change = tangent_of(self.phi, K[0], y, b[0], dy, dK[0], db[0])
        dv = dv - h * (change @ K[0] + force @ dK[0])
        return np.asarray(ROWS.join(dy + h * dv, dv))

    def pullback(
        self, x: Array, K: Array, b: Array, h: float, p: Array
    ) -> tuple[Array, list[Factor]]:
        """Take motion and force back; see `Block.pullback`."""
        y, _ = ROWS.split(x)
        force, slope = slope_of(self.phi, ROWS.affine(K[0], y, b[0]))
        py, pv = ROWS.split(p)
        pv = pv + h * py
        q = (-h * slope) * (pv @ K[0].T)
        return (
            ROWS.join(py + q @ K[0], pv),
            [Factor(0, q, y), Factor(0, -h * force, pv, bias=False)],
        )


def _skew(K: Any) -> Any:
    """½(K − Kᵀ)."""
    return 0.5 * (K - K.T)


BLOCKS: dict[str, type[Block]] = {
    "residual": ResidualBlock,
    "hamiltonian": HamiltonianBlock,
    "rk4": RungeKuttaBlock,
    "antisymmetric": AntisymmetricBlock,
    "leapfrog": LeapfrogBlock,
}


def block(name: str, activation: str = "tanh") -> Block:
    """Return the block called ``residual``, ``hamiltonian``, ``rk4``, ``antisymmetric`` or ``leapfrog``.

    Raises
    ------
    InputError
        Unknown block or activation.

    Examples
    --------
    >>> block("residual", "swish")
    ResidualBlock(activation='swish')
    """
    check_choice("block", name, BLOCKS)
    return BLOCKS[name](activation)
