"""Reports of an ``.nl`` file's solution, and of a fit that was simulated."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..results.simulate import Simulation
from ..results.status import SolverResult, Termination
from .parts import Asked, Column, Facts, Figure, Finding, Severity, Table, Words, drawn
from .record import Report
from .words import counted

SHOWN_ROWS = 6


def report_program(result: SolverResult, asked: Asked) -> Report:
    """Return the report of a solver's result; ``asked.problem`` is the program, such as an `NlModel`."""
    model, status = asked.problem, f"{result.termination.value} ({result.status.value})"
    name = str(getattr(getattr(model, "path", None), "stem", "")) or "nonlinear program"
    facts = (
        {} if model is None else {"program": f"{model.columns} variables, {model.rows} constraints"}
    )
    facts["solver"] = ", linear solver ".join(p for p in (result.solver, result.linear_solver) if p)
    facts["objective"] = f"{result.objective:.10g}, violation {result.violation:.1e}"
    body: list[Any] = [
        Words(
            (
                (name, "strong"),
                ("  ", ""),
                (status, "good" if result.success else "bad"),
                (f" after {counted(result.iterations, 'iteration')}", ""),
            )
        ),
        Facts({label: text for label, text in facts.items() if text}),
    ]
    if model is not None and not result.success:
        body += _violated(model, result)
    return Report(
        kind="program",
        title=name,
        success=result.success,
        status=status,
        interrupted=result.termination is Termination.INTERRUPTED,
        body=tuple(body),
        findings=() if result.success else (_not_solved(result, asked),),
        result={
            "termination": result.termination,
            "point": result.status,
            "message": result.message,
            "iterations": result.iterations,
            "objective": result.objective,
            "violation": result.violation,
        },
        details={
            "solver": {
                "interface": result.interface,
                "name": result.solver,
                "linear_solver": result.linear_solver,
                "options": result.options,
            },
            "seconds": result.timings,
            **(
                {}
                if model is None
                else {"nlp": {"variables": model.columns, "constraints": model.rows}}
            ),
        },
        model=asked.model,
        command=asked.command,
    )


def _not_solved(result: SolverResult, asked: Asked) -> Finding:
    text = (
        f"not solved: {result.termination.value}, the point is {result.status.value} (largest "
        f"violation {result.violation:.1e}; {result.message})"
    )
    remedies = {
        Termination.ITERATION_LIMIT: f"raise it by <options.max_iter={max(2000, 4 * result.iterations)}>",
        Termination.TIME_LIMIT: "give it more time by <options.max_wall_time>",
        Termination.ACCEPTABLE: "loosen it by <options.tol=1e-6> if that is enough",
    }
    remedy = remedies.get(result.termination, "try another starting point")
    return asked.finding("not-solved", text, remedy, Severity.ERROR)


def _violated(model: Any, result: SolverResult) -> list[Table]:
    size = np.asarray(model.violation(result.x))
    worst = [int(k) for k in np.argsort(-size)[:SHOWN_ROWS] if size[k] > 0.0]
    rows = [{"equation": model.row_names[k], "residual": float(size[k])} for k in worst]
    columns = [
        Column(key="equation", heading="constraint", left=True),
        Column(key="residual", heading="violation", form=".1e"),
    ]
    title = "Largest violations"
    return [Table(name="violated", title=title, columns=columns, rows=rows)] if rows else []


def report_simulation(run: Simulation, asked: Asked) -> Report:
    """Return the report of a simulation; ``asked.problem`` is the solution that was simulated.

    ``asked.more`` has the ``frame`` with all columns, and the ``experiment`` it was simulated as.
    """
    solution, frame = asked.problem, asked.more.get("frame", pd.DataFrame())
    if not len(frame):
        names = [f"x{i}" for i in range(run.states.shape[1])]
        names = list(solution.model.states) if solution is not None else names
        frame = pd.DataFrame({"time": run.times, **dict(zip(names, run.states.T, strict=True))})
    title = "Simulation" if solution is None else solution.name
    name, t = asked.more.get("experiment", ""), run.times
    text = (
        f"  simulated{f' as {name!r}' if name else ''} at {len(t)} times, t = {t[0]:g} … {t[-1]:g}"
    )
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
    numbers = ("first", "last", "smallest", "largest")
    columns = [
        Column(key="name", left=True),
        *(Column(key=key, heading=key, form=".4e") for key in numbers),
    ]
    findings = []
    if not run.complete:
        remedy = "shorten <times|until> or train the model on more of that region"
        findings.append(asked.finding("broke-down", run.message.rstrip("."), remedy))
    figures = []
    if solution is not None:
        draw = drawn("simulation", solution, run)
        figures.append(Figure(name="simulation.png", caption="Simulated trajectory", draw=draw))
    return Report(
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
        model=asked.model,
        command=asked.command,
    )
