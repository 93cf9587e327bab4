r""":math:`-\log L` of a fit, what it costs in parameters, and the same of any numbers by simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..checks import check_named
from ..errors import InputError
from ..kinds import check_type
from ..model.misfit import costs_of_data
from ..model.problem import Problem
from ..numerics import Array
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP
from ..transcription.samples import measured
from .model import TrainedModel
from .resolved import resolved
from .simulate import simulate
from .solution import Solution

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True, kw_only=True)
class LikelihoodScore:
    """How likely the data are by a fit.

    Attributes
    ----------
    minus_log : -log L, constants included.
    minus_log_prior : -log of the densities of the parameters' priors.
    data, parameters : numbers of measurements, and of free parameters, weights and initial states.
    """

    minus_log: float
    minus_log_prior: float
    data: int
    parameters: int

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 k − 2 log L."""
        return 2.0 * self.parameters + 2.0 * self.minus_log

    @property
    def bic(self) -> float:
        """Schwarz's criterion, k log n − 2 log L."""
        return self.parameters * math.log(max(1, self.data)) + 2.0 * self.minus_log


def likelihood(solution: Solution) -> LikelihoodScore:
    """Return -log L of a fit's collocated outputs; exact where the solver saw a kink rounded off.

    Raises
    ------
    InputError
        A solution without its NLP, or a loss that is no likelihood, as squares of unknown σ.

    Examples
    --------
    >>> from collocode import Dynamics, Experiment, Normal, Parameter, Problem, fit
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> y = np.exp(-0.7 * t) + 0.01 * np.cos(40.0 * t)
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> score = likelihood(fit(Problem(decay, Experiment(t, y, ("c",)), loss=Normal(0.01))))
    >>> score.parameters, round(score.aic - 2.0 * score.minus_log, 6)
    (2, 4.0)
    """
    check_type("likelihood", solution, Solution)
    nlp, x = solution.nlp, solution.result.x
    if nlp is None:
        raise InputError(
            "a solution loaded from a file has no NLP; discretize the problem and solve from it."
        )
    parts = nlp.layout.experiments
    columns = [nlp.layout.shared, nlp.layout.weights]
    columns += [np.append(part.parameters, part.free_initial) for part in parts]
    chosen = np.concatenate(columns).astype(int)
    return LikelihoodScore(
        minus_log=_minus_log(nlp, nlp.predictions(x)[0], nlp.sigma(x)),
        minus_log_prior=_minus_log_prior(nlp, x),
        data=nlp.problem.n_measurements,
        parameters=int((nlp.lower[chosen] < nlp.upper[chosen]).sum()),
    )


def minus_log_likelihood(problem: Problem, parameters: Mapping[str, float] | None = None) -> float:
    """Return -log L of a problem's simulation with some parameters, in natural units; inf if it fails.

    Parameters
    ----------
    problem : whose initial states are known, or functions of parameters; what is free starts where
        `discretize` starts it.
    parameters : values by name, ``name[experiment]`` of those that every experiment has of its own, as
        `Solution.parameters` tells them; the others are at their starts.

    Raises
    ------
    InputError
        An unknown parameter, one that varies in time, or a loss that is no likelihood.
    """
    check_type("minus_log_likelihood", problem, Problem)
    nlp = discretize(problem, mesh=1)
    x, known = nlp.start.copy(), {q.name: q for q in problem.all_parameters}
    own = {
        f"{name}[{e.name}]": (known[name], part.parameters[j])
        for e, part in zip(problem.experiments, nlp.layout.experiments, strict=True)
        for j, name in enumerate(nlp.layout.own_names)
        if name in known
    }
    shared = [n for n, q in known.items() if q.basis is None]
    for name, value in (parameters or {}).items():
        check_named(
            "parameters= of minus_log_likelihood", [name], "constant parameter", [*shared, *own]
        )
        if name in own:
            q, column = own[name]
            x[column] = q.decided(value)
        else:
            x[nlp.layout.columns_of(name)] = known[name].decided(value)
    x = nlp.with_initial(x)
    predicted, spreads = [], []
    for number, (e, part) in enumerate(
        zip(problem.experiments, nlp.layout.experiments, strict=True)
    ):
        if not e.measures:
            continue
        times, model = e.times[measured(e)], TrainedModel.of(nlp, x, number)
        at = np.append(part.mesh.start, times)
        run = simulate(model, x[part.states[0]], at, resolved(nlp, x, number)[0].inputs)
        if not run.complete:
            return float("inf")
        states, z = run.states[1:], None if run.algebraics is None else run.algebraics[1:]
        u = [e.inputs[name](times) for name in problem.inputs]
        inputs = np.column_stack(u) if u else None
        predicted.append(model.observe(states, inputs, times, z))
        told = model.spread(states, inputs, times, z)
        spreads.append(np.zeros_like(predicted[-1]) if told is None else told)
    given = nlp.parameters["sigma"]
    sigma = np.where(given > 0.0, given, np.vstack(spreads))
    return _minus_log(nlp, np.vstack(predicted), sigma)


def _minus_log(nlp: NLP, predicted: Array, sigma: Array) -> float:
    problem, y = nlp.problem, nlp.parameters["measurements"]
    factor = nlp.parameters["weights"] * problem.n_measurements
    censored = nlp.parameters.get("censored", np.zeros(y.shape))
    costs = 0.5 * costs_of_data(problem, predicted, y, sigma, censored)
    if not problem.loss.likelihood:
        told = all(problem.knows_noise_of(e).all() for e in problem.experiments)
        if not (problem.loss.quadratic and told):
            raise InputError(
                f"{problem.loss!r} is no likelihood; give loss=Normal(), which estimates σ, or a sigma."
            )
        costs = costs + np.log(sigma) + _HALF_LOG_2PI
    return float(np.sum(factor * np.where(factor > 0.0, costs, 0.0)))


def _minus_log_prior(nlp: NLP, x: Array) -> float:
    total = 0.0
    for q in nlp.problem.all_parameters:
        if q.prior is not None:
            z = x[nlp.layout.columns_of(q.name)]
            total += float(np.sum(q.prior.cost(q.natural(z), z)))
    return total
