"""``collocode solve``: model file -> fit -> summary and files."""

from __future__ import annotations

from pathlib import Path

from ..identify.fit import fit
from .choices import Choices, task_of
from .progress import live_progress
from .results import open_folder, present
from .terminal import messages


def run_solve(
    path: Path, given: list[str], choices: Choices, out: Path | None, with_plots: bool
) -> int:
    """Solve a model, show and write the results; return the exit status."""
    task = task_of(path, given, choices)
    problem = task.problem()
    folder = open_folder(out, problem, with_plots)
    with live_progress(messages()) as show:
        solution = fit(problem, **task.how, on_iteration=show)
    return present(task, solution, folder, with_plots, task.command("solve"))
