r"""A discretization scheme as validated data.

On an element :math:`[t, t+h]` a scheme has nodes :math:`0=\tau_0\le\tau_1<\dots<\tau_m=1` with
states :math:`X_0,\dots,X_m` and the rows

.. math:: \sum_{j} D_{kj} X_j - h \sum_j B_{kj}\, f(t+\tau_j h, X_j) = 0,\qquad k=1,\dots,m .

The classics arise from the pieces:

* **Radau IIA**: nodes at the Radau points, `D` differentiates the interpolant, `B` picks the row's
  own stage (``[0 | I]``).
* **Gauss-Legendre**: the same, plus one row that extrapolates the interpolant to :math:`\tau=1`
  (a row of zeros in `B`), because its last stage lies inside the element.
* **Lobatto IIIA** (trapezoid, Hermite-Simpson): the derivative at :math:`\tau_0` is collocated
  too, so `B` has a first column.
* **Lobatto IIIC**: the first stage sits at the element's start but is not the start's state,
  :math:`\tau_1=\tau_0`; the row there is the differentiated interpolant of the stages and the
  penalised jump :math:`(X_1-X_0)/b_1` (discontinuous Galerkin with Lobatto's quadrature).
* **explicit Euler** is ``D=[-1 1], B=[1 0]``; **implicit Euler** ``B=[0 1]``.
* **global spectral methods** are one element of high degree.

:math:`X_m` of an element is :math:`X_0` of the next, for every scheme, so a chain of elements has
one state per node.  Orders are derived from the matrices by Butcher's simplifying assumptions
(Hairer, Norsett & Wanner, *Solving ODEs I*, Theorem II.7.4); nothing about them is typed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..errors import InputError
from . import Array

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class Scheme:
    r"""One discretization scheme: the nodes and matrices of the rows of an element.

    .. math:: \sum_{j} D_{kj} X_j - h \sum_j B_{kj}\, f(t+\tau_j h, X_j) = 0,\qquad k=1,\dots,m

    Parameters
    ----------
    name : the scheme's name, as `collocode.scheme` knows it.
    degree : number of stages (points where :math:`f` counts) that was asked for.
    nodes : (m+1,) increasing, from 0 to 1; the second may be 0 too, a stage at the start.
    D : (m, m+1) differentiation part; rows sum to zero.
    B : (m, m+1) which right-hand sides enter which row.
    dense : indices of the nodes that the interpolant :math:`x_h(\tau)=\sum_j\ell_j(\tau)X_j` uses.
    residual : weight w of :math:`w\int\|(\dot x_h-f)/\bar x\|^2dt` in the objective, see
        `collocode.transcription.residual`; 0 leaves it out.

    Raises
    ------
    InputError
        If the pieces do not fit together or are not consistent (order at least one).
    """

    name: str
    degree: int
    nodes: Array
    D: Array
    B: Array
    dense: tuple[int, ...]
    residual: float = 0.0

    def __post_init__(self) -> None:
        m = len(self.nodes) - 1
        if m < 1 or self.nodes[0] != 0.0 or self.nodes[-1] != 1.0:
            raise InputError(f"scheme {self.name!r}: nodes must start at 0 and end at 1")
        steps = np.diff(self.nodes)
        if steps[0] < 0.0 or np.any(steps[1:] <= 0.0):
            raise InputError(
                f"scheme {self.name!r}: nodes must increase strictly (the second may be 0 too)"
            )
        for label, matrix in (("D", self.D), ("B", self.B)):
            if matrix.shape != (m, m + 1):
                raise InputError(
                    f"scheme {self.name!r}: {label} has shape {matrix.shape}, "
                    f"but {m + 1} nodes need {(m, m + 1)}"
                )
        if not self.dense or any(j not in range(m + 1) for j in self.dense):
            raise InputError(f"scheme {self.name!r}: dense must name nodes 0 to {m}")
        if steps[0] == 0.0 and {0, 1} <= set(self.dense):
            raise InputError(
                f"scheme {self.name!r}: dense names two nodes at 0; the interpolant goes through one"
            )
        size = max(1.0, float(np.abs(self.D).max()))
        if np.abs(self.D.sum(axis=1)).max() > _TOLERANCE * size:
            raise InputError(
                f"scheme {self.name!r}: rows of D must sum to zero (constants are exact)"
            )
        if np.abs(self.D @ self.nodes - self.B.sum(axis=1)).max() > _TOLERANCE * size:
            raise InputError(
                f"scheme {self.name!r}: D nodes must equal the row sums of B (order one)"
            )

        if not (np.isfinite(self.residual) and self.residual >= 0.0):
            raise InputError(
                f"residual= of a scheme, the weight of the integrated residual, is zero or more, not "
                f"{self.residual}."
            )
        if self.residual and len(self.dense) != len(self.stages) + 1:
            raise InputError(
                f"the residual of scheme {self.name!r} does not vanish at its stages, since its interpolant is "
                "not the polynomial that is collocated; take 'radau', 'gauss' or a global scheme, or leave "
                "out residual=."
            )

    @property
    def intervals(self) -> int:
        """Number `m` of new states (and of rows, per component) in an element."""
        return len(self.nodes) - 1

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """Indices of the nodes at which the right-hand side is evaluated."""
        return tuple(int(j) for j in np.flatnonzero(np.abs(self.B).max(axis=0) > 0.0))

    @cached_property
    def butcher(self) -> tuple[Array, Array, Array]:
        """Butcher's (A, b, c) of the equivalent Runge-Kutta method, over `stages`."""
        full: Array = np.asarray(np.linalg.solve(self.D[:, 1:], self.B), dtype=float)
        full = np.vstack([np.zeros(len(self.nodes)), full])
        picked = list(self.stages)
        return full[np.ix_(picked, picked)], full[-1, picked], self.nodes[picked]

    @property
    def stage_order(self) -> int:
        """Order of the stage values; at most that of the method (Euler's only stage is exact)."""
        return min(self._stage_condition, self.order)

    @cached_property
    def _stage_condition(self) -> int:
        r"""Largest q with C(q): :math:`\sum_j a_{ij} P_k(c_j)=\int_0^{c_i} P_k` for k < q."""
        a, _, c = self.butcher
        return _first_failure(
            lambda k: a @ scipy.special.eval_sh_legendre(k, c) - _legendre_primitive(k, c),
            len(c) + 1,
        )

    @cached_property
    def order(self) -> int:
        """Order at the mesh points, min(p, q + r + 1, 2 q + 2) by Butcher's B(p), C(q), D(r)."""
        a, b, c = self.butcher
        p = _first_failure(
            lambda k: b @ scipy.special.eval_sh_legendre(k, c) - (k == 0), 2 * len(c) + 1
        )
        r = _first_failure(
            lambda k: (
                (b * scipy.special.eval_sh_legendre(k, c)) @ a
                - b * ((k == 0) - _legendre_primitive(k, c))
            ),
            len(c) + 1,
        )
        q = self._stage_condition
        return min(p, q + r + 1, 2 * q + 2)

    @property
    def dense_order(self) -> int:
        r"""Order of the interpolant between nodes, :math:`O(h^{q})`, never above the nodal one."""
        return min(self.order, len(self.dense))

    @cached_property
    def weights(self) -> Array:
        """(m+1,) quadrature weights of the nodes, zero where the right-hand side is not used."""
        weights = np.zeros(len(self.nodes))
        weights[list(self.stages)] = self.butcher[1]
        return weights

    def interpolation(self, tau: Array) -> Array:
        r"""(len(tau), m+1) matrix of :math:`\ell_j(\tau_i)`: states at nodes to states at tau.

        At 0 and 1 it gives the states of the mesh points, whatever `dense` and stages there say.
        """
        tau = np.atleast_1d(tau)
        matrix = np.zeros((len(tau), len(self.nodes)))
        matrix[:, list(self.dense)] = lagrange_matrix(self.nodes[list(self.dense)], tau)
        for node, end in ((0, 0.0), (-1, 1.0)):
            matrix[tau == end] = 0.0
            matrix[tau == end, node] = 1.0
        return matrix

    def slopes(self, tau: Array) -> Array:
        r"""(len(tau), m+1) matrix of :math:`\ell_j'(\tau_i)`, slopes of the interpolant in an element of length 1."""
        picked = list(self.dense)
        matrix = np.zeros((len(tau), len(self.nodes)))
        nodes = self.nodes[picked]
        matrix[:, picked] = lagrange_matrix(nodes, tau) @ differentiation_matrix(nodes)
        return matrix

    @cached_property
    def residual_quadrature(self) -> tuple[Array, Array]:
        """Gauss' points in (0, 1), two more than there are stages, and their weights."""
        points, weights = scipy.special.roots_legendre(len(self.stages) + 2)
        return 0.5 * (points + 1.0), 0.5 * weights

    def __repr__(self) -> str:
        charged = f", residual={self.residual:g}" if self.residual else ""
        return f"Scheme({self.name}, degree={self.degree}, order={self.order}{charged})"


def _legendre_primitive(k: int, c: Array) -> Array:
    r"""Return :math:`\int_0^c P_k` of the shifted Legendre polynomial."""
    if k == 0:
        return c
    value = scipy.special.eval_sh_legendre(k + 1, c) - scipy.special.eval_sh_legendre(k - 1, c)
    return np.asarray(value / (2.0 * (2 * k + 1)), dtype=float)


def _first_failure(defect: Callable[[int], Any], limit: int) -> int:
    """Smallest k < limit for which the order condition ``defect(k) = 0`` fails."""
    return next((k for k in range(limit) if np.abs(defect(k)).max() > _TOLERANCE), limit)


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
