r"""One batch as an NLP: built once, solved whenever consensus, duals or ρ have changed.

.. math:: \min_{x_b, v_b}\; f_b(x_b, v_b) + \tfrac\rho2\lVert v_b - (z_{G_b} - w_b)\rVert^2
          \quad\text{s.t. collocation, bounds}

The proximal term is the quadratic prior that every NLP carries on its first and last states,
parameters and weights; centre and weight are NLP parameters, so nothing is ever rebuilt.  A `Task`
goes to a batch and a `BatchResult` comes back: plain values that can be pickled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..adapt.first_mesh import meshes_at_samples
from ..checks import check_choice, check_fields
from ..model.initial import as_initial
from ..model.misfit import costs_of_data, scorable
from ..model.problem import Problem
from ..model.symbolic import depends_on_time
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.schemes import GLOBAL_SCHEMES
from ..numerics.schemes import scheme as scheme_called
from ..results.model import TrainedModel
from ..results.resolved import costs_of, resolved
from ..results.simulate import simulate
from ..results.status import Termination
from ..solvers.options import merge, typed, without_ours
from ..solvers.protocol import Solver, WarmStart
from ..solvers.solve import INTERFACES
from ..starts.strategies import start_from
from ..transcription.discretize import MeshLike, discretize
from ..transcription.nlp import NLP
from ..transcription.regularisation import prior_columns
from ..transcription.samples import measured
from .partition import Batch
from .variables import copied_columns

NAN = float("nan")
_TAKEN = (Termination.CONVERGED, Termination.ACCEPTABLE, Termination.INTERRUPTED)


@dataclass(frozen=True, eq=False, kw_only=True)
class FitSettings:
    """How a problem is discretized, started and solved; the same for all of its batches.

    Parameters
    ----------
    scheme, degree, mesh : as for `discretize`; the mesh is that of the whole problem.
    start, seed : as for `start_from`, a strategy's name; None is ``gradient_matching``.
    (A likelihood without networks begins as in `fit` where these are None or ``auto``: simulated from the
    parameters' starts, on a mesh with an element end at every sample.)
    interface, options, deterministic : as for `solve`.

    Raises
    ------
    InputError
        An unknown scheme, degree or option.
    """

    scheme: Scheme | str = "radau"
    degree: int | None = None
    mesh: MeshLike = None
    start: str | None = None
    seed: int = 0
    interface: str = "casadi"
    options: Mapping[str, Any] = field(default_factory=dict)
    deterministic: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        assert self.collocation
        check_choice("interface", self.interface, INTERFACES)
        chosen = merge(self.options, self.deterministic)
        if self.interface != "pyomo":  # which may run another solver
            typed(without_ours(chosen))

    @cached_property
    def collocation(self) -> Scheme:
        """The scheme itself."""
        if isinstance(self.scheme, Scheme):
            return self.scheme
        return scheme_called(self.scheme, self.degree)

    def begun(self, problem: Problem) -> NLP:
        """Return the whole problem's NLP and start."""
        mesh = self.mesh
        if mesh is None and scorable(problem) and self.collocation.name not in GLOBAL_SCHEMES:
            mesh = meshes_at_samples(problem)
        return start_from(
            discretize(problem, self.collocation, mesh=mesh), self.start_of(problem), self.seed
        )

    def start_of(self, problem: Problem) -> str:
        """Return the strategy that a problem is started by."""
        if self.start in (None, "auto") and scorable(problem):
            return "simulate"
        return self.start or "gradient_matching"


@dataclass(frozen=True, eq=False)
class Point:
    """A primal-dual point of a batch's NLP: what the next solve starts from."""

    x: Array
    lam_g: Array
    lam_x: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """One solve: batch, iteration, and what is new since the last one.

    Attributes
    ----------
    batch, iteration : numbers.
    target : (copies,) z - w, scaled.
    consensus : (copies,) z, scaled: where a retry starts, and what is simulated.
    rho : the penalty.
    point : the last point; None lets the worker use the one it kept, or start anew.
    simulate : whether to simulate the consensus on this batch's data.
    solve : whether to solve at all.
    """

    batch: int
    iteration: int
    target: Array
    consensus: Array
    rho: float
    point: Point | None = None
    simulate: bool = True
    solve: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchResult:
    """What a solve brings.

    Attributes
    ----------
    batch, iteration : of the task.
    values : (copies,) the batch's copy of the consensus, scaled.
    loss : the batch's part of the misfit, without the proximal term.
    simulated_loss : the same part for the consensus, simulated from this batch's own initial states;
        inf if the simulation broke down, NaN if it was not asked for.
    squares : (sum of squared errors of that simulation in the data's units, how many).
    point : where the next solve starts; None if points stay with the workers.
    status : the solver's own words; ``rescue`` says what it took: ``""``, ``consensus``,
        ``start``, or ``kept`` when nothing helped and the last point stands.
    iterations, seconds, build_seconds : of the solver.
    """

    batch: int
    iteration: int
    values: Array
    loss: float
    simulated_loss: float = NAN
    squares: tuple[float, int] = (0.0, 0)
    point: Point | None = None
    status: str = ""
    rescue: str = ""
    iterations: int = 0
    seconds: float = 0.0
    build_seconds: float = 0.0


class Subproblem:
    """A batch's NLP with its solver.

    Parameters
    ----------
    batch, settings : what to solve and how.
    like : an NLP of equal structure to share functions with; see `structure`.

    Attributes
    ----------
    nlp : without the proximal term.
    columns, units : which of its columns are copies of consensus variables, and their sizes.
    """

    def __init__(self, batch: Batch, settings: FitSettings, like: NLP | None = None) -> None:
        self.batch, self.settings = batch, settings
        problem, meshes = from_zero(batch)
        nlp = _following(discretize(problem, settings.collocation, mesh=list(meshes), like=like))
        priors = prior_columns(nlp.layout)
        self.columns, self.units = copied_columns(batch, nlp)
        place = {int(column): k for k, column in enumerate(priors)}
        self._positions = np.array([place[int(c)] for c in self.columns], dtype=int)
        self.nlp = nlp.with_parameters(
            weights=nlp.parameters["weights"] * batch.weight,
            prior_weight=nlp.parameters["prior_weight"] * batch.weight,
            **self._priors(nlp),
        )

    def _priors(self, nlp: NLP) -> dict[str, Array]:
        """What every copy of a parameter has of its prior, which all of them together count once."""
        batch, found = self.batch, {}
        for q in (q for q in batch.problem.all_parameters if q.prior is not None):
            copies = np.array(batch.windows if q.per_experiment else [batch.batches], dtype=float)
            found[f"prior.{q.name}"] = nlp.parameters[f"prior.{q.name}"] * batch.weight / copies
        return found

    def solve(self, solver: Solver, task: Task, keep: Point | None) -> BatchResult:
        """Solve a task from a kept point; a failure is retried from elsewhere, then reported."""
        began = time.perf_counter()
        nlp, rescue, result, iterations = self._towards(task), "kept", None, 0
        for name, start, warm in self._starts(task, keep):
            result = solver.solve(nlp.with_start(start), warm)
            iterations += result.iterations
            if result.termination in _TAKEN:
                rescue = name
                break
        assert result is not None
        point = Point(result.x, result.lam_g, result.lam_x)
        if rescue == "kept" and (keep is not None or not np.isfinite(point.x).all()):
            point = keep or self._at(nlp.start)
        prox = 0.5 * task.rho * float(np.sum((self._copies(point) - task.target) ** 2))
        return replace(
            self._result(task, point, nlp.objective(point.x) - prox, task.simulate),
            status=result.message,
            rescue=rescue,
            iterations=iterations,
            seconds=time.perf_counter() - began,
        )

    def simulate(self, task: Task, keep: Point | None) -> BatchResult:
        """Simulate the consensus on this batch's data, without a solve."""
        point = keep or self._at(self._started("smoothing"))
        return self._result(task, point, NAN, True)

    def unsolved(self, task: Task) -> BatchResult:
        """What the task's own point says, without a solve."""
        assert task.point is not None
        loss = self.nlp.objective(task.point.x)  # no proximal term: its weight is zero here
        return self._result(task, task.point, loss, False)

    def _result(self, task: Task, point: Point, loss: float, simulated: bool) -> BatchResult:
        again, squares = self._simulated(task, point) if simulated else (NAN, (0.0, 0))
        return BatchResult(
            batch=task.batch,
            iteration=task.iteration,
            values=self._copies(point),
            loss=loss,
            simulated_loss=again,
            squares=squares,
            point=point,
        )

    def _copies(self, point: Point) -> Array:
        return np.asarray(point.x[self.columns] / self.units)

    def _at(self, x: Array) -> Point:
        return Point(x, np.zeros(self.nlp.rows), np.zeros(self.nlp.columns))

    def _towards(self, task: Task) -> NLP:
        mean, weight = (self.nlp.parameters[k].copy() for k in ("prior_mean", "prior_weight"))
        mean[self._positions] = task.target * self.units
        weight[self._positions] = 0.5 * task.rho / self.units**2
        return self.nlp.with_parameters(prior_mean=mean, prior_weight=weight)

    def _starts(
        self, task: Task, keep: Point | None
    ) -> Iterator[tuple[str, Array, WarmStart | None]]:
        """Starting points in the order in which they are tried, each with what it is called."""
        if keep is not None:
            yield "", keep.x, WarmStart(keep.lam_g, keep.lam_x)
            yield "consensus", self._with_consensus(keep.x, task), None
        else:
            start = self.settings.start_of(self.nlp.problem)
            how = start if start == "simulate" else "smoothing"
            yield "", self._with_consensus(self._started(how), task), None
        yield "start", self._started(self.settings.start_of(self.nlp.problem)), None

    def _started(self, how: str) -> Array:
        return start_from(self.nlp, how, self.settings.seed).start

    def _with_consensus(self, x: Array, task: Task) -> Array:
        x = x.copy()
        x[self.columns] = task.consensus * self.units
        return np.clip(x, self.nlp.lower, self.nlp.upper)

    def _simulated(self, task: Task, point: Point) -> tuple[float, tuple[float, int]]:
        """Misfit of the consensus, simulated from this batch's own initial states."""
        nlp, problem = self.nlp, self.nlp.problem
        x = point.x.copy()
        x[self.columns] = task.consensus * self.units
        rows, loss, squares, count = 0, sum(costs_of(nlp, x).values()), 0.0, 0
        pairs = zip(problem.experiments, nlp.layout.experiments, strict=True)
        for number, (given, part) in enumerate(pairs):
            if not given.measures:
                continue
            experiment, keep = resolved(nlp, x, number)[0], measured(given)
            t = experiment.times[keep]
            model = TrainedModel.of(nlp, x, number)
            times = t if t[0] == part.times[0] else np.append(part.times[0], t)
            run = simulate(model, point.x[part.states[0]], times, experiment.inputs, rtol=1e-6)
            taken = slice(rows, rows + len(t))
            factors, y = (nlp.parameters[block][taken] for block in ("weights", "measurements"))
            sigma = nlp.sigma(x)[taken]
            rows += len(t)
            if not run.complete:
                return float("inf"), (float("inf"), 1)
            u = [experiment.inputs[name](t) for name in problem.inputs]
            inputs = np.column_stack(u) if u else None
            z = None if run.algebraics is None else run.algebraics[-len(t) :]
            predicted = model.observe(run.states[-len(t) :], inputs, t, z)
            finite = np.isfinite(experiment.values[keep])
            censored = nlp.parameters.get("censored", np.zeros((rows, y.shape[1])))[taken]
            costs = costs_of_data(problem, predicted, y, sigma, censored)
            loss += float(np.sum(factors * np.where(factors > 0.0, costs, 0.0)))
            squares += float(np.sum((predicted - y)[finite] ** 2))
            count += int(finite.sum())
        return loss, (squares, count)


def _following(nlp: NLP) -> NLP:
    """Return the NLP free to follow the consensus in parameters that none of its experiments sees."""
    lower, upper, layout = nlp.lower.copy(), nlp.upper.copy(), nlp.layout
    for q in nlp.problem.all_parameters:
        if q.basis is None and not q.per_experiment:
            column = layout.columns_of(q.name)
            lower[column], upper[column] = q.decided_bounds
    return replace(nlp, lower=lower, upper=upper)


def structure(batch: Batch, settings: FitSettings) -> tuple[object, ...]:
    """What two batches must have in common to share functions and solver."""
    problem, meshes = from_zero(batch)
    scheme = settings.collocation
    key: list[object] = [problem.outputs, scheme.name, scheme.degree, scheme.residual]
    for experiment, mesh in zip(problem.experiments, meshes, strict=True):
        times = experiment.times[measured(experiment)]
        key += [tuple(mesh.points.tolist()), tuple(times.tolist())]
        key += [(k, v if isinstance(v, str) else "") for k, v in experiment.parameters.items()]
        given = {k: as_initial(v).function for k, v in experiment.initial.items()}
        key += [(k, function) for k, function in given.items() if function is not None]
        key.append(experiment.sigma is None)
        if problem.loss.likelihood:  # it looks at every output by itself
            missing = np.isnan(experiment.values)
            sides = np.zeros_like(missing) if experiment.censored is None else experiment.censored
            key += [
                (bool(m.any()), *np.unique(s).tolist())
                for m, s in zip(missing.T, np.asarray(sides).T, strict=True)
            ]
    if problem.decides:  # windows, controls and costs may be anything
        key.append(batch.name)
    return tuple(key)


@lru_cache(maxsize=1)  # for the batch at hand: its structure is asked for, then its NLP
def from_zero(batch: Batch) -> tuple[Problem, tuple[Mesh, ...]]:
    """Count time from the start of every experiment, where the model does not ask what time it is.

    Windows of equal length and sampling then have equal numbers, to the last bit.
    """
    problem = batch.problem
    if problem.decides or problem.inputs or problem.lags or depends_on_time(problem):
        return problem, batch.meshes
    experiments, meshes = [], []
    for experiment, mesh in zip(problem.experiments, batch.meshes, strict=True):
        first, digits = mesh.start, 12 - int(np.floor(np.log10(mesh.end - mesh.start)))
        points, times = (np.round(row - first, digits) for row in (mesh.points, experiment.times))
        meshes.append(Mesh(points))
        experiments.append(replace(experiment, times=times, start=points[0], end=points[-1]))
    return replace(problem, experiments=tuple(experiments)), tuple(meshes)
