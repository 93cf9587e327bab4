"""A report as Markdown, and as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from importlib import resources

from .parts import Content, Facts, Figure, Finding, Heading, Severity, Span, Table, Words

_DENSITY = 1.6  # pixels of a figure for one of the page: letters are as large as the text's
_NAMES = {Severity.ERROR: "Error", Severity.WARNING: "Warning", Severity.NOTE: "Note"}


def as_markdown(report: Content, images: bool = False) -> str:
    """Return a report as Markdown; ``images`` refers to PNG files beside it."""
    parts = [f"# {report.title}", f"**{report.status}**"]
    if report.findings:
        parts.append(
            "\n".join(f"- **{_NAMES[f.severity]}:** {_marked(f)}" for f in report.findings)
        )
    for item in report.body:
        if isinstance(item, Heading):
            parts.append(f"## {item.text}")
        elif isinstance(item, Words):
            parts.append("".join(_escaped(text) for text, _ in _untitled(item, report)))
        elif isinstance(item, Facts):
            rows = "\n".join(f"| {k} | {_escaped(v)} |" for k, v in item.rows.items())
            parts.append(f"| | |\n|---|---|\n{rows}")
        else:
            parts += _markdown_table(item)
    if images:
        parts += [f"![{figure.caption}]({figure.name})" for figure in report.figures]
    return "\n\n".join(parts) + "\n"


def _marked(finding: Finding) -> str:
    return f"{_escaped(str(finding))} <!-- {finding.code} -->"


def _escaped(text: str) -> str:
    for mark in "\\|*_<>`[]":
        text = text.replace(mark, f"\\{mark}")
    return text


def _markdown_table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"### {table.title}"
    shown = table.shown()
    lines = [
        [_escaped(column.words) for column, _ in shown],
        ["---" if column.left else "--:" for column, _ in shown],
    ]
    for number, row in enumerate(table.picked):
        cells = [_escaped(column[number][0]) for _, column in shown]
        strong = row == table.strong
        lines.append([f"**{cell}**" if strong and cell else cell for cell in cells])
    yield "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if table.note:
        yield _escaped(table.note)


def as_html(report: Content) -> str:
    """Return a page with its style and its figures inside; it needs no connection."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    verdict = "good" if report.success else "bad"
    body = [
        f"<header><h1>{html.escape(report.title)}</h1>",
        f'<p class="verdict {verdict}">{html.escape(report.status)}</p></header>',
        *(_html_finding(finding) for finding in report.findings),
        *_html_figures(report, report.figures[:1]),
        *_html_body(report),
        *(["<h2>More figures</h2>"] if len(report.figures) > 1 else []),
        *_html_figures(report, report.figures[1:]),
        f"<footer>{html.escape(_origin(report))}</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(report.title)}: {html.escape(report.status)}</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n" + "\n".join(body) + "\n"
        "</main>\n</body>\n</html>\n"
    )


def framed(report: Content) -> str:
    """Return the page in a frame, so that its style stays away from a notebook's."""
    source = html.escape(as_html(report), quote=True)
    return f'<iframe srcdoc="{source}" style="width: 100%; height: 42em; border: 0"></iframe>'


def _html_finding(finding: Finding) -> str:
    remedy = f" <strong>{html.escape(_sentence(finding.remedy))}</strong>" if finding.remedy else ""
    return (
        f'<p class="finding {finding.severity.value}" id="{finding.code}">'
        f"<span>{_NAMES[finding.severity]}</span> {html.escape(_sentence(finding.text))}{remedy}</p>"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _html_figures(report: Content, figures: Sequence[Figure]) -> Iterator[str]:
    for figure in figures:
        image = report.images[figure.name]
        data, caption = base64.b64encode(image).decode(), html.escape(figure.caption)
        width = round(int.from_bytes(image[16:20]) / _DENSITY)  # where a PNG file says it
        yield (
            f'<figure><img alt="{caption}" width="{width}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


def _html_body(report: Content) -> Iterator[str]:
    for item in report.body:
        if isinstance(item, Heading):
            yield f"<h2>{html.escape(item.text)}</h2>"
        elif isinstance(item, Words):
            yield f"<p>{''.join(map(_span, _untitled(item, report)))}</p>"
        elif isinstance(item, Facts):
            rows = (
                f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in item.rows.items()
            )
            yield f"<dl>{''.join(rows)}</dl>"
        else:
            yield from _html_table(item)


def _untitled(item: Words, report: Content) -> Sequence[Span]:
    """Leave out title and status where they stand above already."""
    texts = [text for text, _ in item.spans]
    head = [report.title, "  ", report.status]
    if texts[:3] != head:
        return item.spans
    (first, tone), *others = item.spans[3:]
    return [(first.strip().capitalize() + ".", tone), *others]


def _span(span: Span) -> str:
    text, tone = html.escape(span[0]), span[1]
    return f'<span class="{tone}">{text}</span>' if tone else text


def _html_table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"<h3>{html.escape(table.title)}</h3>"
    shown = table.shown()
    sides = ["left" if column.left else "right" for column, _ in shown]
    heads = [html.escape(column.words) for column, _ in shown]
    rows = (
        _html_row([cells[n] for _, cells in shown], sides, row == table.strong)
        for n, row in enumerate(table.picked)
    )
    head = "".join(f'<th class="{s}">{h}</th>' for s, h in zip(sides, heads, strict=True))
    yield (
        f'<div class="table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    if table.note:
        yield f'<p class="quiet">{html.escape(table.note)}</p>'


def _html_row(cells: Sequence[Span], sides: Sequence[str], chosen: bool) -> str:
    parts = (
        f'<td class="{side}">{_span(cell)}</td>' for side, cell in zip(sides, cells, strict=True)
    )
    return f"<tr{' class=chosen' if chosen else ''}>{''.join(parts)}</tr>"


def _origin(report: Content) -> str:
    from collocode import __version__

    file = report.model.get("file", "")
    command = report.command.get("name", "")
    parts = [f"collocode {__version__}", " ".join(part for part in (command, str(file)) if part)]
    source = report.model.get("source", "")
    return " · ".join(part for part in (*parts, str(source)) if part)
