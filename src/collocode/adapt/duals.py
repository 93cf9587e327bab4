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
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ..errors import InputError
from ..results.status import SolverResult
from ..transcription.nlp import NLP

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
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
            free[part.states[1:]] = True
            rows[part.rows] = True
        return cls(nlp, *_derivatives(nlp, x, multipliers), free, rows)

    def solve(self, right_x: Array, right_g: Array) -> tuple[Array, Array]:
        """Return (columns,) v and (rows,) w with H v + Jᵀ w = right_x, J v = right_g.

        The states follow from the collocation rows by substitution, so one sparse LU of their
        square block serves; parameters, weights, initial states and what bounds hold form a small
        dense border.  Where that loses accuracy (dynamics that amplify strongly), the whole matrix
        is factorised.

        Raises
        ------
        InputError
            The system is singular: the data do not determine what the goal depends on.
        """
        s, r = self.nlp.column_scale, self.nlp.row_scale
        h = (sparse.diags(s) @ self.hessian @ sparse.diags(s)).tocsc()
        j = (sparse.diags(r) @ self.jacobian @ sparse.diags(s)).tocsc()
        a, g = np.where(self.free, s * right_x, 0.0), np.where(self.rows, r * right_g, 0.0)
        with np.errstate(all="ignore"):
            v, w, determined = self._condensed(h, j, a, g)
            if determined and not self._solves(h, j, a, g, v, w):
                v, w = self._whole(h, j, a, g)
        if not self._solves(h, j, a, g, v, w):
            raise InputError(_SINGULAR)
        return s * v, r * w

    def _condensed(self, h: Any, j: Any, a: Array, g: Array) -> tuple[Array, Array, bool]:
        """Solve by elimination of the states; also tell whether the rest has full rank."""
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
        v, w = np.zeros_like(a), np.zeros_like(g)
        try:
            lu = splu(j_c[:, states].tocsc(), permc_spec="NATURAL")

            def eliminated(top: Array, bottom: Array) -> tuple[Array, Array]:
                moved = lu.solve(bottom)
                return moved, lu.solve(top - h_s[states] @ moved, trans="T")

            first = eliminated(a[states], g[rows])
            border = eliminated(upper, lower)
            schur = corner - upper.T @ border[0] - lower.T @ border[1]
            right = np.concatenate([a[columns], g[others], np.zeros(len(held))])
            z, determined = _symmetric(schur, right - upper.T @ first[0] - lower.T @ first[1])
        except (RuntimeError, np.linalg.LinAlgError):
            return v + np.nan, w, True
        v[states], w[rows] = first[0] - border[0] @ z, first[1] - border[1] @ z
        v[columns], w[others] = z[:k], z[k:both]
        return v, w, determined

    def _whole(self, h: Any, j: Any, a: Array, g: Array) -> tuple[Array, Array]:
        """Solve by a sparse LU of the whole matrix."""
        free, rows = self.free, self.rows
        block = j[:, free].tocsr()[rows]
        matrix = sparse.block_array(
            [[h[:, free].tocsr()[free], block.T], [block, None]], format="csc"
        )
        v, w = np.zeros_like(a), np.zeros_like(g)
        try:
            found = splu(matrix).solve(np.concatenate([a[free], g[rows]]))
        except RuntimeError:
            return v + np.nan, w
        v[free], w[rows] = found[: block.shape[1]], found[block.shape[1] :]
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


def _symmetric(matrix: Array, right: Array) -> tuple[Array, bool]:
    """Solve a small symmetric system; where it has no full rank, for the least norm."""
    if not len(matrix):
        return np.zeros(0), True
    size = np.abs(matrix).max(axis=1)
    d = 1.0 / np.sqrt(np.where(size > 0.0, size, 1.0))
    values, vectors = np.linalg.eigh(d[:, None] * matrix * d[None, :])
    kept = np.abs(values) > _RANK * np.abs(values).max()
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    return d * (vectors @ (inverse * (vectors.T @ (d * right)))), bool(kept.all())


def state_weights(nlp: NLP, x: Array, gradient: Array) -> Array:
    r"""(rows,) solution of the discrete adjoint equation :math:`J_X^T w=-\nabla_X E`.

    Parameters and initial states are held fixed, so w tells how the goal of a *simulation* answers
    to a perturbation of the rows.  Rows other than those of the collocation get zero.

    Raises
    ------
    InputError
        The rows do not determine the states.
    """
    states, rows = _chain(nlp)
    square = _scipy(nlp.functions.jacobian(x, nlp.p)[1])[:, states].tocsr()[rows]
    s, r = nlp.column_scale[states], nlp.row_scale[rows]
    scaled = (sparse.diags(r) @ square @ sparse.diags(s)).tocsc()
    try:
        found = splu(scaled, permc_spec="NATURAL").solve(-s * gradient[states], trans="T")
    except RuntimeError as error:
        raise InputError(_SINGULAR) from error
    w = np.zeros(nlp.rows)
    w[rows] = r * found
    return w


def _chain(nlp: NLP) -> tuple[Index, Index]:
    """Columns of the states that are not initial, and the rows of the collocation."""
    parts = nlp.layout.experiments
    states = np.concatenate([part.states[1:].ravel() for part in parts])
    return states, np.concatenate([part.rows.ravel() for part in parts])


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
