r"""Newton's method over batches: the iteration of one NLP, of which every batch does its part.

In every iteration each batch linearises at the present point, condenses its rows and its own columns
(`condensed`) and sends reduced gradient and Hessian; the coordinator adds them up and solves for the
step of the consensus (`coupled`), from which the batches recover their own.  The step is the one that
an interior-point method takes on all data at once, so the optimum is that of the one NLP.

It is globalised by the filter of Ipopt (Wächter, Biegler, *SIAM J. Optim.* 16, 2005): a trial is taken
if it lowers the violation or the objective enough, with a second-order correction of the first one
that is refused; where no size is taken, the weights are damped further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..transcription.nlp import NLP
from .barrier import Barrier, inside
from .condensed import Direction, Linear, NewtonTask, Trials
from .coupled import Coupled
from .partition import FIRST, Batch
from .state import Iteration
from .subproblem import Point
from .variables import ConsensusVariables, Regulariser

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Ask = Callable[[Sequence[NewtonTask]], Sequence]
_MU = 1e-6  # first barrier, as of the one NLP
_GAMMA, _ARMIJO, _SWITCH, _S_PHI, _S_THETA = 1e-5, 1e-4, 1.0, 2.3, 1.1
_HALVINGS = 8
_DAMPINGS = 6


@dataclass(frozen=True, kw_only=True)
class NewtonRules:
    """Newton's method over batches: tolerance and limits.

    Parameters
    ----------
    tolerance : largest violation and slope of the Lagrangian, scaled.
    iterations, time_limit : limits, the latter in seconds.

    Raises
    ------
    InputError
        Values that are not positive.
    """

    tolerance: float = 1e-8
    iterations: int = 100
    time_limit: float = np.inf

    def __post_init__(self) -> None:
        if not self.tolerance > 0.0:
            raise InputError(f"the tolerance must be positive, not {self.tolerance}.")
        if self.iterations < 1:
            raise InputError(f"iterations must be at least 1, not {self.iterations}.")
        if not self.time_limit >= 0.0:
            raise InputError(f"the time limit must not be negative, not {self.time_limit}.")


@dataclass(frozen=True, eq=False, kw_only=True)
class NewtonState:
    """Where a run of `Newton` is.

    Attributes
    ----------
    z : (n,) consensus, scaled; `pull` (states,) multipliers where windows meet, `net` (n,) of bounds.
    points : per batch its point; None where it stays with the worker.
    mu, shift : of the barrier, and of the last factorisation.
    filter : pairs of violation and objective that are not accepted again; the first is the limit.
    history : one record per iteration.
    linear : what the batches say of this point; None makes them say it again.
    """

    z: Array
    pull: Array
    net: Array
    points: tuple[Point | None, ...]
    mu: float = _MU
    shift: float = 0.0
    filter: tuple[tuple[float, float], ...] = ()
    history: tuple[Iteration, ...] = ()
    linear: tuple[Linear, ...] | None = field(default=None, repr=False)

    @property
    def iteration(self) -> int:
        """Number of finished iterations."""
        return len(self.history)


@dataclass(frozen=True, eq=False, kw_only=True)
class Newton:
    """The coordinator; see the module.

    Attributes
    ----------
    rules : tolerance and limits.
    variables : what the batches share.
    ridge : (n, n) Hessian of the regulariser, which is quadratic.
    batches : their names.
    copies, ends : per batch, which consensus variables it has a copy of, and which of these are last
        states.
    """

    rules: NewtonRules
    variables: ConsensusVariables
    ridge: Array
    batches: tuple[str, ...]
    copies: tuple[Index, ...]
    ends: tuple[NDArray[np.bool_], ...]

    # ---- tasks ---------------------------------------------------------------------------------

    def _tasks(self, state: NewtonState, **more: object) -> list[NewtonTask]:
        """The same question for all batches; a direction is cut to each."""
        direction = more.pop("direction", None)
        return [
            NewtonTask(
                batch=b,
                iteration=state.iteration,
                point=state.points[b],
                values=state.z[c],
                pull=state.pull[c[end]],
                mu=state.mu,
                direction=None if direction is None else self._cut(direction, b),
                **more,
            )
            for b, (c, end) in enumerate(zip(self.copies, self.ends, strict=True))
        ]

    def _cut(self, direction: Direction, b: int) -> Direction:
        c, end, before = self.copies[b], self.ends[b], direction.corrects
        return replace(
            direction,
            values=direction.values[c],
            pull=direction.pull[c[end]],
            corrects=None if before is None else self._cut(before, b),
        )

    # ---- one iteration -------------------------------------------------------------------------

    def begin(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Linearise; before the first iteration estimate multipliers."""
        if state.linear is not None:
            return state
        if not state.history:
            linear = tuple(ask(self._tasks(state, estimate=True)))
            state = replace(state, points=tuple(r.point for r in linear))
            n = len(state.z)
            system = self._system(state, linear, np.eye(n), self._slope(state.z) + state.net)
            if system.factorise(0.0):
                values, pull = system.solve(system.rhs)
                direction = Direction(values=values, pull=pull)
                linear = tuple(ask(self._tasks(state, direction=direction, estimate=True)))
                state = replace(state, pull=pull, points=tuple(r.point for r in linear))
                return replace(state, linear=linear)
        return replace(state, linear=tuple(ask(self._tasks(state))))

    def iterate(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Take one step."""
        state = self._lowered(self.begin(state, ask), ask)
        linear, barrier = state.linear, self._barrier(state)
        assert linear is not None
        hessian = self.ridge + np.diag(barrier.curvature)
        gradient = self._slope(state.z) + barrier.gradient
        system = self._system(state, linear, hessian, gradient)
        here = self._merit(state.z, barrier, linear)
        if not state.filter:
            state = replace(state, filter=((1e4 * max(1.0, here[0]), -np.inf),))
        least, found = 0.0, None
        for _ in range(_DAMPINGS):
            if not system.factorise(state.shift, least):
                break
            found = self._search(state, system, barrier, gradient, here, ask)
            if found is not None:
                break
            least = max(8.0 * system.shift, 1e-8)
        if found is None:
            return replace(state, linear=None, shift=np.inf)
        return self._moved(state, system, barrier, found, here, ask)

    def _search(self, state, system, barrier, gradient, here, ask):
        """Sizes along a direction until one is taken."""
        values, pull = system.solve(system.rhs)
        direction = Direction(values=values, pull=pull)
        first = ask(self._tasks(state, direction=direction, trials=(1.0,)))
        mine = barrier.sizes(values)
        size = min(mine[0], *(t.sizes[0] for t in first))
        dual = min(mine[1], *(t.sizes[1] for t in first))
        slope = sum(t.slope for t in first) + float(gradient @ values)
        trials = first if size == 1.0 else ask(self._tasks(state, direction=direction, trials=(size,)))
        verdict = self._verdict(state, here, slope, size, self._tried(state, barrier, values, size, trials, 0))
        if verdict is not None:
            return direction, size, dual, verdict
        corrected = self._corrected(state, system, barrier, direction, size, slope, trials, here, ask)
        if corrected is not None:
            return corrected
        sizes = tuple(size * 0.5**k for k in range(1, _HALVINGS + 1))
        trials = ask(self._tasks(state, direction=direction, trials=sizes))
        for k, size in enumerate(sizes):
            tried = self._tried(state, barrier, values, size, trials, k)
            verdict = self._verdict(state, here, slope, size, tried)
            if verdict is not None:
                return direction, size, dual, verdict
        return None

    def _corrected(self, state, system, barrier, direction, size, slope, trials, here, ask):
        """Second-order correction of the first trial, if that violates more than the point."""
        violation = sum(t.violations[0] for t in trials)
        if size < 1.0 or not violation >= here[0] or any(t.correction is None for t in trials):
            return None
        values, pull = system.solve(system.summed([t.correction for t in trials]))
        again = Direction(values=values, pull=pull, corrects=direction, size=size)
        trials = ask(self._tasks(state, direction=again, trials=(1.0,)))
        if min(barrier.sizes(values)[0], *(t.sizes[0] for t in trials)) < 1.0:
            return None
        tried = self._tried(state, barrier, values, 1.0, trials, 0)
        verdict = self._verdict(state, here, slope, 1.0, tried)
        return None if verdict is None else (again, 1.0, 1.0, verdict)

    def _tried(self, state, barrier, values, size, trials, k) -> tuple[float, float]:
        z = state.z + size * values
        merit = sum(t.losses[k] + t.barriers[k] for t in trials)
        merit += self._penalty(z) + barrier.value(z)
        return sum(t.violations[k] for t in trials), float(merit)

    def _verdict(self, state, here, slope, size, tried) -> bool | None:
        """None refuses a trial; else whether the filter has to remember the point that is left."""
        (theta, phi), (theta_new, phi_new) = here, tried
        if not (np.isfinite(theta_new) and np.isfinite(phi_new)):
            return None
        slack = 1e-14 * max(1.0, abs(phi))
        if any(theta_new >= t and phi_new >= p - slack for t, p in state.filter):
            return None
        limit = 1e-8 * state.filter[0][0]  # 1e-4 max(1, first violation)
        downhill = slope < 0.0 and size * (-slope) ** _S_PHI > _SWITCH * theta**_S_THETA
        if downhill and theta <= limit:
            return False if phi_new <= phi + _ARMIJO * size * slope + slack else None
        if theta_new <= (1.0 - _GAMMA) * theta or phi_new <= phi - _GAMMA * theta + slack:
            return not (downhill and phi_new <= phi + _ARMIJO * size * slope + slack)
        return None

    def _moved(self, state, system, barrier, found, here, ask) -> NewtonState:
        direction, size, dual, remember = found
        tasks = self._tasks(state, direction=direction, size=size, dual_size=dual)
        linear = tuple(ask(tasks))
        kept = state.filter
        if remember:
            kept = (*kept, ((1.0 - _GAMMA) * here[0], here[1] - _GAMMA * here[0]))
        values = direction.values
        new = replace(
            state,
            z=state.z + size * values,
            pull=state.pull + size * (direction.pull - state.pull),
            net=barrier.net + dual * barrier.step(values),
            points=tuple(r.point for r in linear),
            shift=system.shift,
            filter=kept,
            linear=linear,
        )
        return new

    # ---- judgements ----------------------------------------------------------------------------

    def residuals(self, state: NewtonState) -> tuple[float, float, float]:
        """Largest violation, slope of the Lagrangian, and complementarity."""
        linear, barrier = state.linear, self._barrier(state)
        assert linear is not None
        slope = self._slope(state.z) + barrier.net
        for c, r in zip(self.copies, linear, strict=True):
            slope[c] += r.pull
        slope[: self.variables.states] -= state.pull
        slope[self.fixed] = 0.0
        dual = max(float(np.abs(slope).max(initial=0.0)), *(r.stationarity for r in linear))
        gap = max(barrier.complementarity, *(r.complementarity for r in linear))
        return max(r.largest for r in linear), dual, gap

    def _lowered(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Lower the barrier where its problem is solved."""
        while True:
            primal, dual, gap = self.residuals(state)
            least = 0.1 * self.rules.tolerance
            if gap == 0.0 or state.mu <= least or max(primal, dual, gap - state.mu) > 10.0 * state.mu:
                return state
            mu = max(least, min(0.2 * state.mu, state.mu**1.5))
            state = replace(state, mu=mu, filter=state.filter[:1], linear=None)
            state = replace(state, linear=tuple(ask(self._tasks(state))))

    # ---- parts ---------------------------------------------------------------------------------

    def _merit(self, z: Array, barrier: Barrier, linear: Sequence[Linear]) -> tuple[float, float]:
        phi = sum(r.loss + r.barrier for r in linear) + self._penalty(z) + barrier.value(z)
        return sum(r.violation for r in linear), float(phi)

    def _system(self, state, linear, hessian, gradient) -> Coupled:
        n = len(self.variables)
        return Coupled(
            linear,
            [c[~end] for c, end in zip(self.copies, self.ends, strict=True)],
            [c[end] for c, end in zip(self.copies, self.ends, strict=True)],
            hessian,
            gradient,
            self.variables.states,
            np.arange(n) >= n - self.variables.shared - self.variables.weights,
            self.fixed,
        )

    @property
    def fixed(self) -> NDArray[np.bool_]:
        v = self.variables
        return np.asarray(v.lower == v.upper)

    def _barrier(self, state: NewtonState) -> Barrier:
        v = self.variables
        lower = np.where(self.fixed, -np.inf, v.lower / v.scale)
        upper = np.where(self.fixed, np.inf, v.upper / v.scale)
        return Barrier(state.z, lower, upper, state.net, state.mu)

    def _slope(self, z: Array) -> Array:
        return np.asarray(self.ridge @ z)

    def _penalty(self, z: Array) -> float:
        return float(0.5 * z @ self.ridge @ z)
