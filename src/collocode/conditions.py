"""Conditions: under which a checkpoint counts, and what tells one problem from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property, partial
from pathlib import Path
from textwrap import shorten
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .errors import FileError
from .files import plain

UNFITTED = frozenset({"source", "truth", "test", "notes"})  # fields of a problem that no fit sees
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CONSTANTS = (*_PLAIN, np.ndarray, np.generic, tuple, list, dict)


def as_json(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return conditions as they look when read again; arrays as lists, objects as text."""
    answer: dict[str, Any] = json.loads(json.dumps(plain(conditions), default=str))
    return answer


def check_conditions(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that was made under other conditions than those of now.

    Raises
    ------
    FileError
        One differs, or is in one of the two alone.
    """
    then, now = as_json(there), as_json(here)
    for key in (*now, *sorted(then.keys() - now.keys())):
        if then.get(key) != now.get(key):
            old, new = (shorten(str(c.get(key)), 60, placeholder="...") for c in (then, now))
            raise FileError(
                f"{path} was made with other {key} ({old}, now {new}); name another checkpoint or "
                "delete it."
            )


def fingerprint(value: Any, without: Set[str] = frozenset()) -> str:
    """Return sixteen digits that differ where two values do: numbers, records, functions by what they do.

    Of a function its code counts with what it refers to, not where it is written; so the digits are the
    same in every process, and another version of Python may give others.

    Parameters
    ----------
    without : names of fields that do not count, in records at any depth.

    Examples
    --------
    >>> k = 2.0
    >>> fingerprint(lambda x: k * x) == fingerprint(lambda y: k * y)
    True
    >>> fingerprint([1.0, {"a": k}]) == fingerprint([1.0, {"a": k + 1e-9}])
    False
    """
    return _digest(value, without, {}).hex()[:16]


def _digest(value: Any, without: Set[str], known: dict[int, tuple[Any, bytes]]) -> bytes:
    """Of a value; ``known`` are those of objects that were met before, and of those that are under way."""
    digest = hashlib.sha256(f"{type(value).__qualname__} ".encode())
    if isinstance(value, _PLAIN):
        digest.update(repr(value).encode())
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        digest.update(f"{value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif id(value) in known:
        return known[id(value)][1]
    else:
        # the object is held, so that no other one gets its number
        known[id(value)] = value, b"it holds itself"
        for part in _parts(value, without):
            digest.update(_digest(part, without, known))
        known[id(value)] = value, digest.digest()
    return digest.digest()


def _parts(value: Any, without: Set[str]) -> Iterator[Any]:
    """What else tells an object from others of its type."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (key, inner)
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, Set):
        yield from sorted(map(repr, value))
    elif isinstance(value, np.ndarray | np.generic):
        yield value.tolist()
    elif isinstance(value, Enum):
        yield value.name
    elif isinstance(value, type | ModuleType):
        yield value.__name__
    elif isinstance(value, FunctionType):
        yield from _of_function(value)
    elif isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, partial):
        yield from (value.func, value.args, value.keywords)
    elif is_dataclass(value):
        for entry in fields(value):
            if entry.init and entry.name not in without:
                yield from (entry.name, getattr(value, entry.name))
    elif hasattr(value, "serialize"):  # of CasADi
        yield value.serialize()
    elif own := getattr(value, "__dict__", None):
        if callable(value):
            yield type(value).__call__
        for name, inner in own.items():
            if not isinstance(getattr(type(value), name, None), cached_property):
                yield from (name, inner)
    else:
        text = repr(value)
        yield getattr(value, "__name__", "") if " at 0x" in text else text


def _of_function(function: FunctionType) -> Iterator[Any]:
    """Code, defaults, and what it refers to: outer variables, constants and functions of its module."""
    yield from (function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not set yet
            yield None
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        yield from (code.co_code, code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
            else:
                yield constant
        for name in code.co_names:
            known = function.__globals__.get(name)
            own = isinstance(known, FunctionType) and known.__module__ == function.__module__
            if own or isinstance(known, _CONSTANTS):
                yield from (name, known)
