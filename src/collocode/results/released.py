r"""What a fit would be without a bound or constraint that holds it: one Newton step.

At a solution :math:`\nabla f+J^T\lambda_g+\lambda_x=0`.  Without the multipliers :math:`\lambda` of the
bounds and rows that are let go it moves, to first order, by

.. math:: \begin{pmatrix}H&A^T\\A&0\end{pmatrix}\begin{pmatrix}dx\\d\lambda\end{pmatrix}
          =\begin{pmatrix}\lambda\\0\end{pmatrix},

A the equations and what else is active; the objective falls by about :math:`\lambda^Tdx/2`.  Source:
Fiacco, *Sensitivity and Stability Analysis in Nonlinear Programming*, 1983.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..numerics import Array, Index, Mask
from ..transcription.nlp import NLP
from .solution import Solution

NOISE_FREE = 2e-3  # share of an output's spread that is no noise to speak of
_FAINT = 1e-6  # scaled multipliers below it are the barrier's


@dataclass(frozen=True, eq=False, kw_only=True)
class Released:
    """The first-order change of a fit without some bounds.

    Attributes
    ----------
    names : of the states, parameters or constraints that were let go.
    places : experiments, in words.
    shift : (columns,) change of the unknowns.
    gain : by how much the objective would fall.
    moved : standard deviations of the noise that outputs move by, root of the sum of squares.
    """

    names: tuple[str, ...]
    places: str
    shift: Array
    gain: float
    moved: float


def release_states(solution: Solution) -> Released | None:
    """Let go of the bounds on states that have a multiplier, initial states aside; None without any."""
    nlp = solution.nlp
    if nlp is None or nlp.problem.decides:
        return None
    strong = strong_bounds(solution, nlp)
    columns, names, places = [], set(), []
    for part in nlp.layout.experiments:
        inner = part.states[1:]
        held = strong[inner]
        columns.append(inner[held])
        names |= {nlp.problem.states[j] for j in np.flatnonzero(held.any(axis=0))}
        places += [repr(part.name)] if held.any() else []
    ordered = tuple(state for state in nlp.problem.states if state in names)
    return _released(solution, nlp, np.concatenate(columns), _none(), ordered, ", ".join(places))


def release_rest(solution: Solution) -> dict[str, Released]:
    """Let go of every path and point constraint, and of every bound of a parameter, one by one."""
    nlp = solution.nlp
    if nlp is None or nlp.problem.decides:
        return {}
    layout = nlp.layout
    strong = np.abs(solution.result.lam_g) > _FAINT * nlp.row_scale
    groups = {
        name: np.concatenate([part.path_rows[k] for part in layout.experiments])
        for k, name in enumerate(layout.path_names)
    } | dict(layout.point_rows)
    found = {}
    for name, rows in groups.items():
        rows = np.asarray(rows, dtype=int)
        one = _released(solution, nlp, _none(), rows[strong[rows]], (name,), "")
        if one is not None:
            found[name] = one
    held = strong_bounds(solution, nlp)
    for number in range(len(layout.experiments)):
        for name in nlp.problem.coefficient_names:
            column = layout.parameter_columns(number, [name])
            if held[column].any() and name not in found:
                one = _released(solution, nlp, column, _none(), (name,), "")
                if one is not None:
                    found[name] = one
    return found


def _none() -> Index:
    return np.empty(0, dtype=int)


def strong_bounds(solution: Solution, nlp: NLP) -> Mask:
    """(columns,) which unknowns a bound holds: those with a multiplier to speak of."""
    strong = np.abs(solution.result.lam_x) * nlp.column_scale > _FAINT
    return np.asarray(strong & (nlp.lower < nlp.upper))


def _released(
    solution: Solution, nlp: NLP, columns: Index, rows: Index, names: tuple[str, ...], places: str
) -> Released | None:
    """Solve for the step; None if nothing is let go or the system is singular."""
    if not len(columns) and not len(rows):
        return None
    result = solution.result
    fixed = (nlp.lower == nlp.upper) | strong_bounds(solution, nlp)
    fixed[columns] = False
    kept = (nlp.row_lower == nlp.row_upper) | (np.abs(result.lam_g) > _FAINT * nlp.row_scale)
    kept[rows] = False
    free = np.flatnonzero(~fixed)
    upper = nlp.functions.hessian(result.x, nlp.p, 1.0, result.lam_g).sparse().tocsc()
    hessian = upper + sparse.triu(upper, 1).T
    jacobian = nlp.functions.jacobian(result.x, nlp.p)[1].sparse().tocsr()
    right = np.zeros(nlp.columns)
    right[columns] = result.lam_x[columns]
    right += jacobian[rows].T @ result.lam_g[rows]
    s, r = nlp.column_scale[free], nlp.row_scale[kept]
    h = sparse.diags_array(s) @ hessian.tocsr()[free][:, free] @ sparse.diags_array(s)
    a = sparse.diags_array(r) @ jacobian[kept][:, free] @ sparse.diags_array(s)
    matrix = sparse.block_array([[h, a.T], [a, None]], format="csc")
    try:
        step = sparse.linalg.splu(matrix).solve(
            np.append(s * right[free], np.zeros(int(kept.sum())))
        )
    except RuntimeError:  # singular: the data do not determine the fit without what holds it
        return None
    shift = np.zeros(nlp.columns)
    shift[free] = s * step[: len(free)]
    gain = 0.5 * float(right @ shift)
    if not np.isfinite(gain) or gain <= 0.0:
        return None
    moved = _moved(nlp, result.x, shift)
    return Released(names=names, places=places, shift=shift, gain=gain, moved=moved)


def _moved(nlp: NLP, x: Array, shift: Array) -> float:
    """How far a step moves the outputs, in units of the noise."""
    problem, blocks = nlp.problem, nlp.parameters
    predicted, jacobian = nlp.predictions(x)
    used, pull = blocks["weights"] > 0.0, np.sqrt(blocks["weights"]) / nlp.deviations(x)
    step = pull * (jacobian @ shift).reshape(predicted.shape)
    left = pull * (predicted - blocks["measurements"])
    given = problem.loss.sigma is not None or problem.loss.likelihood
    given = given or all(e.sigma is not None for e in problem.experiments)
    variance = 1.0 if given else max(float(np.mean(left[used] ** 2)), NOISE_FREE**2)
    return float(np.sqrt(np.sum(step[used] ** 2) / variance))
