"""Cells of tables as numbers: read rightly, or refused by line and column.

A comma in a number is a decimal comma where the separator of the fields says so; where it might part
thousands the file is refused.  A point is always a decimal point: where every number with a point might as
well have it between thousands (``1.500``), that is said, as is whatever else was decided, in `Table.notes`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ..checks import listed
from ..errors import InputError
from ..numerics import Array

_LOG = logging.getLogger("collocode")
_SIGNS = frozenset("0123456789+-.eE ")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.I)
_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
_DATE = re.compile(  # or a time of day
    r"\s*(\d{4}([-./])\d{1,2}\2\d{1,2}|\d{1,2}([-./])\d{1,2}\3(\d\d|\d{4})|\d{1,2}:\d\d)(?![\d.])",
    re.ASCII,
)
_MISSING = frozenset([
    "", "nan", "-nan", "na", "n/a", "<na>", "#na", "#n/a", "null", "none", "1.#ind", "-1.#ind",
    "1.#qnan", "-1.#qnan", "#n/a n/a",
])  # fmt: skip


@dataclass(eq=False, kw_only=True)
class Table:
    """Named columns of cells, and where a reader finds each row.

    Attributes
    ----------
    source : what messages call it.
    columns : cells by name: text or Python objects, or an array of numbers.
    place : tells "line 7" of row 5.
    commas : "decimal" where a comma in a number is one, "doubtful" where it may part thousands, or "".
    notes : what was decided about it, a phrase each.
    """

    source: str
    columns: Mapping[str, Sequence[Any] | Array]
    place: Callable[[int], str]
    commas: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.columns)

    def tell(self) -> None:
        """Log what was decided, if anything was."""
        if self.notes:
            _LOG.warning("%s was read with: %s.", self.source, "; ".join(self.notes))

    def require(self, names: Iterable[str]) -> None:
        """Refuse names that are no columns."""
        for name in names:
            if name not in self.columns:
                found = listed(self.columns, 20)
                hint = "" if len(self.columns) > 1 else "; is it another separator?"
                raise InputError(f"{self.source} has no column {name!r}; it has: {found}{hint}.")

    def refuse(self, row: int, name: str, why: str) -> NoReturn:
        """Refuse a cell."""
        raise InputError(f"{self.source}, {self.place(row)}, column {name!r}: {why}.")

    def numbers(self, names: Iterable[str]) -> dict[str, Array]:
        """Return columns as numbers, empty cells as NaN.

        Raises
        ------
        InputError
            A cell that is none, by line and column.
        """
        wanted = list(dict.fromkeys(names))
        found = {name: _plain(self.columns[name]) for name in wanted}
        commas = bool(self.commas) and self._decimal_commas([n for n in wanted if found[n] is None])
        if self.commas == "decimal" and not commas:
            self._say_points(wanted)
        numbers = {}
        for name in wanted:
            fast = found[name]
            if commas and fast is not None:
                self._refuse_points(name)
            numbers[name] = self._parsed(name, commas) if fast is None else fast
        return numbers

    def _parsed(self, name: str, commas: bool) -> Array:
        cells, parsed = self.columns[name], np.empty(len(self.columns[name]))
        if commas:
            self._refuse_points(name)
        for row, cell in enumerate(cells):
            value = number(cell, commas)
            if value is None:
                shown, limit = repr(str(cell)[:40]), str(cell).strip()[:1] in tuple("<>≤≥")
                why = "is not a number; repair the cell or leave it empty"
                if limit:
                    why = "is a limit; write its number here, and which side by censored= of an Experiment"
                elif _DATE.match(str(cell)):
                    why = (
                        "is a date; write numbers, such as hours since the first: "
                        "(frame[name] - frame[name].min()) / pandas.Timedelta('1h') of a data frame"
                    )
                self.refuse(row, name, f"{shown} {why}")
            parsed[row] = value
        return parsed

    def _decimal_commas(self, names: Sequence[str]) -> bool:
        cells = [
            (row, name, str(cell).strip())
            for name in names
            for row, cell in enumerate(self.columns[name])
            if _COMMA.fullmatch(str(cell).strip()) or _THOUSANDS.fullmatch(str(cell).strip())
        ]
        if cells and self.commas == "doubtful" and all(_THOUSANDS.fullmatch(c) for *_, c in cells):
            row, name, cell = cells[0]
            why = "has a decimal comma or one between thousands; write a point"
            self.refuse(row, name, f"{cell!r} {why}")
        if cells:
            self.notes.append("decimal commas")
        return bool(cells)

    def _say_points(self, names: Sequence[str]) -> None:
        """Note that points are decimal points, where all of them might part thousands."""
        pointed = (c for n in names for c in map(str, self.columns[n]) if "." in c)
        example = ""
        for cell in pointed:
            if not _POINTS.fullmatch(cell.strip()):
                return
            example = example or cell.strip()
        if example:
            self.notes.append(f"decimal points ({example} is {float(example):g}, no thousands)")

    def _refuse_points(self, name: str) -> None:
        for row, cell in enumerate(self.columns[name]):
            if "." in str(cell):
                self.refuse(
                    row, name, f"{str(cell)!r} has a point where others have decimal commas"
                )


def number(cell: Any, commas: bool = False) -> float | None:
    """Return the number in a cell, NaN of an empty one, None if it is none.

    Examples
    --------
    >>> number(" 1.5e3 "), number("NA"), number("1_000"), number("1,5"), number("1,5", commas=True)
    (1500.0, nan, None, None, 1.5)
    """
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in _MISSING:
            return np.nan
        if commas and _COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        return float(text) if _NUMBER.fullmatch(text) else None
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return np.nan
    try:  # dates and complex numbers have no float
        return None if isinstance(cell, bytes) else float(cell)
    except (TypeError, ValueError):
        return None


def _plain(cells: Sequence[Any] | Array) -> Array | None:
    """Numbers of cells that all are, or None; this is what makes wide and long tables fast."""
    if isinstance(cells, np.ndarray):
        return cells.astype(float)
    try:
        if set("".join(cells)) <= _SIGNS:
            return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except (TypeError, ValueError):
        pass
    return None
