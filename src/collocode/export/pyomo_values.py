"""Values and multipliers back from a Pyomo model, in the NLP's sign."""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, check_type
from ..results.doors import program_of
from ..results.program_solution import ProgramSolution
from ..results.solution import Solution
from ..transcription.program import Program
from .pyomo_model import PyomoExport

Array = NDArray[np.float64]


def load_from_pyomo(
    program: Program | Solution | ProgramSolution, export: PyomoExport
) -> tuple[Array, Array, Array]:
    """Read point and multipliers of a solved model in the NLP's sign.

    Returns
    -------
    x, lam_g, lam_x : (columns,), (rows,), (columns,).  Where the solver gave no bound multipliers
        they come from stationarity, at the bounds that hold with equality.

    Raises
    ------
    InputError
        A variable without a value, or a model without ``dual`` values.
    """
    program = program_of("load_from_pyomo", program)
    check_type("load_from_pyomo", export, PyomoExport)
    model = export.model
    x = np.array([v.value for v in export.variables], dtype=float)
    if not np.isfinite(x).all():
        culprit = program.column_names[int(np.flatnonzero(~np.isfinite(x))[0])]
        raise InputError(f"the Pyomo model has no value for {culprit}; solve it first.")
    dual = model.component("dual")
    if not dual:
        raise InputError(
            "the Pyomo model has no dual values; export it with multipliers=True and solve it."
        )
    lam_g = np.array([0.0 if c is None else -dual.get(c, 0.0) for c in export.constraints])
    outs = [model.component(f"ipopt_z{side}_out") for side in "LU"]
    given = None
    filled = [s for s in outs if s]
    if filled:
        given = -np.array([sum(s.get(v, 0.0) for s in filled) for v in export.variables])
    return x, lam_g, bound_multipliers(program, x, lam_g, given)


def bound_multipliers(program: Program, x: Array, lam_g: Array, given: Array | None) -> Array:
    """(columns,) the given bound multipliers, and by stationarity those that a solver leaves out.

    Stationarity serves fixed variables always, and active bounds if ``given`` is None.
    """
    gradient = np.asarray(program.functions.gradient(x, program.p)[1], dtype=float).ravel()
    jacobian = program.functions.jacobian(x, program.p)[1]
    stationary = -(gradient + np.asarray(ca.mtimes(jacobian.T, lam_g)).ravel())
    fixed = program.lower == program.upper
    if given is not None:
        return np.where(fixed, stationary, given)
    near = 1e-6 * np.maximum(1.0, np.abs(x))
    at_lower = (x - program.lower <= near) & (stationary < 0.0)
    at_upper = (program.upper - x <= near) & (stationary > 0.0)
    return np.where(fixed | at_lower | at_upper, stationary, 0.0)
