r"""`AutoMesh`: the mesh that a fit chooses by itself, from the data and then by dual-weighted residuals.

The first mesh comes from the data (`first_meshes`).  Then: solve, estimate, and divide or join elements,
until the mesh no longer matters for what is reported:

* the discretization error of every reported parameter, by `estimate_errors`, is at most a tenth of its
  standard error;
* the trained model, simulated, meets the collocated outputs: their difference is at most a third of
  the noise.

Every mesh starts from the last one's states and multipliers.  An element is halved once or twice where
its indicator is above its equal share of a tolerance that is missed, and joined to the next where their
indicators are negligible for all goals.  Noise and standard errors come from the residuals, or from a
given σ where that is smaller.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..adapt.estimate import Estimate, estimate_errors
from ..adapt.first_mesh import first_meshes, fixed_points
from ..adapt.gap import estimate_gap
from ..adapt.goals import ParameterValue
from ..adapt.loop import Budget, adapt
from ..adapt.marking import Action, equidistribute
from ..adapt.prolong import prolong
from ..adapt.refinement import Cycle
from ..errors import InputError
from ..numerics.schemes import GLOBAL_SCHEMES
from ..results.meshing import Meshing
from ..results.solution import Solution
from ..results.status import Outcome, Termination
from ..solvers.protocol import OnIteration, WarmStart
from ..solvers.solve import make_solver
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_FLOOR = 1e-5  # noise below this share of an output's spread, or std below that of a value, is none
_SAFETY = 0.5  # share of a tolerance that is handed out to the elements
_CANCELLING = 5.0  # tolerances that Σ|η| may be


@dataclass(frozen=True, kw_only=True)
class AutoMesh:
    """Choose the mesh from the data and refine it; ``mesh="auto"`` is ``AutoMesh()``.

    Parameters
    ----------
    share : most of a standard error that the discretization may take in a reported parameter.
    gap : most of the noise that simulated and collocated outputs may differ by, root mean square.
    elements : budget, of all experiments; None allows 400 and four times the first mesh.
    cycles, seconds : budget of meshes and of wall time.

    Raises
    ------
    InputError
        A number that is not positive.
    """

    share: float = 0.1
    gap: float = 0.3
    elements: int | None = None
    cycles: int = 10
    seconds: float = float("inf")

    def __post_init__(self) -> None:
        for name in ("share", "gap", "elements", "cycles", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} of an AutoMesh must be positive, not {value}.")

    def budget(self, first: int) -> Budget:
        """Return the loop's budget, given the elements of the first mesh."""
        most = 400 + 4 * first if self.elements is None else max(first, self.elements)
        return Budget(most, self.cycles, self.seconds)


def auto_mesh(mesh: Any) -> AutoMesh | None:
    """Return the `AutoMesh` that a fit's ``mesh`` asks for; None if it asks for none.

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
        return AutoMesh()
    return mesh if isinstance(mesh, AutoMesh) else None


class _Check(NamedTuple):
    """A goal's estimate beside its tolerance; the gap's are squares."""

    estimate: Estimate
    tol: float
    met: bool
    power: int = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class AutoCycle(Cycle):
    """One mesh: what was checked on it, and what the solver did."""

    checks: tuple[_Check, ...]
    solution: Solution
    gap: float
    shares: Mapping[str, float]


def refine_mesh(
    solution: Solution,
    auto: AutoMesh,
    how: tuple[str, Mapping[str, Any] | None, bool],
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Refine the mesh of a solved problem until it no longer matters, or the budget ends.

    Parameters
    ----------
    solution : on any mesh, with its NLP; one that failed comes back as it is.
    auto : tolerances and budget.
    how : interface, options and whether deterministic, as for `make_solver`.

    Returns
    -------
    The solution on the last mesh that was solved; its ``meshing`` has the record, which goes on with what
    the solution had already.
    """
    nlp = solution.nlp
    assert nlp is not None
    before = solution.meshing
    spent = solution.result.timings.get("total", 0.0) if before is None else 0.0
    if not solution.success:
        outcome = Outcome(
            termination=solution.result.termination, message="not solved on the first mesh"
        )
        return _recorded(solution, before, outcome, (), spent)
    method = _AutoMeshes(auto=auto, first=nlp, how=how, on_iteration=on_iteration)
    budget = auto.budget(nlp.elements if before is None else before.elements[0])
    began = time.perf_counter()
    done = adapt(replace(method, most=budget.elements), _Solved(solution, solution), 0.0, budget)
    spent += time.perf_counter() - began
    cycles = [c for c in done.cycles if c.solution.success]
    new = cycles if before is None else cycles[1:]
    found = _recorded(done.solved.good, before, done.outcome, cycles[-1:], spent)
    assert found.meshing is not None
    more = replace(
        found.meshing,
        elements=(*(before.elements if before else ()), *(c.elements for c in new)),
        iterations=(
            *(before.iterations if before else ()),
            *(c.solution.result.iterations for c in new),
        ),
    )
    return replace(found, meshing=more)


