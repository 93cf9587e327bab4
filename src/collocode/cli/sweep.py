"""``collocode sweep``: a setting chosen by validation, then the fit with the best value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from ..identify.sweep import SWEEP, Sweep, sweep
from ..model.problem import Problem
from .choices import Choices, Task, task_of
from .folder import Folder, Writer
from .model_file import load_model
from .over import held_text, parse_holdout, parse_over
from .progress import Bar, counted_progress
from .results import open_folder, present
from .settings import split_pairs
from .summary import print_sweep
from .terminal import INTERRUPTED, UNSOLVED, messages, output, say_error, say_warning

CHECKPOINT = "sweep.json"
Held = float | list[str]


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
    if name == "regularisation" and not problem.dynamics.networks:
        raise InputError("the model has no network to regularise; name a setting by --over.")
    held = parse_holdout(holdout, problem)
    folder = None
    if out is not None:
        more = ["sweep.csv", CHECKPOINT, *(["sweep.png"] if with_plots else [])]
        folder = open_folder(out, problem, with_plots, more, also=[CHECKPOINT])
    checkpoint = _checkpoint(out, resume)
    done = _rows(checkpoint)
    make = task.problem if own else problem
    try:
        with counted_progress(messages(), f"sweep {name}", _texts(name, values), list(done)) as bar:
            found = _sweep(task, make, (name, values, held), checkpoint, done, bar)
    except KeyboardInterrupt:
        print_sweep(output(), name, _table(name, values, done), None, held_text(held))
        say_error(_interrupted(len(done), len(values), checkpoint))
        return INTERRUPTED
    except InputError as error:
        if len(done) < len(values):
            raise
        print_sweep(output(), name, _table(name, values, done), None, held_text(held))
        say_error(str(error))
        return UNSOLVED
    return _present(task, found, held, folder, with_plots)


def _sweep(
    task: Task,
    make: Problem | Callable[..., Problem],
    what: tuple[str, list[Any], Held],
    checkpoint: Path | None,
    done: dict[str, Mapping[str, Any]],
    bar: Bar,
) -> Sweep:
    name, values, held = what

    def note(value: Any, row: Mapping[str, Any]) -> None:
        done[str(value)] = row
        bar.advance()

    fixed = {key: value for key, value in task.settings.items() if key != name}
    return sweep(
        *(make, name, values, held, checkpoint, note),
        conditions={"model": task.model.path.name, "settings": fixed},
        **task.how,
        on_iteration=bar.look,
    )


def _present(task: Task, found: Sweep, held: Held, folder: Folder | None, with_plots: bool) -> int:
    print_sweep(output(), found.name, found.table, found.best, held_text(held))
    values = list(found.table.index)
    if all(isinstance(v, int | float) for v in values) and found.best in (min(values), max(values)):
        say_warning(
            f"{found.name} = {found.best:g} is the {'least' if found.best == min(values) else 'largest'}"
            " of the values; widen --over to see whether the best one lies beyond."
        )
    output().print(f"Fit to all data with {found.name} = {found.best}", style="bold")
    rows = [{"value": v, **found.table.loc[v].to_dict()} for v in values]
    extra = {"sweep": {"over": found.name, "holdout": held, "best": found.best, "rows": rows}}
    files: dict[str, Writer] = {}
    if folder is not None:
        files["sweep.csv"] = found.table.to_csv
        files[CHECKPOINT] = partial(_finish, folder.path / CHECKPOINT)
        if with_plots:
            from ..plots import save_figure, sweep_curve  # matplotlib takes half a second

            files["sweep.png"] = partial(save_figure, sweep_curve(found))
    command = task.command("sweep", chosen={found.name: found.best})
    return present(task, found.solution, folder, with_plots, command, extra, files)


def _texts(name: str, values: Sequence[Any]) -> list[str]:
    """Return the values as the checkpoint names them, in the order in which they are fitted."""
    if name == "regularisation":
        return [str(value) for value in sorted((float(v) for v in values), reverse=True)]
    return [str(value) for value in values]


def _table(name: str, values: Sequence[Any], done: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows that are done."""
    known = {text: done[text] for text in _texts(name, values) if text in done}
    return pd.DataFrame(list(known.values()), index=pd.Index(list(known), name=name))


def _checkpoint(out: Path | None, resume: bool) -> Path | None:
    """Return the checkpoint's path; a finished one makes way, an unfinished one wants --resume."""
    if out is None:
        if resume:
            raise InputError("--resume goes on from a checkpoint; give its folder by --out.")
        return None
    path = out / CHECKPOINT
    if resume or not path.exists():
        return path
    content = SWEEP.read(path, dict)
    if not content.get("finished"):
        count = len(content["rows"])
        raise InputError(
            f"{path} holds {count} {'value' if count == 1 else 'values'} of a sweep that did not "
            "end; add --resume to go on, or remove the file to begin anew."
        )
    path.unlink()
    return path


def _rows(path: Path | None) -> dict[str, Mapping[str, Any]]:
    if path is None or not path.exists():
        return {}
    return SWEEP.read(path, lambda tree: dict(tree["rows"]))


def _finish(source: Path, target: Path) -> None:
    """Copy the checkpoint with a mark that its sweep has ended."""
    SWEEP.write(target, {**SWEEP.read(source, dict), "finished": True})


def _interrupted(done: int, every: int, checkpoint: Path | None) -> str:
    if checkpoint is None:
        return f"interrupted after {done} of {every} values; with --out a sweep can be resumed."
    return f"interrupted; {done} of {every} values are kept in {checkpoint}, --resume goes on."
