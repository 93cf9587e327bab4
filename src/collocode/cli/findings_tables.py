"""Parameters with their intervals, residuals and a diagnosis as tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from .terminal import number, plain_table

SHOWN_RESIDUALS = 6
WHITE = 0.05  # p-values above it speak of white noise


def print_parameters(
    console: Console, parameters: Sequence[Mapping[str, Any]], no_intervals: str
) -> None:
    """Print estimates with their 95 % intervals, or why there are none."""
    table = plain_table(
        *("parameter", "estimate", "95 % interval", "unit", "bounds"), title="Estimated parameters"
    )
    for row in parameters:
        lower, upper = row["lower"], row["upper"]
        bounds = f"{_bound(lower, '-inf')} … {_bound(upper, 'inf')}"
        bounds = "" if lower is None and upper is None else bounds
        name, unit = Text(row["name"]), Text(row["unit"])
        table.add_row(name, f"{row['value']:.6g}", _interval(row), unit, bounds)
    console.print()
    console.print(table)
    if no_intervals:
        console.print(Text(f"No intervals: {no_intervals}.", "dim"), soft_wrap=True)


def _interval(row: Mapping[str, Any]) -> Text:
    if row["note"]:
        return Text(row["note"], "yellow" if row["note"] != "fixed" else "dim")
    if row["lower_95"] is None or row["upper_95"] is None:
        return Text("–", "dim")
    return Text(interval_text(row["lower_95"], row["upper_95"]))


def interval_text(low: float, high: float) -> str:
    """Return an interval with as many digits as its width is worth.

    Examples
    --------
    >>> interval_text(0.983621, 1.010593), interval_text(0.01704, 0.03035)
    ('0.984 … 1.011', '0.0170 … 0.0303')
    >>> interval_text(1.2e-7, 3.4e-7), interval_text(98123.0, 101234.0)
    ('1.2e-07 … 3.4e-07', '98100 … 101200')
    """
    half, size = 0.5 * (high - low), max(abs(low), abs(high))
    if not half > 0.0 or not math.isfinite(half):
        return f"{low:.6g} … {high:.6g}"
    last = math.floor(math.log10(half)) - 1  # the decimal place of its second digit
    if 1e-4 <= size < 1e6:
        places = max(0, -last)
        return f"{round(low, -last):.{places}f} … {round(high, -last):.{places}f}"
    digits = max(1, min(12, math.floor(math.log10(size)) - last))
    return f"{low:.{digits}e} … {high:.{digits}e}"


def _bound(value: float | None, without: str) -> str:
    return without if value is None else f"{value:g}"


def print_residuals(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print by output what simulation leaves of the data, and whether that is white noise."""
    table = plain_table(
        *("output", "samples", "rms", "bias", "lag one", "p-value", ""),
        title="Residuals of the simulation, Ljung-Box test",
    )
    for column in table.columns[1:6]:
        column.justify = "right"
    for row in rows:
        p = row["p_value"]
        lag = "–" if row["lag_one"] is None else f"{row['lag_one']:+.2f}"
        table.add_row(
            Text(row["output"]),
            str(row["samples"]),
            number(row["rms"]),
            number(row["bias"]),
            lag,
            "–" if p is None else (f"{p:.3f}" if p >= 0.0005 else "< 0.001"),
            _verdict(row),
        )
    console.print()
    console.print(table)
    if any(row["p_value"] is not None and row["p_value"] <= WHITE for row in rows):
        note = "Residuals that are not white: the model misses something that lasts in time."
        console.print(Text(note, "dim"))


def _verdict(row: Mapping[str, Any]) -> Text:
    if row["p_value"] is None:
        return Text("")
    if row["p_value"] > WHITE:
        return Text("white", "green")
    where = f" in {row['experiment']!r}" if row["experiment"] else ""
    return Text(f"not white{where}", "yellow")


def _time(time: float) -> str:
    return f"{time:.4g}" if abs(time) < 1e3 else f"{time:.6g}"


def print_diagnosis(console: Console, diagnosis: Mapping[str, Any]) -> None:
    """Print where functions are not finite and which equations are violated most."""
    broken = diagnosis["not_finite"]
    violated = [row for row in diagnosis["violated"] if row["residual"] is not None]
    if broken:
        first = broken[0]
        more = " or more" if len(broken) >= 10 else ""
        console.print()
        console.print(
            Text(
                f"Not finite at {len(broken)} points{more}, first: {first['term']} of "
                f"{first['experiment']!r} at t = {first['time']:g}",
                "red",
            ),
            soft_wrap=True,
        )
    if not violated:
        return
    headings = ("equation", "experiment", "element", "stage", "state", "time", "residual")
    table = plain_table(*headings, title="Largest violations (scaled rows)")
    for column in (table.columns[i] for i in (2, 3, 5, 6)):
        column.justify = "right"
    for row in violated[:SHOWN_RESIDUALS]:
        in_time = row["time"] is not None
        table.add_row(
            Text(row["equation"]),
            Text(row["experiment"]),
            str(row["element"]) if in_time else "–",
            str(row["stage"]),
            Text(row["state"]),
            _time(row["time"]) if in_time else "–",
            number(row["residual"], 2),
        )
    console.print()
    console.print(table)
