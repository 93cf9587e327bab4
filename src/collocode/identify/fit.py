"""`fit`: discretize, start, solve."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..adapt.automesh import AutoMesh, How, refine_mesh
from ..adapt.first_mesh import first_meshes
from ..errors import quietly
from ..kinds import check_type
from ..model.losses import Evidence
from ..model.misfit import scorable
from ..model.problem import Problem
from ..numerics.scheme import Scheme
from ..numerics.schemes import scheme as scheme_called
from ..results.doubts import warn
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.outcome import untouched
from ..solvers.protocol import OnIteration
from ..solvers.solve import make_solver
from ..solvers.threads import single_threaded
from ..starts.shooting import can_shoot
from ..starts.strategies import Start, start_from
from ..transcription.discretize import MeshLike, discretize
from ..transcription.nlp import NLP
from .evidence import choose_strength
from .fallbacks import ended_nowhere, failed, solve_with_fallbacks
from .jump_times import between_samples, jump_times
from .noise import without_noise
from .scoring_fit import among_optima, fit_by_scoring

_FINER = 2  # so many times a first mesh that was not solved is halved
_ROUNDS = 3  # of mesh and λ


@single_threaded
def fit(
    problem: Problem,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike | AutoMesh | str = "auto",
    start: Start = "auto",
    seed: int = 0,
    interface: str = "casadi",
    options: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    on_iteration: OnIteration | None = None,
    time_limit: float | None = None,
) -> Solution:
    """Solve a problem: one call from data to trained model, or from costs to controls.

    Parameters
    ----------
    problem : what to identify, or to decide.  With ``regularisation=Evidence()``, the default, the fit is solved again,
        from the last point, until the λ that its evidence asks for is the one it has;
        `Solution.penalty` tells.  ``L2(x)`` stays exact.
    scheme, degree : as for `discretize`.
    mesh : ``"auto"``, an `AutoMesh`: chosen from the data and refined until it no longer matters for what
        is reported, which is the cost where the problem decides; `Solution.meshing` tells.  A number of
        elements, a `Mesh` and None, as for `discretize`, stay exact.
    start, seed : as for `start_from`; if the fit from ``auto`` fails, it is tried again by
        single shooting (without networks), then with a growing horizon; where it decides, from a
        simulation under the guessed inputs.
    interface, options, deterministic, on_iteration : as for `solve`.
    time_limit : seconds for all of it: starts, meshes and λ; then the best point by then comes back, and
        its termination is ``TIME_LIMIT``.  None sets no limit.

    The maximum of a likelihood without networks, constraints and costs is climbed by Fisher scoring
    (`collocode.identify.fisher_scoring`) if all of these are at their defaults, and by IPOPT otherwise.

    Returns
    -------
    A `Solution`; `collocode.findings` tells what is wrong with it, if anything, and what to do.

    Raises
    ------
    InputError
        Wrong arguments; what is wrong, and what to do.

    Warns
    -----
    CollocodeWarning
        It should not be believed: not solved, simulated away from its own collocation or from the data
        by more than the noise, or moved by a bound of a state.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> data = Experiment(t, np.exp(-0.7 * t), outputs=("c",))
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> round(fit(Problem(decay, data)).parameters["k"], 6)
    0.7
    """
    check_type("fit", problem, Problem)
    first = time.perf_counter()
    how = interface, options, deterministic
    interrupt = Interrupt(time_limit)
    scored = solution = None
    if unsaid(start, mesh, interface, options) and scorable(problem):
        with quietly(), interrupt:
            chosen = scheme_of(scheme, degree)
            scored = fit_by_scoring(problem, chosen, on_iteration=on_iteration)
    if scored is None or (not interrupt.pressed and _explains_little(scored)):
        auto, nlp = discretized(problem, scheme, degree, mesh)  # Ctrl-C ends it at once
        settings = start, seed, on_iteration, auto is not None
        with quietly(), interrupt:  # what there is by then counts
            solution = _between(nlp, how, *settings[:2]) or _from_start(nlp, how, *settings)
            if auto is not None and not problem.decides and ended_nowhere(solution):
                solution = _halved(solution, lambda finer: _from_start(finer, how, *settings))
            begin = partial(start_from, strategy=start, seed=seed)
            solution = settle(solution, auto, how, begin, on_iteration)
    if scored is not None and (solution is None or _better_of(scored, solution)):
        solution = scored
        if not interrupt.pressed:
            with quietly(), interrupt:
                solution = among_optima(scored, on_iteration)
                solution = _jumped(solution, mesh, how, on_iteration)
    assert solution is not None
    solution = _finished(without_noise(solution), interrupt, first)
    warn(solution)
    return solution


def unsaid(*values: object) -> bool:
    """Whether start, mesh, interface and options are the usual ones."""
    usual = ("auto", "auto", "casadi")
    texts = all(isinstance(v, str) and v == u for v, u in zip(values, usual, strict=False))
    return texts and not values[3]


def _between(nlp: NLP, how: How, start: Start, seed: int) -> Solution | None:
    """The fit with jumps at unknown times between samples, from its start or what another start finds."""
    if not (isinstance(start, str) and start == "auto" and jump_times(nlp)):
        return None
    begun, solver = start_from(nlp, start, seed), make_solver(nlp, *how)
    found = between_samples(Solution.of(begun, untouched(begun)), solver)
    if found.success and not failed(found):
        return found
    return between_samples(solve_with_fallbacks(solver, nlp, start, seed), solver)


def _jumped(
    solution: Solution, mesh: MeshLike | AutoMesh | str, how: How, on_iteration: OnIteration | None
) -> Solution:
    """A fit by scoring with jumps at unknown times between other samples, on a mesh for it."""
    nlp = solution.nlp
    if nlp is None or not jump_times(nlp):
        return solution
    found = between_samples(solution, make_solver(nlp, *how))
    if found is solution:
        return solution
    return settle(found, AutoMesh.or_given(mesh)[0], how, lambda nlp: nlp, on_iteration)


def _better_of(scored: Solution, solution: Solution) -> bool:
    limited = scored.result.termination is Termination.ITERATION_LIMIT and not solution.success
    return (scored.success or limited) and scored.result.objective < solution.result.objective


def _explains_little(solution: Solution) -> bool:
    """Whether a fit by scoring is worth another start, where that is cheap."""
    nlp = solution.nlp
    limited = (
        solution.result.termination is Termination.ITERATION_LIMIT
    )  # of its own: none was given
    return nlp is not None and can_shoot(nlp) and (limited or failed(solution))


def scheme_of(scheme: Scheme | str, degree: int | None) -> Scheme:
    """Return a scheme that is given by its name, or as it is."""
    return scheme if isinstance(scheme, Scheme) else scheme_called(scheme, degree)


def _finished(solution: Solution, interrupt: Interrupt, first: float) -> Solution:
    """The solution with its time, and whether that was over."""
    if interrupt.late:
        solution = out_of_time(solution)
    seconds = time.perf_counter() - first
    return replace(solution, result=solution.result.with_timings(total=seconds))


def discretized(
    problem: Problem,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike | AutoMesh | str = "auto",
) -> tuple[AutoMesh | None, NLP]:
    """Return the NLP that a fit begins with, and how its mesh is to be refined.

    Windows without data tell of no mesh: a problem that decides begins with the usual one.  Algebraic
    equations of an index above 1 have no estimate but that of costs: without costs they keep the mesh they
    begin with.
    """
    auto, given = AutoMesh.or_given(mesh)
    chosen = scheme_of(scheme, degree)
    meshes = given if auto is None or problem.decides else first_meshes(problem, chosen)
    auto = auto if problem.index == 1 or problem.costs else None
    return auto, discretize(problem, chosen, mesh=meshes)


def settle(
    solution: Solution,
    auto: AutoMesh | None,
    how: How,
    begin: Callable[[NLP], NLP],
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Find mesh and λ: refine, choose by the evidence, and refine again until neither moves.

    What is given stays: the mesh without an `AutoMesh`, λ without `Evidence` or without weights.
    """
    nlp = solution.nlp
    assert nlp is not None
    if auto is not None:
        solution = refine_mesh(solution, auto, how, begin, on_iteration)
    evident = isinstance(nlp.problem.regularisation, Evidence) and nlp.problem.n_measurements
    if not evident or not len(nlp.layout.weights):
        return _stopped(solution)
    for _ in range(_ROUNDS):
        solution = choose_strength(solution, how, on_iteration)
        if auto is None or not solution.success:
            break
        refined = refine_mesh(solution, auto, how, begin, on_iteration)
        settled = refined.nlp is solution.nlp
        solution = replace(refined, penalty=solution.penalty)
        if settled:
            break
    else:
        solution = choose_strength(solution, how, on_iteration, most=0)
    return _stopped(solution)


