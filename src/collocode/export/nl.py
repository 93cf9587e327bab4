r"""An NLP as an AMPL ``.nl`` file, through Pyomo's writer.

Beside ``model.nl`` stand ``model.col`` and ``model.row``, one name per line in the order of the file:
``y1[run 3;12.1]`` is state y1 of experiment "run 3" in element 12 at node 1, and
``collocation.y1[run 3;12.2]`` the equation of stage 2.  Order and names depend on the problem only.
Numbers have the digits that identify a double (17 where needed).

What an ``.nl`` file does not carry: the data apart from the equations (they are constants in it),
fixed variables (likewise), and rows without unknowns.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CollocodeWarning, InputError, caller_level
from ..files import replacing
from ..kinds import check_type, kinds_checked
from ..numerics import Array, Index
from ..results.doors import program_of
from ..results.program_solution import ProgramSolution
from ..results.solution import Solution
from ..transcription.program import Program
from .operations import EXP_ONLY, pyomo_environ
from .pyomo_model import PyomoExport, bound_multipliers, to_pyomo
from .sol import read_sol

_UNCERTAIN = 100  # AMPL's solve results: below solved, then perhaps solved, infeasible, unbounded, limits, failures


@dataclass(frozen=True, eq=False)
class NlFile:
    """A written ``.nl`` file and its order.

    Attributes
    ----------
    path : the file; its ``.row`` and ``.col`` lie beside it.
    columns : the NLP's column of every variable in the file.
    rows : the NLP's row of every constraint in the file.
    """

    path: Path
    columns: Index
    rows: Index


def write_nl(
    program: Program | Solution | ProgramSolution,
    path: str | Path,
    values: str | Solution | ProgramSolution = "start",
    multipliers: bool | None = None,
    scaling: bool = False,
    rewrite: Iterable[str] = (),
) -> NlFile:
    """Write an NLP, with its current data, as an ``.nl`` file with ``.row`` and ``.col``.

    Parameters
    ----------
    program : the NLP.
    path : the file; ``.nl`` is appended if it has no such ending.
    values : ``"start"``, or a `Solution` whose point and multipliers the file starts from.
    multipliers : whether to write multipliers (the dual start, and the suffixes ``ipopt_zL_in`` and
        ``ipopt_zU_in``); default: if ``values`` is a Solution.
    scaling : whether to write the scales that our own solvers use as the suffix ``scaling_factor``.
    rewrite : functions to write with exp, e.g. ``("tanh",)`` or `collocode.export.operations.EXP_ONLY`.

    Raises
    ------
    InputError
        An operation that ``.nl`` files lack, named; multipliers without a solution.
    FileError
        The folder cannot be written.
    MissingDependency
        Pyomo is not installed.
    """
    if isinstance(program, Solution | ProgramSolution) and values == "start":
        values = program
    program = program_of("write_nl", program)
    solved = isinstance(values, Solution | ProgramSolution)
    if multipliers and not solved:
        raise InputError("multipliers come from a Solution; give it as values=solution.")
    target = Path(path)
    target = target if target.suffix == ".nl" else target.with_name(target.name + ".nl")
    export = to_pyomo(program, values, multipliers=False, rewrite=rewrite)
    if not scaling:
        export.model.del_component("scaling_factor")
    if isinstance(values, Solution | ProgramSolution) and multipliers is not False:
        add_multipliers(export, values.result.lam_g, values.result.lam_x)
    with replacing(*(target.with_suffix(end) for end in (".nl", ".row", ".col"))) as paths:
        order = _write(export, paths[0])
        columns = _positions(export.variables, order.variables)
        rows = _positions(export.constraints, order.constraints)
        names = program.row_names
        _write_names(paths[1], [*(names[i] for i in rows), "objective"])
        names = program.column_names
        _write_names(paths[2], [names[j] for j in columns])
    return NlFile(target, np.array(columns, dtype=int), np.array(rows, dtype=int))


def load_sol(
    program: Program | Solution | ProgramSolution, file: NlFile, path: str | Path | None = None
) -> tuple[Array, Array, Array]:
    """Read the ``.sol`` file that a solver wrote for ``file``, in the NLP's sign.

    Parameters
    ----------
    path : the ``.sol`` file; default: beside the ``.nl`` file.

    Returns
    -------
    x, lam_g, lam_x : (columns,), (rows,), (columns,); zeros where the solver gave no multipliers.

    Raises
    ------
    FileError
        Missing or corrupt, or of another model.

    Warns
    -----
    CollocodeWarning
        The file says that its point is no solution.
    """
    program = program_of("load_sol", program)
    check_type("load_sol", file, NlFile)
    source = file.path.with_suffix(".sol") if path is None else Path(path)
    sol = read_sol(source, len(file.columns), len(file.rows))
    if sol.code >= _UNCERTAIN:
        warnings.warn(
            f"the point of {source} is not said to be a solution: solve result {sol.code}, "
            f"{sol.message[:200]!r}; ask program.kkt_residual(x, lam_g, lam_x).",
            CollocodeWarning,
            stacklevel=caller_level(),
        )
    x = np.where(program.lower == program.upper, program.lower, program.start)
    lam_g, given = np.zeros(program.rows), None
    x[file.columns] = sol.x
    if len(sol.dual):
        lam_g[file.rows] = -sol.dual
    found = [sol.suffixes[n] for n in ("ipopt_zL_out", "ipopt_zU_out") if n in sol.suffixes]
    if found:
        given = np.zeros(program.columns)
        for entries in found:
            for number, value in entries.items():
                given[file.columns[number]] -= value
    return x, lam_g, bound_multipliers(program, x, lam_g, given)


def add_multipliers(export: PyomoExport, lam_g: Array, lam_x: Array) -> None:
    """Add multipliers of the NLP's sign to a model, as suffixes for a solver to start from."""
    pyo = pyomo_environ()
    suffixes = {
        name: pyo.Suffix(direction=pyo.Suffix.EXPORT, datatype=pyo.Suffix.FLOAT)
        for name in ("dual", "ipopt_zL_in", "ipopt_zU_in")
    }
    for constraint, value in zip(export.constraints, lam_g.tolist(), strict=True):
        # a row of fixed variables alone is not written
        if constraint is not None and not constraint.body.is_fixed():
            suffixes["dual"][constraint] = -value
    lower, upper = np.maximum(0.0, -lam_x), -np.maximum(0.0, lam_x)
    for name, values in (("ipopt_zL_in", lower), ("ipopt_zU_in", upper)):
        for variable, value in zip(export.variables, values.tolist(), strict=True):
            if value and not variable.fixed:
                suffixes[name][variable] = value
    for name, suffix in suffixes.items():
        export.model.add_component(name, suffix)


