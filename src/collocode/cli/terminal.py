"""Consoles, exit codes, and one way to show reports, errors and warnings.

Showing is the last thing that may go wrong: characters that an encoding lacks become ASCII, and where
nobody reads any more (a pipe that was closed), the rest is left out.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ..errors import CollocodeError, FileError
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


_ASCII = {
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "~",
    "·": "*",
    "×": "x",
    "±": "+-",
    "→": "->",
    "≤": "<=",
}
_ASCII |= {
    "°": "deg",
    "‖": "||",
    "≥": ">=",
    "≈": "~",
    "∞": "inf",
    "√": "sqrt",
    "λ": "lambda",
    "Σ": "Sum",
    "∂": "d",
    "∇": "grad",
}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on without whoever has read enough, as ``head`` has."""
        _silence(self.file)


def output() -> Console:
    """Return the console of results (stdout, as it is now)."""
    return _Console(highlight=False, soft_wrap=False)


def messages() -> Console:
    """Return the console of messages and progress (stderr)."""
    return _Console(stderr=True, highlight=False, soft_wrap=True)


def print_anything() -> None:
    """Have stdout and stderr write in ASCII what their encoding does not know."""
    codecs.register_error("collocode", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        strict = ("strict", "surrogateescape", "backslashreplace")
        if isinstance(stream, io.TextIOWrapper) and stream.errors in strict:
            stream.reconfigure(errors="collocode")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Spell characters in ASCII, as a handler of encoding errors.

    Examples
    --------
    >>> codecs.register_error("collocode", _in_ascii)
    >>> "λ ≈ 5·10⁻³ – für θ₁".encode("ascii", "collocode")
    b'lambda ~ 5*10-3 - fur theta1'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelt, error.object[error.start : error.end])), error.end


def _spelt(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    plain = unicodedata.normalize("NFKD", character)
    plain = "".join(_ASCII.get(c, c) for c in plain if not unicodedata.combining(c))
    if plain.isascii():
        return plain
    words = unicodedata.name(plain[:1], "").split()
    greek = words[:1] == ["GREEK"] and words[-2:-1] == ["LETTER"]
    return words[-1].lower().replace("lamda", "lambda") if greek else "?"


def _silence(stream: Any) -> None:
    """Send what else is written to a stream nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def shown(what: str) -> Iterator[None]:
    """Print ``what``; a pipe that was closed is its reader's wish.

    Raises
    ------
    FileError
        A file that stdout goes to cannot be written.
    """
    try:
        yield
    except OSError as error:
        _silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            raise FileError(f"cannot print {what} ({reason}); send stdout elsewhere.") from error


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
        yield
    except CollocodeError as error:
        if debug:
            raise
        say_error(str(error))
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        say_error("interrupted; nothing more was written.")
        raise typer.Exit(INTERRUPTED) from None
