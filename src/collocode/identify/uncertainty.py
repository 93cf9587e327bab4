r"""How far to trust a fit: covariance, intervals and bands from the reduced Hessian.

At the solution the collocation rows tie the states to the degrees of freedom `d` (free initial
states, parameters, weights): :math:`dx = Z\,dd`.  With the Jacobian :math:`J` of the outputs, the
weights :math:`W=w/(M\sigma^2)`, the prior :math:`R` and the loss ρ(r), by output,

.. math:: H = Z^T J^T W K J Z + R,\qquad
          C = H^{-1}\,(Z^T J^T W \Sigma W J Z + \bar c R)\,H^{-1},\qquad
          K = \tfrac12\overline{\rho''(r)},\quad \Sigma = \tfrac14\sigma^2\overline{\rho'(r)^2}

is the covariance of `d` (the sandwich; M-estimators).  For least squares K is one and Σ the noise's
variance; it is :math:`(Z^TJ^T\Sigma^{-1}JZ)^{-1}` for weights in proportion to :math:`\Sigma^{-1}` and no
prior.  Active bounds and path constraints are projected out.  Directions
in which `H` has (nearly) no curvature are not identifiable; the parameters in them are named and
get infinite intervals, not wrong ones.  Source: Bard, *Nonlinear Parameter Estimation*, 1974, ch. 7;
Bock, *Randwertproblemmethoden*, 1987 (constrained Gauss-Newton covariance); Huber, *Robust
Statistics*, 1981, ch. 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..adapt.fineness import errors_of
from ..errors import InputError
from ..results.solution import Solution
from ..transcription.nlp import NLP
from .directions import (
    columns_by_role,
    prior_curvature,
    project,
    sensitivity,
    spectrum,
    spread_of,
)

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Uncertainty:
    """Covariance of a fit and what follows from it.

    Attributes
    ----------
    names : degrees of freedom, ``mu`` or ``y1[run;0.0]`` or ``nn.W1[0,0]``.
    values, covariance : (d,) and (d, d), in the data's units.
    noise : standard deviation of the measurement noise by output, estimated from the residuals,
        outliers included.
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
        Table with ``estimate``, ``std``, ``lower``, ``upper``, ``note`` and ``mesh_share`` by name: the
        part of the standard error that the estimated discretization error makes, with its sign (exact
        minus discrete); nan where there is none.
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
        table = pd.DataFrame(rows, index=pd.Index(wanted, name="parameter"), columns=columns)
        return table.assign(mesh_share=_mesh_errors(self._solution, wanted) / table["std"])

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
        The solution is not optimal, or was loaded without its NLP; or nearly all
        measurements are outliers to the loss.

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
    free, dependent, bound = columns_by_role(nlp, x)
    Z = sensitivity(nlp, x, free, dependent)
    predicted, J = nlp.predictions(x)
    weights, sigmas = (nlp.parameters[name] for name in ("weights", "sigma"))
    prior = prior_curvature(nlp)
    used = weights.ravel() > 0.0
    bent, pulls = _loss_moments(nlp, predicted)
    W = (weights / sigmas**2).ravel()
    WK = (weights / sigmas**2 * bent).ravel()
    scatter = float((weights / sigmas**2 * pulls**2 / bent).sum()) / max(1, used.sum() - len(free))
    Z, coordinates = project(nlp, x, Z, free, spread_of(Z, np.asarray(J @ Z), WK, prior, scatter))
    JZ = np.asarray(J @ Z)
    R = Z.T @ (prior @ Z)
    H = JZ.T @ (WK[:, None] * JZ) + R
    values, vectors, singular = spectrum(H)
    inverse = vectors[:, ~singular] @ np.diag(1.0 / values[~singular]) @ vectors[:, ~singular].T
    effective = float(np.trace(inverse @ (JZ.T @ (WK[:, None] * JZ))))
    loss, near = nlp.problem.loss, float(bent.ravel()[used].sum())
    if not loss.quadratic and near < 2.0 * effective:
        raise InputError(
            f"{loss!r} takes all but {near:.3g} of {used.sum()} measurements for outliers, too few for "
            f"intervals of {effective:.3g} unknowns; give the noise's sigma or a larger delta."
        )
    sigma, variance = (
        _mean_squares(nlp, values, effective)
        for values in (predicted - nlp.parameters["measurements"], pulls)
    )
    variance = np.tile(variance, len(predicted))
    prior_scale = float(np.mean((W**2 * variance)[used] / WK[used]))
    G = JZ.T @ ((W**2 * variance)[:, None] * JZ) + prior_scale * R
    core = inverse @ G @ inverse
    names = tuple(nlp.column_names[j] for j in free)
    share = coordinates @ vectors[:, singular] if singular.any() else np.zeros((len(free), 0))
    lost = np.flatnonzero((np.abs(share) > 1e-3 * np.abs(share).max(initial=1e-300)).any(axis=1))
    return Uncertainty(
        names=names,
        values=x[free],
        covariance=coordinates @ core @ coordinates.T,
        noise=dict(zip(nlp.problem.outputs, np.sqrt(sigma).tolist(), strict=True)),
        freedom=float(used.sum() - effective),
        not_identifiable=tuple(names[j] for j in lost),
        at_bound=tuple(nlp.column_names[j] for j in bound),
        _sensitivity=Z @ np.linalg.pinv(coordinates),
        _solution=solution,
    )


def _mesh_errors(solution: Solution, names: Sequence[str]) -> Array:
    """Estimated discretization errors of unknowns; nan where the data do not determine them."""
    columns = set(_nlp_of(solution).column_names)
    found = errors_of(solution, [name for name in names if name in columns])
    errors = {name: one.error for name, (one, _) in found.items() if one is not None}
    return np.array([errors.get(name, np.nan) for name in names], dtype=float)


def _nlp_of(solution: Solution) -> NLP:
    if solution.nlp is None:
        raise InputError(
            "a solution loaded from a file has no NLP; discretize the problem and solve from it."
        )
    return solution.nlp


def _loss_moments(nlp: NLP, predicted: Array) -> tuple[Array, Array]:
    """½ ρ''(r), its mean by output in every row, and ½ σ ρ'(r): 1 and the residual for squares."""
    y, sigma = nlp.parameters["measurements"], nlp.parameters["sigma"]
    loss, used = nlp.problem.loss, nlp.parameters["weights"] > 0.0
    bent = 0.5 * sigma**2 * loss.curvature(predicted, y, sigma)
    mean = np.sum(bent * used, axis=0) / np.maximum(1, used.sum(axis=0))
    pulls = 0.5 * sigma**2 * loss.slope(predicted, y, sigma)
    return np.broadcast_to(np.maximum(mean, 1e-6), y.shape), pulls


def _mean_squares(nlp: NLP, values: Array, effective: float) -> Array:
    """(outputs,) mean of the squares by output, lost freedom made good; NaN where nothing counts."""
    used = nlp.parameters["weights"] > 0.0
    keep = max(1e-3, 1.0 - effective / max(1, int(used.sum())))
    count = used.sum(axis=0)
    sums = np.sum(np.where(used, values, 0.0) ** 2, axis=0)
    return np.where(count > 0, sums / (np.maximum(count, 1) * keep), np.nan)


def _root(covariance: Array) -> Array:
    values, vectors = scipy.linalg.eigh(covariance)
    return vectors * np.sqrt(np.clip(values, 0.0, None))
