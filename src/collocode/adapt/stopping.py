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
from contextlib import suppress

import numpy as np

from ..errors import InputError
from ..results.solution import Solution
from ..results.status import Outcome, Termination
from .estimate import Estimate, estimate_error, estimated
from .goals import AnyGoal, ObjectiveValue, ParameterValue, SimulatedMisfit
from .refinement import MeshCycle

UNSOLVED = Outcome(termination=Termination.ERROR, message="not solved on the last mesh")
_CANCELLING = 5.0  # tolerances that Σ|η| may be
_GAIN, _GROWTH = 0.8, 4  # Σ|η| has to fall by this before the elements have grown by that
# share of the objective, or of a misfit of one spread per measurement, that a fit may still change by
_STANDS, _STANDS_ANYWAY = 0.1, 1e-3


def estimates(solution: Solution, goal: AnyGoal, tol: float) -> tuple[Estimate, Estimate | None]:
    """Estimate a goal; and the objective, if that is another and its error no small part of it."""
    e = estimated(solution, goal)
    decides = solution.nlp is not None and solution.nlp.problem.decides
    if isinstance(goal, ObjectiveValue) and abs(e.error) <= tol and not decides:
        # a small first order does not tell the second one; where the data do not determine the
        # parameters, it is all there is
        with suppress(InputError):
            e = estimate_error(solution, goal, second_order=True)
    stopped = solution.result.termination is Termination.INTERRUPTED
    if isinstance(goal, ObjectiveValue | SimulatedMisfit) or stopped:
        return e, None
    whole = estimate_error(solution)
    rough = whole.magnitude > max(_STANDS * abs(whole.value), _STANDS_ANYWAY)
    return e, whole if rough and np.isfinite(whole.magnitude) else None


def decide(cycles: Sequence[MeshCycle], goal: AnyGoal, tol: float) -> Outcome | None:
    """Return how a refinement ends with the last of its cycles; None if it goes on."""
    *before, last = cycles
    e = last.estimate
    if last.termination is Termination.INTERRUPTED:
        return Outcome(termination=Termination.INTERRUPTED)
    if not np.isfinite(e.magnitude):
        return UNSOLVED
    if believed_small(e, tol) and _sound(last, goal) and _agrees(e, tol, before):
        return Outcome(termination=Termination.CONVERGED, message="tolerance reached")
    return Outcome(termination=Termination.STALLED) if _stagnates(before, e) else None


def believed_small(e: Estimate, tol: float) -> bool:
    """Whether an estimate is below the tolerance, and not because its indicators cancel."""
    return abs(e.error) <= tol and e.magnitude <= _CANCELLING * tol


def _sound(cycle: MeshCycle, goal: AnyGoal) -> bool:
    """Whether the linearisation has something to stand on."""
    at_bound = isinstance(goal, ParameterValue) and cycle.estimate.magnitude == 0.0
    return cycle.solved and not cycle.estimate.unconverged and cycle.guard is None and not at_bound


def _agrees(e: Estimate, tol: float, cycles: Sequence[MeshCycle]) -> bool:
    """Whether the corrected value is that of the mesh before: what no single estimate sees."""
    if not cycles:
        return e.magnitude <= tol
    before = cycles[-1]
    return before.solved and abs(e.corrected - before.estimate.corrected) <= tol


def _stagnates(cycles: Sequence[MeshCycle], e: Estimate) -> bool:
    """Whether Σ|η| has stayed where it was while the elements became many more."""
    known = [c for c in cycles if c.solved and not c.estimate.unconverged]
    if not known:
        return False
    best = min(known, key=lambda c: c.estimate.magnitude)
    later = [c.estimate.magnitude for c in cycles if c.elements > best.elements]
    grown = len(e.indicators) >= _GROWTH * best.elements
    return grown and min([*later, e.magnitude]) > _GAIN * best.estimate.magnitude


def stalled(values: Sequence[float], patience: int | None, gain: float) -> bool:
    """Whether the last ``patience`` of some values have lowered the least one by no share ``gain``.

    Examples
    --------
    >>> stalled([1.0, 0.5, 0.499, 0.498], 2, 0.1), stalled([1.0, 0.5, 0.49, 0.4], 2, 0.1)
    (True, False)
    """
    least, waited = np.inf, 0
    for value in values:
        if not np.isfinite(least) or value < least - gain * abs(least):
            least, waited = value, 0
        else:
            waited += 1
    return patience is not None and waited >= patience
