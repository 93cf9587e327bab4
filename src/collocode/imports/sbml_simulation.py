r"""Simulation of an SBML model whose constants are numbers: trajectories with events, and steady states.

A `System` holds the model's functions of time, states and constants, compiled once for all conditions.  A
`Trajectory` is integrated from switch to switch, by LSODA or, with many states, by BDF with sparse
derivatives.  Absolute tolerances are tiny, since units differ: a state that starts at 0 beside one of 4e7
may become 7e-6 and be what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csc_matrix

from ..errors import InputError
from ..model.calls import Call
from ..numerics import Array, Mask
from ..results.integrate import integrate
from .sbml import SbmlModel, names_in, substituted

FOREVER = 1e100  # the time of what is measured in a steady state
LONGEST = 1e10  # time by which a steady state has to be reached
_MOST_EVENTS = 1000
_MANY = 150  # states from which sparse derivatives pay
_LEAST = 1e-9  # states that start at 0 are taken to become as large, beside the largest
Rates = Callable[[float, Array], Array]


class System:
    """A model's functions of (time, states, constants)."""

    def __init__(self, model: SbmlModel) -> None:
        self.model, symbols = model, model.symbols
        self._truths = {name: switch.truth for name, switch in model.switches.items()}
        self._t = symbols["time"]
        self._x, self._c = (
            ca.vertcat(ca.SX(0, 1), *(symbols[n] for n in names))
            for names in (model.states, model.constants)
        )
        self.rates = self.function([model.rates[n] for n in model.states])
        differences = [w.difference for w in model.switches.values()]
        self.switches = self.function(differences)
        self.triggers = self.function([e.trigger for e in model.events])
        self.priorities = self.function([e.priority for e in model.events])
        self.jumped = [
            self.function([e.assignments.get(n, symbols[n]) for n in model.states])
            for e in model.events
        ]
        moving = {*model.states}
        self.timed = np.array([not moving & {*names_in(self._open(d))} for d in differences], bool)

    def _open(self, expression: ca.SX) -> ca.SX:
        return substituted(expression, self.model.symbols, self._truths)

    def function(self, *columns: Sequence[ca.SX], p: ca.SX | None = None) -> ca.Function:
        """Columns of expressions as a function of time, states, constants and, if given, parameters."""
        arguments = [self._t, self._x, self._c, *([] if p is None else [p])]
        stacked = [self._open(ca.vertcat(ca.SX(0, 1), *column)) for column in columns]
        return ca.Function("f", arguments, [ca.densify(column) for column in stacked])

    @cached_property
    def slope(self) -> ca.Function:
        """Derivative of the rates by the states."""
        rates = self.rates(self._t, self._x, self._c)
        jacobian = ca.jacobian(rates, self._x)
        return ca.Function("slope", [self._t, self._x, self._c], [jacobian])

    def at(self, function: ca.Function, c: Array) -> Rates:
        """A function of time and states with numbers for the constants, without allocations but the result's."""
        t, x = np.zeros(1), np.zeros(len(self.model.states))
        call = Call(function, (t, x, c))

        def evaluate(now: float, state: Array) -> Array:
            t[0], x[:] = now, state
            return call().copy()

        return evaluate

    def slope_at(self, c: Array) -> Callable[[float, Array], Any]:
        """The derivative with numbers for the constants, sparse where there are many states."""
        pattern, count = self.slope.sparsity_out(0), len(self.model.states)
        rows, starts = np.array(pattern.row(), int), np.array(pattern.colind(), int)
        columns = np.repeat(np.arange(count), np.diff(starts))
        t, x = np.zeros(1), np.zeros(count)
        call = Call(self.slope, (t, x, c))

        def evaluate(now: float, state: Array) -> Any:
            t[0], x[:] = now, state
            if count > _MANY:
                return csc_matrix((call().copy(), rows, starts), shape=(count, count))
            full = np.zeros((count, count))
            full[rows, columns] = call()
            return full

        return evaluate


