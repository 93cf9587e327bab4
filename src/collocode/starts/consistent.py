"""Consistent starts of algebraic variables, by Newton's method at every stage, and of delayed states."""

from __future__ import annotations

import numpy as np

from ..numerics import Array
from ..results.model import TrainedModel
from ..results.resolved import resolved
from ..transcription.costs import stage_places
from ..transcription.lags import put_lags
from ..transcription.nlp import NLP


def settle(nlp: NLP, x: Array) -> None:
    """Put algebraic variables that are consistent with the states into ``x``, and delayed states."""
    put_lags(nlp.terms, x, nlp.p)
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
