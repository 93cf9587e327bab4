"""One run of a command: its model, its folder and checkpoint, its report, its exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import typer
from rich.text import Text

import collocode as cc

from ..checks import counted
from ..errors import CollocodeError, FileError, InputError
from ..reports.folder import Folder, Writer
from ..reports.record import Asked, Report, report_names
from ..solvers.interrupt import Interrupt
from .model_file import ModelFile, load_model
from .settings import defaults_text, parse_options, parse_settings, settings_table
from .streams import shown
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, output, show_report, show_table


def ready(
    context: typer.Context, model: Path | None, show_help: bool, wanted: str = "problem"
) -> Path:
    """Return the model's path; show the help, with what is the model's own, if that is wanted."""
    if show_help:
        typer.echo(context.get_help())
        if model is not None and model.suffix not in (".npz", ".onnx"):
            _show_settings(load_model(model, wanted))
        raise typer.Exit
    if model is None:
        raise typer.BadParameter("give a model file.", context, param_hint="MODEL")
    return model


def _show_settings(model: ModelFile) -> None:
    """Print what ``--set`` reaches in a model, and which options the model has set itself."""
    console = output()
    console.print(Text(f"{model.summary}\n", "bold"))
    show_table(settings_table(model.settings))
    if model.defaults:
        own = defaults_text(model.defaults)
        console.print(Text.assemble(("\nThe model's own:  ", "dim"), own))


@dataclass(frozen=True)
class Task:
    """A model with its settings and the keywords of `fit`.

    Attributes
    ----------
    model : the model file.
    values : settings given by ``--set``.
    keywords : of `fit`; the start may be the path of a saved one.
    """

    model: ModelFile
    values: Mapping[str, Any]
    keywords: Mapping[str, Any]

    @cached_property
    def how(self) -> Mapping[str, Any]:
        """Keywords of `fit`."""
        start = self.keywords["start"]
        saved = str(start).endswith(".npz")
        return {**self.keywords, "start": cc.load(start) if saved else start}

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the model, given or by default."""
        return {s.name: self.values.get(s.name, s.default) for s in self.model.settings}

    def problem(self, **more: Any) -> cc.Problem:
        """Return the model's problem, with some settings replaced."""
        return self.model.identification({**self.values, **more})


