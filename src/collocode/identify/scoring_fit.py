"""A fit by Fisher scoring: mesh, start and climb, until the mesh no longer matters for -log L."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..adapt.duals import state_weights
from ..adapt.first_mesh import meshes_along, meshes_at_samples
from ..checks import check_has
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.schemes import GLOBAL_SCHEMES
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import interrupted
from ..solvers.outcome import result as judged
from ..solvers.protocol import OnIteration
from ..starts.consistent import calibrate
from ..starts.strategies import carried_over, simulated
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP, StartRecord
from ..transcription.samples import measured
from .fallbacks import best_of_optima
from .fisher_scoring import FisherScoring, ScoringResult
from .shooting import Shooting, can_be_shot

GiveUp = Callable[[Sequence[float]], bool]
_MOST = 400  # iterations
_AFTER = 60  # of them on meshes, after as many by shooting
_PATIENCE, _CRAWL = 40, 0.02  # of them, and of -log L that so many gain when shooting ends
_STRIDE = 20  # of them between two looks at the simulation
_ROUNDS = 6  # of meshes
_TRUE = 1e-8  # relative tolerance of the simulations that meshes are held against
_LARGEST = 3000  # elements of a mesh that is not made finer
_NEAR = 2e-3  # of -log L at the end: by less the mesh does not matter
_LOOSE = 0.1, 1e-3  # on the way, absolute and relative
_ALONG = 1e-3  # of the states' sizes, what a first mesh may be off a simulation by
_FEWEST = 200  # elements that a mesh along a simulation may always have
_STOPPED = Termination.INTERRUPTED, Termination.EARLY_STOPPED
_STATUSES = {
    Termination.CONVERGED: "Solve_Succeeded",
    Termination.ITERATION_LIMIT: "Maximum_Iterations_Exceeded",
    Termination.EARLY_STOPPED: "Maximum_Iterations_Exceeded",
    Termination.STALLED: "Search_Direction_Becomes_Too_Small",
    Termination.INTERRUPTED: "User_Requested_Stop",
    Termination.EVALUATION_ERROR: "Invalid_Number_Detected",
}


def simulated_start(nlp: NLP, values: Mapping[str, float] | None = None) -> Array:
    """Return the program's start with parameters of these values, in natural units, simulated."""
    x = nlp.start.copy()
    known = {q.name: q for q in nlp.problem.all_parameters}
    for name, value in (values or {}).items():
        check_has("the problem", "parameter", name, known)
        x[nlp.layout.columns_of(name)] = known[name].decided(value)
    x = simulated(nlp, x)
    if not values:
        calibrate(nlp, x)
    return x


def fit_by_scoring(
    problem: Problem,
    scheme: Scheme,
    values: Mapping[str, float] | None = None,
    on_iteration: OnIteration | None = None,
    give_up: GiveUp | None = None,
    nlp: NLP | None = None,
) -> Solution | None:
    """Fit a problem that is `scorable`, from the parameters' starts or other ``values``.

    Parameters
    ----------
    give_up : see `FisherScoring.run`.
    nlp : the program on `meshes_at_samples` the problem, where it was built before.

    Returns
    -------
    None where scoring could not begin: the start cannot be simulated, or followed on a mesh, or the
    scheme has one element for all.
    """
    if scheme.name in GLOBAL_SCHEMES:
        return None
    began = time.perf_counter()
    if nlp is None:
        nlp = discretize(problem, scheme, mesh=meshes_at_samples(problem))
    shooting = Shooting(problem) if can_be_shot(problem) else None
    found = climbed(nlp, [values or {}], on_iteration, give_up, shooting=shooting)
    if found is None:
        return None
    return solution_of(*found, time.perf_counter() - began)


def among_optima(scored: Solution, on_iteration: OnIteration | None = None) -> Solution:
    """The best of a fit and other optima, see `best_of_optima`; each is climbed to from where the search found it."""
    assert scored.nlp is not None

    def again(begun: NLP, began: float) -> Solution | None:
        found = climbed(begun, [], on_iteration, begin=begun.start)
        if found is None:
            return None
        solution = solution_of(*found, time.perf_counter() - began)
        return replace(solution, start_record=begun.start_record)

    return best_of_optima(scored.nlp, scored, again)


