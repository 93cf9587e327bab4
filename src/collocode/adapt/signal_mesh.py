"""A first mesh for long records: as fine as the smoothed data and the inputs turn, not as the samples are close.

A hundred thousand samples of ten oscillations need hundreds of elements, not tens of thousands.  Beginning with
few, elements are halved until between its nodes the scheme's interpolant is within a tenth of the noise of the
smoothed data, and near the inputs.  Refinement by error estimates has the last word.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..transcription.samples import measured

Array = NDArray[np.float64]
FEWEST = 200  # elements that it begins with; who has fewer samples has an element for a few of them
_NOISE = 0.1  # of an output's noise, that the interpolant may be off the smoothed data by
_SPREAD = 1e-5  # of an output's spread, that it always may: of data without noise
_INPUT = 0.03  # of an input's range, root mean square within an element
_ALIKE = 0.3  # correlation of neighbouring residuals, by which smoothed data have missed something


def resolving_mesh(
    problem: Problem, experiment: Experiment, scheme: Scheme, begun: Mesh, most: int
) -> Mesh | None:
    """Halve elements of ``begun`` until smoothed data and inputs are resolved; None if that takes ``most`` or more."""
    between = 0.5 * (scheme.nodes[1:] + scheme.nodes[:-1])
    nodes, matrix = scheme.nodes, scheme.interpolation(between)
    times = experiment.times[measured(experiment)]
    followed: list[tuple[Callable[[Array], Array], float]] = [
        (curve, max(_NOISE * problem.smoothed_noise[name], _SPREAD * problem.spread[name]))
        for name, curve in problem.smoothers(experiment).items()
    ]
    # jumps of held inputs are mesh points: between them there is nothing to resolve
    followed += [
        (signal, _INPUT * float(np.ptp(signal.values)))
        for signal in experiment.inputs.values()
        if signal.kind != "zoh"
    ]
    missed = _missed(problem, experiment)
    mesh = begun
    while mesh.elements < most:
        tau = np.concatenate([nodes, between])
        at = mesh.points[:-1, None] + mesh.steps[:, None] * tau
        rough = np.zeros(mesh.elements, dtype=bool)
        part = min(
            1.0, FEWEST / mesh.elements
        )  # what many elements miss adds up along an oscillation
        for curve, near in followed:
            values = np.asarray(curve(at.ravel())).reshape(at.shape)
            off = values[:, : len(nodes)] @ matrix.T - values[:, len(nodes) :]
            rough |= ~(np.sqrt(np.mean(off**2, axis=1)) <= part * near)
        rough |= _structured(mesh, missed)
        # what is finer than the samples is for error estimates to ask for
        edges = np.searchsorted(times, mesh.points)
        marked = np.flatnonzero(rough & (np.diff(edges) > scheme.intervals))
        if not len(marked):
            return mesh
        mesh = mesh.bisect(marked)
    return None


def _missed(problem: Problem, experiment: Experiment) -> list[tuple[Array, Array, float]]:
    """By output the times of its samples, what smoothing leaves of them, and its noise."""
    found = []
    for name, curve in problem.smoothers(experiment).items():
        values = experiment.values[:, problem.outputs.index(name)]
        kept = np.isfinite(values)
        times = experiment.times[kept]
        near = max(problem.smoothed_noise[name], _SPREAD * problem.spread[name])
        found.append((times, values[kept] - curve(times), near))
    return found


def _structured(mesh: Mesh, missed: list[tuple[Array, Array, float]]) -> NDArray[np.bool_]:
    """(E,) where what smoothing leaves is large and no noise: its knots are equally far apart, the data may not be."""
    found = np.zeros(mesh.elements, dtype=bool)
    for times, left, near in missed:
        where = np.clip(np.searchsorted(mesh.points, times, side="left") - 1, 0, mesh.elements - 1)
        count = np.bincount(where, minlength=mesh.elements)
        squares = np.bincount(where, left**2, mesh.elements)
        pairs = where[1:] == where[:-1]
        alike = np.bincount(where[1:][pairs], (left[1:] * left[:-1])[pairs], mesh.elements)
        limit = _ALIKE + 2.0 / np.sqrt(np.maximum(count, 1))
        found |= (squares > near**2 * count) & (alike > limit * squares)
    return found
