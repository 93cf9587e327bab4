r"""Newton's method over batches: the iteration of one NLP, of which every batch does its part.

In every iteration each batch linearises at the present point, condenses its rows and its own columns
(`condensed`) and sends reduced gradient and Hessian; the coordinator adds them up and solves for the
step of the consensus (`coupled`), from which the batches recover their own.  That is the step which an
interior-point method takes on all data at once, so the optimum is that of the one NLP; a `Filter`
globalises it, with a second-order correction of the first trial that is refused.  The step of the weights
stays within a trust region, which shrinks where no size is taken and grows where the first one is.
A sharp kink of the loss is approached from a blunt one, as by `collocode.solvers.kinks`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..model.misfit import kink_of
from ..numerics import Array, Index, Mask
from ..solvers.kinks import roundings, sharper
from ..transcription.nlp import NLP
from ..transcription.parameter_blocks import SHARP
from .barrier import Barrier, inside
from .coordinator import Ask, Stalled
from .coupled import Coupled
from .filter import Filter, Merit
from .messages import Aim, Direction, Linear, NewtonTask, Trials
from .newton_state import NewtonRules, NewtonState, Step
from .partition import Batch
from .split import ends_of
from .state import Iteration
from .subproblem import Point
from .variables import ConsensusVariables

_SIZES = (0.5, 0.25)  # shorter steps hardly lessen the violation: the region shrinks instead ...
_SHORT = tuple(
    0.5**k for k in range(1, 21)
)  # ... but where that is not it, the batches' own step is too long
_REGIONS = 3  # so many regions before
_TRIES, _SHRUNK, _GROWN = 8, 4.0, 2.0
_DAMPING, _UNDAMPED = 1e-2, 1e-8  # of states, first and least, in parts of their largest curvature
_INERTIA = 1e-4, 4.0, 30  # of states whose curvature has the wrong sign: first, then, how often
_RESTORED, _MOST_RESTORED = 0.9, 50  # of the violation that is left at most, and in how many steps
_ROUNDING = 1e-15  # of the weights, below which no step moves them
_ROUNDED = 1e-5  # residuals at which the kink of a loss becomes sharper
_LESS = (
    1e-4  # part of the promised fall of the violation that a step towards feasibility has to bring
)
_GOOD = 0.5  # part of the promised fall after which a corrected step lets the region grow


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
    ends: tuple[Mask, ...]

    @classmethod
    def of(
        cls,
        rules: NewtonRules,
        variables: ConsensusVariables,
        ridge: Array,
        batches: Sequence[Batch],
    ) -> Newton:
        """Describe the batches' part in it."""
        return cls(
            rules=rules,
            variables=variables,
            ridge=ridge,
            batches=tuple(batch.name for batch in batches),
            copies=tuple(variables.copies(batch) for batch in batches),
            ends=tuple(ends_of(batch, len(variables.copies(batch))) for batch in batches),
        )

    def start(self, whole: NLP, batches: Sequence[Batch]) -> NewtonState:
        """Return the state to begin with: the whole problem's start."""
        v, points = self.variables, []
        z = inside(v.initial(whole), *self._bounds)
        for batch in batches:
            x, rows = v.restricted(whole, batch)
            points.append(Point(x, np.zeros(rows), np.zeros(len(x))))
        kink = kink_of(whole.problem)
        return NewtonState(
            z=z,
            pull=np.zeros(v.states),
            net=np.zeros(len(z)),
            points=tuple(points),
            rounding=next(roundings(kink)) if kink < SHARP else 1.0,
        )

    # ---- one iteration -------------------------------------------------------------------------

    def iterate(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Take one step; see `Coordinator`."""
        began = time.perf_counter()
        state = self._lowered(self._linearised(state, ask), ask)
        assert state.linear is not None
        barrier = self._barrier(state)
        hessian = self.ridge + np.diag(barrier.curvature)
        gradient = self.ridge @ state.z + barrier.gradient
        system = self._system(state.linear, hessian, gradient)
        here = self._merit(state.z, barrier, state.linear)
        state = replace(state, filter=state.filter or Filter.at(here))
        damping = _damped(system, state.damping)
        radius, step, tries = state.radius, None, 0
        weights = state.z[self.variables.states :]
        rounding = _ROUNDING * max(1.0, float(np.linalg.norm(weights)))
        while step is None:
            tries += 1
            if radius < rounding:
                raise Stalled("no step is taken, however short")
            if tries > _TRIES:
                return self._recorded(self.restored(state, here, ask), 0.0, system.shift, began)
            if tries > _REGIONS:  # shorter steps of the weights do not help: it is the states
                radius = state.radius if tries == _REGIONS + 1 else radius
                damping = _damped(system, max(10.0 * damping, _DAMPING * system.bend))
            system.within(radius)
            if np.isinf(radius) and system.shift > 0.0:  # a convex problem needs no region
                radius = system.length or radius
            sizes = _SIZES if tries <= _REGIONS else _SHORT
            step = self._searched(state, system, barrier, here, ask, sizes)
            if step is None:
                radius = system.length / _SHRUNK or radius
        if tries == 1 or step.trust < 1.0:
            radius = step.radius(radius, system.length)
        if step.size == 1.0:
            damping = damping / 10.0 if damping > _UNDAMPED * system.bend else 0.0
        state = self._moved(replace(state, radius=radius, damping=damping), step, barrier, ask)
        return self._recorded(state, step.size, system.shift, began)

    def _linearised(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Let the batches linearise; before the first iteration with multipliers that are estimated."""
        if state.linear is not None:
            return state
        if state.history:
            return replace(state, linear=tuple(ask(self._tasks(state))))
        return self._estimated(state, ask)

    def _estimated(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Let the batches linearise with multipliers by least squares."""
        linear = ask(self._tasks(state, aim=Aim.MULTIPLIERS))
        state = replace(state, points=_points(linear))
        gradient = self.ridge @ state.z
        system = self._system(linear, np.eye(len(state.z)), gradient)
        if not system.factorise():
            raise Stalled("the objective or its derivatives are not finite at the start")
        values, pull = system.solve(system.rhs)
        direction = Direction(values=values, pull=pull)
        linear = ask(self._tasks(state, direction=direction, aim=Aim.MULTIPLIERS))
        points = _points(linear)
        return replace(state, pull=pull, points=points, linear=tuple(linear))

    def restored(self, state: NewtonState, here: Merit, ask: Ask) -> NewtonState:
        """Go to where the equations hold better and the filter takes the objective, whatever it is.

        By shortest steps, of all columns, that meet the rows.
        """
        assert state.filter is not None
        kept = state.filter.remembering(here)
        state = replace(state, filter=kept, damping=0.0)
        now, linear = here, ask(self._tasks(state, aim=Aim.FEASIBLE))
        for _ in range(_MOST_RESTORED):
            barrier = self._barrier(state)
            hessian = np.eye(len(state.z)) + np.diag(barrier.curvature)
            system = self._system(linear, hessian, np.zeros(len(state.z)))
            if not system.factorise():
                break
            system.within(np.inf)
            values, pull = system.solve(system.rhs)
            direction = Direction(values=values, pull=pull)
            tasks = self._tasks(state, direction=direction, trials=(1.0,), aim=Aim.FEASIBLE)
            largest, _ = self._inside(barrier, values, ask(tasks))
            sizes = tuple(largest * part for part in (1.0, *_SHORT))
            tasks = self._tasks(state, direction=direction, trials=sizes, aim=Aim.FEASIBLE)
            tried = self._merits(state, barrier, values, sizes, ask(tasks))
            less = [
                m.violation <= (1.0 - _LESS * s) * now.violation
                for m, s in zip(tried, sizes, strict=True)
            ]
            if not any(less):
                break
            k = less.index(True)
            tasks = self._tasks(state, direction=direction, size=sizes[k], aim=Aim.FEASIBLE)
            now, linear = tried[k], ask(tasks)
            state = replace(state, z=state.z + sizes[k] * values, points=_points(linear))
            if now.violation <= _RESTORED * here.violation and kept.admits(now):
                return self._estimated(state, ask)
        raise Stalled("no step is taken, however short")

    def _searched(
        self,
        state: NewtonState,
        system: Coupled,
        barrier: Barrier,
        here: Merit,
        ask: Ask,
        shorter: Sequence[float],
    ) -> Step | None:
        """Try sizes of the Newton step, the whole, corrected and shorter, until one is taken."""
        values, pull = system.solve(system.rhs)
        direction = Direction(values=values, pull=pull)
        trials: list[Trials] = ask(self._tasks(state, direction=direction, trials=(1.0,)))
        size, dual = self._inside(barrier, values, trials)
        slope = sum(t.slope for t in trials) + float(system.gradient @ values)
        if size < 1.0:
            trials = ask(self._tasks(state, direction=direction, trials=(size,)))
        step = self._taken(state, barrier, here, direction, slope, (size,), dual, trials)
        if step is not None:
            return replace(step, trust=_GROWN) if size == 1.0 else step
        corrections = [t.correction for t in trials if t.correction is not None]
        worse = sum(t.violations[0] for t in trials) >= here.violation
        if size == 1.0 and worse and len(corrections) == len(trials):
            values, pull = system.solve(system.summed(corrections))
            again = Direction(values=values, pull=pull, corrects=direction)
            found = ask(self._tasks(state, direction=again, trials=(1.0,)))
            if self._inside(barrier, values, found)[0] == 1.0:
                step = self._taken(state, barrier, here, again, slope, (1.0,), dual, found)
            if step is not None:
                promised = 0.5 * (system.shift * system.length**2 - slope)
                good = here.objective - step.objective > _GOOD * promised > 0.0
                return replace(step, trust=_GROWN) if good else step
        sizes = tuple(size * part for part in shorter)
        trials = ask(self._tasks(state, direction=direction, trials=sizes))
        step = self._taken(state, barrier, here, direction, slope, sizes, dual, trials)
        return None if step is None else replace(step, trust=step.size / size)

    def _taken(
        self,
        state: NewtonState,
        barrier: Barrier,
        here: Merit,
        direction: Direction,
        slope: float,
        sizes: tuple[float, ...],
        dual: float,
        trials: Sequence[Trials],
    ) -> Step | None:
        """Return the first of the sizes that the filter takes."""
        assert state.filter is not None
        found = self._merits(state, barrier, direction.values, sizes, trials)
        for size, tried in zip(sizes, found, strict=True):
            if state.filter.takes(here, slope, size, tried):
                return Step(
                    direction=direction,
                    size=size,
                    dual_size=dual,
                    filter=state.filter.after(here, slope, size, tried),
                    objective=tried.objective,
                )
        return None

    def _merits(
        self,
        state: NewtonState,
        barrier: Barrier,
        values: Array,
        sizes: Sequence[float],
        trials: Sequence[Trials],
    ) -> list[Merit]:
        """What the batches found at every size, added up."""
        found = []
        for k, size in enumerate(sizes):
            z = state.z + size * values
            objective = sum(t.losses[k] + t.barriers[k] for t in trials)
            objective += self.penalty(z) + barrier.value(z)
            found.append(Merit(sum(t.violations[k] for t in trials), float(objective)))
        return found

    def _moved(self, state: NewtonState, step: Step, barrier: Barrier, ask: Ask) -> NewtonState:
        direction, size, dual = step.direction, step.size, step.dual_size
        tasks = self._tasks(state, direction=direction, size=size, dual_size=dual)
        linear: tuple[Linear, ...] = tuple(ask(tasks))
        return replace(
            state,
            z=state.z + size * direction.values,
            pull=state.pull + size * (direction.pull - state.pull),
            net=barrier.net + dual * barrier.step(direction.values),
            points=_points(linear),
            filter=step.filter,
            linear=linear,
        )

    def _lowered(self, state: NewtonState, ask: Ask) -> NewtonState:
        """Lower the barrier, and before that sharpen the loss, where their problem is solved."""
        while True:
            primal, dual, gap = self.residuals(state)
            if state.rounding > 1.0:
                if max(primal, dual, gap - state.mu) > _ROUNDED:
                    return state
                kept = None if state.filter is None else state.filter.without_memory()
                state = replace(state, rounding=sharper(state.rounding), filter=kept)
                state = replace(state, linear=tuple(ask(self._tasks(state))))
                continue
            least, worst = 0.1 * self.rules.tolerance, max(primal, dual, gap - state.mu)
            if gap == 0.0 or state.mu <= least or worst > 10.0 * state.mu:
                return state
            kept = None if state.filter is None else state.filter.without_memory()
            mu = max(least, min(0.2 * state.mu, state.mu**1.5))
            state = replace(state, mu=mu, filter=kept)
            state = replace(state, linear=tuple(ask(self._tasks(state))))

    # ---- judgements ----------------------------------------------------------------------------

    def residuals(self, state: NewtonState) -> tuple[float, float, float]:
        """Largest violation, slope of the Lagrangian, and complementarity."""
        linear, barrier = state.linear, self._barrier(state)
        assert linear is not None
        slope = self.ridge @ state.z + barrier.net
        for c, r in zip(self.copies, linear, strict=True):
            slope[c] += r.pull
        slope[: self.variables.states] -= state.pull
        slope[self._fixed] = 0.0
        dual = max(float(np.abs(slope).max(initial=0.0)), *(r.stationarity for r in linear))
        gap = max(barrier.complementarity, *(r.complementarity for r in linear))
        return max(r.largest for r in linear), dual, gap

    def converged(self, state: NewtonState) -> bool:
        """Whether the point is a solution to the tolerance."""
        return state.rounding == 1.0 and max(self.residuals(state)) <= self.rules.tolerance

    def ended(self, state: NewtonState, ask: Ask) -> NewtonState:
        """See `Coordinator`: all that there is to say is said."""
        return state

    def penalty(self, z: Array) -> float:
        """Value of the regulariser."""
        return float(0.5 * z @ self.ridge @ z)

    # ---- parts ---------------------------------------------------------------------------------

    def _tasks(
        self, state: NewtonState, direction: Direction | None = None, **more: Any
    ) -> list[NewtonTask]:
        """The same question for all batches, of its own part of the direction."""
        return [
            NewtonTask(
                batch=b,
                iteration=state.iteration,
                point=state.points[b],
                values=state.z[c],
                pull=state.pull[c[end]],
                mu=state.mu,
                rounding=state.rounding,
                direction=None if direction is None else direction.of(c, c[end]),
                **more,
            )
            for b, (c, end) in enumerate(zip(self.copies, self.ends, strict=True))
        ]

    def _inside(
        self, barrier: Barrier, values: Array, trials: Sequence[Trials]
    ) -> tuple[float, float]:
        """Largest sizes of variables and multipliers that keep all bounds."""
        primal, dual = barrier.sizes(values)
        return min(primal, *(t.sizes[0] for t in trials)), min(dual, *(t.sizes[1] for t in trials))

    def _merit(self, z: Array, barrier: Barrier, linear: Sequence[Linear]) -> Merit:
        objective = sum(r.loss + r.barrier for r in linear) + self.penalty(z) + barrier.value(z)
        return Merit(sum(r.violation for r in linear), float(objective))

    def _system(self, linear: Sequence[Linear], hessian: Array, gradient: Array) -> Coupled:
        v = self.variables
        pairs = list(zip(self.copies, self.ends, strict=True))
        return Coupled(
            linear,
            [np.append(c[~end], len(v) + c[end]) for c, end in pairs],
            hessian,
            gradient,
            v.states,
            np.arange(len(v)) >= v.states,
            self._fixed,
        )

    @property
    def _fixed(self) -> Mask:
        return np.asarray(self.variables.lower == self.variables.upper)

    def _barrier(self, state: NewtonState) -> Barrier:
        return Barrier(state.z, *self._bounds, state.net, state.mu)

    @property
    def _bounds(self) -> tuple[Array, Array]:
        """Bounds of the scaled variables; what is fixed does not move anyway."""
        v, fixed = self.variables, self._fixed
        return np.where(fixed, -np.inf, v.lower / v.scale), np.where(
            fixed, np.inf, v.upper / v.scale
        )

    def _recorded(self, state: NewtonState, size: float, shift: float, began: float) -> NewtonState:
        primal, dual, _ = self.residuals(state)
        assert state.linear is not None
        last = Iteration(
            iteration=state.iteration + 1,
            primal=primal,
            dual=dual,
            primal_limit=self.rules.tolerance,
            dual_limit=self.rules.tolerance,
            scaled=primal,
            rho=shift,
            objective=sum(r.loss for r in state.linear) + self.penalty(state.z),
            lagrangian=float("nan"),
            steps=len(state.linear),
            size=size,
            seconds=time.perf_counter() - began,
            batch_seconds=max(r.seconds for r in state.linear),
            build_seconds=0.0,
            rescued="",
        )
        return replace(state, history=(*state.history, last))


def _damped(system: Coupled, damping: float) -> float:
    """Factorise with a damping of the states, or the least of more that gives the right inertia."""
    first, more, most = _INERTIA
    for _ in range(most):
        if system.factorise(damping):
            return damping
        damping = max(more * damping, first * system.bend)
    raise Stalled("no shift of weights and states makes the Hessian positive definite")


def _points(linear: Sequence[Linear]) -> tuple[Point, ...]:
    return tuple(r.point for r in linear if r.point is not None)