def climbed(
    nlp: NLP,
    candidates: Sequence[Mapping[str, float]],
    on_iteration: OnIteration | None = None,
    give_up: GiveUp | None = None,
    shares: Sequence[float] = (),
    shooting: Shooting | None = None,
    begin: Array | None = None,
) -> tuple[NLP, ScoringResult] | None:
    """Climb from the best of some starts on meshes that are fit for where the climb is.

    Parameters
    ----------
    candidates : values of parameters; without ``shooting``, which compares them, the first counts.
    on_iteration, give_up : see `FisherScoring.run`.
    shares : of every experiment's duration, whose data are climbed first.
    shooting : climbs first, by simulations; what it finds is climbed on on meshes.
    begin : (columns,) where to climb from, in place of all these.

    Returns
    -------
    See `fit_by_scoring`.
    """
    shot = None if shooting is None else _shot(shooting, candidates, on_iteration, give_up, shares)
    if begin is not None:
        at = _Climb(nlp, simulated(nlp, begin, rtol=_TRUE))
    elif shot is None:
        at = _Climb(nlp, simulated_start(nlp, candidates[0]))
        for share in shares:
            at.x = _in_window(FisherScoring(nlp), at.x, share)
    else:
        assert shooting is not None
        at = _Climb(nlp, simulated(nlp, carried_over(shooting.nlp, shot.x, nlp), rtol=_TRUE))
    if not at.begin():
        return None if shot is None else (at.nlp, replace(shot, x=at.x))
    assert at.here is not None
    history = list(at.here.history if shot is None else shot.history)
    if shot is not None and shot.termination in _STOPPED:
        return at.ended(shooting, shot)
    most = len(history) + (_MOST if shot is None else _AFTER)
    while len(history) < most:
        before = tuple(history)
        seen = None if give_up is None else lambda new, old=before: give_up((*old, *new[1:]))
        found = at.go_on(min(_STRIDE, 1 + most - len(history)), on_iteration, seen)
        history += found.history[1:]
        if found.termination in _STOPPED:
            break
        ended = found.termination is not Termination.ITERATION_LIMIT
        follows = at.follows(_NEAR if ended else _loose(found.value))
        if (ended and follows) or (not follows and not at.remesh()):
            break
    nlp, best = at.ended(shooting, shot)
    return nlp, replace(best, history=tuple(history))


def _shot(
    shooting: Shooting,
    candidates: Sequence[Mapping[str, float]],
    on_iteration: OnIteration | None,
    give_up: GiveUp | None,
    shares: Sequence[float],
) -> ScoringResult | None:
    """What shooting finds from the best of some starts; None if none can be simulated."""
    x = shooting.started(candidates)
    if x is None:
        return None
    for share in shares:
        x = _in_window(shooting, x, share)

    def hopeless(values: Sequence[float]) -> bool:
        return give_up is not None and give_up(values)

    found = shooting.run(x, _MOST, on_iteration, lambda v: hopeless(v) or _crawls(v))
    if found.termination is Termination.EARLY_STOPPED and not hopeless(found.history):
        found = replace(found, termination=Termination.ITERATION_LIMIT)
    return None if found.termination is Termination.EVALUATION_ERROR else found


def _crawls(values: Sequence[float]) -> bool:
    """Whether a climb gains so little that the collocated model may take it over."""
    return len(values) > _PATIENCE and values[-_PATIENCE] - values[-1] < _CRAWL


def _in_window(scoring: FisherScoring, x: Array, share: float) -> Array:
    """The point after a few steps towards the data of the first part of every experiment."""
    nlp, early = scoring.nlp, []
    for e in nlp.problem.experiments:
        assert e.start is not None and e.end is not None
        early.append(e.times[measured(e)] <= e.start + share * (e.end - e.start))
    weights = nlp.parameters["weights"] * np.concatenate(early)[:, None]
    if not weights.any():
        return x
    scoring.nlp = nlp.with_parameters(weights=weights)
    try:
        found = scoring.run(scoring.outer(x, _STRIDE).x, _STRIDE)
    finally:
        scoring.nlp = nlp
    return x if found.termination is Termination.EVALUATION_ERROR else found.x


def _loose(value: float) -> float:
    return _LOOSE[0] + _LOOSE[1] * abs(value)