def _stopped(solution: Solution) -> Solution:
    """Tell by the solution's status that Ctrl-C ended the search for its mesh."""
    meshing, result = solution.meshing, solution.result
    if meshing is None or meshing.termination is not Termination.INTERRUPTED:
        return solution
    return replace(solution, result=replace(result, termination=Termination.INTERRUPTED))


def out_of_time(solution: Solution) -> Solution:
    """Say of what was stopped that its time was over."""
    result, meshing = solution.result, solution.meshing
    late = Termination.TIME_LIMIT
    if result.termination is Termination.INTERRUPTED:
        solution = replace(solution, result=replace(result, termination=late))
    if meshing is not None and meshing.termination is Termination.INTERRUPTED:
        solution = replace(solution, meshing=replace(meshing, termination=late, message=late.value))
    return solution


def judged(solution: Solution, auto: AutoMesh | None, how: How) -> Solution:
    """Tell of a solution whether its mesh and λ are what `settle` would choose; solve nothing."""
    if auto is not None:
        solution = refine_mesh(solution, replace(auto, cycles=1), how, lambda nlp: nlp)
    problem = None if solution.nlp is None else solution.nlp.problem
    if problem is None or not isinstance(problem.regularisation, Evidence):
        return solution
    return choose_strength(solution, how, most=0) if problem.n_measurements else solution


def _halved(solution: Solution, solved: Callable[[NLP], Solution]) -> Solution:
    """Solve on meshes twice and four times as fine; the first solution, if that helps nothing."""
    nlp = solution.nlp
    assert nlp is not None
    for pieces in 2 ** np.arange(1, 1 + _FINER):
        whole = [part.mesh for part in nlp.layout.experiments]
        finer = [mesh.divide(np.full(mesh.elements, pieces)) for mesh in whole]
        again = solved(discretize(nlp.problem, nlp.scheme, mesh=finer))
        if not ended_nowhere(again):
            return again
    return solution


def _from_start(
    nlp: NLP,
    how: How,
    start: Start,
    seed: int,
    on_iteration: OnIteration | None,
    moves: bool,
) -> Solution:
    """Solve on a mesh that is given, or that moves with what a start finds."""
    remake = (lambda other: make_solver(other, *how)) if moves else None
    return solve_with_fallbacks(make_solver(nlp, *how), nlp, start, seed, on_iteration, remake)
