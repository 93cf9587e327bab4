"""From a consensus to a `Solution` of the whole problem.

The batches' copies differ by the primal residual, so their trajectories belong to slightly
different networks.  Here the weights and shared parameters are fixed at the consensus and the
states of all data are fitted to it: one NLP without the dense border of weights, from the batches'
trajectories.  Polishing frees the weights too, which is the monolithic problem from a good start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.solution import Solution
from ..solvers.protocol import OnIteration
from ..solvers.solve import solve
from ..transcription.layout import Layout
from ..transcription.nlp import NLP
from .batches import Batch
from .entries import Entries
from .task import Point

Array = NDArray[np.float64]


def assembled(
    whole: NLP, batches: Sequence[Batch], entries: Entries, z: Array, points: Sequence[Point | None]
) -> Array:
    """Return the whole problem's variables: states of the batches, parameters of the consensus."""
    x, intervals = whole.start.copy(), whole.scheme.intervals
    for batch, point in zip(batches, points, strict=True):
        if point is None:
            continue
        layout = Layout.of(batch.problem, batch.meshes, whole.scheme)
        for part, (origin, first) in zip(layout.experiments, batch.places, strict=True):
            there = whole.layout.experiments[origin]
            nodes = first * intervals + np.arange(len(part.times))
            x[there.states[nodes]] = point.x[part.states]
            x[there.parameters] = point.x[part.parameters]
    values = dict(zip(entries.names, z * entries.scale, strict=True))
    for part in whole.layout.experiments:
        for name, column in zip(whole.layout.own_names, part.parameters, strict=True):
            x[column] = values.get(f"{name}[{part.name}]", x[column])
    common = z[len(z) - entries.common :] * entries.scale[len(z) - entries.common :]
    x[whole.layout.shared] = common[: len(whole.layout.shared)]
    x[whole.layout.weights] = common[len(whole.layout.shared) :]
    return np.clip(x, whole.lower, whole.upper)


def finished(
    whole: NLP,
    x: Array,
    polish: bool,
    interface: str,
    options: Mapping[str, Any] | None,
    on_iteration: OnIteration | None,
) -> Solution:
    """Fit the states to the consensus in ``x``, or with ``polish`` everything."""
    nlp = whole.with_start(x)
    if polish:
        return solve(nlp, interface, options, on_iteration=on_iteration)
    fixed = np.concatenate([nlp.layout.shared, nlp.layout.weights])
    lower, upper = nlp.lower.copy(), nlp.upper.copy()
    lower[fixed] = upper[fixed] = x[fixed]
    held = replace(nlp, lower=lower, upper=upper)
    solution = solve(held, interface, options, on_iteration=on_iteration)
    # the bounds were a means: what a consensus is worth (intervals, bands) is asked of the whole
    return replace(solution, nlp=nlp)
