"""The first mesh of a fit, from the data alone: where the samples are, and where the inputs are not smooth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.schemes import GLOBAL_SCHEMES
from ..transcription.terms import measured

Array = NDArray[np.float64]
_FEWEST = 10
_VISIBLE = 0.01  # share of an input's range by which a kink has to bend it within an element


def first_meshes(problem: Problem, scheme: Scheme) -> tuple[Mesh, ...]:
    """Return a mesh for every experiment, from its data.

    Element ends are quantiles of the sample times, about one stage a sample; gaps are cut.  Jumps and
    visible kinks of the inputs and the points of bases in time become mesh points.  A global scheme has
    one element between them.
    """
    return tuple(_first(problem, experiment, scheme) for experiment in problem.experiments)


def fixed_points(problem: Problem, experiment: Experiment, longest: float) -> Array:
    """Return times at which the right-hand side is not smooth: no element should cross them.

    Parameters
    ----------
    longest : length of an element; kinks that bend an input by less than a hundredth of its range
        within it are left out.  Noise makes a kink of every sample: only the sharpest count, as many
        as there are elements.
    """
    start, end = experiment.start, experiment.end
    assert start is not None and end is not None
    times, sizes = [np.empty(0)], [np.empty(0)]
    for signal in experiment.inputs.values():
        at, change = signal.kinks
        times.append(at)
        sizes.append(0.25 * longest * change / (np.ptp(signal.values) or 1.0))
    at, bend = np.concatenate(times), np.concatenate(sizes)
    inside = (at > start) & (at < end) & (bend > _VISIBLE)
    at, bend = at[inside], bend[inside]
    most = int(np.ceil((end - start) / longest))
    sharpest = at[np.argsort(-bend, kind="stable")[:most]]
    return np.unique(np.concatenate([experiment.jumps, problem.breaks, sharpest]))


def _first(problem: Problem, experiment: Experiment, scheme: Scheme) -> Mesh:
    start, end = experiment.start, experiment.end
    assert start is not None and end is not None
    if scheme.name in GLOBAL_SCHEMES:
        return Mesh.uniform(start, end, 1).with_points(np.append(experiment.jumps, problem.breaks))
    times = experiment.times[measured(experiment)]
    elements = max(_FEWEST, round((len(times) - 1) / max(1, scheme.intervals)))
    mesh = Mesh.through(times, elements, start, end)
    kept = fixed_points(problem, experiment, (end - start) / elements)
    # a sample close to such a time shares its point
    inner, near = mesh.points[1:-1], 0.1 * np.minimum(mesh.steps[:-1], mesh.steps[1:])
    distance = np.abs(inner[:, None] - kept[None, :]).min(axis=1, initial=np.inf)
    return Mesh(np.delete(mesh.points, 1 + np.flatnonzero(distance < near))).with_points(kept)
