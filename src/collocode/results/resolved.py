"""What a solution has decided: windows whose inputs and times are given by it, and what they cost.

Algebraic variables stand among the inputs of a window that has been solved, as functions of time.
"""

from __future__ import annotations

from dataclasses import replace

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.experiment import Experiment
from ..numerics.mesh import Mesh
from ..numerics.signals import Signal
from ..transcription.nlp import NLP

Array = NDArray[np.float64]


def resolved(nlp: NLP, x: Array, number: int) -> tuple[Experiment, Mesh]:
    """Return a window as it is decided at ``x``: every input is a signal, every time a number."""
    experiment, part = nlp.problem.experiments[number], nlp.layout.experiments[number]
    if not part.decided and not len(part.free_times):
        return experiment, part.mesh
    mesh = part.mesh
    if len(part.free_times):
        start, end = x[part.free_times]
        share = (mesh.points - mesh.start) / (mesh.end - mesh.start)
        mesh = Mesh(start * (1.0 - share) + end * share)
    signals = dict(experiment.inputs)
    for name, decided in part.decided.items():
        control, values = experiment.controls.get(name), x[decided.columns]
        kind = "stages" if control is None else control.kind
        if kind == "constant":
            signals[name] = Signal(mesh.points[:-1], values[:, 0], "zoh")
        elif kind == "linear":
            signals[name] = Signal(mesh.points, np.append(values[:, 0], values[-1, 1]))
        else:
            times = decided.times(mesh).ravel()
            signals[name] = Signal(times, values.ravel(), "polynomial", mesh.points)
    given = replace(
        experiment,
        inputs=signals,
        controls={},
        start=mesh.start,
        end=mesh.end,
        start_bounds=None,
        end_bounds=None,
        duration_bounds=None,
    )
    return given, mesh


def costs_of(nlp: NLP, x: Array) -> dict[str, float]:
    """Return what every cost of the problem adds to the objective at ``x``."""
    found = {cost.name: 0.0 for cost in nlp.problem.costs}
    for term in nlp.terms:
        name = term.name.removeprefix("cost.")
        if name != term.name:
            shared = ca.repmat(ca.DM(x[term.shared_columns]), 1, term.points)
            own = x[term.own_columns].T
            values = term.function.map(term.points)(own, shared, term.data_function(nlp.p))
            found[name] += float(np.sum(np.asarray(values)))
    return found
