"""``collocode simulate``: run a saved fit forward; nothing in the file is executed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from ..errors import InputError
from ..model.experiment import Experiment
from ..results.score import test_initial, test_model
from ..results.simulate import Simulation, simulate
from ..results.solution import Solution, load
from .folder import Folder, Writer, refuse_existing, write_file
from .settings import split_pairs
from .terminal import SOLVED, UNSOLVED, number, output, plain_table, say_warning

Array = NDArray[np.float64]
_MOST_POINTS = 10_000_000


def run_simulate(
    path: Path,
    times: str | None,
    until: float | None,
    points: int,
    initial: str | None,
    experiment: str | None,
    out: Path | None,
) -> int:
    """Simulate a saved fit, show and write the trajectory; return the exit status."""
    solution = load(path)
    if out is not None and out.suffix == ".csv":
        refuse_existing(out)
    folder = Folder(out, "simulation.json") if out is not None and out.suffix != ".csv" else None
    conditions, parameters, fitted = _conditions(solution, experiment)
    t = time_grid(times, until, points, conditions)
    x = parse_initial(initial, solution.model.states, fitted)
    model = solution.model.with_parameters(parameters)
    if initial is None and t[0] > _start(conditions):
        run = simulate(model, x, np.append(_start(conditions), t), conditions.inputs)
        run = Simulation(run.times[1:], run.states[1:], run.complete, run.message)
    else:
        run = simulate(model, x, t, conditions.inputs)
    frame = _frame(solution, conditions, parameters, run)
    _print(output(), solution, conditions, frame)
    if not run.complete:
        say_warning(f"{run.message}; shorten --until or train the model on more of that region.")
    if folder is not None:
        written = folder.write(_files(solution, run, frame))
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    elif out is not None:
        write_file(out, lambda target: frame.to_csv(target, index=False))
        output().print(f"wrote {out}", soft_wrap=True)
    return SOLVED if run.complete else UNSOLVED


def _conditions(solution: Solution, name: str | None) -> tuple[Experiment, Array, Array | None]:
    """Experiment, parameters and initial state to simulate under."""
    tested = {experiment.name: experiment for experiment in solution.test}
    trained = [part.experiment.name for part in solution.trajectories]
    if name is None or name in trained:
        part = solution.trajectories[solution.index(name or 0)]
        return part.experiment, part.parameters, part.states[0]
    if name not in tested:
        known = [*trained, *tested]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"the fit has no experiment {name!r}; {hint}it has: {', '.join(known)}.")
    experiment = tested[name]
    parameters = test_model(solution, experiment).parameters
    return experiment, parameters, test_initial(solution, experiment)


def _start(experiment: Experiment) -> float:
    assert experiment.start is not None
    return experiment.start


def time_grid(times: str | None, until: float | None, points: int, over: Experiment) -> Array:
    """Return the times asked for: ``start:end:step``, or ``points`` until ``until``.

    Raises
    ------
    InputError
        Both given, or what was given makes no increasing grid.
    """
    start = _start(over)
    if times is not None and until is not None:
        raise InputError("give --times or --until, not both.")
    if times is not None:
        return _range(times, start)
    if points < 2:
        raise InputError(f"--points must be at least 2, not {points}.")
    assert over.end is not None
    end = over.end if until is None else until
    if not (np.isfinite(end) and end > start):
        raise InputError(f"--until {end:g} must lie after the start of the fit, t = {start:g}.")
    return np.linspace(start, end, points)


def _range(text: str, start: float) -> Array:
    parts = text.split(":")
    try:
        low, high, step = (float(part) for part in parts)
    except ValueError:
        raise InputError(f"--times takes start:end:step, say 0:30:0.1, not {text!r}.") from None
    if not (np.isfinite([low, high, step]).all() and step > 0.0 and high > low):
        raise InputError(f"--times {text}: start < end and a positive step are needed.")
    count = int(np.floor((high - low) / step + 1e-9)) + 1
    if count > _MOST_POINTS:
        raise InputError(f"--times {text} has {count} points; choose a larger step.")
    if low < start:
        raise InputError(f"--times {text} begins before the fit does, at t = {start:g}.")
    return np.asarray(low + step * np.arange(count), dtype=float)


def parse_initial(text: str | None, states: tuple[str, ...], fitted: Array | None) -> Array:
    """Return the initial state; what ``name=value,...`` leaves out is as fitted.

    Raises
    ------
    InputError
        An unknown state, a value that is no number, or nothing known of a state.
    """
    given: dict[str, float] = {}
    for name, value in split_pairs(text.split(",") if text else [], "--initial"):
        if name not in states:
            raise InputError(f"--initial names {name!r}, which is no state: {', '.join(states)}.")
        try:
            given[name] = float(value)
        except ValueError:
            raise InputError(f"--initial {name}={value}: {value!r} is not a number.") from None
    missing = [name for name in states if name not in given]
    if fitted is None and missing:
        raise InputError(
            f"the initial state of this experiment is not known; give --initial {missing[0]}=..."
        )
    values = np.zeros(len(states)) if fitted is None else np.array(fitted, dtype=float)
    for name, value_given in given.items():
        values[states.index(name)] = value_given
    return values


def _frame(
    solution: Solution, conditions: Experiment, parameters: Array, run: Simulation
) -> pd.DataFrame:
    model = solution.model.with_parameters(parameters)
    inputs = [conditions.inputs[name](run.times) for name in model.inputs]
    columns: dict[str, Array] = {"time": run.times}
    columns.update({name: run.states[:, i] for i, name in enumerate(model.states)})
    u = np.column_stack(inputs) if inputs else None
    observed = model.observe(run.states, u, run.times)
    for j, name in enumerate(model.outputs):
        columns.setdefault(name, observed[:, j])
    return pd.DataFrame(columns)


def _print(
    console: Console, solution: Solution, conditions: Experiment, frame: pd.DataFrame
) -> None:
    t = frame["time"]
    console.print(
        Text.assemble(
            (solution.name, "bold"),
            f"  simulated as {conditions.name!r} at {len(t)} times, t = {t.iloc[0]:g} … "
            f"{t.iloc[-1]:g}",
        ),
        soft_wrap=True,
    )
    table = plain_table("", "first", "last", "smallest", "largest", right=1)
    for name in frame.columns[1:]:
        values = frame[name]
        shown = (values.iloc[0], values.iloc[-1], values.min(), values.max())
        table.add_row(Text(str(name)), *(number(float(v), 5) for v in shown))
    console.print(table)


def _files(solution: Solution, run: Simulation, frame: pd.DataFrame) -> Mapping[str, Writer]:
    from ..plots import save_figure, simulation  # matplotlib takes half a second to import

    listed = {
        "format": "collocode simulation 1",
        "problem": solution.name,
        "complete": run.complete,
        "message": run.message,
        "files": ["simulation.csv", "simulation.json", "simulation.png"],
    }
    text = json.dumps(listed, indent=2) + "\n"
    return {
        "simulation.csv": lambda path: frame.to_csv(path, index=False),
        "simulation.png": lambda path: save_figure(simulation(solution, run), path),
        "simulation.json": lambda path: path.write_text(text, encoding="utf-8"),
    }
