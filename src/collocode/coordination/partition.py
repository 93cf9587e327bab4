"""Partitions: a problem cut by experiments, or along time into windows of whole elements.

Windows follow the mesh of the whole problem, so their NLPs are parts of its NLP: the same
elements, the same rows, the same measurements.  What two windows of one experiment have in common
beyond the network is the state where they meet, and the experiment's own parameters; with
``boundary="shared"`` these are consensus variables too, and the sum of the batches *is* the whole
problem.  With ``boundary="free"`` the states where windows meet are left to each window.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import check_fields, counted
from ..errors import InputError
from ..model.experiment import Experiment
from ..model.losses import L2
from ..model.problem import Problem
from ..numerics import Array, Index
from ..numerics.mesh import Mesh

Groups = Sequence[Sequence[str]]
BOUNDARIES = ("shared", "free")
FIRST, LAST = 0, -1


@dataclass(frozen=True)
class SharedState:
    """The state of a batch's experiment at its ``FIRST`` or ``LAST`` node, a consensus variable."""

    experiment: int
    node: int
    key: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """A part of the data with all that is needed to write its NLP; it can be pickled.

    Attributes
    ----------
    name : for reports.
    problem : the part, without regularisation (that is the consensus step's), truth and tests.
    meshes : one per experiment.
    weight : its part of all measurements, by which its mean squared misfit counts.
    shared_states : states in common with neighbours.
    shared_parameters : experiments (by number) that were cut into windows, which have the experiment's
        own parameters in common, and their names.
    origins : per experiment, the whole problem's experiment and its first element in this batch.
    batches : how many there are, all of which have copies of what is shared.
    windows : per experiment, into how many it was cut, all of which have copies of its own parameters.
    """

    name: str
    problem: Problem
    meshes: tuple[Mesh, ...]
    weight: float
    shared_states: tuple[SharedState, ...] = ()
    shared_parameters: tuple[tuple[int, str], ...] = ()
    origins: tuple[tuple[int, int], ...] = ()
    batches: int = 1
    windows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Partition:
    """How a problem is cut into batches.

    Parameters
    ----------
    batches : how many (whole experiments where there are enough of them, else windows in time), or
        names of experiments, one group per batch.
    overlap : part of a window by which it reaches into both neighbours; measurements that several
        windows see count in equal parts.  Only for free boundaries.
    boundary : ``shared`` (neighbours agree on the state where they meet) or ``free``.

    Raises
    ------
    InputError
        No batches, an overlap that is negative or of shared boundaries, an unknown boundary.
    """

    batches: int | Groups = 2
    overlap: float = 0.0
    boundary: str = "shared"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.boundary not in BOUNDARIES:
            raise InputError(
                f"unknown boundary {self.boundary!r}; choose from {', '.join(BOUNDARIES)}."
            )
        if not 0.0 <= self.overlap <= 1.0:
            raise InputError(f"the overlap is a part of a window, from 0 to 1, not {self.overlap}.")
        if self.overlap and self.boundary == "shared":
            raise InputError("windows either overlap or share their boundary; add boundary='free'.")
        if isinstance(self.batches, int) and self.batches < 1:
            raise InputError(f"the number of batches must be at least 1, not {self.batches}.")

    def cut(self, problem: Problem, meshes: Sequence[Mesh]) -> tuple[Batch, ...]:
        """Cut a problem whose experiments have these meshes.

        Raises
        ------
        InputError
            More batches than elements or measurements allow, unknown or repeated experiments.
        """
        pairs = zip(problem.experiments, meshes, strict=True)
        whole = [_Window(experiment, mesh, k) for k, (experiment, mesh) in enumerate(pairs)]
        if not isinstance(self.batches, int):
            groups = [[whole[k] for k in group] for group in _named(problem, self.batches)]
        elif self.batches <= len(whole):
            groups = [[whole[k] for k in group] for group in _balanced(problem, self.batches)]
        elif problem.decides:
            raise InputError(
                f"problem {problem.name!r} decides, so its {counted(len(whole), 'experiment')} and windows stay whole; ask "
                f"for at most {counted(len(whole), 'batch', 'batches')}, not {self.batches}."
            )
        else:
            if problem.lags:
                raise InputError(
                    f"problem {problem.name!r} has delayed states, which look across windows in time; ask "
                    f"for at most {counted(len(whole), 'batch', 'batches')}, of whole experiments."
                )
            groups = [[window] for window in _windows(whole, self.batches, self.overlap)]
        counts = _multiplicity(problem, groups)
        made = (_batch(problem, group, counts, self.boundary) for group in groups)
        return tuple(replace(batch, batches=len(groups)) for batch in made)


