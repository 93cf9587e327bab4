"""Simulation by an integrator that knows nothing of the collocation.

SciPy's, LSODA by default, or CVODES; of models with algebraic variables IDAS, see `collocode.results.algebraic`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_named, listed
from ..errors import InputError
from ..kinds import check_type
from ..model.calls import Call
from ..model.experiment import Past
from ..numerics import Array, Index
from ..numerics.signals import Signal
from .algebraic import Segments
from .delayed import Record, record_of
from .integrate import BetweenJumps, Simulation, checked_start, edges, integrate
from .model import TrainedModel


def simulate(
    model: TrainedModel,
    initial: ArrayLike,
    times: ArrayLike,
    inputs: Mapping[str, Signal] | None = None,
    method: str | None = None,
    rtol: float = 1e-8,
    atol: float | None = None,
    guess: ArrayLike | None = None,
    history: Mapping[str, Past] | None = None,
) -> Simulation:
    """Integrate a trained model from ``times[0]`` to ``times[-1]``.

    Parameters
    ----------
    model : from ``solution.model``.
    initial : (states,) state at ``times[0]``.
    times : (N,) not decreasing; where to report.
    inputs : a `Signal` for every input of the model, before its dead time; the integration restarts at their jumps, where they begin to vary
        faster, and where weights that vary in time are not smooth.
    method, rtol, atol : as for `scipy.integrate.solve_ivp`; by default 1e-10, of a state's typical size where
        this is below 1, and LSODA, or IDAS, which is the only
        one for models with algebraic variables.  ``"CVODES"``, compiled, is many times faster than the
        others where inputs jump or bend often.
    guess : (algebraic variables,) about their values at ``times[0]``.
    history : what states were before ``times[0]``, by name, signals or numbers, where delays look back; by default the
        model's own, else the initial state.  It goes by the method of steps.

    Raises
    ------
    InputError
        Wrong lengths, times out of order, a missing input, times that the basis of a weight or
        parameter does not cover.
    """
    own_names = getattr(model, "own_names", ())
    model = getattr(model, "model", model)  # of a solution
    check_type("simulate", model, TrainedModel)
    model.refuse_own("simulate", own_names)
    given = inputs or {}
    for name, signal in given.items():
        check_type(f"simulate(inputs={{{name!r}: ...}})", signal, Signal)
    signals = model.acting(given)
    missing = [name for name in model.inputs if name not in signals]
    if missing:
        stray = [name for name in given if name not in model.inputs]
        check_named("inputs= of simulate", stray, "input of the model", model.inputs)
        raise InputError(f"the simulation needs input {missing[0]!r}; pass it in inputs=.")
    u = [signals[name] for name in model.inputs]
    jumps = np.concatenate([model.breaks, *(s.jumps for s in u), *(s.onsets for s in u)])
    model.checked(times)
    slack = model.tolerance(1e-10) if atol is None else np.full(len(model.states), atol)
    if model.algebraics:
        if method not in (None, "IDAS"):
            raise InputError(
                f"{method!r} integrates no algebraic variables ({listed(model.algebraics)}); leave out "
                "method= for IDAS."
            )
        t, x = checked_start(initial, times, len(model.states))
        return _in_segments(model, x, t, u, jumps, rtol, slack, guess)
    if method == "CVODES":
        if model.lags:
            raise InputError(
                "'CVODES' does not look back at delayed states; leave out method= for LSODA."
            )
        t, x = checked_start(initial, times, len(model.states))
        return _in_segments(model, x, t, u, jumps, rtol, slack, guess=())
    evaluate, method = _Evaluator(model, u), method or "LSODA"
    if model.lags:
        t, x = checked_start(initial, times, len(model.states))
        evaluate.record = _record(model, x, float(t[0]), history)
        jumps = evaluate.record.breaks(jumps, float(t[-1]))
    elif history:
        raise InputError("history= is for models with delayed states; leave it out.")
    return integrate(evaluate, initial, times, jumps, len(model.states), method, rtol, slack)


class Repeated:
    """Simulations of a model with one set of parameters after another, by one CVODES: many times faster.

    Parameters
    ----------
    model : without algebraic variables and delayed states.
    inputs, rtol : as for `simulate`.
    most_steps : between two reported times, beyond which it breaks down.
    """

    def __init__(
        self,
        model: TrainedModel,
        inputs: Mapping[str, Signal],
        rtol: float = 1e-8,
        most_steps: int = 5000,
    ) -> None:
        signals = model.acting(inputs)
        u = [signals[name] for name in model.inputs]
        self._jumps = np.concatenate([model.breaks, *(s.jumps for s in u), *(s.onsets for s in u)])
        self._model, self._signals = model, u
        atol = float(np.min(model.tolerance(1e-10)))
        fixed = model.parameters, model.theta
        self._segments = Segments(model.function, None, fixed, u, rtol, atol, most_steps)
        self._pieces: dict[bytes, list[_Piece]] = {}

    @staticmethod
    def serves(model: TrainedModel) -> bool:
        """Whether there are neither algebraic variables nor delayed states."""
        return not model.algebraics and not model.lags

    def __call__(self, parameters: Array, initial: ArrayLike, times: ArrayLike) -> Simulation:
        """Integrate as `simulate` does, with these parameters as they are decided."""
        t, x = checked_start(initial, times, len(self._model.states))
        self._segments.fixed = parameters, self._model.theta
        key = t.tobytes()
        if key not in self._pieces:
            self._pieces[key] = _pieces(t, self._signals, self._jumps)
        return _through(self._segments, self._model, x, t, self._signals, self._pieces[key], ())


def _record(
    model: TrainedModel, x: Array, start: float, history: Mapping[str, Past] | None
) -> Record:
    natural = dict(zip(model.parameter_names, model.natural(model.parameters), strict=True))
    given = model.history if history is None else history
    return record_of(model.lags, model.states, natural, given, start, x)


def _in_segments(
    model: TrainedModel,
    x: Array,
    t: Array,
    signals: list[Signal],
    jumps: Array,
    rtol: float,
    atol: Array,
    guess: ArrayLike | None = None,
) -> Simulation:
    """Integrate by IDAS or CVODES."""
    fixed = (model.parameters, model.theta)
    determining = model.determining if model.algebraics else None
    segments = Segments(model.function, determining, fixed, signals, rtol, float(np.min(atol)))
    return _through(segments, model, x, t, signals, _pieces(t, signals, jumps), guess)


class _Piece(NamedTuple):
    """What lies between two points, at which the integration restarts.

    Attributes
    ----------
    left, right : its ends.
    at : which of the times lie in it, the left end aside.
    report, places : different times to report, the last of them its end, and which of them each of ``at`` is.
    """

    left: float
    right: float
    at: Index
    report: Array
    places: Index


def _pieces(t: Array, signals: list[Signal], jumps: Array) -> list[_Piece]:
    bends = np.concatenate([jumps, *(signal.ends for signal in signals)])
    found = []
    for left, right in itertools.pairwise(edges(t, bends).tolist()):
        inside = (t > left) & (t <= right)
        report, places = np.unique(np.append(t[inside], right), return_inverse=True)
        found.append(_Piece(left, right, np.flatnonzero(inside), report, places[:-1]))
    return found


def _through(
    segments: Segments,
    model: TrainedModel,
    x: Array,
    t: Array,
    signals: list[Signal],
    pieces: list[_Piece],
    guess: ArrayLike | None,
) -> Simulation:
    """Integrate from jump to jump, from consistent algebraic variables each time."""
    found = np.full((len(t), len(x)), np.nan)
    algebraics, count = np.full((len(t), len(model.algebraics)), np.nan), 0
    found[t == t[0]] = x
    z = None if guess is None else np.asarray(guess, dtype=float)
    message, reached = "", t[0]
    for left, right, at, report, places in pieces:
        if model.algebraics:
            u = np.array([[float(s(left)[0]) for s in signals]])
            values, good = model.consistent(left, x, u, z)
            z = values[0]
            if not good[0]:
                message = f"no consistent algebraic variables were found at t = {left:.12g}"
                break
            algebraics[t == left] = z
        assert z is not None
        if right <= left:
            break
        xs, zs, steps = segments.integrate((left, x, z), report)
        count += steps
        if len(xs) == len(report):
            found[at], algebraics[at] = xs[places], zs[places]
        else:
            got = places < len(xs)
            found[at[got]], algebraics[at[got]] = xs[places[got]], zs[places[got]]
            reached = report[len(xs) - 1] if len(xs) else left
            message = f"the simulation broke down after t = {reached:.12g}"
            break
        x, z = xs[-1], zs[-1]
    reported = algebraics if model.algebraics else None
    return Simulation(t, found, not message, message, count, reported)


class _Evaluator(BetweenJumps):
    """f(t, x) without allocation, about a microsecond a call."""

    def __init__(self, model: TrainedModel, inputs: list[Signal]) -> None:
        self._given = len(inputs)
        self._time, self._state = np.zeros(1), np.zeros(len(model.states))
        self._u = np.zeros(len(inputs) + len(model.lags))
        self._u[: len(inputs)] = [signal.values[0] for signal in inputs]
        self._moving = [(j, s) for j, s in enumerate(inputs) if np.ptp(s.values) > 0.0]
        fixed = [np.array(v, dtype=float) for v in (model.parameters, model.theta)]
        self._call = Call(model.function, (self._time, self._state, self._u, *fixed))

    def __call__(self, t: float, x: Array) -> Array:
        self._time[0], self._state[:] = t, x
        for j, signal in self._moving:
            self._u[j] = signal(t, t > self.middle)[0]
        if self.record is not None:
            self._u[self._given :] = self.record.at(t, x, self.middle)
        return self._call().copy()
