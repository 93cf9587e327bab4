"""Typical sizes of what a problem is about: ranges of states and inputs, and the noise of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..numerics.signals import Smoother
from .experiment import Experiment
from .initial import as_initial, free

Array = NDArray[np.float64]
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
    def bounds(self) -> Mapping[str, Range]:
        """Of states."""

    @property
    def spread(self) -> Mapping[str, float]:
        """Standard deviation of every output's data."""

    def smoothers(self, experiment: Experiment) -> Mapping[str, Smoother]:
        """Smooth curves of what an experiment measured."""


def ranges_of(problem: Sized) -> dict[str, Range]:
    """Return the ranges of `Problem.ranges`."""
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
        size = float(problem.scaling.get(state, _size_of_ends(problem, state)))
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
    """Size of a state that is not measured: of its ends in windows, else of its bounds there."""
    if state in problem.algebraics:
        return abs(problem.algebraics[state]) or 1.0
    windows = [e for e in problem.experiments if not e.measures]
    known = [as_initial(k.get(state, free())) for e in windows for k in (e.initial, e.final)]
    ends = [end.value for end in known]
    for values in (ends, problem.bounds.get(state, ()) if windows else ()):
        sizes = np.abs([v for v in values if np.isfinite(v) and v != 0.0])
        if sizes.size:
            return float(sizes.max())
    return 1.0


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
