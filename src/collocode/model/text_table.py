"""Text files as loggers and spreadsheets write them, as a `Table` of cells.

The separator is the one of ``,`` ``;`` tab ``|`` and blanks by which every row has as many fields as the
header, a comma if several do.  What has no header, or a row that does not fit it, is refused with the line;
what was decided is said in `Table.notes`.  What the cells mean is told in `cells`.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import FileError, InputError
from .cells import Table, number

Row = tuple[int, Sequence[Any]]  # line, fields
LARGEST = 2**31  # bytes, unpacked
_PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_EMPTY = "{} is empty; it needs a header line and rows of numbers."
_SAMPLE = 50  # rows that decide on the separator


def read_text(path: str | Path, encoding: str | None = None) -> Table:
    """Read a text file of numbers with a header, also a packed one (``.gz``, ``.bz2``, ``.xz``).

    Parameters
    ----------
    path : the file.
    encoding : None takes UTF-8, or UTF-16 by its mark.

    Raises
    ------
    FileError
        Missing, empty, no text in UTF-8 or UTF-16, without a header, or with a row of another number of
        fields, by its line.
    """
    source = Path(path)
    text = _decoded(source, encoding)
    comments, rows, separator = _rows(text, source)
    notes = [] if separator == "," else [f"{_SEPARATORS[separator]} between fields"]
    columns, lines = tabulated(rows, comments, source, notes)
    commas = "decimal" if separator == ";" else "doubtful"
    if separator == "," and '"' not in text:
        commas = ""
    return Table(
        source=source.name,
        columns=columns,
        place=lambda row: f"line {lines[row]}",
        commas=commas,
        notes=notes,
    )


def _decoded(source: Path, encoding: str | None) -> str:
    if not source.is_file():
        raise FileError(f"there is no data file {str(source)!r}; check the path.")
    try:
        with _PACKED.get(source.suffix.lower(), open)(source, "rb") as stream:
            content: bytes = stream.read(LARGEST + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise FileError(f"{source} cannot be read as CSV ({error}).") from error
    if len(content) > LARGEST:
        raise FileError(f"{source} holds more than {LARGEST} bytes, too much for a table.")
    if content[:4] in (b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"):
        raise FileError(f"{source} is no text but a spreadsheet or Parquet file; use read_table.")
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    usual = "utf-16" if wide else "utf-8-sig"
    try:
        text = content.decode(encoding or usual)
    except LookupError as error:
        raise InputError(
            f"there is no encoding {encoding!r}; name one of Python's, say 'latin-1' or 'cp1252'."
        ) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        told, byte = encoding or ("UTF-16" if wide else "UTF-8"), content[error.start]
        raise FileError(
            f"{source} is not written in {told}: line {line} has the byte 0x{byte:02x}; name its encoding, "
            "often encoding='cp1252' or 'latin-1', or save it as UTF-8."
        ) from error
    if not text.strip():
        raise FileError(_EMPTY.format(source))
    if "\0" in text:
        raise FileError(f"{source} cannot be read as CSV (it holds zero bytes).")
    return text


def _rows(text: str, source: Path) -> tuple[list[str], list[Row], str]:
    """Return leading comment lines, rows with their lines, and the separator."""
    lines = re.split(r"\r\n|\r|\n", text)
    told = re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.I)  # for Excel
    skipped = int(told is not None)
    while skipped < len(lines) and (lines[skipped].startswith("#") or not lines[skipped].strip()):
        skipped += 1
    comments = [line for line in lines[:skipped] if line.startswith("#")]
    body = lines[skipped:]
    separator = told.group(1) if told else _separator(body[:_SAMPLE])
    if separator not in _SEPARATORS:
        raise FileError(f"{source} is separated by {separator!r}; choose one of , ; | and tabs.")
    try:
        rows: list[Row] = [(n + skipped, fields) for n, fields in _split(body, separator)]
    except csv.Error as error:
        raise FileError(f"{source} cannot be read as CSV ({error}).") from error
    return comments, rows, separator


def _split(lines: Sequence[str], separator: str) -> Iterable[tuple[int, list[str]]]:
    """Fields by line; quotes hold them together."""
    if separator == " ":
        yield from ((n, line.split()) for n, line in enumerate(lines, start=1))
        return
    csv.field_size_limit(2**20)
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=separator,
        skipinitialspace=separator != "\t",
        strict=True,
    )
    for fields in reader:
        yield reader.line_num, fields


def _separator(lines: Sequence[str]) -> str:
    best = (0.0, ",")
    for separator in _SEPARATORS:
        try:
            rows = [fields for _, fields in _split(lines, separator) if any(map(str.strip, fields))]
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        if width < 2:
            continue
        fits = all(
            len(row) == width or (len(row) == width + 1 and not row[-1].strip()) for row in rows[1:]
        )
        cells = [cell for row in rows[1:] for cell in row]
        known = sum(number(cell, separator != ",") is not None for cell in cells)
        share = known / max(1, len(cells))
        best = max(best, (2.0 * fits + share, separator), key=lambda found: found[0])
    return best[1]


# ---- rows to columns ----------------------------------------------------------------------------


def tabulated(
    rows: Sequence[Row], comments: Sequence[str], source: Path, notes: list[str]
) -> tuple[dict[str, Sequence[Any]], list[int]]:
    """Return the columns under the names of the first row, and the line of every other row.

    Raises
    ------
    FileError
        No names or the same one twice, no rows, or a row that does not fit the header.
    """
    kept = [(line, fields) for line, fields in rows if not all(map(_blank, fields))]
    if not kept:
        raise FileError(_EMPTY.format(source))
    header_line, header = kept[0][0], [str(name).strip() for name in kept[0][1]]
    if all(number(name, commas=True) is not None for name in header):
        names = comments[-1].lstrip("# ") if comments else ""
        named = next(fields for _, fields in _split([names], _separator([names])))
        if len(named) != len(header) or number(named[0]) is not None:
            raise FileError(
                f"{source} has no header: line {header_line} holds numbers; put the names of the "
                "columns, such as t,x, in a line above."
            )
        header = [name.strip() for name in named]
        notes.append(f"names of columns from the comment {comments[-1][:60]!r}")
        kept.insert(0, kept[0])
    kept = kept[1:]
    told = [any(not _blank(v) and number(v, True) is not None for v in f) for _, f in kept[:2]]
    if told == [False, True]:
        notes.append(f"line {kept[0][0]}, which has no numbers, taken for units")
        kept = kept[1:]
    if not kept:
        raise FileError(f"{source} has a header but no rows; add data.")
    if all(len(fields) == len(header) + 1 and _blank(fields[-1]) for _, fields in kept):
        kept = [(line, fields[:-1]) for line, fields in kept]
        notes.append("separators at the ends of the rows are dropped")
    for line, fields in kept:
        if len(fields) != len(header):
            raise FileError(_misfit(source, kept, line, len(fields), len(header)))
    columns = list(zip(*(fields for _, fields in kept), strict=True))
    found: dict[str, Sequence[Any]] = {}
    for place, (name, cells) in enumerate(zip(header, columns, strict=True), start=1):
        if not name and all(map(_blank, cells)):
            notes.append(f"the empty column {place} is dropped")
            continue
        if not name:
            raise FileError(
                f"{source}: column {place} has no name in line {header_line}; name it, or leave it out."
            )
        if name in found:
            raise FileError(f"{source}: two columns are called {name!r}; rename one of them.")
        found[name] = cells
    return found, [line for line, _ in kept]


def _blank(cell: Any) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


def _misfit(source: Path, rows: Sequence[Row], line: int, fields: int, header: int) -> str:
    every = {len(row) for _, row in rows} == {fields}
    hint = "no cell can be assigned to its column; repair the row"
    if every and fields > header:
        hint = "if these are decimal commas, write points, or semicolons between the fields"
    return (
        f"{source} cannot be read as CSV: line {line} has {fields} fields, but the header has "
        f"{header}; {hint}."
    )
