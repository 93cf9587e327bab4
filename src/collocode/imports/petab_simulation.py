r"""Simulation of PEtab problems, and their negative log-likelihood at given parameters.

.. math:: -\log L = \sum_i \log\bigl(\sqrt{2\pi}\,\sigma_i g_i\bigr)
          + \tfrac12\Bigl(\frac{T(y_i) - T(h_i)}{\sigma_i}\Bigr)^2

with the observable's transformation T (identity, log or log10) and :math:`g_i = 1/T'(y_i)`; Laplace noise
has :math:`\log(2\sigma_i g_i) + |T(y_i) - T(h_i)|/\sigma_i`.  Nothing here is collocated: it is what a fit
is checked with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from ..errors import InputError, check_has, check_type
from ..numerics import Array
from ..results.simulate import integrate
from .petab import Condition, PetabProblem
from .petab_rows import Measurement
from .sbml import SbmlModel, substituted

Truths = NDArray[np.bool_]
_LN10 = math.log(10.0)
_FOREVER = 1e100  # the time of what is measured in a steady state
_LONGEST = 1e10  # time by which a steady state has to be reached
_MOST_EVENTS = 1000


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted:
    """What a problem predicts for its measurements, in the order of the conditions and their rows.

    Attributes
    ----------
    h, sigma, y : (measurements,) prediction, noise and measurement, untransformed.
    rows : of the measurement table.
    complete : whether every simulation reached its last measurement.
    """

    h: Array
    sigma: Array
    y: Array
    transformation: tuple[str, ...]
    distribution: tuple[str, ...]
    rows: tuple[Measurement, ...]
    complete: bool

    @property
    def nllh(self) -> float:
        """Negative log-likelihood; infinite where a prediction is missing or has no logarithm."""
        return float(np.sum(self.costs))

    @property
    def table(self) -> pd.DataFrame:
        """PEtab's simulation table."""
        return pd.DataFrame(
            {
                "observableId": [m.channel.observable for m in self.rows],
                "preequilibrationConditionId": [m.before for m in self.rows],
                "simulationConditionId": [m.condition for m in self.rows],
                "time": [m.time for m in self.rows],
                "observableParameters": [";".join(m.channel.parameters) for m in self.rows],
                "noiseParameters": [";".join(m.channel.noise) for m in self.rows],
                "simulation": self.h,
            }
        )

    @property
    def costs(self) -> Array:
        """(measurements,) negative log-likelihood of each."""
        log, log10 = (np.array([t == k for t in self.transformation]) for k in ("log", "log10"))
        laplace = np.array([d == "laplace" for d in self.distribution])
        any_log = log | log10
        with np.errstate(all="ignore"):
            unit = np.where(log10, _LN10, 1.0)
            h = np.where(any_log, np.log(self.h) / unit, self.h)
            y = np.where(any_log, np.log(np.where(any_log, self.y, 1.0)) / unit, self.y)
            width = self.sigma * np.where(any_log, self.y * unit, 1.0)
            r = (y - h) / self.sigma
            normal = 0.5 * np.log(2.0 * np.pi) + np.log(width) + 0.5 * r**2
            cost = np.where(laplace, np.log(2.0 * width) + np.abs(r), normal)
        return np.where(np.isfinite(cost), cost, np.inf)


def simulate_petab(
    problem: PetabProblem, parameters: Mapping[str, float] | None = None, rtol: float = 1e-9
) -> Predicted:
    """Simulate a PEtab problem and compare it with its measurements.

    Parameters
    ----------
    problem : from `read_petab`.
    parameters : values of estimated parameters by id, on linear scale; the others are nominal.
    rtol : relative tolerance of the integrator (LSODA; BDF and Newton's method for steady states).

    Raises
    ------
    InputError
        A parameter that is not estimated, or one without a value.
    """
    check_type("simulate_petab", problem, PetabProblem)
    ids = [q.id for q in problem.estimated]
    for name in parameters or {}:
        check_has("the problem", "estimated parameter", name, ids)
    theta = np.array([(parameters or {}).get(q.id, q.nominal) for q in problem.estimated])
    for name, value in zip(ids, theta, strict=True):
        if not np.isfinite(value):
            raise InputError(f"parameter {name!r} has no finite value; give it one.")
    return Simulator(problem, rtol).predicted(theta)


