r"""Through a Pyomo model, an ``.nl`` file and any solver that reads one: an independent check.

The model is exported in the user's units (`collocode.export.pyomo_model`) and written in the scales
that the other interfaces use, so an IPOPT-like solver sees the same numbers as they do.
The data are constants of an ``.nl`` file: every solve exports anew.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import FileError, InputError
from ..export.operations import pyomo_environ
from ..export.pyomo_model import PyomoExport, bound_multipliers, to_pyomo
from ..export.sol import Sol, read_sol
from ..numerics import Array
from ..results.status import SolverResult
from ..transcription.program import Program
from . import nl_file
from .attempts import Ipopt
from .interrupt import Interrupt
from .options import DEFAULTS, DETERMINISTIC, beginning, refused_option, unknown_option
from .outcome import largest, result
from .protocol import BestIterate, OnIteration, Progress, WarmStart

# a second attempt after an iteration limit would double the limit
_POUNCE: dict[str, Any] = {"mu_strategy_fallback": "no"}
_STATUS_BY_CODE = (  # AMPL's solve_result_num, by hundreds
    "Solve_Succeeded", "Solved_To_Acceptable_Level", "Infeasible_Problem_Detected",
    "Diverging_Iterates", "Maximum_Iterations_Exceeded", "Internal_Error",
)  # fmt: skip
_STATUS_BY_WORDS = {  # of messages without blanks, in lower case
    "iterations": "Maximum_Iterations_Exceeded",
    "cputime": "Maximum_CpuTime_Exceeded",
    "wallclock": "Maximum_WallTime_Exceeded",
    "walltime": "Maximum_WallTime_Exceeded",
    "restoration": "Restoration_Failed",
    "searchdirection": "Search_Direction_Becomes_Too_Small",
    "errorinstep": "Error_In_Step_Computation",
    "invalidnumber": "Invalid_Number_Detected",
}


class PyomoNl(Ipopt):
    """An ``.nl`` solver behind a Pyomo model.

    Parameters
    ----------
    program : any NLP of the structure to be solved.
    options : the solver's options, and ``pyomo.solver``: its name or path, ``pounce`` by default.
        Defaults that speak to MUMPS are not passed on.

    Raises
    ------
    MissingDependency
        Pyomo or the solver is not installed.
    InputError
        By `solve`: an option that the solver refuses, an operation that Pyomo lacks.
    """

    name = "pyomo"

    def __init__(self, program: Program, options: Mapping[str, Any]) -> None:
        super().__init__(program, options)
        pyomo_environ()
        given = dict(options)
        chosen = [given.pop(key) for key in ("solver", "pyomo.solver") if key in given]
        self._solver = str(chosen[-1]) if chosen else "pounce"
        self._executable = nl_file.find_solver(self._solver)
        ours = [*DEFAULTS.items(), *DETERMINISTIC.items()]
        self._options = {
            k: v for k, v in given.items() if not (k.startswith("mumps_") and (k, v) in ours)
        }
        self._is_pounce = Path(self._executable).stem == "pounce"

    def _attempt(
        self, program: Program, warm: WarmStart | None, on_iteration: OnIteration | None
    ) -> SolverResult:
        began = time.perf_counter()
        export = to_pyomo(program)
        if warm is not None:
            _warm_suffixes(program, export, warm)
        options = {
            "print_level": 5,
            **(_POUNCE if self._is_pounce else {}),
            **beginning(program, None if warm is None else warm.mu),
            **self._options,
        }
        history: list[dict[str, float]] = []
        c = program.objective_scale

        def on_line(line: str) -> None:
            row = nl_file.iteration(line)
            if row is None:
                return
            if row["iteration"] == 0.0:  # a second attempt
                history.clear()
            history.append(row)
            if on_iteration is not None:
                progress = (row["objective"] / c, row["primal"], row["dual"])
                on_iteration(Progress(int(row["iteration"]), *progress))

        with TemporaryDirectory(prefix="collocode-") as name, Interrupt() as interrupt:
            folder = Path(name)
            order = _write(export, folder / "model.nl")
            written = time.perf_counter()
            if not order.variables:
                return self._nothing_to_solve(program)
            command = [self._executable, "model.nl", "-AMPL", *nl_file.arguments(options)]
            if self._is_pounce:  # the only way to see iterates of a solve that is interrupted
                command += ["--dump", "iterates:full", "--dump-dir", "dump"]
            output, stopped = nl_file.run(command, folder, on_line, lambda: interrupt.requested)
            solved = time.perf_counter()
            if stopped:
                zeros = np.zeros(program.rows), np.zeros(program.columns)
                point, status = (
                    (program.start / program.column_scale, *zeros),
                    "User_Requested_Stop",
                )
            else:
                point, status = self._answer(program, export, order, folder, output, options)
            success = status in _STATUS_BY_CODE[:2]
            columns = _positions(export.variables, order.variables)
            best = None if success else self._best(program, folder, columns)
        linear_solver = re.search(r"running with linear solver (\w+)", output)
        keys = ("objective", "primal", "dual", "mu", "step", "regularisation")
        record = {k: np.array([row[k] for row in history]) for k in keys}
        return result(
            program,
            point,
            best,
            status,
            history={**record, "objective": record["objective"] / c},
            timings={"export": written - began, "solve": solved - written},
            interface=self.name,
            solver=self._solver,
            linear_solver=linear_solver.group(1).lower() if linear_solver else "",
            options=self._options,
        )

    def _nothing_to_solve(self, program: Program) -> SolverResult:
        """Answer for a program in which no variable matters: its start."""
        x = np.clip(program.start, program.lower, program.upper) / program.column_scale
        point = x, np.zeros(program.rows), np.zeros(program.columns)
        named: dict[str, Any] = {"interface": self.name, "solver": self._solver}
        return result(program, point, None, "Solve_Succeeded", self._options, **named)

    def _answer(
        self,
        program: Program,
        export: PyomoExport,
        order: Any,
        folder: Path,
        output: str,
        options: Mapping[str, Any],
    ) -> tuple[tuple[Array, Array, Array], str]:
        """Read the ``.sol`` file; return the scaled point (x, lam_g, lam_x) and the status."""
        path = folder / "model.sol"
        if not path.is_file():
            raise _refusal(output, options, self._solver)
        try:
            sol = read_sol(path)
        except FileError as error:
            raise _refusal(output, options, self._solver) from error
        columns = _positions(export.variables, order.variables)
        rows = _positions(export.constraints, order.constraints)
        x = (
            np.where(program.lower == program.upper, program.lower, program.start)
            / program.column_scale
        )
        lam_g, c = np.zeros(program.rows), program.objective_scale
        if len(sol.x):
            x[columns] = sol.x
        if len(sol.dual):
            lam_g[rows] = -sol.dual
        found = [sol.suffixes[n] for n in ("ipopt_zL_out", "ipopt_zU_out") if n in sol.suffixes]
        given = np.zeros(program.columns) if found else None
        for entries in found:
            assert given is not None
            for number, value in entries.items():
                given[columns[number]] -= value / program.column_scale[columns[number]] / c
        point = x * program.column_scale
        lam_x = bound_multipliers(program, point, lam_g * program.row_scale / c, given)
        return (x, lam_g, c * lam_x * program.column_scale), _status(sol)

    def _best(self, program: Program, folder: Path, columns: list[int]) -> Array | None:
        """Return the best of the iterates that pounce wrote down, scaled."""
        path, best = folder / "dump" / "iterates.jsonl", BestIterate()
        x = (
            np.where(program.lower == program.upper, program.lower, program.start)
            / program.column_scale
        )
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                x[columns] = json.loads(line)["x"]
            except (ValueError, KeyError):  # the line that was being written, or another format
                continue
            point = x * program.column_scale
            best.offer(x, program.objective(point), largest(program, point))
        return best.x


def _write(export: PyomoExport, path: Path) -> Any:
    """Write the scaled ``.nl`` file; return Pyomo's record of the order in it."""
    from pyomo.repn.plugins.nl_writer import NLWriter

    with path.open("w", newline="") as stream:
        return NLWriter().write(export.model, stream, scale_model=True, linear_presolve=False)


