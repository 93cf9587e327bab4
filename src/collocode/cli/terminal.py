"""Consoles, exit codes, and one way to show errors and warnings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import CollocodeError

SOLVED, UNSOLVED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def output() -> Console:
    """Return the console of results (stdout, as it is now)."""
    return Console(highlight=False, soft_wrap=False)


def messages() -> Console:
    """Return the console of messages and progress (stderr)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Show an error as one line on stderr."""
    messages().print(Text.assemble(("error: ", "bold red"), text))


def say_warning(text: str) -> None:
    """Show a warning as one line on stderr."""
    messages().print(Text.assemble(("warning: ", "bold yellow"), text))


@contextmanager
def guarded(debug: bool = False) -> Iterator[None]:
    """Turn the toolkit's errors into one sentence and exit status 2, Ctrl-C into 130.

    Anything else is a bug and keeps its traceback; ``debug`` shows it for expected errors too.
    """
    try:
        yield
    except CollocodeError as error:
        if debug:
            raise
        say_error(str(error))
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        say_error("interrupted; nothing more was written.")
        raise typer.Exit(INTERRUPTED) from None


def plain_table(*headings: str, title: str = "", right: int | None = None) -> Table:
    """Return a light table; columns from number ``right`` on are aligned to the right."""
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for number, heading in enumerate(headings):
        numeric = right is not None and number >= right
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    return table


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as text; what is not known is a dash.

    Examples
    --------
    >>> number(0.0012345), number(float("inf")), number(None)
    ('1.23e-03', 'inf', '–')
    """
    if value is None or value != value:
        return "–"
    if abs(value) == float("inf"):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{digits - 1}e}"
