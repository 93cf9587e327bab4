r"""Sizes of what nobody told the size of, from the equations that it enters.

Where :math:`\dot x_i=f_i`, a change of the size :math:`s_j` of what f sees makes a change
:math:`|\partial f_i/\partial v_j|s_j` of a rate, and over the time T a rate makes a state.  Hence

.. math:: s_j=\frac{s_i/T}{|\partial f_i/\partial v_j|}\quad\text{of a known state }i,\qquad
          s_i=T\max_j\Bigl|\frac{\partial f_i}{\partial v_j}\Bigr|s_j,\ T|f_i|
          \quad(T\le1/|\partial f_i/\partial x_i|),

and likewise of outputs that have data and of constraints that have bounds; what several equations
tell is averaged, geometrically.  What is told in other units then gets sizes in these: a problem is solved
alike in metres and in nanometres.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from weakref import WeakKeyDictionary

import casadi as ca
import numpy as np

from ..numerics import Array
from ..numerics.random import generator
from .consistent import end_constraints
from .experiment import Experiment
from .problem import Problem
from .sizes import Range, Sizes, ends_of, untold
from .symbolic import Symbols, constrained, derivatives, observed, residuals

_FAR = 1024.0  # times 1, from which on a size that a fit's equations tell is taken
_SAMPLES = 8  # points at which the equations are looked at
_known: WeakKeyDictionary[Problem, Problem] = WeakKeyDictionary()


def with_sizes(problem: Problem) -> Problem:
    """Return the same problem with sizes for all states, controls and parameters that nothing told.

    Beside networks, whose derivatives tell nothing before they are trained, it is left as it is.  Long runs of
    data tell sizes that are too small, since a rate of one sign is thought of; those near 1 are not taken.
    """
    if problem not in _known:
        wanted = [] if problem.dynamics.networks else untold(problem)
        balance = _Balance(problem, wanted) if wanted else None
        found = balance.sizes() if balance else {}
        if any(e.measures for e in problem.experiments):
            found = {n: v for n, v in found.items() if not 1.0 / _FAR < v < _FAR}
        told = {n: balance.told[n] for n in found} if balance else {}
        _known[problem] = with_given_sizes(problem, found, told) if found else problem
    return _known[problem]


def with_given_sizes(
    problem: Problem, sizes: Mapping[str, float], told: Mapping[str, Range] | None = None
) -> Problem:
    """Return the problem with sizes by the names of `Problem.ranges`; other names say nothing.

    ``told`` are the least and the largest size that an equation tells, where equations alone do.
    """
    low, high = problem.ranges["t"]
    ranges = dict(problem.ranges)
    for name, size in sizes.items():
        ranges[name] = (-size, size)
        if name.startswith("x:"):
            ranges[f"slope:{name[2:]}"] = (0.0, size / (high - low) * 10.0)
    balanced = problem.balanced if told is None else told
    experiments = [_with_typical(e, sizes) for e in problem.experiments]
    return problem.with_sizes(Sizes(ranges, balanced), experiments)


def _with_typical(experiment: Experiment, sizes: Mapping[str, float]) -> Experiment:
    """An experiment whose controls have these sizes; a copy, lest its data be checked a second time."""
    again = copy(experiment)
    controls = {
        n: replace(c, typical=sizes[f"u:{n}"]) if sizes.get(f"u:{n}") else c
        for n, c in experiment.controls.items()
    }
    object.__setattr__(again, "controls", controls)
    return again


class _Balance:
    """The equations as rows, what they see as columns, and sizes of both as far as they are known."""

    def __init__(self, problem: Problem, wanted: list[str]) -> None:
        self.problem, self.wanted = problem, wanted
        self.told: dict[str, tuple[float, float]] = {}
        s = Symbols.of(problem)
        f, g, h = derivatives(problem, s), residuals(problem, s), observed(problem, s)
        held = [c for c in (*problem.path_constraints, *end_constraints(problem))]
        bounds = [_bound(c.lower, c.upper) for c in held]
        c = [constrained(problem, q, s) for q, size in zip(held, bounds, strict=True) if size]
        rows = ca.vertcat(f, g, h, *c)
        self.function = ca.Function(
            "sized", [*s.tuple()], [rows, ca.jacobian(rows, ca.vertcat(s.x, s.u, s.p))]
        )
        self.names = [
            *(f"x:{n}" for n in problem.states),
            *(f"{'u' if n in problem.inputs else 'x'}:{n}" for n in problem.carried),
            *(f"p:{q.name}" for q in problem.all_parameters),
        ]
        data = [_largest(e.values[:, j] for e in problem.experiments) for j in range(h.numel())]
        nothing = [np.nan] * (f.numel() + g.numel())
        self.rows = np.array([*nothing, *data, *(b for b in bounds if b)], dtype=float)
        self.states, self.balances = f.numel(), slice(f.numel(), f.numel() + g.numel())
        self.time = max(float(e.end - e.start) for e in problem.experiments)  # type: ignore[operator]

    def sizes(self) -> dict[str, float]:
        """Sizes of what is wanted, as far as the equations tell them."""
        found: dict[str, float] = {}
        while len(found) < len(self.wanted):
            known = np.array([self._size(name, found) for name in self.names])
            more = self._told(known, [n for n in self.wanted if n not in found], found)
            if not more:
                break
            found |= more
        return found

    def _size(self, name: str, found: dict[str, float]) -> float:
        kind, bare = name.split(":", 1)
        if name in found or name in self.wanted:
            return found.get(name, np.nan)
        if kind == "p":
            q = next(q for q in self.problem.all_parameters if q.name == bare)
            return abs(q.decided(q.start)) or np.nan
        if bare in self.problem.lags:
            return self._size(f"x:{self.problem.lags[bare].of}", found)
        return max(abs(v) for v in self.problem.ranges[name])

    def _told(self, known: Array, wanted: list[str], found: dict[str, float]) -> dict[str, float]:
        values, slopes = self._looked_at(found)
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = slopes * known  # NaN where the size is not known
        largest = np.array([_largest([row]) for row in moved])
        rows = self.rows.copy()
        rows[: self.states] = known[: self.states] / self.time
        rows[self.balances] = largest[self.balances]
        more = {}
        for name in wanted:
            j = self.names.index(name)
            told = [rows[i] / slopes[i, j] for i in np.flatnonzero(slopes[:, j] > 0.0)]
            if j < self.states:
                others = np.delete(moved[j], j)
                rate = _largest([others, values[j : j + 1]])
                told.append(rate * min(self.time, 1.0 / slopes[j, j] if slopes[j, j] else np.inf))
            told = [v for v in told if np.isfinite(v) and v > 0.0]
            if not told:  # as of a square whose argument is 0 where it is looked at
                told = self._by_change(j, rows, found)
            if told:
                more[name] = float(np.exp(np.mean(np.log(told))))
                self.told[name] = min(told), max(told)
        return more

    def _by_change(self, j: int, rows: Array, found: dict[str, float]) -> list[float]:
        """Sizes that column j needs to change rows by theirs."""
        pattern = self.function.sparsity_out(1)
        entering = {i for i, k in zip(*pattern.get_triplet(), strict=True) if k == j}
        sought = [i for i in entering if np.isfinite(rows[i]) and rows[i] > 0.0]
        if not sought:
            return []
        t, point = next(self._points(found))
        grid = np.array([np.nan, *np.exp2(np.arange(-160.0, 161.0))])
        values = []
        for size in grid.tolist():
            moved = [*point]
            moved[j] += 0.0 if np.isnan(size) else size
            values.append(np.asarray(self._evaluated(t, moved)[0], dtype=float).ravel())
        told = []
        for i in sought:
            with np.errstate(invalid="ignore"):
                change = np.abs([v[i] - values[0][i] for v in values[1:]])
            enough = np.flatnonzero(np.isfinite(change) & (change >= rows[i]))
            if len(enough):
                told.append(float(grid[1 + enough[0]]))
        return told

    def _looked_at(self, found: dict[str, float]) -> tuple[Array, Array]:
        """(rows,) |values| and (rows, columns) |slopes|, each the median of what is neither 0 nor undefined."""
        values, slopes = [], []
        for t, point in self._points(found):
            value, slope = self._evaluated(t, point)
            values.append(np.asarray(value, dtype=float).ravel())
            slopes.append(np.asarray(slope, dtype=float))
        return _usual(np.array(values)), _usual(np.array(slopes))

    def _evaluated(self, t: float, point: list[float]) -> tuple[ca.DM, ca.DM]:
        nx, nu = self.states, len(self.problem.carried)
        found: tuple[ca.DM, ca.DM] = self.function(
            t, point[:nx], point[nx : nx + nu], point[nx + nu :], []
        )
        return found

    def _points(self, found: dict[str, float]) -> Iterator[tuple[float, list[float]]]:
        """Times, and values of all columns at them."""
        rng, experiments = generator(0), self.problem.experiments
        for k in range(_SAMPLES):
            e = experiments[k % len(experiments)]
            assert e.start is not None and e.end is not None
            t = e.start + rng.uniform() * (e.end - e.start)
            draws = rng.uniform(size=len(self.names))
            point = [
                self._at(e, t, name, draw, found)
                for name, draw in zip(self.names, draws, strict=True)
            ]
            yield t, point

    def _at(
        self, e: Experiment, t: float, name: str, draw: float, found: dict[str, float]
    ) -> float:
        """Return a value that something may have in an experiment."""
        kind, bare = name.split(":", 1)
        if kind == "p":
            q = next(q for q in self.problem.all_parameters if q.name == bare)
            given = e.parameters.get(bare)
            return float(q.decided(q.start if given is None or isinstance(given, str) else given))
        if kind == "u":
            if bare not in e.controls:
                return float(e.inputs[bare](t)[0])
            control, size = e.controls[bare], self._size(name, found)
            limits = control.lower, control.upper
            values = [v for v in limits if np.isfinite(v)]
        else:
            bare = self.problem.lags[bare].of or bare if bare in self.problem.lags else bare
            size = self._size(f"x:{bare}", found)
            limits = self.problem.bounds.get(bare, (-np.inf, np.inf))
            measured = self.problem.observe is None and bare in self.problem.outputs
            values = [*self.problem.ranges[f"x:{bare}"]] if measured else ends_of([e], bare)
        if not np.isfinite(size):
            return float(np.clip(values[0] if values else 0.0, *limits))
        if len(values) < 2 or min(values) == max(values):
            near = values[0] if values else 0.0
            values = [0.5 * near, 1.5 * near] if abs(near) > 0.1 * size else [-size, size]
        return float(np.clip(min(values) + draw * (max(values) - min(values)), *limits))


def _usual(table: Array) -> Array:
    """Median over the first axis of |values| that are neither 0 nor undefined; 0 where there are none."""
    sizes = np.sort(np.where(np.isfinite(table) & (table != 0.0), np.abs(table), np.inf), axis=0)
    count = np.isfinite(sizes).sum(axis=0)
    at = np.maximum(count - 1, 0)[None] // 2
    found = np.take_along_axis(sizes, at, axis=0)[0]
    return np.where(count > 0, found, 0.0)


def _largest(parts: object) -> float:
    """Largest finite magnitude; NaN if there is none above zero."""
    values = np.abs(np.concatenate([np.zeros(0), *(np.ravel(v) for v in parts)]))  # type: ignore[attr-defined]
    return float(values[np.isfinite(values)].max(initial=0.0)) or np.nan


def _bound(*bounds: float) -> float:
    return max((abs(v) for v in bounds if np.isfinite(v)), default=0.0)
