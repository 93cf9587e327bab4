"""A report as lines of spans: text that keeps within a width, with tones that a terminal may colour."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from .parts import Column, Content, Facts, Finding, Heading, Severity, Span, Table, Words

Line = tuple[Span, ...]
WIDTH = 80
_TEXT = 12  # a column of text is not made narrower
_TONES = {Severity.ERROR: "bad", Severity.WARNING: "warn", Severity.NOTE: "quiet"}


def as_text(report: Content, width: int = WIDTH) -> str:
    """Return a report as plain text, its findings included."""
    lines = report_lines(report, width)
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def report_lines(
    report: Content, width: int = WIDTH, severities: Collection[Severity] = tuple(Severity)
) -> Iterator[Line]:
    """Yield a report's lines; findings of the given severities stand at its end."""
    before: object = None
    for item in report.body:
        if not (isinstance(item, Words) and isinstance(before, Table | Words)):
            yield ()
        before = item
        if isinstance(item, Table):
            yield from table_lines(item, width)
        elif isinstance(item, Facts):
            yield from _fact_lines(item, width)
        else:
            spans = ((item.text, "strong"),) if isinstance(item, Heading) else item.spans
            yield from wrapped(spans, width)
    said = [finding for finding in report.findings if finding.severity in severities]
    if said:
        yield ()
    for finding in said:
        yield from wrapped(finding_spans(finding), width, 2)
    yield ()


def finding_spans(finding: Finding) -> Line:
    """Return a finding behind its severity."""
    return (f"{finding.severity.value}: ", _TONES[finding.severity]), (str(finding), "")


def wrapped(spans: Sequence[Span], width: int, indent: int = 0) -> Iterator[Line]:
    """Break spans between words; further lines are indented."""
    line: list[Span] = []
    used = 0
    for text, tone in spans:
        for number, word in enumerate(text.split(" ")):
            gap = " " if number else ""
            if used + len(gap) + len(word) > width and used > indent:
                yield tuple(line)
                line, used, gap = [(" " * indent, "")], indent, ""
            line.append((gap + word, tone))
            used += len(gap) + len(word)
    if line:
        yield tuple(line)


def _fact_lines(facts: Facts, width: int) -> Iterator[Line]:
    space = max(map(len, facts.rows), default=0) + 2
    for label, text in facts.rows.items():
        spans = ((label.ljust(space), "quiet"), (text, ""))
        yield from wrapped(spans, width, space)


def table_lines(table: Table, width: int = WIDTH) -> Iterator[Line]:
    """Yield title, headings, rows and note of a table.

    Columns that may be left out go where the width does not suffice, and the note names them; then the
    gaps shrink, and the widest column of text is wrapped.  Where all that is not enough, every row
    becomes a list of its values.
    """
    every = table.shown()
    shown = list(every)
    while _width(shown, 2) > width and any(column.drop for column, _ in shown):
        shown.remove(max(shown, key=lambda part: part[0].drop))
    gap = 2 if _width(shown, 2) <= width else 1
    whole = _width(shown, gap, whole=True) <= width  # no heading has to be wrapped
    widths = [_least(*part, whole) for part in shown]
    excess = sum(widths) + gap * (len(widths) - 1) - width
    texts = [n for n, (column, _) in enumerate(shown) if column.left]
    if excess > 0 and texts:
        widest = max(texts, key=lambda n: widths[n])
        fitted = max(_TEXT, widths[widest] - excess)
        excess -= widths[widest] - fitted
        widths[widest] = fitted
    if table.title:
        yield from wrapped([(table.title, "strong")], width)
    if excess > 0 and len(every) > 1:
        yield from _record_lines(table, every, width)
    else:
        yield from _row_lines(table, shown, widths, gap)
    kept = {column.key for column, _ in (every if excess > 0 else shown)}
    lost = [column.words or column.key for column, _ in every if column.key not in kept]
    note = [table.note] if table.note else []
    note += [f"Not shown for want of width: {', '.join(lost)}."] if lost else []
    for text in note:
        yield from wrapped([(text, "quiet")], width)


def _record_lines(
    table: Table, columns: list[tuple[Column, list[Span]]], width: int
) -> Iterator[Line]:
    """Yield every row as a list of its values, each behind its heading."""
    space = max(len(column.words) for column, _ in columns) + 2
    for number, row in enumerate(table.picked):
        if number:
            yield ()
        strong = "strong" if row == table.strong else ""
        for column, cells in columns:
            text, tone = cells[number]
            if text not in ("", "–"):
                label, value = (column.words.ljust(space), "quiet"), (text, tone or strong)
                if space + max(map(len, text.split(" "))) <= width:
                    yield from wrapped((label, value), width, space)
                else:
                    yield (label,)
                    yield from wrapped((("  ", ""), value), width, 2)


def _row_lines(
    table: Table, shown: list[tuple[Column, list[Span]]], widths: list[int], gap: int
) -> Iterator[Line]:
    heads = [[(text, "quiet") for text in _fold(c.words, w)] for (c, _), w in _zip(shown, widths)]
    if any(column.words for column, _ in shown):
        yield from _block(heads, shown, widths, gap, bottom=True)
    for number, row in enumerate(table.picked):
        cells = [
            [(part, tone or ("strong" if row == table.strong else "")) for part in _fold(text, w)]
            for (_, column), w in _zip(shown, widths)
            for text, tone in (column[number],)
        ]
        yield from _block(cells, shown, widths, gap)


def _zip(
    shown: list[tuple[Column, list[Span]]], widths: list[int]
) -> Iterator[tuple[tuple[Column, list[Span]], int]]:
    return iter(zip(shown, widths, strict=True))


def _least(column: Column, cells: list[Span], whole: bool = False) -> int:
    """Width of a column, whose heading is wrapped between words unless it stays whole."""
    words = [column.words] if whole else column.words.split(" ")
    return max(map(len, [*words, *(text for text, _ in cells)]))


def _width(shown: list[tuple[Column, list[Span]]], gap: int, whole: bool = False) -> int:
    return sum(_least(*part, whole) for part in shown) + gap * (len(shown) - 1)


def _fold(text: str, width: int) -> list[str]:
    """Break text between words, and words that are longer than a line."""
    lines = [""]
    parts = (w[i : i + width] for w in text.split(" ") for i in range(0, max(1, len(w)), width))
    for word in parts:
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _block(
    cells: list[list[Span]],
    shown: list[tuple[Column, list[Span]]],
    widths: list[int],
    gap: int,
    bottom: bool = False,
) -> Iterator[Line]:
    """Yield one row, of as many lines as its longest cell; headings stand at the bottom."""
    height = max(map(len, cells), default=0)
    padded = [
        [*[("", "")] * (height - len(c)), *c] if bottom else [*c, *[("", "")] * (height - len(c))]
        for c in cells
    ]
    for line in range(height):
        spans: list[Span] = []
        for (column, _), parts, width in zip(shown, padded, widths, strict=True):
            text, tone = parts[line]
            spans += [((text.ljust if column.left else text.rjust)(width), tone), (" " * gap, "")]
        yield tuple(spans[:-1])
