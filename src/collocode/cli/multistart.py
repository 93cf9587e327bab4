"""``collocode multistart``: the same fit from several random weights, and the best of them."""

from __future__ import annotations

from typing import Annotated

import typer

import collocode as cc

from ..errors import InputError
from .options import FILES, FIT, SOLVER, verb
from .run import Run
from .terminal import counted_progress, messages

MOST_SEEDS = 10_000


@verb(*FIT[:-1], *SOLVER, "time_limit", *FILES)
def multistart(
    run: Run,
    seeds: Annotated[
        str, typer.Option(metavar="COUNT|SEEDS", help="How many (0, 1, ...), or which: 3,7,11.")
    ] = "10",
) -> int:
    """Fit MODEL from several random weights and report the best."""
    chosen = parse_seeds(seeds)
    task = run.task()
    problem = task.problem()
    folder = run.folder(["multistart.csv"], fits=problem)
    how = {key: value for key, value in task.how.items() if key != "seed"}
    with counted_progress(messages(), "seed", [str(seed) for seed in chosen]) as bar:
        found = cc.multistart(
            problem,
            chosen,
            **how,
            on_run=lambda seed, solution: bar.advance(),
            on_iteration=bar.look,
        )
    asked = run.asked_of_fit(task, {"seed": found.best_seed}, more={"asked": chosen})
    return run.finish(found, asked, folder)


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
