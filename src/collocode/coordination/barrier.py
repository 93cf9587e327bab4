r"""Bounds of variables by a primal-dual barrier, as of Ipopt (Wächter, Biegler, *Math. Program.* 106, 2006)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..numerics import Array

_FAR = 1e10  # how far from μ / slack a multiplier may be
_PUSH = 1e-2  # part of the distance between bounds, or of the variable, that a start keeps off


def inside(x: Array, lower: Array, upper: Array) -> Array:
    """Move a point off its bounds; variables without any stay what they are."""
    x, room = x.copy(), upper - lower
    for bound, sign in ((lower, 1.0), (upper, -1.0)):
        there = np.isfinite(bound)
        b = bound[there]
        push = _PUSH * np.minimum(np.maximum(1.0, np.abs(b)), room[there])
        x[there] = sign * np.maximum(sign * x[there], sign * b + push)
    return x


class Barrier:
    r"""The term :math:`-\mu\sum\ln(x-\underline x)-\mu\sum\ln(\overline x-x)` at a point.

    Multipliers are kept net, upper minus lower, as everywhere; of two bounds of one variable the farther
    one has the multiplier that belongs to μ.

    Parameters
    ----------
    x, lower, upper : (n,) a point strictly between its bounds, where those are finite.
    net : (n,) multipliers.
    mu : μ.
    """

    def __init__(self, x: Array, lower: Array, upper: Array, net: Array, mu: float) -> None:
        self.mu, self._size, self._sides = mu, len(x), []
        below, above = x - lower, upper - x
        for bound, slack, other, sign in ((lower, below, above, 1.0), (upper, above, below, -1.0)):
            there = np.flatnonzero(np.isfinite(bound))
            s, far, ideal = slack[there], other[there], mu / slack[there]
            z = np.where(s < far, mu / far - sign * net[there], ideal)
            z = np.clip(z, ideal / _FAR, ideal * _FAR)
            self._sides.append((there, sign, bound[there], s, z))

    def _spread(self, values: Callable[[Array, Array, float], Array]) -> Array:
        """Sum of something over the bounds of every variable."""
        total = np.zeros(self._size)
        for there, sign, _, slack, z in self._sides:
            total[there] += values(slack, z, sign)
        return total

    @property
    def net(self) -> Array:
        """(n,) multipliers, upper minus lower."""
        return self._spread(lambda slack, z, sign: -sign * z)

    @property
    def gradient(self) -> Array:
        """(n,) slope of the barrier."""
        return self._spread(lambda slack, z, sign: -sign * self.mu / slack)

    @property
    def curvature(self) -> Array:
        """(n,) multiplier over slack, both sides."""
        return self._spread(lambda slack, z, sign: z / slack)

    @property
    def complementarity(self) -> float:
        """Largest product of slack and multiplier."""
        return float(max((slack * z).max(initial=0.0) for *_, slack, z in self._sides))

    def value(self, x: Array) -> float:
        """Value at another point; infinite outside."""
        total = 0.0
        for there, sign, bound, *_ in self._sides:
            slack = sign * (x[there] - bound)
            if not (slack > 0.0).all():
                return float("inf")
            total -= self.mu * float(np.log(slack).sum())
        return total

    def step(self, d: Array) -> Array:
        """Change of the net multipliers for a step of the variables."""
        total = np.zeros(self._size)
        for there, sign, _, slack, z in self._sides:
            total[there] -= sign * ((self.mu - sign * z * d[there]) / slack - z)
        return total

    def sizes(self, d: Array) -> tuple[float, float]:
        """Largest sizes in (0, 1] of a step of variables and of multipliers that stay inside."""
        keep, primal, dual = max(0.99, 1.0 - self.mu), 1.0, 1.0
        for there, sign, _, slack, z in self._sides:
            primal = min(primal, _largest(slack, sign * d[there], keep))
            dual = min(dual, _largest(z, (self.mu - sign * z * d[there]) / slack - z, keep))
        return primal, dual


def _largest(value: Array, d: Array, keep: float) -> float:
    shrinks = d < 0.0
    return float((-keep * value[shrinks] / d[shrinks]).min(initial=1.0))
