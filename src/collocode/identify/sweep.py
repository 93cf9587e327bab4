r"""Sweeps with validation: the regularisation, or any other setting, chosen instead of guessed.

Every value is fitted on a part of the data and judged on the rest, by *simulation*: either the last
part of every experiment is held out (``holdout`` of its duration) or whole experiments are.  The
score is the mean squared residual of the held-out data, each output in units of its spread.  A
sweep over the regularisation keeps one NLP and one solver and starts every λ from the last.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import FileError, InputError
from ..model.loss import L2
from ..model.problem import Problem
from ..results.simulate import simulate
from ..results.solution import Solution
from ..results.status import SolutionStatus
from ..solvers.solve import make_solver, solve_with
from ..starts.strategies import start_from
from ..transcription.discretize import discretize
from .fit import fit

Array = NDArray[np.float64]
Factory = Callable[..., Problem]


@dataclass(frozen=True, eq=False)
class Sweep:
    """The outcome of a sweep.

    Attributes
    ----------
    name : what was swept.
    table : by value: ``validation`` and ``training`` error, ``status``, ``iterations``, ``seconds``.
    best : the value of lowest validation error among the converged fits.
    solution : the fit with the best value to all data.
    """

    name: str
    table: pd.DataFrame
    best: Any
    solution: Solution


def sweep(
    problem: Problem | Factory,
    name: str = "regularisation",
    values: Sequence[Any] = tuple(np.logspace(-2, -7, 11)),
    holdout: float | Sequence[str] = 0.25,
    checkpoint: str | Path | None = None,
    on_value: Callable[[Any, Mapping[str, Any]], Any] | None = None,
    **settings: Any,
) -> Sweep:
    """Fit for every value, validate on held-out data, refit with the best.

    Parameters
    ----------
    problem : a problem (``name`` is then ``regularisation``), or a function that makes one from the
        keyword ``name``, such as a model file's ``problem``.
    name, values : what to vary, and over which values; λ is taken from large to small.
    holdout : last share of every experiment's duration, or names of experiments.
    checkpoint : a JSON file; values that it already has are not fitted again.
    on_value : called with the value and its row after every fit.
    settings : as for `fit` (scheme, degree, mesh, start, seed, options, ...).

    Raises
    ------
    InputError
        Nothing to sweep, nothing to hold out, or no value converged.
    """
    if not len(values):
        raise InputError(f"the sweep over {name!r} has no values.")
    make = _factory(problem, name)
    if name == "regularisation":
        values = sorted((float(v) for v in values), reverse=True)
    done = _read(checkpoint, name)
    runs = _regularisation_runs if name == "regularisation" else _single_runs
    pending = [v for v in values if str(v) not in done]
    for value, solution, held, seconds in runs(make, name, pending, holdout, settings):
        row = {
            "validation": validation_error(solution, held),
            "training": training_error(solution),
            "status": solution.status,
            "converged": solution.result.status is SolutionStatus.OPTIMAL,
            "iterations": solution.result.iterations,
            "seconds": seconds,
        }
        done[str(value)] = row
        _write(checkpoint, name, done)
        if on_value is not None:
            on_value(value, row)
    table = pd.DataFrame([done[str(v)] for v in values], index=pd.Index(values, name=name))
    usable = table[table["converged"].astype(bool) & np.isfinite(table["validation"])]
    if usable.empty:
        raise InputError(
            f"no value of {name!r} gave a converged fit with a finite validation error; "
            "try start='horizon' or other values."
        )
    best = usable["validation"].idxmin()
    return Sweep(name, table, best, fit(make(best), **settings))


def split(problem: Problem, holdout: float | Sequence[str]) -> tuple[Problem, Problem]:
    """Return the problem on the training part, and the whole, from which the rest is judged."""
    if isinstance(holdout, int | float):
        if not 0.0 < holdout < 1.0:
            raise InputError(f"the held-out share lies between 0 and 1, not at {holdout}.")
        experiments = []
        for e in problem.experiments:
            cut = e.times[0] + (1.0 - holdout) * (e.times[-1] - e.times[0])
            experiments.append(e.window(float(e.times[0]), float(cut)))
    else:
        names = [e.name for e in problem.experiments]
        unknown = [n for n in holdout if n not in names]
        if unknown:
            raise InputError(
                f"there is no experiment {unknown[0]!r}; there are: {', '.join(names)}."
            )
        experiments = [e for e in problem.experiments if e.name not in holdout]
        if not experiments or len(experiments) == len(names):
            raise InputError("hold out at least one experiment and keep at least one.")
    return replace(problem, experiments=tuple(experiments), test=()), problem


def validation_error(solution: Solution, whole: Problem) -> float:
    """Mean squared simulated residual of the data the fit has not seen, in units of spread."""
    total, count = 0.0, 0
    spread = np.array([whole.spread[n] or 1.0 for n in whole.outputs])
    fitted = {part.experiment.name: part for part in solution.trajectories}
    for e in whole.experiments:
        part = fitted.get(e.name)
        unseen = e.times > part.experiment.times[-1] if part else np.ones(e.samples, dtype=bool)
        if not unseen.any():
            continue
        model = solution.model if part is None else solution.model.with_parameters(part.parameters)
        initial = part.states[0] if part is not None else _first_state(whole, e.name)
        run = simulate(model, initial, e.times, e.inputs)
        u = [e.inputs[n](e.times) for n in model.inputs]
        outputs = model.observe(run.states, np.column_stack(u) if u else None)
        r = ((outputs - e.values) / spread)[unseen]
        known = np.isfinite(e.values[unseen])
        total += float(np.sum(np.where(np.isfinite(r[known]), r[known], np.inf) ** 2))
        count += int(known.sum())
    return total / count if count else float("nan")


def training_error(solution: Solution) -> float:
    """Mean squared simulated residual of the fitted data, in the data's units."""
    scores = [s.simulated for s in solution.score() if s.role == "train"]
    return float(np.mean(scores))


