"""What a report consists of: findings, tables, figures, and the content that holds them, all data.

A `Table` keeps its rows as they are and says by its columns how they are shown; text, Markdown and
HTML are three ways to look at the same rows.  A `Finding` has a code that does not change, so that
programs can act on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..files import plain
from .folder import Writer
from .words import formatted

SCHEMA, VERSION = "collocode report", 2

Row = Mapping[str, Any]
Drawing = Any  # a matplotlib figure, which only the plots know
Span = tuple[str, str]  # text and its tone: good, bad, warn, quiet, strong or none


class Severity(Enum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Lever(Enum):
    """What a remedy acts on."""

    MESH = "mesh"
    REGULARISATION = "regularisation"
    START = "start"
    BOUNDS = "bounds"
    DATA = "data"
    SOLVER = "solver"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a reader must not overlook.

    Attributes
    ----------
    code : stable name, as docs/report.md lists them.
    severity : error (the result is none), warning (look before you use it), note (good to know).
    text : what was found.
    remedy : what to do about it; empty where there is nothing to do.
    lever : what the remedy acts on; None where it is none of these.
    """

    code: str
    severity: Severity = Severity.WARNING
    text: str
    remedy: str = ""
    lever: Lever | None = None

    def __str__(self) -> str:
        """Return text and remedy as one sentence."""
        return "; ".join(part for part in (self.text, self.remedy) if part) + "."

    def to_dict(self) -> dict[str, str]:
        """Return plain values."""
        lever = "" if self.lever is None else self.lever.value
        return {**vars(self), "severity": self.severity.value, "lever": lever}


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the most serious ones first; else their order stays."""
    weight = list(Severity)
    return tuple(sorted(findings, key=lambda finding: weight.index(finding.severity)))


@dataclass(frozen=True)
class Column:
    """How one column of a table is shown.

    Attributes
    ----------
    key : of the value in a row.
    heading : words above, the key if absent; they may be wrapped between words.
    form : of the value, as Python's ``format`` takes it; empty leaves it as it is.
    show : returns text or (text, tone) of a whole row, in place of ``form``.
    left : text is aligned to the left, numbers to the right.
    drop : where the width does not suffice, the columns of the highest number go first; 0 stays.
    """

    key: str
    form: str = ""
    heading: str | None = None
    _: KW_ONLY
    show: Callable[[Row], str | Span] | None = None
    left: bool = False
    drop: int = 0

    @property
    def words(self) -> str:
        """What stands above it."""
        return self.key if self.heading is None else self.heading

    def cell(self, row: Row) -> Span:
        """Return text and tone of a row's value."""
        shown = formatted(row.get(self.key), self.form) if self.show is None else self.show(row)
        return shown if isinstance(shown, tuple) else (shown, "")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows, and how they are shown.

    Attributes
    ----------
    name, title : for programs and for readers.
    columns : what is shown; those that are empty in all rows are left out.
    rows : values by key, also those that no column shows.
    note : a remark below.
    strong : number of the row that stands out.
    most : how many rows are shown, evenly picked; programs get all of them.
    """

    name: str
    title: str = ""
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""
    strong: int | None = None
    most: int = 10_000

    @property
    def picked(self) -> list[int]:
        """Numbers of the rows that are shown."""
        count = min(self.most, len(self.rows))
        return sorted({round(n) for n in np.linspace(0, len(self.rows) - 1, count)})

    @property
    def frame(self) -> Any:
        """The rows as a pandas data frame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def shown(self) -> list[tuple[Column, list[Span]]]:
        """Return the columns that have anything to show, with the cells of the `picked` rows."""
        rows = [self.rows[number] for number in self.picked]
        every = [(column, [column.cell(row) for row in rows]) for column in self.columns]
        return [(c, cells) for c, cells in every if any(text not in ("", "–") for text, _ in cells)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        heads = {c.key: c.words for c in self.columns if c.words}
        kept: dict[str, Any] = plain(
            {"title": self.title, "headings": heads, "rows": list(self.rows), "note": self.note}
        )
        return kept


@dataclass(frozen=True)
class Heading:
    """Begins a part of the report."""

    text: str


@dataclass(frozen=True)
class Words:
    """One paragraph of spans."""

    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Facts:
    """Labels with one sentence each."""

    rows: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure that is drawn when somebody wants to see it.

    Attributes
    ----------
    name : of its PNG file.
    caption : what it shows.
    draw : returns the matplotlib figure.
    """

    name: str
    caption: str
    draw: Callable[[], Drawing]


def figure(name: str, caption: str, function: str, *args: Any, **keywords: Any) -> Figure:
    """Return what a function of `collocode.plots` will draw of its arguments."""

    def draw() -> Drawing:
        from .. import plots  # matplotlib takes half a second to import

        return getattr(plots, function)(*args, **keywords)

    return Figure(name=f"{name}.png", caption=caption, draw=draw)


def headline(title: str, status: str, good: bool, rest: str) -> Words:
    """Return the line that tells how it ended."""
    return Words(((title, "strong"), ("  ", ""), (status, "good" if good else "bad"), (rest, "")))


@dataclass(frozen=True, kw_only=True)
class Content:
    """The data of a `Report`, which says what the attributes are."""

    kind: str
    title: str
    success: bool
    status: str
    interrupted: bool = False
    body: tuple[Heading | Words | Facts | Table, ...]
    findings: tuple[Finding, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    files: Mapping[str, Writer] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    command: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        return {item.name: item for item in self.body if isinstance(item, Table)}

    @property
    def facts(self) -> dict[str, str]:
        """All facts by label."""
        every = [item.rows for item in self.body if isinstance(item, Facts)]
        return {label: text for rows in every for label, text in rows.items()}

    @cached_property
    def images(self) -> dict[str, bytes]:
        """The figures as PNG, drawn at the first look."""
        from ..plots import png  # matplotlib takes half a second to import

        return {drawing.name: png(drawing.draw()) for drawing in self.figures}

    def around(self, **changes: Any) -> Self:
        """Return this report of a fit inside that of what found it: what is given goes before."""
        for name in ("body", "findings", "figures"):
            changes[name] = (*changes.get(name, ()), *getattr(self, name))
        changes["findings"] = ranked(changes["findings"])
        for name in ("result", "details", "files"):
            changes[name] = {**getattr(self, name), **changes.get(name, {})}
        return replace(self, **changes)

    def without_figures(self) -> Self:
        """Return the report without figures."""
        return replace(self, figures=())

    def to_dict(self, files: Sequence[str] = ()) -> dict[str, Any]:
        """Return the report as plain values; ``files`` are those that lie beside it."""
        from collocode import __version__

        found: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "version": VERSION,
                "collocode": __version__,
                "kind": self.kind,
                "title": self.title,
                "model": self.model,
                "command": self.command,
                "result": {"success": self.success, "status": self.status, **self.result},
                "findings": [finding.to_dict() for finding in self.findings],
                "facts": self.facts,
                "tables": {name: table.to_dict() for name, table in self.tables.items()},
                "details": self.details,
                "files": sorted(files),
            }
        )
        return found
