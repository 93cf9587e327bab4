"""Consoles, exit codes, and one way to show reports, errors and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from ..errors import CollocodeError, quietly
from ..reports.parts import Severity, Table
from ..reports.record import Report
from ..reports.text import Line, finding_spans, report_lines, table_lines

SOLVED, UNSOLVED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_STYLES = {
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "quiet": "dim",
    "strong": "bold",
    "": "",
}


def output() -> Console:
    """Return the console of results (stdout, as it is now)."""
    return Console(highlight=False, soft_wrap=False)


def messages() -> Console:
    """Return the console of messages and progress (stderr)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Show an error as one line on stderr."""
    messages().print(Text.assemble(("error: ", "bold red"), text))


def styled(lines: Iterable[Line]) -> Text:
    """Return lines of spans as text for a console."""
    whole = []
    for line in lines:
        text = Text.assemble(*((part, _STYLES[tone]) for part, tone in line))
        text.rstrip()
        whole.append(text)
    return Text("\n").join(whole)


def show_table(table: Table) -> None:
    """Print a table."""
    console = output()
    console.print(styled(table_lines(table, console.width)), soft_wrap=True)


def show_report(report: Report) -> None:
    """Print a report; its errors and warnings go to stderr."""
    console = output()
    console.print(styled(report_lines(report, console.width, [Severity.NOTE])), soft_wrap=True)
    for finding in report.findings:
        if finding.severity is not Severity.NOTE:
            messages().print(styled([finding_spans(finding)]))


@contextmanager
def guarded(debug: bool = False) -> Iterator[None]:
    """Turn the toolkit's errors into one sentence and exit status 2, Ctrl-C into 130.

    Anything else is a bug and keeps its traceback; ``debug`` shows it for expected errors too.
    """
    try:
        with quietly():  # findings are printed as such
            yield
    except CollocodeError as error:
        if debug:
            raise
        say_error(str(error))
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        say_error("interrupted; nothing more was written.")
        raise typer.Exit(INTERRUPTED) from None
