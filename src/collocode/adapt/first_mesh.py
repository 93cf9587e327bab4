"""The first mesh of a fit, from the data alone: where the samples are, what they show, and where inputs are not smooth."""

from __future__ import annotations

import numpy as np

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.schemes import GLOBAL_SCHEMES
from ..results.model import TrainedModel
from ..results.resolved import resolved
from ..results.simulate import simulate
from ..transcription.nlp import NLP
from ..transcription.samples import measured
from .signal_mesh import FEWEST, resolving_mesh

_FEWEST = 10
_LONG = 2  # times the fewest elements of `resolving_mesh`: fewer, one stage a sample, are solved quickly as they are
_MOST = 200  # elements along a simulation
_NEAR, _BESIDE = 1e-3, 1e-7  # of a state's size
_VISIBLE = 0.01  # share of an input's range by which a kink has to bend it within an element
_GRADED = (
    8  # elements that part the first step after a start or a jump, each about a third of the next
)
_ROUNDINGS = 256.0  # of a time: in shorter elements an interpolant shows nothing but them


def first_meshes(problem: Problem, scheme: Scheme) -> tuple[Mesh, ...]:
    """Return a mesh for every experiment, from its data.

    Element ends are quantiles of the sample times, about one stage a sample; gaps are cut.  Long records have as
    many as the smoothed data and the inputs need, if that is fewer (`resolving_mesh`).  Jumps and visible kinks of
    the inputs and the points of bases in time become mesh points.  A global scheme has one element between them.
    """
    return tuple(_first(problem, experiment, scheme) for experiment in problem.experiments)


def elements_by_samples(problem: Problem, scheme: Scheme) -> int:
    """Number of elements, over all experiments, with one stage a sample."""
    return sum(_by_samples(e, scheme) for e in problem.experiments)


def _by_samples(experiment: Experiment, scheme: Scheme) -> int:
    samples = int(measured(experiment).sum())
    return max(_FEWEST, round((samples - 1) / max(1, scheme.intervals)))


def meshes_at_samples(problem: Problem) -> tuple[Mesh, ...]:
    """Return meshes with an element end at every sample and jump, graded after the start and the jumps."""
    return tuple(_at_samples(problem, e) for e in problem.experiments)


def _at_samples(problem: Problem, e: Experiment) -> Mesh:
    assert e.start is not None and e.end is not None
    times = e.times[measured(e)]
    for b in problem.boundaries(e):  # elements that move are not at samples anyhow
        times = times[(times <= b.first) | (times >= b.last)]
    ends = np.unique(np.concatenate([[e.start, e.end], times, e.jumps]))
    steps = np.diff(ends)
    ends = ends[np.append(True, steps > 1e-9 * (e.end - e.start))]
    parts = [ends, 0.5 * (ends[1:] + ends[:-1])]
    for left in (e.start, *np.setdiff1d(e.jumps, e.points).tolist()):
        first = float(ends[ends > left][0])
        parts.append(left + (first - left) * np.geomspace(1e-3, 1.0, _GRADED)[:-1])
    return Mesh(np.unique(np.concatenate(parts)))


def meshes_along(nlp: NLP, x: Array, near: float = _NEAR, most: int = _MOST) -> tuple[Mesh, ...]:
    """Return meshes on which the scheme's interpolant follows the simulation from ``x``.

    Elements of the program's own meshes are halved until between their nodes the interpolant is within
    ``near`` of every state's size; halving ends at ``most``.
    """
    numbers = range(len(nlp.layout.experiments))
    return tuple(_along(nlp, x, number, near, most) for number in numbers)


def _along(nlp: NLP, x: Array, number: int, near: float, most: int) -> Mesh:
    part, scheme = nlp.layout.experiments[number], nlp.scheme
    model, mesh = TrainedModel.of(nlp, x, number), part.mesh
    given, initial = resolved(nlp, x, number)[0], x[part.states[0]]
    problem, whole = nlp.problem, nlp.problem.experiments[number]
    between = 0.5 * (scheme.nodes[1:] + scheme.nodes[:-1])
    matrix = scheme.interpolation(between)
    tau = np.concatenate([scheme.nodes, between])
    while mesh.elements < most and scheme.name not in GLOBAL_SCHEMES:
        real = Mesh(problem.moved(whole, mesh.points, given.placed))
        times = real.points[:-1, None] + real.steps[:, None] * tau
        at, back = np.unique(times, return_inverse=True)
        run = simulate(model, initial, at, given.inputs)
        states = run.states[back.reshape(times.shape)]
        nodes, truth = states[:, : len(scheme.nodes)], states[:, len(scheme.nodes) :]
        off = np.abs(np.einsum("qj,eji->eqi", matrix, nodes) - truth) / nlp.problem.state_scale
        wide = mesh.steps > _ROUNDINGS * np.spacing(np.abs(mesh.points).max())
        marked = np.flatnonzero(wide & ~(off <= _allowed(nlp, truth, near)).all(axis=(1, 2)))
        if not run.complete or not len(marked):
            break
        mesh = mesh.bisect(marked)
    return mesh


def _allowed(nlp: NLP, states: Array, near: float) -> Array:
    """What the interpolant may be off by: beside a bound much less, lest nodes that overshoot hit it."""
    bounds = [nlp.problem.bounds.get(state, (-np.inf, np.inf)) for state in nlp.problem.states]
    away = np.abs(states[..., None] - np.array(bounds)).min(axis=-1) / nlp.problem.state_scale
    return np.where(away < 10.0 * near, min(_BESIDE, near), near)


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
    elements, mesh = _by_samples(experiment, scheme), None
    if elements > _LONG * FEWEST:
        begun = Mesh.through(times, FEWEST, start, end)
        mesh = resolving_mesh(problem, experiment, scheme, begun, elements)
    mesh = Mesh.through(times, elements, start, end) if mesh is None else mesh
    kept = fixed_points(problem, experiment, (end - start) / mesh.elements)
    # a sample close to such a time shares its point
    inner, near = mesh.points[1:-1], 0.1 * np.minimum(mesh.steps[:-1], mesh.steps[1:])
    distance = np.abs(inner[:, None] - kept[None, :]).min(axis=1, initial=np.inf)
    return Mesh(np.delete(mesh.points, 1 + np.flatnonzero(distance < near))).with_points(kept)
