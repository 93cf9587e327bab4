r"""The Gauss-Newton matrix: as a matrix, for few weights, or as a product, for many.

`Curvature` is the generalized matrix of all weights, :math:`\frac1S\sum_sJ_s^T\nabla^2\ell_sJ_s` with
:math:`J_s=\partial u_s/\partial\theta`.  `ProjectedCurvature` is that of the squared loss with the affine
read-out eliminated, *variable projection* (Golub & Pereyra, SIAM J. Numer. Anal. 10, 1973): with the
features :math:`A=[x_N,1]` the residual is what is left of the targets off the range of A, and in
Kaufman's approximation (BIT 15, 1975) its Jacobian is
:math:`P_A^\perp\,(\partial A/\partial\vartheta)\,W^T`.  A ridge on the read-out appends rows
:math:`\sqrt{S\beta}\,I` to A.  It depends on W through :math:`W^TW` only, so the cost does not grow with
the number of outputs beyond the width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .forward import Evaluation, chunks, pull_outputs, pull_states, push, push_states, state_rows
from .objective import Objective

Array = NDArray[np.float64]


class Curvature:
    """Generalized Gauss-Newton matrix of J by all weights.

    Parameters
    ----------
    objective : J.
    done : an evaluation of it: where the matrix is taken.
    """

    def __init__(self, objective: Objective, done: Evaluation) -> None:
        self.objective, self.done = objective, done
        self.network = objective.network

    def times(self, direction: Array) -> Array:
        """(n_weights,) product with a vector; costs one push and one pull."""
        X, roots = (
            self.objective.samples.X,
            self.objective.loss.root(self.done.outputs, self.objective.targets),
        )
        change = push(self.network, self.done, X, direction)
        weighted = np.einsum("soq,spq,sp->so", roots, roots, change, optimize=True)
        pulled = pull_outputs(self.network, self.done, X, weighted / len(X))
        return pulled + self.objective.regularisation.times(self.network, direction)

    def matrix(self) -> Array:
        """(n_weights, n_weights) the matrix itself."""
        network, states, X = self.network, self.done.states, self.objective.samples.X
        W, _ = network.readout(self.done.theta)
        roots = self.objective.loss.root(self.done.outputs, self.objective.targets)
        A = features(network.width, states)
        count, q = network.n_weights, roots.shape[2]
        matrix = np.zeros((count, count))
        for part in chunks(len(A), q * count):
            seeds = np.einsum("soq,od->qsd", roots[part], W)
            Z = state_rows(network, self.done.theta, states[:, part], X[part], seeds)
            # W column by column, then μ: the order of [x, 1] times outputs
            by_readout = np.einsum("soq,sd->qsdo", roots[part], A[part])
            shape = (*Z.shape[:2], -1)
            flat = np.concatenate([Z, by_readout.reshape(shape)], axis=2).reshape(-1, count)
            matrix += flat.T @ flat
        return np.asarray(matrix / len(A) + penalty_matrix(self.objective).toarray())


class ProjectedCurvature(Curvature):
    """Gauss-Newton matrix of J with the read-out eliminated; its rows and columns there are zero.

    Parameters
    ----------
    objective : J, with a quadratic loss.
    done : an evaluation with the best read-out, see `best_readout`.
    """

    def __init__(self, objective: Objective, done: Evaluation) -> None:
        super().__init__(objective, done)
        W, _ = self.network.readout(done.theta)
        width = self.network.width
        # RᵀR = WᵀW
        self.seeds: Array = W if len(W) <= width else np.asarray(np.linalg.qr(W, mode="r"))
        A = features(width, done.states)
        ridge = np.sqrt(len(A) * objective.regularisation.readout) * np.eye(A.shape[1])
        U, sizes, _ = np.linalg.svd(np.vstack([A, ridge]), full_matrices=False)
        self.range = U[: len(A), sizes > 1e-12 * sizes[0]]
        self.inner = self.network.slices["readout"].start

    def times(self, direction: Array) -> Array:
        """(n_weights,) product with a vector that is zero on the read-out."""
        X = self.objective.samples.X
        change = push_states(self.network, self.done, X, direction) @ self.seeds.T
        change -= self.range @ (self.range.T @ change)
        pulled = pull_states(self.network, self.done, X, change @ self.seeds / len(X))
        padded = np.pad(pulled, (0, self.network.n_weights - self.inner))
        return padded + self.objective.regularisation.times(self.network, direction)

    def matrix(self) -> Array:
        """(n_weights, n_weights) the matrix itself."""
        network, states, X = self.network, self.done.states, self.objective.samples.X
        q, count = len(self.seeds), self.inner
        matrix, inside = np.zeros((count, count)), np.zeros((q, self.range.shape[1], count))
        for part in chunks(len(X), q * count):
            lines = np.repeat(self.seeds[:, None, :], len(X[part]), axis=1)
            Z = state_rows(network, self.done.theta, states[:, part], X[part], lines)
            flat = Z.reshape(-1, count)
            matrix += flat.T @ flat
            inside += self.range[part].T @ Z
        flat = inside.reshape(-1, count)
        matrix = (matrix - flat.T @ flat) / len(X)
        penalty = penalty_matrix(self.objective).toarray()
        penalty[count:, count:] = 0.0
        return np.asarray(np.pad(matrix, (0, network.n_weights - count)) + penalty)


def can_eliminate(objective: Objective) -> bool:
    """Whether the loss is quadratic and the whole read-out is trained."""
    readout = objective.network.slices["readout"]
    return objective.loss.quadratic and bool(objective.free[readout].all())


def best_readout(objective: Objective, theta: Array, states: Array) -> Array:
    """Return the weights with the read-out that minimises J for given states.

    Least squares of [A/√S; √β I] W̃ against [Y/√S; 0], by singular values.
    """
    network, targets = objective.network, objective.targets
    A = features(network.width, states)
    beta = np.sqrt(objective.regularisation.readout)
    stacked = np.vstack([A / np.sqrt(len(A)), beta * np.eye(A.shape[1])])
    right = np.vstack([targets / np.sqrt(len(A)), np.zeros((A.shape[1], targets.shape[1]))])
    W = np.linalg.lstsq(stacked, right, rcond=None)[0]
    new = theta.copy()
    new[network.slices["readout"]] = np.concatenate([W[:-1].T.ravel(order="F"), W[-1]])
    return new


def features(width: int, states: Array) -> Array:
    """(S, d+1) final features and ones."""
    final = states[-1][:, :width]
    return np.concatenate([final, np.ones((len(final), 1))], axis=1)


def penalty_matrix(objective: Objective) -> sparse.csr_matrix:
    """Hessian of the regularisation."""
    network, penalty = objective.network, objective.regularisation
    lengths = {name: s.stop - s.start for name, s in network.slices.items()}
    by_time = sparse.kron(penalty.weights * network.time_basis.gram(), sparse.eye(network.row))
    return sparse.block_diag(
        [
            penalty.opening * sparse.eye(lengths["opening"]),
            by_time,
            penalty.readout * sparse.eye(lengths["readout"]),
        ],
        format="csr",
    )
