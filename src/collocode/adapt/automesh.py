r"""`AutoMesh`: the mesh that a fit chooses by itself, from the data and then by dual-weighted residuals.

The first mesh comes from the data (`first_meshes`).  Then the loop goes round until a mesh no longer
matters for what is reported (`collocode.adapt.fineness`): the discretization error of every parameter is
at most a tenth of its standard error, and the trained model, simulated, meets the collocated outputs
within a third of the noise.

Every mesh starts from the last one's states and multipliers.  An element is halved once or twice where
its indicator is above its equal part of a tolerance that is missed, and joined to the next where their
indicators are negligible for all goals.

A problem that decides reports its cost: see `cost_mesh`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..checks import check_fields, counted
from ..errors import InputError
from ..numerics import Index, Mask
from ..numerics.mesh import Mesh
from ..numerics.schemes import GLOBAL_SCHEMES
from ..results.meshing import Meshing
from ..results.solution import Solution
from ..results.status import Outcome, SolverResult, Termination
from ..solvers.protocol import OnIteration, WarmStart
from ..solvers.solve import make_solver
from ..transcription.discretize import MeshLike, discretize
from ..transcription.nlp import NLP
from .cost_mesh import refine_cost_mesh
from .fineness import Fineness, Limits, judge
from .first_mesh import elements_by_samples, first_meshes, fixed_points
from .loop import Budget, adapt
from .marking import Action, equidistribute
from .prolong import prolong
from .refinement import Cycle

How = tuple[str, Mapping[str, Any] | None, bool]
_ASTRAY = 1.0  # gap, in the noise's standard deviations, of a fit that says little of the model
_EQUAL = 0.01  # objectives closer than this, relatively, say that beginning anew leads nowhere else
_ANEW = 2  # so many times a fit that went astray is begun anew on a finer mesh


@dataclass(frozen=True, kw_only=True)
class AutoMesh:
    """Choose the mesh from the data and refine it; ``mesh="auto"`` is ``AutoMesh()``.

    Parameters
    ----------
    share : most of a standard error that the discretization may take in a reported parameter.
    gap : most of the noise that simulated and collocated outputs may differ by, root mean square.
    cost : most of the costs' size that the estimated error of a problem that decides may be.
    elements : budget, of all experiments; None allows 400 and four times the first mesh, or four
        times what one stage a sample makes, if that is more.
    cycles, seconds : budget of meshes and of wall time.

    Raises
    ------
    InputError
        A number that is not positive.
    """

    share: float = 0.1
    gap: float = 0.3
    cost: float = 1e-4
    elements: int | None = None
    cycles: int = 10
    seconds: float = float("inf")

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("share", "gap", "cost", "elements", "cycles", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} of an AutoMesh must be positive, not {value}.")

    @classmethod
    def or_given(cls, mesh: MeshLike | AutoMesh | str) -> tuple[AutoMesh | None, MeshLike]:
        """Return what a fit's ``mesh`` asks for: an `AutoMesh`, or None beside the mesh it gives.

        Raises
        ------
        InputError
            Another text than "auto".
        """
        if isinstance(mesh, str):
            if mesh != "auto":
                raise InputError(
                    f'unknown mesh {mesh!r}; give "auto", a number of elements, or a Mesh.'
                )
            return cls(), None
        return (mesh, None) if isinstance(mesh, AutoMesh) else (None, mesh)

    def budget(self, first: int, sampled: int = 0) -> Budget:
        """Return the loop's budget, given the elements of the first mesh, and of one with a stage a sample."""
        usual = 400 + 4 * max(first, sampled)
        most = usual if self.elements is None else max(first, self.elements)
        return Budget(most, self.cycles, self.seconds)


@dataclass(frozen=True, eq=False, kw_only=True)
class AutoCycle(Cycle):
    """One mesh: its solution, and what it is worth."""

    solution: Solution
    fineness: Fineness


