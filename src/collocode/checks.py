"""Checks of what the caller gave: choices, names, numbers, fields; and the sentences that refuse it.

Each returns or passes what is right, and raises an `InputError` that names the culprit and the remedy.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from numbers import Real
from textwrap import shorten
from typing import Any

from .errors import InputError, MissingDependency
from .kinds import alternatives, check_type


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


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, for a message.

    Examples
    --------
    >>> counted(1, "state"), counted(2, "state"), counted(2, "batch", "batches")
    ('1 state', '2 states', '2 batches')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def apart(*numbers: Any, digits: int = 6) -> list[str]:
    """Return numbers for a message, with as many digits as it takes for those that differ to look different.

    Examples
    --------
    >>> apart(0.0, 3.0), apart(3.0, 3.0, 2.99999999)
    (['0', '3'], ['3', '3', '2.99999999'])
    """
    known = [float(number) for number in numbers]
    different = len({repr(number) for number in known})
    for count in range(digits, 17):
        texts = [f"{number:.{count}g}" for number in known]
        if len(set(texts)) == different:
            return texts
    return [repr(number) for number in known]


def shown(value: object) -> str:
    """Return what a message shows of a value: one line, and not too much of it.

    Examples
    --------
    >>> shown("x"), shown(list(range(100)))
    ("'x'", '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,...')
    """
    return shorten(repr(value), 60, placeholder="...")


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
    if not (isinstance(value, Hashable) and value in known):
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}."
        raise InputError(f"unknown {what} {shown(value)}; {hint}")


def check_has(owner: str, what: str, name: str, known: Iterable[str]) -> None:
    """Refuse the name of something that its owner has not, naming the nearest one.

    Raises
    ------
    InputError
        It has none of that name.

    Examples
    --------
    >>> check_has("the model", "state", "pray", ["prey", "predator"])
    Traceback (most recent call last):
    collocode.errors.InputError: the model has no state 'pray'; did you mean 'prey'? it has: prey, predator.
    """
    every = list(known)
    if name not in every:
        told = f"{_nearest(name, every)}it has: {listed(every, 20)}."
        raise InputError(f"{owner} has no {what} {name!r}; {told}")


def check_named(where: str, names: Iterable[str], what: str, known: Iterable[str]) -> None:
    """Refuse the first of some names that is none of the known ones, naming the nearest one.

    Raises
    ------
    InputError
        There is one.

    Examples
    --------
    >>> check_named("bounds=", {"prey": (0, 1), "preditor": (0, 1)}, "state", ["prey", "predator"])
    Traceback (most recent call last):
    collocode.errors.InputError: bounds= names 'preditor', which is no state; did you mean 'predator'? there are: prey, predator.
    """
    every = list(known)
    for name in names:
        if name not in every:
            told = f"{_nearest(name, every)}there are: {listed(every, 20)}."
            raise InputError(f"{where} names {name!r}, which is no {what}; {told}")


def _nearest(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), [str(one) for one in known], n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def check_whole(what: str, value: object, least: int = 1) -> int:
    """Return a whole number, 3.0 included, as an integer; refuse what is none or is too small.

    Raises
    ------
    InputError
        It is.

    Examples
    --------
    >>> check_whole("the number of layers", 0)
    Traceback (most recent call last):
    collocode.errors.InputError: the number of layers must be a positive integer, not 0.
    """
    number = _is_number(value) and not isinstance(value, bool)
    if not number or value % 1 != 0 or value < least:  # type: ignore[operator]
        wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise InputError(f"{what} must be {wanted}, not {shown(value)}.")
    return int(value)  # type: ignore[call-overload]


@contextmanager
def installed(what: str, extra: str) -> Iterator[None]:
    """Tell of an import inside that fails, which of our extras brings the package.

    Raises
    ------
    MissingDependency
        It fails.
    """
    try:
        yield
    except ImportError as error:
        raise MissingDependency(
            f"{what} is not installed; run: pip install 'collocode[{extra}]'."
        ) from error


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "float": ("a number", lambda value: _is_number(value)),
    "int": ("a whole number", lambda value: _is_number(value) and float(value).is_integer()),
    "bool": ("True or False", lambda value: isinstance(value, bool) or _is_scalar(value, "b")),
    "str": ("a text", lambda value: isinstance(value, str)),
    "Mapping": ("a dict", lambda value: isinstance(value, Mapping)),
    "Callable": ("a function", callable),
    "None": ("None", lambda value: value is None),
}


def check_fields(record: Any) -> None:
    """Refuse what is of another kind than a dataclass's fields say: numbers, texts, dicts and functions.

    Fields of further kinds (arrays, sequences, records of ours) are not looked at.

    Raises
    ------
    InputError
        One is.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Circle:
    ...     radius: float | None = None
    ...     def __post_init__(self):
    ...         check_fields(self)
    >>> Circle("large")
    Traceback (most recent call last):
    collocode.errors.InputError: radius of Circle must be a number or None, not 'large'.
    """
    for name, kinds in _kinds_of(type(record)):  # type: ignore[arg-type]
        value = getattr(record, name)
        if not any(fits(value) for _, fits in kinds):
            wanted = " or ".join(text for text, _ in kinds)
            raise InputError(
                f"{name} of {type(record).__name__} must be {wanted}, not {shown(value)}."
            )


@lru_cache(maxsize=256)
def _kinds_of(kind: type) -> list[tuple[str, list[tuple[str, Callable[[Any], bool]]]]]:
    """Fields of a dataclass that are of kinds that can be told, with these."""
    found = []
    for field in fields(kind):
        names = [part.partition("[")[0] for part in alternatives(str(field.type))]
        if all(name in _KINDS for name in names):
            found.append((field.name, [_KINDS[name] for name in names]))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) or _is_scalar(value)


def _is_scalar(value: Any, kind: str = "fiu") -> bool:
    """Whether it is an array of one number and no dimension."""
    return getattr(value, "ndim", None) == 0 and value.dtype.kind in kind


def as_number(value: Any, what: str) -> float:
    """Return a finite number as a float, or refuse what is none.

    Examples
    --------
    >>> as_number("fast", "instant=")
    Traceback (most recent call last):
    collocode.errors.InputError: instant= takes a finite number, not 'fast'.
    """
    if _is_number(value) and math.isfinite(value):
        return float(value)
    raise InputError(f"{what} takes a finite number, not {shown(value)}.")


def as_pair(value: Any, what: str) -> tuple[float, float]:
    """Return bounds (lower, upper) as two numbers, or refuse what is none.

    Examples
    --------
    >>> as_pair(3.0, "rate=")
    Traceback (most recent call last):
    collocode.errors.InputError: rate= takes two numbers (lower, upper), not 3.0.
    """
    try:
        lower, upper = value
        if _is_number(lower) and _is_number(upper):
            return float(lower), float(upper)
    except (TypeError, ValueError):
        pass
    raise InputError(f"{what} takes two numbers (lower, upper), not {shown(value)}.")


def as_names(value: Any, what: str) -> tuple[str, ...]:
    """Return one name or several as a tuple of them, or refuse what is none.

    Examples
    --------
    >>> as_names("coast", "windows="), as_names(["burn", "coast"], "windows=")
    (('coast',), ('burn', 'coast'))
    """
    names = (value,) if isinstance(value, str) else value
    if isinstance(names, Iterable):
        names = tuple(names)
        if all(isinstance(name, str) for name in names):
            return names
    raise InputError(f"{what} takes names, not {shown(value)}.")


def as_values(value: Any, what: str, *kinds: type) -> tuple[Any, ...]:
    """Return one value or several of some kinds as a tuple of them, or refuse what is none."""
    single = isinstance(value, (*kinds, str, Mapping)) or not isinstance(value, Iterable)
    values = (value,) if single else tuple(value)
    for one in values:
        check_type(what, one, *kinds)
    return values


def check_path(function: str, path: object) -> None:
    """Refuse what is neither text nor a path."""
    check_type(function, path, os.PathLike, str)


def check_level(level: Any) -> None:
    """Refuse what is no probability that an interval or a band may be asked to hold with."""
    if not isinstance(level, Real) or not 0.0 < float(level) < 1.0:
        raise InputError(f"a confidence level lies between 0 and 1, not at {level!r}.")
