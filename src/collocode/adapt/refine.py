r"""`refine`: solve, estimate, mark, bisect, prolong; until the goal's error is small enough.

Every mesh is solved from the last one's states and multipliers, so that IPOPT needs a few
iterations a cycle.  When the tolerance is believed, `stopping` tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.problem import Problem
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.protocol import OnIteration, WarmStart
from ..solvers.solve import make_solver
from ..starts.strategies import Start, start_from
from ..transcription.discretize import MeshLike, discretize
from ..transcription.nlp import NLP
from .goals import AnyGoal, SimulatedMisfit, goal_of
from .marking import check_rule, mark
from .prolong import prolong
from .refinement import Cycle, Refinement, RefinementStatus
from .stopping import Judgement, judge

Index = NDArray[np.intp]
OnCycle = Callable[[Cycle], Any]


def refine(
    problem: Problem,
    tol: float = 1e-4,
    goal: AnyGoal | str = "objective",
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
    start: Start = "gradient_matching",
    seed: int = 0,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    on_cycle: OnCycle | None = None,
    on_iteration: OnIteration | None = None,
) -> Refinement:
    r"""Solve a problem on meshes that are bisected where the goal's error comes from.

    Parameters
    ----------
    problem : what to identify.
    tol : bound of the estimated error, in the goal's own unit.
    goal : as for `estimate_error`.
    scheme, degree, mesh : as for `discretize`; the first mesh.
    rule, theta, number : as for `collocode.adapt.marking.mark`: ``dorfler``, ``maximum``, ``fixed``
        or ``uniform``.
    max_elements, max_cycles : budget.
    compare : whether to do the same with uniform meshes, for comparison.
    reference : exact value of the goal, for the effectivity in the table.
    start, seed, interface, options, deterministic, on_iteration : as for `fit`.
    on_cycle : called with a `Cycle` after every mesh.

    Returns
    -------
    A `Refinement`; its ``status`` says whether the tolerance was reached.

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
    >>> found.status.value, abs(found.estimate.error) <= 1e-8
    ('tolerance reached', True)
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"refine takes a collocode.Problem, not a {type(problem).__name__}; layered networks have "
            "collocode.refine_layers."
        )
    chosen = goal_of(goal)
    if not (np.isfinite(tol) and tol > 0.0):
        raise InputError(f"the tolerance must be positive and finite, not {tol}.")
    check_rule(rule, theta, number)
    if max_cycles < 1:
        raise InputError(f"the number of cycles must be positive, not {max_cycles}.")
    began = time.perf_counter()
    nlp = discretize(problem, scheme, degree, mesh)
    chosen.check(nlp)
    first = _elements(nlp)
    if first > max_elements:
        raise InputError(
            f"the first mesh has {first} elements, more than the budget of {max_elements}; "
            "start with fewer or raise max_elements."
        )
    nlp = start_from(nlp, start, seed)
    how = (interface, options, deterministic)
    loop = _Loop(problem, chosen, tol, rule, theta, number, max_elements, max_cycles, how)
    loop = replace(loop, reference=reference, on_cycle=on_cycle, on_iteration=on_iteration)
    solved, prepared = loop.solve(nlp, None), time.perf_counter() - began
    found = loop.run(solved, prepared)
    if not compare or found.status is RefinementStatus.INTERRUPTED:
        return found
    return found.with_uniform(replace(loop, rule="uniform").run(solved, prepared))