def _write(export: PyomoExport, path: Path) -> Any:
    from pyomo.repn.plugins.nl_writer import NLWriter

    with path.open("w", newline="") as stream:
        return NLWriter().write(export.model, stream, scale_model=False, linear_presolve=False)


def _positions(ours: list[Any], theirs: list[Any]) -> list[int]:
    """Return the number in ``ours`` of each of ``theirs``."""
    number = {id(component): j for j, component in enumerate(ours) if component is not None}
    return [number[id(component)] for component in theirs]


def _write_names(path: Path, names: list[str]) -> None:
    plain = (" ".join(name.split()) for name in names)  # a name with a line break would be two
    path.write_text("".join(f"{name}\n" for name in plain), encoding="utf-8")


ENDINGS = (".gms", ".bar", ".lp")


@kinds_checked
def write_pyomo(
    program: Program | Solution | ProgramSolution,
    path: str | Path,
    values: str | Solution | ProgramSolution = "start",
    rewrite: Iterable[str] = (),
) -> None:
    """Write an NLP as ``.gms``, ``.bar`` or ``.lp``, by the file's ending.

    BARON has no tanh, so ``.bar`` files are always written with exp.

    Raises
    ------
    InputError
        Another ending, or a model that the language cannot express.
    FileError
        The folder cannot be written.
    MissingDependency
        Pyomo is not installed.
    """
    target = Path(path)
    if target.suffix not in ENDINGS:
        raise InputError(f"{target.name} ends in none of {', '.join(ENDINGS)}.")
    functions = tuple(rewrite) or (EXP_ONLY if target.suffix == ".bar" else ())
    model = to_pyomo(program, values, multipliers=False, rewrite=functions).model
    model.del_component("scaling_factor")
    with replacing(target) as (aside,):
        try:
            model.write(str(aside), io_options={"symbolic_solver_labels": True})
        except (ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"Pyomo cannot write {target.suffix} ({reason}).") from error