class Trajectory:
    """States over time from a start, with numbers for the constants."""

    def __init__(self, system: System, c: Array, rtol: float) -> None:
        self.system, self.c, self.rtol = system, c, rtol
        self.rates, self._switches, self._triggers = (
            system.at(f, c) for f in (system.rates, system.switches, system.triggers)
        )
        method = "BDF" if len(system.model.states) > _MANY else "LSODA"
        self.how: dict[str, Any] = {"method": method, "jac": system.slope_at(c)}

    @cached_property
    def jumps(self) -> Array:
        """Times at which a comparison with time alone changes its sign."""
        if not self.system.timed.any():
            return np.empty(0)
        x = np.zeros(len(self.system.model.states))
        a, b = (self._switches(t, x)[self.system.timed] for t in (0.0, 1.0))
        with np.errstate(all="ignore"):
            roots = -a / (b - a)
        return np.unique(roots[np.isfinite(roots)])

    def states(self, x: Array, grid: Array) -> tuple[Array, bool]:
        """(grid, states) from switch to switch with the events that become true there; and whether all was reached."""
        tight, coarse = self._slack(x, grid), 1e-12 * _size(x, 1e-3)
        found, complete = self._reached(x, grid, tight)
        return (found, True) if complete else self._reached(x, grid, coarse)

    def _slack(self, x: Array, grid: Array) -> Array:
        """Absolute tolerances: a state's own start or next to nothing, but above the rates' rounding."""
        slope = np.abs(np.nan_to_num(_full(self.how["jac"](float(grid[0]), x)), posinf=0.0))
        pace = np.maximum(np.diagonal(slope), 1.0 / max(grid[-1] - grid[0], 1e-300))
        return np.asarray(np.maximum(1e-12 * _size(x, _LEAST), 1e-15 * (slope @ np.abs(x)) / pace))

    def _reached(self, x: Array, grid: Array, slack: Array) -> tuple[Array, bool]:
        events, roots = self.system.model.events, self._roots()
        found, now = np.full((len(grid), len(x)), np.nan), float(grid[0])
        jumps = self.jumps[(self.jumps >= now) & (self.jumps <= grid[-1])]
        true: Mask = np.array([not e.armed for e in events], bool)
        for _ in range(_MOST_EVENTS + len(jumps)):
            x, true = self._fired(now, x, true)
            if len(jumps) and jumps[0] <= now + 1e-12 * max(1.0, abs(now)):
                now, x, jumps = *self._past(now, x), jumps[1:]
                x, true = self._fired(now, x, true)
            found[np.isclose(grid, now, rtol=1e-9, atol=1e-12)] = x  # a datum there comes after
            if now >= grid[-1]:
                return found, True
            end = float(jumps[0]) if len(jumps) else float(grid[-1])
            inside = np.flatnonzero((grid > now) & (grid <= end))
            times = np.unique([now, *grid[inside], end])
            part, crossed = self._part(times, x, slack, roots, len(jumps) > 0)
            got = min(len(part), len(inside))
            found[inside[:got]] = part[:got]
            if crossed is not None:
                now, x = self._past(*crossed)
            elif len(part) < len(times) - 1:
                return found, False
            else:
                now, x = end, part[-1]
        return found, False

    def _part(
        self, times: Array, x: Array, slack: Array, roots: list[Any], jumps: bool
    ) -> tuple[Array, tuple[float, Array] | None]:
        """(reached, states) behind the first of the times, and where a root ended it, if one did."""
        latest = times[-1] - 1e-12 * max(1.0, abs(times[-1])) if jumps else math.inf

        def rates(t: float, z: Array) -> Array:
            return self.rates(min(t, latest), z)  # at the jump itself, what was before it

        tolerances: dict[str, Any] = {"rtol": self.rtol, "atol": slack}
        if not roots:
            run = integrate(rates, x, times, **self.how, **tolerances)
            return run.states[1:][np.isfinite(run.states[1:]).all(axis=1)], None
        with np.errstate(all="ignore"):
            span = times[0], times[-1]
            run = solve_ivp(
                rates, span, x, t_eval=times[1:], events=roots, **tolerances, **self.how
            )
        states = run.y.T if len(run.t) else np.empty((0, len(x)))  # else the lists are no arrays
        if run.status == 1:
            k = next(k for k, found in enumerate(run.t_events) if len(found))
            return states, (float(run.t_events[k][0]), run.y_events[k][0])
        return states, None

    def _past(self, t: float, x: Array) -> tuple[float, Array]:
        """Time and state past a switch, by less than any measurement would tell."""
        step = max(1e-12 * max(1.0, abs(t)), 1e-12)
        return t + step, x + step * self.rates(t, x)

    def _roots(self) -> list[Callable[[float, Array], float]]:
        """Functions that change their sign where a comparison with states does."""

        def root(k: int) -> Callable[[float, Array], float]:
            def value(t: float, z: Array) -> float:
                return float(self._switches(t, z)[k])

            value.terminal = True  # type: ignore[attr-defined]
            return value

        events = self.system.model.events
        return [root(int(k)) for k in np.flatnonzero(~self.system.timed)] if events else []

    def _fired(self, t: float, x: Array, before: Mask) -> tuple[Array, Mask]:
        """State and truths after the events whose trigger has become true, and what they set off."""
        events, system = self.system.model.events, self.system
        for _ in range(_MOST_EVENTS):
            after = self._true(t, x)
            due = np.flatnonzero(after & ~before)
            if not len(due):
                return x, after
            first, before = x, after
            ranks = system.priorities(t, x, self.c).full().ravel()
            for k in sorted(due, key=lambda k: -ranks[k]):  # of equal rank in the file's order
                event = events[k]
                if not event.persistent and not self._true(t, x)[k]:
                    continue
                at = first if event.from_trigger else x
                new = system.jumped[k](t, at, self.c).full().ravel()
                x = np.where([n in event.assignments for n in system.model.states], new, x)
        raise InputError(f"the model's events set each other off without end at t = {t:.12g}.")

    def _true(self, t: float, x: Array) -> Mask:
        return np.asarray(self._triggers(t, x) > 0.5)


