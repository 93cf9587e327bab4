r"""From a raw point and IPOPT's return status to a `SolverResult` in the program's own units.

IPOPT judges a point in the scales that it was given, and in those that it takes from the gradients at
the start; a violation of 0.8 may be 1e-9 there.  So a point that it calls solved is judged again, by
the program's ``row_size`` and ``column_size``: in the user's units, or of a discretized problem by the
sizes of what a row is about.  Every row has to hold to ``tol`` times its largest term
:math:`|J_{ij} x_j|` or bound, but to 1e-6 at least and to 1e-4 at most (IPOPT's own
``constr_viol_tol``, there in its units); every variable to 1e-6 of its bound.  If one does not, the
program is solved again from there, with each row scaled by that term, and what violates even then is
no solution.  So is a plan at whose point sizes are a thousand times those that its scales were made for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from ..checks import listed
from ..numerics import Array
from ..results.status import SolutionStatus, SolverResult, Termination
from ..transcription.program import Program
from .options import DEFAULTS, GAUSS_NEWTON

# Ipopt's ApplicationReturnStatus, by name without punctuation, and by number
_TERMINATIONS: dict[str, Termination] = {
    "solvesucceeded": Termination.CONVERGED,
    "solvedtoacceptablelevel": Termination.ACCEPTABLE,
    "infeasibleproblemdetected": Termination.INFEASIBLE,
    "searchdirectionbecomestoosmall": Termination.STALLED,
    "divergingiterates": Termination.DIVERGING,
    "userrequestedstop": Termination.INTERRUPTED,
    "feasiblepointfound": Termination.CONVERGED,
    "maximumiterationsexceeded": Termination.ITERATION_LIMIT,
    "restorationfailed": Termination.STALLED,
    "errorinstepcomputation": Termination.STALLED,
    "maximumcputimeexceeded": Termination.TIME_LIMIT,
    "maximumwalltimeexceeded": Termination.TIME_LIMIT,
    "invalidnumberdetected": Termination.EVALUATION_ERROR,
}
STATUS_BY_NUMBER: dict[int, str] = {
    0: "Solve_Succeeded", 1: "Solved_To_Acceptable_Level", 2: "Infeasible_Problem_Detected",
    3: "Search_Direction_Becomes_Too_Small", 4: "Diverging_Iterates", 5: "User_Requested_Stop",
    6: "Feasible_Point_Found", -1: "Maximum_Iterations_Exceeded", -2: "Restoration_Failed",
    -3: "Error_In_Step_Computation", -4: "Maximum_CpuTime_Exceeded",
    -5: "Maximum_WallTime_Exceeded", -10: "Not_Enough_Degrees_Of_Freedom",
    -11: "Invalid_Problem_Definition", -12: "Invalid_Option", -13: "Invalid_Number_Detected",
    -100: "Unrecoverable_Exception", -101: "NonIpopt_Exception_Thrown",
    -102: "Insufficient_Memory", -199: "Internal_Error",
}  # fmt: skip
FEASIBLE_TO = 1e-6
_LARGEST = 1e-4  # violation of a row with large terms
_FAR = 1e10  # a feasible point that is so far away, and so much better, shows a missing bound
SOLVED = (Termination.CONVERGED, Termination.ACCEPTABLE)
_VIOLATES = ", but in the user's units {} is violated by {:.2g}"


def with_hessian(options: Mapping[str, Any], program: Program) -> dict[str, Any]:
    """IPOPT's options, which say so if it was given a Hessian that is not exact."""
    asked = options.get("hessian_approximation", "exact")
    exact = program.functions.exact or asked == "limited-memory"
    return {**options, **({} if exact else {"hessian_approximation": GAUSS_NEWTON})}


def termination_of(status: str) -> Termination:
    """Translate IPOPT's return status."""
    return _TERMINATIONS.get(status.replace("_", "").lower(), Termination.ERROR)


