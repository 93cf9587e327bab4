"""`split`: which data are fitted, and which the fit is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..checks import apart
from ..errors import InputError
from ..kinds import check_type
from ..model.experiment import Experiment
from ..model.problem import Problem


def split(problem: Problem, holdout: float | Sequence[str] = 0.25) -> Problem:
    """Return the problem with a part of its experiments moved to ``test``.

    Parameters
    ----------
    problem : whose experiments are split; what it had in ``test`` stays there.
    holdout : the last share of every experiment's duration, or the names of whole experiments.
        The held-out end of an experiment is predicted from the last fitted state.

    Raises
    ------
    InputError
        A share outside (0, 1), unknown names, or nothing left to fit.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import MLP, Experiment, NeuralODE
    >>> t = np.linspace(0.0, 10.0, 101)
    >>> whole = Problem(NeuralODE(MLP((1, 4, 1))), Experiment(t, np.exp(-t), ("c",), name="run"))
    >>> parts = split(whole, 0.2)
    >>> parts.experiments[0].end, parts.test[0]
    (8.0, Experiment('run, held out', outputs=('c',), samples=20, [8, 10]))
    """
    check_type("split", problem, Problem)
    problem.refuse_decisions("split (and sweep, which uses it)")
    if isinstance(holdout, int | float):
        if problem.lags:
            raise InputError(
                "what is held out of an experiment's end would have to know what was before, and problem "
                f"{problem.name!r} has delayed states; hold out whole experiments, by name."
            )
        return _by_time(problem, float(holdout))
    names = [e.name for e in problem.experiments]
    unknown = [n for n in holdout if n not in names]
    if unknown:
        raise InputError(f"there is no experiment {unknown[0]!r}; there are: {', '.join(names)}.")
    kept = tuple(e for e in problem.experiments if e.name not in holdout)
    out = tuple(e for e in problem.experiments if e.name in holdout)
    if not kept or not out:
        raise InputError("hold out at least one experiment and keep at least one.")
    return replace(problem, experiments=kept, test=(*problem.test, *out))


def _by_time(problem: Problem, share: float) -> Problem:
    if not 0.0 < share < 1.0:
        raise InputError(f"the held-out share lies between 0 and 1, not at {share}.")
    kept: list[Experiment] = []
    out: list[Experiment] = []
    for e in problem.experiments:
        first, last = float(e.times[0]), float(e.times[-1])
        cut = first + (1.0 - share) * (last - first)
        cut += 1e-9 * (last - first)  # a sample on the cut is fitted
        training = _apart(problem, e, first, cut).window(first, cut, begins=e.start)
        kept.append(training)
        rest = e.times > cut
        if rest.any():
            later = _apart(problem, e, cut, last)
            label = f"{e.name}, held out"
            held = later.window(float(e.times[rest][0]), last, name=label, begins=training.end)
            out.append(replace(held, initial={}))
    return replace(problem, experiments=tuple(kept), test=(*problem.test, *out))


def _apart(problem: Problem, e: Experiment, start: float, end: float) -> Experiment:
    """Give events at estimated times a number where a part of the experiment has them before or behind it."""
    known = {q.name: q for q in problem.all_parameters}
    events = []
    for event in e.events:
        if isinstance(event.time, str):
            low, high = known[event.time].lower, known[event.time].upper
            if high <= start or low >= end:
                event = replace(event, time=0.5 * (low + high))
            elif low < start or high > end:
                told = apart(start if low < start else end, low, high, digits=12)
                raise InputError(
                    f"the time {event.time!r} of an event of experiment {e.name!r} may lie on both sides of the "
                    f"cut at {told[0]}; narrow its bounds, [{told[1]}, {told[2]}], or hold out "
                    "whole experiments, by name."
                )
        events.append(event)
    return replace(e, events=tuple(events), placed={}) if e.placed else e
