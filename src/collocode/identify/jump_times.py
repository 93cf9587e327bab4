r"""The time of a jump of states, looked for between all samples.

Where a bolus, a dilution or a reset at an unknown time passes a sample, the misfit jumps, for that datum was
taken before it or after.  Between two samples it is smooth, so a fit ends between those that it began between,
or *on* a sample, within the instant that the jump takes, which no datum means.  `between_samples` compares the
simulated misfits with the jump between other samples, and solves again where they are small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..model.events import Dose, Switch
from ..model.parameters import Parameter
from ..numerics import Array
from ..results.solution import Solution
from ..solvers.protocol import Solver
from ..solvers.solve import solve_with
from ..starts.strategies import simulated
from ..transcription.nlp import NLP
from ..transcription.samples import measured

_MOST = 40  # windows between samples whose misfit is simulated, spread over all
_TRIED = 3  # windows that are solved in
_ROUNDS = 4  # over all times
_BETTER = 1e-9  # relative

Window = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class JumpTime:
    """A decided time of events, and when the data were taken that it can pass.

    Attributes
    ----------
    column : of the program.
    parameter : whose column it is.
    width : how long the events act.
    edges : its bounds, and the times of samples between.
    """

    column: int
    parameter: Parameter
    width: float
    edges: Array

    def at(self, x: Array) -> float:
        """The time at a point."""
        return float(self.parameter.natural(x[self.column]))

    def on_a_sample(self, x: Array) -> bool:
        """Whether a datum was taken while the events act."""
        late = self.edges - self.at(x)
        return bool(((late > 0.0) & (late < self.width)).any())

    def windows(self) -> list[Window]:
        """Intervals without a sample, closed and clear of those at their ends."""
        pairs = zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True)
        found = [
            (a + self.width, b - 2.0 * self.width) for a, b in pairs if b - a > 9.0 * self.width
        ]
        chosen = np.linspace(0, len(found) - 1, min(_MOST, len(found)))
        return [found[k] for k in np.unique(chosen.round().astype(int))]

    def window(self, x: Array) -> Window:
        """The interval that a point's time is in, or next to."""
        here = self.at(x)
        return min(self.windows(), key=lambda w: max(w[0] - here, here - w[1]))

    def moved(self, x: Array, window: Window) -> Array:
        """The point with its time in a window: where it was, or in the middle."""
        found, here = x.copy(), self.at(x)
        inside = window[0] <= here <= window[1]
        found[self.column] = self.parameter.decided(here if inside else 0.5 * sum(window))
        return found


def jump_times(nlp: NLP) -> list[JumpTime]:
    """Return the decided times at which states jump at once."""
    problem, found = nlp.problem, dict[int, JumpTime]()
    known = {q.name: q for q in problem.all_parameters}
    for number, e in enumerate(problem.experiments):
        for b in problem.boundaries(e):
            events = [event for event in e.events if event.time == b.parameter]
            lasting = [
                isinstance(v, Switch) or (isinstance(v, Dose) and v.duration) for v in events
            ]
            q = known[b.parameter]
            if all(lasting) or not e.measures:
                continue
            column = int(nlp.layout.parameter_columns(number, q.names)[0])
            samples = e.times[measured(e)]
            before = found[column].edges if column in found else np.array([q.lower, q.upper])
            inside = samples[(samples > q.lower) & (samples < q.upper)]
            found[column] = JumpTime(
                column=column,
                parameter=q,
                width=e.instant * max(1, len(events)),
                edges=np.unique(np.concatenate([before, inside])),
            )
    return list(found.values())


def between_samples(solution: Solution, solver: Solver) -> Solution:
    """Return the best fit with every jump between some two samples; the given one if there is none.

    Parameters
    ----------
    solution : a fit, or what is there before one: not solved.
    solver : built for its program.
    """
    nlp = solution.nlp
    times = [] if nlp is None else [time for time in jump_times(nlp) if time.windows()]
    if nlp is None or not times:
        return solution
    x = solution.result.x
    good = solution.success and not any(time.on_a_sample(x) for time in times)
    best = solution if good else None
    windows = [time.window(x) for time in times]
    for _ in range(_ROUNDS):
        before = best
        for k in range(len(times)):
            for window in _promising(nlp, times, windows, k, solution if best is None else best):
                tried = [*windows[:k], window, *windows[k + 1 :]]
                found = _held(nlp, solver, times, tried, solution if best is None else best)
                if found.success and (best is None or _is_better(found, best)):
                    best, windows = found, tried
        if best is before:
            break
    if best is None or best is solution:
        return solution
    released = solve_with(solver, nlp.with_start(best.result.x))
    sits = any(time.on_a_sample(released.result.x) for time in times)
    return best if sits or _is_better(best, released) or not released.success else released


def _promising(
    nlp: NLP, times: list[JumpTime], windows: list[Window], k: int, best: Solution
) -> list[Window]:
    """Windows of one time, those first in which the simulation is nearest to the data."""
    misfits = []
    for window in times[k].windows():
        if window != windows[k] or not best.success:
            there = _at(times, [*windows[:k], window, *windows[k + 1 :]], best.result.x)
            value = nlp.objective(simulated(nlp, there))
            misfits += [(value, window)] if np.isfinite(value) else []
    return [window for _, window in sorted(misfits)[:_TRIED]]


def _at(times: list[JumpTime], windows: list[Window], x: Array) -> Array:
    for time, window in zip(times, windows, strict=True):
        x = time.moved(x, window)
    return x


def _held(
    nlp: NLP, solver: Solver, times: list[JumpTime], windows: list[Window], best: Solution
) -> Solution:
    """Solve with every time in its window, from the simulation there."""
    lower, upper = nlp.lower.copy(), nlp.upper.copy()
    for time, window in zip(times, windows, strict=True):
        ends = sorted(float(time.parameter.decided(t)) for t in window)
        lower[time.column], upper[time.column] = ends
    start = simulated(nlp, _at(times, windows, best.result.x))
    return solve_with(solver, replace(nlp.with_start(start), lower=lower, upper=upper))


def _is_better(one: Solution, other: Solution) -> bool:
    value = other.result.objective
    return one.result.objective < value - _BETTER * max(1.0, abs(value))