def _positions(ours: list[Any], theirs: list[Any]) -> list[int]:
    """Return the number in ``ours`` of each of ``theirs``."""
    number = {id(component): j for j, component in enumerate(ours) if component is not None}
    return [number[id(component)] for component in theirs]


def _warm_suffixes(program: Program, export: PyomoExport, warm: WarmStart) -> None:
    """Add multipliers to start from; Pyomo's writer scales ``dual`` only."""
    pyo = pyomo_environ()
    model = export.model
    model.dual.direction = pyo.Suffix.IMPORT_EXPORT
    for constraint, value in zip(export.constraints, warm.lam_g.tolist(), strict=True):
        if constraint is not None:
            model.dual[constraint] = -value
    scaled = warm.scaled(program)[1]
    for name, values in (("L", np.maximum(0.0, -scaled)), ("U", -np.maximum(0.0, scaled))):
        suffix = pyo.Suffix(direction=pyo.Suffix.EXPORT, datatype=pyo.Suffix.FLOAT)
        for variable, value in zip(export.variables, values.tolist(), strict=True):
            if value and not variable.fixed:
                suffix[variable] = value
        model.add_component(f"ipopt_z{name}_in", suffix)


def _status(sol: Sol) -> str:
    """Return IPOPT's name of how a ``.sol`` file says the solve ended."""
    if 0 <= sol.code < 200:
        return _STATUS_BY_CODE[sol.code // 100]
    message = "".join(sol.message.lower().split())
    for words, status in _STATUS_BY_WORDS.items():
        if words in message:
            return status
    return _STATUS_BY_CODE[min(sol.code // 100, 5)] if sol.code >= 0 else "Internal_Error"


def _refusal(output: str, options: Mapping[str, Any], solver: str) -> Exception:
    """Return the error for a solver that gave no answer."""
    said = [line.strip() for line in output.splitlines() if line.strip()]
    complaints = " ".join(line for line in said if "ption" in line or "=" in line)
    for name, value in options.items():
        if re.search(rf"\b{re.escape(name)}\b", complaints):
            if re.search(r"not a valid option|[Uu]nknown", complaints):
                return unknown_option(name, solver)
            return refused_option(name, value, solver)
    last = said[-1] if said else "nothing"
    return InputError(f"{solver} gave no solution and said: {last[:300]}")