def result(
    program: Program,
    point: Sequence[Array],
    best: Array | None,
    status: str,
    options: Mapping[str, Any],
    values: tuple[float, Array] | None = None,
    **rest: Any,
) -> SolverResult:
    """Assemble a result from a point (x, lam_g, lam_x) of the *scaled* NLP.

    When the solver stopped early, the best point seen replaces the last one if that is worse.  What
    the solver calls solved is neither converged nor acceptable if it violates.

    Parameters
    ----------
    options : those that were in force; ``tol`` and ``constr_viol_tol`` say what a violation is.
    values : objective and rows of the program at the point, where the solver tells them.
    """
    x, lam_g, lam_x = (np.asarray(v, dtype=float).ravel() for v in point)
    x, lam_g, lam_x = (
        x * program.column_scale,
        lam_g * program.row_scale / program.objective_scale,
        lam_x / program.column_scale / program.objective_scale,
    )
    termination = termination_of(status)
    if best is not None and termination not in SOLVED:
        x = _better(program, x, best * program.column_scale)
    if not np.isfinite(x).all():
        x, values = program.start, None
        termination = Termination.ERROR if termination in SOLVED else termination
    if values is None or termination not in SOLVED:
        values = program.objective(x), program.constraints(x)
    objective, g = values
    violation = program.largest_violation(x, g)
    culprit = violated(program, x, options, g)
    message = status
    if not np.isfinite(objective + violation):
        worth = SolutionStatus.NONE
        termination = Termination.EVALUATION_ERROR if termination in SOLVED else termination
    elif culprit is not None:
        worth = SolutionStatus.INFEASIBLE
        if termination in SOLVED:
            termination, message = Termination.STALLED, status + _VIOLATES.format(*culprit)
    else:
        solved = termination is Termination.CONVERGED
        worth = SolutionStatus.OPTIMAL if solved else SolutionStatus.FEASIBLE
        if termination in (Termination.DIVERGING, Termination.STALLED):
            endless = _endless(program, x, objective)
            if endless:
                termination, message = Termination.UNBOUNDED, status + endless
    if termination is Termination.DIVERGING:
        message += "; the objective may have no bound: give the variables some"
    return SolverResult(
        x=x,
        lam_g=lam_g,
        lam_x=lam_x,
        objective=objective,
        violation=violation,
        termination=termination,
        status=worth,
        message=message,
        options=dict(options),
        **rest,
    )


def _endless(program: Program, x: Array, objective: float) -> str:
    """Say along which variables the objective falls without end, or "" where the point is no proof."""
    sizes = np.abs(x / program.column_scale)
    begin = program.objective(program.start)
    if sizes.max(initial=0.0) < _FAR or not objective < begin - _FAR * max(1.0, abs(begin)):
        return ""
    names = [program.column_names[j] for j in np.flatnonzero(sizes > 0.1 * sizes.max())]
    sign, side = (-1.0, "upper") if program.maximise else (1.0, "lower")
    return (
        f"; the objective has no {side} bound: it is {sign * objective:.3g} along {listed(names, 4)}, where all "
        "constraints hold; bound these variables, or let the objective or a constraint keep them"
    )


def violated(
    program: Program, x: Array, options: Mapping[str, Any], g: Array | None = None
) -> tuple[str, float] | None:
    """Return name and violation of the row or variable that violates most, or None if none does.

    A ``constr_viol_tol`` that the caller gave takes the place of the 1e-6, if it is larger that of the
    1e-4 too.
    """
    bounds = _tolerances(options)[0]
    found: list[tuple[float, str, float]] = []
    sizes = _side(x, program.lower, program.upper)
    for excess, allowed, names in (
        (
            _excess(x, program.lower, program.upper),
            bounds * np.maximum(program.column_size, sizes),
            "column",
        ),
        (*allowances(program, x, options, g), "row"),
    ):
        share = np.where(excess > 0.0, excess / allowed, 0.0)
        share[np.isnan(excess)] = np.inf
        if share.max(initial=0.0) > 1.0:
            worst = int(share.argmax())
            name = getattr(program, f"{names}_names")[worst]
            found.append((float(share[worst]), name, float(excess[worst])))
    return max(found)[1:] if found else None


