"""``collocode simulate``: run a saved fit forward; nothing in the file is executed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

import collocode as cc

from ..checks import apart, check_has, check_named
from ..errors import InputError
from ..numerics import Array
from ..reports.folder import Folder, refuse_existing, write_file
from .options import verb
from .run import Run
from .settings import split_pairs, whole_number

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "simulation.json"  # a fit's report may lie in the same folder
_MOST_POINTS = 10_000_000
FIT = Annotated[Path | None, typer.Argument(metavar="FIT", help="solution.npz of a fit.")]
OUT = Annotated[
    Path | None, typer.Option(metavar="FILE.csv|DIR", help="Where to write CSV (and PNG).")
]


@verb("out", model=FIT, out=OUT)
def simulate(
    run: Run,
    times: Annotated[str | None, typer.Option(metavar="START:END:STEP", help="Times.")] = None,
    until: Annotated[
        float | None, typer.Option(help="Last time; the end of the experiment if absent.")
    ] = None,
    points: Annotated[
        int, typer.Option(parser=whole_number, help="Number of times, without --times.")
    ] = 301,
    initial: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,...", help="Initial state; as fitted if absent."),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose inputs and parameters; the first.")
    ] = None,
) -> int:
    """Simulate a saved fit by an independent integrator."""
    solution, out = cc.load(run.path), run.out
    alone = out is not None and out.suffix == ".csv"
    if out is not None and alone:
        refuse_existing(out)
    folder = Folder(out, MANIFEST) if out is not None and not alone else None
    conditions, parameters, fitted = _conditions(solution, experiment)
    t = time_grid(times, until, points, conditions)
    x = parse_initial(initial, solution.model.states, fitted)
    model = solution.model.with_parameters(parameters)
    if initial is None and t[0] > _start(conditions):
        at = np.append(_start(conditions), t)
        done = cc.simulate(model, x, at, conditions.inputs, history=conditions.history)
        z = None if done.algebraics is None else done.algebraics[1:]
        done = replace(done, times=done.times[1:], states=done.states[1:], algebraics=z)
    else:
        done = cc.simulate(model, x, t, conditions.inputs, history=conditions.history)
    frame = _frame(solution, conditions, parameters, done)
    more = {"frame": frame, "experiment": conditions.name}
    said = {"times": times, "until": until, "points": points, "initial": initial}
    asked = run.asked(None, said, problem=solution, more=more)

    def write() -> Path:
        assert out is not None
        write_file(out, lambda target: frame.to_csv(target, index=False))
        return out

    return run.finish(done, asked, folder, beside=write if alone else None)


def _conditions(
    solution: cc.Solution, name: str | None
) -> tuple[cc.Experiment, Array, Array | None]:
    """Experiment, parameters and initial state to simulate under."""
    tested = {experiment.name: experiment for experiment in solution.test}
    trained = [part.experiment.name for part in solution.trajectories]
    if name is None or name in trained:
        part = solution.trajectories[solution.index(name or 0)]
        return part.experiment, part.parameters, part.states[0]
    check_has("the fit", "experiment", name, [*trained, *tested])
    from ..results.score import test_initial, test_model

    experiment = tested[name]
    parameters = test_model(solution, experiment).parameters
    return experiment, parameters, test_initial(solution, experiment)


def _start(experiment: cc.Experiment) -> float:
    assert experiment.start is not None
    return experiment.start


def time_grid(times: str | None, until: float | None, points: int, over: cc.Experiment) -> Array:
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
    _check_size(f"--points {points}", points)
    assert over.end is not None
    end = over.end if until is None else until
    if not (np.isfinite(end) and end > start):
        told = apart(end, start, digits=12)
        raise InputError(f"--until {told[0]} must lie after the start of the fit, t = {told[1]}.")
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
    _check_size(f"--times {text}", count)
    if low < start:
        raise InputError(f"--times {text} begins before the fit does, at t = {start:.12g}.")
    return np.asarray(low + step * np.arange(count), dtype=float)


def _check_size(option: str, count: int) -> None:
    if count > _MOST_POINTS:
        raise InputError(
            f"{option} asks for {count:.3g} times, which take {8e-9 * count:.3g} GB and every state as "
            f"much again; ask for at most {_MOST_POINTS:.0e}."
        )


def parse_initial(text: str | None, states: tuple[str, ...], fitted: Array | None) -> Array:
    """Return the initial state; what ``name=value,...`` leaves out is as fitted.

    Raises
    ------
    InputError
        An unknown state, a value that is no number, or nothing known of a state.
    """
    given: dict[str, float] = {}
    for name, value in split_pairs(text.split(",") if text else [], "--initial"):
        check_named("--initial", [name], "state", states)
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
    solution: cc.Solution, conditions: cc.Experiment, parameters: Array, run: cc.Simulation
) -> pd.DataFrame:
    import pandas as pd

    model = solution.model.with_parameters(parameters)
    inputs = [conditions.inputs[name](run.times) for name in model.inputs]
    columns: dict[str, Array] = {"time": run.times}
    columns.update({name: run.states[:, i] for i, name in enumerate(model.states)})
    u = np.column_stack(inputs) if inputs else None
    observed = model.observe(run.states, u, run.times, run.algebraics)
    if run.algebraics is not None:
        columns.update(zip(model.algebraics, run.algebraics.T, strict=True))
    for j, name in enumerate(model.outputs):
        columns.setdefault(name, observed[:, j])
    return pd.DataFrame(columns)
