"""Diagnosis: which equations are violated, where NaN arose, what to try next.

When IPOPT stops short, its log speaks of row 1234; here the residuals are ranked and named by
experiment, element, stage, state and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import casadi as ca
import numpy as np

from ..checks import counted, listed
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..transcription.nlp import NLP
from ..transcription.program import Block, Place, Program
from ..transcription.resized import off_scale
from ..transcription.term import MappedTerm
from .program_solution import ProgramSolution
from .solution import Solution
from .status import SolutionStatus, SolverResult, Termination

if TYPE_CHECKING:
    import pandas as pd

_DISPARATE = 1e4  # times the least size, from which on one that equations tell is none
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
    SIZES = "Sizes do not fit together ({sizes}): guess times and states better, give scaling=, or choose other units."
    RELAX = "Relax the constraint {constraint!r}: the data contradict it."
    CHECK_BOUNDS = (
        "Check bounds and fixed initial states; then try start='horizon' or a finer mesh."
    )
    OTHER_GUESS = (
        "Check bounds, constraints and what is fixed at both ends; then give the states a guess= nearer to what the "
        "equations do, or the window another end."
    )
    RESCALE = "Try another start; scale variables and rows to the order of one."
    CONTRADICTION = (
        "Try another start; if that ends here too, the constraints contradict each other."
    )
    GIVE_SIGMA = (
        "Give the noise, sigma= of the experiment or of the likelihood, or fit by least squares."
    )
    LOOSEN = "Loosen tol if the point is good enough: rounding errors let it go no further."
    GO_ON = "Go on from here: pass this solution as the start."
    MORE_TIME = "Allow more time (time_limit, or IPOPT's max_wall_time), or go on from this solution as the start."


# what makes no sense where nothing is measured, or inputs are decided
_OF_DATA = (Advice.OTHER_START, Advice.RELAX, Advice.CHECK_BOUNDS)


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
    sizes : of a plan, whose sizes by ends, bounds and times are far from each other or from the point, in words.
    """

    violated: pd.DataFrame
    not_finite: pd.DataFrame
    at_bounds: tuple[str, ...]
    advice: Advice
    sizes: str = ""

    @property
    def remedy(self) -> str:
        """The advice as one sentence."""
        return self.advice.value.format(constraint=self.contradicted, sizes=self.sizes)

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
            at = f" at t = {first['time']:.12g}" if np.isfinite(first["time"]) else ""
            lines.append(
                f"{counted(len(self.not_finite), 'point is', 'points are')} not finite, first {first['term']} in "
                f"{first['experiment']!r}{at}"
            )
        if len(self.violated):
            lines += ["largest residuals:", self.violated.to_string(index=False)]
        if self.at_bounds:
            lines.append("at bounds: " + ", ".join(self.at_bounds[:10]))
        return "\n".join([*lines, self.remedy])


def diagnose(
    solution: Solution | ProgramSolution, most: int = 10, threshold: float = 1e-6
) -> Diagnosis:
    """Rank the residuals of a solution and suggest what to do.

    Parameters
    ----------
    solution : of a solve that stopped short (any other gives an empty table).
    most : longest table.
    threshold : scaled residuals below it are not listed.

    Raises
    ------
    InputError
        A solution loaded from a file, which has no program.
    """
    check_type("diagnose", solution, Solution, ProgramSolution)
    program = solution.program
    if program is None:
        raise InputError("a solution loaded from a file has no NLP; diagnose it before saving.")
    x = solution.result.x
    broken = not_finite_points(program, x)
    violated = ranked_violations(program, x, most, threshold)
    active = (np.abs(solution.result.lam_x) > 1e-6) & (program.lower < program.upper)
    names = tuple(name for name, on in zip(program.column_names, active, strict=True) if on)
    identified = isinstance(program, NLP)
    likely = isinstance(program, NLP) and program.problem.loss.likelihood
    advice = _advice(solution.result, broken, violated, identified, likely)
    if isinstance(program, NLP) and program.problem.decides and advice in _OF_DATA:
        advice = Advice.OTHER_GUESS
    sizes = _sizes(program, x) if isinstance(program, NLP) else ""
    limits = Termination.ITERATION_LIMIT, Termination.INFEASIBLE
    if sizes and solution.result.termination in limits and not len(broken):
        advice = Advice.SIZES
    return Diagnosis(violated, broken, names, advice, sizes)


