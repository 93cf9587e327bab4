"""Values of the NLP's parameters: data, their weights and noise, priors, and given inputs."""

from __future__ import annotations

import numpy as np

from ..model.experiment import Experiment
from ..model.misfit import kink_of
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.scheme import Scheme
from .costs import inputs_at, stage_places
from .decided import groups_of
from .layout import Layout, known_ends
from .regularisation import prior_columns, prior_shares
from .samples import measured
from .windows import ExperimentLayout

SHARP = 0.3  # σ over which the slope of a loss turns; Newton's method wants less to be approached


def parameter_blocks(problem: Problem, layout: Layout, scheme: Scheme) -> dict[str, Array]:
    r"""Values of the NLP parameters.

    ``measurements`` (samples, outputs) with a number for NaN; ``censored``, where something is; ``rounding``, where the loss has a sharp kink, how many
    times as wide it is as in the end; ``weights``, the factors :math:`w/M`, 0 for
    NaN; ``sigma`` of every measurement, 0 where a model says it; ``regularisation`` λ; ``prior_mean`` and ``prior_weight`` of
    the columns `prior_columns`; ``prior.<name>``, 1/M for a parameter's prior; ``stage_inputs``, ``node_inputs`` and ``sample_inputs``, which is 0
    where an input is decided.
    """
    measurements, weights, samples = [], [], []
    total = max(1, problem.n_measurements)
    sigma = [
        np.where(np.isfinite(e.values) | (table > 0.0), table, 1.0)[measured(e)]
        for e, table in ((e, problem.sigma_in(e)) for e in problem.experiments)
    ]
    stages, nodes = [], []
    pairs = list(zip(problem.experiments, layout.experiments, strict=True))
    for experiment, part in pairs:
        keep = measured(experiment)
        values = experiment.values[keep]
        factor = np.isfinite(values) / total
        if experiment.weights is not None:
            factor = factor * experiment.weights[keep]
        filled = 1.0 if problem.loss.likelihood else 0.0  # one that every law can take
        measurements.append(np.nan_to_num(values, nan=filled))
        weights.append(factor)
        samples.append(inputs_at(problem, experiment, experiment.times[keep], False))
        stages.append(_stage_inputs(problem, experiment, part, scheme))
        nodes.append(inputs_at(problem, experiment, part.times, False))
    mean, prior = (np.zeros(len(prior_columns(layout))) for _ in range(2))
    for position, (*_, known) in enumerate(known_ends(problem)):
        if np.isfinite(known.std) and not known.is_fixed:
            mean[position], prior[position] = known.value, 1.0 / (total * known.std**2)
    by_group = {}
    for group in groups_of(problem):
        by_group[group.named("stage_inputs")] = np.vstack([stages[n] for n in group.numbers])
        by_group[group.named("node_inputs")] = np.vstack([nodes[n] for n in group.numbers])
    return {
        "measurements": np.vstack(measurements),
        "weights": np.vstack(weights),
        "sigma": np.vstack(sigma),
        **_censored(problem),
        **({"rounding": np.ones(1)} if kink_of(problem) < SHARP else {}),
        "regularisation": np.array([problem.penalty.strength]),
        "prior_mean": mean,
        "prior_weight": prior,
        **prior_shares(problem, layout),
        **by_group,
        "sample_inputs": np.vstack(samples),
    }


def _censored(problem: Problem) -> dict[str, Array]:
    """(samples, outputs) -1, 0 or 1, where something is censored."""
    if all(e.censored is None for e in problem.experiments):
        return {}
    tables = [
        np.zeros(e.values.shape) if e.censored is None else np.asarray(e.censored)
        for e in problem.experiments
    ]
    pairs = zip(tables, problem.experiments, strict=True)
    return {"censored": np.vstack([table[measured(e)] for table, e in pairs])}


def _stage_inputs(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, scheme: Scheme
) -> Array:
    place = stage_places(0, part, scheme)
    return inputs_at(problem, experiment, place.times, place.left)
