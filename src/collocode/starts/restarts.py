"""Misfit of simulations that start anew along a record, where one from its beginning says nothing.

A chaotic model leaves its data within a few Lyapunov times, however right its numbers are: rounding is enough.
A collocated trajectory beside the data is then to be judged by its pieces (as multiple shooting does, Bock 1983):
each is simulated from its own first state, over several samples and elements.  Where the mesh flatters, a
simulation leaves the collocated trajectory within a piece, and that is no fit.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..numerics import Array
from ..results.model import TrainedModel
from ..results.simulate import Repeated
from ..transcription.nlp import NLP
from ..transcription.samples import measured
from .search import Search

_SAMPLES, _ELEMENTS = 8, 3  # at least, of a piece
_PIECES = 8  # at least, of an experiment: shorter ones are simulated as they are
_FAITHFUL = 2.0  # times the collocated misfit, that of the pieces may be


def restarted_misfit(nlp: NLP, x: Array) -> float:
    """Objective without regularisation of simulated pieces; inf where they leave the collocated trajectory, or are few."""
    problem, search = nlp.problem, Search.of(nlp)
    if problem.algebraics or problem.lags or any(e.placed for e in problem.experiments):
        return np.inf
    outputs = []
    for number, (e, part) in enumerate(
        zip(problem.experiments, nlp.layout.experiments, strict=True)
    ):
        model, times = TrainedModel.of(nlp, x, number), e.times[measured(e)]
        ends, points = _ends(part.mesh.points, times), part.mesh.points
        if len(ends) <= _PIECES:
            return np.inf
        simulated, nodes = Repeated(model, e.inputs, 1e-6), part.element_nodes()
        states = np.empty((len(times), len(problem.states)))
        for first, last in itertools.pairwise(ends):
            here = (times >= points[first]) & (times < points[last])
            here |= (times == points[last]) & (last == len(points) - 1)
            begin = x[part.states[nodes[first, 0]]]
            at = np.append(points[first], times[here])
            run = simulated(model.parameters, begin, at)
            states[here] = run.states[1:]
        u = np.column_stack([e.inputs[name](times) for name in problem.inputs] or [times])
        outputs.append(model.observe(states, u if problem.inputs else None, times, None))
    found = float(np.sum(search.roots(x, np.vstack(outputs)) ** 2))
    collocated = float(np.sum(search.roots(x, nlp.predictions(x)[0]) ** 2))
    return found if found <= _FAITHFUL * collocated else np.inf


def _ends(points: Array, times: Array) -> list[int]:
    """Numbers of the mesh points at which pieces begin, and of the last."""
    ends, last = [0], len(points) - 1
    for k in range(_ELEMENTS, last, 1):
        inside = np.sum((times >= points[ends[-1]]) & (times < points[k]))
        if k - ends[-1] >= _ELEMENTS and inside >= _SAMPLES and last - k >= _ELEMENTS:
            ends.append(k)
    return [*ends, last]
