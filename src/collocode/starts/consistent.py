"""Consistent starts of algebraic variables, by Newton's method at every stage, and of delayed states."""

from __future__ import annotations

import numpy as np

from ..numerics import Array
from ..results.model import TrainedModel
from ..results.resolved import resolved
from ..transcription.costs import stage_places
from ..transcription.lags import put_lags
from ..transcription.nlp import NLP


def calibrate(nlp: NLP, x: Array) -> None:
    """Put scales and offsets of outputs that are best for the states in ``x``, in place.

    Predictions are linear in them, so the weighted least squares take one step.
    """
    names = [q.name for n, given in nlp.problem.calibration.items() for q in given.parameters(n)]
    if not names:
        return
    columns = np.concatenate([nlp.layout.columns_of(name) for name in names])
    columns = columns[nlp.lower[columns] < nlp.upper[columns]]
    predicted, slopes = nlp.predictions(x)
    sigma = nlp.parameters["sigma"]
    known = np.where(
        sigma > 0.0, sigma, [nlp.problem.spread[n] or 1.0 for n in nlp.problem.outputs]
    )
    root = np.sqrt(nlp.parameters["weights"]) / known
    missed = (root * (nlp.parameters["measurements"] - predicted)).ravel()
    A = root.ravel()[:, None] * slopes.tocsc()[:, columns].toarray()
    if np.isfinite(A).all() and np.isfinite(missed).all():
        x[columns] += np.linalg.lstsq(A, missed)[0]
        np.clip(x, nlp.lower, nlp.upper, out=x)


def settle(nlp: NLP, x: Array) -> None:
    """Put algebraic variables that are consistent with the states into ``x``, and delayed states."""
    put_lags(nlp.terms, x, nlp.p)
    calibrate(nlp, x)
    names, stages = tuple(nlp.problem.algebraics), list(nlp.scheme.stages)
    for number, part in enumerate(nlp.layout.experiments if names else ()):
        experiment, mesh = resolved(nlp, x, number)
        times = (mesh.points[:-1, None] + mesh.steps[:, None] * nlp.scheme.nodes[stages]).ravel()
        left = stage_places(number, part, nlp.scheme).left
        states = x[part.states[part.element_nodes()[:, stages].ravel()]]
        inputs = [experiment.inputs[name](times, left) for name in nlp.problem.inputs]
        u = np.column_stack(inputs) if inputs else None
        columns = np.column_stack([part.decided[name].columns.ravel() for name in names])
        model = TrainedModel.of(nlp, x, number)
        z, _ = model.consistent(times, states, u, x[columns])
        x[columns] = np.clip(z, nlp.lower[columns], nlp.upper[columns])