def _sizes(nlp: NLP, x: Array) -> str:
    """Say what is far from the size that it was scaled by, or has none that all equations agree on; or nothing."""
    if nlp.problem.n_measurements:
        return ""
    spread = {n: s for n, s in nlp.problem.balanced.items() if s[1] > _DISPARATE * s[0]}
    texts = {n: f"{n[2:]} is {s[0]:.2g} to {s[1]:.2g} by the equations" for n, s in spread.items()}
    for n, (size, taken) in off_scale(nlp, x).items():
        if size > taken or n.startswith("t:"):
            what = f"the time of {n[2:]!r}" if n.startswith("t:") else n[2:]
            texts[n] = f"{what} is {size:.2g} and was taken for {taken:.2g}"
    return listed(texts.values()) if texts else ""


def ranked_violations(
    program: Program, x: Array, most: int = 10, threshold: float = 1e-6
) -> pd.DataFrame:
    """Return the rows violated most: block and place, of an `NLP` by element, state and time."""
    import pandas as pd

    size = program.violation(x) * program.row_scale
    size = np.where(np.isfinite(size), size, np.inf)
    worst = np.argsort(-size, kind="stable")[:most]
    worst = worst[size[worst] > threshold]
    places: list[tuple[Any, ...]] = []
    for row in worst.tolist():
        block, place = _block_of(program, row)
        if isinstance(program, NLP):
            places.append((block.name, *_place_in_time(program, place), size[row]))
        else:
            places.append((block.name, ",".join(map(str, place)), size[row]))
    known = ("experiment", "element", "stage", "state", "time")
    inside = known if isinstance(program, NLP) else ("place",)
    return pd.DataFrame(places, columns=["equation", *inside, "residual"])


def _block_of(program: Program, row: int) -> tuple[Block, Place]:
    for block in program.row_blocks:
        found = np.flatnonzero(block.numbers.ravel() == row)
        if len(found):
            return block, block.places[int(found[0])]
    raise AssertionError(f"row {row} is in no block")


def _place_in_time(nlp: NLP, place: Place) -> tuple[str, int, int, str, float]:
    """Experiment, element, stage, state and time of a row of a discretized problem."""
    if len(place) == 1:  # of a point constraint the number, of a boundary the window
        whose = (place[0], -1) if isinstance(place[0], str) else ("", int(place[0]))
        return whose[0], -1, whose[1], "", float("nan")
    experiment, element, stage = (*place, 0)[:3]
    part = next(part for part in nlp.layout.experiments if part.name == experiment)
    time = float(part.times[element * part.rows.shape[1] + stage])
    return experiment, int(element), int(stage), place[3] if len(place) > 3 else "", time


def not_finite_points(program: Program, x: Array, most: int = 10) -> pd.DataFrame:
    """Return the points at which a term or its first derivatives are NaN or infinite."""
    import pandas as pd

    rows = []
    for term in program.terms:
        data = np.asarray(term.data_function(program.p))
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
                    (term.name, *_place(program, term, int(k))) for k in np.flatnonzero(bad)[:most]
                ]
                break
    return pd.DataFrame(rows[:most], columns=["term", "experiment", "time"])


def _place(program: Program, term: MappedTerm, point: int) -> tuple[str, float]:
    """Experiment and time of a term's point, by its columns; else its first variable, and NaN."""
    columns = set(term.own_columns[point].tolist())
    if not isinstance(program, NLP):
        names = [program.column_names[column] for column in sorted(columns)[:1]]
        return names[0] if names else "", float("nan")
    for part in program.layout.experiments:
        hits = np.isin(part.states, list(columns)).any(axis=1)
        if hits.any():
            return part.name, float(part.times[np.flatnonzero(hits)[-1]])
    return "", float("nan")


def _advice(
    result: SolverResult,
    broken: pd.DataFrame,
    violated: pd.DataFrame,
    identified: bool,
    likely: bool,
) -> Advice:
    if len(broken):
        return Advice.KEEP_DEFINED
    if result.termination is Termination.CONVERGED:
        return Advice.NOTHING
    other = Advice.OTHER_START if identified else Advice.RESCALE
    if result.termination is Termination.ITERATION_LIMIT:
        going = result.status is SolutionStatus.FEASIBLE or result.iterations < MANY_ITERATIONS
        return Advice.MORE_ITERATIONS if going else other
    if result.termination is Termination.INFEASIBLE:
        if not identified:
            return Advice.CONTRADICTION
        contradicted = (violated["equation"] != "collocation").any()
        return Advice.RELAX if contradicted else Advice.CHECK_BOUNDS
    if result.termination is Termination.UNBOUNDED and likely:
        return Advice.GIVE_SIGMA
    others = {
        Termination.ACCEPTABLE: Advice.LOOSEN,
        Termination.INTERRUPTED: Advice.GO_ON,
        Termination.TIME_LIMIT: Advice.MORE_TIME,
    }
    return others.get(result.termination, other)
