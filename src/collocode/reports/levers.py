r"""Which lever helps a fit that should not be believed: computed, where a finding asks for it.

The mesh, if `estimate_error` says that the discretization makes the difference.  The regularisation, if
the residuals do: smaller than the noise (the network follows it), or larger while the penalty has a
share in the objective.  Bounds and constraints, if one Newton step without them gains a share of what is
missing.  Another start otherwise: the noise that smoothing finds is what a misfit could come down to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..adapt.estimate import Estimate, estimate_error
from ..errors import InputError
from ..model.losses import Evidence
from ..numerics.schemes import GLOBAL_SCHEMES
from ..results.agreement import Agreement
from ..results.diagnosis import MANY_ITERATIONS, Advice, Diagnosis
from ..results.doubts import GAP, Doubt
from ..results.released import Released, release_rest, release_states
from ..results.resolved import resolved
from ..results.simulate import simulate
from ..results.solution import Solution
from ..results.status import SolutionStatus
from ..starts.shooting import can_shoot
from ..starts.strategies import STRATEGIES
from ..transcription.windows import nodes_of
from .parts import Lever
from .record import Asked

_SHARE = 0.1  # of the misfit, that the discretization or a bound has to explain
_FAR = 3.0  # times the noise: residuals of a fit that is none, whatever its gap
_MOST = 0.3  # of what is missing, that a finer mesh has to gain
_PENALTY = 0.02  # of the misfit, from which on a penalty matters
_DEAD = 0.05  # root mean square of weights that the penalty has pressed to nothing
_SOME_ITERATIONS = 100  # of a good fit
_UNLIKE = ("shooting", "horizon")  # starts that find other optima than the rest
_FOLLOWS = 0.5  # of the noise, that residuals are of a network that follows it


class Remedy(NamedTuple):
    """What to do, as `spoken` takes it, and what it acts on."""

    lever: Lever
    text: str


def for_gap(solution: Solution, agreed: list[Agreement], asked: Asked) -> Remedy:
    """Return the remedy of a model that leaves its own collocated trajectory."""
    if _follows_noise(solution, agreed):
        return regularise(solution, agreed, asked, stronger=True)
    coarse = solution.meshing is None and any(a.gap > 0.5 * a.collocated for a in agreed)
    if max(a.excess(a.collocated) for a in agreed) > _FAR and not coarse:
        return for_misfit(solution, agreed, asked)
    if coarse or not _learns(solution) or _misfit_moves(solution):
        return finer(solution, asked)
    return regularise(solution, agreed, asked, stronger=True)


def for_misfit(solution: Solution, agreed: list[Agreement], asked: Asked) -> Remedy:
    """Return the remedy of a model that misses the data by more than the noise."""
    nlp = solution.nlp
    if nlp is None:
        return another_start(solution, asked)
    missing = _missing(solution, agreed)
    released = [*release_rest(solution).values(), release_states(solution)]
    large = [r for r in released if r is not None and r.gain > _SHARE * missing]
    if large:
        best = max(large, key=lambda r: r.gain)
        return Remedy(Lever.BOUNDS, f"relax {_named(best)}, which the data contradict")
    if _mesh_misses(solution, missing):
        return finer(solution, asked)
    if _learns(solution) and _strength(solution) > 0.0 and not by_evidence(solution):
        theta = solution.model.theta
        penalty = _strength(solution) * float(theta @ theta)
        if penalty > _PENALTY * missing or np.sqrt(np.mean(theta**2)) < _DEAD:
            return regularise(solution, agreed, asked, stronger=False)
    return another_start(solution, asked)


def for_bound(solution: Solution, doubt: Doubt, asked: Asked) -> Remedy:
    """Return the remedy of bounds on states: the mesh, if the model itself would keep within them."""
    released = doubt.released
    assert released is not None
    if _keeps_within(solution, released):
        lever, text = finer(solution, asked)
        return Remedy(lever, f"{text}: only its interpolants leave the bounds")
    return Remedy(
        Lever.BOUNDS, f"widen the bounds of {', '.join(released.names)}, unless they are physical"
    )


def for_unsolved(
    solution: Solution, diagnosis: Diagnosis | None, agreed: list[Agreement], asked: Asked
) -> Remedy:
    """Return the remedy of a fit that was not solved: a diagnosis's, or what its good iterate tells."""
    result = solution.result
    if diagnosis is None:
        return Remedy(Lever.SOLVER, "")
    slow = _learns(solution) and any(a.below for a in agreed)
    late = result.iterations >= (_SOME_ITERATIONS if slow else MANY_ITERATIONS)
    late = late and result.status is SolutionStatus.FEASIBLE
    if late and max((a.gap_share for a in agreed), default=0.0) > GAP:
        return for_gap(solution, agreed, asked)
    return advised(diagnosis, asked.start, result.iterations)


