r"""Which bounds hold a fit: those whose multiplier matters, however near the others are.

With the constraints' derivatives along the unknowns as rows of `A` and their multipliers Λ (in units of
one half of the sum of squares), letting go of them would move the fit by :math:`H^{-1}A^T\Lambda`, that
is by :math:`D=\lVert F^TA^T\Lambda\rVert/\sqrt v` standard deviations.  A state that decays to its bound,
or an initial state near zero, has a multiplier of nothing: D is zero there, and the bound tells
nothing.  A bound at which the unbounded estimate would lie within its own noise does not *hold* the
estimate either: what is inside is then as uncertain as without it.  What is left is held, and leaves
its directions to no one.  Source: strict complementarity, Nocedal and Wright, *Numerical
Optimization*, 2006, ch. 12; Fiacco, *Sensitivity and Stability Analysis*, 1983.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy import sparse

from ..numerics import Array, Index, Mask
from ..results.solution import Solution
from ..transcription.nlp import NLP
from .linearised import Linearised

_FAINT = 1e-8  # scaled multipliers below it are the barrier's
_WITHIN = 2.0  # standard deviations that a bound may move a fit without holding it
_TOLD = 0.3  # standard deviations from which on it is said that a bound moves an estimate


@dataclass(frozen=True, eq=False, kw_only=True)
class Held:
    """What bounds and constraints do to a fit.

    Attributes
    ----------
    allowed : (d, a) directions that are left.
    at_bound : (d,) unknowns that their own bound holds.
    moved : (d,) by how much bounds of states and constraints move every unknown, in its units.
    by : names of the states and constraints that move something.
    """

    allowed: Array
    at_bound: Mask
    moved: Array
    by: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Constraints with a multiplier: derivatives by the unknowns, multipliers, what they are."""

    A: Array
    multipliers: Array
    own: Index  # the unknown whose bound it is; -1 for a state's or a constraint
    equal: Mask
    labels: list[str]


def held_by(lin: Linearised, solution: Solution, variance: float) -> Held:
    """Find the bounds that hold a solution; ``variance`` of the data in units of σ²."""
    rows = _constraints(lin, solution)
    d = len(lin.free)
    B = rows.A @ lin.inverse_root  # (constraints, r)
    pull = rows.multipliers * (0.5 * lin.nlp.problem.n_measurements / np.sqrt(variance))
    pulls = B * pull[:, None]
    order = np.argsort(np.where(rows.equal, np.inf, np.sqrt((pulls**2).sum(axis=1))), kind="stable")
    joint = np.sqrt((np.cumsum(pulls[order], axis=0) ** 2).sum(axis=1))
    faint = order[: int(np.searchsorted(np.maximum.accumulate(joint), _WITHIN))]
    tight = rows.equal.copy()
    tight[np.setdiff1d(order, faint)] = True
    outer = rows.own < 0
    shift = np.sqrt(variance) * lin.inverse_root @ pulls[outer & ~rows.equal].sum(axis=0)
    at_bound = np.zeros(d, dtype=bool)
    at_bound[rows.own[tight & ~outer]] = True
    felt = (pulls**2).sum(axis=1) > 1e-6
    by = dict.fromkeys(
        name
        for name, one, mine in zip(rows.labels, outer & ~rows.equal & felt, felt, strict=True)
        if one and mine
    )
    return Held(allowed=_null_space(rows.A[tight]), at_bound=at_bound, moved=shift, by=tuple(by))


def moves(moved: float, std: float) -> bool:
    """Whether a bound moves an estimate by so much that it has to be said."""
    return abs(moved) > _TOLD * std


