"""``collocode multistart``: the same fit from several random weights, and the best of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Annotated

import typer

import collocode as cc

from ..checks import counted
from ..errors import InputError
from .options import FILES, FIT, SOLVER, verb
from .run import Run
from .terminal import counted_progress, messages

CHECKPOINT = "multistart.npz"
MOST_SEEDS = 10_000


@verb("resume", *FIT[:-1], *SOLVER, "time_limit", *FILES)
def multistart(
    run: Run,
    seeds: Annotated[
        str, typer.Option(metavar="COUNT|SEEDS", help="How many (0, 1, ...), or which: 3,7,11.")
    ] = "10",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes, for starts over parameters; same results as 1.")
    ] = 1,
    shares: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="Shares of every experiment that starts over parameters look at first, say 0.2,0.5.",
        ),
    ] = "",
) -> int:
    """Fit MODEL from several random weights, or from parameters over their bounds, and report the best.

    Starts over parameters that have ended are kept in --out; --resume goes on from there.
    """
    from ..identify.multistart import over_parameters  # late, as it takes a second

    chosen = parse_seeds(seeds)
    task = run.task()
    problem = task.problem()
    folder = run.folder(["multistart.csv", "waterfall.png"], [CHECKPOINT], problem)
    how = {key: value for key, value in task.how.items() if key != "seed"}
    keys = ("start", "interface", "options")
    over = over_parameters(problem, mesh=how.get("mesh", "auto"), **{key: how[key] for key in keys})
    kept = run.checkpoint(CHECKPOINT, _look) if over or run.values["resume"] else None
    with counted_progress(messages(), "seed", [str(seed) for seed in chosen]) as bar:
        found = cc.multistart(
            problem,
            chosen,
            **how,
            on_run=lambda seed, solution: bar.advance(),
            on_iteration=bar.look,
            workers=workers,
            shares=parse_shares(shares),
            checkpoint=kept,
        )
    asked = run.asked_of_fit(task, {"seed": found.best_seed}, more={"asked": chosen})
    files = {} if kept is None else {CHECKPOINT: partial(copyfile, kept)}
    return run.finish(found, asked, folder, files)


def _look(path: Path) -> tuple[bool, str]:
    from ..identify.climbs import CHECKPOINT

    content = CHECKPOINT.read(path, dict)
    return bool(
        content.get("finished")
    ), f"{counted(len(content['climbs']), 'climb')} of a multistart"


def parse_shares(text: str) -> list[float]:
    """Return the numbers of ``0.2,0.5``.

    Raises
    ------
    InputError
        They are none.
    """
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"--shares takes numbers, say 0.2,0.5, not {text!r}.") from None


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
