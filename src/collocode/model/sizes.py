"""Typical sizes of what a problem is about: ranges of states and inputs, and the noise of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..numerics import Array
from ..numerics.signals import Signal
from ..numerics.smoothing import Smoother
from .events import Dose, Reset
from .experiment import Experiment
from .initial import as_initial, free
from .parameters import Parameter

Range = tuple[float, float]


class Sized(Protocol):
    """A `Problem`, as far as sizes need it."""

    @property
    def experiments(self) -> Sequence[Experiment]:
        """With data or without."""

    @property
    def states(self) -> Sequence[str]:
        """Names."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names."""

    @property
    def algebraics(self) -> Mapping[str, float]:
        """Names and guesses."""

    @property
    def observe(self) -> object:
        """None where outputs are states."""

    @property
    def scaling(self) -> Mapping[str, float]:
        """Sizes that are given."""

    @property
    def all_parameters(self) -> Sequence[Parameter]:
        """That are estimated."""

    @property
    def bounds(self) -> Mapping[str, Range]:
        """Of states."""

    @property
    def spread(self) -> Mapping[str, float]:
        """Standard deviation of every output's data."""

    def smoothers(self, experiment: Experiment) -> Mapping[str, Smoother]:
        """Smooth curves of what an experiment measured."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """How large what a problem is about usually is.

    Attributes
    ----------
    ranges : as of `ranges_of`.
    balanced : least and largest size that one equation tells, of what has a range from equations alone.
    """

    ranges: Mapping[str, Range]
    balanced: Mapping[str, Range] = field(default_factory=dict)

    def scale(self, names: Sequence[str]) -> Array:
        """(names,) typical sizes of states and algebraic variables, powers of two: scaling by them is exact."""
        sizes = [max(abs(v) for v in self.ranges[f"x:{name}"]) for name in names]
        return np.asarray(np.exp2(np.round(np.log2(np.maximum(sizes, 1e-300)))))


def ranges_of(problem: Sized) -> dict[str, Range]:
    """Return ranges in the data: ``t``, ``x:state``, ``u:input``; ``slope:state`` is (0, rms slope)."""
    starts = [(e.start, e.end) for e in problem.experiments]
    low, high = float(min(s for s, _ in starts)), float(max(e for _, e in starts))  # type: ignore[type-var, arg-type]
    found = {"t": (low, high)}
    for state in (*problem.states, *problem.algebraics):
        found |= _range_of_state(problem, state, high - low)
    for name in problem.inputs:
        known = problem.experiments
        values = [e.inputs[name].values for e in known if name in e.inputs]
        decided = [e.controls[name] for e in known if name in e.controls]
        values += [np.array([-1.0, 1.0]) * control.size for control in decided]
        both = np.concatenate(values)
        middle, half = 0.5 * (both.max() + both.min()), 0.5 * np.ptp(both)
        found[f"u:{name}"] = (float(middle - (half or 1.0)), float(middle + (half or 1.0)))
    return found


def _range_of_state(problem: Sized, state: str, duration: float) -> dict[str, Range]:
    smooth = [(e, problem.smoothers(e)) for e in problem.experiments]
    curves = [(e, s[state]) for e, s in smooth if problem.observe is None and state in s]
    if not curves or state in problem.scaling:
        size = float(problem.scaling.get(state, _size_of_ends(problem, state) or 1.0))
        slope = (0.0, size / duration * 10.0)
        return {f"x:{state}": (-size, size), f"slope:{state}": slope}
    column = problem.outputs.index(state)  # where it was measured; a row of NaN is no data
    at = [(e.times[np.isfinite(e.values[:, column])], c) for e, c in curves]
    values = np.concatenate([c(t) for t, c in at])
    slopes = np.concatenate([c.derivative(t) for t, c in at])
    middle, half = 0.5 * (values.max() + values.min()), 0.5 * np.ptp(values)
    half = half or abs(middle) or 1.0
    rms = float(np.sqrt(np.mean(slopes**2)))
    return {
        f"x:{state}": (float(middle - half), float(middle + half)),
        f"slope:{state}": (0.0, rms or half / duration),
    }


def _size_of_ends(problem: Sized, state: str) -> float:
    """Size of a state that is not measured: of its ends, guesses and doses, else of its bounds in windows; else 0."""
    if problem.algebraics.get(state):
        return abs(problem.algebraics[state])
    windows = any(not e.measures for e in problem.experiments)
    for values in (
        ends_of(problem.experiments, state),
        problem.bounds.get(state, ()) if windows else (),
    ):
        sizes = np.abs([v for v in values if np.isfinite(v) and v != 0.0])
        if sizes.size:
            return float(sizes.max())
    return 0.0


def ends_of(experiments: Sequence[Experiment], state: str) -> list[float]:
    """What is told of a state: finite values at both ends, of guesses, and of what events add or set."""
    found: list[float] = []
    for e in experiments:
        known = [as_initial(ends.get(state, free())).value for ends in (e.initial, e.final)]
        guess = e.guess.get(state)
        known += [*guess.values] if isinstance(guess, Signal) else [] if guess is None else [guess]
        for event in e.events:
            if isinstance(event, Dose) and event.to == state:
                known.append(event.amount)
            if isinstance(event, Reset) and state in event.to:
                value = event.to[state]
                known += [value] if isinstance(value, int | float) else []
        found += [float(v) for v in known if np.isfinite(v)]
    return found


def untold(problem: Sized) -> list[str]:
    """Return what has no size yet, as `ranges_of` calls it: states, controls, and parameters of a plan that start at 0.

    What data determine, as the logarithm of a rate, may be far larger than what the equations of a long run stand.
    """
    states = [
        n
        for n in (*problem.states, *problem.algebraics)
        if n not in problem.scaling
        and not (problem.observe is None and n in problem.outputs)
        and not _size_of_ends(problem, n)
    ]
    first = problem.experiments[0].controls
    controls = [
        n
        for n in first
        if not any(
            c.told or c.typical for e in problem.experiments for c in [e.controls.get(n)] if c
        )
    ]
    known = any(e.measures for e in problem.experiments)
    began = [] if known else problem.all_parameters
    zero = [q.name for q in began if q.scale == "linear" and q.start == 0.0]
    return [*(f"x:{n}" for n in states), *(f"u:{n}" for n in controls), *(f"p:{n}" for n in zero)]


def noise_of(problem: Sized) -> dict[str, float]:
    """Return the standard deviation of what smoothing leaves of every output's data."""
    found = {}
    for j, name in enumerate(problem.outputs):
        squares, freedom = 0.0, 0.0
        for e in problem.experiments:
            smoother = problem.smoothers(e).get(name)
            if smoother is not None:
                known = np.isfinite(e.values[:, j])
                left = e.values[known, j] - smoother(e.times[known])
                squares, freedom = squares + float(left @ left), freedom + smoother.freedom
        rough = np.sqrt(squares / freedom) if freedom > 0.0 else 0.0
        spread = problem.spread[name]
        found[name] = float(rough) if rough > 1e-12 * spread else spread
    return found