class Rest:
    """Steady states of a model with numbers for its constants, and at a time."""

    def __init__(self, system: System, c: Array, time: float) -> None:
        rates, slope = system.at(system.rates, c), system.slope_at(c)
        self.rates: Callable[[Array], Array] = lambda x: rates(time, x)
        self.slope: Callable[[Array], Any] = lambda x: slope(time, x)

    def state(self, x: Array) -> tuple[Array, float]:
        """The steady state that a state runs into, by BDF, then Newton's method; and how long that takes."""
        nowhere = np.full(len(x), np.nan), math.inf
        if not np.isfinite(x).all():
            return nowhere
        totals = self._conserved(x)
        goal = totals @ x
        span = 1.0
        while span < LONGEST:
            with np.errstate(all="ignore"):
                step = solve_ivp(
                    lambda _, z: self.rates(z),
                    (0.0, span),
                    x,
                    "BDF",
                    jac=lambda _, z: self.slope(z),
                    rtol=1e-8,
                    atol=1e-12 * _size(x, 1e-3),
                )
            if not step.success or not np.isfinite(step.y[:, -1]).all():
                return nowhere
            x = step.y[:, -1]
            polished = self._newton(x, totals, goal)
            if polished is not None:
                return polished, span
            span *= 10.0
        return nowhere

    def _conserved(self, x: Array) -> Array:
        """(totals, states) linear combinations that no reaction changes: left null vectors of the slope."""
        rng = np.random.default_rng(0)
        size = np.maximum(np.abs(x), 1e-3 * np.abs(x).max())
        slopes = [_full(self.slope(size * rng.uniform(0.5, 2.0, len(x)))) for _ in range(3)]
        stacked = np.hstack([s / max(1e-300, np.abs(s).max()) for s in slopes])
        left, values, _ = np.linalg.svd(stacked)
        return np.asarray(left[:, values < 1e-12 * values.max()].T)

    def _newton(self, x: Array, totals: Array, goal: Array) -> Array | None:
        """The steady state near ``x``, None where Newton's method goes elsewhere."""
        start, size = x, np.maximum(np.abs(x), 1e-9 * np.abs(x).max())
        for _ in range(20):
            system = np.vstack([_full(self.slope(x)), totals]) * size
            weight = 1.0 / np.maximum(np.abs(system).max(axis=1), 1e-300)
            rest = np.concatenate([self.rates(x), totals @ x - goal])
            step = -size * np.linalg.lstsq(weight[:, None] * system, weight * rest, rcond=1e-15)[0]
            x = x + step
            if np.abs(step / size).max() < 1e-12:
                break
        far = np.abs((x - start) / size).max()
        return x if far < 1e-2 and np.isfinite(x).all() else None


def _size(x: Array, least: float) -> Array:
    """What the states are about: themselves, or ``least`` of the largest."""
    return np.asarray(np.maximum(np.abs(x), least * (np.abs(x).max(initial=0.0) or 1.0)))


def _full(matrix: Any) -> Array:
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.toarray())