@dataclass
class _Climb:
    """Where a climb is, on which mesh, and the last point whose -log L was that of its simulation.

    ``near`` is how well the next mesh is to follow a simulation.
    """

    nlp: NLP
    x: Array
    here: ScoringResult | None = None
    safe: tuple[NLP, ScoringResult, float] | None = None
    near: float = _ALONG
    simulated: float = np.inf
    remeshed: int = 0

    @property
    def faithful(self) -> tuple[NLP, ScoringResult]:
        """Where the climb is, unless a climb on a mesh that lies has brought it there."""
        assert self.here is not None
        if self.safe is None or self.simulated <= self.safe[2]:
            return self.nlp, self.here
        return self.safe[:2]

    def ended(
        self, shooting: Shooting | None, shot: ScoringResult | None
    ) -> tuple[NLP, ScoringResult]:
        """Where the climb ends, or what was shot, where no mesh followed that."""
        nlp, best = self.faithful
        value = self.simulated if self.safe is None else min(self.simulated, self.safe[2])
        if shooting is not None and shot is not None and value > shot.value + _loose(shot.value):
            x = simulated(nlp, carried_over(shooting.nlp, shot.x, nlp), rtol=_TRUE)
            return nlp, replace(shot, x=x)
        if shot is not None and shot.termination in _STOPPED:
            return nlp, replace(best, termination=shot.termination, history=shot.history)
        return nlp, best

    def begin(self) -> bool:
        """Put the states onto the model, and climb in what they do not depend on; whether that works."""
        for _ in range(_ROUNDS):
            found = FisherScoring(self.nlp).outer(self.x)
            if found.termination is not Termination.EVALUATION_ERROR:
                self.here, self.x = found, found.x
                if self.follows(_loose(found.value)):
                    break
            if interrupted() or not self._finer():
                break
        return self.here is not None

    def go_on(
        self, most: int, on_iteration: OnIteration | None, give_up: GiveUp | None
    ) -> ScoringResult:
        """Climb some steps more."""
        assert self.here is not None
        scoring = FisherScoring(self.nlp)
        found = scoring.run(self.x, most, on_iteration, give_up, self.here.damping)
        if found.termination is not Termination.EVALUATION_ERROR:
            self.here, self.x = found, found.x
        return found

    def follows(self, near: float) -> bool:
        """Whether -log L on the mesh is that of a simulation; samples are at nodes."""
        assert self.here is not None
        nlp, x = self.nlp, simulated(self.nlp, self.x, rtol=_TRUE)
        value = 0.5 * nlp.problem.n_measurements * nlp.objective(x)
        self.simulated = value if np.isfinite(value) else np.inf
        good = abs(self.simulated - self.here.value) <= near
        if good:
            self.safe = nlp, self.here, self.simulated
        return bool(good)

    def remesh(self) -> bool:
        """Take a finer mesh, at the last point that was better by simulation; whether there is one."""
        if self.safe is not None and self.safe[2] < self.simulated:
            self.nlp, self.here, self.simulated = self.safe
            self.x = self.here.x
        assert self.here is not None
        old, damping = (self.nlp, self.here), self.here.damping
        self.remeshed += 1
        while self.remeshed <= _ROUNDS and self._finer():
            found = FisherScoring(self.nlp).run(self.x, 0)
            if found.termination is not Termination.EVALUATION_ERROR:
                self.here, self.x = replace(found, damping=damping), found.x
                return True
        self.nlp, self.here = old
        return False

    def _finer(self) -> bool:
        """Take a mesh that follows the simulation better; False where that is too large."""
        if sum(part.mesh.elements for part in self.nlp.layout.experiments) > _LARGEST:
            return False
        self.nlp, self.x = _remeshed(self.nlp, self.x, self.near)
        self.near *= 0.1
        return True


def _remeshed(nlp: NLP, x: Array, near: float) -> tuple[NLP, Array]:
    """The program on meshes that follow the simulation, or on halves of its own, and the point there."""
    most = max(_FEWEST, *(4 * part.mesh.elements for part in nlp.layout.experiments))
    meshes: Sequence[Mesh] = meshes_along(nlp, x, near, most)
    same = [
        part.mesh.elements == mesh.elements
        for part, mesh in zip(nlp.layout.experiments, meshes, strict=True)
    ]
    if all(same):
        meshes = [mesh.bisect(range(mesh.elements)) for mesh in meshes]
    finer = discretize(nlp.problem, nlp.scheme, mesh=tuple(meshes))
    return finer, simulated(finer, carried_over(nlp, x, finer), rtol=_TRUE)


def solution_of(nlp: NLP, scored: ScoringResult, seconds: float = 0.0) -> Solution:
    r"""Return what scoring found as a `Solution`: its multipliers are those of the states' equations.

    With :math:`c_X^T\lambda=-\nabla_Xf` the gradient by the states vanishes; what is left by the others
    is the pull of their bounds.
    """
    x, rows = scored.x, np.zeros(nlp.rows)
    pulls = np.zeros(nlp.columns)
    if np.isfinite(scored.value):
        gradient = nlp.gradient(x)
        rows = state_weights(nlp, x, gradient)
        jacobian = nlp.functions.jacobian(x, nlp.p)[1].sparse()
        pulls = -(gradient + jacobian.T @ rows)
        held = np.isclose(x, nlp.lower, rtol=0.0, atol=1e-12) | np.isclose(
            x, nlp.upper, rtol=0.0, atol=1e-12
        )
        pulls[~held] = 0.0
    found = judged(
        nlp,
        (x / nlp.column_scale, rows / nlp.row_scale, pulls * nlp.column_scale),
        None,
        _STATUSES[scored.termination],
        {},
        history={"objective": np.array(scored.history) / (0.5 * nlp.problem.n_measurements)},
        timings={"solve": seconds},
        interface="scoring",
        solver="Fisher scoring",
        linear_solver="SuperLU",
    )
    return replace(Solution.of(nlp, found), start_record=StartRecord(name="simulate"))
