"""Settings of a model: the keyword parameters of its ``problem()``, and ``--set name=value``."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ..checks import check_has, counted
from ..errors import InputError
from ..reports.parts import Column, Table

KINDS = (bool, int, float, str)
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def whole_number(text: str) -> int:
    """Read a count, also as 1e6.

    Examples
    --------
    >>> whole_number("301"), whole_number("1e3")
    (301, 1000)
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"{text!r} is no whole number; give one such as 301.")


@dataclass(frozen=True)
class Setting:
    """One keyword parameter of ``problem()``.

    Attributes
    ----------
    name, text : as in the signature and in the docstring's ``name: text`` line.
    kind : bool, int, float or str; None if a text cannot be turned into it.
    optional : whether ``none`` means None.
    default : its default; `inspect.Parameter.empty` if it has to be given.
    """

    name: str
    kind: type | None
    optional: bool
    default: Any
    text: str = ""

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def kind_name(self) -> str:
        """Its type for help texts."""
        name = self.kind.__name__ if self.kind else "object"
        return f"{name} or none" if self.optional else name

    def convert(self, text: str, flag: str = "--set") -> Any:
        """Turn a text from the command line, behind ``flag``, into a value.

        Raises
        ------
        InputError
            The text does not say one.
        """
        if self.kind is None:
            raise InputError(
                f"{flag} cannot give {self.name!r}, which is no number, text or truth value; "
                "call problem() from Python instead."
            )
        if self.optional and text.lower() == "none":
            return None
        try:
            return _truth(text) if self.kind is bool else self.kind(text)
        except ValueError:
            wanted = {bool: "true or false", int: "an integer", float: "a number"}[self.kind]
            raise InputError(f"{flag} {self.name}={text}: {text!r} is not {wanted}.") from None


def settings_of(function: Callable[..., Any]) -> list[Setting]:
    """Return the settings that a ``problem`` function takes."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # annotations are the model's own business; defaults tell as well
        hints = {}
    texts = _texts(inspect.getdoc(function) or "")
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind, optional = _kind(hints.get(name), parameter.default)
        found.append(Setting(name, kind, optional, parameter.default, texts.get(name, "")))
    return found


def parse_settings(
    given: Sequence[str], settings: Sequence[Setting], later: Sequence[str] = ()
) -> dict[str, Any]:
    """Turn ``name=value`` texts into keyword arguments; of two for one name the later counts.

    Required settings that are named in ``later`` may be left out.

    Raises
    ------
    InputError
        No ``=``, an unknown name, a value that does not convert, a required setting missing.
    """
    known = {setting.name: setting for setting in settings}
    values: dict[str, Any] = {}
    for name, text in split_pairs(given, "--set"):
        check_has("the model", "setting", name, known)
        values[name] = known[name].convert(text)
    for setting in settings:
        if setting.required and setting.name not in (*values, *later):
            raise InputError(f"the model needs --set {setting.name}=<{setting.kind_name}>.")
    return values


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """Turn ``name=value`` texts into solver options, numbers as numbers.

    Examples
    --------
    >>> parse_options(["ipopt.tol=1e-8", "max_iter=20", "linear_solver=spral"])
    {'ipopt.tol': 1e-08, 'max_iter': 20, 'linear_solver': 'spral'}
    """
    return {name: _number_or_text(text) for name, text in split_pairs(given, "--option")}


def split_pairs(given: Sequence[str], flag: str) -> list[tuple[str, str]]:
    """Split ``name=value`` texts.

    Raises
    ------
    InputError
        A text without ``=`` or without a name.
    """
    pairs = []
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InputError(f"{flag} takes name=value, not {text!r}.")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _number_or_text(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _truth(text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise ValueError(text)
    return text.lower() in _YES


def _kind(hint: Any, default: Any) -> tuple[type | None, bool]:
    """Type and whether None is allowed, from the annotation or else from the default."""
    parts = [hint]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = list(typing.get_args(hint))
    optional = type(None) in parts
    kinds = [part for part in parts if part in KINDS]
    if not kinds and type(default) in KINDS:
        kinds = [type(default)]
    order = (bool, float, int, str)  # of `int | float`, float reads both
    return next((kind for kind in order if kind in kinds), None), optional


def _texts(doc: str) -> dict[str, str]:
    """Texts of the ``name: text`` lines; lines indented deeper continue them."""
    found: dict[str, str] = {}
    current, indent = "", 0
    for line in doc.splitlines():
        depth = len(line) - len(line.lstrip())
        match = re.match(r"\s*(\w+)\s*:\s+(\S.*)$", line)
        if current and line.strip() and depth > indent:
            found[current] += " " + line.strip()
        elif match:
            current, indent = match.group(1), depth
            found[current] = match.group(2).strip()
        else:
            current = ""
    return found


# ---- help ----------------------------------------------------------------------------------------


def settings_table(settings: Sequence[Setting]) -> Table:
    """Return settings as a table."""
    rows = [
        {
            "name": setting.name,
            "type": setting.kind_name,
            "default": "required" if setting.required else short(setting.default),
            "meaning": setting.text,
        }
        for setting in settings
    ]
    columns = [
        Column("name", heading="--set", left=True, show=lambda row: (row["name"], "strong")),
        *(Column(key, left=True) for key in ("type", "default", "meaning")),
    ]
    return Table(name="settings", columns=columns, rows=rows)


def defaults_text(defaults: Mapping[str, Any]) -> str:
    """Return a model's DEFAULTS as the options that they stand for.

    Examples
    --------
    >>> defaults_text({"mesh": 40, "start": "horizon", "options": {"max_iter": 900}})
    '--elements 40  --start horizon  --option max_iter=900'
    """
    parts = []
    for name, value in defaults.items():
        if name == "options":
            parts += [f"--option {key}={option}" for key, option in value.items()]
        elif name == "mesh" and not isinstance(value, int):
            points = f" of {counted(len(value), 'point')}" if isinstance(value, Sized) else ""
            parts.append(f"a mesh{points}")
        else:
            parts.append(f"--{'elements' if name == 'mesh' else name} {value}")
    return "  ".join(parts)


def short(value: Any, most: int = 34) -> str:
    """Return a default as text; a path inside the current folder is shown relative to it."""
    text = repr(value) if value == "" else str(value)
    if isinstance(value, str) and value.startswith("/"):
        path = Path(value)
        text = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else value
    return text if len(text) <= most else f"…{text[1 - most :]}"
