r"""Whether a mesh is fine enough for what a fit reports, and which elements are to blame if it is not.

Two things are asked, each in units of the noise:

* the **share** of the discretization in every estimated parameter, its error by `estimate_errors` over
  its standard error :math:`(2s^2/M\cdot\nabla E^TH^{-1}\nabla E)^{1/2}`, which falls out of the same
  KKT system;
* the **gap**: do the trained model's own trajectories meet the collocated outputs?  By `estimate_gap`,
  and where that is small, by the independent integrator, which has the last word.

The noise :math:`s` is the root mean square residual of the collocated fit, by output and experiment, or
the given σ where that is smaller: neither a fit that overfits nor a σ that was given as a mere unit
makes a coarse mesh look fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..numerics import Array
from ..results.solution import Solution
from ..transcription.nlp import NLP
from ..transcription.samples import measured
from .estimate import Estimate, estimate_errors
from .gap import estimate_gap
from .goals import ColumnValue

_FLOOR = 1e-5  # noise below this share of an output's spread, or std below that of a value, is none
_CANCELLING = 5.0  # tolerances that Σ|η| may be
_HANDED_OUT = 0.5  # share of a tolerance that is distributed over the elements


@dataclass(frozen=True)
class Limits:
    """What the discretization may do: ``share`` of a standard error, ``gap`` in noise rms."""

    share: float = 0.1
    gap: float = 0.3


@dataclass(frozen=True, eq=False, kw_only=True)
class Fineness:
    """A mesh, judged.

    Attributes
    ----------
    gap : largest root mean square of (simulated - collocated outputs) / noise by output and experiment;
        inf where the simulation breaks down.
    shares : by parameter the estimated error (exact - discrete) over the standard error; nan where the
        data do not determine it.
    estimate : of the squared gap, linearised.
    missed, sizes : (E,) largest indicator of each element over its equal part of a tolerance: of the
        tolerances that are missed, and of all.
    """

    gap: float
    shares: Mapping[str, float]
    estimate: Estimate
    missed: Array
    sizes: Array
    fine: bool


def judge(solution: Solution, limits: Limits) -> Fineness:
    """Check gap and parameters of a solution that has its NLP."""
    noise, variance = noise_of(solution)
    estimate = estimate_gap(solution, noise)
    linear = float(np.sqrt(max(0.0, estimate.error)))
    gap = simulated_gap(solution, noise) if linear <= 2.0 * limits.gap else linear
    fine = gap <= limits.gap and not estimate.unconverged
    count = len(estimate.indicators)
    sizes = np.sqrt(np.abs(estimate.indicators) * count / _HANDED_OUT) / limits.gap
    missed = np.zeros(count) if gap <= limits.gap else sizes
    if gap > limits.gap >= linear:  # the integrator sees what no element's residual shows
        missed = np.maximum(missed, 2.0)
    shares = {}
    for name, (found, curvature) in errors_of(solution).items():
        if found is None:
            shares[name] = float("nan")
            continue
        std = np.sqrt(max(0.0, 2.0 * variance * curvature))
        std = max(std, _FLOOR * abs(found.value), np.finfo(float).tiny)
        shares[name], tol = float(found.error / std), limits.share * std
        part = np.abs(found.indicators) * count / (_HANDED_OUT * tol)
        sizes = np.maximum(sizes, part)
        if not (abs(found.error) <= tol and found.magnitude <= _CANCELLING * tol):
            fine, missed = False, np.maximum(missed, part)
    return Fineness(
        gap=gap, shares=shares, estimate=estimate, missed=missed, sizes=sizes, fine=fine
    )


def noise_of(solution: Solution) -> tuple[Array, float]:
    """(N, outputs) noise of the samples, inf where none was measured; and s²/M of the objective."""
    nlp = _nlp(solution)
    problem, blocks = nlp.problem, nlp.parameters
    predicted, _ = nlp.predictions(solution.result.x)
    used, sigma = blocks["weights"] > 0.0, nlp.deviations(solution.result.x)
    residual = np.where(used, predicted - blocks["measurements"], 0.0)
    floor = _FLOOR * np.array(
        [problem.spread[name] or problem.size_of(name) or 1.0 for name in problem.outputs]
    )
    found, given = [], []
    row = 0
    for experiment in problem.experiments:
        keep = measured(experiment)
        here = slice(row, row + int(keep.sum()))
        row = here.stop
        squares = (residual[here] ** 2).sum(axis=0) / np.maximum(1, used[here].sum(axis=0))
        known = problem.knows_noise_of(experiment)[keep]
        noise = np.broadcast_to(np.maximum(np.sqrt(squares), floor), sigma[here].shape)
        found.append(np.where(known, np.minimum(noise, sigma[here]), noise))
        given.append(known)
    misfit = (blocks["weights"] * (np.hypot(residual, floor) / sigma) ** 2).sum()
    believed = np.vstack(given)[used].all()
    variance = (min(1.0, float(misfit)) if believed else float(misfit)) / max(1, used.sum())
    variance = 1.0 / max(1, used.sum()) if problem.loss.likelihood else variance
    return np.where(used, np.vstack(found), np.inf), variance


def simulated_gap(solution: Solution, noise: Array) -> float:
    """Largest root mean square of (simulated - collocated) / noise of all outputs and experiments."""
    worst, row = 0.0, 0
    for number, experiment in enumerate(_nlp(solution).problem.experiments):
        times = experiment.times[measured(experiment)]
        unit = noise[row : row + len(times)]
        row += len(times)
        apart = solution.predict(times, number) - solution.fitted(times, number)
        if not np.isfinite(apart).all():
            return float("inf")
        count = np.maximum(1, np.isfinite(unit).sum(axis=0))
        worst = max(worst, float(np.sqrt(((apart / unit) ** 2).sum(axis=0) / count).max()))
    return worst


def errors_of(
    solution: Solution, names: Sequence[str] | None = None
) -> dict[str, tuple[Estimate | None, float]]:
    """Estimate and curvature of free unknowns, by name; see `estimate_errors`.

    Parameters
    ----------
    names : of columns of the NLP; None takes the physical parameters.
    """
    nlp = _nlp(solution)
    if names is None:
        own = [part.parameters for part in nlp.layout.experiments]
        columns = np.concatenate([nlp.layout.shared, *own]).astype(int)
    else:
        columns = np.array([nlp.column_names.index(name) for name in names], dtype=int)
    columns = columns[nlp.lower[columns] < nlp.upper[columns]]
    goals = [ColumnValue(int(column)) for column in columns]
    labels = [nlp.column_names[column] for column in columns]
    return dict(zip(labels, estimate_errors(solution, goals), strict=True))


def _nlp(solution: Solution) -> NLP:
    assert solution.nlp is not None
    return solution.nlp
