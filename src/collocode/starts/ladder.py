r"""Candidates for a start, compared by what they say after one sweep of Picard's iteration.

A start is a pair of states :math:`x(t)` and numbers (weights, parameters) that need not fit each
other: a smoothing spline is near the data but no solution, a simulation is a solution but may be far
from the data.  One sweep

.. math:: \tilde x(t) = x(t_0) + \int_{t_0}^t f(s, x(s), u(s), p, \theta)\,\mathrm{d}s

takes both to the same measure: the *merit* of a start is the objective at :math:`\tilde x`.  Of a
simulated start that is its misfit; of smoothed data, what the integrated slopes miss.  Unlike a
simulation it cannot run away, and it costs one evaluation of the collocation rows, because
:math:`\tilde x - x` solves them: :math:`D\,\delta = -c(x)` element by element.

One sweep says little where the model is stiff or the record long.  States of gradient matching are
the data's, so its merit is never taken for worse than that of predicting the means; a simulation that
is worse than that has lost the data.

A candidate whose functions do not evaluate, values or derivatives, is passed over with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..model.calls import Call
from ..model.misfit import likelihood_of, rough_sigma
from ..numerics import Array
from ..transcription.nlp import NLP, StartRecord
from ..transcription.samples import measured
from .consistent import settle

_PUSH = 1e-2  # Ipopt's bound_push and bound_frac


@dataclass
class Ladder:
    """The candidates offered so far, and the best of them."""

    nlp: NLP
    merits: dict[str, float] = field(default_factory=dict)
    passed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    _best: tuple[float, str, Array] | None = None

    @property
    def found(self) -> bool:
        """Whether some candidate evaluates."""
        return self._best is not None

    @property
    def best(self) -> Array:
        """(columns,) the best candidate; the program's own start if none evaluates."""
        return self.nlp.start if self._best is None else self._best[2]

    def offer(self, name: str, x: Array, most: float = np.inf) -> None:
        """Look at a candidate, whose merit counts as ``most`` if it is more; of equals the first."""
        point = self.nlp.with_initial(np.clip(x, self.nlp.lower, self.nlp.upper))
        settle(self.nlp, point)
        reason = why_not(self.nlp, point)
        if reason:
            self.passed[name] = reason
            return
        value = self.merits[name] = min(merit(self.nlp, point), most)
        if self._best is None or value < self._best[0]:
            self._best = value, name, point

    def record(self) -> StartRecord:
        """Return which candidate is used, and what became of the others."""
        name = "interpolate" if self._best is None else self._best[1]
        return StartRecord(
            name=name, merits=self.merits, passed=self.passed, interrupted=self.interrupted
        )


def merit(nlp: NLP, x: Array) -> float:
    """Objective after one sweep of Picard's iteration; inf where that cannot be evaluated."""
    moved = x.copy()
    # in the solver's scales, whose functions have been made
    view, scale = nlp.scaled(), nlp.column_scale
    rows = view.constraints(x / scale) / nlp.row_scale
    inverse = np.linalg.inv(nlp.scheme.D[:, 1:])
    for part in nlp.layout.experiments:
        within = -np.einsum("kj,eji->eki", inverse, rows[part.rows])
        before = np.cumsum(within[:, -1], axis=0) - within[:, -1]
        moved[part.states[1:]] += (within + before[:, None]).reshape(-1, within.shape[2])
    moved = np.clip(moved, nlp.lower, nlp.upper)
    settle(nlp, moved)
    value = view.objective(moved / scale)
    return value if np.isfinite(value) else np.inf


def merit_of_means(nlp: NLP) -> float:
    """Misfit of a model that says every output's mean: what a start should be better than."""
    y, weights = (nlp.parameters[n] for n in ("measurements", "weights"))
    mean = (weights * y).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-300)
    return float((weights * excess(nlp, np.broadcast_to(mean, y.shape))).sum())


def merit_of_noise(nlp: NLP) -> float:
    """Misfit of a model that misses the data by their own noise, as far as smoothing tells it."""
    weights, sigma = nlp.parameters["weights"], nlp.parameters["sigma"]
    noise = np.array([nlp.problem.smoothed_noise[name] for name in nlp.problem.outputs])
    return float((weights * nlp.problem.loss.cost(noise, 0.0, sigma)).sum())


def excess(nlp: NLP, predicted: Array) -> Array:
    """(samples, outputs) what data cost beyond the best that a model can say of them.

    Of squares that is what they cost; of a likelihood the square of the deviance residual, for the σ that
    is told before a fit: one that is estimated would excuse any misfit.
    """
    problem, y = nlp.problem, nlp.parameters["measurements"]
    if not problem.loss.likelihood:
        return np.asarray(problem.loss.cost(predicted, y, nlp.parameters["sigma"]))
    sigma = rough_sigma(problem, measured)
    censored = nlp.parameters.get("censored", np.zeros(y.shape))
    columns = []
    for j, name in enumerate(problem.outputs):
        loss = likelihood_of(problem.loss, name)
        assert loss is not None
        square = loss.deviance(predicted[:, j], y[:, j], sigma[:, j]) ** 2
        columns.append(np.where(censored[:, j] * (predicted[:, j] - y[:, j]) > 0.0, 0.0, square))
    return np.stack(columns, axis=-1)


def why_not(nlp: NLP, x: Array) -> str:
    """Say what cannot be evaluated where IPOPT would begin from ``x``; empty if all can."""
    # in its scales, in which the solver will need the same functions again
    functions = nlp.scaled().functions
    at = np.ascontiguousarray(_pushed(nlp, x) / nlp.column_scale), nlp.p
    rows = Call(functions.constraints, at)()
    if not np.isfinite(rows).all():
        return f"{nlp.row_names[_first_bad(rows)]} is not finite there"
    if not np.isfinite(Call(functions.objective, at)()).all():
        return "the misfit is not finite there"
    gradient, jacobian, hessian = functions.for_solver
    slopes = Call(gradient, at, 1)()
    if not np.isfinite(slopes).all():
        return f"the misfit has no derivative by {nlp.column_names[_first_bad(slopes)]} there"
    values = Call(jacobian, at, 1)()
    if not np.isfinite(values).all():
        row = functions.pattern.row()[_first_bad(values)]
        return f"{nlp.row_names[row]} has no derivative there"
    if not np.isfinite(Call(hessian, (*at, np.ones(1), np.ones(nlp.rows)))()).all():
        return "second derivatives are not finite there"
    return ""


def _first_bad(values: Array) -> int:
    return int(np.flatnonzero(~np.isfinite(values))[0])


def _pushed(nlp: NLP, x: Array) -> Array:
    """Where Ipopt begins: inside the bounds by its own rule, in scaled variables."""
    scale = nlp.column_scale
    lower, upper, z = nlp.lower / scale, nlp.upper / scale, x / scale
    with np.errstate(invalid="ignore"):  # inf - inf, where there is no bound
        width = _PUSH * np.nan_to_num(upper - lower, nan=np.inf)
        low = lower + np.minimum(_PUSH * np.maximum(1.0, np.abs(lower)), width)
        high = upper - np.minimum(_PUSH * np.maximum(1.0, np.abs(upper)), width)
    z = np.where(np.isfinite(lower), np.maximum(z, low), z)
    return np.asarray(np.where(np.isfinite(upper), np.minimum(z, high), z) * scale)
