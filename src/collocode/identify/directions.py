"""Directions in which an optimum may move: along the collocation rows, not through active bounds."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import sparse

from ..model.varying import penalty_matrix
from ..transcription.nlp import NLP
from ..transcription.regularisation import prior_columns

Array = NDArray[np.float64]
_ACTIVE = 1e-6  # a bound closer than this, relative to the variable's scale, is active
_SINGULAR = 1e-10  # curvature below this share of the largest is none


def columns_by_role(nlp: NLP, x: Array) -> tuple[Array, Array, Array]:
    """Columns that are free, that the collocation rows determine, and that a bound holds."""
    layout = nlp.layout
    dependent = np.concatenate([part.states[1:].ravel() for part in layout.experiments])
    own = [part.parameters for part in layout.experiments]
    first = [part.states[0] for part in layout.experiments]
    candidates = np.concatenate([*first, *own, layout.shared, layout.weights]).astype(int)
    slack = _ACTIVE * nlp.column_scale[candidates]
    held = (x[candidates] - nlp.lower[candidates] <= slack) | (
        nlp.upper[candidates] - x[candidates] <= slack
    )
    return candidates[~held], dependent, candidates[held]


def sensitivity(nlp: NLP, x: Array, free: Array, dependent: Array) -> Array:
    """(columns, free) derivative of all variables along the collocation rows."""
    jacobian = nlp.functions.jacobian(x, nlp.p)[1].sparse().tocsr()
    rows = np.concatenate([part.rows.ravel() for part in nlp.layout.experiments])
    collocation = jacobian[rows].tocsc()
    Z = np.zeros((nlp.columns, len(free)))
    Z[free, np.arange(len(free))] = 1.0
    Z[dependent] = -sparse.linalg.splu(collocation[:, dependent]).solve(
        collocation[:, free].toarray()
    )
    return Z


def spread_of(Z: Array, JZ: Array, W: Array, prior: sparse.csr_array, scatter: float) -> Array:
    """(columns,) standard deviations of all variables if no bound were active."""
    H = JZ.T @ (W[:, None] * JZ) + Z.T @ (prior @ Z)
    values, vectors, singular = spectrum(H)
    root = Z @ (vectors[:, ~singular] / np.sqrt(values[~singular]))
    return np.asarray(np.sqrt(scatter * (root**2).sum(axis=1)))


def project(nlp: NLP, x: Array, Z: Array, free: Array, spread: Array) -> tuple[Array, Array]:
    """Drop directions that active path constraints and state bounds forbid.

    A state that lies close to its bound, but closer to its value (its ``spread`` is smaller than
    the slack), as a concentration does before the reaction sets in, is not held by the bound.
    Returns Z in coordinates of the allowed directions, and those directions (free, allowed).
    """
    distance = np.minimum(x - nlp.lower, nlp.upper - x)
    held = distance <= np.minimum(_ACTIVE * nlp.column_scale, spread)
    held[free] = False
    states = np.concatenate([part.states[1:].ravel() for part in nlp.layout.experiments])
    active = [Z[states[held[states]]]]
    path = np.concatenate(
        [
            np.empty(0, int),
            *(part.path_rows.ravel() for part in nlp.layout.experiments),
            *nlp.layout.point_rows.values(),
        ]
    ).astype(int)
    if len(path):
        g, jacobian = nlp.functions.jacobian(x, nlp.p)
        g = np.asarray(g).ravel()
        tight = path[
            (g[path] - nlp.row_lower[path] <= _ACTIVE) | (nlp.row_upper[path] - g[path] <= _ACTIVE)
        ]
        active.append(np.asarray(jacobian.sparse().tocsr()[tight] @ Z))
    A = np.vstack(active)
    if not len(A):
        return Z, np.eye(Z.shape[1])
    q, r, _ = scipy.linalg.qr(A.T, mode="full", pivoting=True)
    diagonal = np.abs(np.diag(r)) if r.size else np.empty(0)
    rank = int((diagonal > 1e-10 * max(1e-300, diagonal.max(initial=0.0))).sum())
    allowed = q[:, rank:]
    return Z @ allowed, allowed


def prior_curvature(nlp: NLP) -> sparse.csr_array:
    """(columns, columns) matrix A of the quadratic terms vᵀAv of penalty and priors."""
    columns, weights = prior_columns(nlp.layout), nlp.layout.weights
    ridge = penalty_matrix(nlp.problem.weight_blocks).tocoo()
    data = [nlp.parameters["regularisation"][0] * ridge.data, nlp.parameters["prior_weight"]]
    rows = np.concatenate([weights[ridge.row], columns])
    others = np.concatenate([weights[ridge.col], columns])
    shape = (nlp.columns, nlp.columns)
    return sparse.csr_array((np.concatenate(data), (rows, others)), shape=shape)


def spectrum(H: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Eigenpairs of H after scaling its diagonal to one, so that units do not matter."""
    scale = np.sqrt(np.clip(np.diag(H), 1e-300, None))
    values, vectors = scipy.linalg.eigh(H / np.outer(scale, scale))
    singular = values <= _SINGULAR * values.max(initial=0.0)
    singular |= False
    # back in original units: H⁻¹ = S⁻¹ V diag(1/values) Vᵀ S⁻¹
    return values, vectors / scale[:, None], singular
