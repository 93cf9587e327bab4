"""``collocode sweep``: a setting chosen by validation, then the fit with the best value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import collocode as cc

from ..checks import check_has, counted
from ..errors import InputError
from .model_file import load_model
from .options import FILES, FIT, SOLVER, verb
from .run import Run, Task
from .settings import Setting, split_pairs
from .terminal import INTERRUPTED, UNSOLVED, Bar, counted_progress, messages, say_error, show_table

CHECKPOINT = "sweep.json"
Held = float | list[str]
Done = dict[str, Mapping[str, Any]]


@verb("resume", *FIT, *SOLVER, "time_limit", *FILES)
def sweep(
    run: Run,
    over: Annotated[
        str,
        typer.Option(
            metavar="NAME=VALUES",
            help="A setting of the model, and first:last:count (logarithmic) or a,b,c.",
        ),
    ] = "regularisation=1e-2:1e-7:11",
    holdout: Annotated[
        str,
        typer.Option(
            metavar="SHARE|NAMES",
            help="Last share of every experiment's time, or names of experiments: NAME,NAME.",
        ),
    ] = "0.25",
) -> int:
    """Choose a setting of MODEL by validation, then fit with the best value.

    Every value is fitted to a part of the data and judged by simulation on the rest. Ctrl-C keeps
    the finished values in --out; --resume goes on from there.
    """
    name, values = parse_over(over, load_model(run.path).settings)
    if name in (text for text, _ in split_pairs(run.values["settings"] or (), "--set")):
        raise InputError(f"--set and --over both give {name!r}; leave one out.")
    task = run.task([name])
    own = {name: values[0]} if name in task.settings else {}
    problem = task.problem(**own)
    if name == "regularisation" and not problem.dynamics.networks:
        raise InputError("the model has no network to regularise; name a setting by --over.")
    held = parse_holdout(holdout, problem)
    folder = run.folder(["sweep.csv", "sweep.png"], [CHECKPOINT], problem)
    checkpoint = run.checkpoint(CHECKPOINT, _look)
    done = _rows(checkpoint)
    make = task.problem if own else problem
    try:
        labels = _texts(name, values)
        with counted_progress(messages(), f"sweep {name}", labels, list(done)) as bar:
            found = _sweep(task, make, (name, values, held), checkpoint, done, bar)
    except KeyboardInterrupt:
        found = None
    except InputError as error:
        if len(done) < len(values):
            raise
        _show(name, values, done, held)
        say_error(str(error))
        return UNSOLVED
    late = found is not None and found.termination is cc.Termination.TIME_LIMIT
    if found is None or late or found.termination is cc.Termination.INTERRUPTED:
        _show(name, values, done, held)
        why = "the time was over" if late else "interrupted"
        say_error(_stopped(why, len(done), len(values), checkpoint))
        return UNSOLVED if late else INTERRUPTED
    chosen, more = {found.name: found.best}, {"holdout": held}
    mark = None if checkpoint is None else {CHECKPOINT: partial(_finish, checkpoint)}
    return run.finish(found, run.asked_of_fit(task, chosen=chosen, more=more), folder, mark)


def _sweep(
    task: Task,
    make: cc.Problem | Callable[..., cc.Problem],
    what: tuple[str, list[Any], Held],
    checkpoint: Path | None,
    done: Done,
    bar: Bar,
) -> cc.Sweep:
    name, values, held = what

    def note(value: Any, row: Mapping[str, Any]) -> None:
        done[str(value)] = row
        bar.advance()

    fixed = {key: value for key, value in task.settings.items() if key != name}
    return cc.sweep(
        *(make, name, values, held, checkpoint, note),
        conditions={"model": task.model.path.name, "settings": fixed},
        **task.how,
        on_iteration=bar.look,
    )


def _show(name: str, values: Sequence[Any], done: Done, held: Held) -> None:
    """Print the rows that are done."""
    import pandas as pd

    from ..reports.searches import sweep_table

    known = {text: done[text] for text in _texts(name, values) if text in done}
    table = pd.DataFrame(list(known.values()), index=pd.Index(list(known), name=name))
    show_table(sweep_table(name, table, None, held))


def _texts(name: str, values: Sequence[Any]) -> list[str]:
    """Return the values as the checkpoint names them, in the order in which they are fitted."""
    if name == "regularisation":
        return [str(value) for value in sorted((float(v) for v in values), reverse=True)]
    return [str(value) for value in values]


def _look(path: Path) -> tuple[bool, str]:
    from ..identify.sweep import SWEEP

    content = SWEEP.read(path, dict)
    return bool(content.get("finished")), f"{counted(len(content['rows']), 'value')} of a sweep"


def _rows(path: Path | None) -> Done:
    from ..identify.sweep import SWEEP

    if path is None or not path.exists():
        return {}
    return SWEEP.read(path, lambda tree: dict(tree["rows"]))


def _finish(source: Path, target: Path) -> None:
    """Copy the checkpoint with a mark that its sweep has ended."""
    from ..identify.sweep import SWEEP

    SWEEP.write(target, {**SWEEP.read(source, dict), "finished": True})


def _stopped(why: str, done: int, every: int, checkpoint: Path | None) -> str:
    if checkpoint is None or not done:
        hint = "" if checkpoint else "; with --out a sweep can be resumed"
        return f"{why} after {done} of {counted(every, 'value')}{hint}."
    return f"{why}; {done} of {counted(every, 'value')} are kept in {checkpoint}, --resume goes on."


# ---- the command line's texts --------------------------------------------------------------------

REGULARISATION = Setting("regularisation", float, False, 0.0)  # every problem has one
MOST_VALUES = 1000


def parse_over(text: str, settings: Sequence[Setting]) -> tuple[str, list[Any]]:
    """Return name and values of ``name=a,b,c`` or ``name=first:last:count``.

    A range is logarithmic; of whole numbers, it is rounded.  Values that are named twice count once.

    Raises
    ------
    InputError
        The model has no such setting, or the text gives fewer than two values of its type.
    """
    ((name, right),) = split_pairs([text], "--over")
    known = {REGULARISATION.name: REGULARISATION, **{s.name: s for s in settings}}
    check_has("--over: the model", "setting", name, known)
    setting = known[name]
    if right.count(":") == 2 and setting.kind in (int, float):
        values = _range(name, right, setting.kind is int)
    else:
        values = [setting.convert(part.strip(), "--over") for part in right.split(",")]
    values = list(dict.fromkeys(values))
    if len(values) < 2:
        raise InputError(
            f"--over {text}: a sweep needs two values or more; say {name}=1e-2:1e-6:9 for a "
            f"logarithmic range or {name}=4,8,16 for a list."
        )
    return name, values


def _range(name: str, text: str, whole: bool) -> list[Any]:
    first, last, count = text.split(":")
    try:
        ends, number = (float(first), float(last)), int(count)
    except ValueError:
        raise InputError(
            f"--over {name}={text} is no range; write first:last:count, say 1e-2:1e-7:11."
        ) from None
    if not all(math.isfinite(end) and end > 0.0 for end in ends):
        raise InputError(
            f"--over {name}={text}: a range is logarithmic, so its ends must be positive; list "
            "the values instead."
        )
    if not 2 <= number <= MOST_VALUES:
        raise InputError(f"--over {name}={text}: the count lies between 2 and {MOST_VALUES}.")
    # short decimals, so that 1e-3 is 0.001 in reports and on the command line
    values = [float(f"{v:.4g}") for v in np.geomspace(*ends, number)]
    return [round(v) for v in values] if whole else values


def parse_holdout(text: str, problem: cc.Problem) -> float | list[str]:
    """Return the held-out share of the time, or the names of held-out experiments.

    Raises
    ------
    InputError
        Neither a share between 0 and 1 nor names of experiments.
    """
    names = [experiment.name for experiment in problem.experiments]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) == 1 and parts[0] not in names:
        try:
            share = float(parts[0])
        except ValueError:
            share = math.nan
        if 0.0 < share < 1.0:
            return share
    unknown = [part for part in parts if part not in names]
    if unknown or not parts:
        wrong = unknown[0] if unknown else text
        raise InputError(
            f"--holdout {wrong!r} is neither a share between 0 and 1 nor an experiment; there are: "
            f"{', '.join(names)}."
        )
    return parts
