"""A fit by Fisher scoring: mesh, start and climb, until the mesh no longer matters for -log L."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..adapt.first_mesh import meshes_along
from ..errors import check_has
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.schemes import GLOBAL_SCHEMES
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.protocol import OnIteration
from ..starts.consistent import calibrate
from ..starts.strategies import simulated
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP, StartRecord
from .scoring import Scoring, meshes_for, solution_of

_ROUNDS = 4  # of meshes
_NEAR = 2e-3  # of -log L: by less the mesh does not matter
GiveUp = Callable[[Sequence[float]], bool]


def begun(nlp: NLP, values: Mapping[str, float] | None = None) -> Array:
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
    give_up : see `Scoring.run`.
    nlp : the program on `meshes_for` the problem, where it was built before.

    Returns
    -------
    None where scoring could not begin: the start cannot be simulated, or followed on a mesh, or the
    scheme has one element for all.
    """
    if scheme.name in GLOBAL_SCHEMES:
        return None
    began = time.perf_counter()
    if nlp is None:
        nlp = discretize(problem, scheme, mesh=meshes_for(problem))
    x = begun(nlp, values)
    found = Scoring(nlp).run(x, on_iteration=on_iteration, give_up=give_up)
    if found.termination is Termination.EVALUATION_ERROR:
        nlp, x = _remeshed(nlp, x)
        found = Scoring(nlp).run(x, on_iteration=on_iteration, give_up=give_up)
    if found.termination is Termination.EVALUATION_ERROR:
        return None
    rounds = (
        0 if found.termination in (Termination.INTERRUPTED, Termination.EARLY_STOPPED) else _ROUNDS
    )
    for _ in range(rounds):
        if abs(_by_simulation(nlp, found.x) - found.value) <= _NEAR:
            break
        finer, start = _remeshed(nlp, found.x)
        again = Scoring(finer).run(start, on_iteration=on_iteration)
        if again.termination is Termination.EVALUATION_ERROR:
            break
        nlp, found = finer, replace(again, history=(*found.history, *again.history))
    solution = solution_of(nlp, found, time.perf_counter() - began)
    return replace(solution, start_record=StartRecord(name="simulate"))


def _by_simulation(nlp: NLP, x: Array) -> float:
    """-log L, with the priors, of the simulated model; samples are at nodes."""
    return 0.5 * nlp.problem.n_measurements * nlp.objective(simulated(nlp, x))


def _remeshed(nlp: NLP, x: Array) -> tuple[NLP, Array]:
    """The program on meshes that follow the simulation, or on halves of its own, and the point there."""
    meshes: Sequence[Mesh] = meshes_along(nlp, x)
    same = [
        part.mesh.elements == mesh.elements
        for part, mesh in zip(nlp.layout.experiments, meshes, strict=True)
    ]
    if all(same):
        meshes = [mesh.bisect(range(mesh.elements)) for mesh in meshes]
    finer = discretize(nlp.problem, nlp.scheme, mesh=tuple(meshes))
    y = finer.start.copy()
    for old, new in zip(nlp.layout.experiments, finer.layout.experiments, strict=True):
        y[new.parameters] = x[old.parameters]
        y[new.states[0]] = x[old.states[0]]
    y[finer.layout.shared] = x[nlp.layout.shared]
    return finer, simulated(finer, y)
