"""The exceptions of the toolkit, and its warning.

Every message is one sentence that names the culprit and the remedy, so that it can be shown to a
user as it stands.  A solve that stops early is *not* an error: it returns its best iterate with an
honest status (see `collocode.results.status`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_HERE = os.path.dirname(__file__) + os.sep


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


_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep `CollocodeWarning` back within: of many fits, or where findings are shown in another way."""
    token = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(token)


def is_quiet() -> bool:
    """Whether `CollocodeWarning` is kept back."""
    return _QUIET.get()


def caller_level() -> int:
    """`stacklevel` of `warnings.warn` for the line of the user's that the call comes from, the first outside the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, level = frame.f_back, level + 1
    return level
