r"""A fit as its unknowns see it: the outputs as linear functions of all that is free to move.

The collocation rows, and those of initial states that parameters give, tie the nodes of every chain of elements to the degrees of freedom `d` (free
initial states, parameters, weights): :math:`dx = Z\,dd`, one sparse factorisation a chain, so no
matrix of columns times columns ever arises.  In units of one half of the sum of squares, that is the
objective times M/2, a fit minimises

.. math:: \tfrac12\sum_i u_i\,\rho_i(d) + \tfrac12\lambda M\,\theta^TM_w\theta + \tfrac12 d^TP_0d,
          \qquad u_i = w_i/\sigma_i^2,

whose Gauss-Newton matrix is :math:`H=J^TUKJ+\lambda M\,M_w+P_0`, K the mean of ρ''/2 by output (one
for least squares).  It is never formed: a QR factorisation of its root, columns scaled to length one,
gives :math:`H^{-1}=FF^T`, and the directions that nothing determines, to working precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy
from scipy import sparse

from ..numerics import Array, Index, Mask
from ..results.solution import Solution
from ..transcription.nlp import NLP
from ..transcription.samples import measured
from .cost_curvature import cost_curvature
from .degrees_of_freedom import along_free, exchanged, free_columns, penalty_along, sensitivities
from .information import FisherInformation, blunted

_ROUNDING = 1e-12  # σ, by which a datum moves where nothing moves it
_FLAT = 1e-8  # singular values of the scaled root below this share of the largest are zero


@dataclass(frozen=True, eq=False, kw_only=True)
class Linearised:
    """The measurements that count, as linear functions of the free unknowns.

    Attributes
    ----------
    nlp, x : where it was linearised.
    free : (d,) columns that are degrees of freedom.
    allowed : (d, a) directions in which they may move; the identity unless bounds hold some.
    J : (n, a) derivative of the predictions along them.
    run, output : (n,) numbers of experiment and output of every datum.
    known : (n,) whether its σ was given; a robust loss takes it for a scale only.
    precision : (n,) u = w/σ².
    sigma, residual : (n,) what the loss divides by, and model minus datum, NaN of one that is censored.
    loss_curvature, loss_slope : (n,) ½ρ'' (its mean by output) and ½σρ', which is the residual for
        squares.  Of a likelihood the precision is Fisher's information on h, the curvature one (less
        where it has a kink, see `blunted`) and the slope the score over the information.
    penalty : (weights, a) root of the penalty's matrix, without λ.
    prior : (priors, a) root of P₀, the priors; and Fisher's information that a likelihood has on σ.
    cost_curvature, cost_slope : (a, a) curvature and (a,) slope of costs beside the data, see the module
        `cost_curvature`.
    strength : λM, the precision that the penalty gives the weights in these units.
    datum : (priors,) number of the datum whose information on σ a row of `prior` is; -1 of priors.
    sizes : (m,) numbers of the unknowns that say the noise of data and nothing else.
    drift : (n, m) slopes by them of the logarithm of every datum's variance.
    tells : (n,) what a datum tells of its variance, one for a normal one; and
    counts : (n,) for how many data it counts there: less than one if it is censored.
    believed : (m, m) precision that priors give these unknowns.
    tangent : where the derivatives by the weights were taken; the fit's point unless told otherwise.
    """

    nlp: NLP
    x: Array
    free: Index
    allowed: Array
    J: Array
    run: Index
    output: Index
    known: Mask
    precision: Array
    sigma: Array
    residual: Array
    loss_curvature: Array
    loss_slope: Array
    penalty: Array
    prior: Array
    cost_curvature: Array
    cost_slope: Array
    strength: float
    datum: Index
    sizes: Index
    drift: Array
    tells: Array
    counts: Array
    believed: Array
    tangent: Array

    @classmethod
    def of(
        cls, solution: Solution, nlp: NLP, theta: Array | None = None, windows: bool = True
    ) -> Linearised:
        """Linearise at a solution's point; by the weights at ``theta``, if given.

        At weights of zero a network has hardly any derivatives; at others it shows what it could do.
        With ``windows`` those without data take part, which hold what they share with the data by their
        costs; without, it is the experiments with data alone.
        """
        x, problem, layout = solution.result.x, nlp.problem, nlp.layout
        parts = [
            (k, part)
            for k, part in enumerate(layout.experiments)
            if windows or problem.experiments[k].measures
        ]
        tangent = x.copy()
        if theta is not None:
            tangent[layout.weights] = theta
        free = free_columns(nlp, [part for _, part in parts], windows)
        y, sigma, weights = (nlp.parameters[k] for k in ("measurements", "sigma", "weights"))
        censored = nlp.parameters.get("censored", np.zeros(y.shape))
        predicted, by_columns = nlp.predictions(x)
        by_columns = exchanged(by_columns, nlp.predictions(tangent)[1], layout.weights)
        used = weights > 0.0
        kept = [measured(e) for e in problem.experiments]
        counts = [int(keep.sum()) for keep in kept]
        known = [
            problem.knows_noise_of(e)[k] for e, k in zip(problem.experiments, kept, strict=True)
        ]
        run = np.broadcast_to(np.repeat(np.arange(len(counts)), counts)[:, None], y.shape)
        output = np.broadcast_to(np.arange(y.shape[1]), y.shape)
        total = problem.n_measurements
        by_spread = nlp.spreads(x)[1].tocsr() if problem.loss.likelihood else None
        J_of_h, by_sigma, prior, moving = along_free(
            nlp, x, tangent, free, by_columns, by_spread, counts
        )
        believed = prior.T @ prior
        curvature_of_costs, slope_of_costs = np.zeros((len(free), len(free))), np.zeros(len(free))
        if problem.decides:
            numbers = [k for k, _ in parts]
            W, gradient = cost_curvature(nlp, x, solution.result.lam_g, numbers)
            curvature_of_costs = 0.5 * total * moving.T @ (W @ moving)
            slope_of_costs = 0.5 * total * gradient @ moving
        precision = weights * total / np.where(sigma > 0.0, sigma, 1.0) ** 2
        datum, J = np.full(len(prior), -1), J_of_h
        sizes, drift = np.empty(0, dtype=int), np.zeros((y.size, 0))
        tells, worth = np.ones(y.shape), np.ones(y.shape)
        if problem.loss.likelihood:
            table = FisherInformation.of(nlp, x, predicted)
            precision, loss_slope = weights * total * table.on_h, table.score / table.on_h
            loss_curvature, sigma = np.ones_like(loss_slope), nlp.deviations(x)
            assert by_sigma is not None
            J, rest, whose = table.rows(J_of_h, by_sigma, weights * total)
            prior = np.vstack([prior, rest])
            datum = np.append(datum, np.cumsum(used.ravel())[whose] - 1)
            drift = table.drift.ravel()[:, None] * by_sigma
            sizes = np.flatnonzero((J_of_h == 0.0).all(axis=0) & (drift != 0.0).any(axis=0))
            drift, worth = drift[:, sizes], weights * total * table.seen
            slope_of_log = np.where(table.drift == 0.0, np.inf, table.drift)
            tells = weights * total * 2.0 * table.on_sigma / slope_of_log**2
        else:
            loss_curvature, loss_slope = _loss_moments(nlp, predicted)
        found = cls(
            nlp=nlp,
            x=x,
            free=free,
            allowed=np.eye(len(free)),
            J=J[used.ravel()],
            run=run[used],
            output=output[used],
            known=np.vstack(known)[used] & (problem.loss.quadratic or problem.loss.likelihood),
            precision=precision[used],
            sigma=sigma[used],
            residual=np.where(censored != 0.0, np.nan, predicted - y)[used],
            loss_curvature=loss_curvature[used],
            loss_slope=loss_slope[used],
            penalty=penalty_along(nlp, free),
            prior=prior,
            cost_curvature=curvature_of_costs,
            cost_slope=slope_of_costs,
            strength=total * float(nlp.parameters["regularisation"][0]),
            datum=datum,
            sizes=sizes,
            drift=drift[used.ravel()],
            tells=tells[used],
            counts=worth[used],
            believed=believed[np.ix_(sizes, sizes)],
            tangent=tangent,
        )
        if not problem.loss.likelihood:
            return found
        return replace(found, loss_curvature=blunted(problem, found.output, found.leverage))

    @property
    def n(self) -> int:
        """Number of measurements that count."""
        return len(self.J)

    def along(self, allowed: Array) -> Linearised:
        """Return the same with its unknowns moving in the directions ``allowed`` (d, a) only."""
        return replace(
            self,
            allowed=self.allowed @ allowed,
            J=self.J @ allowed,
            penalty=self.penalty @ allowed,
            prior=self.prior @ allowed,
            cost_curvature=allowed.T @ self.cost_curvature @ allowed,
            cost_slope=self.cost_slope @ allowed,
        )

    @cached_property
    def _factor(self) -> tuple[Array, Array, Array]:
        root = np.vstack(
            [
                np.sqrt(self.precision * self.loss_curvature)[:, None] * self.J,
                np.sqrt(self.strength) * self.penalty,
                self.prior,
                self.cost_root,
            ]
        )
        if not root.shape[1]:
            return np.zeros((0, 0)), np.zeros((0, 0)), np.ones(0)
        size = np.sqrt((root**2).sum(axis=0))
        rounding = size <= _ROUNDING * np.sqrt(self.n) / np.maximum(self._reach, 1e-300)
        root[:, rounding] = 0.0
        size[rounding] = 1.0
        (R,) = scipy.linalg.qr(root / size, mode="r", check_finite=False)
        _, values, vectors = scipy.linalg.svd(R[: root.shape[1]], full_matrices=True)
        values = np.append(values, np.zeros(root.shape[1] - len(values)))
        flat = values <= _FLAT * values.max(initial=0.0)
        inverse = vectors[~flat].T / values[~flat] / size[:, None]
        return inverse, vectors[flat].T / size[:, None], size

    @cached_property
    def _reach(self) -> Array:
        """(a,) by how much unknowns move in a direction that moves one of them by its own size."""
        free = np.maximum(np.abs(self.x[self.free]), self.nlp.column_scale[self.free])
        return np.asarray(1.0 / np.abs(self.allowed / free[:, None]).max(axis=0))

    @cached_property
    def cost_root(self) -> Array:
        """(k, a) root of the costs' curvature, its negative part taken off."""
        if not self.cost_curvature.any():
            return self.cost_curvature[:0]
        values, vectors = np.linalg.eigh(self.cost_curvature)
        keep = values > _FLAT * values.max()
        return np.sqrt(values[keep])[:, None] * vectors[:, keep].T

    @property
    def inverse_root(self) -> Array:
        """(a, r) F with H⁻¹ = F Fᵀ, without the directions that nothing determines."""
        return self._factor[0]

    @cached_property
    def undetermined(self) -> Mask:
        """(d,) which unknowns lie in a direction that neither data nor penalty determine."""
        flat = self._factor[1]
        sizes = np.sqrt(((self.allowed * self._factor[2]) ** 2).sum(axis=1))
        share = np.sqrt(((self.allowed @ flat) ** 2).sum(axis=1)) * sizes
        return np.asarray(share > 1e-3)

    def flat_along(self, rows: Array) -> Mask:
        """(k,) which of (k, d) rows move along a direction that neither data nor penalty determine."""
        flat, size, unit = self._factor[1], self._factor[2], self.nlp.column_scale[self.free]
        along = rows @ self.allowed
        share = np.linalg.norm(along @ flat, axis=1)
        found = share > 1e-3 * np.linalg.norm(along / size, axis=1)
        unseen = self.allowed[
            :, (self.J == 0.0).all(axis=0) & (np.abs(flat).max(axis=1, initial=0.0) > 0.5)
        ]
        whole = np.linalg.norm(rows * unit, axis=1)
        for direction in unseen.T:  # of no size that the data tell
            found |= np.abs(rows @ direction) > 1e-6 * whole * np.linalg.norm(direction / unit)
        return np.asarray(found)

    @cached_property
    def leverage(self) -> Array:
        """(n,) by how much of itself every datum determines its prediction; their sum is γ + flat."""
        return (
            self.precision * self.loss_curvature * ((self.J @ self.inverse_root) ** 2).sum(axis=1)
        )

    def rows(self, matrix: sparse.csr_matrix, experiment: int | None = None) -> Array:
        """(rows, a) derivative of what has the Jacobian ``matrix`` by columns, of one experiment's if given."""
        matrix = sparse.csc_array(matrix)
        total = np.asarray(matrix[:, self.free].toarray(), dtype=float)
        for part, Z in sensitivities(self.nlp, self.x, self.free, self.tangent, experiment):
            total += matrix[:, part.dependent] @ Z
        return total @ self.allowed


def _loss_moments(nlp: NLP, predicted: Array) -> tuple[Array, Array]:
    """½ ρ''(r), its mean by output in every row, and ½ σ ρ'(r): 1 and the residual for squares."""
    y, sigma = nlp.parameters["measurements"], nlp.parameters["sigma"]
    loss, used = nlp.problem.loss, nlp.parameters["weights"] > 0.0
    curvature = 0.5 * sigma**2 * loss.curvature(predicted, y, sigma)
    mean = np.sum(curvature * used, axis=0) / np.maximum(1, used.sum(axis=0))
    slope = 0.5 * sigma**2 * loss.slope(predicted, y, sigma)
    return np.broadcast_to(np.maximum(mean, 1e-6), y.shape), slope
