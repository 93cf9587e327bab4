"""A report, a sweep or a multistart as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from .findings_tables import print_diagnosis, print_parameters, print_residuals
from .terminal import number, plain_table


def print_summary(console: Console, report: Mapping[str, Any]) -> None:
    """Print a report: what was solved, how, how well, and what was found."""
    solved = report["result"]["solved"]
    result, seconds = report["result"], report["seconds"]
    console.print()
    console.print(
        Text.assemble(
            (report["problem"]["name"], "bold"),
            "  ",
            (f"{result['termination']} ({result['status']})", "green" if solved else "red"),
            f" after {result['iterations']} iterations in {seconds['total']:.2f} s",
        )
    )
    console.print()
    facts = plain_table("", "")
    facts.show_header = False
    for label, text in _facts(report).items():
        facts.add_row(Text(label, "dim"), Text(text))
    console.print(facts)
    _print_scores(console, report["scores"])
    if report["diagnosis"] is not None:
        print_diagnosis(console, report["diagnosis"])
    if report["whiteness"]:
        print_residuals(console, report["whiteness"])
    if report["parameters"]:
        print_parameters(console, report["parameters"], report["no_intervals"])
    console.print()


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    problem, nlp, scheme, solver = (report[k] for k in ("problem", "nlp", "scheme", "solver"))
    elements = scheme["elements"]
    meshes = f"{sum(elements)} elements"
    if len(elements) > 1:
        meshes += f" in {len(elements)} experiments"
    linear = f", linear solver {solver['linear_solver']}" if solver["linear_solver"] else ""
    return {
        "problem": ", ".join(
            (
                counted(len(problem["states"]), "state"),
                counted(len(problem["experiments"]), "experiment"),
                counted(problem["measurements"], "measurement"),
                counted(problem["weights"], "weight"),
                counted(problem["parameters"], "parameter"),
            )
        ),
        "NLP": f"{nlp['variables']} variables, {nlp['constraints']} constraints",
        "scheme": f"{scheme['name']}, degree {scheme['degree']} (order {scheme['order']}), {meshes}",
        "solver": f"{solver['name']} through {solver['interface']}{linear}",
        "time": _times(report["seconds"]),
        "objective": f"{_or_nan(report['result']['objective'], '.6g')}, largest violation "
        f"{_or_nan(report['result']['violation'], '.1e')}",
    }


def _or_nan(value: float | None, form: str) -> str:
    return "not finite" if value is None else format(value, form)


def _times(seconds: Mapping[str, float]) -> str:
    inner = [f"{k} {seconds[k]:.2f}" for k in ("derivatives", "linear solver") if k in seconds]
    parts = [f"{k} {seconds[k]:.2f}" for k in ("build", "start") if k in seconds]
    solve = f"solve {seconds['solve']:.2f}" if "solve" in seconds else ""
    if solve and inner:
        solve += f" ({', '.join(inner)})"
    return ", ".join([*parts, *([solve] if solve else []), f"total {seconds['total']:.2f} s"])


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "state"), counted(2, "state")
    ('1 state', '2 states')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _print_scores(console: Console, scores: list[dict[str, Any]]) -> None:
    known = any(score["truth"] is not None for score in scores)
    headings = ["experiment", "window", "collocated\nvs data", "simulated\nvs data"]
    keys = ["collocated", "simulated"]
    if known:
        headings += ["simulated\nvs truth", "from true\nstart"]
        keys += ["truth", "truth_from_true_initial"]
    table = plain_table(*headings, "gap", title="Mean squared errors", right=2)
    for score in scores:
        cells = [number(score[key]) for key in (*keys, "gap")]
        table.add_row(Text(score["experiment"].removesuffix(".csv")), score["role"], *cells)
    console.print()
    console.print(table)


def print_sweep(console: Console, name: str, table: pd.DataFrame, best: Any, held: str) -> None:
    """Print a sweep by value; the chosen one is marked."""
    shown = plain_table(
        *(name, "held-out\nerror", "training\nerror", "iterations", "seconds", "status", ""),
        title=f"Sweep over {name}",
    )
    for column in shown.columns[:5]:
        column.justify = "right"
    for value, row in table.iterrows():
        chosen = best is not None and value == best
        shown.add_row(
            _value(value),
            number(row["validation"]),
            number(row["training"]),
            str(row["iterations"]),
            f"{row['seconds']:.2f}",
            _status(row["status"]),
            "chosen" if chosen else "",
            style="bold green" if chosen else "",
        )
    console.print()
    console.print(shown)
    note = f"Held out: {held}. Errors are mean squares of simulated residuals, in units of spread²."
    console.print(Text(note, "dim"))
    console.print()


def print_multistart(console: Console, table: pd.DataFrame, best: int) -> None:
    """Print the runs of a multistart; the best one is marked."""
    shown = plain_table(
        *("seed", "objective", "simulated\nvs data", "iterations", "seconds", "status", ""),
        title=f"Multistart from {counted(len(table), 'seed')}",
    )
    for column in shown.columns[:5]:
        column.justify = "right"
    for seed, row in table.iterrows():
        shown.add_row(
            str(seed),
            number(row["objective"], 5),
            number(row["simulated"]),
            str(row["iterations"]),
            f"{row['seconds']:.2f}",
            _status(row["status"]),
            "best" if seed == best else "",
            style="bold green" if seed == best else "",
        )
    console.print()
    console.print(shown)
    console.print()


def _status(status: str) -> Text:
    """Return a status in a word or two; what converged in any way is not red."""
    reason = status.split(" (", 1)[0]
    if reason.startswith("converged"):
        return Text("acceptable only" if reason != "converged" else reason)
    return Text(reason, "red")


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
