r"""Delayed states of a trained model: their histories as signals, and the past of a simulation.

A simulation goes by the *method of steps*: no step is longer than the least delay, so whatever the
right-hand side asks of the past has been integrated before, and the integrator's own interpolants answer.
It restarts where kinks of the solution come to lie, see `breaking_points`.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import casadi as ca
import numpy as np

from ..checks import check_named, shown
from ..errors import InputError
from ..model.delays import span_of
from ..model.experiment import Experiment, Past
from ..model.problem import Problem
from ..model.symbolic import Symbols, past
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.signals import Signal

_SAMPLES = 401  # of a history that is a function
_LEVELS = 6  # of breaking points: behind them a solution is smooth enough for an integrator


@dataclass(frozen=True, kw_only=True)
class Lag:
    """A delayed state of a model.

    Attributes
    ----------
    name : as the model calls it.
    of : the state that it looks at.
    by : how far back, a number or a parameter's name.
    """

    name: str
    of: str
    by: float | str


def histories(problem: Problem, experiment: Experiment, p: Array) -> dict[str, Signal]:
    """Return the histories of an experiment as signals, those that are not the initial state's.

    Parameters
    ----------
    p : (parameters,) decided values, as the experiment sees them.
    """
    if not experiment.history:
        return {}
    s, found = Symbols.of(problem), {}
    start, known = experiment.start, {q.name: q for q in problem.all_parameters}
    assert start is not None
    for state, given in experiment.history.items():
        if isinstance(given, Signal):
            found[state] = given
            continue
        spans = [span_of(d, experiment, known)[1] for d in problem.lags.values() if d.of == state]
        back = max(spans) or 1.0
        times = np.linspace(start - back, start, _SAMPLES) if callable(given) else [start]
        value = past(problem, experiment, state, s, s.t)
        values = ca.Function("past", [s.t, s.p], [value]).map(len(times))(np.atleast_2d(times), p)
        kind = "spline" if callable(given) else "zoh"
        found[state] = Signal(np.asarray(times), np.asarray(values, dtype=float).ravel(), kind)
    return found


def late_signal(
    scheme: Scheme, mesh: Mesh, nodes: Array, by: float, history: Signal | None
) -> Signal:
    """Return a delayed state as a signal: the elements' interpolant, later, behind the history.

    Parameters
    ----------
    nodes : (nodes,) the state at all nodes of the mesh.
    by : how late.
    """
    dense, m = list(scheme.dense), scheme.intervals
    numbers = np.arange(mesh.elements)[:, None] * m + np.array(dense)[None, :]
    places, values, ends = scheme.nodes[dense], nodes[numbers], mesh.points + by
    begun = np.array([mesh.start])
    if history is not None:
        inside = (history.times > mesh.start - by) & (history.times < mesh.start)
        begun = np.append(begun, history.times[inside] + by)
    if by > 1e-9 * mesh.steps[0]:
        widths = np.diff(np.append(begun, ends[0]))
        times = begun[:, None] + widths[:, None] * places[None, :] - by
        left = np.broadcast_to(places == 1.0, times.shape).ravel()
        before = np.full(times.size, nodes[0]) if history is None else history(times.ravel(), left)
        values = np.vstack([before.reshape(times.shape), values])
        ends = np.append(begun, ends)
    at = ends[:-1, None] + np.diff(ends)[:, None] * places[None, :]
    return Signal(at.ravel(), values.ravel(), "polynomial", ends)


class Record:
    """What a simulation has integrated so far, to be looked up; before its start the histories.

    Parameters
    ----------
    start, initial : time and (states,) values where it began.
    lags : (place of the state, delay, history) of every delayed state.
    """

    def __init__(
        self, start: float, initial: Array, lags: list[tuple[int, float, Signal | None]]
    ) -> None:
        self._start, self._initial, self._lags = start, initial, lags
        self._ends: list[float] = []
        self._pieces: list[tuple[float, Callable[[float], Array]]] = []

    @property
    def longest(self) -> float:
        """Longest step that may be taken."""
        return min((by for _, by, _ in self._lags if by > 0.0), default=np.inf)

    def remember(self, end: float, begin: float, piece: Callable[[float], Array]) -> None:
        """Add a step that was taken, a function of the time since ``begin``."""
        self._ends.append(end)
        self._pieces.append((begin, piece))

    def at(self, t: float, x: Array, middle: float) -> list[float]:
        """Return the delayed states at a time; ``middle`` of the segment tells the side of a jump."""
        found = []
        for place, by, history in self._lags:
            then = t - by
            early = then < self._start
            if abs(then - self._start) <= 1e-12 * max(1.0, abs(t)):
                early = middle - by < self._start
            if by == 0.0:
                found.append(float(x[place]))
            elif early:
                known = self._initial[place] if history is None else history(then)[0]
                found.append(float(known))
            elif not self._pieces:
                found.append(float(self._initial[place]))
            else:
                number = min(bisect_left(self._ends, then), len(self._ends) - 1)
                begin, piece = self._pieces[number]
                found.append(float(piece(then - begin)[place]))
        return found

    def breaks(self, jumps: Array, end: float) -> Array:
        """Return where kinks of the solution come to lie."""
        delays = sorted({by for _, by, _ in self._lags if by > 0.0})
        sums = [
            sum(some)
            for level in range(1, _LEVELS + 1)
            for some in itertools.combinations_with_replacement(delays, level)
        ]
        begun = np.append(self._start, jumps[(jumps > self._start) & (jumps < end)])
        at = (begun[:, None] + np.array([0.0, *sums])[None, :]).ravel()
        return np.unique(np.append(jumps, at[(at > self._start) & (at < end)]))


def record_of(
    lags: tuple[Lag, ...],
    states: tuple[str, ...],
    natural: Mapping[str, float],
    history: Mapping[str, Past],
    start: float,
    initial: Array,
) -> Record:
    """Return the empty record of a simulation.

    Raises
    ------
    InputError
        A history of what no delay looks at, or that is no signal or number; a negative delay.
    """
    looked_at = {lag.of for lag in lags}
    for name, given in history.items():
        check_named("history=", [name], "state that a delay of the model looks at", looked_at)
        if not isinstance(given, Signal | float | int):
            raise InputError(
                f"the history of {name!r} is a Signal or a number here, not {shown(given)}."
            )
    rows: list[tuple[int, float, Signal | None]] = []
    for lag in lags:
        by = natural[lag.by] if isinstance(lag.by, str) else float(lag.by)
        if by < 0.0:
            raise InputError(f"the delay of {lag.name!r} is {by:g}; no delay is negative.")
        known = history.get(lag.of)
        if isinstance(known, float | int):
            known = Signal(np.array([start]), np.array([float(known)]), "zoh")
        rows.append((states.index(lag.of), by, known if isinstance(known, Signal) else None))
    return Record(start, initial, rows)
