"""``collocode sweep``: a setting chosen by validation, then the fit with the best value."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import CollocodeError, FileError, InputError
from ..identify.sweep import Sweep, sweep
from ..model.problem import Problem
from .choices import Choices, Task, task_of
from .folder import Folder, Writer
from .model_file import load_model
from .progress import counted_progress
from .results import open_folder, present
from .settings import Setting, split_pairs
from .summary import print_sweep
from .terminal import INTERRUPTED, UNSOLVED, messages, output, say_error, say_warning

CHECKPOINT = "sweep.json"
REGULARISATION = Setting("regularisation", float, False, 0.0)  # every problem has one
FILES = ("sweep.csv", CHECKPOINT)


def run_sweep(
    path: Path,
    given: list[str],
    choices: Choices,
    over: str,
    holdout: str,
    out: Path | None,
    resume: bool,
    with_plots: bool,
) -> int:
    """Sweep a setting of a model, refit with the best value; return the exit status."""
    name, values = parse_over(over, load_model(path).settings)
    if name in (text for text, _ in split_pairs(given, "--set")):
        raise InputError(f"--set and --over both give {name!r}; leave one out.")
    task = task_of(path, given, choices, [name])
    own = {name: values[0]} if name in task.settings else {}
    problem = task.problem(**own)
    held = parse_holdout(holdout, problem)
    checkpoint, folder = _checkpoint(out, resume), None
    if out is not None:
        more = [*FILES, *(["sweep.png"] if with_plots else [])]
        folder = open_folder(out, problem, with_plots, more, also=[CHECKPOINT])
    done = {} if checkpoint is None else _rows(checkpoint)
    make: Problem | Callable[..., Problem] = task.problem if own else problem
    fixed = {"model": path.name, **{k: v for k, v in task.settings.items() if k != name}}
    try:
        with counted_progress(messages(), f"sweep {name}", values, list(done)) as bar:

            def note(value: Any, row: Mapping[str, Any]) -> None:
                done[str(value)] = dict(row)
                bar.advance()

            found = sweep(
                *(make, name, values, held, checkpoint, note),
                conditions={"settings": fixed},
                **task.how,
                on_iteration=bar.look,
            )
    except KeyboardInterrupt:
        _print_part(name, values, done, holdout)
        say_error(_interrupted(len(done), len(values), checkpoint))
        return INTERRUPTED
    except InputError as error:
        if len(done) < len(values):
            raise
        _print_part(name, values, done, holdout)
        say_error(str(error))
        return UNSOLVED
    return _present(task, found, held, folder, with_plots)


def _present(
    task: Task, found: Sweep, held: float | Sequence[str], folder: Folder | None, with_plots: bool
) -> int:
    print_sweep(output(), found.name, found.table, found.best, held)
    edge = _edge(found)
    if edge:
        say_warning(edge)
    command = task.command(
        "sweep", over=found.name, holdout=held, chosen={found.name: found.best}
    )
    rows = found.table.reset_index().to_dict("records")
    extra = {"sweep": {"over": found.name, "best": found.best, "holdout": held, "rows": rows}}
    files: dict[str, Writer] = {}
    if folder is not None:
        files["sweep.csv"] = found.table.to_csv
        files[CHECKPOINT] = partial(_finish, folder.path / CHECKPOINT)
        if with_plots:
            from ..plots import save_figure, sweep_curve

            files["sweep.png"] = partial(save_figure, sweep_curve(found))
    return present(task, found.solution, folder, with_plots, command, extra, files)
