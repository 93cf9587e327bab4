r"""The time of a jump of states, looked for between all samples.

Where a bolus, a dilution or a reset at an unknown time passes a sample, the misfit jumps, for that datum was
taken before it or after.  Between two samples it is smooth, so a fit ends between those that it began between,
or *on* a sample, within the instant that the jump takes, which no datum means.  `between_samples` compares the
simulated misfits with the jump between other samples, and solves again where they are small.
"""

from __future__ import annotations

from collections.abc import Callable
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
from ..transcription.terms import measured

_MOST = 40  # windows between samples whose misfit is simulated, spread over all
_WITHIN = 0.25, 0.75  # where in a window
_TRIED = 3  # windows that are solved in
_ROUNDS = 4  # over all times
_BETTER = 1e-9  # relative


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

    def windows(self) -> list[tuple[float, float]]:
        """Intervals without a sample, closed and clear of those at their ends."""
        pairs = zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True)
        found = [
            (a + self.width, b - 2.0 * self.width) for a, b in pairs if b - a > 9.0 * self.width
        ]
        chosen = np.linspace(0, len(found) - 1, min(_MOST, len(found)))
        return [found[k] for k in np.unique(chosen.round().astype(int))]

    def moved(self, x: Array, time: float) -> Array:
        """The point with another time."""
        found = x.copy()
        found[self.column] = self.parameter.decided(time)
        return found

    def held(self, nlp: NLP, window: tuple[float, float], x: Array) -> NLP:
        """The program with the time between two samples, to be solved from a point."""
        lower, upper = nlp.lower.copy(), nlp.upper.copy()
        ends = sorted(float(self.parameter.decided(t)) for t in window)
        lower[self.column], upper[self.column] = ends
        return replace(nlp.with_start(x), lower=lower, upper=upper)


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


def between_samples(solution: Solution, make: Callable[[NLP], Solver]) -> Solution:
    """Return the best fit with every jump between some two samples; the given one if there is none."""
    nlp = solution.nlp
    times = [] if nlp is None else jump_times(nlp)
    if nlp is None or not times or not np.isfinite(solution.result.objective):
        return solution
    solver, best = make(nlp), solution
    for _ in range(_ROUNDS):
        before = best
        for time in times:
            best = _searched(nlp, solver, time, best)
        if best is before:
            break
    if best is solution:
        return solution
    released = solve_with(solver, nlp.with_start(best.result.x))
    sits = any(time.on_a_sample(released.result.x) for time in times)
    return best if sits or _is_better(best, released) or not released.success else released


def _searched(nlp: NLP, solver: Solver, time: JumpTime, best: Solution) -> Solution:
    x, sits = best.result.x, time.on_a_sample(best.result.x)
    here = time.at(x)
    misfits = []
    for window in time.windows():
        if sits or not window[0] <= here <= window[1]:
            for share in _WITHIN:
                there = simulated(nlp, time.moved(x, (1.0 - share) * window[0] + share * window[1]))
                value = nlp.objective(there)
                if np.isfinite(value):
                    misfits.append((value, window, there))
    tried: set[tuple[float, float]] = set()
    for _, window, there in sorted(misfits, key=lambda m: m[0]):
        if window in tried or len(tried) == _TRIED:
            continue
        tried.add(window)
        found = solve_with(solver, time.held(nlp, window, there))
        if found.success and (sits or _is_better(found, best)):
            best, sits = found, False
    return best


def _is_better(one: Solution, other: Solution) -> bool:
    value = other.result.objective
    return one.result.objective < value - _BETTER * max(1.0, abs(value))
