r"""Fisher's information that data have on their predictions h and on their noise σ.

With :math:`J_h` and :math:`J_\sigma` the derivatives of both by the unknowns, an uncensored datum adds
:math:`I_{hh}J_h^TJ_h+I_{\sigma\sigma}J_\sigma^TJ_\sigma`, the expectation; a censored one, whose time of
censoring is a matter of design, what was observed: the Hessian of its :math:`-\log L` by (h, σ), without
negative curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np

from ..model.activations import CASADI
from ..model.likelihoods import Likelihood
from ..model.misfit import likelihood_of, modelled
from ..model.problem import Problem
from ..numerics import Array, Index
from ..transcription.nlp import NLP

_STEP = 1e-5
_LEAST = 1e-12  # of the information on h that an uncensored datum would have


@dataclass(frozen=True, eq=False, kw_only=True)
class FisherInformation:
    """What every datum tells of its prediction and its σ.

    Attributes
    ----------
    on_h : (samples, outputs) information on h.
    score : (samples, outputs) slope of -log L by h.
    on_sigma, mixed : (samples, outputs) information on σ, where a model says it, and on both.
    drift : (samples, outputs) slope by σ of the logarithm of the datum's variance, which is one over the
        information that it has on h where it is not censored.
    seen : (samples, outputs) share that is left of the information on σ: one of what is not censored.
    """

    on_h: Array
    score: Array
    on_sigma: Array
    mixed: Array
    drift: Array
    seen: Array

    @classmethod
    def of(cls, nlp: NLP, x: Array, predicted: Array, slopes: bool = True) -> FisherInformation:
        """Evaluate it at a point, the slopes of what is not censored only if they are wanted."""
        problem, y, s = nlp.problem, nlp.parameters["measurements"], nlp.sigma(x)
        censored = nlp.parameters.get("censored", np.zeros(y.shape))
        on_h, on_sigma = np.zeros(y.shape), np.zeros(y.shape)
        mixed, score = np.zeros(y.shape), np.zeros(y.shape)
        drift, seen = np.zeros(y.shape), np.ones(y.shape)
        for j, name in enumerate(problem.outputs):
            loss = likelihood_of(problem.loss, name)
            assert loss is not None
            on_h[:, j], on_sigma[:, j] = loss.information(predicted[:, j], s[:, j])
            whole = np.maximum(on_sigma[:, j], 1e-300)
            if modelled(problem, name):
                drift[:, j] = -_log_slope(loss, predicted[:, j], s[:, j])
            if slopes:
                score[:, j] = 0.5 * loss.slope(predicted[:, j], y[:, j], s[:, j])
            for i in np.flatnonzero(censored[:, j]):
                full = on_h[i, j]
                at = predicted[i, j], y[i, j], s[i, j]
                score[i, j], hessian = _tail(loss, censored[i, j], *at)
                on_h[i, j], mixed[i, j], on_sigma[i, j] = hessian
                on_h[i, j] = max(on_h[i, j], _LEAST * full)
                seen[i, j] = np.clip(on_sigma[i, j] / whole[i], 0.0, 1.0)
            if not modelled(problem, name):
                on_sigma[:, j] = mixed[:, j] = 0.0
        given = nlp.parameters["sigma"] > 0.0
        on_sigma[given] = mixed[given] = drift[given] = 0.0
        return cls(on_h=on_h, score=score, on_sigma=on_sigma, mixed=mixed, drift=drift, seen=seen)

    def rows(self, J: Array, S: Array, factor: Array) -> tuple[Array, Array, Index]:
        """(n, d), (m, d), (m,): rows of the data, which bear `on_h`; the root of what is left on σ; whose it is.

        With the information a, b, c on h, both and σ: a (J + b/a S)² + (c - b²/a) S².
        """
        left = np.maximum(self.on_sigma - self.mixed**2 / self.on_h, 0.0).ravel() * factor.ravel()
        whose = np.flatnonzero(left > 0.0)
        root = np.sqrt(left[whose])[:, None] * S[whose]
        return J + (self.mixed / self.on_h).ravel()[:, None] * S, root, whose


def blunted(problem: Problem, output: Index, leverage: Array) -> Array:
    r"""(n,) curvature that kinks have, averaged over the estimate's own distribution, over what Fisher's information says.

    With the leverages :math:`h_i` the predictions spread by :math:`\sqrt{h_i}\,\sigma`; of few data that is no small part of
    σ, and the mean curvature of a cost :math:`|r|/\sigma` less than at its kink.  Source: induced smoothing, Brown and Wang,
    Biometrika 92, 2005.
    """
    found = np.ones_like(leverage)
    for j, name in enumerate(problem.outputs):
        loss, here = likelihood_of(problem.loss, name), output == j
        if loss is not None:
            found[here] = loss.blunted(np.sqrt(np.maximum(leverage[here], 0.0)))
    return found


def _log_slope(loss: Likelihood, h: Array, s: Array) -> Array:
    """∂ log I_hh / ∂σ, by central differences of a formula."""
    up, down = (loss.information(h, s * (1.0 + e))[0] for e in (_STEP, -_STEP))
    return np.asarray(np.log(up / down) / (2.0 * _STEP * s))


def _tail(
    loss: Likelihood, side: float, h: float, y: float, s: float
) -> tuple[float, tuple[float, float, float]]:
    """Slope by h and Hessian by (h, σ), its negative part taken off, of a censored datum."""
    a, b = ca.SX.sym("h"), ca.SX.sym("s")
    v = ca.vertcat(a, b)
    value = 0.5 * loss.tail(a, y, b, side, CASADI)
    hessian, gradient = ca.hessian(value, v)
    found = ca.Function("tail", [v], [gradient, hessian])([h, s])
    values, vectors = np.linalg.eigh(np.asarray(found[1], dtype=float))
    H = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return float(found[0][0]), (float(H[0, 0]), float(H[0, 1]), float(H[1, 1]))
