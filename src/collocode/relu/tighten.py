r"""Bound tightening by linear programs.

A linear program minimises or maximises each pre-activation over the triangle relaxation of the layers before,

.. math:: \min\,/\max\ a_{l,j} \quad\text{over}\quad a_k = W_k v_{k-1} + b_k,\
          (a_k, v_k) \in \mathrm{conv}\{(a, \min(\max(a, 0), c)) : L_k \le a \le U_k\},\ k < l

together with the box and the problem's own linear constraints on the inputs.  Layer by layer, each
new range is used at once; units that a range has decided need no more programs.

Tjeng, Xiao & Tedrake, Evaluating robustness of neural networks with mixed integer programming, ICLR
2019; Ehlers, Formal verification of piece-wise linear feed-forward neural networks, ATVA 2017.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_whole
from ..errors import InputError
from ..numerics import Array
from ..solvers.interrupt import interrupted
from .bounds import (
    ON,
    UNDECIDED,
    Bounds,
    affine_range,
    as_box,
    core_box,
    interval_bounds,
    unit_states,
)
from .constraints import Linear, as_linear, require_feasible
from .highs import DualBounds
from .mip import Index, MipArrays, MixedIntegerProgram, UnitValues
from .network import ReluNetwork


def lp_bounds(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    time_budget: float | None = None,
    workers: int = 1,
    start: Bounds | None = None,
) -> Bounds:
    """Bound all pre-activations by linear programs.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds of the inputs.
    constraints : linear constraints (see `as_linear`); those on inputs alone are used.
    time_budget : seconds; when they are over the rest is interval arithmetic from what has been
        tightened: valid, and ``complete`` is False.
    workers : threads over the units of a layer, each with a HiGHS instance of its own (HiGHS runs
        without Python's lock, so threads do here what processes would, without their start).

    Raises
    ------
    InputError, MissingDependency
        An unbounded input, a negative budget, infeasible constraints, named; HiGHS is not installed.
    """
    if time_budget is not None and not time_budget >= 0.0:
        raise InputError(f"time_budget must be a number of seconds, not {time_budget}.")
    workers = check_whole("workers", workers)
    as_box(network, box)
    began = time.perf_counter()
    deadline = np.inf if time_budget is None else began + time_budget
    linear = as_linear(network, constraints).on_inputs(network)
    require_feasible(network, box, linear)
    steps = _Tightening(network, box, linear.core(network), deadline, workers, start)
    return steps.run(began)


class _Tightening:
    """The growing relaxation."""

    def __init__(
        self,
        network: ReluNetwork,
        box: ArrayLike,
        linear: Linear,
        deadline: float,
        workers: int,
        start: Bounds | None,
    ) -> None:
        self._network, self._deadline, self._workers = network, deadline, workers
        self._known = interval_bounds(network, box) if start is None else start
        self._kind = "lp" if start is None else start.kind
        low, up = core_box(network, box).T
        self._program = MixedIntegerProgram()
        columns = self._program.add_columns("x", low, up)
        self._constrained = len(linear.A) > 0
        if self._constrained:
            A = linear.A[:, : network.inputs]
            self._program.add_rows([(columns, A)], linear.lower, linear.upper)
        self._values = UnitValues(columns, np.zeros(len(low)), low, up)
        self._programs, self._complete = 0, True

    def run(self, began: float) -> Bounds:
        """Return the bounds of all layers."""
        network = self._network
        lower, upper = [], []
        for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
            low, up = affine_range(W, b, self._values.lower, self._values.upper)
            low = np.maximum(low, self._known.lower[layer])
            up = np.maximum(np.minimum(up, self._known.upper[layer]), low)
            columns = self._program.add_columns(f"a{layer}", low, up)
            inner, coefficients, constant = self._values.through(W, b)
            rows: list[tuple[Index, Any]] = [(inner, coefficients), (columns, -1.0)]
            self._program.add_rows(rows, -constant, -constant)
            if layer > 0 or self._constrained:  # else the interval is exact
                low, up = self._tighten(layer, columns, low, up)
                self._program.set_bounds(columns, low, up)
            lower.append(low)
            upper.append(up)
            if layer < len(network.clip):
                self._values = add_hull(
                    self._program, f"v{layer}", columns, low, up, network.level(layer)
                )
        seconds = time.perf_counter() - began
        return replace(
            self._known,
            lower=tuple(lower),
            upper=tuple(upper),
            kind=self._kind,
            seconds=seconds,
            complete=self._complete,
            programs=self._programs,
        )

    def _tighten(self, layer: int, columns: Index, low: Array, up: Array) -> tuple[Array, Array]:
        hidden = layer < len(self._network.clip)
        level = self._network.level(layer) if hidden else np.full(len(low), np.inf)
        jobs = np.arange(len(low))
        if hidden:
            jobs = np.flatnonzero(unit_states(low, up, level) == UNDECIDED)
        if not len(jobs) or interrupted() or time.perf_counter() >= self._deadline:
            self._complete &= not len(jobs)
            return low, up
        arrays = self._program.arrays()
        groups = [g for g in np.array_split(jobs, self._workers) if len(g)]

        def work(group: Index) -> tuple[Array, Array, int, bool]:
            return _tighten_units(arrays, columns, group, low, up, level, hidden, self._deadline)

        if len(groups) == 1:
            found = [work(groups[0])]
        else:
            with ThreadPoolExecutor(len(groups)) as pool:
                found = list(pool.map(work, groups))
        low, up = low.copy(), up.copy()
        for group, (new_low, new_up, programs, complete) in zip(groups, found, strict=True):
            low[group], up[group] = new_low, new_up
            self._programs += programs
            self._complete &= complete
        return low, up


def _tighten_units(
    arrays: MipArrays,
    columns: Index,
    group: Index,
    low: Array,
    up: Array,
    level: Array,
    hidden: bool,
    deadline: float,
) -> tuple[Array, Array, int, bool]:
    """Tighten the units of a group; return their bounds, the programs solved, and whether all."""
    solver = DualBounds(arrays)
    low, up, level = low[group].copy(), up[group].copy(), level[group]
    programs = 0
    for sign in (1.0, -1.0):  # all minima, then all maxima: neighbours' bases are alike
        states = unit_states(low, up, level)
        for k, unit in enumerate(group):
            if hidden and states[k] != UNDECIDED:
                continue
            left = deadline - time.perf_counter()
            if left <= 0.0 or interrupted():
                return low, up, programs, False
            value = solver.minimum(columns[unit], sign, left)
            programs += 1
            if sign > 0.0:
                low[k] = min(max(low[k], value), up[k])
            else:
                up[k] = max(min(up[k], -value), low[k])
    return low, up, programs, True


def add_hull(
    program: MixedIntegerProgram, name: str, a: Index, low: Array, up: Array, level: Array
) -> UnitValues:
    """Add the convex hull of (a, min(max(a, 0), c)) for every unit of a layer; return the v.

    Decided units add nothing: they are a constant or the column ``a`` itself.  The others get a
    column v with max(L, 0) <= v <= min(U, c), v >= a where U <= c, v <= a where L >= 0, and the
    chords: above through (L, v(L)) and (min(U, c), min(U, c)); below, where U > c, through
    (max(L, 0), max(L, 0)) and (U, c).
    """
    v_low, v_up = np.clip(low, 0.0, level), np.clip(up, 0.0, level)
    states = unit_states(low, up, level)
    units, below, above = np.flatnonzero(states == UNDECIDED), low < 0.0, up > level
    column = np.where(states == ON, a, -1)
    if len(units):
        column[units] = program.add_columns(name, v_low[units], v_up[units])

    def add_chords(chosen: Index, left: Array, right: Array, from_above: bool) -> None:
        at_left, at_right = (np.clip(side, 0.0, level)[chosen] for side in (left, right))
        slope = (at_right - at_left) / (right - left)[chosen]
        side = at_left - slope * left[chosen]
        ends = (-np.inf, side) if from_above else (side, np.inf)
        program.add_rows([(column[chosen], 1.0), (a[chosen], -slope)], *ends)

    add_chords(units[below[units]], low, np.minimum(up, level), from_above=True)
    add_chords(units[above[units]], np.maximum(low, 0.0), up, from_above=False)
    for chosen, ends in (
        (units[~above[units]], (0.0, np.inf)),
        (units[~below[units]], (-np.inf, 0.0)),
    ):
        program.add_rows([(column[chosen], 1.0), (a[chosen], -1.0)], *ends)
    return UnitValues(column, np.where(column >= 0, 0.0, v_low), v_low, v_up)
