r"""What is left of whole chains: the links that stayed, and the rows between them.

The QR factorisation of :math:`E^T` of the rows :math:`E x + B\theta = r` makes the links
:math:`x = N v + \Theta\theta - P^T r`, with :math:`P = -R^{-1} Q_1^T` and :math:`N = Q_2`: a chain is left with
as many columns :math:`v` as it has states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from ...numerics import Array, Index


@dataclass(eq=False)
class Ends:
    """What is left of all chains of as many segments; arrays begin with the chains.

    Attributes
    ----------
    chains : their numbers; ``segments``, ``links`` (chains, k) and (chains, k + 1) of them.
    P, N : see the module.
    A, b : Hessian of the links, and with the border.
    theta : links by the border.
    D, W : Hessian of v, and of v and border.
    """

    chains: Index
    segments: Index
    links: Index
    P: Array
    N: Array
    A: Array
    b: Array
    theta: Array
    D: Array
    W: Array

    def down(self, segment: Array, links: Array, theta: Array) -> Array:
        """Eliminate a right-hand side: (segments, states) rows, (slots, states) links.

        Returns
        -------
        (chains, states) that of v; ``theta`` (border,) is added to.
        """
        P, r = self.P, segment[self.segments]
        self._x = x = -(P.swapaxes(1, 2) @ r.reshape(*P.shape[:2], 1))
        left = links[self.links].reshape(x.shape) - self.A @ x
        theta += np.tensordot(left[:, :, 0], self.theta, 2) - np.tensordot(x[:, :, 0], self.b, 2)
        v: Array = (self.N.swapaxes(1, 2) @ left)[:, :, 0]
        return v

    def up(self, v: Array, theta: Array, links: Array, found: Array, nu: Array) -> None:
        """Put the links into ``found`` (slots, states) and the rows' multipliers into ``nu``."""
        x = self._x + self.N @ v[:, :, None] + (self.theta @ theta)[:, :, None]
        left = links[self.links].reshape(x.shape) - self.A @ x - (self.b @ theta)[:, :, None]
        found[self.links] = x.reshape(*self.links.shape, -1)
        nu[self.segments] = -(self.P @ left).reshape(*self.segments.shape, -1)


def add_both(out: Array, A: Array, B: Array) -> None:
    """Add AᵀB + BᵀA to the upper triangle of a symmetric matrix, in place."""
    if A.size and out.size:
        blas.dsyr2k(1.0, A.T, B.T, beta=1.0, c=out.T, lower=1, overwrite_c=1)


def add_square(out: Array, A: Array, factor: float) -> None:
    """Add a multiple of AᵀA to the upper triangle of a symmetric matrix, in place."""
    if A.size and out.size:
        blas.dsyrk(factor, A.T, beta=1.0, c=out.T, lower=1, overwrite_c=1)


def deficient(r: Array) -> bool:
    """Whether one of the triangular matrices is not invertible, to working precision."""
    diagonal = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    return bool((diagonal <= 1e-13 * np.abs(r).max(axis=(-2, -1))[..., None]).any())