@dataclass(frozen=True)
class Run:
    """What the command line says, beside a command's own options.

    Attributes
    ----------
    context : of the command.
    path : MODEL.
    values : all options by name.
    """

    context: typer.Context
    path: Path
    values: Mapping[str, Any]

    @property
    def out(self) -> Path | None:
        """The folder of ``--out``."""
        out: Path | None = self.values.get("out")
        return out

    @property
    def plots(self) -> bool:
        """Whether figures are wanted."""
        return not self.values.get("no_plots", False)

    @property
    def options(self) -> dict[str, Any]:
        """The solver's options."""
        threads = self.values.get("threads")
        given = {} if threads is None else {"threads": threads}
        return given | parse_options(self.values.get("option") or ())

    def given(self) -> dict[str, Any]:
        """Options that stand on the command line."""
        sources = {name: self.context.get_parameter_source(name) for name in self.context.params}
        said = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
        return {name: self.context.params[name] for name in said}

    # ---- the model -------------------------------------------------------------------------------

    def task(self, swept: Iterable[str] = (), wanted: str = "problem") -> Task:
        """Load the model and read its settings; ``swept`` ones need not be given."""
        model = load_model(self.path, wanted)
        values = parse_settings(self.values.get("settings") or (), model.settings, tuple(swept))
        return Task(model, values, self.how(model.defaults))

    def how(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of `fit`: the command line's, then the model's defaults.

        A scheme that was chosen here does not take over the degree of the model's scheme.
        """
        names = {"scheme": "scheme", "degree": "degree", "mesh": "elements", "start": "start"}
        names["seed"] = "seed"
        given = {key: self.values.get(name) for key, name in names.items()}
        chosen = {key: value for key, value in given.items() if value is not None}
        own = dict(defaults)
        if "scheme" in chosen and chosen["scheme"] != own.get("scheme"):
            own.pop("degree", None)
        options = {**own.pop("options", {}), **self.options}
        merged = {"scheme": "radau", "start": "auto", "seed": 0, **own, **chosen}
        residual = self.values.get("residual")
        if residual is not None:
            chosen_scheme = merged["scheme"]
            if not isinstance(chosen_scheme, cc.Scheme):
                chosen_scheme = cc.scheme(chosen_scheme, merged.pop("degree", None))
            merged["scheme"] = replace(chosen_scheme, residual=residual)
        limit = self.values.get("time_limit")
        return {
            **merged,
            **({} if limit is None else {"time_limit": limit}),
            "interface": self.values.get("interface", "casadi"),
            "options": options,
            "deterministic": self.values.get("deterministic", False),
        }

    def asked(
        self, task: Task | None, command: Mapping[str, Any] | None = None, **rest: Any
    ) -> Asked:
        """Return what the report says of the question.

        Parameters
        ----------
        task : the model; None if there is no model file.
        command : options of the command.
        rest : ``problem`` and ``more`` of `Asked`; ``chosen``, settings that the command has found.
        """
        chosen = rest.pop("chosen", {})
        settings = {} if task is None else {**task.settings, **chosen}
        return Asked(
            model={"file": str(self.path), "settings": settings},
            command={"name": self.context.info_name, **(command or {})},
            start="" if task is None else str(task.keywords["start"]),
            shell=True,
            **rest,
        )

    def asked_of_fit(
        self, task: Task, command: Mapping[str, Any] | None = None, **rest: Any
    ) -> Asked:
        """Return the same for a command that fits dynamics."""
        kept = ("start", "seed", "deterministic", "options", "time_limit")
        how = {key: task.keywords[key] for key in kept if key in task.keywords}
        return self.asked(task, {**how, **(command or {})}, **rest)

    # ---- the folder ------------------------------------------------------------------------------

    def folder(
        self, names: Iterable[str] = (), own: Iterable[str] = (), fits: cc.Problem | None = None
    ) -> Folder | None:
        """Return the folder for the run's files before any work is done, or None without ``--out``.

        Parameters
        ----------
        names : of files and figures.
        own : of files that are the run's own although no report lists them yet.
        fits : a problem, whose fit writes its files too.

        Raises
        ------
        CollocodeError
            The folder cannot be written, or holds somebody else's files of these names.
        """
        if self.out is None:
            return None
        folder, names = Folder(self.out, also=own), [*names, *own]
        if fits is not None:
            from ..reports.solution import planned

            names += planned(fits)
        folder.check([*report_names(), *(n for n in names if self.plots or not n.endswith(".png"))])
        return folder

    def checkpoint(self, name: str, look: Callable[[Path], tuple[bool, str]]) -> Path | None:
        """Return a checkpoint's path; a finished one makes way, an unfinished one wants --resume.

        Parameters
        ----------
        name : of the file in ``--out``.
        look : returns whether the run of a checkpoint has ended, and what it holds in words.
        """
        resume = self.values["resume"]
        if self.out is None:
            if resume:
                raise InputError("--resume goes on from a checkpoint; give its folder by --out.")
            return None
        path = self.out / name
        if resume or not path.exists():
            return path
        ended, content = look(path)
        if not ended:
            raise InputError(
                f"{path} holds {content} that did not end; add --resume to go on, or remove the file "
                "to begin anew."
            )
        path.unlink()
        return path

    # ---- the report ------------------------------------------------------------------------------

    def finish(
        self,
        found: Any,
        asked: Asked,
        folder: Folder | None,
        files: Mapping[str, Writer] | None = None,
        beside: Callable[[], Path] | None = None,
    ) -> int:
        """Report what was found: write it, then show it; return the exit status.

        From here on nothing is lost: the first Ctrl-C is only taken note of, and what a folder cannot
        take goes without figures, or into a folder of its own among the system's temporary files.

        Parameters
        ----------
        found, asked : as for `report`.
        folder : for the report's files; None writes none.
        files : further ones.
        beside : writes one file somewhere else and returns its path.

        Raises
        ------
        CollocodeError
            When all is shown: something could not be written in its place.
        """
        with Interrupt() as interrupt:
            report = cc.report(found, asked=asked)
            wrote, trouble = [], None
            try:
                if folder is not None:
                    whole = report.around(files=files or {})
                    wrote += _kept(folder, whole if self.plots else whole.without_figures())
                if beside is not None:
                    wrote.append(str(beside()))
            except CollocodeError as error:
                trouble = error
            with shown("the report"):
                show_report(report)
                for place in wrote:
                    output().print(f"wrote {place}", soft_wrap=True)
            if trouble is not None:
                raise trouble
        if report.interrupted or interrupt.requested:
            return INTERRUPTED
        return SOLVED if report.success else UNSOLVED


def _kept(folder: Folder, report: Report) -> list[str]:
    """Write a report; return how many files that are, and where.

    Raises
    ------
    FileError
        The folder did not take all of them; the sentence says where they are instead.
    """
    stem, plain = Path(folder.manifest).stem, report.without_figures()
    try:
        return [f"{counted(len(folder.write(report.written(stem))), 'file')} into {folder.path}"]
    except CollocodeError as error:
        trouble = error
    for elsewhere in (False, True):
        with suppress(CollocodeError, OSError):
            place = (
                Folder(Path(mkdtemp(prefix="collocode-")), folder.manifest) if elsewhere else folder
            )
            place.write(plain.written(stem))
            break
    else:
        raise trouble
    raise FileError(f"{trouble} The files, without figures, are in {place.path}.") from trouble
