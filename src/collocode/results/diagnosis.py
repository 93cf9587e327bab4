"""Diagnosis: which equations are violated, where NaN arose, what to try next.

When IPOPT stops short, its log speaks of row 1234; here the residuals are ranked and named by
experiment, element, stage, state and time.
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..transcription.nlp import NLP
from ..transcription.term import MappedTerm
from .solution import Solution
from .status import SolutionStatus, Termination

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is wrong with a point, and one remedy.

    Attributes
    ----------
    violated : ranked rows: ``equation``, ``experiment``, ``element``, ``stage``, ``state``,
        ``time``, ``residual`` (violation in the units of the scaled row).
    not_finite : points at which a function is NaN or infinite: ``term``, ``experiment``, ``time``.
    at_bounds : names of variables at a bound with a multiplier.
    remedy : one sentence.
    """

    violated: pd.DataFrame
    not_finite: pd.DataFrame
    at_bounds: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        """Return the diagnosis as text."""
        lines = []
        if len(self.not_finite):
            first = self.not_finite.iloc[0]
            lines.append(
                f"{len(self.not_finite)} points are not finite, first {first['term']} in "
                f"{first['experiment']!r} at t = {first['time']:g}"
            )
        if len(self.violated):
            lines += ["largest residuals:", self.violated.to_string(index=False)]
        if self.at_bounds:
            lines.append("at bounds: " + ", ".join(self.at_bounds[:10]))
        return "\n".join([*lines, self.remedy])


def diagnose(solution: Solution, most: int = 10, threshold: float = 1e-6) -> Diagnosis:
    """Rank the residuals of a solution and suggest what to do.

    Parameters
    ----------
    solution : of a solve that stopped short (any other gives an empty table).
    most : longest table.
    threshold : scaled residuals below it are not listed.

    Raises
    ------
    InputError
        A solution loaded from a file, which has no NLP.
    """
    nlp = solution.nlp
    if nlp is None:
        raise InputError("a solution loaded from a file has no NLP; diagnose it before saving.")
    x = solution.result.x
    broken = not_finite_points(nlp, x)
    violated = ranked_violations(nlp, x, most, threshold)
    active = np.abs(solution.result.lam_x) > 1e-6
    names = tuple(name for name, on in zip(nlp.layout.column_names, active, strict=True) if on)
    return Diagnosis(violated, broken, names, _remedy(solution, broken, violated))


def ranked_violations(nlp: NLP, x: Array, most: int = 10, threshold: float = 1e-6) -> pd.DataFrame:
    """Return the rows violated most, with their place in the problem."""
    size = nlp.violation(x) * nlp.row_scale
    size = np.where(np.isfinite(size), size, np.inf)
    places = []
    for part in nlp.layout.experiments:
        elements, m, _ = part.rows.shape
        for e, k, i in np.argwhere(size[part.rows] > threshold):
            time = part.times[e * m + k + 1]
            state = nlp.layout.state_names[i]
            row = part.rows[e, k, i]
            places.append(("collocation", part.name, e, k + 1, state, time, size[row]))
        for c, node in np.argwhere(size[part.path_rows] > threshold):
            label, row = nlp.layout.path_names[c], part.path_rows[c, node]
            element = min(node // m, elements - 1)
            places.append((label, part.name, element, node % m, "", part.times[node], size[row]))
    for name, rows in nlp.layout.point_rows.items():
        for k in np.flatnonzero(size[rows] > threshold):
            places.append((name, "", -1, int(k), "", np.nan, size[rows[k]]))
    columns = ["equation", "experiment", "element", "stage", "state", "time", "residual"]
    table = pd.DataFrame(places, columns=columns)
    return table.sort_values("residual", ascending=False).head(most).reset_index(drop=True)


def not_finite_points(nlp: NLP, x: Array, most: int = 10) -> pd.DataFrame:
    """Return the points at which a term or its first derivatives are NaN or infinite."""
    rows = []
    for term in nlp.terms:
        data = np.asarray(term.data_function(nlp.p))
        own, shared = x[term.own_columns].T, x[term.shared_columns]
        derivatives = term.first_derivatives[0]
        for function in (term.function, derivatives):
            values = function.map(term.points)(own, ca.repmat(ca.DM(shared), 1, term.points), data)
            parts = values if isinstance(values, tuple | list) else [values]
            bad = np.zeros(term.points, dtype=bool)
            for part in parts:
                table = np.asarray(ca.densify(part))
                if table.size:
                    bad |= ~np.isfinite(table.reshape(-1, term.points)).all(axis=0)
            if bad.any():
                rows += [
                    (term.name, *_place(nlp, term, int(k))) for k in np.flatnonzero(bad)[:most]
                ]
                break
    return pd.DataFrame(rows[:most], columns=["term", "experiment", "time"])


def _place(nlp: NLP, term: MappedTerm, point: int) -> tuple[str, float]:
    """Experiment and time of a term's point, by the columns that it touches."""
    columns = set(term.own_columns[point].tolist())
    for part in nlp.layout.experiments:
        hits = np.isin(part.states, list(columns)).any(axis=1)
        if hits.any():
            return part.name, float(part.times[np.flatnonzero(hits)[-1]])
    return "", float("nan")


def _remedy(solution: Solution, broken: pd.DataFrame, violated: pd.DataFrame) -> str:
    result = solution.result
    if len(broken):
        return (
            "Keep the states away from where the right-hand side is not defined: "
            "give bounds (bounds=) or another start."
        )
    if result.termination is Termination.CONVERGED:
        return "The solve converged; nothing to repair."
    if result.termination is Termination.ITERATION_LIMIT:
        if result.status is SolutionStatus.FEASIBLE:
            return "Raise max_iter, or strengthen the regularisation: the optimum is flat."
        return "Try start='horizon', then more iterations (ipopt.max_iter)."
    if result.termination is Termination.INFEASIBLE:
        if len(violated) and (violated["equation"] != "collocation").any():
            return f"Relax the constraint {violated['equation'].iloc[0]!r}: the data contradict it."
        return "Check bounds and fixed initial states; then try start='horizon' or a finer mesh."
    if result.termination is Termination.INTERRUPTED:
        return "Go on from here: pass this solution as the start."
    if result.termination is Termination.TIME_LIMIT:
        return "Allow more time (ipopt.max_wall_time), or go on from this solution as the start."
    return "Try start='horizon' or another seed; a stronger regularisation helps most."
