r"""Events at estimated times: where phases meet, and how the mesh moves along.

The time of an event may be the name of a parameter.  It is then *placed* at that parameter's start, a point
of the mesh, and the elements beside it move along with the parameter, see `Boundary`: the phases before and
after meet where the parameter says, and derivatives by it are exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

from ..checks import apart
from ..errors import InputError
from ..numerics import Array
from .events import Dose, Event, Switch
from .impulses import placed

_BESIDE = 4  # elements on each side of an estimated time that move with it, at first


@dataclass(frozen=True)
class Boundary:
    r"""Where phases meet at an estimated time T, and the elements that move along.

    A point s of the mesh lies at :math:`t=s+\lambda(s)(T-T_0)`, :math:`T_0` the time at which events were
    placed; :math:`\lambda` is 1 while they act, goes to 0 on both sides, and is 0 outside.

    Attributes
    ----------
    parameter : its name.
    at : :math:`T_0`.
    width : how long the events act.
    first, last : between which times elements move.
    """

    parameter: str
    _: KW_ONLY
    at: float
    width: float
    first: float
    last: float

    def share(self, s: Array) -> Array:
        """λ at points of the mesh."""
        ends = [self.first, self.at, self.at + self.width, self.last]
        return np.asarray(np.interp(s, ends, [0.0, 1.0, 1.0, 0.0]))

    def points(self) -> Array:
        """Points that the mesh shall have."""
        left = np.linspace(self.first, self.at, _BESIDE + 1)
        right = np.linspace(self.at + self.width, self.last, _BESIDE + 1)
        return np.unique(np.append(left, right))


def boundaries_of(
    events: Iterable[Event],
    at: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    span: tuple[float, float],
    instant: float,
) -> tuple[Boundary, ...]:
    """Return the boundaries of an experiment that goes from ``span[0]`` to ``span[1]``.

    Raises
    ------
    InputError
        Bounds that lie outside it, or overlap with those of another event.
    """
    widths: dict[str, float] = {}
    moving = [event for event in events if isinstance(event.time, str) and event.time in at]
    for event, act in zip(moving, placed(moving, at, instant), strict=True):
        width = 0.0 if isinstance(event, Switch) else instant
        width = (event.duration or width) if isinstance(event, Dose) else width
        name = str(event.time)
        widths[name] = max(widths.get(name, 0.0), width + float(act.time) - at[name])
    found = []
    for name, width in widths.items():
        low, high = bounds[name]
        if not (span[0] <= low < high and high + width <= span[1]):
            told = apart(span[0], span[1], low, high, digits=12)
            raise InputError(
                f"the time {name!r} of an event has to stay within its experiment, [{told[0]}, "
                f"{told[1]}], but its bounds are [{told[2]}, {told[3]}]; narrow them."
            )
        margin = 0.1 * (high - low)
        found.append(
            Boundary(
                name,
                at=at[name],
                width=width,
                first=max(span[0], low - margin),
                last=min(span[1], high + width + margin),
            )
        )
    found.sort(key=lambda b: b.first)
    for one, other in itertools.pairwise(found):
        if other.first < one.last:
            raise InputError(
                f"the bounds of the times {one.parameter!r} and {other.parameter!r} of events overlap; "
                "narrow them, so that one comes before the other."
            )
    return tuple(found)
