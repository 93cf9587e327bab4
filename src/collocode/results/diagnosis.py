"""Diagnosis: which equations are violated, where NaN arose, what to try next.

When IPOPT stops short, its log speaks of row 1234; here the residuals are ranked and named by
experiment, element, stage, state and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..transcription.nlp import NLP
from ..transcription.term import MappedTerm
from .solution import Solution
from .status import SolutionStatus, Termination

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
MANY_ITERATIONS = 500  # whoever is infeasible after as many starts in the wrong place


class Advice(Enum):
    """What to try next; the value says it for Python, the command line in its own words."""

    NOTHING = "The solve converged; nothing to repair."
    KEEP_DEFINED = (
        "Keep the states away from where the right-hand side is not defined: "
        "give bounds (bounds=) or another start."
    )
    MORE_ITERATIONS = "Raise max_iter; a stronger regularisation saves iterations."
    OTHER_START = (
        "Try start='horizon' or another seed; a stronger regularisation helps networks most."
    )
    RELAX = "Relax the constraint {constraint!r}: the data contradict it."
    CHECK_BOUNDS = (
        "Check bounds and fixed initial states; then try start='horizon' or a finer mesh."
    )
    LOOSEN = "Loosen tol if the point is good enough: rounding errors let it go no further."
    GO_ON = "Go on from here: pass this solution as the start."
    MORE_TIME = "Allow more time (max_wall_time), or go on from this solution as the start."


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is wrong with a point, and one remedy.

    Attributes
    ----------
    violated : ranked rows: ``equation``, ``experiment``, ``element``, ``stage``, ``state``,
        ``time``, ``residual`` (violation in the units of the scaled row).
    not_finite : points at which a function is NaN or infinite: ``term``, ``experiment``, ``time``.
    at_bounds : names of variables at a bound with a multiplier.
    advice : what to try next.
    """

    violated: pd.DataFrame
    not_finite: pd.DataFrame
    at_bounds: tuple[str, ...]
    advice: Advice

    @property
    def remedy(self) -> str:
        """The advice as one sentence."""
        return self.advice.value.format(constraint=self.contradicted)

    @property
    def contradicted(self) -> str:
        """Name of the path or point constraint that is violated most, if any is."""
        names = self.violated["equation"]
        return str(next((name for name in names if name != "collocation"), ""))

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
    active = (np.abs(solution.result.lam_x) > 1e-6) & (nlp.lower < nlp.upper)
    names = tuple(name for name, on in zip(nlp.layout.column_names, active, strict=True) if on)
    return Diagnosis(violated, broken, names, _advice(solution, broken, violated))


def ranked_violations(nlp: NLP, x: Array, most: int = 10, threshold: float = 1e-6) -> pd.DataFrame:
    """Return the rows violated most, with their place in the problem."""
    import pandas as pd

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
    import pandas as pd

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


def _advice(solution: Solution, broken: pd.DataFrame, violated: pd.DataFrame) -> Advice:
    result = solution.result
    if len(broken):
        return Advice.KEEP_DEFINED
    if result.termination is Termination.CONVERGED:
        return Advice.NOTHING
    if result.termination is Termination.ITERATION_LIMIT:
        going = result.status is SolutionStatus.FEASIBLE or result.iterations < MANY_ITERATIONS
        return Advice.MORE_ITERATIONS if going else Advice.OTHER_START
    if result.termination is Termination.INFEASIBLE:
        contradicted = (violated["equation"] != "collocation").any()
        return Advice.RELAX if contradicted else Advice.CHECK_BOUNDS
    others = {
        Termination.ACCEPTABLE: Advice.LOOSEN,
        Termination.INTERRUPTED: Advice.GO_ON,
        Termination.TIME_LIMIT: Advice.MORE_TIME,
    }
    return others.get(result.termination, Advice.OTHER_START)
