"""The report of a consensus iteration over batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import counted
from ..coordination.admm import ADMMResult
from ..results.status import Termination
from .parts import Column, Finding, Heading, Row, Span, Table, Words, figure
from .record import Asked, Report
from .solution import report_solution

GAP = 0.25  # between simulated and collocated objective, that is worth a warning
HISTORY = "history.csv"


def report_admm(found: ADMMResult, asked: Asked) -> Report:
    """Return the report of a consensus iteration, and of the fit to its consensus."""
    fit, rows = (
        report_solution(found.solution, asked),
        found.history.reset_index().to_dict("records"),
    )
    agreed = found.termination is Termination.CONVERGED or found.success
    what = "Polished: everything fitted" if found.polished else "States fitted to the consensus"
    newton, title = bool(rows) and np.isfinite(rows[0]["size"]), "Consensus ADMM"
    if newton:
        title = "Newton's method over batches"
        what = "The optimum" if found.success and not found.polished else what
    body: list[Table | Words | Heading] = [admm_table(rows, title)] if rows else []
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
    caption = "Residuals with their limits, objectives, simulated error and penalty by iteration"
    figures = [figure("admm", caption, "admm_history", found)] if rows else []
    return fit.around(
        kind="admm",
        success=fit.success and agreed,
        interrupted=fit.interrupted or found.termination is Termination.INTERRUPTED,
        status=found.termination.value if fit.success else fit.status,
        body=body,
        findings=_admm_findings(found, asked),
        details={"admm": {**details, "consensus": found.consensus}},
        figures=figures,
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

        return Column(name, heading=f"{name} residual", show=show)

    def limit(name: str) -> Column:
        return Column(name, heading="limit", show=lambda row: (f"{row[name]:.0e}", "quiet"))

    middle = [
        Column("rho", ".1e"),
        Column("objective", ".3e"),
        Column("batch_mse", ".2e", "batch MSE"),
    ]
    if rows and np.isfinite(rows[0]["size"]):
        middle = [
            Column("rho", ".1e", "shift"),
            Column("objective", ".6e"),
            Column("size", ".2g", "step"),
        ]
    return Table(
        name="iterations",
        title=title,
        columns=[
            Column("iteration", heading="", show=lambda row: (str(row["iteration"]), "quiet")),
            *(residual("primal"), limit("primal_limit"), residual("dual"), limit("dual_limit")),
            *middle,
            Column("seconds", ".2f", drop=1),
            Column("batch_seconds", ".2f", "slowest batch", drop=2),
            Column(
                "rescued",
                heading="",
                show=lambda row: ("rescued", "warn") if row["rescued"] else "",
                left=True,
            ),
        ],
        rows=rows,
        most=most,
    )


def _admm_findings(found: ADMMResult, asked: Asked) -> list[Finding]:
    """Say what went wrong on the way, and how to go on."""
    findings = [asked.finding("trouble", message=text.rstrip(".")) for text in found.warnings]
    history, ending = found.history, found.termination
    rescued = [text for text in history["rescued"] if text]
    if rescued:
        count = counted(len(rescued), "iteration")
        findings.append(asked.finding("rescued", iterations=count, last=rescued[-1]))
    go_on = asked.more.get("go_on", "")
    if ending is Termination.ITERATION_LIMIT and not found.success:
        count, aside = counted(len(history), "iteration"), f" ({go_on})" if go_on else ""
        findings.append(asked.finding("no-agreement", iterations=count, aside=aside))
    elif ending is Termination.TIME_LIMIT:
        findings.append(asked.finding("time-limit", go_on=go_on))
    elif ending in (Termination.INTERRUPTED, Termination.ERROR):
        why = "interrupted" if ending is Termination.INTERRUPTED else found.message.rstrip(".")
        findings.append(asked.finding("stopped", why=why, kept=asked.more.get("kept", "")))
    elif ending is Termination.STALLED:
        newton = bool(np.isfinite(history["size"]).any()) or not len(history)
        code, why = (
            ("batches-stalled", found.message.rstrip(".")) if newton else ("batches-failed", "")
        )
        findings.append(asked.finding(code, **({"why": why} if newton else {})))
    if ending is Termination.CONVERGED and not found.polished:
        # networks whose weights agree to a tolerance may still differ in what they do
        simulated, own = (float(history[k].iloc[-1]) for k in ("simulated_objective", "objective"))
        if np.isfinite(simulated) and simulated > (1.0 + GAP) * own:
            findings.append(asked.finding("consensus-gap", simulated=simulated, own=own))
    if found.kept_best:
        best = history["simulated_objective"].idxmin()
        findings.append(asked.finding("best-kept", iteration=best))
    return findings
