r"""How far to trust a fit: covariance, intervals and bands from the reduced Hessian.

At the solution the collocation rows tie the states to the degrees of freedom `d` (free initial
states, parameters, weights): :math:`dx = Z\,dd`.  With the Jacobian :math:`J` of the outputs, the
weights :math:`W` of the loss, the prior :math:`R` and the noise :math:`\Sigma`,

.. math:: H = Z^T J^T W J Z + R,\qquad
          C = H^{-1}\,(Z^T J^T W \Sigma W J Z + \bar c R)\,H^{-1}

is the covariance of `d`; it is :math:`(Z^TJ^T\Sigma^{-1}JZ)^{-1}` for weights in proportion to
:math:`\Sigma^{-1}` and no prior.  Active bounds and path constraints are projected out.  Directions
in which `H` has (nearly) no curvature are not identifiable; the parameters in them are named and
get infinite intervals, not wrong ones.  Source: Bard, *Nonlinear Parameter Estimation*, 1974, ch. 7;
Bock, *Randwertproblemmethoden*, 1987 (constrained Gauss-Newton covariance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import InputError
from ..model.varying import penalty_matrix
from ..results.solution import Solution
from ..transcription.nlp import NLP
from ..transcription.terms import prior_columns

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
_ACTIVE = 1e-6  # a bound closer than this, relative to the variable's scale, is active
_SINGULAR = 1e-10  # curvature below this share of the largest is none


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Covariance of a fit and what follows from it.

    Attributes
    ----------
    names : degrees of freedom, ``mu`` or ``y1[run;0.0]`` or ``nn.W1[0,0]``.
    values, covariance : (d,) and (d, d), in the data's units.
    noise : standard deviation of the measurement noise by output, estimated from the residuals.
    freedom : residual degrees of freedom, samples minus effective parameters.
    not_identifiable : names that lie in a direction without curvature.
    at_bound : names held by an active bound (no variance is attributed to them).
    """

    names: tuple[str, ...]
    values: Array
    covariance: Array
    noise: dict[str, float]
    freedom: float
    not_identifiable: tuple[str, ...]
    at_bound: tuple[str, ...]
    _sensitivity: sparse.csc_matrix | Array
    _solution: Solution

    def std(self) -> Array:
        """(d,) standard deviations; inf where not identifiable."""
        variance = np.clip(np.diag(self.covariance), 0.0, None)
        spread = np.sqrt(variance)
        spread[[name in self.not_identifiable for name in self.names]] = np.inf
        return spread

    def intervals(self, level: float = 0.95, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Confidence intervals by Student's t; physical parameters unless ``names`` are given.

        Returns
        -------
        Table with ``estimate``, ``std``, ``lower``, ``upper`` and ``note`` by name.
        """
        import pandas as pd

        if not 0.0 < level < 1.0:
            raise InputError(f"a confidence level lies between 0 and 1, not at {level}.")
        known = list(self.names)
        wanted = list(self._solution.parameters) if names is None else list(names)
        half = float(scipy.special.stdtrit(max(1.0, self.freedom), 0.5 + 0.5 * level))
        std, rows = self.std(), []
        for name in wanted:
            if name in self.at_bound:
                value = self._solution.parameters.get(name, np.nan)
                rows.append((value, np.nan, np.nan, np.nan, "at its bound"))
                continue
            if name not in known:
                raise InputError(f"there is no free quantity {name!r}; see `names`.")
            j = known.index(name)
            width = half * std[j]
            note = "not identifiable" if name in self.not_identifiable else ""
            rows.append(
                (self.values[j], std[j], self.values[j] - width, self.values[j] + width, note)
            )
        columns = ["estimate", "std", "lower", "upper", "note"]
        return pd.DataFrame(rows, index=pd.Index(wanted, name="parameter"), columns=columns)

    def correlation(self) -> pd.DataFrame:
        """Correlation matrix of the physical parameters."""
        import pandas as pd

        picked = [j for j, name in enumerate(self.names) if name in self._solution.parameters]
        block = self.covariance[np.ix_(picked, picked)]
        scale = np.sqrt(np.clip(np.diag(block), 1e-300, None))
        names = [self.names[j] for j in picked]
        return pd.DataFrame(block / np.outer(scale, scale), index=names, columns=names)

    def band(
        self, times: ArrayLike, experiment: int | str = 0, level: float = 0.95, noise: bool = False
    ) -> tuple[Array, Array]:
        """Pointwise band of the states at ``times``.

        Parameters
        ----------
        noise : add the measurement noise of states that are measured directly (prediction band).

        Returns
        -------
        (N, states) lower and upper limits around ``solution.states(times)``.
        """
        solution, nlp = self._solution, _nlp_of(self._solution)
        part = nlp.layout.experiments[solution.index(experiment)]
        element, tau = part.mesh.locate(times)
        basis = nlp.scheme.interpolation(tau)
        columns = part.states[part.element_nodes()[element]]  # (N, nodes, states)
        root = _root(self.covariance)
        spread = np.zeros((len(basis), len(nlp.problem.states)))
        for i, state in enumerate(nlp.problem.states):
            pick = sparse.csr_matrix(
                (
                    basis.ravel(),
                    (np.repeat(np.arange(len(basis)), basis.shape[1]), columns[:, :, i].ravel()),
                ),
                shape=(len(basis), nlp.columns),
            )
            spread[:, i] = ((pick @ self._sensitivity @ root) ** 2).sum(axis=1)
            if noise and nlp.problem.observe is None:
                spread[:, i] += self.noise.get(state, 0.0) ** 2
        half = scipy.special.stdtrit(max(1.0, self.freedom), 0.5 + 0.5 * level) * np.sqrt(spread)
        centre = solution.states(times, experiment)
        return centre - half, centre + half


def uncertainty(solution: Solution) -> Uncertainty:
    """Covariance of a solution's parameters, weights and free initial states.

    Raises
    ------
    InputError
        The solution is not optimal, or was loaded without its NLP.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem, fit
    >>> t, rng = np.linspace(0.0, 2.0, 41), np.random.default_rng(0)
    >>> noisy = np.exp(-0.7 * t) + 0.01 * rng.standard_normal(41)
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> trust = uncertainty(fit(Problem(decay, Experiment(t, noisy, outputs=("c",)))))
    >>> low, high = trust.intervals().loc["k", ["lower", "upper"]]
    >>> bool(low < 0.7 < high)
    True
    """
    nlp = _nlp_of(solution)
    if not solution.success:
        raise InputError(f"the solve ended as {solution.status}; only an optimum has a covariance.")
    x = solution.result.x
    free, dependent, bound = _parts(nlp, x)
    Z = _sensitivity(nlp, x, free, dependent)
    predicted, J = nlp.predictions(x)
    W = nlp.parameters["weights"].ravel()
    prior = _prior_curvature(nlp)
    residual = (predicted - nlp.parameters["measurements"]).ravel()
    scatter = float(W @ residual**2) / max(1, int((W > 0.0).sum()) - len(free))
    Z, coordinates = _project(nlp, x, Z, free, _spread(Z, np.asarray(J @ Z), W, prior, scatter))
    JZ = np.asarray(J @ Z)
    R = Z.T @ (prior @ Z)
    H = JZ.T @ (W[:, None] * JZ) + R
    values, vectors, singular = _spectrum(H)
    inverse = vectors[:, ~singular] @ np.diag(1.0 / values[~singular]) @ vectors[:, ~singular].T
    effective = float(np.trace(inverse @ (JZ.T @ (W[:, None] * JZ))))
    count = int((W > 0.0).sum())
    sigma = _noise(nlp, predicted, W, effective)
    variance = np.tile(np.array(list(sigma.values())) ** 2, len(predicted))
    used = W > 0.0
    prior_scale = float(np.mean(W[used] * variance[used]))
    G = JZ.T @ ((W**2 * variance)[:, None] * JZ) + prior_scale * R
    core = inverse @ G @ inverse
    names = tuple(nlp.column_names[j] for j in free)
    share = coordinates @ vectors[:, singular] if singular.any() else np.zeros((len(free), 0))
    lost = np.flatnonzero((np.abs(share) > 1e-3 * np.abs(share).max(initial=1e-300)).any(axis=1))
    return Uncertainty(
        names=names,
        values=x[free],
        covariance=coordinates @ core @ coordinates.T,
        noise=sigma,
        freedom=float(count - effective),
        not_identifiable=tuple(names[j] for j in lost),
        at_bound=tuple(nlp.column_names[j] for j in bound),
        _sensitivity=Z @ np.linalg.pinv(coordinates),
        _solution=solution,
    )


def _nlp_of(solution: Solution) -> NLP:
    if solution.nlp is None:
        raise InputError(
            "a solution loaded from a file has no NLP; discretize the problem and solve from it."
        )
    return solution.nlp


def _parts(nlp: NLP, x: Array) -> tuple[Array, Array, Array]:
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


def _sensitivity(nlp: NLP, x: Array, free: Array, dependent: Array) -> Array:
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


def _spread(Z: Array, JZ: Array, W: Array, prior: sparse.csr_array, scatter: float) -> Array:
    """(columns,) standard deviations of all variables if no bound were active."""
    H = JZ.T @ (W[:, None] * JZ) + Z.T @ (prior @ Z)
    values, vectors, singular = _spectrum(H)
    root = Z @ (vectors[:, ~singular] / np.sqrt(values[~singular]))
    return np.asarray(np.sqrt(scatter * (root**2).sum(axis=1)))


def _project(nlp: NLP, x: Array, Z: Array, free: Array, spread: Array) -> tuple[Array, Array]:
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


def _prior_curvature(nlp: NLP) -> sparse.csr_array:
    """(columns, columns) matrix A of the quadratic terms vᵀAv of penalty and priors."""
    columns, weights = prior_columns(nlp.layout), nlp.layout.weights
    ridge = penalty_matrix(nlp.problem.weight_blocks).tocoo()
    data = [nlp.parameters["regularisation"][0] * ridge.data, nlp.parameters["prior_weight"]]
    rows = np.concatenate([weights[ridge.row], columns])
    others = np.concatenate([weights[ridge.col], columns])
    shape = (nlp.columns, nlp.columns)
    return sparse.csr_array((np.concatenate(data), (rows, others)), shape=shape)


def _spectrum(H: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Eigenpairs of H after scaling its diagonal to one, so that units do not matter."""
    scale = np.sqrt(np.clip(np.diag(H), 1e-300, None))
    values, vectors = scipy.linalg.eigh(H / np.outer(scale, scale))
    singular = values <= _SINGULAR * values.max(initial=0.0)
    singular |= False
    # back in original units: H⁻¹ = S⁻¹ V diag(1/values) Vᵀ S⁻¹
    return values, vectors / scale[:, None], singular


def _noise(nlp: NLP, predicted: Array, W: Array, effective: float) -> dict[str, float]:
    """Noise by output, from the residuals, lost freedom made good."""
    problem = nlp.problem
    residual = predicted - nlp.parameters["measurements"]
    used = W.reshape(residual.shape) > 0.0
    total = max(1, int(used.sum()))
    keep = max(1e-3, 1.0 - effective / total)
    noise = {}
    for j, name in enumerate(problem.outputs):
        chosen = residual[used[:, j], j]
        noise[name] = float(np.sqrt(np.mean(chosen**2) / keep)) if len(chosen) else np.nan
    return noise


def _root(covariance: Array) -> Array:
    values, vectors = scipy.linalg.eigh(covariance)
    return vectors * np.sqrt(np.clip(values, 0.0, None))
