"""What can move along with the time: a window whose program stays the same at every time of the clock."""

from __future__ import annotations

from dataclasses import replace

import casadi as ca
import numpy as np

from ..checks import counted
from ..errors import InputError
from ..model.costs import Mayer
from ..model.phases import IntegralConstraint
from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained, costed, derivatives, residuals
from ..numerics.signals import Signal


def shifted(signal: Signal, now: float) -> Signal:
    """Return a signal as seen from ``now`` on: s(t) = signal(now + t)."""
    points = None if signal.points is None else signal.points - now
    return replace(signal, times=signal.times - now, points=points)


def span_of(problem: Problem) -> tuple[float, float]:
    """Start and end of a problem's only window, once it is one that can move along."""
    windows = problem.experiments
    if len(windows) != 1 or windows[0].measures or windows[0].is_free:
        raise InputError(
            f"a receding horizon has one window without data and of fixed times, but problem "
            f"{problem.name!r} has {_what(problem)}; leave one Window(end=...)."
        )
    window = windows[0]
    if window.start != 0.0:
        raise InputError(
            f"the window of a receding horizon counts time from now, but {window.name!r} starts at "
            f"{window.start:.12g}; give Window(start=0.0, end={window.end - window.start:.12g}) and shift its inputs."  # type: ignore[operator]
        )
    totals = [c.name for c in problem.constraints if isinstance(c, IntegralConstraint)]
    if totals:
        raise InputError(
            f"integral constraint {totals[0]!r} begins at zero in every window, and a plan begins where the plant "
            "is; make the integral a state of the plant and bound it."
        )
    free = [q.name for q in problem.all_parameters if q.lower < q.upper]
    free += list(problem.dynamics.networks)
    if free:
        raise InputError(
            f"{free[0]!r} of problem {problem.name!r} is free, so that a plan would choose what the plant does "
            "not; fix it, as a number or by equal bounds, or call the trained network in the dynamics."
        )
    if window.events:
        raise InputError(
            f"{window.name!r} has events, which a receding horizon does not move along with its window; give "
            "what happens at a time of the clock as a given input."
        )
    s = Symbols.of(problem)
    equations = ca.vertcat(derivatives(problem, s), residuals(problem, s))
    if problem.varies_in_time or ca.depends_on(equations, s.t):
        raise InputError(
            f"the dynamics of problem {problem.name!r} depend on t, which counts from now in every plan; give what "
            "depends on the clock as an input of the window."
        )
    changing = {n for n, signal in window.inputs.items() if np.ptp(signal.values) > 0.0}
    ends = [(c.name, costed(problem, c, s)) for c in problem.costs if isinstance(c, Mayer)]
    ends += [(c.name, constrained(problem, c, s)) for c in problem.boundary_constraints]
    for label, value in ends:
        for j, name in enumerate(problem.inputs):
            if name in changing and ca.depends_on(value, s.u[j]):
                raise InputError(
                    f"{label!r} looks at input {name!r} at an end of the window, where its value is part "
                    "of the program; use it in a Lagrange cost or a constraint along the path."
                )
    assert window.start is not None
    assert window.end is not None
    return window.start, window.end


def _what(problem: Problem) -> str:
    if len(problem.experiments) > 1:
        return f"{counted(len(problem.experiments), 'window')}"
    return "data" if problem.experiments[0].measures else "free times"
