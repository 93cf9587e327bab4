r"""Profiles: intervals by refitting with a parameter held, for models that bend within their intervals.

With the other unknowns at their best, the cost of M data rises by Δ over its optimum as a parameter is held ever
farther from its estimate.  In units of its linearised variance,

.. math:: z(\theta) = \sqrt{M\,\Delta(\theta)\,(H^{-1})_{jj}/C_{jj}},

which is :math:`|\theta-\hat\theta|/s` of a model that is linear, and follows any other one.  The limits are where z
is Student's t of the degrees of freedom ν that the linearised interval has; of a likelihood that estimates its σ
:math:`\sqrt{\nu\log(1+t^2/\nu)}`, which is the same of a straight line.  Source: Bates and Watts, *Nonlinear
Regression Analysis*, 1988, ch. 6; Chandler and Bate, Biometrika 94, 2007, for costs that are no likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from ..numerics import Array
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.protocol import Solver
from ..solvers.solve import solve_with
from ..transcription.nlp import NLP

_SOLVES = 16  # at most, on a side
_CLOSE = 5e-3  # of z, where it counts as met
_STRIDE = 4.0  # by how much a step may be longer than the one before
_BETTER = 1e-3  # of z², by which a held fit may be better than the optimum
OPEN = "open: no value is too far for the data"
BETTER = "a better optimum was met; fit again from another start"
STRAYED = "the profile could not be followed"


def threshold(freedom: float, level: float, likelihood: bool) -> float:
    """Where a profile ends: Student's t, or what it is in the logarithm of a likelihood whose σ is estimated."""
    t = float(scipy.special.stdtrit(freedom, 0.5 + 0.5 * level))
    return float(np.sqrt(freedom * np.log1p(t**2 / freedom))) if likelihood else t


def beyond(z: float, freedom: float, likelihood: bool) -> float:
    """Probability of Student's t beyond a height of a profile."""
    t = np.sqrt(freedom * np.expm1(min(z**2 / freedom, 500.0))) if likelihood else z
    return float(scipy.special.stdtr(freedom, -t))


@dataclass
class Profile:
    """The profile of one unknown, followed from the optimum.

    Attributes
    ----------
    solution, nlp, solver : the fit, and what solves it again with other bounds.
    column : of the unknown.
    std : its linearised standard deviation.
    share : (H⁻¹)ⱼⱼ/Cⱼⱼ.
    """

    solution: Solution
    nlp: NLP
    solver: Solver
    column: int
    std: float
    share: float

    def limit(self, side: float, wanted: float) -> tuple[float, str]:
        """Where z is ``wanted`` on the lower (-1) or upper (1) side, and what is to be said of it."""
        start = float(self.solution.result.x[self.column])
        bound = float((self.nlp.lower if side < 0.0 else self.nlp.upper)[self.column])
        room = abs(bound - start)
        inner, outer, z_inner, z_outer = 0.0, np.inf, 0.0, np.inf
        step, x = wanted * self.std, self.solution.result.x
        for _ in range(_SOLVES):
            step = min(step, room)
            found = self.height(start + side * step, x)
            if found is None:
                outer, z_outer = step, np.inf
                step = 0.5 * (inner + step)
                continue
            z, x_here = found
            if z < 0.0:
                return np.nan, BETTER
            if abs(z - wanted) < _CLOSE * wanted:
                return start + side * step, ""
            if z < wanted:
                if step >= room:
                    return bound, ""
                inner, z_inner, x = step, z, x_here
            else:
                outer, z_outer = step, z
            step = _between(inner, outer, z_inner, z_outer, wanted)
        if np.isinf(outer):
            return side * np.inf, OPEN
        return (start + side * outer, "") if np.isfinite(z_outer) else (np.nan, STRAYED)

    def outside(self, side: float, half: float, freedom: float, likelihood: bool) -> float:
        """Probability of what lies farther than ``half`` on a side; nan where the model was not solved there."""
        start = float(self.solution.result.x[self.column])
        if not self.nlp.lower[self.column] < start + side * half < self.nlp.upper[self.column]:
            return 0.0
        found = self.height(start + side * half, self.solution.result.x)
        return np.nan if found is None else beyond(found[0], freedom, likelihood)

    def height(self, value: float, begun: Array) -> tuple[float, Array] | None:
        """z with the unknown held at a value, and the point; None where that was not solved."""
        lower, upper, x = self.nlp.lower.copy(), self.nlp.upper.copy(), begun.copy()
        lower[self.column] = upper[self.column] = x[self.column] = value
        held = replace(self.nlp, lower=lower, upper=upper).with_start(x)
        found = solve_with(self.solver, held)
        if found.result.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        if not found.success:
            return None
        data = self.nlp.problem.n_measurements
        rise = found.result.objective - self.solution.result.objective
        squared = data * rise * self.share
        if squared < -_BETTER:
            return -1.0, found.result.x
        return float(np.sqrt(max(squared, 0.0))), found.result.x


def _between(inner: float, outer: float, z_inner: float, z_outer: float, wanted: float) -> float:
    """The next step: where a straight line through what is known meets ``wanted``."""
    if np.isinf(outer):
        return inner * float(np.clip(wanted / max(z_inner, 1e-3), 1.2, _STRIDE))
    if np.isinf(z_outer):
        return 0.5 * (inner + outer)
    share = (wanted - z_inner) / (z_outer - z_inner)
    return inner + float(np.clip(share, 0.1, 0.9)) * (outer - inner)
