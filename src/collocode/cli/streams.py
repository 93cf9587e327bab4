"""Streams that show anything: what an encoding lacks becomes ASCII, and where nobody reads, nothing fails.

Showing is the last thing that may go wrong with a result.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from ..errors import FileError

_ASCII = dict(
    zip(
        "–—−…·×→≤≥≈√λΣ∂∇",
        ["-", "-", "-", "~", "*", "x", "->", "<=", ">=", "~", "sqrt", "lambda", "Sum", "d", "grad"],
        strict=True,
    )
)
_ASCII |= {"±": "+-", "°": "deg", "‖": "||", "∞": "inf"}


class SteadyConsole(Console):
    """A console that outlives its reader."""

    def on_broken_pipe(self) -> None:
        """Go on without whoever has read enough, as ``head`` has."""
        _silence(self.file)


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
