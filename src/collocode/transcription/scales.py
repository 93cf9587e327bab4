r"""Scales of unknowns, rows and the objective, by the sizes of what they are about.

Unknowns are divided by the size of their state, control or time; an equation of a state by that of the
state; every other row by how far unknowns of their size move it, :math:`\max_j|J_{ij}|s_j`, in the median
over its points, or by a bound that is less; costs, where unknowns of their sizes together move them by
less than 1 or by more than 10⁵, by that.  All are powers of two, which lose no digit.  So
the solver sees the same program whatever units a problem is written in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..model.experiment import Experiment
from ..model.parameters import Parameter
from ..model.problem import Problem
from ..numerics import Array, Index, Mask
from ..numerics.bases import Basis
from ..numerics.random import generator
from .layout import Layout
from .term import MappedTerm, ParameterBlocks

_BY_STATES = (
    "collocation",
    "initial",
    "rest",
    "lag",
    "link",
)  # terms whose rows have sizes of states
COSTS = 1.0, 2.0**17  # moves of an objective that suit IPOPT as it stands
_FINER = 1024.0  # times, by which a bound may make a row finer
_NEAR = 0.5  # of their sizes, by which unknowns are moved to look at rows from elsewhere


def own_parameters(problem: Problem, experiment: Experiment) -> list[Parameter]:
    """Parameters that are not something else in an experiment."""
    return [q for q in problem.all_parameters if q.name not in experiment.parameters]


def scales_of(problem: Problem, layout: Layout) -> tuple[Array, Array]:
    """Return column scales, and row scales as far as they are those of states."""
    columns, rows = np.ones(layout.columns), np.ones(layout.rows)
    state_sizes = dict(zip(problem.states, problem.state_scale.tolist(), strict=True))
    lagged = {name: state_sizes[delay.of] for name, delay in problem.lags.items()}
    sizes = {**problem.algebraic_scale, **lagged}
    for number, part in enumerate(layout.experiments):
        columns[part.states] = problem.state_scale
        rows[part.rows] = 1.0 / problem.state_scale
        for k, size in enumerate(lagged.values()):
            rows[part.algebraic_rows[:, :, k]] = 1.0 / size
        rows[part.initial_rows] = 1.0 / problem.state_scale[part.determined]
        experiment = problem.experiments[number]
        for name, decided in part.decided.items():
            size = sizes.get(name)
            size = size or power_of_two(experiment.controls[name].size)
            columns[decided.columns] = size
        for name, function in part.spanned.items():
            size = power_of_two(experiment.controls[name].size)
            columns[function.columns] = size / _amplitudes(function.basis)
        if experiment.is_free:
            assert experiment.start is not None and experiment.end is not None
            columns[part.free_times] = power_of_two(experiment.end - experiment.start)
        for parameter in own_parameters(problem, experiment):
            start = parameter.start if parameter.scale == "linear" else 1.0
            size = abs(start) or problem.ranges.get(f"p:{parameter.name}", (0.0, 1.0))[1]
            large = _amplitudes(parameter.basis)
            of = layout.parameter_columns(number, parameter.names)
            columns[of] = power_of_two(size) / large
    for link, where in zip(problem.links, layout.links, strict=True):
        chosen = [problem.states.index(name) for name in problem.linked(link)]
        columns[where.columns] = problem.state_scale[chosen]
        for numbers in (where.end_rows, where.start_rows):
            rows[numbers] = 1.0 / problem.state_scale[chosen]
    amplitudes = [np.repeat(_amplitudes(b.basis), b.count) for b in problem.weight_blocks]
    columns[layout.weights] = 1.0 / np.concatenate([np.empty(0), *amplitudes])
    return columns, rows


def power_of_two(size: float) -> float:
    """The power of two that is nearest."""
    return float(np.exp2(np.round(np.log2(size))))


def _amplitudes(basis: Basis | None) -> Array:
    return np.ones(1) if basis is None else basis.amplitudes()


def scale_rows(
    terms: Sequence[MappedTerm],
    blocks: ParameterBlocks,
    looked_at: Sequence[Array],
    column_scale: Array,
    row_scale: Array,
    row_bounds: tuple[Array, Array],
) -> None:
    """Scale the rows that are not those of states, in place, so that a scaled unknown moves them by about one.

    Parameters
    ----------
    looked_at : points of the program, of `places`.
    """
    p = np.concatenate([np.ravel(block) for block in blocks.values()])
    for term in terms:
        kind = "" if term.name == "link.time" else term.name.split(".")[0]
        if term.scatter is None or kind in _BY_STATES:
            continue
        count = term.value.numel()
        of = np.asarray(term.scatter.indices).reshape(term.points, count)
        if not np.isfinite([side[of] for side in row_bounds]).any():
            continue  # of a constraint that other windows have
        moved = np.full((len(looked_at), term.points, count), np.nan)
        for rows, sizes in _moves(term, looked_at, p, column_scale):
            for k in np.unique(rows).tolist():
                moved[:, :, k] = np.fmax(moved[:, :, k], sizes[:, :, rows == k].max(axis=2))
        moved[~np.isfinite(moved) | (moved == 0.0)] = np.nan
        for k in range(count):
            known = float(_median(_median(moved[:, :, k].T)))
            sides = np.abs([side[of[:, k]] for side in row_bounds])
            bound = float(sides[np.isfinite(sides)].max(initial=0.0))
            if known and bound:
                known = min(known, max(bound, known / _FINER))
            row_scale[of[:, k]] = 1.0 / power_of_two(known or bound or 1.0)


def objective_scale(
    terms: Sequence[MappedTerm],
    blocks: ParameterBlocks,
    looked_at: Sequence[Array],
    column_scale: Array,
    free: Mask,
) -> float:
    r"""One over :math:`\sum_j|\partial f/\partial x_j|s_j` of the unknowns that are free, or 1 where that suits IPOPT."""
    totals = moved_costs(terms, blocks, looked_at, np.where(free, column_scale, 0.0))
    totals[totals == 0.0] = np.nan
    moved = power_of_two(float(_median(totals)) or 1.0)
    return 1.0 if COSTS[0] <= moved <= COSTS[1] else 1.0 / moved


def moved_costs(
    terms: Sequence[MappedTerm], blocks: ParameterBlocks, looked_at: Sequence[Array], sizes: Array
) -> Array:
    r"""(points,) how far unknowns of these sizes together move the costs, :math:`\sum_j|\partial f/\partial x_j|s_j`."""
    p = np.concatenate([np.ravel(block) for block in blocks.values()])
    totals = np.zeros(len(looked_at))
    for term in terms:
        if term.scatter is None and term.name.startswith("cost."):
            for _, moved in _moves(term, looked_at, p, sizes):
                totals += moved.sum(axis=(1, 2))
    return totals


def places(start: Array, lower: Array, upper: Array, column_scale: Array) -> list[Array]:
    """The start, and two points beside it where nothing is zero by chance; within the bounds."""
    step = _NEAR * column_scale * generator(0).uniform(-1.0, 1.0, size=len(start))
    return [start, *(np.clip(start + sign * step, lower, upper) for sign in (1.0, -1.0))]


def _moves(
    term: MappedTerm, looked_at: Sequence[Array], p: Array, sizes: Array
) -> list[tuple[Index, Array]]:
    """Rows of a point's value (k,), and how far unknowns of their sizes move them (looked at, points, k)."""
    function, own, shared = term.first_derivatives
    places, points = len(looked_at), term.points
    mine = np.hstack([x[term.own_columns].T for x in looked_at])
    others = np.hstack([np.tile(x[term.shared_columns][:, None], points) for x in looked_at])
    data = np.tile(np.asarray(term.data_function(p), dtype=float), places)
    values = function.map(places * points)(mine, others, data)
    found = []
    for pattern, derivatives in zip((own, shared), values, strict=True):
        if not len(pattern):
            continue
        where = (
            term.own_columns[:, pattern.columns]
            if pattern is own
            else term.shared_columns[pattern.columns - term.own.numel()][None, :]
        )
        table = np.abs(np.asarray(derivatives, dtype=float).T).reshape(places, points, -1)
        with np.errstate(invalid="ignore"):
            found.append((pattern.rows, table * sizes[where]))
    return found


def _median(values: Array) -> Array:
    """Median over the last axis of what is a number; 0 where nothing is."""
    table = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(table).sum(axis=-1)
    at = np.maximum(count - 1, 0)[..., None] // 2
    return np.where(count > 0, np.take_along_axis(table, at, axis=-1)[..., 0], 0.0)
