"""From a solution to the report on the terminal, the files and the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..files import plain
from ..identify.uncertainty import Uncertainty
from ..model.problem import Problem
from ..results.solution import Solution
from ..results.status import Termination
from .advice import warnings_of
from .choices import Task
from .findings import Findings, examine
from .folder import Folder, Writer, unique_stems
from .report import make_report, parameter_rows
from .summary import print_summary
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, output, say_warning

Files = Mapping[str, Writer]


def open_folder(
    out: Path | None,
    problem: Problem,
    with_plots: bool,
    more: Iterable[str] = (),
    also: Iterable[str] = (),
) -> Folder | None:
    """Return the folder for a run's files before any work is done, or None without ``--out``.

    Parameters
    ----------
    more : names beside those of `solution_files`.
    also : names that are the run's own although no report lists them yet.

    Raises
    ------
    CollocodeError
        The folder cannot be written, or holds somebody else's files of these names.
    """
    if out is None:
        return None
    folder = Folder(out, also=also)
    folder.check([*planned_files(problem, with_plots), *more])
    return folder


def present(
    task: Task,
    solution: Solution,
    folder: Folder | None,
    with_plots: bool,
    command: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
    more_files: Files | None = None,
) -> int:
    """Show a solution, write its files and return the exit status.

    Parameters
    ----------
    task, solution : what was asked and what came out.
    folder : where the files go; None writes none.
    command : what the report says of the command.
    extra : further entries of the report.
    more_files : further files.
    """
    scores, findings = solution.score(), examine(solution)
    settings = {**task.settings, **command.get("chosen", {})}
    warnings = warnings_of(solution, scores, findings, str(task.how["start"]), settings)
    report = make_report(
        solution, scores, findings, warnings, task.model.path, settings, command
    ) | plain(dict(extra or {}))
    print_summary(output(), report)
    for warning in warnings:
        say_warning(warning)
    if folder is not None:
        files = solution_files(solution, findings, report, with_plots, more_files or {})
        written = folder.write(files)
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    if solution.result.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    return SOLVED if solution.success else UNSOLVED


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
    solution: Solution,
    findings: Findings,
    report: Mapping[str, Any],
    with_plots: bool,
    more: Files,
) -> dict[str, Writer]:
    """Writers of all files of a solution, by name."""
    names = [part.experiment.name for part in solution.trajectories]
    columns = ["name", "value", "unit", "lower", "upper", "std", "lower_95", "upper_95", "note"]
    parameters = pd.DataFrame(parameter_rows(solution, findings), columns=columns)
    files: dict[str, Writer] = {
        "solution.npz": solution.save,
        "parameters.csv": partial(parameters.to_csv, index=False),
        **more,
    }
    for name, stem in unique_stems(names).items():
        frame = solution.to_frame(name)
        files[f"trajectory_{stem}.csv"] = partial(frame.to_csv, index=False)
    if with_plots:
        files |= _figures(solution, findings.trust)
    listed = {**report, "files": sorted([*files, "report.json"])}
    text = json.dumps(listed, indent=2, allow_nan=False) + "\n"
    files["report.json"] = lambda path: path.write_text(text, encoding="utf-8")
    return files


def _figures(solution: Solution, trust: Uncertainty | None) -> dict[str, Writer]:
    from ..plots import drawings, save_figure  # matplotlib takes half a second to import

    found = drawings(solution, trust)
    return {name: partial(save_figure, draw(solution)) for name, draw in found.items()}