def allowances(
    program: Program, x: Array, options: Mapping[str, Any], g: Array | None = None
) -> tuple[Array, Array]:
    """Return each row's violation and the one that it may have."""
    least, relative, most = _tolerances(options)
    g = program.constraints(x) if g is None else g
    excess = _excess(g, program.row_lower, program.row_upper)
    allowed = least * program.row_size
    if (excess > allowed).any():  # rare: only then is the Jacobian worth its evaluation
        allowed = np.clip(relative * largest_terms(program, x), allowed, most * program.row_size)
    return excess, allowed


def _tolerances(options: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the violation that is always allowed, the relative one, and the largest."""
    tol = float(options.get("tol", DEFAULTS["tol"]))
    least = float(options.get("constr_viol_tol", max(FEASIBLE_TO, min(tol, _LARGEST))))
    least = max(least, 1e-2 * FEASIBLE_TO)
    return least, tol, max(least, _LARGEST)


def largest_terms(program: Program, x: Array) -> Array:
    """(rows,) size of each row: its largest |J_ij x_j| or the bound that is near."""
    jacobian = sparse.csr_matrix(program.functions.jacobian(x, program.p)[1].sparse())
    with np.errstate(invalid="ignore"):  # 0 times the slope of a root at 0
        products = abs(jacobian.multiply(x)).tocsr()
    products.data = np.nan_to_num(products.data, nan=0.0, posinf=0.0)
    largest = products.max(axis=1).toarray().ravel()
    side = _side(program.constraints(x), program.row_lower, program.row_upper)
    return np.nan_to_num(np.maximum(side, largest))


def _excess(values: Array, lower: Array, upper: Array) -> Array:
    return np.maximum(lower - values, values - upper)


def _side(values: Array, lower: Array, upper: Array) -> Array:
    """Size of the bound that is nearer to be violated; 0 where there is none."""
    side = np.abs(np.where(lower - values >= values - upper, lower, upper))
    return np.where(np.isfinite(side), side, 0.0)


def untouched(program: Program) -> SolverResult:
    """Return the program's start as what Ctrl-C before the first iteration leaves."""
    rows, columns = np.zeros(program.rows), np.zeros(program.columns)
    point = program.start / program.column_scale, rows, columns
    return result(program, point, None, "User_Requested_Stop", {})


def _better(program: Program, last: Array, best: Array) -> Array:
    def key(x: Array) -> tuple[bool, float]:
        if not np.isfinite(x).all():
            return (True, np.inf)
        violation = largest(program, x)
        feasible = violation <= FEASIBLE_TO
        value = program.objective(x) if feasible else violation
        return (not feasible, value if np.isfinite(value) else np.inf)

    return best if key(best) < key(last) else last


def largest(program: Program, x: Array) -> float:
    """Largest violation of a row or bound, in the program's sizes of these; NaN where a function is."""
    bounds = np.maximum(0.0, _excess(x, program.lower, program.upper)) / program.column_size
    rows = program.violation(x) / program.row_size
    return float(np.maximum(bounds.max(initial=0.0), rows.max(initial=0.0)))


def called_solved(answer: SolverResult) -> bool:
    """Whether the solver called a point solved that is none in the user's units."""
    return _VIOLATES.partition("{}")[0] in answer.message


def history_of(iterations: Mapping[str, Any], program: Program) -> dict[str, Array]:
    """Return CasADi's iteration record under our names, the objective in the user's units."""
    names = {
        "objective": "obj",
        "primal": "inf_pr",
        "dual": "inf_du",
        "mu": "mu",
        "step": "alpha_pr",
        "regularisation": "regularization_size",
    }
    found = {
        ours: np.asarray(iterations[theirs], dtype=float)
        for ours, theirs in names.items()
        if theirs in iterations
    }
    if "objective" in found:
        found["objective"] = found["objective"] / program.objective_scale
    return found
