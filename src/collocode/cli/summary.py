"""A report as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

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
    if report["parameters"]:
        _print_parameters(console, report["parameters"])
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
        "objective": f"{report['result']['objective']:.6g}, largest violation "
        f"{report['result']['violation']:.1e}",
    }


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


def _print_parameters(console: Console, parameters: list[dict[str, Any]]) -> None:
    table = plain_table("parameter", "estimate", "unit", "bounds", title="Estimated parameters")
    for row in parameters:
        lower, upper = row["lower"], row["upper"]
        bounds = f"{_bound(lower, '-inf')} … {_bound(upper, 'inf')}"
        bounds = "" if lower is None and upper is None else bounds
        table.add_row(Text(row["name"]), f"{row['value']:.6g}", Text(row["unit"]), bounds)
    console.print()
    console.print(table)


def _bound(value: float | None, without: str) -> str:
    return without if value is None else f"{value:g}"