def refine_mesh(
    solution: Solution,
    auto: AutoMesh,
    how: How,
    begin: Callable[[NLP], NLP],
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Refine the mesh of a solved problem until it no longer matters, or the budget ends.

    A fit whose model cannot follow its own collocation (a gap above the noise) may have gone astray on a
    mesh that was too coarse: on the next one it is begun anew, too, and the better of the two is kept.

    Parameters
    ----------
    solution : on any mesh, with its NLP; one that failed comes back as it is.
    auto : tolerances and budget.
    how : interface, options and whether deterministic, as for `make_solver`.
    begin : puts a start into an NLP that knows no solution.

    Returns
    -------
    The solution on the last mesh that was solved; its ``meshing`` has the record, which goes on with what
    the solution had already.
    """
    nlp, before = solution.nlp, solution.meshing
    assert nlp is not None
    if not solution.success:
        ended = solution.result.termination
        outcome = Outcome(termination=ended, message=f"not solved on the first mesh: {ended.value}")
        return replace(solution, meshing=before or _record(solution, outcome, ()))
    first = nlp.elements if before is None else before.elements[0]
    budget = auto.budget(first, elements_by_samples(nlp.problem, nlp.scheme))
    if nlp.problem.decides:
        return refine_cost_mesh(solution, auto.cost, how, budget, on_iteration)
    method = _AutoMeshes(
        limits=Limits(auto.share, auto.gap),
        most=budget.elements,
        how=how,
        begin=begin,
        on_iteration=on_iteration,
    )
    done = adapt(method, method.first(solution, 0 if before is None else _ANEW), 0.0, budget)
    record = _record(solution, done.outcome, done.cycles)
    return replace(done.solved.good, meshing=record if before is None else before.then(record))


def _record(solution: Solution, outcome: Outcome, cycles: Sequence[AutoCycle]) -> Meshing:
    """What happened, over all meshes that were solved."""
    solved = [c for c in cycles if c.solution.success]
    assert solution.nlp is not None
    seconds = float(sum(c.seconds for c in cycles))
    problem, scheme = solution.nlp.problem, solution.nlp.scheme
    alone = problem.decides or scheme.name in GLOBAL_SCHEMES  # then no first mesh follows samples
    sampled = 0 if alone else elements_by_samples(problem, scheme)
    if not solved:
        return Meshing(
            termination=outcome.termination,
            message=outcome.message,
            elements=(solution.nlp.elements,),
            iterations=(solution.result.iterations,),
            gaps=(float("nan"),),
            sampled=sampled,
            seconds=seconds,
        )
    return Meshing(
        termination=outcome.termination,
        message=outcome.message,
        elements=tuple(c.elements for c in solved),
        iterations=tuple(c.solution.result.iterations for c in solved),
        gaps=tuple(c.fineness.gap for c in solved),
        shares=solved[-1].fineness.shares,
        sampled=sampled,
        seconds=seconds,
    )


class _Solved(NamedTuple):
    """The last solution, the last one that is one with its worth, and how often it was begun anew."""

    solution: Solution
    good: Solution
    fineness: Fineness
    anew: int


class _Discrete(NamedTuple):
    """A new mesh's NLP with its start, and what the last mesh left."""

    nlp: NLP
    warm: WarmStart
    before: _Solved


@dataclass(frozen=True, kw_only=True)
class _AutoMeshes:
    """What the loop goes round."""

    limits: Limits
    most: int
    how: How
    begin: Callable[[NLP], NLP]
    on_iteration: OnIteration | None

    def first(self, solution: Solution, anew: int) -> _Solved:
        """Judge the first mesh."""
        return _Solved(solution, solution, judge(solution, self.limits), anew)

    def solve(self, discrete: _Discrete, seconds: float) -> _Solved:
        """Solve from the last mesh's solution; where that fails or says little, begin anew."""
        interface, options, deterministic = self.how
        if np.isfinite(seconds):
            options = {"max_wall_time": max(seconds, 1e-3), **(options or {})}
        nlp, warm, before = discrete
        solver = make_solver(nlp, interface, options, deterministic)
        result = solver.solve(nlp, warm, self.on_iteration)
        if result.termination is Termination.INTERRUPTED:
            return before._replace(solution=_taken(before, nlp, result))
        found = _taken(before, nlp, result)
        worth = judge(found, self.limits) if found.success else None
        astray = before.fineness.gap > _ASTRAY and before.anew < _ANEW
        networks = nlp.layout.weights.size > 0
        if networks and worth is not None:
            astray = astray and worth.gap > _ASTRAY  # a network's fit from the start is dear
        same = False
        if astray or worth is None:
            begun = self.begin(nlp) if astray else nlp
            again = solver.solve(begun, None, self.on_iteration)
            worse = result.success and not again.objective < result.objective
            apart = abs(again.objective - result.objective)
            same = networks and apart <= _EQUAL * abs(result.objective)
            if again.success and not worse:
                found = _taken(before, begun, again)
                worth = judge(found, self.limits)
        if worth is None:
            return before._replace(solution=found)
        anew = _ANEW if same else before.anew + int(astray)
        return _Solved(found, found, worth, anew)

    def estimate(self, solved: _Solved, before: Sequence[AutoCycle]) -> AutoCycle:
        """Take down what `solve` found."""
        return AutoCycle(
            estimate=solved.fineness.estimate, solution=solved.solution, fineness=solved.fineness
        )

    def decide(self, cycles: Sequence[AutoCycle]) -> Outcome | None:
        """Tell whether the mesh is fine enough, or no finer one helps."""
        last = cycles[-1]
        nlp, ended = last.solution.nlp, last.solution.result.termination
        assert nlp is not None
        if not last.solution.success:
            message = (
                f"the mesh of {counted(nlp.elements, 'element')} was not solved: {ended.value}"
            )
            return Outcome(termination=ended, message=message)
        if last.fineness.fine:
            return Outcome(termination=Termination.CONVERGED, message="fine enough")
        if nlp.scheme.name in GLOBAL_SCHEMES:
            message = f"{nlp.scheme.name} stays one element; raise its degree"
            return Outcome(termination=Termination.SIZE_LIMIT, message=message)
        return None

    def mark(self, cycle: AutoCycle) -> Index:
        """Divide what is above its part of a missed tolerance, join what is negligible for all."""
        nlp, found = cycle.solution.nlp, cycle.fineness
        assert nlp is not None
        sizes = np.maximum(found.missed, np.minimum(found.sizes, 1.0))
        joinable = np.concatenate(list(_joinable(nlp)))
        order = len(nlp.scheme.stages) + 1
        actions = equidistribute(sizes, order, joinable, self.most, nlp.scheme.order + 1)
        return actions if (actions > 0).any() else np.zeros_like(actions)

    def refine(self, solved: _Solved, actions: Index) -> _Discrete:
        """Divide and join elements, and carry the solution over."""
        good, nlp = solved.good, solved.good.nlp
        assert nlp is not None
        meshes = [part.mesh for part in nlp.layout.experiments]
        ends = np.cumsum([mesh.elements for mesh in meshes])
        parts = np.split(actions, ends[:-1])
        finer = [_changed(mesh, part) for mesh, part in zip(meshes, parts, strict=True)]
        bare = discretize(nlp.problem, nlp.scheme, mesh=finer)
        bare = bare.with_parameters(regularisation=nlp.parameters["regularisation"])
        begun, warm = prolong(good, bare)
        return _Discrete(begun, warm, solved)


def _taken(before: _Solved, nlp: NLP, result: SolverResult) -> Solution:
    """What the solver found, with the time of all meshes."""
    spent = before.solution.result.timings
    timings = {**result.timings, "build": nlp.build_seconds}
    total = {k: spent.get(k, 0.0) + timings.get(k, 0.0) for k in {**spent, **timings}}
    return Solution.of(nlp, replace(result, timings=total))


def _changed(mesh: Mesh, actions: Index) -> Mesh:
    """Halve and join as the actions say."""
    finer = mesh.divide(2.0 ** np.maximum(actions, 0))
    gone = mesh.points[1 + np.flatnonzero(actions == Action.MERGE)]
    return finer.merge(np.flatnonzero(np.isin(finer.points[1:], gone)))


def _joinable(nlp: NLP) -> Iterator[Mask]:
    """By experiment (E,) whether an element may be joined to the next one."""
    firsts = first_meshes(nlp.problem, nlp.scheme)
    pairs = zip(nlp.problem.experiments, nlp.layout.experiments, firsts, strict=True)
    for experiment, part, first in pairs:
        points, longest = part.mesh.points, (first.end - first.start) / first.elements
        kept = fixed_points(nlp.problem, experiment, longest)
        distance = np.abs(points[1:-1, None] - kept[None, :]).min(axis=1, initial=np.inf)
        short = points[2:] - points[:-2] <= 4.0 * longest
        yield np.append((distance > 1e-9 * longest) & short, False)