@dataclass(frozen=True, eq=False)
class _Window:
    experiment: Experiment
    mesh: Mesh
    origin: int
    first: int = 0
    number: int = 0
    of: int = 1


def measurements(experiment: Experiment) -> int:
    """Number of finite measurements."""
    return int(np.isfinite(experiment.values).sum())


def _named(problem: Problem, names: Groups) -> list[list[int]]:
    """Experiments by number, as they were grouped by name."""
    known = {e.name: k for k, e in enumerate(problem.experiments)}
    flat = [name for group in names for name in group]
    for name in flat:
        if name not in known:
            raise InputError(f"there is no experiment {name!r}; there are: {', '.join(known)}.")
    absent = [name for name in known if flat.count(name) != 1]
    if absent or not all(names):
        culprit = f"{absent[0]!r} is in {flat.count(absent[0])}" if absent else "one is empty"
        raise InputError(f"every experiment belongs to exactly one batch, but {culprit}.")
    return [[known[name] for name in group] for group in names]


def _balanced(problem: Problem, number: int) -> list[list[int]]:
    """Experiments, largest first, each to the batch that has the fewest measurements so far."""
    sizes = [measurements(e) for e in problem.experiments]
    groups: list[list[int]] = [[] for _ in range(number)]
    loads = [(0, b) for b in range(number)]
    for k in sorted(range(len(sizes)), key=lambda k: -sizes[k]):
        load, least = loads[0]
        groups[least].append(k)
        heapq.heapreplace(loads, (load + sizes[k], least))
    return [sorted(group) for group in groups]


def _windows(whole: Sequence[_Window], number: int, overlap: float) -> list[_Window]:
    """Windows of about equal numbers of measurements, at least one per experiment."""
    sizes = np.array([measurements(w.experiment) for w in whole], dtype=float)
    pieces = np.ones(len(sizes), dtype=int)
    for _ in range(number - len(sizes)):
        pieces[np.argmax(sizes / pieces)] += 1
    windows: list[_Window] = []
    for one, count in zip(whole, pieces.tolist(), strict=True):
        edges = _edges(one.experiment, one.mesh, count)
        windows += [_window(one, edges, k, overlap) for k in range(count)]
    return windows


def _edges(experiment: Experiment, mesh: Mesh, pieces: int) -> Index:
    """Numbers of the mesh points between which equally many measurements lie."""
    if pieces > mesh.elements:
        raise InputError(
            f"experiment {experiment.name!r} has {counted(mesh.elements, 'element')}, too few for {pieces} "
            "windows; ask for fewer batches or a finer mesh."
        )
    counts = np.isfinite(experiment.values).sum(axis=1)
    before = np.array([counts[experiment.times <= t].sum() for t in mesh.points], dtype=float)
    wanted = before[-1] * np.arange(1, pieces) / pieces
    inner = np.array([int(np.argmin(np.abs(before - w))) for w in wanted], dtype=int)
    edges = np.concatenate([[0], inner, [mesh.elements]])
    if (np.diff(edges) < 1).any():
        raise InputError(
            f"the measurements of experiment {experiment.name!r} are too unevenly spread for "
            f"{counted(pieces, 'window')}; ask for fewer batches."
        )
    return edges.astype(int)


def _window(whole: _Window, edges: Index, k: int, overlap: float) -> _Window:
    experiment, mesh = whole.experiment, whole.mesh
    pieces, first, last = len(edges) - 1, int(edges[k]), int(edges[k + 1])
    reach = round(overlap * (last - first))
    first, last = max(0, first - reach), min(mesh.elements, last + reach)
    start, end = float(mesh.points[first]), float(mesh.points[last])
    name = experiment.name if pieces == 1 else f"{experiment.name}, window {k + 1}"
    # a measurement on a mesh point belongs to the element, and the window, that ends there
    keep = (experiment.times > start) & (experiment.times <= end)
    keep |= (experiment.times == start) & (first == 0)
    if np.isfinite(experiment.values[keep]).any(axis=1).sum() < 2:
        raise InputError(
            f"{name} ([{start:.12g}, {end:.12g}]) has fewer than 2 times with a finite value; ask for "
            "fewer batches."
        )
    part = experiment.with_samples(keep, start, end, name)
    return _Window(part, Mesh(mesh.points[first : last + 1]), whole.origin, first, k, pieces)