class Simulator:
    """The compiled runs of a problem."""

    def __init__(self, problem: PetabProblem, rtol: float = 1e-9) -> None:
        self.problem, self.rtol = problem, rtol
        self.runs = [_Run(problem, c, rtol) for c in problem.conditions]

    def predicted(self, theta: Array) -> Predicted:
        """Simulate every condition at the estimated parameters (on linear scale)."""
        p = np.asarray(theta, dtype=float)
        rested: dict[str, Array] = {}
        parts = [run.predicted(p, rested) for run in self.runs]
        rows = [m for run in self.runs for m in run.condition.measurements]
        observables = [self.problem.tables.observables[m.channel.observable] for m in rows]
        return Predicted(
            h=np.concatenate([h for h, _, _ in parts]),
            sigma=np.concatenate([s for _, s, _ in parts]),
            y=np.array([m.value for m in rows]),
            transformation=tuple(o.transformation for o in observables),
            distribution=tuple(o.distribution for o in observables),
            rows=tuple(rows),
            complete=all(done for _, _, done in parts),
        )


class _Run:
    """One condition's functions of time, states and parameters."""

    def __init__(self, problem: PetabProblem, condition: Condition, rtol: float) -> None:
        self.condition, self.rtol, self.model = condition, rtol, problem.model
        self.symbols, p = problem.model.symbols, problem.theta
        t = self.symbols["time"]
        x = ca.vertcat(*(self.symbols[n] for n in self.model.states))
        everything = [t, x, p]

        def function(name: str, *columns: list[ca.SX], of: list[ca.SX] = everything) -> Any:
            stacked = [ca.densify(ca.vertcat(ca.SX(0, 1), *column)) for column in columns]
            return ca.Function(name, of, stacked)

        here = self._here
        self.rates = function("rates", here(self.model.rates[n] for n in self.model.states))
        self.switches = function(
            "switches", here(w.difference for w in self.model.switches.values())
        )
        events = self.model.events
        self.triggers = function("triggers", here(e.trigger for e in events))
        self.jumped = [
            function(
                "jumped", here(e.assignments.get(n, self.symbols[n]) for n in self.model.states)
            )
            for e in events
        ]
        self.start = function("start", [condition.initial[n] for n in self.model.states], of=[p])
        self.kept = np.array([n in condition.kept for n in self.model.states])
        if condition.before:
            rest = [condition.resting[n] for n in self.model.states]
            self.rest_start = function("rest_start", rest, of=[p])
            self.before = _Rest(self.model, {**condition.rest_values, "time": ca.SX(0.0)}, x, p)
        channels = list(dict.fromkeys(m.channel for m in condition.measurements))
        self.column = np.array([channels.index(m.channel) for m in condition.measurements])
        pairs = [problem.formulas[c] for c in channels]
        self.outputs = function("outputs", here(h for h, _ in pairs), here(s for _, s in pairs))
        self.times = np.array([m.time for m in condition.measurements])
        if np.isinf(self.times).any():
            if self.model.events:
                raise InputError(
                    f"condition {condition.name!r} has measurements at infinity beside event "
                    f"{self.model.events[0].id!r}, which is not supported; leave out one of them."
                )
            self.after = _Rest(self.model, {**condition.values, "time": ca.SX(_FOREVER)}, x, p)

    def _here(self, expressions: Iterable[ca.SX]) -> list[ca.SX]:
        """Expressions with the condition's values and the meanings of switches."""
        values = self.condition.values
        return [substituted(self.model.switched(e), self.symbols, values) for e in expressions]

    def predicted(self, p: Array, rested: dict[str, Array]) -> tuple[Array, Array, bool]:
        """Predictions and noise of the measurements, and whether the simulation reached the last."""
        x0 = self.start(p).full().ravel()
        before = self.condition.before
        if before:
            if before not in rested:
                rested[before] = self.before.state(self.rest_start(p).full().ravel(), p)[0]
            x0 = np.where(self.kept, rested[before], x0)
        if not np.isfinite(x0).all():
            nothing = np.full(len(self.times), np.nan)
            return nothing, nothing, False
        grid = np.unique(np.append(0.0, self.times))
        finite = grid[np.isfinite(grid)]
        if len(finite) < len(grid):  # a rest comes after the last switch
            jumps = self._jumps(p, x0)
            finite = np.unique([*finite, *jumps[(jumps > 0.0) & (jumps < _LONGEST)]])
        simulated = self._with_events if self.model.events else self._without_events
        states, complete = simulated(p, x0, finite)
        if len(finite) < len(grid) or np.isinf(grid[-1]):
            rest, _ = self.after.state(states[-1], p)
            states, finite = np.vstack([states, rest]), np.append(finite, np.inf)
            complete = complete and bool(np.isfinite(rest).all())
        at = np.searchsorted(finite, self.times)
        h, s = self.outputs(
            np.minimum(self.times, _FOREVER)[None, :],
            states[at].T,
            np.repeat(p[:, None], len(at), axis=1),
        )
        pick = self.column, np.arange(len(at))
        return h.full()[pick], s.full()[pick], complete

    def _without_events(self, p: Array, x0: Array, grid: Array) -> tuple[Array, bool]:
        rates = _fast(self.rates, len(x0), p)
        jumps = self._jumps(p, x0)
        run = integrate(rates, x0, grid, jumps, rtol=self.rtol, atol=_slack(x0))
        return run.states, run.complete

    def _with_events(self, p: Array, x: Array, grid: Array) -> tuple[Array, bool]:
        """Integrate from switch to switch, and apply the events that become true there."""
        rates, slack = _fast(self.rates, len(x), p), _slack(x)
        found, now = np.full((len(grid), len(x)), np.nan), float(grid[0])

        def root(k: int) -> Callable[[float, Array], float]:
            def value(t: float, z: Array) -> float:
                return float(self.switches(t, z, p).full()[k, 0])

            value.terminal = True  # type: ignore[attr-defined]
            return value

        roots = [root(k) for k in range(self.switches.size1_out(0))]
        true: Truths = np.array([not e.armed for e in self.model.events])
        for _ in range(_MOST_EVENTS):
            x, true = self._fired(now, x, p, true)
            found[np.isclose(grid, now, rtol=1e-9, atol=1e-12)] = x  # a datum there comes after
            if now >= grid[-1]:
                return found, True
            later = grid[grid > now]
            part = solve_ivp(
                rates, (now, grid[-1]), x, "LSODA", later, events=roots, rtol=self.rtol, atol=slack
            )
            if len(part.t):  # else the lists are empty and no arrays
                found[np.flatnonzero(grid > now)[: len(part.t)]] = part.y.T
            if part.status < 0:
                break
            if part.status == 0:
                return found, True
            k = next(k for k, times in enumerate(part.t_events) if len(times))
            before, z = float(part.t_events[k][0]), part.y_events[k][0]
            # past the switch, by less than any measurement would tell
            step = max(1e-12 * max(1.0, abs(before)), 1e-12)
            now, x = before + step, z + step * rates(before, z)
        return found, False

    def _fired(self, t: float, x: Array, p: Array, before: Truths) -> tuple[Array, Truths]:
        """State and truths after the events whose trigger has become true, and what they set off."""
        for _ in range(_MOST_EVENTS):
            after = np.asarray(self.triggers(t, x, p).full().ravel() > 0.5)
            due = np.flatnonzero(after & ~before)
            if not len(due):
                return x, after
            for k in due:
                x = self.jumped[k](t, x, p).full().ravel()
            before = after
        raise InputError(f"the model's events set each other off without end at t = {t:g}.")

    def _jumps(self, p: Array, x0: Array) -> Array:
        """Times at which a comparison with time changes its sign; those with states have none."""
        if not self.switches.size1_out(0):
            return np.empty(0)
        a, b = (self.switches(t, x0, p).full().ravel() for t in (0.0, 1.0))
        with np.errstate(all="ignore"):
            roots = -a / (b - a)
        return np.asarray(roots[np.isfinite(roots)])

    def time_to_rest(self, p: Array) -> float:
        """How long the run takes to its steady state from its start; infinite if nobody knows."""
        x0 = self.start(p).full().ravel()
        return self.after.state(x0, p)[1] if np.isfinite(p).all() else math.inf


