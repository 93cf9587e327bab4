"""The exceptions of the toolkit, and its warning.

Every message is one sentence that names the culprit and the remedy, so that it can be shown to a
user as it stands.  A solve that stops early is *not* an error: it returns its best iterate with an
honest status (see `collocode.results.status`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CollocodeError(Exception):
    """Base class of everything this toolkit raises on purpose."""


class InputError(CollocodeError, ValueError):
    """What the caller gave cannot be used: data, bounds, shapes, names, options."""


class MissingDependency(CollocodeError, ImportError):
    """An optional package or solver is needed and is not installed."""


class FileError(CollocodeError, OSError):
    """A file is missing, unreadable or not what it claims to be."""


class CollocodeWarning(UserWarning):
    """A fit should not be believed as it stands; `collocode.findings` tells what to do about it."""


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names for a message, cut where a reader would stop.

    Examples
    --------
    >>> listed(["a", "b"]), listed([]), listed("abcdefghijk", most=3)
    ('a, b', 'none', 'a, b, c and 8 more')
    """
    known = [str(name) for name in names]
    if len(known) <= most:
        return ", ".join(known) or "none"
    return f"{', '.join(known[:most])} and {len(known) - most} more"


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Refuse what is none of the choices, naming the nearest one.

    Raises
    ------
    InputError
        It is not.

    Examples
    --------
    >>> check_choice("colour", "gren", ["red", "green"])
    Traceback (most recent call last):
    collocode.errors.InputError: unknown colour 'gren'; did you mean 'green'?
    """
    known = list(choices)
    if value not in known:
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}."
        raise InputError(f"unknown {what} {value!r}; {hint}")
