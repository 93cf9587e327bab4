"""From a raw point and IPOPT's return status to a `SolverResult` in the NLP's own units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.status import SolutionStatus, SolverResult, Termination
from ..transcription.program import Program

Array = NDArray[np.float64]

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


def termination_of(status: str) -> Termination:
    """Translate IPOPT's return status."""
    return _TERMINATIONS.get(status.replace("_", "").lower(), Termination.ERROR)


def result(
    program: Program,
    point: tuple[Array, Array, Array],
    best: Array | None,
    status: str,
    **rest: Any,
) -> SolverResult:
    """Assemble a result from a point (x, lam_g, lam_x) of the *scaled* NLP.

    When the solver stopped early, the best point seen replaces the last one if that is worse.
    """
    x, lam_g, lam_x = (np.asarray(v, dtype=float).ravel() for v in point)
    x, lam_g, lam_x = (
        x * program.column_scale,
        lam_g * program.row_scale,
        lam_x / program.column_scale,
    )
    termination = termination_of(status)
    solved = termination in (Termination.CONVERGED, Termination.ACCEPTABLE)
    if best is not None and not solved:
        x = _better(program, x, best * program.column_scale)
    if not np.isfinite(x).all():
        x = program.start
    objective, violation = program.objective(x), program.largest_violation(x)
    if termination is Termination.CONVERGED:
        worth = SolutionStatus.OPTIMAL
    elif not np.isfinite(objective + violation):
        worth = SolutionStatus.NONE
    else:
        worth = SolutionStatus.FEASIBLE if violation <= FEASIBLE_TO else SolutionStatus.INFEASIBLE
    return SolverResult(
        x=x,
        lam_g=lam_g,
        lam_x=lam_x,
        objective=objective,
        violation=violation,
        termination=termination,
        status=worth,
        message=status,
        **rest,
    )


def _better(program: Program, last: Array, best: Array) -> Array:
    def key(x: Array) -> tuple[bool, float]:
        if not np.isfinite(x).all():
            return (True, np.inf)
        violation = program.largest_violation(x)
        feasible = violation <= FEASIBLE_TO
        value = program.objective(x) if feasible else violation
        return (not feasible, value if np.isfinite(value) else np.inf)

    return best if key(best) < key(last) else last


def history_of(iterations: Mapping[str, Any]) -> dict[str, Array]:
    """Return CasADi's iteration record under our names."""
    names = {
        "objective": "obj",
        "primal": "inf_pr",
        "dual": "inf_du",
        "mu": "mu",
        "step": "alpha_pr",
        "regularisation": "regularization_size",
    }
    return {
        ours: np.asarray(iterations[theirs], dtype=float)
        for ours, theirs in names.items()
        if theirs in iterations
    }
