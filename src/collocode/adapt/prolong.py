"""A solution on one mesh as a start on another: states, parameters and all multipliers.

States are interpolated, numbers copied.  Multipliers of bounds and path constraints are weights of
nodes, so each goes to the new nodes around it and their sum stays the same.  Those of the collocation rows follow from the
rest: they solve the discrete adjoint equation on the new mesh, whatever the scheme; one triangular
solve, where interpolation would have to know how each scheme scales its rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..numerics import Array, Index
from ..results.solution import Solution
from ..solvers.protocol import WarmStart
from ..starts.strategies import start_from
from ..transcription.nlp import NLP
from ..transcription.windows import Decided, ExperimentLayout
from .duals import state_weights


def prolong(solution: Solution, nlp: NLP) -> tuple[NLP, WarmStart]:
    """Return the NLP of the new mesh with its start, and multipliers for a warm start.

    Parameters
    ----------
    solution : of the same problem on another mesh, with its NLP.
    nlp : the same problem on the new mesh.
    """
    assert solution.nlp is not None
    begun = replace(start_from(nlp, solution), start_record=solution.start_record)
    lam_x, lam_g = np.zeros(nlp.columns), np.zeros(nlp.rows)
    old, result = solution.nlp, solution.result
    held = np.where(old.lower < old.upper, result.lam_x, 0.0)
    for there, here in zip(old.layout.experiments, nlp.layout.experiments, strict=True):
        lam_x[here.states] = _moved(there.times, held[there.states], here.times)
        lam_x[here.parameters] = held[there.parameters]
        if len(here.path_rows):
            weights = result.lam_g[there.path_rows].T
            lam_g[here.path_rows] = _moved(there.times, weights, here.times).T
        lam_g[here.initial_rows] = result.lam_g[there.initial_rows]
        lam_g[here.boundary_rows] = result.lam_g[there.boundary_rows]
        lam_g[here.duration_row] = result.lam_g[there.duration_row]
        lam_x[here.free_times] = held[there.free_times]
        for name, decided in here.decided.items():
            was, times = _places(there, there.decided[name])
            now, new = _places(here, decided)
            lam_x[now] = _moved(times, held[was][:, None], new)[:, 0]
        for name, function in here.spanned.items():
            lam_x[function.columns] = held[there.spanned[name].columns]
            lam_g[function.move_rows] = result.lam_g[there.spanned[name].move_rows]
        for name, rows in here.rate_rows.items():
            middle, new = (0.5 * (p.mesh.points[1:] + p.mesh.points[:-1]) for p in (there, here))
            lam_g[rows] = _moved(middle, result.lam_g[there.rate_rows[name]][:, None], new)[:, 0]
    lam_x[nlp.layout.shared] = held[old.layout.shared]
    lam_x[nlp.layout.weights] = held[old.layout.weights]
    for was_link, link in zip(old.layout.links, nlp.layout.links, strict=True):
        for rows, before in (
            (link.end_rows, was_link.end_rows),
            (link.start_rows, was_link.start_rows),
            (link.time_row, was_link.time_row),
        ):
            lam_g[rows] = result.lam_g[before]
    for name, rows in nlp.layout.point_rows.items():
        lam_g[rows] = result.lam_g[old.layout.point_rows[name]]
    idle = ~np.isfinite(nlp.row_lower) & ~np.isfinite(nlp.row_upper)
    lam_g[idle] = 0.0
    lam_x[nlp.lower == nlp.upper] = 0.0
    gradient = np.asarray(nlp.functions.gradient(begun.start, nlp.p)[1], dtype=float).ravel()
    jacobian = nlp.functions.jacobian(begun.start, nlp.p)[1].sparse()
    lam_g += state_weights(nlp, begun.start, gradient + lam_x + jacobian.T @ lam_g)
    return begun, WarmStart(lam_g, lam_x)


def _places(part: ExperimentLayout, decided: Decided) -> tuple[Index, Array]:
    """Columns of a decided input, and their times by the mesh."""
    columns, first = np.unique(decided.columns.ravel(), return_index=True)
    return columns, decided.times(part.mesh).ravel()[first]


def _moved(old: Array, values: Array, new: Array) -> Array:
    """(new nodes, k) weights: each of the (old nodes, k) ones goes to the two nodes around it."""
    if len(new) == 1:
        return np.asarray(values.sum(axis=0, keepdims=True))
    right = np.clip(np.searchsorted(new, old, side="left"), 1, len(new) - 1)
    width = new[right] - new[right - 1]  # 0 where a stage lies at the element's start
    inside = (old - new[right - 1]) / np.where(width > 0.0, width, 1.0)
    share = np.clip(inside, 0.0, 1.0)[:, None]
    found = np.zeros((len(new), values.shape[1]))
    np.add.at(found, right, share * values)
    np.add.at(found, right - 1, (1.0 - share) * values)
    return found
