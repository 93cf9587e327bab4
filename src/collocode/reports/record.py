"""A `Report`: the content of a result's story, and its faces."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from .folder import Folder, Writer
from .pages import as_html, as_markdown, framed
from .parts import Content, Finding, Lever, Severity
from .text import as_text
from .words import spoken


@dataclass(frozen=True, kw_only=True)
class Report(Content):
    """What came out of a run; ``print(report)`` shows it.

    Attributes
    ----------
    kind : solution, sweep, multistart, refinement, admm, training, layers, growth, relu, program or
        simulation.
    title : name of the problem.
    success : whether the result can be used as what was asked for; ``status`` says it in words.
    interrupted : whether Ctrl-C ended it.
    body : headings, paragraphs, facts and tables in the order in which they are read.
    findings : errors, warnings and notes.
    result : numbers of the outcome, for programs.
    details : what else is known, by topic, for programs.
    figures, files : what a folder gets beside the report itself: figures; writers by file name.
    model, command : the model file with its settings, and the command with its options.
    """

    def __str__(self) -> str:
        """Return the report as text of at most 80 columns."""
        return as_text(self)

    def to_json(self, files: Sequence[str] = ()) -> str:
        """Return the report as JSON, of the schema that docs/report.md describes."""
        return json.dumps(self.to_dict(files), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def to_markdown(self, images: bool = False) -> str:
        """Return the report as Markdown; ``images`` refers to the PNG files of `write`."""
        return as_markdown(self, images)

    def to_html(self) -> str:
        """Return one page that needs nothing else: style and figures are inside."""
        return as_html(self)

    def _repr_html_(self) -> str:
        """Show the report in a notebook, in a frame of its own."""
        return framed(self)

    def written(self, stem: str = "report") -> dict[str, Writer]:
        """Return the writers of all files by name: report, tables, data and figures."""
        files = dict(self.files)
        for name, data in self.images.items() if self.figures else ():
            files[name] = _bytes(data)
        own = report_names(stem)
        texts = (self.to_json([*files, *own]), self.to_markdown(images=True), self.to_html())
        return files | {n: _bytes(t.encode()) for n, t in zip(own, texts, strict=True)}

    def write(self, folder: str | Path, plots: bool = True) -> list[Path]:
        """Write report, tables, data and figures into a folder, which is made if need be.

        Returns
        -------
        The files: ``report.json``, ``report.md``, ``report.html`` and what the kind of result has.

        Raises
        ------
        InputError
            The folder has other files of these names.
        FileError
            It cannot be written.
        """
        report = self if plots else self.without_figures()
        return Folder(Path(folder)).write(report.written())


def report_names(stem: str = "report") -> list[str]:
    """Return the names of a report's own files."""
    return [f"{stem}.{ending}" for ending in ("json", "md", "html")]


def _bytes(data: bytes) -> Writer:
    return lambda path: path.write_bytes(data)


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return severity, text and remedy of every finding by its code, from findings.toml."""
    text = resources.files(__package__).joinpath("findings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for, as far as the result does not tell.

    Attributes
    ----------
    model : the model file, its settings and the source of the problem.
    command : name of the command, and its options.
    start : the start strategy, so that a remedy can name another one.
    shell : whether remedies speak the words of the command line; else those of Python.
    problem : what a result does not keep: a `LayeredProblem`, a `Surrogate`, an `NlModel`.
    more : what else the kind of result can use.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    command: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    shell: bool = False
    problem: Any = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def finding(self, code: str, lever: Lever | None = None, /, **facts: Any) -> Finding:
        """Return a finding of the `catalogue` in the reader's words, see `spoken`."""
        entry = catalogue()[code]
        text, remedy = (
            spoken(entry.get(part, "").format(**facts), self.shell) for part in ("text", "remedy")
        )
        severity = Severity(entry.get("severity", "warning"))
        lever = lever or (Lever(entry["lever"]) if "lever" in entry else None)
        return Finding(code=code, severity=severity, text=text, remedy=remedy, lever=lever)

    def report(self, source: str, **parts: Any) -> Report:
        """Return a report of what was asked; ``source`` is that of the problem."""
        return Report(model={"source": source, **self.model}, command=self.command, **parts)
