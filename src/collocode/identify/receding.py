r"""Receding horizon: plan over a window, hold its first move, measure, move the window, plan again.

The window's program and solver are built once.  A new plan exchanges the initial state (bounds of
columns) and the given inputs (parameters), and starts from the last plan moved by one sample: point and
multipliers, :math:`\tilde x(t) = x(t + \Delta)`.

Time in the window counts from now.  What depends on the clock, a set point or a disturbance that is
known ahead, is an input that is given; it is read at now + t.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..archives import Tree
from ..checks import apart, as_number, check_has, check_named, check_path, check_whole, listed
from ..errors import CollocodeWarning, FileError, InputError, caller_level, is_quiet
from ..kinds import check_type
from ..model.problem import Problem
from ..numerics import Array, numbers
from ..numerics.bases import PiecewiseConstant
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..results.closed_loop import LOOP, ClosedLoop
from ..results.solution import Solution
from ..results.status import Termination
from ..results.store import result_of
from ..solvers.interrupt import Interrupt, interrupted
from ..solvers.options import merge
from ..solvers.protocol import Solver
from ..solvers.solve import make_solver, solve_with
from ..solvers.threads import single_threaded
from ..starts.moved import MovedPlan
from ..transcription.costs import inputs_at, stage_places
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP
from .moving_window import shifted, span_of
from .plants import Answer, Plant, answering
from .way_back import WayBack

# A log of every iteration takes as long as the iterations themselves, and refining every step a tenth of
# them; it took none away.  Whether a plan is optimal, IPOPT tests as ever.
_QUICK = {
    "file_print_level": 0,
    "print_timing_statistics": "no",
    "fast_step_computation": "yes",
}
# First barrier parameter of a warm plan, in units of the tolerance: of a plan that was solved a sample ago
# multipliers and active bounds are right but for few, and a barrier would only be reduced again.
_NEAR = 0.1


class RecedingHorizon:
    """The program of a window that moves along, and its solver, both built once.

    Parameters
    ----------
    problem : of one `Window` with fixed times; its states and controls are planned.
    sample : how long a move is held until the next plan; None takes one element.
    scheme, degree : as for `discretize`.
    mesh : elements of the window, or a `Mesh`; None takes one a sample.
    interface, options : as for `solve`.
    setpoints : by state a number, or the name of the given input that it follows; for reports.

    Raises
    ------
    InputError
        Several windows, data, free times; a sample that is not within the window; a given input that
        changes in time and is looked at by a Mayer cost or a constraint at an end.

    Examples
    --------
    >>> from collocode import Control, Dynamics, Lagrange, Problem, Window
    >>> tank = Problem(
    ...     Dynamics(lambda t, x, u, p, nn: [u.feed - x.level]),
    ...     Window(end=5.0, controls={"feed": Control(0.0, 2.0, kind="constant")}),
    ...     states=("level",),
    ...     costs=Lagrange(lambda t, x, u, p, nn: (x.level - 1.0) ** 2 + 0.1 * (u.feed - 1.0) ** 2),
    ... )
    >>> horizon = RecedingHorizon(tank, sample=0.25)
    >>> plan = horizon.plan([0.0])
    >>> float(plan.control("feed", [0.0])[0]) > 1.9
    True
    """

    def __init__(
        self,
        problem: Problem,
        sample: float | None = None,
        scheme: Scheme | str = "radau",
        degree: int | None = None,
        mesh: Mesh | int | None = None,
        interface: str = "casadi",
        options: Mapping[str, Any] | None = None,
        setpoints: Mapping[str, float | str] | None = None,
    ) -> None:
        check_type("RecedingHorizon", problem, Problem)
        start, end = span_of(problem)
        length = end - start
        if sample is not None and not 0.0 < sample < length:
            told = apart(sample, length)
            raise InputError(
                f"sample={told[0]} does not lie within the window, which is {told[1]} long; give how "
                "long a move is held."
            )
        if problem.lags:
            raise InputError(
                f"problem {problem.name!r} has delayed states, and a plan knows the present state alone; "
                "make the past a chain of states, or solve the whole window."
            )
        if mesh is None:
            mesh = 30 if sample is None else max(2, round(length / sample))
        if isinstance(mesh, int):
            mesh = Mesh.uniform(start, end, mesh)
        self.nlp: NLP = discretize(problem, scheme, degree, mesh)
        self.sample = float(mesh.steps[0]) if sample is None else float(sample)
        self.solver: Solver = make_solver(self.nlp, interface, {**_QUICK, **(options or {})})
        self._mu = _NEAR * float(merge(options)["tol"])
        self.setpoints = dict(setpoints or {})
        for state, given in self.setpoints.items():
            check_has(f"problem {problem.name!r}", "state", state, problem.states)
            if not isinstance(given, str):
                self.setpoints[state] = as_number(given, f"the set point of {state!r}")
            else:
                known = problem.experiments[0].inputs
                check_has(f"the window of problem {problem.name!r}", "given input", given, known)
        self._part = self.nlp.layout.experiments[0]
        self._last = MovedPlan(self.nlp, self.sample)
        self._way_back = WayBack(self.nlp, self.sample)

    def __repr__(self) -> str:
        return f"RecedingHorizon({self.nlp.problem.name!r}, sample={self.sample:g}, {self.nlp!r})"

    @single_threaded
    def plan(
        self,
        state: Mapping[str, float] | ArrayLike,
        now: float = 0.0,
        previous: Solution | None = None,
    ) -> Solution:
        """Plan from a state, warm from the ``previous`` plan, which was made one sample ago.

        Parameters
        ----------
        state : measured or estimated, by name or in the order of the problem's states.
        now : the time by the clock, at which given inputs are read.
        previous : None starts cold.

        Raises
        ------
        InputError
            A state that is left out, or is not finite.
        """
        names = self.nlp.problem.states
        if isinstance(state, Mapping):
            check_named("the state to plan from", state, "state", names)
            missing = [name for name in names if name not in state]
            if missing:
                raise InputError(f"the state to plan from lacks {missing[0]!r}; measure it.")
            state = [state[name] for name in names]
        x = numbers(state, "the state to plan from").ravel()
        if x.shape != (len(names),) or not np.isfinite(x).all():
            raise InputError(
                f"the state to plan from is {x}; give a finite value of each: {', '.join(names)}."
            )
        first = self._part.states[0]
        lower, upper, start = (v.copy() for v in (self.nlp.lower, self.nlp.upper, self.nlp.start))
        warm = None
        if previous is not None:
            start, warm = self._last.of(previous.result)
            warm = replace(warm, mu=self._mu)
        lower[first] = upper[first] = start[first] = x
        if previous is not None:
            for column, least, most in self._from_last_move(previous):
                lower[column] = max(lower[column], min(least, upper[column]))
                upper[column] = min(upper[column], max(most, lower[column]))
                start[column] = np.clip(start[column], lower[column], upper[column])
        program = replace(self._read(now), lower=lower, upper=upper, start=start)
        for tried in self._way_back.programs(program):
            found = solve_with(self.solver, tried, warm=warm)
            if found.result.termination is not Termination.INFEASIBLE:
                break
        return found

    def _from_last_move(self, previous: Solution) -> Iterator[tuple[int, float, float]]:
        """First unknown of every control of bounded slope, and what the input made last leaves of its range."""
        window = self.nlp.problem.experiments[0]
        for name, control in window.controls.items():
            if not control.is_rate_bounded:
                continue
            known = self._part.spanned.get(name)
            column = self._part.decided[name].columns[0, 0] if known is None else known.columns[0]
            made = previous.trajectories[0].experiment.inputs[name](np.array([self.sample]), True)
            jumps = isinstance(control.kind, PiecewiseConstant)
            least, most = (rate * self.sample if jumps else 0.0 for rate in control.rate)
            yield int(column), float(made[0]) + least, float(made[0]) + most

    def _read(self, now: float) -> NLP:
        """The program with its given inputs as the clock has them."""
        window, nlp = self.nlp.problem.experiments[0], self.nlp
        if not window.inputs or now == 0.0:
            return nlp
        given = {name: shifted(signal, now) for name, signal in window.inputs.items()}
        later = replace(window, inputs=given)
        problem = replace(nlp.problem, experiments=(later,))
        place = stage_places(0, self._part, nlp.scheme)
        return replace(
            nlp.with_parameters(
                stage_inputs=inputs_at(problem, later, place.times, place.left),
                node_inputs=inputs_at(problem, later, self._part.times, False),
            ),
            problem=problem,
        )

    @single_threaded
    def run(
        self,
        state: Mapping[str, float] | ArrayLike,
        moves: int,
        plant: Problem | Plant | None = None,
        after: ClosedLoop | None = None,
        on_move: Callable[[ClosedLoop], Any] | None = None,
    ) -> ClosedLoop:
        """Close the loop: plan, hold the first move on the plant for one sample, and so on.

        A plan that is not solved is not followed: the move that the last one had for this time is made.

        Parameters
        ----------
        state : at the start.
        moves : how many samples, those of ``after`` included.
        plant : what answers to the moves.  A `Problem` of the same states and inputs lends its dynamics,
            with its parameters' starts, and the inputs that its window gives, both by the clock: what they are
            is what happens, what the model's window gives is what the plans expect.  A function
            ``plant(state, inputs, sample)`` returns the state one sample later, inputs counted from now; None is
            the model itself.
        after : a loop that goes on from where it ended.
        on_move : called with the loop so far after every move.

        Returns
        -------
        The loop; Ctrl-C ends it after the last whole move, see `ClosedLoop.interrupted`.

        Warns
        -----
        CollocodeWarning
            Plans that were not solved.
        """
        moves = check_whole("run(moves=...)", moves)
        answer, loop = answering(plant, self.nlp, self.sample), after
        with Interrupt():
            for k in range(0 if loop is None else len(loop.plans), moves):
                made = None if interrupted() else self._move(k, state, loop, answer, moves)
                if made is None:
                    break
                loop = made
                if on_move is not None:
                    on_move(loop)
        if loop is None:
            raise KeyboardInterrupt
        failed = loop.failed
        if failed and not is_quiet():
            warnings.warn(
                f"{len(failed)} of {len(loop.plans)} plans were not solved (the first at t = "
                f"{failed[0] * self.sample:g}: {loop.plans[failed[0]].status}); {loop.instead}. "
                "Soften the constraints, lengthen the window or raise max_iter.",
                CollocodeWarning,
                stacklevel=caller_level(),
            )
        return loop

    def _move(
        self,
        k: int,
        state: Mapping[str, float] | ArrayLike,
        loop: ClosedLoop | None,
        answer: Answer,
        wanted: int,
    ) -> ClosedLoop | None:
        """The loop after one more plan and its answer; None if Ctrl-C came meanwhile."""
        began = time.perf_counter()
        followed = None if loop is None else loop.plans[-1]
        plan = self.plan(state if loop is None else loop.states[-1], k * self.sample, followed)
        seconds = time.perf_counter() - began
        if plan.result.termination is Termination.INTERRUPTED:
            return None
        states = plan.trajectories[0].states[:1] if loop is None else loop.states
        failed = () if loop is None else loop.failed
        if not plan.success:
            failed = (*failed, k)
            plan = plan if followed is None else self._moved(plan, followed)
        inputs = plan.trajectories[0].experiment.inputs
        reached = np.asarray(answer(states[-1], inputs, k * self.sample), dtype=float).ravel()
        if reached.shape != states[-1].shape or not np.isfinite(reached).all():
            raise InputError(
                f"the plant answered with {reached} at t = {(k + 1) * self.sample:g}; it has to return "
                f"a finite value of each: {listed(self.nlp.problem.states)}."
            )
        times: Array = self.sample * np.arange(k + 2, dtype=float)
        return ClosedLoop(
            times=times,
            states=np.vstack([states, reached]),
            plans=(*(() if loop is None else loop.plans), plan),
            seconds=np.append([] if loop is None else loop.seconds, seconds),
            failed=failed,
            setpoints={
                name: self._setpoint(given, times) for name, given in self.setpoints.items()
            },
            wanted=wanted,
        )

    def _setpoint(self, given: float | str, times: Array) -> Array:
        if isinstance(given, str):
            return self.nlp.problem.experiments[0].inputs[given](times)
        return np.full(len(times), float(given))

    def load(self, path: str | Path) -> ClosedLoop:
        """Read a loop that `ClosedLoop.save` wrote of this horizon, to look at it or to go on.

        Raises
        ------
        FileError
            Missing, corrupt or foreign file, or one of another model, mesh or sample.
        """
        check_path("load", path)
        return LOOP.read(path, lambda tree: self._loaded(path, tree))

    def _loaded(self, path: str | Path, tree: Tree) -> ClosedLoop:
        names, results = self.nlp.problem.states, [result_of(entry) for entry in tree["plans"]]
        moves = len(results)
        if tree["states"].shape != (moves + 1, len(names)) or len(tree["seconds"]) != moves:
            raise ValueError("states, plans and times do not belong together")
        alike = tree["name"] == self.nlp.problem.name and tree["sample"] == self.sample
        sizes = self.nlp.columns, self.nlp.rows, self.nlp.columns
        fits = all((len(r.x), len(r.lam_g), len(r.lam_x)) == sizes for r in results)
        if not (alike and fits and moves):
            raise FileError(
                f"{path} holds a closed loop of {tree['name']!r} with samples of {tree['sample']:g}, which "
                "this model on this mesh did not plan; run it anew."
            )
        lengths = {len(v) for v in tree["setpoints"].values()}
        if not set(tree["failed"]) <= set(range(moves)) or tree["wanted"] < 0:
            raise ValueError("it tells of moves that were not made")
        if not set(tree["setpoints"]) <= set(names) or not lengths <= {moves + 1}:
            raise ValueError("its set points are not those of the samples")
        plans = [Solution.of(self._read(k * self.sample), r) for k, r in enumerate(results)]
        return ClosedLoop(
            times=np.asarray(self.sample * np.arange(moves + 1), dtype=float),
            states=tree["states"],
            plans=tuple(plans),
            seconds=tree["seconds"],
            failed=tuple(tree["failed"]),
            setpoints=tree["setpoints"],
            wanted=tree["wanted"],
        )

    def _moved(self, failed: Solution, followed: Solution) -> Solution:
        """The plan that was followed, one sample later, with the status of the one that failed."""
        x, multipliers = self._last.of(followed.result)
        result = replace(failed.result, x=x, lam_g=multipliers.lam_g, lam_x=multipliers.lam_x)
        assert failed.nlp is not None
        return Solution.of(failed.nlp, result)
