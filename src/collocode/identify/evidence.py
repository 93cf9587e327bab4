r"""The regularisation that the evidence chooses, and how sure the fit is of its weights.

Weights with the prior :math:`N(0, (\alpha M_w)^{-1})` and data with the variances v make the fit the most
probable point of a posterior whose normalisation, the evidence, depends on α and v.  Where it is
greatest (MacKay, Neural Computation 4, 1992),

.. math:: \gamma = P - \alpha\,\mathrm{tr}\,(S M_w),\qquad \alpha = \gamma / \theta^TM_w\theta,\qquad
          v_g = \sum_{i\in g} q_i^2 \Big/ \sum_{i\in g}(1-h_i),\qquad
          S = \Bigl(\sum_g H_g/v_g + \alpha M_w + P_0\Bigr)^{-1}

with γ the number of weights that the data determine.  The strength that does it is
:math:`\lambda=\alpha v/M`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from ..adapt.automesh import How
from ..model.varying import penalty_root
from ..numerics import Array
from ..results.fitted import Penalty
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.protocol import OnIteration
from ..solvers.solve import make_solver, solve_with
from .bounds import held_by
from .linearised import Linearised
from .noise import SURELY, Noise, noise_of, standardised

_STEPS, _STILL = 100, 1e-3  # of the fixed point, in ln α
_SOLVES, _SETTLED = 6, 1.2  # at most, and the factor within which λ counts as found
_STRIDE = 100.0  # largest factor between one solve and the next
_SHORTER = 3  # solves of one step, each half as long as the one before
_EXACT = 1e-16  # misfit of a fit that leaves nothing
_LARGEST = 1e6  # α of weights that are as good as zero


@dataclass(frozen=True, eq=False, kw_only=True)
class MostProbable:
    """Where the evidence of a linearised fit is greatest.

    Attributes
    ----------
    alpha : precision of the weights.
    strength : the λ that makes the penalty of the objective just that.
    effective : γ, the number of weights that the data determine.
    variance : (groups,) of the data, in units of σ²/w.
    """

    alpha: float
    strength: float
    effective: float
    variance: Array


def choose_strength(
    solution: Solution,
    how: How,
    on_iteration: OnIteration | None = None,
    most: int = _SOLVES,
) -> Solution:
    """Solve again, each time from the last point, until λ is the one that the evidence asks for.

    A solution that is no optimum, or has no weights, comes back as it is; so does the last optimum if
    the solve with another λ ends in none.

    Parameters
    ----------
    solution : with its NLP.
    how : interface, options and whether deterministic, as for `make_solver`.
    on_iteration : as for `solve`.
    most : solves.
    """
    if not solution.success or solution.nlp is None or not len(solution.nlp.layout.weights):
        return solution
    if _misfit(solution) < _EXACT:  # without noise there is no evidence
        return solution
    solves = 1 if solution.penalty is None else solution.penalty.solves
    most, solver = most + solves, None
    while True:
        best, here = evidence_of(solution), _strength(solution)
        step = np.log(best.strength / max(here, 1e-300))
        # the data tell ln α to a standard deviation of √(2/γ)
        found = bool(abs(step) < max(np.log(_SETTLED), np.sqrt(2.0 / best.effective)))
        penalty = Penalty(
            strength=here,
            chosen=found,
            asked=best.strength,
            effective=best.effective,
            solves=solves,
        )
        solution = replace(solution, penalty=penalty)
        step = np.clip(step, -np.log(_STRIDE), np.log(_STRIDE))
        tries = _SHORTER
        while not found and tries and solves < most:
            assert solution.nlp is not None
            solver = solver or make_solver(solution.nlp, *how)
            again = solution.nlp.with_parameters(regularisation=here * np.exp(step))
            # the multipliers are of another λ and stay out
            begun = again.with_start(solution.result.x)
            tried, solves = solve_with(solver, begun, on_iteration=on_iteration), solves + 1
            if tried.result.termination is Termination.INTERRUPTED:
                stopped = replace(solution.result, termination=Termination.INTERRUPTED)
                return replace(solution, result=stopped)
            if tried.success:
                break
            step, tries = 0.5 * step, tries - 1
        else:
            return replace(solution, penalty=replace(penalty, solves=solves))
        solution = replace(
            tried,
            penalty=replace(penalty, solves=solves),
            meshing=solution.meshing,
            start_record=solution.start_record,
            result=tried.result.with_timings(**_began(solution)),
        )


def evidence_of(solution: Solution) -> MostProbable:
    """Linearise a fit with its NLP and maximise its evidence; a given σ is believed."""
    assert solution.nlp is not None
    lin = Linearised.of(solution, solution.nlp, windows=False)  # a plan tells nothing of the noise
    held = held_by(lin, solution, float(np.mean(noise_of(lin).of_data)))
    lin = lin.along(held.allowed)
    noise = noise_of(lin, SURELY, loud=0.0)
    believed = replace(noise, variance=np.where(noise.known, 1.0, noise.variance))
    return most_probable(lin, solution.model.theta, believed)


def _misfit(solution: Solution) -> float:
    """Mean square of the residuals, in units of the outputs' spreads or σ."""
    assert solution.nlp is not None
    blocks = solution.nlp.parameters
    residual = solution.nlp.predictions(solution.result.x)[0] - blocks["measurements"]
    used = blocks["weights"] > 0.0
    return float(np.sum(blocks["weights"][used] * (residual[used] / blocks["sigma"][used]) ** 2))


