"""`integrate`: any right-hand side by SciPy's integrators, from jump to jump; a breakdown is part of the result."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..checks import counted
from ..errors import InputError
from ..numerics import Array
from .delayed import Record

_MOST_EVALUATIONS = 2_000_000
METHODS = ("LSODA", "RK45", "RK23", "DOP853", "Radau", "BDF")  # of SciPy


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated trajectory.

    Attributes
    ----------
    times : (N,); states : (N, states), NaN from where the integration broke down.
    algebraics : (N, algebraic variables) of a model that has them.
    complete : whether it reached the last time; ``message`` says why not.
    evaluations : of the right-hand side.
    """

    times: Array
    states: Array
    complete: bool = True
    message: str = ""
    evaluations: int = 0
    algebraics: Array | None = None


def edges(t: Array, jumps: ArrayLike) -> Array:
    """Return the times where the integration starts, restarts and ends."""
    inner = np.unique(np.asarray(jumps, dtype=float))
    # what rounding has set apart is one jump: no integrator takes a step of 1e-17
    slack = 16.0 * np.spacing(np.abs(t[[0, -1]]).max())
    inner = inner[(inner > t[0] + slack) & (inner < t[-1] - slack)]
    inner = inner[np.diff(inner, prepend=-np.inf) > slack]
    return np.concatenate([[t[0]], inner, [t[-1]]])


def checked_start(initial: ArrayLike, times: ArrayLike, states: int | None) -> tuple[Array, Array]:
    """Return times and initial state as arrays.

    Raises
    ------
    InputError
        Times that decrease or are not finite, a state that is not finite or of another length.
    """
    t = np.asarray(times, dtype=float)
    x = np.asarray(initial, dtype=float).ravel()
    if t.ndim != 1 or len(t) < 1 or not np.isfinite(t).all() or (np.diff(t) < 0.0).any():
        raise InputError("simulation times must be finite and may not decrease; sort them.")
    if states is not None and len(x) != states:
        raise InputError(
            f"the initial state has {counted(len(x), 'entry', 'entries')}, but the model has {counted(states, 'state')}."
        )
    if not np.isfinite(x).all():
        raise InputError(f"the initial state {x} is not finite.")
    return t, x


class BetweenJumps:
    """A right-hand side that is told where the integrator is.

    Attributes
    ----------
    middle : of the segment between two jumps; behind it inputs have their values from the left, as at the
        segment's end they must not be those of the next one.
    record : remembers the steps that were taken, for those who look back.
    """

    middle: float = np.inf
    record: Record | None = None


def integrate(
    rhs: Callable[[float, Array], ArrayLike],
    initial: ArrayLike,
    times: ArrayLike,
    jumps: ArrayLike = (),
    states: int | None = None,
    method: str = "LSODA",
    rtol: float = 1e-8,
    atol: ArrayLike = 1e-10,
    jac: Callable[[float, Array], Any] | None = None,
) -> Simulation:
    """Integrate ``rhs(t, x)``, restarting at ``jumps``; a breakdown is reported, not raised.

    ``jac(t, x)`` is its derivative by the states, for the implicit methods; differences stand in for it.
    """
    t, x = checked_start(initial, times, states)
    if method not in METHODS:
        raise InputError(
            f"unknown integrator {method!r}; choose from {', '.join((*METHODS, 'CVODES'))}."
        )
    found = np.full((len(t), len(x)), np.nan)
    found[t == t[0]] = x
    guarded, record = _Guard(rhs), rhs.record if isinstance(rhs, BetweenJumps) else None
    given = {} if jac is None else {"jac": lambda s, x: jac(guarded.begin + s, x)}
    for left, right in itertools.pairwise(edges(t, jumps)):
        if right <= left:
            break
        inside = (t > left) & (t <= right)
        report = np.append(t[inside], right)
        if isinstance(rhs, BetweenJumps):
            rhs.middle = 0.5 * (left + right)
        with np.errstate(all="ignore"):
            answer = _solve(guarded, left, right, x, report, method, rtol, atol, record, **given)
        got = answer[: int(inside.sum())]
        found[np.flatnonzero(inside)[: len(got)]] = got
        if len(answer) < len(report) or not np.isfinite(answer).all():
            reached = t[np.isfinite(found).all(axis=1)][-1]
            message = f"the simulation broke down after t = {reached:.12g}"
            return Simulation(t, found, False, message, guarded.count)
        x = answer[-1]
    return Simulation(t, found, evaluations=guarded.count)


def _solve(
    rhs: _Guard,
    left: float,
    right: float,
    x: Array,
    report: Array,
    method: str,
    rtol: float,
    atol: ArrayLike,
    record: Record | None = None,
    **given: Any,
) -> Array:
    """(reached, states) at the report times, as far as the integrator comes; ``record`` is told of steps.

    The integrator counts time from ``left``: its steps would be rounded where times are large.
    """
    longest = np.inf if record is None else record.longest
    found, done, rhs.begin, report = [np.empty((0, len(x)))], 0, left, report - left
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a breakdown is in the result, not on the terminal
        try:
            solver = getattr(scipy.integrate, method)(
                rhs, 0.0, x, right - left, rtol=rtol, atol=atol, max_step=longest, **given
            )
            while solver.status == "running":
                solver.step()
                if record is not None and solver.status != "failed":
                    record.remember(left + solver.t, left, solver.dense_output())
                upto = int(np.searchsorted(report, solver.t, side="right"))
                if upto > done and solver.status != "failed":
                    found.append(np.atleast_2d(solver.dense_output()(report[done:upto]).T))
                    done = upto
        except (_Runaway, ValueError, FloatingPointError):
            pass  # what was reached before stands
    return np.vstack(found)


class _Runaway(Exception):
    """The integrator asks for absurdly many evaluations or leaves the numbers."""


class _Guard:
    """A right-hand side of the time since ``begin``."""

    def __init__(self, rhs: Callable[[float, Array], ArrayLike]) -> None:
        self._rhs, self.count, self.begin = rhs, 0, 0.0

    def __call__(self, since: float, x: Array) -> Array:
        self.count += 1
        if self.count > _MOST_EVALUATIONS or not np.isfinite(x).all() or np.abs(x).max() > 1e100:
            raise _Runaway
        return np.asarray(self._rhs(self.begin + since, x), dtype=float)
