"""Horizon growing: fit the beginning first, then more and more of every experiment.

Fits of long or oscillating records from a poor start collapse to the mean; a short window has no
room for that.  Each stage starts from the last one, continued by simulation.  It needs no measured
slopes, so it also serves where states are not measured.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import quietly
from ..model.experiment import Experiment
from ..numerics import Array, Mask
from ..numerics.mesh import Mesh
from ..results.model import TrainedModel
from ..results.simulate import simulate
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.solve import solve
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP
from .consistent import settle

FRACTIONS = (0.1, 0.25, 0.5)


@quietly()
def grow_horizon(
    nlp: NLP, start: Array, fractions: tuple[float, ...] = FRACTIONS
) -> tuple[Array, bool]:
    """Return a start for ``nlp`` that fits the first ``fractions`` of every experiment in turn.

    Parameters
    ----------
    nlp : the whole problem.
    start : (columns,) where the first, shortest fit begins.

    Returns
    -------
    (columns,) what the windows so far have brought, and whether Ctrl-C ended them.
    """
    x = np.clip(start, nlp.lower, nlp.upper)
    for fraction in fractions:
        part = _shortened(nlp, fraction)
        if part is None:
            continue
        _copy(nlp, x, part, part.start)
        settle(part, part.start)
        solution = solve(part, options={"max_iter": 200})
        if np.isfinite(solution.result.x).all():
            _continue(nlp, x, part, solution)
        if solution.result.termination is Termination.INTERRUPTED:
            return x, True
    return x, False


def _shortened(nlp: NLP, fraction: float) -> NLP | None:
    """The problem on the first elements of every experiment; None if too few data are left."""
    if any(e.placed for e in nlp.problem.experiments):
        return None  # an event at an estimated time may be behind the end
    experiments: list[Experiment] = []
    meshes: dict[str, Mesh] = {}
    for experiment, part in zip(nlp.problem.experiments, nlp.layout.experiments, strict=True):
        elements = max(2, int(np.ceil(fraction * part.mesh.elements)))
        end = float(part.mesh.points[min(elements, part.mesh.elements)])
        inside = experiment.times <= end
        if int(np.isfinite(experiment.values[inside]).any(axis=1).sum()) < 2:
            return None
        cut = experiment.window(float(experiment.times[0]), end, begins=experiment.start)
        experiments.append(replace(cut, end=end))
        meshes[experiment.name] = Mesh(part.mesh.points[: elements + 1])
    measured = np.vstack([e.values for e in experiments])
    if not np.isfinite(measured).any(axis=0).all():
        return None
    problem = replace(nlp.problem, experiments=tuple(experiments), test=())
    return discretize(problem, nlp.scheme, mesh=meshes)


def _copy(nlp: NLP, x: Array, part: NLP, target: Array) -> None:
    """Put what ``x`` says of the shortened problem into its start."""
    for whole, short in zip(nlp.layout.experiments, part.layout.experiments, strict=True):
        target[short.states] = x[whole.states[: len(short.times)]]
        target[short.parameters] = x[whole.parameters]
    target[part.layout.shared] = x[nlp.layout.shared]
    target[part.layout.weights] = x[nlp.layout.weights]
    np.clip(target, part.lower, part.upper, out=target)


def _continue(nlp: NLP, x: Array, part: NLP, solution: Solution) -> None:
    """Put the shortened solution into ``x`` and go on by simulation as far as that is finite."""
    found = solution.result.x
    used = _used(part)
    blocks = [
        (nlp.layout.shared, part.layout.shared),
        (nlp.layout.weights, part.layout.weights),
        *(
            (a.parameters, b.parameters)
            for a, b in zip(nlp.layout.experiments, part.layout.experiments, strict=True)
        ),
    ]
    for target, source in blocks:
        x[target[used[source]]] = found[source[used[source]]]
    for number, (whole, short) in enumerate(
        zip(nlp.layout.experiments, part.layout.experiments, strict=True)
    ):
        done = len(short.times)
        x[whole.states[:done]] = found[short.states]
        model = solution.model.with_parameters(solution.trajectories[number].parameters)
        go_on(nlp, x, number, model, done)


def go_on(nlp: NLP, x: Array, number: int, model: TrainedModel, done: int) -> None:
    """Continue an experiment's states in ``x`` from its first ``done`` nodes by simulation.

    It ends where the model runs away; what ``x`` has behind that stays.
    """
    part = nlp.layout.experiments[number]
    if done == len(part.times) or model.lags:  # which would have to know what was before
        return
    inputs = nlp.problem.experiments[number].inputs
    run = simulate(model, x[part.states[done - 1]], part.times[done - 1 :], inputs, rtol=1e-6)
    size = 10.0 * nlp.problem.state_scale
    good = np.isfinite(run.states).all(axis=1) & (np.abs(run.states) < size).all(axis=1)
    good &= np.cumprod(good).astype(bool)  # nothing behind the first runaway
    x[part.states[done - 1 :][good]] = run.states[good]


def _used(nlp: NLP) -> Mask:
    """(columns,) which of them the data see: no piece of time beyond the window is among them."""
    used = np.zeros(nlp.columns, dtype=bool)
    for term in nlp.terms:
        if term.name in ("collocation", "misfit"):
            used[term.own_columns.ravel()] = used[term.shared_columns] = True
    return used