def _recorded(
    solution: Solution,
    before: Meshing | None,
    outcome: Outcome,
    last: Sequence[AutoCycle],
    seconds: float,
) -> Solution:
    nlp = solution.nlp
    assert nlp is not None
    known = before or Meshing(
        termination=outcome.termination,
        elements=(nlp.elements,),
        iterations=(solution.result.iterations,),
        gap=float("nan"),
    )
    record = replace(
        known,
        termination=outcome.termination,
        message=outcome.message,
        gap=last[-1].gap if last else known.gap,
        shares=last[-1].shares if last else known.shares,
        seconds=known.seconds + seconds,
    )
    return replace(solution, meshing=record)


class _Solved(NamedTuple):
    """The last solution, and the last one that is one."""

    solution: Solution
    good: Solution


class _Discrete(NamedTuple):
    """A new mesh's NLP with its start, and the last good solution."""

    nlp: NLP
    warm: WarmStart
    good: Solution


@dataclass(frozen=True, kw_only=True)
class _AutoMeshes:
    """What the loop goes round."""

    auto: AutoMesh
    first: NLP
    how: tuple[str, Mapping[str, Any] | None, bool]
    on_iteration: OnIteration | None
    most: int = 0

    def solve(self, discrete: _Discrete, seconds: float) -> _Solved:
        """Solve from the last mesh's solution; where that fails, once more without multipliers."""
        interface, options, deterministic = self.how
        if np.isfinite(seconds):
            options = {"max_wall_time": max(seconds, 1e-3), **(options or {})}
        nlp, warm, good = discrete
        solver = make_solver(nlp, interface, options, deterministic)
        result = solver.solve(nlp, warm, self.on_iteration)
        if not result.success and result.termination is not Termination.INTERRUPTED:
            again = solver.solve(nlp, None, self.on_iteration)
            result = again if again.success else result
        timings = {**result.timings, "build": nlp.build_seconds}
        found = replace(good, **_of(nlp, replace(result, timings=timings)))
        return _Solved(found, found if found.success else good)

    def estimate(self, solved: _Solved, before: Sequence[AutoCycle]) -> AutoCycle:
        """Check gap and parameters."""
        solution, nlp = solved.solution, solved.solution.nlp
        assert nlp is not None
        if not solution.success:
            return replace(before[-1], solution=solution, actions=np.empty(0, dtype=np.intp))
        noise, scale = _noise(solution)
        gap = estimate_gap(solution, noise)
        largest = float(np.sqrt(max(0.0, gap.error)))
        close = largest <= 2.0 * self.auto.gap
        measured = _simulated_gap(solution, noise) if close else largest
        checks = [_Check(gap, self.auto.gap**2, measured <= self.auto.gap, 2)]
        shares = {}
        for name, estimate, curvature in _parameters(solution):
            if estimate is None:
                shares[name] = float("nan")
                continue
            std = np.sqrt(max(0.0, 2.0 * scale * curvature))
            tol = self.auto.share * max(std, _FLOOR * abs(estimate.value), 1e-12)
            small = abs(estimate.error) <= tol and estimate.magnitude <= _CANCELLING * tol
            checks.append(_Check(estimate, tol, small))
            shares[name] = estimate.error / tol * self.auto.share
        return AutoCycle(
            estimate=gap, checks=tuple(checks), solution=solution, gap=measured, shares=shares
        )

    def decide(self, cycles: Sequence[AutoCycle]) -> Outcome | None:
        """Tell whether the mesh is fine enough, or no finer one helps."""
        last = cycles[-1]
        if not last.solution.success:
            ended = last.solution.result.termination
            count = last.solution.nlp.elements if last.solution.nlp else 0
            message = f"the mesh of {count} elements was not solved: {ended.value}"
            return Outcome(termination=ended, message=message)
        if all(c.met for c in last.checks) and not last.estimate.unconverged:
            return Outcome(termination=Termination.CONVERGED, message="fine enough")
        if self.first.scheme.name in GLOBAL_SCHEMES:
            message = f"a {self.first.scheme.name} grid stays one element; raise its degree"
            return Outcome(termination=Termination.SIZE_LIMIT, message=message)
        return None

    def mark(self, cycle: AutoCycle) -> Index:
        """Divide what is above its share of a missed tolerance, join what is negligible for all."""
        scheme, count = self.first.scheme, cycle.elements
        sizes, missed = np.zeros(count), np.zeros(count)
        for check in cycle.checks:
            eta = np.abs(check.estimate.indicators)
            size = (eta / (_SAFETY * check.tol / count)) ** (1.0 / check.power)
            sizes = np.maximum(sizes, size)
            if not check.met:
                missed = np.maximum(missed, size)
        nlp = cycle.solution.nlp
        assert nlp is not None
        joinable = np.concatenate(list(_joinable(nlp)))
        order = len(scheme.stages) + 1
        shown = np.where(
            missed > 0.0, np.maximum(missed, np.minimum(sizes, 1.0)), np.minimum(sizes, 1.0)
        )
        actions = equidistribute(shown, order, joinable, self.most, scheme.order + 1)
        return actions if (actions > 0).any() else np.zeros(count, dtype=np.intp)

    def refine(self, solved: _Solved, actions: Index) -> _Discrete:
        """Divide and join elements, and carry the solution over."""
        good, nlp = solved.good, solved.good.nlp
        assert nlp is not None
        meshes = [part.mesh for part in nlp.layout.experiments]
        ends = np.cumsum([mesh.elements for mesh in meshes])
        finer = []
        for mesh, part in zip(meshes, np.split(actions, ends[:-1]), strict=True):
            divided = mesh.divide(2.0 ** np.maximum(part, 0))
            gone = mesh.points[1 + np.flatnonzero(part == Action.MERGE)]
            finer.append(divided.merge(np.flatnonzero(np.isin(divided.points[1:], gone))))
        begun, warm = prolong(good, discretize(nlp.problem, nlp.scheme, mesh=finer))
        return _Discrete(begun, warm, good)