def _null_space(A: Array) -> Array:
    """(d, a) orthonormal directions that leave ``A`` as it is; rows that are zero hold nothing."""
    A = A[np.abs(A).max(axis=1, initial=0.0) > 0.0]
    if not len(A):
        return np.eye(A.shape[1])
    q, r, _ = scipy.linalg.qr(A.T, mode="full", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return np.asarray(q[:, int((diagonal > 1e-10 * diagonal.max()).sum()) :])


def _constraints(lin: Linearised, solution: Solution) -> _Rows:
    nlp, lam_x = lin.nlp, solution.result.lam_x
    d, parts = len(lin.free), []
    strong = (np.abs(lam_x) * nlp.column_scale > _FAINT) & (nlp.lower < nlp.upper)
    strong &= np.isfinite(nlp.lower) | np.isfinite(nlp.upper)
    decided = _without_data(nlp)
    mine = np.flatnonzero(strong[lin.free])
    parts.append(
        (
            np.eye(d)[mine],
            lam_x[lin.free[mine]],
            mine,
            [nlp.column_names[c] for c in lin.free[mine]],
        )
    )
    strong |= nlp.lower == nlp.upper  # an end that is given
    equal = [decided[lin.free[mine]]]
    for number, part in enumerate(nlp.layout.experiments):
        at = part.dependent[strong[part.dependent]]
        if len(at):
            pick = sparse.csr_array(
                (np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), nlp.columns)
            )
            names = [nlp.column_names[c].partition("[")[0] for c in at]
            parts.append((lin.rows(pick, number), lam_x[at], np.full(len(at), -1), names))
            equal.append((nlp.lower[at] == nlp.upper[at]) | decided[at])
    rows, names = _tight_rows(nlp, solution)
    if len(rows):
        jacobian = nlp.functions.jacobian(lin.x, nlp.p)[1].sparse().tocsr()[rows]
        free = np.full(len(rows), -1)
        parts.append((lin.rows(jacobian), solution.result.lam_g[rows], free, names))
        equal.append((nlp.row_lower[rows] == nlp.row_upper[rows]) | _of_windows(nlp)[rows])
    return _Rows(
        np.vstack([p[0] for p in parts]),
        np.concatenate([p[1] for p in parts]),
        np.concatenate([p[2] for p in parts]).astype(int),
        np.concatenate(equal),
        [name for p in parts for name in p[3]],
    )


def _without_data(nlp: NLP) -> Mask:
    """(columns,) of windows without data, and junctions: what is active there is decided, not estimated."""
    found = np.zeros(nlp.columns, dtype=bool)
    for experiment, part in zip(nlp.problem.experiments, nlp.layout.experiments, strict=True):
        if not experiment.measures:
            found[np.concatenate([part.states[0], part.dependent, part.decisions])] = True
    for link in nlp.layout.links:
        found[link.columns] = True
    return found


def _of_windows(nlp: NLP) -> Mask:
    """(rows,) of windows without data."""
    found = np.zeros(nlp.rows, dtype=bool)
    for experiment, part in zip(nlp.problem.experiments, nlp.layout.experiments, strict=True):
        if not experiment.measures:
            more = [*part.rate_rows.values(), *(f.move_rows for f in part.spanned.values())]
            rows = [part.path_rows.ravel(), part.boundary_rows, part.duration_row, *more]
            found[np.concatenate(rows).astype(int)] = True
    return found


def _tight_rows(nlp: NLP, solution: Solution) -> tuple[Index, list[str]]:
    """Constraints beside the dynamics with a multiplier, or that are equations; and their names."""
    layout, lam_g = nlp.layout, solution.result.lam_g
    rows, names = [np.empty(0, dtype=int)], []
    paths = [
        (n, [e.path_rows[k] for e in layout.experiments]) for k, n in enumerate(layout.path_names)
    ]
    ends = [
        (n, [e.boundary_rows[k : k + 1] for e in layout.experiments])
        for k, n in enumerate(layout.boundary_names)
    ]
    joined = [
        (name, [link.end_rows, link.start_rows, link.time_row])
        for link, (name, _) in zip(layout.links, layout.link_names, strict=True)
    ]
    limits = [
        (name, rows)
        for e in layout.experiments
        for name, rows in (
            *((n, [r]) for n, r in e.rate_rows.items()),
            *((n, [f.move_rows]) for n, f in e.spanned.items()),
            ("duration", [e.duration_row]),
        )
    ]
    points = [(n, [r]) for n, r in layout.point_rows.items()]
    for name, found in [*paths, *ends, *points, *joined, *limits]:
        all_ = np.concatenate(found).astype(int)
        keep = (np.abs(lam_g[all_]) > _FAINT * nlp.row_scale[all_]) | (
            nlp.row_lower[all_] == nlp.row_upper[all_]
        )
        rows.append(all_[keep])
        names += [name] * int(keep.sum())
    return np.concatenate(rows), names
