r"""The filter of Ipopt: which trials of a step are taken.

A trial lowers the violation θ or the objective φ enough, against the point that it leaves and against
all that the filter remembers; near feasibility, where the objective falls along the step, it has to
satisfy Armijo's condition (Wächter, Biegler, *SIAM J. Optim.* 16, 2005, 1-31).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

_GAMMA, _ARMIJO, _POWERS = 1e-5, 1e-8, (1.1, 2.3)
# Times the first violation, or 1: never above, and from where Armijo's condition counts.  Ipopt allows 1e4:
# from there an objective as flat as that of a fit does not lead back.
_LARGE, _SMALL = 1.0, 1e-4
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Merit:
    """Violation θ and objective φ, the barrier included."""

    violation: float
    objective: float


@dataclass(frozen=True)
class Filter:
    """What is not accepted again.

    Attributes
    ----------
    first : the violation at the start, or 1 if that is more.
    pairs : of violation and objective.
    """

    first: float = 1.0
    pairs: tuple[tuple[float, float], ...] = ()

    @classmethod
    def at(cls, start: Merit) -> Filter:
        """Begin at a point."""
        return cls(max(1.0, start.violation))

    def without_memory(self) -> Filter:
        """Return it as it began: for another barrier."""
        return replace(self, pairs=())

    def admits(self, tried: Merit) -> bool:
        """Whether nothing that is remembered is better than a point, wherever it is reached from."""
        theta, phi = tried.violation, tried.objective
        slack = _ROUNDING * max(1.0, abs(phi))
        if not (np.isfinite(theta) and np.isfinite(phi)) or theta > _LARGE * self.first:
            return False
        return not any(theta >= t and phi >= p - slack for t, p in self.pairs)

    def takes(self, here: Merit, slope: float, size: float, tried: Merit) -> bool:
        """Whether a step of a size that gives ``tried`` is taken; ``slope`` is that of φ."""
        theta, phi = tried.violation, tried.objective
        slack = _ROUNDING * max(1.0, abs(here.objective))
        if not self.admits(tried):
            return False
        if here.violation <= _SMALL * self.first and _promises(here, slope, size):
            return self._falls(here, slope, size, tried)
        less = _GAMMA * here.violation
        return theta <= here.violation - less or phi <= here.objective - less + slack

    def after(self, here: Merit, slope: float, size: float, tried: Merit) -> Filter:
        """Return the filter after a step was taken: it remembers the point left, but after Armijo's."""
        if _promises(here, slope, size) and self._falls(here, slope, size, tried):
            return self
        return self.remembering(here)

    def remembering(self, here: Merit) -> Filter:
        """Return the filter that does not go back to a point."""
        left = (1.0 - _GAMMA) * here.violation, here.objective - _GAMMA * here.violation
        return replace(self, pairs=(*self.pairs, left))

    @staticmethod
    def _falls(here: Merit, slope: float, size: float, tried: Merit) -> bool:
        slack = _ROUNDING * max(1.0, abs(here.objective))
        return tried.objective <= here.objective + _ARMIJO * size * slope + slack


def _promises(here: Merit, slope: float, size: float) -> bool:
    """Whether the step lowers the objective by more than the violation could account for."""
    theta, phi = _POWERS
    return slope < 0.0 and size * (-slope) ** phi > here.violation**theta
