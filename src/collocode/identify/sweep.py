r"""Sweeps with validation: the regularisation, or any other setting, chosen instead of guessed.

Every value is fitted on a part of the data and judged on the rest, by *simulation*: either the last
part of every experiment is held out (``holdout`` of its duration) or whole experiments are.  The
score is the mean squared residual of the held-out data, each output in units of its spread.

Every value is begun twice, from the best fit so far (*warm*) and from its own start (*cold*), and
the fit that simulates the held-out data better counts: a continuation that goes astray spoils
nothing behind it.  So is the refit to all data; and it must not simulate them worse than the fit
that was validated, or else that one is handed back.  A sweep over the regularisation keeps one
NLP and one solver; its mesh, unless it is given, is the one that a fit by evidence chooses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..conditions import UNFITTED, fingerprint
from ..errors import FileError, InputError, quietly
from ..kinds import check_type
from ..model.losses import L2, Evidence
from ..model.problem import Problem
from ..results.doubts import warn
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import Interrupt, interrupted
from ..solvers.protocol import Solver
from ..solvers.solve import make_solver
from ..solvers.threads import single_threaded
from ..starts.from_solution import alike
from ..starts.strategies import Start
from ..transcription.nlp import NLP
from .checkpoint import SWEEP, Checkpoint, Point, Row
from .fallbacks import solve_begun
from .fit import discretized, fit
from .split import split
from .validation import training_error, validation_error, whole_error

_CONVERGED = (Termination.CONVERGED, Termination.ACCEPTABLE)
Factory = Callable[..., Problem]


@dataclass(frozen=True, eq=False, kw_only=True)
class Sweep:
    """The outcome of a sweep.

    Attributes
    ----------
    name : what was swept.
    table : by value: ``validation`` and ``training`` error (mean squares of simulated residuals, each
        output in units of its spread), ``start`` (``warm`` or ``cold``), ``status``, ``converged``,
        ``objective``, ``iterations``, ``seconds``.
    best : the value of lowest validation error among the converged fits.
    solution : the fit with the best value to all data.
    refitted : whether it is that; False if no such fit simulates all data as well as the validated
        fit to a part, which ``solution`` then is.
    termination : ``INTERRUPTED`` after Ctrl-C; the table then has the values that were finished, and
        ``solution`` is the best fit to a part by then.
    """

    name: str
    table: pd.DataFrame
    best: Any
    solution: Solution
    refitted: bool = True
    termination: Termination = Termination.CONVERGED


@single_threaded
def sweep(
    problem: Problem | Factory,
    name: str = "regularisation",
    values: Sequence[Any] = tuple(np.logspace(-2, -7, 11)),
    holdout: float | Sequence[str] = 0.25,
    checkpoint: str | Path | None = None,
    on_value: Callable[[Any, Mapping[str, Any]], Any] | None = None,
    conditions: Mapping[str, Any] | None = None,
    time_limit: float | None = None,
    **settings: Any,
) -> Sweep:
    """Fit for every value, validate on held-out data, refit with the best.

    Parameters
    ----------
    problem : a problem (``name`` is then ``regularisation``), or a function that makes one from the
        keyword ``name``, such as a model file's ``problem``.
    name, values : what to vary, and over which values; λ is taken from large to small.
    holdout : last share of every experiment's duration, or names of experiments.
    checkpoint : a JSON file; values that it already has are not fitted again, and the best of them
        starts the others as it would have.
    on_value : called with the value and its row after every fit.
    conditions : what else must agree with the checkpoint, such as other settings of the problem.
    time_limit : seconds for all fits; then what there is by then comes back, as after Ctrl-C.
    settings : as for `fit` (scheme, degree, mesh, start, seed, options, ...).

    Returns
    -------
    The `Sweep`; after Ctrl-C with what there is, and ``INTERRUPTED``, or ``TIME_LIMIT``.

    Raises
    ------
    InputError
        Nothing to sweep, nothing to hold out, or no value converged.
    KeyboardInterrupt
        Ctrl-C before there is any fit.
    """
    if not len(values):
        raise InputError(f"the sweep over {name!r} has no values.")
    make = _factory(problem, name)
    if name == "regularisation":
        values = sorted((L2(float(v)).strength for v in values), reverse=True)
    values = list(values)
    place = None if checkpoint is None else SWEEP.place(checkpoint)
    problems = {str(v): fingerprint(make(v), without=UNFITTED) for v in values if place}
    kept = Checkpoint(place, name, _conditions(holdout, settings, conditions), problems)
    trials = _Trials(make, name, holdout, settings)
    done, point = kept.read()
    interrupt = Interrupt(time_limit)
    try:
        with quietly(), interrupt:
            trials.resume(place, values, done, point)
            for value in values:
                if str(value) not in done:
                    done[str(value)] = trials.row_of(value)
                    kept.write(done, trials.point)
                    if on_value is not None:
                        on_value(value, done[str(value)])
            solution, refitted = trials.refit(_best(_table(name, values, done)))
        end = Termination.CONVERGED
    except KeyboardInterrupt:
        found = trials.best or trials.last
        if found is None:
            raise
        end = Termination.TIME_LIMIT if interrupt.late else Termination.INTERRUPTED
        solution, refitted = found, False
    table = _table(name, values, done)
    best = _best(table) if trials.best is not None else None
    warn(solution)
    return Sweep(
        name=name, table=table, best=best, solution=solution, refitted=refitted, termination=end
    )


def _table(name: str, values: Sequence[Any], done: Mapping[str, Row]) -> pd.DataFrame:
    known = [v for v in values if str(v) in done]
    return pd.DataFrame([done[str(v)] for v in known], index=pd.Index(known, name=name))


def _best(table: pd.DataFrame) -> Any:
    """Return the value of lowest validation error among the converged fits."""
    usable = table["converged"].to_numpy(dtype=bool) & np.isfinite(table["validation"].to_numpy())
    if not usable.any():
        raise InputError(
            f"no value of {table.index.name!r} gave a converged fit with a finite validation error; "
            "try start='horizon' or other values."
        )
    return list(table.index)[int(np.argmin(np.where(usable, table["validation"], np.inf)))]


def _factory(problem: Problem | Factory, name: str) -> Callable[[Any], Problem]:
    ours = type(problem).__module__.startswith("collocode.")  # networks are callable
    if ours or isinstance(problem, type) or not callable(problem):
        check_type("sweep", problem, Problem)
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


class _Trials:
    """Fits to the training part, each value from the best fit so far and from its own start.

    Attributes
    ----------
    best : the fit of lowest held-out error so far; None before one has converged.
    last : the fit before the current one.
    point : value and point of ``best``, for a checkpoint.
    """

    def __init__(
        self,
        make: Callable[[Any], Problem],
        name: str,
        holdout: float | Sequence[str],
        settings: Mapping[str, Any],
    ) -> None:
        self._make, self._holdout, self._settings = make, holdout, dict(settings)
        self._own: Start = self._settings.pop("start", "auto")
        self._one_structure = name == "regularisation"
        self._built: tuple[NLP, Solver] | None = None
        self._least = np.inf
        self.best: Solution | None = None
        self.last: Solution | None = None
        self.point: Point | None = None

    def row_of(self, value: Any) -> Row:
        """Return the row of a value; raises KeyboardInterrupt if a solver was interrupted."""
        began, whole = time.perf_counter(), self._make(value)
        found: list[tuple[Row, Solution]] = []
        for name, start in self._starts(whole):
            solution = self._fit_part(value, start)
            row: Row = {
                "validation": validation_error(solution, whole),
                "training": training_error(solution, whole),
                "start": name,
                "status": solution.status,
                "converged": solution.result.termination in _CONVERGED,
                "objective": solution.result.objective,
                "iterations": solution.result.iterations,
            }
            found.append((row, solution))
        row, solution = min(found, key=lambda pair: _rank(pair[0]))
        if row["converged"] and row["validation"] < self._least:  # no NaN
            self.best, self._least = solution, row["validation"]
            self.point = {"value": str(value), "x": solution.result.x.tolist()}
        return {**row, "seconds": time.perf_counter() - began}

    def resume(
        self, path: Path | None, values: Sequence[Any], done: Mapping[str, Row], point: Point | None
    ) -> None:
        """Take up the best fit of a checkpoint: a few iterations from its point."""
        known = [v for v in values if point is not None and str(v) == point["value"]]
        if known and point is not None:
            try:
                self.best = self._fit_part(known[0], np.array(point["x"]))
            except InputError as error:
                raise FileError(
                    f"the best point in {path} is not of this problem ({error}); name another "
                    "checkpoint or delete it."
                ) from error
            self._least, self.point = done[point["value"]]["validation"], point

    def refit(self, value: Any) -> tuple[Solution, bool]:
        r"""Return what simulates all data best with a value, and whether it was fitted to all.

        A mean of M squares is known to its :math:`\sqrt{2/M}`-th part; a fit to all data is not
        worse than the validated one if it lies within two of these.
        """
        if self.best is None or self.point is None or self.point["value"] != str(value):
            self.best = self._fit_part(value, self._own)
        whole = self._make(value)
        fits = [
            self._finished(fit(whole, **self._settings, start=start))
            for _, start in self._starts(whole)
        ]
        errors = [
            whole_error(s, whole) if s.result.termination in _CONVERGED else np.inf for s in fits
        ]
        least = int(np.argmin(errors))
        slack = 1.0 + 2.0 * np.sqrt(2.0 / whole.n_measurements)
        if errors[least] <= slack * whole_error(self.best, whole):
            return fits[least], True
        assert self.best.nlp is not None
        nlp = replace(self.best.nlp, problem=self._part(value))  # of this very λ
        held = tuple(split(whole, self._holdout).test)
        return replace(self.best, nlp=nlp, test=held), False

    def _starts(self, problem: Problem) -> list[tuple[str, Start]]:
        """Where a fit of a problem is begun, by name."""
        cold: list[tuple[str, Start]] = [("cold", self._own)]
        if self.best is None or not alike(problem, self.best.model):
            return cold
        return [("warm", self.best), *cold]

    def _fit_part(self, value: Any, start: Start) -> Solution:
        """Fit a value to the training part."""
        if not self._one_structure:
            return self._finished(fit(self._part(value), **self._settings, start=start))
        own = dict(self._settings)
        look, seed = own.pop("on_iteration", None), own.pop("seed", 0)
        solving = {k: own.pop(k) for k in ("interface", "options", "deterministic") if k in own}
        if self._built is None:
            nlp = self._discretized(value, own)
            self._built = nlp, make_solver(nlp, **solving)
        nlp, solver = self._built
        # multipliers are of another λ and stay out
        here = nlp.with_parameters(regularisation=[value])
        return self._finished(solve_begun(solver, here, start, seed, look))

    def _discretized(self, value: Any, how: Mapping[str, Any]) -> NLP:
        """The NLP of all values; a mesh that is to be chosen is that of a fit by evidence."""
        auto, nlp = discretized(self._part(value), **how)
        if auto is None:
            return nlp
        chosen = replace(self._part(value), regularisation=Evidence())
        found = self._finished(fit(chosen, **self._settings, start=self._own))
        return found.nlp if found.success and found.nlp is not None else nlp

    def _part(self, value: Any) -> Problem:
        return replace(split(self._make(value), self._holdout), test=())

    def _finished(self, solution: Solution) -> Solution:
        self.last = solution
        if interrupted() or solution.result.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        return solution


def _rank(row: Row) -> tuple[bool, float, float]:
    """Converged before not, then by held-out error, then by objective."""
    error = row["validation"] if np.isfinite(row["validation"]) else np.inf
    return not row["converged"], error, row["objective"]
