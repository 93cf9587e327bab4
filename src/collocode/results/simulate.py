"""Simulation by an integrator that knows nothing of the collocation: SciPy's, LSODA by default."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, check_type
from ..model.calls import Call
from ..numerics.signals import Signal
from .model import TrainedModel

Array = NDArray[np.float64]
_MOST_EVALUATIONS = 2_000_000
METHODS = ("LSODA", "RK45", "RK23", "DOP853", "Radau", "BDF")


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated trajectory.

    Attributes
    ----------
    times : (N,); states : (N, states), NaN from where the integration broke down.
    complete : whether it reached the last time; ``message`` says why not.
    evaluations : of the right-hand side.
    """

    times: Array
    states: Array
    complete: bool = True
    message: str = ""
    evaluations: int = 0


def simulate(
    model: TrainedModel,
    initial: ArrayLike,
    times: ArrayLike,
    inputs: Mapping[str, Signal] | None = None,
    method: str = "LSODA",
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Simulation:
    """Integrate a trained model from ``times[0]`` to ``times[-1]``.

    Parameters
    ----------
    model : from ``solution.model``.
    initial : (states,) state at ``times[0]``.
    times : (N,) not decreasing; where to report.
    inputs : a `Signal` for every input of the model; the integration restarts at their jumps and
        where weights that vary in time are not smooth.
    method, rtol, atol : as for `scipy.integrate.solve_ivp`.

    Raises
    ------
    InputError
        Wrong lengths, times out of order, a missing input, times that the basis of a weight or
        parameter does not cover.
    """
    model = getattr(model, "model", model)  # of a solution
    check_type("simulate", model, TrainedModel)
    signals = dict(inputs or {})
    missing = [name for name in model.inputs if name not in signals]
    if missing:
        raise InputError(f"the simulation needs input {missing[0]!r}; pass it in inputs=.")
    u = [signals[name] for name in model.inputs]
    evaluate = _evaluator(model, u)
    jumps = np.concatenate([model.breaks, *(s.jumps for s in u)])
    model.checked(times)
    return integrate(evaluate, initial, times, jumps, len(model.states), method, rtol, atol)


def integrate(
    rhs: Callable[[float, Array], ArrayLike],
    initial: ArrayLike,
    times: ArrayLike,
    jumps: ArrayLike = (),
    states: int | None = None,
    method: str = "LSODA",
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Simulation:
    """Integrate ``rhs(t, x)``, restarting at ``jumps``; a breakdown is reported, not raised."""
    t = np.asarray(times, dtype=float)
    x = np.asarray(initial, dtype=float).ravel()
    if t.ndim != 1 or len(t) < 1 or not np.isfinite(t).all() or (np.diff(t) < 0.0).any():
        raise InputError("simulation times must be finite and may not decrease; sort them.")
    if states is not None and len(x) != states:
        raise InputError(
            f"the initial state has {len(x)} entries, but the model has {states} states."
        )
    if not np.isfinite(x).all():
        raise InputError(f"the initial state {x} is not finite.")
    if method not in METHODS:
        raise InputError(f"unknown integrator {method!r}; choose from {', '.join(METHODS)}.")
    found = np.full((len(t), len(x)), np.nan)
    found[t == t[0]] = x
    inner = np.unique(np.asarray(jumps, dtype=float))
    edges = np.concatenate([[t[0]], inner[(inner > t[0]) & (inner < t[-1])], [t[-1]]])
    guarded = _Guard(rhs)
    for left, right in itertools.pairwise(edges):
        if right <= left:
            break
        inside = (t > left) & (t <= right)
        report = np.append(t[inside], right)
        with np.errstate(all="ignore"):
            answer = _solve(guarded, left, right, x, report, method, rtol, atol)
        got = answer[: int(inside.sum())]
        found[np.flatnonzero(inside)[: len(got)]] = got
        if len(answer) < len(report) or not np.isfinite(answer).all():
            reached = t[np.isfinite(found).all(axis=1)][-1]
            message = f"the simulation broke down after t = {reached:g}"
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
    atol: float,
) -> Array:
    """(reached, states) at the report times, as far as the integrator comes."""
    found, done = [np.empty((0, len(x)))], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a breakdown is in the result, not on the terminal
        try:
            solver = getattr(scipy.integrate, method)(rhs, left, x, right, rtol=rtol, atol=atol)
            while solver.status == "running":
                solver.step()
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
    def __init__(self, rhs: Callable[[float, Array], ArrayLike]) -> None:
        self._rhs, self.count = rhs, 0

    def __call__(self, t: float, x: Array) -> Array:
        self.count += 1
        if self.count > _MOST_EVALUATIONS or not np.isfinite(x).all() or np.abs(x).max() > 1e100:
            raise _Runaway
        return np.asarray(self._rhs(t, x), dtype=float)


def _evaluator(model: TrainedModel, inputs: list[Signal]) -> Callable[[float, Array], Array]:
    """f(t, x) without allocation, about a microsecond a call."""
    time, state, u = np.zeros(1), np.zeros(len(model.states)), np.zeros(len(inputs))
    fixed = [np.array(v, dtype=float) for v in (model.parameters, model.theta)]
    call = Call(model.function, (time, state, u, *fixed))

    def evaluate(t: float, x: Array) -> Array:
        time[0], state[:] = t, x
        for j, signal in enumerate(inputs):
            u[j] = signal(t)[0]
        return call().copy()

    return evaluate