def _of(nlp: NLP, result: Any) -> dict[str, Any]:
    """What a solution on another mesh has of its own."""
    new = Solution.of(nlp, result)
    return {name: getattr(new, name) for name in ("result", "model", "trajectories", "nlp")}


def _noise(solution: Solution) -> tuple[Array, float]:
    """(N, outputs) noise of the samples, inf where none was measured; and the objective's scale s²/M.

    By output and experiment the root mean square residual of the collocated fit, or σ where that is
    smaller.
    """
    nlp = solution.nlp
    assert nlp is not None
    predicted, _ = nlp.predictions(solution.result.x)
    blocks = nlp.parameters
    used = blocks["weights"] > 0.0
    residual = np.where(used, predicted - blocks["measurements"], 0.0)
    found = np.full(residual.shape, np.inf)
    spread = np.array([nlp.problem.spread[name] or 1.0 for name in nlp.problem.outputs])
    count = [int(np.isfinite(e.values).any(axis=1).sum()) for e in nlp.problem.experiments]
    ends = np.cumsum(count)
    given = nlp.problem.loss.sigma is not None
    for begin, end in zip(ends - count, ends, strict=True):
        here = slice(begin, end)
        n = used[here].sum(axis=0)
        rms = np.sqrt((residual[here] ** 2).sum(axis=0) / np.maximum(n, 1))
        rms = np.maximum(rms, _FLOOR * spread)
        known = np.minimum(rms, blocks["sigma"][here]) if given else rms
        found[here] = np.where(used[here], known, np.inf)
    misfit = float((blocks["weights"] * (residual / blocks["sigma"]) ** 2).sum())
    total = max(1, int(used.sum()))
    return found, (min(misfit, 1.0) if given else misfit) / total


def _simulated_gap(solution: Solution, noise: Array) -> float:
    """Largest root mean square of (simulated - collocated) / noise of all outputs and experiments."""
    assert solution.nlp is not None
    worst, row = 0.0, 0
    for number, experiment in enumerate(solution.nlp.problem.experiments):
        times = experiment.times[np.isfinite(experiment.values).any(axis=1)]
        unit = noise[row : row + len(times)]
        row += len(times)
        apart = solution.predict(times, number) - solution.fitted(times, number)
        if not np.isfinite(apart).all():
            return float("inf")
        count = np.maximum(1, np.isfinite(unit).sum(axis=0))
        worst = max(worst, float(np.sqrt(((apart / unit) ** 2).sum(axis=0) / count).max()))
    return worst


def _parameters(
    solution: Solution,
) -> Iterator[tuple[str, Estimate | None, float]]:
    """Every free parameter by its label, with its estimate and curvature."""
    nlp = solution.nlp
    assert nlp is not None
    layout = nlp.layout
    labels, goals = [], []
    for number, part in enumerate(layout.experiments):
        for name in nlp.problem.coefficient_names:
            own = name in layout.own_names
            column = layout.parameter_columns(number, [name])[0]
            if nlp.lower[column] < nlp.upper[column] and (own or number == 0):
                labels.append(f"{name}[{part.name}]" if own else name)
                goals.append(ParameterValue(name, number))
    for label, found in zip(labels, estimate_errors(solution, goals), strict=True):
        yield label, *found


def _joinable(nlp: NLP) -> Iterator[NDArray[np.bool_]]:
    """By experiment (E,) whether an element may be joined to the next one."""
    firsts = first_meshes(nlp.problem, nlp.scheme)
    for experiment, part, first in zip(
        nlp.problem.experiments, nlp.layout.experiments, firsts, strict=True
    ):
        mesh, longest = part.mesh, (first.end - first.start) / first.elements
        kept = fixed_points(nlp.problem, experiment, longest)
        free = ~np.isclose(
            mesh.points[1:-1, None], kept[None, :], rtol=0.0, atol=1e-9 * longest
        ).any(axis=1)
        short = mesh.points[2:] - mesh.points[:-2] <= 4.0 * longest
        yield np.append(free & short, False)
