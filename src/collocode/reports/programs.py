"""Reports of a program's solution, of an ``.nl`` file's, and of a fit that was simulated."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..checks import counted
from ..results.doubts import unsolved_text
from ..results.integrate import Simulation
from ..results.program_solution import ProgramSolution
from ..results.status import SolverResult, Termination
from .parts import Column, Facts, Finding, Lever, Table, Words, figure, headline
from .record import Asked, Report
from .words import size_text

SHOWN_ROWS = 6
ACTIVE = 1e-6  # multiplier of a bound that holds


def report_program(result: SolverResult, asked: Asked) -> Report:
    """Return the report of a solver's result; ``asked.problem`` is the program, such as an `NlModel`."""
    model, status = asked.problem, result.ending
    name = "nonlinear program" if model is None else model.name
    facts = {} if model is None else {"program": size_text(model)}
    facts["solver"] = ", linear solver ".join(p for p in (result.solver, result.linear_solver) if p)
    facts["objective"] = f"{result.objective:.10g}, violation {result.violation:.1e}"
    body: list[Any] = [
        headline(name, status, result.success, f" after {counted(result.iterations, 'iteration')}"),
        Facts({label: text for label, text in facts.items() if text}),
    ]
    if model is not None and not result.success:
        body += _violated(model, result)
    sizes = {} if model is None else {"variables": model.columns, "constraints": model.rows}
    return asked.report(
        "",
        kind="program",
        title=name,
        success=result.success,
        status=status,
        interrupted=result.termination is Termination.INTERRUPTED,
        body=tuple(body),
        findings=() if result.success else (not_solved(result, _remedy(result), asked),),
        result=numbers(result),
        details={
            "solver": solver(result),
            "seconds": result.timings,
            **({"nlp": sizes} if sizes else {}),
        },
    )


def report_program_solution(solution: ProgramSolution, asked: Asked) -> Report:
    """Return the report of a `ProgramSolution`: the solver's words, then all blocks by name."""
    program, result = solution.program, replace(solution.result, objective=solution.objective)
    told = report_program(result, replace(asked, problem=program))
    blocks = [
        {
            "name": block.name,
            "entries": int(block.numbers.size),
            "smallest": float(result.x[block.numbers].min(initial=np.inf)),
            "largest": float(result.x[block.numbers].max(initial=-np.inf)),
            "at bounds": int((np.abs(result.lam_x[block.numbers]) > ACTIVE).sum()),
        }
        for block in program.column_blocks
    ]
    violation = program.violation(result.x)
    rows = [
        {
            "name": block.name,
            "rows": int(block.numbers.size),
            "violation": float(violation[block.numbers].max(initial=0.0)),
            "multiplier": float(np.abs(result.lam_g[block.numbers]).max(initial=0.0)),
        }
        for block in program.row_blocks
    ]
    name = Column("name", heading="", left=True)
    ranges = (Column("smallest", ".5g"), Column("largest", ".5g"))
    tables = [
        Table(
            name="variables",
            title="Variables",
            columns=[name, Column("entries"), *ranges, Column("at bounds")],
            rows=blocks,
        )
    ]
    if rows:
        columns = [name, Column("rows"), Column("violation", ".1e"), Column("multiplier", ".3g")]
        tables.append(Table(name="constraints", title="Constraints", columns=columns, rows=rows))
    return replace(
        told,
        body=(*told.body, *tables),
        files={"variables.csv": partial(solution.to_frame().to_csv, index=False)},
    )


def not_solved(
    result: SolverResult, remedy: str, asked: Asked, lever: Lever = Lever.SOLVER
) -> Finding:
    """Return the finding of a result that is no solution."""
    return asked.finding("not-solved", lever, text=unsolved_text(result), remedy=remedy)


def numbers(result: SolverResult) -> dict[str, Any]:
    """Return what a report says of a solver's result."""
    names = ("termination", "message", "iterations", "objective", "violation")
    return {"point": result.status, **{name: getattr(result, name) for name in names}}


def solver(result: SolverResult) -> dict[str, Any]:
    """Return what a report says of what ran."""
    names = ("interface", "linear_solver", "kernels", "options")
    return {"name": result.solver, **{name: getattr(result, name) for name in names}}


def _remedy(result: SolverResult) -> str:
    remedies = {
        Termination.ITERATION_LIMIT: f"raise it by <options.max_iter={max(2000, 4 * result.iterations)}>",
        Termination.TIME_LIMIT: "give it more time by <options.max_wall_time>",
        Termination.ACCEPTABLE: "loosen it by <options.tol=1e-6> if that is enough",
    }
    return remedies.get(result.termination, "try another starting point")


def _violated(model: Any, result: SolverResult) -> list[Table]:
    size = np.asarray(model.violation(result.x))
    worst = [int(k) for k in np.argsort(-size)[:SHOWN_ROWS] if size[k] > 0.0]
    rows = [{"equation": model.row_names[k], "residual": float(size[k])} for k in worst]
    columns = [
        Column("equation", heading="constraint", left=True),
        Column("residual", ".1e", "violation"),
    ]
    title = "Largest violations"
    return [Table(name="violated", title=title, columns=columns, rows=rows)] if rows else []


def report_simulation(run: Simulation, asked: Asked) -> Report:
    """Return the report of a simulation; ``asked.problem`` is the solution that was simulated.

    ``asked.more`` has the ``frame`` with all columns, and the ``experiment`` it was simulated as.
    """
    import pandas as pd

    solution, frame = asked.problem, asked.more.get("frame")
    if frame is None or not len(frame):
        names = [f"x{i}" for i in range(run.states.shape[1])]
        names = list(solution.model.states) if solution is not None else names
        frame = pd.DataFrame({"time": run.times, **dict(zip(names, run.states.T, strict=True))})
    title = "Simulation" if solution is None else solution.name
    name, t = asked.more.get("experiment", ""), run.times
    text = f"  simulated{f' as {name!r}' if name else ''} at {counted(len(t), 'time')}, t = {t[0]:g} … {t[-1]:g}"
    rows = [
        {
            "name": str(column),
            "first": float(frame[column].iloc[0]),
            "last": float(frame[column].iloc[-1]),
            "smallest": float(frame[column].min()),
            "largest": float(frame[column].max()),
        }
        for column in frame.columns[1:]
    ]
    keys = ("first", "last", "smallest", "largest")
    columns = [
        Column("name", heading="", left=True),
        *(Column(key, ".4e") for key in keys),
    ]
    findings = []
    if not run.complete:
        findings.append(asked.finding("broke-down", message=run.message.rstrip(".")))
    figures = []
    if solution is not None:
        figures.append(figure("simulation", "Simulated trajectory", "simulation", solution, run))
    return asked.report(
        "",
        kind="simulation",
        title=title,
        success=run.complete,
        status="complete" if run.complete else "broke down",
        body=(
            Words(((title, "strong"), (text, ""))),
            Table(name="simulation", columns=columns, rows=rows),
        ),
        findings=tuple(findings),
        result={"message": run.message, "first": float(t[0]), "last": float(t[-1])},
        details={"experiment": name},
        figures=tuple(figures),
        files={"simulation.csv": partial(frame.to_csv, index=False)},
    )
