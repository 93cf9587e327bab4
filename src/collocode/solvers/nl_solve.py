r"""Solving an ``.nl`` file with our IPOPT, as AMPL's solvers do.

``x``, ``dual`` and the suffixes of the ``.sol`` file follow AMPL: a dual value is the change of the
*file's* objective by a change of the constraint's right-hand side, for minimisation the negative of
our :math:`\lambda`; ``ipopt_zL_out`` and ``ipopt_zU_out`` likewise for the bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import check_path
from ..errors import InputError
from ..export.nl_read import NlModel, read_nl
from ..export.sol import Sol, write_sol
from ..kinds import check_type
from ..results.status import SolverResult, Termination
from .ipopt_casadi import CasadiIpopt
from .options import merge
from .protocol import OnIteration, WarmStart

# AMPL's solve_result_num
_CODES = {
    Termination.CONVERGED: 0,
    Termination.ACCEPTABLE: 100,
    Termination.INFEASIBLE: 200,
    Termination.DIVERGING: 300,
    Termination.UNBOUNDED: 300,
    Termination.ITERATION_LIMIT: 400,
    Termination.TIME_LIMIT: 401,
    Termination.STALLED: 500,
    Termination.EVALUATION_ERROR: 501,
    Termination.INTERRUPTED: 502,
    Termination.ERROR: 503,
}


def solve_nl(
    model: NlModel | str | Path,
    options: Mapping[str, Any] | None = None,
    *,
    deterministic: bool = False,
    on_iteration: OnIteration | None = None,
) -> SolverResult:
    """Solve an ``.nl`` file, or what `read_nl` returned, by the IPOPT of the casadi wheel.

    Parameters
    ----------
    options : IPOPT options.  With ``nlp_scaling_method="user-scaling"`` the suffix
        ``scaling_factor`` is obeyed; with
        ``warm_start_init_point="yes"`` the file's multipliers are.
    deterministic, on_iteration : as for `collocode.solve`.

    Returns
    -------
    The result in the sign of the toolkit (`NlModel.functions` is minimised); ``objective`` is the
    file's own, also where that is maximised.

    Raises
    ------
    FileError
        A file that cannot be read.
    InputError
        An option that IPOPT does not know.
    """
    if not isinstance(model, NlModel):
        check_path("solve_nl", model)
    nlp = model if isinstance(model, NlModel) else read_nl(model)
    foreign = {"mumps_scaling": 77, **(options or {})}  # MUMPS's own: nobody has scaled this file
    chosen = merge(foreign, deterministic)
    if chosen.get("nlp_scaling_method") == "user-scaling":
        chosen["nlp_scaling_method"] = "none"
        objective = nlp.suffixes.get(("scaling_factor", 2), {}).get(0)
        if objective is not None:
            chosen.setdefault("obj_scaling_factor", abs(objective))
        nlp = _scaled(nlp)
    warm = None
    if chosen.get("warm_start_init_point") == "yes":
        warm = _warm(nlp)
    result = CasadiIpopt(nlp, chosen).solve(nlp, warm, on_iteration)
    return replace(result, objective=-result.objective) if nlp.maximise else result


def sol_of(model: NlModel, result: SolverResult) -> Sol:
    """Return what a ``.sol`` file is to say of a result."""
    sign = -1.0 if model.maximise else 1.0
    # the last multipliers belong to the last iterate, which is not always the point
    lam_x = sign * result.lam_x
    lower, upper = np.maximum(0.0, -result.lam_x) * sign, -np.maximum(0.0, result.lam_x) * sign
    suffixes = {}
    if np.isfinite(lam_x).all():
        suffixes = {
            name: {int(j): float(values[j]) for j in np.flatnonzero(values)}
            for name, values in (("ipopt_zL_out", lower), ("ipopt_zU_out", upper))
        }
    message = f"{result.solver or 'IPOPT'} through collocode: {result.termination.value}"
    return Sol(message, _CODES[result.termination], result.x, -sign * result.lam_g, suffixes)


def write_solution(model: NlModel, result: SolverResult, path: str | Path | None = None) -> Path:
    """Write a result as a ``.sol`` file, by default beside the ``.nl`` file; return its path."""
    check_type("write_solution", model, NlModel)
    check_type("write_solution", result, SolverResult)
    target = model.path.with_suffix(".sol") if path is None else Path(path)
    write_sol(target, sol_of(model, result), (model.columns, model.rows), model.options)
    return target


def _scaled(nlp: NlModel) -> NlModel:
    columns, rows = np.ones(nlp.columns), np.ones(nlp.rows)
    for kind, scale in ((0, columns), (1, rows)):
        for number, value in nlp.suffixes.get(("scaling_factor", kind), {}).items():
            if not np.isfinite(value) or value <= 0.0:
                raise InputError(f"{nlp.path}: a scaling_factor is {value:g}, not positive.")
            scale[number] = value
    return replace(nlp, column_scale=1.0 / columns, row_scale=rows)


def _warm(nlp: NlModel) -> WarmStart:
    lam_x = np.zeros(nlp.columns)
    for name in ("ipopt_zL_in", "ipopt_zU_in"):
        for number, value in nlp.suffixes.get((name, 0), {}).items():
            lam_x[number] -= -value if nlp.maximise else value
    lam_g = np.zeros(nlp.rows) if nlp.multipliers is None else nlp.multipliers
    return WarmStart(lam_g, lam_x)
