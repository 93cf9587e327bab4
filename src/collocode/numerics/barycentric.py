"""Polynomial interpolation in barycentric form (Berrut & Trefethen, SIAM Review 46, 2004).

Everything a collocation scheme needs of polynomials (values, derivatives and integrals of the
Lagrange basis) comes from the nodes through the barycentric weights.  No monomial appears, so
the matrices keep full accuracy at degrees in the hundreds.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def barycentric_weights(nodes: ArrayLike) -> Array:
    r"""Weights :math:`w_j = 1/\prod_{k\ne j}(x_j-x_k)`, scaled so that the largest is one.

    Examples
    --------
    >>> barycentric_weights([0.0, 0.5, 1.0])
    array([ 0.5, -1. ,  0.5])
    """
    x = np.asarray(nodes, dtype=float)
    difference = x[:, None] - x[None, :]
    np.fill_diagonal(difference, 1.0)
    logs = -np.log(np.abs(difference)).sum(axis=1)
    signs = np.prod(np.sign(difference), axis=1)
    return np.asarray(signs * np.exp(logs - logs.max()), dtype=float)


def lagrange_matrix(nodes: ArrayLike, points: ArrayLike) -> Array:
    r"""Matrix :math:`L_{ij}=\ell_j(p_i)` that takes values at ``nodes`` to values at ``points``.

    Parameters
    ----------
    nodes : (n,) distinct abscissae.
    points : (m,) where to evaluate.

    Returns
    -------
    (m, n) array; rows sum to one.
    """
    x = np.asarray(nodes, dtype=float)
    p = np.atleast_1d(np.asarray(points, dtype=float))
    gap = p[:, None] - x[None, :]
    exact = gap == 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = barycentric_weights(x)[None, :] / gap
        matrix = terms / terms.sum(axis=1, keepdims=True)
    hit = exact.any(axis=1)
    matrix[hit] = exact[hit].astype(float)
    return matrix


def differentiation_matrix(nodes: ArrayLike) -> Array:
    r"""Matrix :math:`D_{ij}=\ell_j'(x_i)`; the diagonal makes every row sum to zero."""
    x = np.asarray(nodes, dtype=float)
    w = barycentric_weights(x)
    gap = x[:, None] - x[None, :]
    np.fill_diagonal(gap, 1.0)
    matrix = (w[None, :] / w[:, None]) / gap
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


def integration_matrix(nodes: ArrayLike, ends: ArrayLike) -> Array:
    r"""Matrix :math:`A_{ij}=\int_0^{e_i}\ell_j(\tau)\,d\tau`, by Gauss quadrature (exact)."""
    x = np.asarray(nodes, dtype=float)
    upper = np.atleast_1d(np.asarray(ends, dtype=float))
    points, weights = scipy.special.roots_legendre((len(x) + 1) // 2 + 1)
    rows = [0.5 * e * (weights @ lagrange_matrix(x, 0.5 * e * (points + 1.0))) for e in upper]
    return np.asarray(rows)
