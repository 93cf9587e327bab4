"""Numbers, counts and remedies as words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..checks import counted

_REMEDY = re.compile(r"<([\w.]+)(?:\|([\w.]+))?(?:=([^>]*))?>")


def formatted(value: Any, form: str = "") -> str:
    """Return a value as text; what is not known, None or NaN, is a dash.

    Examples
    --------
    >>> formatted(0.0012345, ".2e"), formatted(float("inf"), ".2e"), formatted(float("nan"))
    ('1.23e-03', 'inf', '–')
    >>> formatted(None), formatted("text", ".2e"), formatted(3, "d")
    ('–', 'text', '3')
    """
    if value is None or value != value:
        return "–"
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    return str(value) if isinstance(value, str | bool) or not form else format(value, form)


def size_text(program: Any) -> str:
    """Return how large a program is, or the model of a file: what has ``columns`` and ``rows``."""
    return f"{counted(program.columns, 'variable')}, {counted(program.rows, 'constraint')}"


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


def spoken(remedy: str, shell: bool) -> str:
    """Return a remedy in the words of the command line or of Python.

    ``<name=value>`` in it is an argument; ``<name|other>`` is called ``other`` on the command line;
    ``<options.name>`` is one of the solver's and ``<set.name>`` a setting of the model.

    Examples
    --------
    >>> for shell in (True, False):
    ...     print(spoken("try <mesh|elements=20>, <options.tol=1e-6> or <max_cycles>", shell))
    try --elements 20, --option tol=1e-6 or --max-cycles
    try mesh=20, options={'tol': 1e-6} or max_cycles
    """

    def word(match: re.Match[str]) -> str:
        name, other, value = match[1], match[2], match[3]
        kind, _, key = name.rpartition(".")
        if not shell:
            if kind == "options":
                return f"options={{{key!r}: {value or '...'}}}"
            return key if value is None else f"{key}={_quoted(value)}"
        if kind:
            flag = {"options": "--option", "set": "--set", "train": "--train"}[kind]
            return f"{flag} {key}" if value is None else f"{flag} {key}={value}"
        flag = "--" + (other or name).replace("_", "-")
        return flag if value in (None, "True") else f"{flag} {value}"

    return _REMEDY.sub(word, remedy)


def _quoted(value: str) -> str:
    try:
        float(value)
    except ValueError:
        return value if value in ("True", "...") else repr(value)
    return value


def times_text(seconds: Mapping[str, float]) -> str:
    """Return what the time was spent on.

    Examples
    --------
    >>> times_text({"build": 0.1, "solve": 0.5, "derivatives": 0.2, "total": 0.6})
    'build 0.10, solve 0.50 (derivatives 0.20), total 0.60 s'
    """
    inner = [f"{k} {seconds[k]:.2f}" for k in ("derivatives", "linear solver") if k in seconds]
    parts = [f"{k} {seconds[k]:.2f}" for k in ("build", "start", "solve") if k in seconds]
    if "solve" in seconds and inner:
        parts[-1] += f" ({', '.join(inner)})"
    parts += [f"total {seconds['total']:.2f} s"] if "total" in seconds else []
    return ", ".join(parts)
