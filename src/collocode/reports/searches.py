"""Reports of what fits many times: sweeps, multistarts, refinements, consensus ADMM."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..adapt.goals import ObjectiveValue
from ..adapt.refinement import MeshRefinement
from ..coordination.admm import ADMMResult
from ..identify.multistart import Multistart
from ..identify.sweep import Sweep
from ..results.status import Termination
from .parts import Asked, Column, Figure, Finding, Heading, Row, Severity, Span, Table, Words, drawn
from .record import Report
from .solution import report_solution
from .words import counted

GAP = 0.25  # between simulated and collocated objective, that is worth a warning
HISTORY = "history.csv"


def report_sweep(found: Sweep, asked: Asked) -> Report:
    """Return the report of a sweep, and of the fit with the best value."""
    values, best = list(found.table.index), found.best
    findings = []
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if numeric and best in (min(values), max(values)):
        text = (
            f"{found.name} = {best:g} is the {'least' if best == min(values) else 'largest'} of the "
            "values"
        )
        remedy = "widen <values|over> to see whether the best one lies beyond"
        findings.append(asked.finding("at-the-end-of-the-range", text, remedy))
    held = asked.more.get("holdout")
    return report_solution(found.solution, asked).around(
        kind="sweep",
        body=(
            sweep_table(found.name, found.table, best, held),
            Heading(f"Fit to all data with {found.name} = {best}"),
        ),
        findings=findings,
        details={"sweep": {"over": found.name, "holdout": held, "best": best}},
        figures=(
            Figure(
                name="sweep.png",
                caption=f"Training and held-out error over {found.name}; ringed: the choice",
                draw=drawn("sweep_curve", found),
            ),
        ),
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
            Column(key="value", heading=name, show=lambda row: _value(row["value"])),
            Column(key="validation", heading="held-out error", form=".2e"),
            Column(key="training", heading="training error", form=".2e"),
            Column(key="iterations", heading="iterations", form="d"),
            Column(key="seconds", heading="seconds", form=".2f", drop=1),
            Column(key="status", heading="status", show=_status, left=True),
            Column(
                key="chosen", show=lambda row: "chosen" if row["value"] == best else "", left=True
            ),
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
    findings = []
    if not len(found.best.model.theta):
        text = "the model has no network, so every seed gives the same start"
        findings.append(asked.finding("nothing-random", text, "a single fit does the same"))
    rows = [{"seed": seed, **row} for seed, row in _rows(found.table)]
    table = Table(
        name="multistart",
        title=f"Multistart from {counted(len(rows), 'seed')}",
        columns=[
            Column(key="seed", heading="seed"),
            Column(key="objective", heading="objective", form=".4e"),
            Column(key="simulated", heading="simulated vs data", form=".2e"),
            Column(key="iterations", heading="iterations", form="d"),
            Column(key="seconds", heading="seconds", form=".2f", drop=1),
            Column(key="status", heading="status", show=_status, left=True),
            Column(key="best", show=lambda row: "best" if row["seed"] == best else "", left=True),
        ],
        rows=rows,
        strong=list(found.table.index).index(best),
    )
    return report_solution(found.best, asked).around(
        kind="multistart",
        body=(table, Heading(f"The best, seed {best} ({again} gives it again)")),
        findings=findings,
        details={"multistart": {"best": best, "asked": asked.more.get("asked", found.seeds)}},
        files={"multistart.csv": found.table.to_csv},
    )


# ---- refinement ----------------------------------------------------------------------------------


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
        interrupted=fit.interrupted or found.termination is Termination.INTERRUPTED,
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
            Figure(
                name="refinement.png",
                caption="Error of the goal against the number of unknowns",
                draw=drawn("refinement_history", found),
            ),
            Figure(
                name="mesh.png",
                caption="Where the elements went: trajectory, lengths of elements, indicators",
                draw=drawn("mesh_density", found),
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
        Column(key="elements", heading="elements", form="d"),
        Column(key="unknowns", heading="unknowns", form="d"),
        Column(key="objective", heading="objective", form=".5g"),
        *([Column(key="goal", heading=goal, form=".7g")] if goal else []),
        Column(key="estimate", heading="estimated error", form=".1e"),
        Column(key="effectivity", heading="effectivity", form=".2f"),
        Column(key="iterations", heading="iterations", form="d", drop=1),
        Column(key="seconds", heading="seconds", form=".2f", drop=2),
        Column(
            key="solved", show=lambda row: "" if row["solved"] else ("not solved", "bad"), left=True
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
    if ending is Termination.SIZE_LIMIT:
        text = f"the budget of elements is used up at an estimated error of {abs(e.error):.1e}"
        remedy = "raise <max_elements>, <degree> or <tol>"
        findings.append(asked.finding("element-budget", text, remedy))
    elif ending is Termination.ITERATION_LIMIT:
        text = f"the budget of meshes is used up at an estimated error of {abs(e.error):.1e}"
        findings.append(asked.finding("cycle-budget", text, "raise <max_cycles> or <theta>"))
    elif ending is Termination.STALLED:
        text = f"finer meshes do not reduce the error below {e.magnitude:.1e}"
        remedy = (
            "rounding and the solver's tolerance allow no more (<options.tol=1e-10>), or the first "
            "mesh is too coarse"
        )
        findings.append(asked.finding("stagnation", text, remedy))
    elif ending is Termination.ERROR:
        text = "the last mesh was not solved, so its estimate is none"
        findings.append(asked.finding("last-mesh-not-solved", text, severity=Severity.ERROR))
    if not e.stationary and ending is not Termination.ERROR:
        text = (
            f"the last point is not stationary (residual {e.stationarity:.1e}); its estimate holds as "
            "far as it is near a solution"
        )
        findings.append(asked.finding("not-stationary", text))
    if e.unconverged:
        text = (
            f"{counted(e.unconverged, 'element')} of the last mesh could not be solved again from the "
            "left end; the estimate is rough there"
        )
        findings.append(asked.finding("rough-estimate", text))
    return findings


# ---- consensus ADMM ------------------------------------------------------------------------------


def report_admm(found: ADMMResult, asked: Asked) -> Report:
    """Return the report of a consensus iteration, and of the fit to its consensus."""
    fit, rows = (
        report_solution(found.solution, asked),
        found.history.reset_index().to_dict("records"),
    )
    agreed = found.termination is Termination.CONVERGED or found.success
    what = "Polished: everything fitted" if found.polished else "States fitted to the consensus"
    body: list[Table | Words | Heading] = [admm_table(rows, "Consensus ADMM")] if rows else []
    body += [
        Words(((_course(found), "good" if found.termination is Termination.CONVERGED else "bad"),)),
        Heading(f"{what}, all data at once"),
    ]
    details = {
        "iterations": len(rows),
        "success": agreed,
        "status": found.termination,
        "message": found.message,
        "mse": found.mse,
    }
    for name in ("batches", "executor", "workers", "seconds", "kept_best", "polished", "warnings"):
        details[name] = getattr(found, name)
    figure = Figure(
        name="admm.png",
        caption="Residuals with their limits, objectives, simulated error and penalty by iteration",
        draw=drawn("admm_history", found),
    )
    return fit.around(
        kind="admm",
        success=fit.success and agreed,
        interrupted=fit.interrupted or found.termination is Termination.INTERRUPTED,
        status=found.termination.value if fit.success else fit.status,
        body=body,
        findings=_admm_findings(found, asked),
        details={"admm": {**details, "consensus": found.consensus}},
        figures=(figure,) if rows else (),
        files={HISTORY: found.history.to_csv},
    )


def _course(found: ADMMResult) -> str:
    where = f"{found.executor} of {found.workers} workers" if found.workers > 1 else found.executor
    count = counted(len(found.batches), "batch", "batches")
    text = (
        f"{found.termination.value}: {counted(len(found.history), 'iteration')}, {count}, {where}"
    )
    if len(found.history):
        text += f", scaled primal residual {found.history['scaled'].iloc[-1]:.1e}"
    return f"{text}, {found.seconds:.2f} s"


def admm_table(rows: Sequence[Row], title: str = "", most: int = 12) -> Table:
    """Return iterations as a table; a residual within its limit is green."""

    def residual(name: str) -> Column:
        def show(row: Row) -> Span:
            return f"{row[name]:.1e}", "good" if row[name] <= row[f"{name}_limit"] else ""

        return Column(key=name, heading=f"{name} residual", show=show)

    def limit(name: str) -> Column:
        return Column(key=name, heading="limit", show=lambda row: (f"{row[name]:.0e}", "quiet"))

    return Table(
        name="iterations",
        title=title,
        columns=[
            Column(key="iteration", show=lambda row: (str(row["iteration"]), "quiet")),
            *(residual("primal"), limit("primal_limit"), residual("dual"), limit("dual_limit")),
            Column(key="rho", heading="rho", form=".1e"),
            Column(key="objective", heading="objective", form=".3e"),
            Column(key="batch_mse", heading="batch MSE", form=".2e"),
            Column(key="seconds", heading="seconds", form=".2f", drop=1),
            Column(key="batch_seconds", heading="slowest batch", form=".2f", drop=2),
            Column(
                key="rescued",
                show=lambda row: ("rescued", "warn") if row["rescued"] else "",
                left=True,
            ),
        ],
        rows=rows,
        most=most,
    )


def _admm_findings(found: ADMMResult, asked: Asked) -> list[Finding]:
    """Say what went wrong on the way, and how to go on."""
    findings = [asked.finding("trouble", text.rstrip(".")) for text in found.warnings]
    history, ending = found.history, found.termination
    rescued = [text for text in history["rescued"] if text]
    if rescued:
        text = (
            f"batches had to be rescued in {counted(len(rescued), 'iteration')}; the last time, "
            f"{rescued[-1]}"
        )
        findings.append(asked.finding("rescued", text, "a larger <rho> steadies them"))
    go_on = asked.more.get("go_on", "")
    aside = f" ({go_on})" if go_on else ""
    if ending is Termination.ITERATION_LIMIT and not found.success:
        text = f"no agreement to the tolerance in {counted(len(history), 'iteration')}"
        remedy = f"raise <iterations>{aside}, loosen <rules|tolerance>, or add <polish=True>"
        findings.append(asked.finding("no-agreement", text, remedy))
    elif ending is Termination.TIME_LIMIT:
        findings.append(asked.finding("time-limit", "the time limit was reached", go_on))
    elif ending in (Termination.INTERRUPTED, Termination.ERROR):
        text = "interrupted" if ending is Termination.INTERRUPTED else found.message.rstrip(".")
        findings.append(asked.finding("stopped", text, asked.more.get("kept", "")))
    elif ending is Termination.STALLED:
        remedy = "try a larger <rho>, fewer <batches> or another <start>"
        findings.append(
            asked.finding("batches-failed", "every batch failed", remedy, Severity.ERROR)
        )
    if ending is Termination.CONVERGED and not found.polished:
        findings += _admm_gap(found, asked)
    if found.kept_best:
        text = (
            f"the consensus of iteration {history['simulated_objective'].idxmin()} is reported, not the last "
            "one, because its simulation fits better"
        )
        findings.append(asked.finding("best-kept", text))
    return findings


def _admm_gap(found: ADMMResult, asked: Asked) -> list[Finding]:
    """Networks whose weights agree to a tolerance may still differ in what they do."""
    simulated, own = (
        float(found.history[key].iloc[-1]) for key in ("simulated_objective", "objective")
    )
    if not np.isfinite(simulated) or simulated <= (1.0 + GAP) * own:
        return []
    text = (
        "the batches agree to the tolerance, but simulated, their consensus fits less well "
        f"(objective {simulated:.2e}, of the batches' own networks {own:.2e})"
    )
    remedy = (
        "add <polish=True>, a smaller <rules|tolerance> with more <iterations>, or fewer <batches>"
    )
    return [asked.finding("consensus-gap", text, remedy)]
