"""`report`: any result of the package as a `Report`, which is one value with many faces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InputError, listed
from ..files import plain
from .folder import Folder, Writer
from .record import Facts, Figure, Finding, Heading, Severity, Table, Words
from .words import spoken

SCHEMA, VERSION = "collocode report", 2
# what describes a class, by the class's name: the modules of those that are not used stay unloaded
_HOMES = {
    "Solution": "solution.report_solution",
    "Sweep": "searches.report_sweep",
    "Multistart": "searches.report_multistart",
    "MeshRefinement": "refinement.report_refinement",
    "ADMMResult": "admm.report_admm",
    "Training": "training.report_training",
    "LayerRefinement": "layers.report_layers",
    "Growth": "layers.report_growth",
    "OptimumResult": "relu.report_optimum",
    "SolverResult": "programs.report_program",
    "Simulation": "programs.report_simulation",
}


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

    def finding(
        self, code: str, text: str, remedy: str = "", severity: Severity = Severity.WARNING
    ) -> Finding:
        """Return a finding whose remedy speaks the reader's words, see `spoken`."""
        said, what = (spoken(part, self.shell) for part in (remedy, text))
        return Finding(code=code, severity=severity, text=what, remedy=said)

    def report(self, source: str, **parts: Any) -> Report:
        """Return a report of what was asked; ``source`` is that of the problem."""
        return Report(model={"source": source, **self.model}, command=self.command, **parts)


@dataclass(frozen=True, kw_only=True)
class Report:
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

    def around(self, **changes: Any) -> Report:
        """Return this report of a fit inside that of what found it: what is given goes before."""
        for name in ("body", "findings", "figures"):
            changes[name] = (*changes.get(name, ()), *getattr(self, name))
        for name in ("result", "details", "files"):
            changes[name] = {**getattr(self, name), **changes.get(name, {})}
        return replace(self, **changes)

    def without_figures(self) -> Report:
        """Return the report without figures."""
        return replace(self, figures=())

    def __str__(self) -> str:
        """Return the report as text of at most 80 columns."""
        from .text import as_text

        return as_text(self)

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

    def to_json(self, files: Sequence[str] = ()) -> str:
        """Return the report as JSON, of the schema that docs/report.md describes."""
        return json.dumps(self.to_dict(files), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def to_markdown(self, images: bool = False) -> str:
        """Return the report as Markdown; ``images`` refers to the PNG files of `write`."""
        from .pages import as_markdown

        return as_markdown(self, images)

    def to_html(self) -> str:
        """Return one page that needs nothing else: style and figures are inside."""
        from .pages import as_html

        return as_html(self)

    def _repr_html_(self) -> str:
        """Show the report in a notebook, in a frame of its own."""
        from .pages import framed

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


def report(result: Any, problem: Any = None, *, asked: Asked | None = None) -> Report:
    """Return what came out, as a value that prints itself, and as JSON, Markdown or HTML.

    Parameters
    ----------
    result : a `Solution`, `Sweep`, `Multistart`, `MeshRefinement`, `ADMMResult`, `LayerRefinement`,
        `Growth`, `Training` of a layered network, `OptimumResult` over a ReLU network, or
        `SolverResult` of an ``.nl`` file.
    problem : what the result does not keep: the `LayeredProblem` of a training or a growth, the
        `Surrogate` of an optimum, the `NlModel` of a solver's result.
    asked : what the command line was asked; nobody else needs it.

    Raises
    ------
    InputError
        Something else.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem, fit
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> found = report(fit(Problem(decay, Experiment(t, np.exp(-0.7 * t), outputs=("c",)))))
    >>> found.success, found.status, round(found.tables["parameters"].rows[0]["value"], 3)
    (True, 'converged (optimal)', 0.7)
    """
    how = asked or Asked(problem=problem)
    for kind in type(result).__mro__:
        if kind.__name__ in _HOMES and kind.__module__.startswith("collocode."):
            module, _, function = _HOMES[kind.__name__].partition(".")
            found: Report = getattr(import_module(f"{__package__}.{module}"), function)(result, how)
            return found
    raise InputError(
        f"report takes a result of collocode ({listed(_HOMES, 12)}), not an object of type "
        f"{type(result).__name__!r}."
    )