class _Rest:
    """Steady states of a model with a condition's values, and at a time."""

    def __init__(self, model: SbmlModel, values: Mapping[str, ca.SX], x: ca.SX, p: ca.SX) -> None:
        rates = ca.vertcat(ca.SX(0, 1), *(model.switched(r) for r in model.rates.values()))
        still = substituted(rates, model.symbols, values)
        self.still = ca.Function("still", [x, p], [ca.densify(still), ca.jacobian(still, x)])

    def state(self, x: Array, p: Array) -> tuple[Array, float]:
        """The steady state that a state runs into, by BDF, then Newton's method; and how long that takes."""
        if not np.isfinite(x).all():
            return np.full(len(x), np.nan), math.inf
        totals = self._conserved(x, p)
        goal = totals @ x
        span = 1.0

        def rates(_: float, z: Array) -> Array:
            return np.asarray(self.still(z, p)[0].full().ravel())

        def slope(_: float, z: Array) -> Array:
            return np.asarray(self.still(z, p)[1].full())

        while span < _LONGEST:
            step = solve_ivp(rates, (0.0, span), x, "BDF", jac=slope, rtol=1e-8, atol=_slack(x))
            if not step.success or not np.isfinite(step.y[:, -1]).all():
                return np.full(len(x), np.nan), math.inf
            x = step.y[:, -1]
            polished = self._newton(x, p, totals, goal)
            if polished is not None:
                return polished, span
            span *= 10.0
        return np.full(len(x), np.nan), math.inf

    def _conserved(self, x: Array, p: Array) -> Array:
        """(totals, states) linear combinations that no reaction changes: left null vectors of the slope."""
        rng = np.random.default_rng(0)
        size = np.maximum(np.abs(x), 1e-3 * np.abs(x).max())
        slopes = [self.still(size * rng.uniform(0.5, 2.0, len(x)), p)[1].full() for _ in range(3)]
        stacked = np.hstack([s / max(1e-300, np.abs(s).max()) for s in slopes])
        left, values, _ = np.linalg.svd(stacked)
        return np.asarray(left[:, values < 1e-12 * values.max()].T)

    def _newton(self, x: Array, p: Array, totals: Array, goal: Array) -> Array | None:
        """The steady state near ``x``, None where Newton's method goes elsewhere."""
        start, size = x, np.maximum(np.abs(x), 1e-9 * np.abs(x).max())
        for _ in range(20):
            f, slope = (part.full() for part in self.still(x, p))
            system = np.vstack([slope, totals]) * size
            weight = 1.0 / np.maximum(np.abs(system).max(axis=1), 1e-300)
            rest = np.concatenate([f.ravel(), totals @ x - goal])
            step = -size * np.linalg.lstsq(weight[:, None] * system, weight * rest, rcond=1e-15)[0]
            x = x + step
            if np.abs(step / size).max() < 1e-12:
                break
        far = np.abs((x - start) / size).max()
        return x if far < 1e-2 and np.isfinite(x).all() else None


def _slack(x: Array) -> Array:
    """Absolute tolerances: far below every state's own start, or below a thousandth of the largest."""
    largest = np.abs(x).max(initial=0.0) or 1.0
    return np.asarray(1e-12 * np.maximum(np.abs(x), 1e-3 * largest))


def _fast(function: ca.Function, count: int, p: Array) -> Callable[[float, Array], Array]:
    """f(t, x) through CasADi's buffers, without allocations."""
    time, state, out, fixed = np.zeros(1), np.zeros(count), np.zeros(count), np.array(p)
    buffer, run = function.buffer()
    for k, array in enumerate((time, state, fixed)):
        if array.size:
            buffer.set_arg(k, memoryview(array))  # type: ignore[arg-type]
    buffer.set_res(0, memoryview(out))  # type: ignore[arg-type]
    alive = (function, buffer, fixed)  # CasADi keeps bare pointers into these

    def evaluate(t: float, x: Array) -> Array:
        assert alive
        time[0], state[:] = t, x
        run()
        return out.copy()

    return evaluate
