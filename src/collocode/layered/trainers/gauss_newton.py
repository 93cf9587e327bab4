r"""Gauss-Newton's method with Levenberg-Marquardt damping, the affine read-out eliminated.

`Curvature` is the generalized matrix of all weights, :math:`\frac1S\sum_sJ_s^T\nabla^2\ell_sJ_s` with
:math:`J_s=\partial u_s/\partial\theta`: written out for few weights, as a product for many.
`ProjectedCurvature` is that of the squared loss with the affine
read-out eliminated, *variable projection* (Golub & Pereyra, SIAM J. Numer. Anal. 10, 1973): with the
features :math:`A=[x_N,1]` the residual is what is left of the targets off the range of A, and in
Kaufman's approximation (BIT 15, 1975) its Jacobian is
:math:`P_A^\perp\,(\partial A/\partial\vartheta)\,W^T`.  A ridge on the read-out appends rows
:math:`\sqrt{S\beta}\,I` to A.  It depends on W through :math:`W^TW` only, so the cost does not grow with
the number of outputs beyond the width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg

from ...checks import check_choice, check_fields
from ...forms import Numbers
from ...numerics import Array, Mask
from ...results.status import Termination
from ..forward import (
    Evaluation,
    chunks,
    forward,
    pull_outputs,
    pull_states,
    push,
    push_states,
    state_rows,
)
from ..objective import Objective
from .run import Run, Stop
from .training import remembered

_LARGEST = 1e12  # damping, relative to the first one, at which nothing moves any more
_MEMORY = {"damping?": Numbers((), finite=True), "growth?": Numbers((), finite=True)}
_FEW = 400  # weights up to which the matrix is written out


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


@dataclass(frozen=True)
class GaussNewton:
    """Damped Gauss-Newton steps over all samples; the matrix is that of `curvature`.

    For the squared loss the read-out is the best one for given states at every iterate (variable
    projection).  The damping follows the ratio of true to predicted decrease (Nielsen 1999).  Up to
    400 weights the equations are solved by Cholesky's method, above by conjugate gradients, whose
    memory is linear in samples and weights.

    Parameters
    ----------
    damping : the first one, relative to the curvature along the gradient.
    eliminate : whether the read-out is eliminated where the loss allows it.
    solver : ``auto``, ``direct`` or ``cg``.
    accuracy : residual, relative to the gradient, at which conjugate gradients end.
    most : their largest number.

    Raises
    ------
    InputError
        Unknown solver.
    """

    damping: float = 1e-2
    eliminate: bool = True
    solver: str = "auto"
    accuracy: float = 0.1
    most: int = 200
    name = "gauss-newton"

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("solver", self.solver, ("auto", "direct", "cg"))

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Step; see `Trainer`."""
        objective, memory = run.objective, remembered(memory, _MEMORY)
        projected = self.eliminate and can_eliminate(objective)
        moving = objective.free.copy()
        if projected:
            moving[objective.network.slices["readout"]] = False
        done = _evaluate(run, theta, projected)
        damping, growth = float(memory.get("damping", -1.0)), float(memory.get("growth", 2.0))
        first = damping
        while True:
            value, gradient = run.gradient(done.theta)
            left = {"damping": np.array(damping), "growth": np.array(growth)}
            run.report(done.theta, value, float(np.linalg.norm(gradient)), left)
            curvature = (ProjectedCurvature if projected else Curvature)(objective, done)
            model = _Model(run, curvature, gradient, moving, self)
            if first < 0.0:
                first = max(model.along_gradient(), 1e-12)
                damping = self.damping * first if damping < 0.0 else damping
            while True:
                change, predicted = model.step(damping)
                trial = _evaluate(run, done.theta + change, projected)
                gain = (value - trial.value) / predicted if predicted > 0.0 else -1.0
                if gain > 0.0:
                    break
                damping, growth = damping * growth, 2.0 * growth
                if damping > _LARGEST * first:
                    run.adopt(done)
                    raise Stop(Termination.STALLED, "no damping gives a decrease")
            damping, growth = damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3), 2.0
            done = trial


class _Model:
    """The quadratic model g·δ + ½ δᵀHδ of the moving weights at one iterate."""

    def __init__(
        self, run: Run, curvature: Curvature, gradient: Array, moving: Mask, settings: GaussNewton
    ) -> None:
        self.run, self.curvature, self.settings = run, curvature, settings
        self.moving, self.gradient = moving, gradient[moving]
        self.matrix: Array | None = None
        few = settings.solver == "auto" and int(moving.sum()) <= _FEW
        if few or settings.solver == "direct":
            self.matrix = curvature.matrix()[np.ix_(moving, moving)]
            run.gradients += min(curvature.network.outputs, curvature.network.width)

    def times(self, direction: Array) -> Array:
        """H times a vector of the moving weights."""
        if self.matrix is not None:
            return np.asarray(self.matrix @ direction)
        whole = np.zeros(len(self.moving))
        whole[self.moving] = direction
        self.run.evaluations += 1.0  # a push costs what an evaluation does
        self.run.gradients += 1.0
        return self.curvature.times(whole)[self.moving]

    def along_gradient(self) -> float:
        """Curvature along the gradient."""
        g = self.gradient
        return float(g @ self.times(g)) / max(float(g @ g), 1e-300)

    def step(self, damping: float) -> tuple[Array, float]:
        """Return the damped step of all weights and the decrease that the model predicts."""
        g = self.gradient
        if self.matrix is not None:
            change = _direct(self.matrix, g, damping)
        else:
            damped = LinearOperator(
                (len(g), len(g)), lambda v: self.times(v) + damping * v, dtype=float
            )
            accuracy, most = self.settings.accuracy, self.settings.most
            change, _ = cg(damped, -g, rtol=accuracy, maxiter=most)
        # (H + λ) δ = −g − r with δ·r = 0, as for all iterates of conjugate gradients
        predicted = 0.5 * float(change @ (damping * change - g))
        whole = np.zeros(len(self.moving))
        whole[self.moving] = change
        return whole, predicted


def _evaluate(run: Run, theta: Array, projected: bool) -> Evaluation:
    if not projected:
        return run.evaluate(theta)
    objective = run.objective
    states = forward(objective.network, theta, objective.samples.X)
    if not np.isfinite(states[-1]).all():
        return run.adopt(replace(objective.finish(theta, states), value=np.inf))
    return run.adopt(objective.finish(best_readout(objective, theta, states), states))


def _direct(matrix: Array, gradient: Array, damping: float) -> Array:
    """Return −(H + λ I)⁻¹ g; no step where rounding makes that indefinite."""
    damped = matrix.copy()
    damped[np.diag_indices_from(damped)] += damping
    try:
        factor = linalg.cho_factor(damped, lower=True, overwrite_a=True)
    except linalg.LinAlgError:
        return np.zeros_like(gradient)
    return np.asarray(-linalg.cho_solve(factor, gradient))
