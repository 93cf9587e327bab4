r"""When to believe an estimate, and when to give up.

An estimate is a linearisation; on a coarse mesh it can be small by luck.  The tolerance counts as
reached only if

* the solver has converged, and every element could be solved again;
* the indicators do not just cancel: :math:`\sum|\eta_e|` is at most five tolerances;
* the value corrected by the estimate is that of the mesh before, to the tolerance;
* a misfit's second order agrees;
* for any other goal, the fit itself stands: the objective's own indicators are a small part of it.
  While they are not, elements are marked for the objective too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..results.solution import Solution
from ..results.status import Termination
from .estimate import ErrorEstimate, estimate_error
from .goals import AnyGoal, Objective, ParameterValue, SimulatedMisfit
from .refinement import Cycle, RefinementStatus

_CANCELLING = 5.0  # tolerances that Σ|η| may be
_GAIN, _GROWTH = 0.8, 4  # Σ|η| has to fall by this before the elements have grown by that
# share of the objective, or of a misfit of one spread a measurement, that a fit may still change by
_STANDS, _STANDS_ANYWAY = 0.1, 1e-3


@dataclass(frozen=True)
class Judgement:
    """An estimate, why to stop (None: go on), and the objective's estimate while the fit is rough."""

    estimate: ErrorEstimate
    status: RefinementStatus | None
    rough: ErrorEstimate | None = None


def judge(solution: Solution, goal: AnyGoal, tol: float, cycles: Sequence[Cycle]) -> Judgement:
    """Estimate a goal on a mesh, and decide.

    Parameters
    ----------
    solution, goal, tol : what was found, and what was asked for.
    cycles : the meshes before.
    """
    e = estimate_error(solution, goal)
    if isinstance(goal, Objective) and abs(e.error) <= tol:
        e = _with_second_order(solution, e)
    if solution.result.termination is Termination.INTERRUPTED:
        return Judgement(e, RefinementStatus.INTERRUPTED)
    if not np.isfinite(e.magnitude):
        return Judgement(e, RefinementStatus.UNSOLVED)
    rough = None if isinstance(goal, Objective | SimulatedMisfit) else _rough_fit(solution)
    small = abs(e.error) <= tol and e.magnitude <= _CANCELLING * tol
    at_bound = isinstance(goal, ParameterValue) and e.magnitude == 0.0
    sound = solution.success and not e.unsettled and rough is None and not at_bound
    if small and sound and _agrees(e, tol, cycles):
        return Judgement(e, RefinementStatus.REACHED)
    return Judgement(e, RefinementStatus.STAGNATION if _stagnates(cycles, e) else None, rough)


def _with_second_order(solution: Solution, first: ErrorEstimate) -> ErrorEstimate:
    """The estimate with its second order, which a small first order does not tell."""
    try:
        return estimate_error(solution, first.goal, second_order=True)
    except InputError:  # the parameters are not determined: the first order is all there is
        return first


def _rough_fit(solution: Solution) -> ErrorEstimate | None:
    """The objective's estimate, if it is no small part of the objective; else None."""
    e = estimate_error(solution)
    rough = e.magnitude > max(_STANDS * abs(e.value), _STANDS_ANYWAY)
    return e if rough and np.isfinite(e.magnitude) else None


def _agrees(e: ErrorEstimate, tol: float, cycles: Sequence[Cycle]) -> bool:
    """Whether the corrected value is that of the mesh before: what no single estimate sees."""
    if not cycles:
        return e.magnitude <= tol
    before = cycles[-1]
    return before.solved and abs(e.corrected - before.estimate.corrected) <= tol


def _stagnates(cycles: Sequence[Cycle], e: ErrorEstimate) -> bool:
    """Whether Σ|η| has stayed where it was while the elements became many more."""
    known = [c for c in cycles if c.solved and not c.estimate.unsettled]
    if not known:
        return False
    best = min(known, key=lambda c: c.estimate.magnitude)
    later = [c.estimate.magnitude for c in cycles if c.elements > best.elements]
    grown = len(e.state) >= _GROWTH * best.elements
    return grown and min([*later, e.magnitude]) > _GAIN * best.estimate.magnitude