def advised(diagnosis: Diagnosis, start: str, iterations: int) -> Remedy:
    """Return a diagnosis's advice."""
    remedies = {
        Advice.KEEP_DEFINED: (
            Lever.BOUNDS,
            "keep the states by bounds= in the model where its functions are defined",
        ),
        Advice.MORE_ITERATIONS: (
            Lever.SOLVER,
            f"raise it by <options.max_iter={max(2000, 4 * iterations)}>",
        ),
        Advice.SIZES: (
            Lever.START,
            f"guess times and states better, whose sizes do not fit together ({diagnosis.sizes}), give "
            "scaling= in the model, or choose other units",
        ),
        Advice.RELAX: (
            Lever.BOUNDS,
            f"relax the constraint {diagnosis.contradicted!r}, which the data contradict",
        ),
        Advice.CHECK_BOUNDS: (
            Lever.BOUNDS,
            "check the model's bounds and fixed initial states",
        ),
        Advice.GIVE_SIGMA: (
            Lever.DATA,
            "give the noise, <sigma> of the experiment or of the likelihood, or fit by least squares",
        ),
        Advice.OTHER_GUESS: (
            Lever.START,
            "check bounds, constraints and what is fixed at both ends; then give the states a guess= in the model nearer "
            "to what the equations do, or the window another end",
        ),
        Advice.LOOSEN: (Lever.SOLVER, "loosen it by <options.tol=1e-6> if that is enough"),
        Advice.GO_ON: (Lever.SOLVER, "run it again to the end; this is the best iterate so far"),
        Advice.MORE_TIME: (
            Lever.SOLVER,
            "give it more time by <time_limit>, or <options.max_wall_time>",
        ),
    }
    if diagnosis.advice in remedies:
        return Remedy(*remedies[diagnosis.advice])
    return Remedy(Lever.START, f"try <start={next_start(start)}>")


def finer(solution: Solution, asked: Asked) -> Remedy:
    """Return how the mesh becomes fine enough: by itself, or with a larger budget if that ended."""
    if solution.scheme.name in GLOBAL_SCHEMES:
        return Remedy(Lever.MESH, f"raise <degree={2 * solution.scheme.degree}>")
    if solution.meshing is None:
        return Remedy(Lever.MESH, "let the fit refine the mesh by <mesh|elements=auto>")
    elements = sum(part.mesh.elements for part in solution.trajectories)
    if asked.shell:
        return Remedy(Lever.MESH, f"refine the mesh further by <mesh|elements={4 * elements}>")
    budget = f"elements={8 * elements}, cycles={2 * solution.meshing.meshes + 10}"
    return Remedy(Lever.MESH, f"give the mesh a larger budget: mesh=cc.AutoMesh({budget})")


def regularise(solution: Solution, agreed: list[Agreement], asked: Asked, stronger: bool) -> Remedy:
    """Leave λ to the evidence; where it chose already, or λ is a model's setting, give another one.

    That is ten times as strong or weak, or as far as v / M if it is farther, v the noise's variance in
    units of the loss's: the strength at which weights are of size one.
    """
    nlp, strength, guess = solution.nlp, _strength(solution), np.nan
    word, setting = "stronger" if stronger else "weaker", "regularisation" in _settings(asked)
    if not setting and nlp is not None and not isinstance(nlp.problem.regularisation, Evidence):
        return Remedy(Lever.REGULARISATION, f"regularise {word}: regularisation=cc.Evidence()")
    known = [a for a in agreed if np.isfinite(a.expected)]
    if nlp is not None and known:
        shares = [(a.expected / nlp.problem.sigma[a.output]) ** 2 for a in known]
        guess = float(np.mean(shares)) / nlp.problem.n_measurements
    if stronger:
        new = float(np.fmax(guess, 10.0 * strength if strength > 0.0 else 1e-6))
    else:
        new = float(np.fmin(guess, 0.1 * strength))
    new = float(f"{new:.1g}")
    how = f"<set.regularisation={new:g}>" if setting else f"regularisation=cc.L2({new:g})"
    return Remedy(Lever.REGULARISATION, f"regularise {word}: {how}")


