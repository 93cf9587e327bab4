"""Forms: what a tree of mappings, lists, numbers, text and arrays has to be, stated once.

A file may hold anything, so what was read is checked against its form before anything is made of it
(`collocode.files`):

========================  ======================================================================
form                      what fits
========================  ======================================================================
``str bool int float``    text, true or false, a whole number, a number (whole ones become floats)
``None``                  nothing
``object``                anything
an `Enum` class           the name of a member
a dataclass               a mapping with its fields, as their annotations want them
``Literal["a"]``          this text
``{"a": f, "b?": g}``     a mapping with these entries and no others; ``b`` may be absent
``{"*": f}``              a mapping with any further names
``[f]``                   a list
``(f, g)``                what fits ``f`` or ``g``
`Numbers`                 an array
========================  ======================================================================
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Tree = dict[str, Any]
Form = Any
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Numbers:
    """An array of float64, or of another type.

    Attributes
    ----------
    shape : lengths; a name stands for one length in its mapping and inside it, not beside it, and in
        lists and under any names for each entry anew; None for any shape.
    dtype : of its entries, byte order apart; None for numbers of any type.
    finite : whether NaN and infinities are refused.
    """

    shape: tuple[int | str, ...] | None = None
    _: KW_ONLY
    dtype: str | None = "float64"
    finite: bool = False


def fitted(value: Any, form: Form, place: str = "", lengths: dict[str, int] | None = None) -> Any:
    """Return a value of a form, its numbers as the form has them.

    Raises
    ------
    ValueError
        It does not fit; the sentence names the place in the tree.

    Examples
    --------
    >>> fitted({"x": [1, 2.5], "y": None}, {"x": [float], "y": (str, None)})
    {'x': [1.0, 2.5], 'y': None}
    >>> fitted({"x": [1, "2"]}, {"x": [float]})
    Traceback (most recent call last):
    ValueError: x.1 is '2' and not a number
    """
    lengths = {} if lengths is None else lengths
    if form is object:
        return value
    if isinstance(form, tuple):
        return _one_of(value, form, place, lengths)
    if isinstance(form, Numbers):
        return _numbers(value, form, place, lengths)
    if isinstance(form, list):
        if not isinstance(value, list):
            raise _misfit(value, "a list", place)
        return [fitted(v, form[0], _inside(place, i), dict(lengths)) for i, v in enumerate(value)]
    if is_dataclass(form):
        form = form_of(form)
    if isinstance(form, dict):
        return _mapping(value, form, place, lengths)
    return _scalar(value, form, place)


def _mapping(value: Any, form: Mapping[str, Form], place: str, lengths: dict[str, int]) -> Tree:
    if not isinstance(value, dict):
        raise _misfit(value, "a mapping", place)
    lengths = dict(lengths)
    entries = {name.removesuffix("?"): inner for name, inner in form.items() if name != "*"}
    absent = [name for name in form if not name.endswith(("?", "*")) and name not in value]
    if absent:
        raise ValueError(f"{_inside(place, absent[0])!r} is missing")
    further = [name for name in value if name not in entries]
    if further and "*" not in form:
        raise ValueError(f"{_inside(place, further[0])!r} is none of its entries")
    found = {
        name: fitted(value[name], inner, _inside(place, name), lengths)
        for name, inner in entries.items()
        if name in value
    }
    for name in further:
        found[name] = fitted(value[name], form["*"], _inside(place, name), dict(lengths))
    return found


def _one_of(value: Any, forms: tuple[Form, ...], place: str, lengths: dict[str, int]) -> Any:
    said: list[str] = []
    for form in forms:
        try:
            return fitted(value, form, place, lengths)
        except ValueError as error:
            said.append(str(error))
    raise ValueError(said[0])


def _numbers(value: Any, form: Numbers, place: str, lengths: dict[str, int]) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise _misfit(value, "an array", place)
    if form.dtype is None:
        if value.dtype.kind not in "biuf":
            raise ValueError(f"{place} is an array of {value.dtype} and not of numbers")
    elif value.dtype.newbyteorder("=") != np.dtype(form.dtype):
        raise ValueError(f"{place} is an array of {value.dtype} and not of {form.dtype}")
    if form.shape is not None:
        fits = len(form.shape) == value.ndim and all(
            (lengths.setdefault(n, found) if isinstance(n, str) else n) == found
            for n, found in zip(form.shape, value.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join(str(lengths.get(str(n), n)) for n in form.shape)
            raise ValueError(f"{place} does not fit: its shape is {value.shape}, not ({wanted})")
    if form.finite and not np.isfinite(value).all():
        raise ValueError(f"{place} has values that are not finite")
    return value


def _scalar(value: Any, form: Form, place: str) -> Any:
    if form is None:
        if value is not None:
            raise _misfit(value, "nothing", place)
        return None
    if get_origin(form) is Literal:
        if not isinstance(value, str) or value not in get_args(form):
            raise _misfit(value, " or ".join(map(repr, get_args(form))), place)
        return value
    if issubclass(form, Enum):
        if not isinstance(value, str) or value not in form.__members__:
            raise _misfit(value, f"a {form.__name__}", place)
        return value
    kinds = (int, float) if form is float else (form,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and form is not bool):
        raise _misfit(value, _WORDS[form], place)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{place or 'the content'} is too large a number")
    return float(value) if form is float else value


def _misfit(value: Any, wanted: str, place: str) -> ValueError:
    kinds = {dict: "a mapping", list: "a list", np.ndarray: "an array", type(None): "nothing"}
    found = kinds.get(type(value)) or repr(value)[:40]
    return ValueError(f"{place or 'the content'} is {found} and not {wanted}")


def _inside(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def form_of(kind: Any) -> dict[str, Form]:
    """Return the form of a dataclass's fields."""
    hints = get_type_hints(kind)
    return {entry.name: _form_of_hint(hints[entry.name]) for entry in fields(kind) if entry.init}


def _form_of_hint(hint: Any) -> Form:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is type(None):
        return None
    if origin in (Union, types.UnionType):
        return tuple(_form_of_hint(h) for h in inner)
    if origin is tuple or origin is list:
        return [_form_of_hint(inner[0])]  # of one kind, as all in archives
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"*": _form_of_hint(inner[1])}
    return hint
