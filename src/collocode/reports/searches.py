"""Reports of what goes round a fit: a setting chosen by validation, several starts, a refined mesh."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from ..adapt.goals import ObjectiveValue
from ..adapt.refinement import MeshRefinement
from ..checks import counted
from ..identify.multistart import Multistart
from ..identify.sweep import Sweep
from ..results.status import Termination
from .parts import Column, Finding, Heading, Row, Span, Table, Words, figure
from .record import Asked, Report
from .solution import report_solution


def report_sweep(found: Sweep, asked: Asked) -> Report:
    """Return the report of a sweep, and of the fit with the best value."""
    values, best = list(found.table.index), found.best
    findings = []
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if numeric and best in (min(values), max(values)):
        which = "least" if best == min(values) else "largest"
        findings.append(
            asked.finding("at-the-end-of-the-range", name=found.name, best=best, which=which)
        )
    held = asked.more.get("holdout")
    caption = f"Training and held-out error over {found.name}; ringed: the choice"
    data = (
        "all data but the test experiments"
        if found.refitted and found.solution.test
        else "all data"
    )
    whose = f"Fit to {data}" if found.refitted else f"Validated fit, which none to {data} equals,"
    return report_solution(found.solution, asked).around(
        kind="sweep",
        body=(
            sweep_table(found.name, found.table, best, held),
            Heading(f"{whose} with {found.name} = {best}"),
        ),
        findings=findings,
        details={
            "sweep": {"over": found.name, "holdout": held, "best": best, "refitted": found.refitted}
        },
        figures=(figure("sweep", caption, "sweep_curve", found),),
        files={"sweep.csv": found.table.to_csv},
    )


def sweep_table(name: str, table: pd.DataFrame, best: Any, held: Any = None) -> Table:
    """Return a sweep by value; ``held`` says what was held out."""
    rows = [{"value": value, **row} for value, row in _rows(table)]
    chosen = [n for n, row in enumerate(rows) if best is not None and row["value"] == best]
    note = "Errors are mean squares of simulated residuals, in units of spread²."
    return Table(
        name="sweep",
        title=f"Sweep over {name}",
        columns=[
            Column("value", heading=name, show=lambda row: _value(row["value"])),
            Column("validation", ".2e", "held-out error"),
            Column("training", ".2e", "training error"),
            *_end_columns("value", best, "chosen"),
        ],
        rows=rows,
        note=note if held is None else f"Held out: {held_text(held)}. {note}",
        strong=chosen[0] if chosen else None,
    )


def held_text(held: float | Sequence[str]) -> str:
    """Return in words what is held out.

    Examples
    --------
    >>> held_text(0.25), held_text(["pulled"])
    ('the last 25 % of every experiment', 'pulled')
    """
    if isinstance(held, float):
        return f"the last {100.0 * held:g} % of every experiment"
    return ", ".join(held)


def _rows(table: pd.DataFrame) -> list[tuple[Any, dict[str, Any]]]:
    return list(zip(table.index, table.to_dict("records"), strict=True))


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _end_columns(key: str, best: Any, word: str) -> list[Column]:
    """How the fit of a row ended, and a word where it is the best."""
    return [
        Column("iterations", "d"),
        Column("seconds", ".2f", drop=1),
        Column("status", show=_status, left=True),
        Column(word, heading="", show=lambda row: word if row[key] == best else "", left=True),
    ]


def _status(row: Row) -> Span:
    """Return a status in a word or two; what converged in any way is not red."""
    reason = row["status"].split(" (", 1)[0]
    if reason.startswith("converged"):
        return ("acceptable only" if reason != "converged" else reason), ""
    return reason, "bad"


def report_multistart(found: Multistart, asked: Asked) -> Report:
    """Return the report of several starts, and of the best fit."""
    best = found.best_seed
    again = f"solve --seed {best}" if asked.shell else f"fit(..., seed={best})"
    scattered = found.best.result.interface == "scoring"  # whose starts are parameters
    random = scattered or len(found.best.model.theta) > 0
    findings = [] if random else [asked.finding("nothing-random")]
    chosen = asked.more.get("asked", found.seeds)
    stopped = found.termination in (Termination.INTERRUPTED, Termination.TIME_LIMIT)
    if stopped and (left := chosen[len(found.seeds) :]):
        others = ",".join(map(str, left))
        findings.append(
            asked.finding("seeds-left", done=counted(len(found.seeds), "seed"), others=others)
        )
    rows = [{"seed": seed, **row} for seed, row in _rows(found.table)]
    table = Table(
        name="multistart",
        title=f"Multistart from {counted(len(rows), 'seed')}",
        columns=[
            Column("seed"),
            Column("objective", ".4e"),
            Column("simulated", ".2e", "simulated vs data"),
            *_end_columns("seed", best, "best"),
        ],
        rows=rows,
        strong=list(found.table.index).index(best),
    )
    return report_solution(found.best, asked).around(
        kind="multistart",
        interrupted=stopped,
        body=(
            table,
            Heading(f"The best, seed {best}" + ("" if scattered else f" ({again} gives it again)")),
        ),
        findings=findings,
        details={"multistart": {"best": best, "asked": chosen}},
        figures=(figure("waterfall", "What the starts came to, sorted", "waterfall", found),),
        files={"multistart.csv": found.table.to_csv},
    )


def report_refinement(found: MeshRefinement, asked: Asked) -> Report:
    """Return the report of a refinement, and of the fit on the last mesh."""
    e, fit = found.estimate, report_solution(found.solution, asked)
    runs = [(found, found.rule), *([(found.uniform, "uniform")] if found.uniform else [])]
    whole = pd.concat([run.table().reset_index().assign(rule=name) for run, name in runs])
    body: list[Table | Words | Heading] = []
    for number, (run, name) in enumerate(runs):
        body += _cycles(run, name, "uniform" if number else "refinement")
    body.append(Heading("Fit on the last mesh"))
    error = "Error of the goal against the number of unknowns"
    mesh = "Where the elements went: trajectory, lengths of elements, indicators"
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
            figure("refinement", error, "refinement_history", found),
            figure("mesh", mesh, "mesh_density", found),
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