def _settings(asked: Asked) -> Mapping[str, Any]:
    """Settings of a model file."""
    found: Mapping[str, Any] = asked.model.get("settings", {})
    return found


def another_start(solution: Solution, asked: Asked) -> Remedy:
    """Return the start to try next, those aside that were tried; of a network also another seed."""
    record, start = solution.start_record, next_start(asked.start)
    if record is not None:
        tried = {record.name, *record.passed}
        untried = [name for name in _UNLIKE if name not in tried]
        if "shooting" in untried and (solution.nlp is None or not can_shoot(solution.nlp)):
            untried.remove("shooting")
        start = next((name for name in untried), "smoothing")
        start = "auto" if len({*record.merits, *record.passed}) < 2 else start
    seed = " or <seed=1>" if _learns(solution) else ""
    text = f"try <start={start}>{seed}; where all end here, the model lacks something"
    return Remedy(Lever.START, text)


def next_start(start: str) -> str:
    """Return the start strategy to try after ``start``: growing horizons, then those in turn.

    Examples
    --------
    >>> next_start("gradient_matching"), next_start("smoothing"), next_start("horizon")
    ('horizon', 'horizon', 'smoothing')
    """
    if start != "horizon":
        return "horizon"
    return STRATEGIES[STRATEGIES.index(start) + 1]


def _learns(solution: Solution) -> bool:
    return len(solution.model.theta) > 0


def by_evidence(solution: Solution) -> bool:
    """Whether the evidence has chosen λ."""
    return solution.penalty is not None and solution.penalty.chosen


def _follows_noise(solution: Solution, agreed: list[Agreement]) -> bool:
    if not _learns(solution) or by_evidence(solution):
        return False
    return any(a.below and a.collocated < _FOLLOWS * a.least for a in agreed)


def _misfit(solution: Solution) -> float:
    """The objective without the penalty on the weights and the costs."""
    theta = solution.model.theta
    more = _strength(solution) * float(theta @ theta) + sum(solution.costs.values())
    return max(solution.result.objective - more, 1e-300)


def _strength(solution: Solution) -> float:
    """λ of the solve; 0 of a solution from a file."""
    return 0.0 if solution.nlp is None else float(solution.nlp.parameters["regularisation"][0])


def _missing(solution: Solution, agreed: list[Agreement]) -> float:
    """By how much the misfit is above what the noise explains."""
    known = [a for a in agreed if np.isfinite(a.expected)]
    noise = sum(a.samples * a.expected**2 / max(a.collocated, 1e-300) ** 2 for a in known)
    share = noise / max(1, sum(a.samples for a in known))
    return _misfit(solution) * max(_SHARE, 1.0 - share)


def _misfit_moves(solution: Solution) -> bool:
    """Whether the simulated model's misfit differs by a share, by the estimate of its error."""
    found = _estimate(solution, "simulated")
    if found is None or found.unconverged or not np.isfinite(found.magnitude):
        return True
    return found.magnitude > _SHARE * _misfit(solution)


def _mesh_misses(solution: Solution, missing: float) -> bool:
    """Whether the objective would fall by a share of what is missing, were the mesh fine."""
    found = _estimate(solution, "objective")
    if found is None or not np.isfinite(found.error):
        return False
    return bool(found.unconverged or -found.error > _MOST * missing)


def _estimate(solution: Solution, goal: str) -> Estimate | None:
    """The estimate; None where the data do not determine it."""
    try:
        with np.errstate(all="ignore"):
            return estimate_error(solution, goal)
    except InputError:
        return None


def _keeps_within(solution: Solution, released: Released) -> bool:
    """Whether the model that the bounds do not hold keeps within them when it is simulated."""
    nlp = solution.nlp
    assert nlp is not None
    x = solution.result.x + released.shift
    for number, part in enumerate(nlp.layout.experiments):
        columns = nlp.layout.parameter_columns(number, nlp.problem.coefficient_names)
        model = replace(solution.model, parameters=x[columns], theta=x[nlp.layout.weights])
        given, mesh = resolved(nlp, x, number)
        run = simulate(model, x[part.states[0]], nodes_of(mesh, nlp.scheme), given.inputs)
        slack = 1e-3 * nlp.problem.state_scale
        if not run.complete:
            return False
        low = (run.states < nlp.lower[part.states] - slack).any()
        if low or (run.states > nlp.upper[part.states] + slack).any():
            return False
    return True


def _named(released: Released) -> str:
    return f"the constraint or bound {released.names[0]!r}"
