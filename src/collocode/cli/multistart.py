"""``collocode multistart``: the same fit from several random weights, and the best of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..errors import InputError
from ..identify.multistart import multistart
from .choices import Choices, task_of
from ..reports.folder import Writer
from .progress import counted_progress
from .results import open_folder, present
from .summary import print_multistart
from .terminal import messages, output, say_warning

MOST_SEEDS = 10_000


def run_multistart(
    path: Path, given: list[str], choices: Choices, seeds: str, out: Path | None, with_plots: bool
) -> int:
    """Solve a model from several seeds, show the best; return the exit status."""
    chosen = parse_seeds(seeds)
    task = task_of(path, given, choices)
    problem = task.problem()
    folder = open_folder(out, problem, with_plots, ["multistart.csv"])
    if not problem.dynamics.networks:
        say_warning(
            "the model has no network, so every seed gives the same start; `collocode solve` "
            "does the same."
        )
    how = {key: value for key, value in task.how.items() if key != "seed"}
    with counted_progress(messages(), "seed", [str(seed) for seed in chosen]) as bar:
        runs = multistart(
            problem,
            chosen,
            **how,
            on_run=lambda seed, solution: bar.advance(),
            on_iteration=bar.look,
        )
    best = runs.best_seed
    print_multistart(output(), runs.table, best)
    output().print(f"The best, seed {best} (solve --seed {best} gives it again)", style="bold")
    rows = runs.table.reset_index().to_dict("records")
    files: dict[str, Writer] = {"multistart.csv": partial(runs.table.to_csv)}
    command = {**task.command("multistart"), "seed": best}
    extra = {"multistart": {"best": best, "asked": chosen, "rows": rows}}
    return present(task, runs.best, folder, with_plots, command, extra, files)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of ``10`` (0 ... 9) or ``3,7,11``.

    Raises
    ------
    InputError
        No whole numbers, negative ones, or none.

    Examples
    --------
    >>> parse_seeds("3"), parse_seeds("3,7,3")
    ([0, 1, 2], [3, 7])
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or ("," not in text and not 1 <= numbers[0] <= MOST_SEEDS):
        raise InputError(
            f"--seeds takes a count, say 10, or seeds, say 3,7,11 (none negative), not {text!r}."
        )
    return list(dict.fromkeys(numbers)) if "," in text else list(range(numbers[0]))
