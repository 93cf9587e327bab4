"""The misfit of a problem as an expression, and the σ that its likelihoods see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np

from ..errors import InputError
from ..numerics import Array, Mask
from .activations import CASADI
from .counts import NegativeBinomial
from .experiment import Experiment
from .likelihoods import Likelihood, Spread
from .losses import Loss
from .problem import Problem
from .symbolic import Symbols, call_noise, named_parameters, observed, of_coefficients

_NOTHING = 1e-200  # beside any weight


def scorable(problem: Problem) -> bool:
    """Whether a problem is the maximum of a likelihood in parameters alone: no networks, no rows more."""
    return bool(
        problem.loss.likelihood
        and problem.all_parameters
        and not problem.dynamics.networks
        and not problem.decides
        and not problem.varies_in_time
        and not problem.constraints
        and not problem.bounds
        and not getattr(problem, "algebraic", ())
        and not any(e.final for e in problem.experiments)
    )


def likelihood_of(loss: Loss, output: str) -> Likelihood | None:
    """Return the likelihood of an output; None if the loss is none."""
    found: Likelihood | None = loss.of(output) if loss.likelihood else None  # type: ignore[attr-defined]
    return found


def modelled(problem: Problem, output: str) -> bool:
    """Whether σ of an output is an expression and not a number."""
    loss = likelihood_of(problem.loss, output)
    if loss is None or not loss.dispersed or loss.sigma_of(output, 0.0) > 0.0:
        return False
    known = {q.name for q in problem.all_parameters}  # without σ_output where all data tell theirs
    return loss.spread_of(output) is not None or problem.noise_name(output) in known


def noise_parameters(problem: Problem, outputs: Sequence[str] | None = None) -> set[str]:
    """Names of parameters that are the σ of an output, or a part of it; not the overdispersion of counts."""
    found = set()
    for output in problem.outputs if outputs is None else outputs:
        loss = likelihood_of(problem.loss, output)
        if (
            loss is not None
            and modelled(problem, output)
            and not isinstance(loss, NegativeBinomial)
        ):
            spread = loss.spread_of(output)
            sizes = spread if isinstance(spread, tuple) else (spread,)
            names = [problem.noise_name(output) if s is None else s for s in sizes]
            found |= {name for name in names if isinstance(name, str)}
    return found


def spreads(problem: Problem, s: Symbols, h: ca.SX, told: float = 0.0) -> ca.SX:
    """Return σ of every output as its model says it, given its prediction; else ``told`` times it."""
    found = []
    for j, name in enumerate(problem.outputs):
        value: Any = ca.SX(told * problem.sigma[name])
        loss = likelihood_of(problem.loss, name)
        if loss is not None and modelled(problem, name):
            value = _spread(problem, name, loss.spread_of(name), s, h[j])
        found.append(value)
    return ca.vertcat(ca.SX(0, 1), *found)


def noise_function(problem: Problem, told: float = 0.0) -> ca.Function:
    """Return `spreads` as a CasADi Function (t, x, u, p, theta) -> σ, of coefficients p and theta."""
    s = Symbols.of(problem)
    value = spreads(problem, s, observed(problem, s), told)
    return of_coefficients(problem, s, "noise", value, "sigma")


def _spread(problem: Problem, output: str, given: Spread, s: Symbols, h: ca.SX) -> ca.SX:
    if callable(given):
        return call_noise(problem, output, given, s, h)
    p = named_parameters(problem, s)
    known = {q.name for q in problem.all_parameters}
    sizes = given if isinstance(given, tuple) else (given, 0.0)
    values = []
    for size in sizes:
        name = problem.noise_name(output) if size is None else size
        if isinstance(name, str) and name not in known:
            raise InputError(
                f"sigma of output {output!r} is {name!r}, which is no parameter; add "
                f'Parameter({name!r}, ..., scale="log") to the problem\'s parameters.'
            )
        values.append(p[name] if isinstance(name, str) else name)
    return ca.SX(values[0] + values[1] * ca.fabs(h))


def kink_of(problem: Problem) -> float:
    """The sharpest kink of what its data cost, in units of σ; infinite where there is none."""
    if not problem.n_measurements:
        return np.inf
    laws = [likelihood_of(problem.loss, name) or problem.loss for name in problem.outputs]
    return min(law.kink for law in laws)


def misfit(
    problem: Problem,
    h: ca.SX,
    spread: ca.SX,
    data: tuple[ca.SX, ca.SX, ca.SX, ca.SX],
    rounding: ca.SX | float = 1.0,
) -> ca.SX:
    """Return Σ w cost(h, y, σ) of one sample, of data ``(y, w, sigma, censored)``; for σ see `spreads`.

    Its kinks are ``rounding`` times as wide as in the end.
    """
    y, weight, sigma, censored = data
    if not problem.loss.likelihood:
        return ca.dot(weight, problem.loss.rounded(h, y, sigma, rounding))
    total: Any = 0.0
    for j, name in enumerate(problem.outputs):
        loss = likelihood_of(problem.loss, name)
        assert loss is not None
        size = sigma[j]
        if modelled(problem, name):
            own = any(e.sigma is not None for e in problem.experiments)
            size = ca.if_else(sigma[j] > 0.0, sigma[j], spread[j]) if own else spread[j]
        seen = _seen(problem, j, h[j], weight[j])
        value = loss.rounded(seen, y[j], size, rounding)
        for side in _sides(problem, j):
            tail = loss.tail(seen, y[j], size, side, CASADI)
            value = ca.if_else(side * censored[j] > 0.0, tail, value)
        total += weight[j] * value
    return total


def _seen(problem: Problem, column: int, h: ca.SX, weight: ca.SX) -> ca.SX:
    """A prediction, or 1 where nothing was measured: 0 times the logarithm of 0 is no number.

    Written without a condition, which not every solver that models are handed to can take.
    """
    if not any(np.isnan(e.values[:, column]).any() for e in problem.experiments):
        return h
    share = weight / (weight + _NOTHING)  # 1 to the last digit, or 0
    return share * h + (1.0 - share)


def _sides(problem: Problem, column: int) -> list[float]:
    """On which sides some datum of an output is censored."""
    tables = [
        np.asarray(e.censored)[:, column] for e in problem.experiments if e.censored is not None
    ]
    found = np.unique(np.concatenate([np.zeros(1), *tables]))
    return [float(side) for side in found if side != 0.0]


def costs_of_data(problem: Problem, h: Array, y: Array, sigma: Array, censored: Array) -> Array:
    """(N, outputs) costs of data, exact where a solver sees kinks rounded off."""
    costs = np.array(problem.loss.cost(h, y, sigma), dtype=float)
    for j, name in enumerate(problem.outputs if censored.any() else ()):
        loss = likelihood_of(problem.loss, name)
        for side in (-1.0, 1.0):
            here = censored[:, j] == side
            if loss is not None and here.any():
                costs[here, j] = loss.tail(h[here, j], y[here, j], sigma[here, j], side)
    return costs


def deviations_of(loss: Loss, outputs: Sequence[str], h: Array, sigma: Array) -> Array:
    """(N, outputs) standard deviations of data in their units; of squares, what they are divided by."""
    laws = [likelihood_of(loss, name) for name in outputs]
    found = np.array(np.broadcast_to(sigma, h.shape), dtype=float)
    for j, law in enumerate(laws):
        if law is not None:
            found[:, j] = law.deviation(h[:, j], found[:, j])
    return found


def rough_sigma_in(problem: Problem, experiment: Experiment) -> Array:
    """(N, outputs) σ as far as it is known before a fit: where a model says it, from smoothed data."""
    found = problem.sigma_in(experiment)
    for j, name in enumerate(problem.outputs):
        if modelled(problem, name):
            guess = problem.noise_guess(name)
            found[:, j] = np.where(found[:, j] > 0.0, found[:, j], guess)
    return found


def rough_sigma(problem: Problem, kept: Callable[[Experiment], Mask]) -> Array:
    """(samples, outputs) the same of all experiments, of the times that ``kept`` says."""
    return np.vstack([rough_sigma_in(problem, e)[kept(e)] for e in problem.experiments])