def _first_state(problem: Problem, name: str) -> Array:
    """Initial state of an experiment that was not fitted: given, or its smoothed first values."""
    experiment = next(e for e in problem.experiments if e.name == name)
    smooth = problem.smoothers(experiment)
    state = []
    for label in problem.states:
        known = problem.initial_of(experiment, label)
        if np.isfinite(known.value):
            state.append(known.value)
        elif label in smooth:
            state.append(float(smooth[label](experiment.times[0])))
        else:
            raise InputError(
                f"held-out experiment {name!r} does not tell {label}(0); give it in initial=."
            )
    return np.array(state)


def _factory(problem: Problem | Factory, name: str) -> Callable[[Any], Problem]:
    if isinstance(problem, Problem):
        if name != "regularisation":
            raise InputError(
                f"to sweep {name!r}, give the function that makes the problem from it."
            )
        given = problem
        return lambda value: replace(given, regularisation=L2(float(value)))
    make = problem
    return lambda value: make(**{name: value})


def _regularisation_runs(
    make: Callable[[Any], Problem],
    name: str,
    values: Sequence[Any],
    holdout: Any,
    settings: Mapping[str, Any],
) -> Any:
    if not len(values):
        return
    own = dict(settings)
    start, seed = own.pop("start", "gradient_matching"), own.pop("seed", 0)
    interface, options = own.pop("interface", "casadi"), own.pop("options", None)
    training, whole = split(make(values[0]), holdout)
    nlp = discretize(training, **own)
    solver, last = make_solver(nlp, interface, options), None
    for value in values:
        began = time.perf_counter()
        # from the last optimum while that was one; its multipliers are of another λ and stay out
        here = nlp.with_parameters(regularisation=[value])
        here = here.with_start(last.result.x) if last is not None else start_from(here, start, seed)
        solution = solve_with(solver, here)
        last = solution if solution.success else None
        yield value, solution, whole, time.perf_counter() - began


def _single_runs(
    make: Callable[[Any], Problem],
    name: str,
    values: Sequence[Any],
    holdout: Any,
    settings: Mapping[str, Any],
) -> Any:
    for value in values:
        began = time.perf_counter()
        training, whole = split(make(value), holdout)
        yield value, fit(training, **settings), whole, time.perf_counter() - began


def _read(checkpoint: str | Path | None, name: str) -> dict[str, dict[str, Any]]:
    if checkpoint is None or not Path(checkpoint).is_file():
        return {}
    try:
        content = json.loads(Path(checkpoint).read_text())
        if content["swept"] != name:
            raise FileError(
                f"{checkpoint} belongs to a sweep over {content['swept']!r}; name another."
            )
        rows: dict[str, dict[str, Any]] = content["rows"]
        return rows
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{checkpoint} is not a checkpoint of a sweep; delete it.") from error


def _write(checkpoint: str | Path | None, name: str, rows: Mapping[str, Any]) -> None:
    if checkpoint is None:
        return
    target = Path(checkpoint)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".json")
    with os.fdopen(handle, "w") as stream:
        json.dump({"swept": name, "rows": rows}, stream, indent=1)
    os.replace(temporary, target)
