"""Reports of searches: a setting chosen by validation, and the best of several starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..identify.multistart import Multistart
from ..identify.sweep import Sweep
from ..results.status import Termination
from .parts import Column, Heading, Row, Span, Table, figure
from .record import Asked, Report
from .solution import report_solution
from .words import counted


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
    whose = "Fit to all data" if found.refitted else "Validated fit, which none to all data equals,"
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
        figures=(
            figure(
                "sweep",
                f"Training and held-out error over {found.name}; ringed: the choice",
                "sweep_curve",
                found,
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
            Column("value", heading=name, show=lambda row: _value(row["value"])),
            Column("validation", ".2e", "held-out error"),
            Column("training", ".2e", "training error"),
            Column("iterations", "d"),
            Column("seconds", ".2f", drop=1),
            Column("status", show=_status, left=True),
            Column(
                "chosen",
                heading="",
                show=lambda row: "chosen" if row["value"] == best else "",
                left=True,
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
    findings = [] if len(found.best.model.theta) else [asked.finding("nothing-random")]
    chosen = asked.more.get("asked", found.seeds)
    stopped = found.termination is Termination.INTERRUPTED
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
            Column("iterations", "d"),
            Column("seconds", ".2f", drop=1),
            Column("status", show=_status, left=True),
            Column(
                "best",
                heading="",
                show=lambda row: "best" if row["seed"] == best else "",
                left=True,
            ),
        ],
        rows=rows,
        strong=list(found.table.index).index(best),
    )
    return report_solution(found.best, asked).around(
        kind="multistart",
        interrupted=stopped,
        body=(table, Heading(f"The best, seed {best} ({again} gives it again)")),
        findings=findings,
        details={"multistart": {"best": best, "asked": chosen}},
        files={"multistart.csv": found.table.to_csv},
    )
