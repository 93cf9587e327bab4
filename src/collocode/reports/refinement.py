"""The report of a mesh refinement."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ..adapt.goals import ObjectiveValue
from ..adapt.refinement import MeshRefinement
from ..results.status import Termination
from .parts import Column, Finding, Heading, Table, Words, figure
from .record import Asked, Report
from .solution import report_solution
from .words import counted


def report_refinement(found: MeshRefinement, asked: Asked) -> Report:
    """Return the report of a refinement, and of the fit on the last mesh."""
    e, fit = found.estimate, report_solution(found.solution, asked)
    runs = [(found, found.rule), *([(found.uniform, "uniform")] if found.uniform else [])]
    whole = pd.concat([run.table().reset_index().assign(rule=name) for run, name in runs])
    body: list[Table | Words | Heading] = []
    for number, (run, name) in enumerate(runs):
        body += _cycles(run, name, "uniform" if number else "refinement")
    body.append(Heading("Fit on the last mesh"))
    return fit.around(
        kind="refinement",
        success=fit.success and found.success,
        interrupted=fit.interrupted
        or any(run.termination is Termination.INTERRUPTED for run, _ in runs),
        status=found.status if fit.success else fit.status,
        body=body,
        findings=_refinement_findings(found, asked),
        details={
            "refinement": {
                "goal": str(found.goal),
                "tol": found.tol,
                "status": found.status,
                "value": e.value,
                "estimate": e.error,
                "magnitude": e.magnitude,
                "stationarity": e.stationarity,
                "seconds": found.seconds,
            }
        },
        figures=(
            figure(
                "refinement",
                "Error of the goal against the number of unknowns",
                "refinement_history",
                found,
            ),
            figure(
                "mesh",
                "Where the elements went: trajectory, lengths of elements, indicators",
                "mesh_density",
                found,
            ),
        ),
        files={
            "refinement.csv": partial(whole.to_csv, index=False),
            "indicators.csv": partial(e.to_frame().to_csv, index=False),
        },
    )


def _cycles(run: MeshRefinement, rule: str, name: str) -> list[Table | Words | Heading]:
    goal = "" if isinstance(run.goal, ObjectiveValue) else str(run.goal)
    rows = run.table().reset_index().to_dict("records")
    columns = [
        Column("elements", "d"),
        Column("unknowns", "d"),
        Column("objective", ".5g"),
        *([Column("goal", ".7g", goal)] if goal else []),
        Column("estimate", ".1e", "estimated error"),
        Column("effectivity", ".2f"),
        Column("iterations", "d", drop=1),
        Column("seconds", ".2f", drop=2),
        Column(
            "solved",
            heading="",
            show=lambda row: "" if row["solved"] else ("not solved", "bad"),
            left=True,
        ),
    ]
    lost = sum(not row["solved"] for row in rows)
    note = f"{run.status}; {counted(len(rows), 'mesh', 'meshes')} in {run.seconds:.2f} s"
    note += f", {lost} not solved" if lost else ""
    return [
        Table(name=name, title=f"Refinement, {rule}", columns=columns, rows=rows),
        Words(((note, "good" if run.success else "bad"),)),
    ]


def _refinement_findings(found: MeshRefinement, asked: Asked) -> list[Finding]:
    """Say what keeps the tolerance from being reached, and what to do."""
    e, ending, findings = found.estimate, found.termination, []
    codes = {
        Termination.SIZE_LIMIT: "element-budget",
        Termination.ITERATION_LIMIT: "cycle-budget",
        Termination.STALLED: "stagnation",
        Termination.ERROR: "last-mesh-not-solved",
    }
    if ending in codes:
        findings.append(asked.finding(codes[ending], error=abs(e.error), magnitude=e.magnitude))
    if not e.stationary and ending is not Termination.ERROR:
        findings.append(asked.finding("not-stationary", residual=e.stationarity))
    if e.unconverged:
        count = counted(e.unconverged, "element")
        findings.append(asked.finding("rough-estimate", elements=count))
    return findings