@dataclass(frozen=True)
class _Loop:
    """The settings of a refinement, and its cycles."""

    problem: Problem
    goal: AnyGoal
    tol: float
    rule: str
    theta: float
    number: int
    max_elements: int
    max_cycles: int
    how: tuple[str, Mapping[str, Any] | None, bool]
    reference: float | None = None
    on_cycle: OnCycle | None = None
    on_iteration: OnIteration | None = None

    def run(self, solution: Solution, seconds: float) -> Refinement:
        """Refine from a solution on the first mesh, which took ``seconds``."""
        cycles: list[Cycle] = []
        while True:
            began = time.perf_counter() - seconds
            judged = judge(solution, self.goal, self.tol, cycles)
            status, marked = judged.status, self._marked(judged)
            if status is None and len(cycles) + 1 >= self.max_cycles:
                status = RefinementStatus.CYCLES
            elif status is None and not len(marked):
                status = RefinementStatus.BUDGET
            if (
                status in (RefinementStatus.CYCLES, RefinementStatus.BUDGET)
                and not solution.success
            ):
                status = RefinementStatus.UNSOLVED
            cycle = self._cycle(solution, judged, 0 if status else len(marked))
            cycle = replace(cycle, seconds=time.perf_counter() - began)
            cycles.append(cycle)
            if self.on_cycle is not None:
                self.on_cycle(cycle)
            if status is not None:
                return self._finished(status, solution, cycles)
            began = time.perf_counter()
            solution = self.solve(*self._finer(solution, marked))
            seconds = time.perf_counter() - began

    def _cycle(self, solution: Solution, judged: Judgement, marked: int) -> Cycle:
        assert solution.nlp is not None
        simulated = isinstance(self.goal, SimulatedMisfit)
        return Cycle(
            len(judged.estimate.state),
            solution.nlp.columns,
            solution.result.objective,
            judged.estimate,
            marked,
            solution.result.iterations,
            solution.success,
            0.0,
            simulated_misfit(solution) if simulated else None,
        )

    def _finished(
        self, status: RefinementStatus, solution: Solution, cycles: list[Cycle]
    ) -> Refinement:
        total = float(sum(c.seconds for c in cycles))
        last = replace(solution, result=solution.result.with_timings(total=total))
        found = (status, self.goal, self.tol, self.rule, last, tuple(cycles))
        return Refinement(*found, reference=self.reference)

    def solve(self, nlp: NLP, warm: WarmStart | None) -> Solution:
        """Solve; where a warm start fails, once more without multipliers."""
        solver = make_solver(nlp, *self.how)
        result = solver.solve(nlp, warm, self.on_iteration)
        retry = warm is not None and not result.success
        if retry and result.termination is not Termination.INTERRUPTED:
            again = solver.solve(nlp, None, self.on_iteration)
            result = again if again.success else result
        return Solution.of(nlp, result.with_timings(build=nlp.build_seconds))

    def _marked(self, judged: Judgement) -> Index:
        """Elements to bisect, the largest indicators first if the budget is short."""
        eta = judged.estimate.indicators
        if judged.status is not None or not np.isfinite(eta).all():
            return np.empty(0, dtype=int)
        size = np.abs(eta)
        if size.max() == 0.0:  # nothing to tell them apart, such as a parameter at its bound
            marked = np.arange(len(eta))
        else:
            marked = mark(eta, self.rule, self.theta, self.number)
        if judged.rough is not None:
            more = judged.rough.indicators
            marked = np.union1d(marked, mark(more, self.rule, self.theta, self.number))
            size = np.maximum(size / max(size.max(), 1e-300), np.abs(more) / np.abs(more).max())
        room = self.max_elements - len(eta)
        if len(marked) <= room:
            return marked
        if self.rule == "uniform":
            return np.empty(0, dtype=int)
        order = np.argsort(-size[marked], kind="stable")
        return np.sort(marked[order[: max(0, room)]])

    def _finer(self, solution: Solution, marked: Index) -> tuple[NLP, WarmStart]:
        assert solution.nlp is not None
        meshes: list[Mesh] = []
        first = 0
        for part in solution.nlp.layout.experiments:
            own = marked[(marked >= first) & (marked < first + part.mesh.elements)] - first
            meshes.append(part.mesh.bisect(own))
            first += part.mesh.elements
        return prolong(solution, discretize(self.problem, solution.scheme, mesh=meshes))


def simulated_misfit(solution: Solution) -> float:
    """Misfit of the trained model's trajectories, by the independent integrator."""
    nlp = solution.nlp
    assert nlp is not None
    total, row = 0.0, 0
    for number, experiment in enumerate(nlp.problem.experiments):
        keep = np.isfinite(experiment.values).any(axis=1)
        count = int(keep.sum())
        y = nlp.parameters["measurements"][row : row + count]
        w = nlp.parameters["weights"][row : row + count]
        sigma = nlp.parameters["sigma"][row : row + count]
        row += count
        predicted = solution.predict(experiment.times[keep], number)
        total += float((w * nlp.problem.loss.cost(predicted, y, sigma)).sum())
    return total


def _elements(nlp: NLP) -> int:
    return sum(part.mesh.elements for part in nlp.layout.experiments)