def _strength(solution: Solution) -> float:
    assert solution.nlp is not None and solution.nlp.strength is not None
    return solution.nlp.strength


def _began(solution: Solution) -> dict[str, float]:
    return {k: v for k, v in solution.result.timings.items() if k == "start"}


def most_probable(lin: Linearised, theta: Array, noise: Noise) -> MostProbable:
    """Maximise the evidence of the fit as linearised: weights and residuals follow α and v."""
    data = _Compressed.of(lin, noise)
    theta = _root_times(lin, theta)
    variance, alpha = noise.variance.copy(), lin.strength / _mean(noise.variance, noise)
    rank = float(np.linalg.matrix_rank(data.penalty)) if data.penalty.size else 0.0
    if rank == 0.0:
        return MostProbable(alpha=np.inf, strength=0.0, effective=0.0, variance=variance)
    alpha = alpha if alpha > 0.0 else 1e-6
    for _ in range(_STEPS):
        S = data.covariance(variance, alpha)
        step = -S @ data.slope(variance, alpha, theta)
        weights = theta + data.penalty @ step
        effective = rank - alpha * float(np.einsum("ij,jk,ik->", data.penalty, S, data.penalty))
        effective = float(np.clip(effective, 1e-3, rank))
        new = min(effective / max(float(weights @ weights), 1e-300), _LARGEST)
        variance = data.variances(variance, S, step)
        moved, alpha = abs(np.log(new / alpha)), new
        if moved < _STILL:
            break
    strength = alpha * _mean(variance, noise) / lin.nlp.problem.n_measurements
    return MostProbable(alpha=alpha, strength=strength, effective=effective, variance=variance)


def _mean(variance: Array, noise: Noise) -> float:
    """The variance that the objective takes for one: given σ count as they are."""
    if noise.known.any():
        return 1.0
    return float(np.exp(np.mean(np.log(np.maximum(variance[noise.group], 1e-300)))))


def _root_times(lin: Linearised, theta: Array) -> Array:
    return np.asarray(penalty_root(lin.nlp.problem.weight_blocks) @ theta)


@dataclass(frozen=True, eq=False)
class _Compressed:
    """Gram matrices by group, so that a step of the fixed point costs no pass over the data."""

    gram: list[Array]
    J: Array
    penalty: Array
    prior: Array
    cost_root: Array
    cost_slope: Array
    lin: Linearised
    noise: Noise

    @classmethod
    def of(cls, lin: Linearised, noise: Noise) -> _Compressed:
        weight = np.sqrt(lin.precision * lin.loss_curvature)[:, None] * lin.J
        size = np.sqrt((weight**2).sum(axis=0) + lin.strength * (lin.penalty**2).sum(axis=0))
        size[size == 0.0] = 1.0
        J = lin.J / size
        uk = lin.precision * lin.loss_curvature
        gram = []
        for number in range(len(noise.known)):
            mine = noise.group == number
            gram.append(J[mine].T @ (uk[mine, None] * J[mine]))
        costs = lin.cost_root / size
        return cls(
            gram, J, lin.penalty / size, lin.prior / size, costs, lin.cost_slope / size, lin, noise
        )

    def covariance(self, variance: Array, alpha: float) -> Array:
        A = alpha * self.penalty.T @ self.penalty + self.prior.T @ self.prior
        A += self.cost_root.T @ self.cost_root / _mean(variance, self.noise)
        for gram, v in zip(self.gram, variance, strict=True):
            A += gram / v
        A[np.diag_indices_from(A)] *= 1.0 + 1e-13  # flat directions stay finite
        A[np.diag_indices_from(A)] += 1e-300
        return np.asarray(scipy.linalg.inv(A, check_finite=False))

    def slope(self, variance: Array, alpha: float, theta: Array) -> Array:
        """Of the negative logarithm of the posterior, at the fit."""
        lin = self.lin
        pulls = lin.precision * lin.loss_slope / variance[self.noise.group]
        costs = self.cost_slope / _mean(variance, self.noise)
        return np.asarray(self.J.T @ pulls + alpha * self.penalty.T @ theta + costs)

    def variances(self, variance: Array, S: Array, step: Array) -> Array:
        lin, noise = self.lin, self.noise
        q = standardised(lin) + np.sqrt(lin.precision) * lin.loss_curvature * (self.J @ step)
        leverage = lin.precision * lin.loss_curvature * np.einsum("ij,ij->i", self.J @ S, self.J)
        freedom = 1.0 - leverage / variance[noise.group]
        count = len(noise.known)
        size = np.bincount(noise.group, minlength=count)
        left = np.maximum(np.bincount(noise.group, freedom, count), 0.02 * size)
        found = np.bincount(noise.group, q**2, count) / left
        return np.where(noise.known, noise.variance, np.maximum(found, 1e-300))
