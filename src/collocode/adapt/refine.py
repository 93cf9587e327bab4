r"""`refine`: solve, estimate, mark, bisect, prolong; until the goal's error is small enough.

Every mesh is solved from the last one's states and multipliers, so that IPOPT needs a few
iterations per cycle.  The loop itself is `collocode.adapt.loop`; when the tolerance is believed,
`collocode.adapt.stopping` tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import as_number
from ..errors import InputError
from ..kinds import check_type
from ..model.costs import Cost
from ..model.problem import Problem
from ..numerics import Index
from ..numerics.scheme import Scheme
from ..results.solution import Solution
from ..results.status import Outcome, Termination
from ..solvers.interrupt import Interrupt
from ..solvers.protocol import OnIteration, WarmStart
from ..solvers.solve import make_solver
from ..solvers.threads import single_threaded
from ..starts.strategies import Start, start_from
from ..transcription.discretize import MeshLike, discretize
from ..transcription.nlp import NLP
from .estimate import check_goal
from .goals import AnyGoal, SimulatedMisfit, goal_of
from .loop import Adapted, Budget, adapt
from .marking import Action, Marking
from .prolong import prolong
from .refinement import MeshCycle, MeshRefinement
from .stopping import UNSOLVED, decide, estimates

Discrete = tuple[NLP, WarmStart | None]
OnCycle = Callable[[MeshCycle], Any]


@single_threaded
def refine(
    problem: Problem,
    tol: float = 1e-4,
    goal: AnyGoal | Cost | str = "objective",
    *,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike = None,
    rule: str = "dorfler",
    theta: float = 0.9,
    number: int = 1,
    max_elements: int = 2000,
    max_cycles: int = 40,
    compare: bool = False,
    reference: float | None = None,
    start: Start = "auto",
    seed: int = 0,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    on_cycle: OnCycle | None = None,
    on_iteration: OnIteration | None = None,
) -> MeshRefinement:
    r"""Solve a problem on meshes that are bisected where the goal's error comes from.

    Parameters
    ----------
    problem : what to identify.
    tol : bound of the estimated error, in the goal's own unit.
    goal : as for `estimate_error`.
    scheme, degree, mesh : as for `discretize`; the first mesh.
    rule, theta, number : as for `collocode.adapt.marking.mark`.
    max_elements, max_cycles : budget.
    compare : whether to do the same with uniform meshes, for comparison.
    reference : exact value of the goal, for the effectivity in the table.
    start, seed, interface, options, deterministic, on_iteration : as for `fit`.
    on_cycle : called with a `MeshCycle` after every mesh.

    Returns
    -------
    A `MeshRefinement`; its ``status`` says whether the tolerance was reached.

    Raises
    ------
    InputError
        A goal, rule or budget that makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> data = Experiment(t, np.exp(-0.7 * t) + 0.01 * np.cos(9.0 * t), outputs=("c",))
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> found = refine(Problem(decay, data), 1e-8, "parameter:k", degree=2, mesh=5)
    >>> found.status, abs(found.estimate.error) <= 1e-8
    ('tolerance reached', True)
    """
    check_type("refine", problem, Problem)
    if not isinstance(problem, Problem):
        raise InputError(
            f"refine takes a collocode.Problem, not a {type(problem).__name__}; layered networks have "
            "collocode.refine_layers."
        )
    chosen = goal_of(goal)
    if as_number(tol, "tol= of refine") <= 0.0:
        raise InputError(f"the tolerance must be positive and finite, not {tol}.")
    marking, budget = Marking(rule, theta, number), Budget(max_elements, max_cycles)
    began = time.perf_counter()
    nlp = discretize(problem, scheme, degree, mesh)
    check_goal(chosen, nlp)
    budget.check(sum(part.mesh.elements for part in nlp.layout.experiments))
    method = Meshes(
        problem=problem,
        goal=chosen,
        tol=tol,
        marking=marking,
        most=max_elements,
        how=(interface, options, deterministic),
        on_iteration=on_iteration,
    )
    with Interrupt():
        solved = method.solve((start_from(nlp, start, seed), None))
        seconds = time.perf_counter() - began

        def run(method: Meshes) -> MeshRefinement:
            return method.refinement(adapt(method, solved, seconds, budget, on_cycle), reference)

        found = run(method)
        if not compare or found.termination is Termination.INTERRUPTED:
            return found
        return found.with_uniform(run(replace(method, marking=Marking("uniform"))))


@dataclass(frozen=True, kw_only=True)
class Meshes:
    """Meshes in time, one per experiment, as what the loop goes round."""

    problem: Problem
    goal: AnyGoal
    tol: float
    marking: Marking
    most: int
    how: tuple[str, Mapping[str, Any] | None, bool]
    on_iteration: OnIteration | None

    def solve(self, discrete: Discrete, seconds: float = float("inf")) -> Solution:
        """Solve; where a warm start fails, once more without multipliers."""
        nlp, warm = discrete
        solver = make_solver(nlp, *self.how)
        result = solver.solve(nlp, warm, self.on_iteration)
        retry = warm is not None and not result.success
        if retry and result.termination is not Termination.INTERRUPTED:
            again = solver.solve(nlp, None, self.on_iteration)
            result = again if again.success else result
        return Solution.of(nlp, result.with_timings(build=nlp.build_seconds))

    def estimate(self, solved: Solution, before: Sequence[MeshCycle]) -> MeshCycle:
        """Estimate the goal's error, and where it is another the objective's."""
        assert solved.nlp is not None
        estimate, guard = estimates(solved, self.goal, self.tol)
        simulated = isinstance(self.goal, SimulatedMisfit)
        return MeshCycle(
            estimate=estimate,
            unknowns=solved.nlp.columns,
            objective=solved.result.objective,
            iterations=solved.result.iterations,
            termination=solved.result.termination,
            guard=guard,
            reference=simulated_misfit(solved) if simulated else None,
        )

    def decide(self, cycles: Sequence[MeshCycle]) -> Outcome | None:
        """Tell whether the tolerance is reached, or out of reach."""
        return decide(cycles, self.goal, self.tol)

    def mark(self, cycle: MeshCycle) -> Index:
        """Bisect for the goal, and for the objective while the fit is rough."""
        goals = [cycle.estimate] if cycle.guard is None else [cycle.estimate, cycle.guard]
        return self.marking.bisections(*(e.indicators for e in goals), most=self.most)

    def refine(self, solved: Solution, actions: Index) -> Discrete:
        """Bisect every experiment's mesh, and prolong states and multipliers."""
        assert solved.nlp is not None
        meshes = [part.mesh for part in solved.nlp.layout.experiments]
        ends = np.cumsum([mesh.elements for mesh in meshes])
        parts = np.split(actions == Action.BISECT, ends[:-1])
        finer = [m.bisect(np.flatnonzero(part)) for m, part in zip(meshes, parts, strict=True)]
        return prolong(solved, discretize(self.problem, solved.scheme, mesh=finer))

    def refinement(self, done: Adapted, reference: float | None) -> MeshRefinement:
        """Return the record; a limit without a solution on the last mesh is no mere limit.

        What Ctrl-C left of a mesh's solve is not worth the solution on the mesh before.
        """
        outcome, cycles, solution = done.outcome, done.cycles, done.solved
        interrupted = outcome.termination is Termination.INTERRUPTED
        if interrupted and len(cycles) > 1 and not cycles[-1].solved:
            cycles, solution = cycles[:-1], done.before
        limits = (Termination.ITERATION_LIMIT, Termination.SIZE_LIMIT)
        if outcome.termination in limits and not cycles[-1].solved:
            outcome = UNSOLVED
        total = float(sum(c.seconds for c in cycles))
        return MeshRefinement(
            termination=outcome.termination,
            message=outcome.message,
            cycles=cycles,
            tol=self.tol,
            rule=self.marking.rule,
            goal=self.goal,
            solution=replace(solution, result=solution.result.with_timings(total=total)),
            reference=reference,
        )


def simulated_misfit(solution: Solution) -> float:
    """Misfit of the trained model's trajectories, by the independent integrator."""
    nlp = solution.nlp
    assert nlp is not None
    predicted = [
        solution.predict(e.times[np.isfinite(e.values).any(axis=1)], number)
        for number, e in enumerate(nlp.problem.experiments)
    ]
    costs = nlp.costs(solution.result.x, np.vstack(predicted))
    return float((nlp.parameters["weights"] * costs).sum())
