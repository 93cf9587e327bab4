"""``collocode solve``: model file -> fit -> summary and files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from ..identify.fit import fit
from ..model.problem import Problem
from ..results.solution import Solution
from ..results.status import Termination
from .folder import Folder, Writer, unique_stems
from .model_file import ModelFile, load_model
from .progress import live_progress
from .report import make_report, parameter_rows, warnings_of
from .settings import parse_options, parse_settings
from .summary import print_summary
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, messages, output, plain_table, say_warning


@dataclass(frozen=True)
class Choices:
    """What the command line chose beside the model; None leaves it to the model's DEFAULTS."""

    scheme: str | None
    degree: int | None
    elements: int | None
    start: str | None
    seed: int | None
    interface: str
    options: tuple[str, ...]
    deterministic: bool

    def over(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of `fit`: these choices, then the model's defaults.

        A scheme that was chosen here does not take over the degree of the model's scheme.
        """
        given = {
            "scheme": self.scheme,
            "degree": self.degree,
            "mesh": self.elements,
            "start": self.start,
            "seed": self.seed,
        }
        chosen = {key: value for key, value in given.items() if value is not None}
        own = dict(defaults)
        if "scheme" in chosen and chosen["scheme"] != own.get("scheme"):
            own.pop("degree", None)
        options = {**own.pop("options", {}), **parse_options(self.options)}
        merged = {"scheme": "radau", "start": "gradient_matching", "seed": 0, **own, **chosen}
        return {
            **merged,
            "interface": self.interface,
            "options": options,
            "deterministic": self.deterministic,
        }


def run_solve(
    path: Path, given: list[str], choices: Choices, out: Path | None, with_plots: bool
) -> int:
    """Solve a model, show and write the results; return the exit status."""
    model = load_model(path)
    values = parse_settings(given, model.settings)
    how = choices.over(model.defaults)
    problem = model.problem(values)
    folder = None
    if out is not None:
        folder = Folder(out)
        folder.check(planned_files(problem, with_plots))
    solution = _fit(problem, how)
    scores = solution.score()
    settings = {s.name: values.get(s.name, s.default) for s in model.settings}
    warnings = warnings_of(solution, scores, how["start"], settings)
    command = {key: how[key] for key in ("start", "seed", "deterministic", "options")}
    report = make_report(solution, scores, warnings, path, settings, command)
    print_summary(output(), report)
    for warning in warnings:
        say_warning(warning)
    if folder is not None:
        written = folder.write(solution_files(solution, report, with_plots))
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    if solution.result.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    return SOLVED if solution.success else UNSOLVED


def _fit(problem: Problem, how: Mapping[str, Any]) -> Solution:
    began = time.perf_counter()
    with live_progress(messages()) as show:
        solution = fit(problem, **how, on_iteration=show)
    result = solution.result.with_timings(total=time.perf_counter() - began)
    return replace(solution, result=result)


def planned_files(problem: Problem, with_plots: bool) -> list[str]:
    """Names of all files that a run of the problem would write."""
    stems = unique_stems(experiment.name for experiment in problem.experiments)
    names = ["report.json", "parameters.csv", "solution.npz"]
    names += [f"trajectory_{stem}.csv" for stem in stems.values()]
    if with_plots:
        names += ["trajectories.png", "convergence.png"]
        names += ["phase_portrait.png"] if len(problem.states) > 1 else []
    return names


def solution_files(
    solution: Solution, report: dict[str, Any], with_plots: bool
) -> dict[str, Writer]:
    """Writers of all files of a solution, by name."""
    names = [part.experiment.name for part in solution.trajectories]
    columns = ["name", "value", "unit", "lower", "upper"]
    parameters = pd.DataFrame(parameter_rows(solution), columns=columns)
    files: dict[str, Writer] = {
        "solution.npz": solution.save,
        "parameters.csv": partial(parameters.to_csv, index=False),
    }
    for name, stem in unique_stems(names).items():
        frame = solution.to_frame(name)
        files[f"trajectory_{stem}.csv"] = partial(frame.to_csv, index=False)
    if with_plots:
        from ..plots import drawings, save_figure  # matplotlib takes half a second to import

        for name, draw in drawings(solution).items():
            files[name] = partial(save_figure, draw(solution))
    listed = {**report, "files": sorted([*files, "report.json"])}
    text = json.dumps(listed, indent=2, allow_nan=False) + "\n"
    files["report.json"] = lambda path: path.write_text(text, encoding="utf-8")
    return files


def print_settings(console: Console, path: Path) -> None:
    """Print what ``--set`` reaches in a model."""
    model = load_model(path)
    console.print(Text(model.summary, "bold"))
    console.print()
    console.print(settings_table(model))


def settings_table(model: ModelFile) -> Any:
    """Return the model's settings as a table."""
    table = plain_table("--set", "type", "default", "meaning")
    for column in table.columns[:3]:
        column.no_wrap, column.overflow, column.max_width = True, "ellipsis", 34
    for setting in model.settings:
        default = "required" if setting.required else short(setting.default)
        table.add_row(
            Text(setting.name, "bold cyan"), setting.kind_name, Text(default), Text(setting.text)
        )
    return table


def short(value: Any) -> str:
    """Return a default as text; a path inside the current folder is shown relative to it."""
    if isinstance(value, str) and value.startswith("/"):
        path = Path(value)
        return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else value
    return repr(value) if value == "" else str(value)