def _multiplicity(problem: Problem, groups: Sequence[Sequence[_Window]]) -> list[Array]:
    """How many windows see each time of each experiment."""
    counts = [np.zeros(e.samples) for e in problem.experiments]
    for window in (w for group in groups for w in group):
        times = problem.experiments[window.origin].times
        counts[window.origin] += np.isin(times, window.experiment.times)
    return counts


def _batch(
    problem: Problem, group: Sequence[_Window], counts: Sequence[Array], boundary: str
) -> Batch:
    name = group[0].experiment.name if len(group) == 1 else _joined(group)
    experiments = tuple(_weighted(problem, w, counts[w.origin]) for w in group)
    scaling = dict(zip(problem.states, problem.state_scale.tolist(), strict=True))
    names = [e.name for e in experiments]
    whole = problem.with_named_noise()
    experiments = _with_measured_columns(problem, experiments, name)
    part = replace(
        whole,
        experiments=experiments,
        costs=_within(problem.costs, names),
        constraints=_within(problem.constraints, names),
        loss=whole.loss.with_sigma(problem.sigma).among(experiments[0].outputs),
        regularisation=L2(0.0),
        scaling=scaling,
        normalise=False,  # the whole problem's networks are normalised already
        test=(),
        truth=None,
        name=f"{problem.name}: {name}",
    )
    states, parameters = [], []
    has_own = any(q.per_experiment for q in problem.all_parameters)
    for number, w in enumerate(group):
        label = problem.experiments[w.origin].name
        if boundary == "shared" and w.number > 0:
            states.append(SharedState(number, FIRST, f"{label};{w.number}"))
        if boundary == "shared" and w.number + 1 < w.of:
            states.append(SharedState(number, LAST, f"{label};{w.number + 1}"))
        if has_own and w.of > 1:
            parameters.append((number, label))
    return Batch(
        name=name,
        problem=part,
        meshes=tuple(w.mesh for w in group),
        weight=part.n_measurements / problem.n_measurements,
        shared_states=tuple(states),
        shared_parameters=tuple(parameters),
        origins=tuple((w.origin, w.first) for w in group),
        windows=tuple(w.of for w in group),
    )


def _within(given: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Costs or constraints as some windows have them; those that none of these has are left out."""
    found = []
    for one in given:
        windows = getattr(one, "windows", ())
        kept = tuple(name for name in windows if name in names)
        if kept or not windows:
            found.append(replace(one, windows=kept) if windows else one)
    return found


def _joined(group: Sequence[_Window]) -> str:
    names = [w.experiment.name for w in group]
    return ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more"


def _weighted(problem: Problem, window: _Window, counts: Array) -> Experiment:
    """Let measurements that several windows see count in equal parts."""
    whole, part = problem.experiments[window.origin], window.experiment
    seen = counts[np.isin(whole.times, part.times)]
    if (seen == 1.0).all():
        return part
    weights = np.ones_like(part.values) if part.weights is None else part.weights
    return replace(part, weights=weights / seen[:, None])


def _with_measured_columns(
    problem: Problem, experiments: tuple[Experiment, ...], name: str
) -> tuple[Experiment, ...]:
    """Leave out columns that nothing in this batch measured."""
    table = np.vstack([e.values for e in experiments])
    kept = [n for j, n in enumerate(problem.outputs) if np.isfinite(table[:, j]).any()]
    if len(kept) == len(problem.outputs):
        return experiments
    if problem.observe is not None or not kept:
        absent = next(n for n in problem.outputs if n not in kept)
        raise InputError(
            f"batch {name!r} has no finite value of output {absent!r}; group it with others or ask "
            "for fewer batches."
        )
    return tuple(e.select(kept) for e in experiments)
