r"""Dual weights of a goal: one linear system with the NLP's own H and J.

For a goal :math:`E(x)` the weights :math:`(v, w)` solve

.. math:: \begin{pmatrix} H & J^T\\ J & 0\end{pmatrix}\begin{pmatrix} v\\ w\end{pmatrix}
          = -\begin{pmatrix} \nabla E\\ 0\end{pmatrix},

with fixed variables, variables at active bounds and inactive inequality rows taken out (Becker,
Kapp & Rannacher, SIAM J. Control Optim. 39 (2000); Meidner & Vexler, SIAM J. Control Optim. 46
(2007)).  `w` weighs the residual of the state equation, `v` those of the adjoint and gradient
equations.  For the NLP's own objective the solution is known: :math:`v=0, w=\lambda`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import casadi as ca
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ..errors import InputError
from ..numerics import Array, Index, Mask
from ..results.status import SolverResult
from ..transcription.nlp import NLP

_ACCURACY, _RANK = 1e-8, 1e-13
_SINGULAR = (
    "the linear system for the goal's weights is singular: the data do not determine what the goal "
    "depends on; fix a parameter or add regularisation."
)


@dataclass(frozen=True, eq=False)
class System:
    """The optimality conditions at a solution, linearised: H, J, and what of them is free.

    Attributes
    ----------
    nlp : where they come from.
    hessian, jacobian : of all columns and rows.
    free, rows : (columns,) and (rows,) which variables and rows take part.
    """

    nlp: NLP
    hessian: sparse.csc_matrix
    jacobian: sparse.csc_matrix
    free: Mask
    rows: Mask

    @classmethod
    def of(cls, nlp: NLP, result: SolverResult) -> System:
        """Evaluate H and J at a solution; leave out what bounds hold."""
        free, rows = free_columns(nlp, result), active_rows(nlp, result)
        return cls(nlp, *_derivatives(nlp, result.x, result.lam_g), free, rows)

    @classmethod
    def of_simulation(cls, nlp: NLP, x: Array, multipliers: Array) -> System:
        """The same for the states alone: parameters and initial states stay as they are."""
        free, rows = np.zeros(nlp.columns, dtype=bool), np.zeros(nlp.rows, dtype=bool)
        for part in nlp.layout.experiments:
            free[part.dependent] = True
            rows[part.equations] = True
        return cls(nlp, *_derivatives(nlp, x, multipliers), free, rows)

    def solve(self, right_x: Array, right_g: Array) -> tuple[Array, Array]:
        """Return (columns,) v and (rows,) w with H v + Jᵀ w = right_x, J v = right_g.

        The states follow from the collocation rows by substitution, so one sparse LU of their
        square block serves; parameters, weights, initial states and what bounds hold form a small
        dense border.  Where that loses accuracy (dynamics that amplify strongly), the whole matrix
        is factorised.  The factors are kept for further right-hand sides.

        Raises
        ------
        InputError
            The system is singular: the data do not determine what the goal depends on.
        """
        s, r = self.nlp.column_scale, self.nlp.row_scale
        h, j = self._scaled
        a, g = np.where(self.free, s * right_x, 0.0), np.where(self.rows, r * right_g, 0.0)
        with np.errstate(all="ignore"):
            v, w, determined = self._condensed(a, g)
            if determined and not self._solves(h, j, a, g, v, w):
                v, w = self._whole(a, g)
        if not self._solves(h, j, a, g, v, w):
            raise InputError(_SINGULAR)
        return s * v, r * w

    @cached_property
    def _scaled(self) -> tuple[Any, Any]:
        """H and J in the units of the scaled problem."""
        s, r = sparse.diags(self.nlp.column_scale), sparse.diags(self.nlp.row_scale)
        return (s @ self.hessian @ s).tocsc(), (r @ self.jacobian @ s).tocsc()

    @cached_property
    def _condensation(self) -> _Condensation | None:
        """The states eliminated; None where the rows do not determine them."""
        h, j = self._scaled
        states, rows = _chain(self.nlp)
        columns = np.setdiff1d(np.flatnonzero(self.free), states)
        others = np.setdiff1d(np.flatnonzero(self.rows), rows)
        held = np.flatnonzero(~self.free[states])
        jr = j.tocsr()
        h_s, j_c, j_o = h[:, states].tocsr(), jr[rows], jr[others]
        unit = sparse.csr_matrix(
            (np.ones(len(held)), (held, np.arange(len(held)))), (len(states), len(held))
        )
        upper = sparse.hstack([h_s[columns].T, j_o[:, states].T, unit]).toarray()
        lower = np.zeros((len(rows), upper.shape[1]))
        lower[:, : len(columns)] = j_c[:, columns].toarray()
        corner = np.zeros((upper.shape[1],) * 2)
        k, both = len(columns), len(columns) + len(others)
        corner[:k, :k] = h[:, columns].tocsr()[columns].toarray()
        corner[k:both, :k] = j_o[:, columns].toarray()
        corner[:k, k:both] = corner[k:both, :k].T
        try:
            lu = splu(j_c[:, states].tocsc(), permc_spec="NATURAL")
            inner = h_s[states]
            moved = lu.solve(lower)
            border = moved, lu.solve(upper - inner @ moved, trans="T")
            schur = _Symmetric.of(corner - upper.T @ border[0] - lower.T @ border[1])
        except (RuntimeError, np.linalg.LinAlgError):
            return None
        return _Condensation(
            states, rows, columns, others, len(held), inner, lu, upper, lower, border, schur
        )

    def _condensed(self, a: Array, g: Array) -> tuple[Array, Array, bool]:
        """Solve by elimination of the states; also tell whether the rest has full rank."""
        v, w, c = np.zeros_like(a), np.zeros_like(g), self._condensation
        if c is None:
            return v + np.nan, w, True
        moved = c.lu.solve(g[c.rows])
        answer = c.lu.solve(a[c.states] - c.inner @ moved, trans="T")
        right = np.concatenate([a[c.columns], g[c.others], np.zeros(c.held)])
        z = c.schur.solve(right - c.upper.T @ moved - c.lower.T @ answer)
        v[c.states], w[c.rows] = moved - c.border[0] @ z, answer - c.border[1] @ z
        k, both = len(c.columns), len(c.columns) + len(c.others)
        v[c.columns], w[c.others] = z[:k], z[k:both]
        return v, w, c.schur.determined

    @cached_property
    def _factors(self) -> Any:
        """Sparse LU of the whole matrix; None where it is singular."""
        h, j = self._scaled
        free = self.free
        block = j[:, free].tocsr()[self.rows]
        matrix = sparse.block_array(
            [[h[:, free].tocsr()[free], block.T], [block, None]], format="csc"
        )
        try:
            return splu(matrix)
        except RuntimeError:
            return None

    def _whole(self, a: Array, g: Array) -> tuple[Array, Array]:
        """Solve by a sparse LU of the whole matrix."""
        free, rows = self.free, self.rows
        v, w = np.zeros_like(a), np.zeros_like(g)
        if self._factors is None:
            return v + np.nan, w
        found = self._factors.solve(np.concatenate([a[free], g[rows]]))
        v[free], w[rows] = found[: free.sum()], found[free.sum() :]
        return v, w

    def _solves(self, h: Any, j: Any, a: Array, g: Array, v: Array, w: Array) -> bool:
        """Whether v and w are finite and solve the system."""
        if not (np.isfinite(v).all() and np.isfinite(w).all()):
            return False
        first = (h @ v + j.T @ w - a)[self.free]
        second = (j @ v - g)[self.rows]
        size = max(abs(h).max() if h.nnz else 0.0, abs(j).max() if j.nnz else 0.0)
        size = size * max(np.abs(v).max(initial=0.0), np.abs(w).max(initial=0.0))
        size = size + max(np.abs(a).max(initial=0.0), np.abs(g).max(initial=0.0))
        gap = max(np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0))
        return bool(gap <= _ACCURACY * size)


class _Condensation(NamedTuple):
    """What `System` keeps of the elimination of the states."""

    states: Index
    rows: Index
    columns: Index
    others: Index
    held: int
    inner: Any
    lu: Any
    upper: Array
    lower: Array
    border: tuple[Array, Array]
    schur: _Symmetric


class _Symmetric(NamedTuple):
    """A small symmetric matrix, to be solved; where it has no full rank, for the least norm."""

    scale: Array
    vectors: Array
    inverse: Array
    determined: bool

    @classmethod
    def of(cls, matrix: Array) -> _Symmetric:
        if not len(matrix):
            return cls(np.zeros(0), matrix, np.zeros(0), True)
        size = np.abs(matrix).max(axis=1)
        d = 1.0 / np.sqrt(np.where(size > 0.0, size, 1.0))
        values, vectors = np.linalg.eigh(d[:, None] * matrix * d[None, :])
        kept = np.abs(values) > _RANK * np.abs(values).max()
        inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
        return cls(d, vectors, inverse, bool(kept.all()))

    def solve(self, right: Array) -> Array:
        d = self.scale
        return np.asarray(d * (self.vectors @ (self.inverse * (self.vectors.T @ (d * right)))))


class Chain:
    """The collocation rows as equations for the states that are not initial, factorised once.

    Parameters
    ----------
    nlp, x : where.

    Raises
    ------
    InputError
        The rows do not determine the states.
    """

    def __init__(self, nlp: NLP, x: Array) -> None:
        self.nlp = nlp
        self._states, self._rows = _chain(nlp)
        self._s, self._r = nlp.column_scale[self._states], nlp.row_scale[self._rows]
        square = _scipy(nlp.functions.jacobian(x, nlp.p)[1])[:, self._states].tocsr()[self._rows]
        scaled = (sparse.diags(self._r) @ square @ sparse.diags(self._s)).tocsc()
        try:
            self._lu = splu(scaled, permc_spec="NATURAL")
        except RuntimeError as error:
            raise InputError(_SINGULAR) from error

    def response(self, rows: Array) -> Array:
        """(columns,) answer of the states to a change (rows,) of the collocation rows: J_X v = rows."""
        v = np.zeros(self.nlp.columns)
        v[self._states] = self._s * self._lu.solve(self._r * rows[self._rows])
        return v

    def weights(self, gradient: Array) -> Array:
        """(rows,) solution w of the discrete adjoint equation, J_Xᵀ w = −∇_X E."""
        w = np.zeros(self.nlp.rows)
        w[self._rows] = self._r * self._lu.solve(-self._s * gradient[self._states], trans="T")
        return w


def state_weights(nlp: NLP, x: Array, gradient: Array) -> Array:
    r"""(rows,) solution of the discrete adjoint equation :math:`J_X^T w=-\nabla_X E`.

    Parameters and initial states are held fixed, so w tells how the goal of a *simulation* answers
    to a perturbation of the rows.  Rows other than those of the collocation get zero.

    Raises
    ------
    InputError
        The rows do not determine the states.
    """
    return Chain(nlp, x).weights(gradient)


def _chain(nlp: NLP) -> tuple[Index, Index]:
    """Columns that the equations determine, and the rows of these."""
    parts = nlp.layout.experiments
    states = np.concatenate([part.dependent for part in parts])
    return states, np.concatenate([part.equations for part in parts])


def _derivatives(nlp: NLP, x: Array, multipliers: Array) -> tuple[sparse.csc_matrix, Any]:
    upper = _scipy(nlp.functions.hessian(x, nlp.p, 1.0, multipliers))
    hessian = (upper + sparse.triu(upper, 1).T).tocsc()
    return hessian, _scipy(nlp.functions.jacobian(x, nlp.p)[1])


def free_columns(nlp: NLP, result: SolverResult) -> Mask:
    """Which variables are neither fixed nor held by an active bound."""
    scale = nlp.column_scale
    distance = np.minimum(result.x - nlp.lower, nlp.upper - result.x) / scale
    active = np.abs(result.lam_x) * scale > np.maximum(distance, 0.0)
    return np.asarray((nlp.lower < nlp.upper) & ~(active & (distance < 1e-4)))


def active_rows(nlp: NLP, result: SolverResult) -> Mask:
    """Which rows are equations, or inequalities at their bound."""
    g = nlp.constraints(result.x)
    distance = np.minimum(g - nlp.row_lower, nlp.row_upper - g) * nlp.row_scale
    held = (np.abs(result.lam_g) / nlp.row_scale > np.maximum(distance, 0.0)) & (distance < 1e-4)
    return np.asarray((nlp.row_lower == nlp.row_upper) | held)


def _scipy(matrix: ca.DM) -> sparse.csc_matrix:
    return sparse.csc_matrix(matrix.sparse())
