r"""Sweeps with validation: the regularisation, or any other setting, chosen instead of guessed.

Every value is fitted on a part of the data and judged on the rest, by *simulation*: either the last
part of every experiment is held out (``holdout`` of its duration) or whole experiments are.  The
score is the mean squared residual of the held-out data, each output in units of its spread.  A
sweep over the regularisation keeps one NLP and one solver and starts every λ from the last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..archives import Schema
from ..errors import FileError, InputError
from ..files import plain
from ..model.losses import L2
from ..model.problem import Problem
from ..results.simulate import simulate
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.solve import make_solver, solve_with
from ..starts.strategies import start_from
from ..transcription.discretize import discretize
from .fit import fit, split

Array = NDArray[np.float64]
Row = dict[str, Any]
_ROW = {
    "validation": float,
    "training": float,
    "status": str,
    "converged": bool,
    "iterations": int,
    "seconds": float,
}
SWEEP = Schema(
    "sweep",
    1,
    "a checkpoint of a sweep",
    {"swept": str, "conditions": {"*": object}, "rows": {"*": _ROW}, "finished?": bool},
    suffix=".json",
)
_CONVERGED = (Termination.CONVERGED, Termination.ACCEPTABLE)
Factory = Callable[..., Problem]
Run = tuple[Any, Solution, Problem, float]  # value, fit to a part, whole problem, seconds


@dataclass(frozen=True, eq=False)
class Sweep:
    """The outcome of a sweep.

    Attributes
    ----------
    name : what was swept.
    table : by value: ``validation`` and ``training`` error (mean squares of simulated residuals, each
        output in units of its spread), ``status``, ``converged``, ``iterations``, ``seconds``.
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
    conditions: Mapping[str, Any] | None = None,
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
    conditions : what else must agree with the checkpoint, such as other settings of the problem.
    settings : as for `fit` (scheme, degree, mesh, start, seed, options, ...).

    Raises
    ------
    InputError
        Nothing to sweep, nothing to hold out, or no value converged.
    KeyboardInterrupt
        Ctrl-C; the checkpoint keeps every finished value.
    """
    if not len(values):
        raise InputError(f"the sweep over {name!r} has no values.")
    make = _factory(problem, name)
    if name == "regularisation":
        values = sorted((L2(float(v)).strength for v in values), reverse=True)
    values = list(values)
    place = None if checkpoint is None else SWEEP.place(checkpoint)
    kept = _Checkpoint(place, name, _conditions(holdout, settings, conditions))
    done = kept.read()
    runs = _regularisation_runs if name == "regularisation" else _single_runs
    pending = [v for v in values if str(v) not in done]
    for value, solution, whole, seconds in runs(make, pending, holdout, settings):
        if solution.result.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        done[str(value)] = row = _row(solution, whole, seconds)
        kept.write(done)
        if on_value is not None:
            on_value(value, row)
    table = pd.DataFrame([done[str(v)] for v in values], index=pd.Index(values, name=name))
    usable = table["converged"].to_numpy(dtype=bool) & np.isfinite(table["validation"].to_numpy())
    if not usable.any():
        raise InputError(
            f"no value of {name!r} gave a converged fit with a finite validation error; "
            "try start='horizon' or other values."
        )
    best = values[int(np.argmin(np.where(usable, table["validation"], np.inf)))]
    return Sweep(name, table, best, fit(make(best), **settings))


def _row(solution: Solution, whole: Problem, seconds: float) -> Row:
    return {
        "validation": validation_error(solution, whole),
        "training": training_error(solution, whole),
        "status": solution.status,
        "converged": solution.result.termination in _CONVERGED,
        "iterations": solution.result.iterations,
        "seconds": seconds,
    }


def validation_error(solution: Solution, whole: Problem) -> float:
    """Mean simulated loss of the data the fit has not seen; squared residuals in units of spread."""
    return _error(solution, whole, seen=False)


def training_error(solution: Solution, whole: Problem) -> float:
    """Mean simulated loss of the data that were fitted, in the same units."""
    return _error(solution, whole, seen=True)


def _error(solution: Solution, whole: Problem, seen: bool) -> float:
    total, count = 0.0, 0
    spread = np.array([whole.spread[n] or 1.0 for n in whole.outputs])
    sigma = np.array(list(whole.sigma.values()))
    fitted = {part.experiment.name: part for part in solution.trajectories}
    for e in whole.experiments:
        part = fitted.get(e.name)
        known = e.times <= (part.experiment.times[-1] if part else -np.inf)
        wanted = known if seen else ~known
        if not wanted.any():
            continue
        model = solution.model if part is None else solution.model.with_parameters(part.parameters)
        initial = part.states[0] if part is not None else _first_state(whole, e.name)
        run = simulate(model, initial, e.times, e.inputs)
        u = [e.inputs[n](e.times) for n in model.inputs]
        outputs = model.observe(run.states, np.column_stack(u) if u else None, e.times)
        measured = np.isfinite(e.values[wanted])
        costs = whole.loss.cost(outputs[wanted], e.values[wanted], sigma) * (sigma / spread) ** 2
        total += float(np.nan_to_num(costs[measured], nan=np.inf).sum())
        count += int(measured.sum())
    return total / count if count else float("nan")


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


def _conditions(
    holdout: Any, settings: Mapping[str, Any], more: Mapping[str, Any] | None
) -> dict[str, Any]:
    own = {k: v for k, v in settings.items() if k != "on_iteration"}
    return {"holdout": holdout, **own, **(more or {})}


def _regularisation_runs(
    make: Callable[[Any], Problem],
    values: Sequence[Any],
    holdout: float | Sequence[str],
    settings: Mapping[str, Any],
) -> Iterator[Run]:
    if not len(values):
        return
    own = dict(settings)
    start, seed = own.pop("start", "gradient_matching"), own.pop("seed", 0)
    look = own.pop("on_iteration", None)
    names = ("interface", "options", "deterministic")
    solving = {key: own.pop(key) for key in names if key in own}
    whole = make(values[0])
    training = replace(split(whole, holdout), test=())
    nlp = discretize(training, **own)
    solver, last = make_solver(nlp, **solving), None
    for value in values:
        began = time.perf_counter()
        # from the last optimum while that was one; its multipliers are of another λ and stay out
        here = nlp.with_parameters(regularisation=[value])
        here = here.with_start(last.result.x) if last is not None else start_from(here, start, seed)
        solution = solve_with(solver, here, on_iteration=look)
        last = solution if solution.success else None
        yield value, solution, whole, time.perf_counter() - began


def _single_runs(
    make: Callable[[Any], Problem],
    values: Sequence[Any],
    holdout: float | Sequence[str],
    settings: Mapping[str, Any],
) -> Iterator[Run]:
    for value in values:
        began = time.perf_counter()
        whole = make(value)
        training = replace(split(whole, holdout), test=())
        yield value, fit(training, **settings), whole, time.perf_counter() - began


@dataclass(frozen=True)
class _Checkpoint:
    """Rows by value, and the conditions under which they hold.

    Attributes
    ----------
    path : the JSON file; None keeps nothing.
    name : what is swept.
    conditions : what has to be the same for the rows to count: held-out data, settings, options.
    """

    path: Path | None
    name: str
    conditions: Mapping[str, Any]

    def read(self) -> dict[str, Row]:
        """Return the rows that are known; none if there is no file yet.

        Raises
        ------
        FileError
            The file is no checkpoint, or one of another sweep.
        """
        if self.path is None or not self.path.is_file():
            return {}
        tree = SWEEP.read(self.path, dict)
        swept, conditions = tree["swept"], tree["conditions"]
        if swept != self.name:
            raise FileError(f"{self.path} belongs to a sweep over {swept!r}; name another.")
        now = _as_json(self.conditions)
        for key in sorted({*now, *conditions}):
            if now.get(key) != conditions.get(key):
                raise FileError(
                    f"{self.path} was made with {key} = {conditions.get(key)}, not {now.get(key)}; "
                    "name another checkpoint or delete it."
                )
        return dict(tree["rows"])

    def write(self, rows: Mapping[str, Row]) -> None:
        """Write all rows, in one step.

        Raises
        ------
        FileError
            The folder is missing or cannot be written.
        """
        if self.path is None:
            return
        conditions = _as_json(self.conditions)
        SWEEP.write(self.path, {"swept": self.name, "conditions": conditions, "rows": rows})


def _as_json(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions as they look when read again; objects as text."""
    answer: dict[str, Any] = json.loads(json.dumps(plain(conditions), default=str))
    return answer
