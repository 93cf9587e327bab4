r"""How events act: inputs that last an instant.

An event is written into the right-hand side, as an input that acts for an *instant* of a ten-millionth of the
experiment's duration (or, an infusion, as long as it is told to):

============  ==============================================  ==================================
record        acts by                                         and leads to
============  ==============================================  ==================================
`Dose`        :math:`\dot x=\dots+a/\delta`                   :math:`x^+=x^-+a`
`Dilution`    :math:`\dot x=\dots+x\ln(f)/\delta`             :math:`x^+=f\,x^-`
`Reset`       :math:`\dot x=\dots+40\,(v-x)/\delta`           :math:`x^+=v`, to :math:`e^{-40}`
============  ==============================================  ==================================

so that collocation, simulation, error estimates and intervals need nothing of their own.  A datum that was
taken at the time of an event is taken before it.  The instant's part in the error is its share of the
duration, 1e-7; more only where time is counted from so long ago that its rounding asks for it.  Events at the same time act one after the other in the order given, those whose order
matters an instant apart: a reset and a dose leave the dose, a dose and a reset nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np

from ..numerics import Array, Mask
from ..numerics.signals import Signal
from .events import Dilution, Dose, Event, Reset, Switch

INSTANT = 1e-7  # of the experiment's duration
_APART = 256.0  # roundings of a time that an instant spans
_PULL = 40.0  # a reset forgets all but e^-40
_PIECES = 8  # elements that a dilution or reset needs within its instant


@dataclass(frozen=True)
class Impulse:
    """An input that events act by: on one state, in one way.

    Attributes
    ----------
    state : that it acts on.
    kind : ``"dose"``, ``"dilution"`` or ``"reset"``.
    target : what a reset sets it to.
    """

    state: str
    _: KW_ONLY
    kind: str
    target: float | str | Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        """Name of the input."""
        if self.target is None:
            return f"{self.state}.{self.kind}"
        told = getattr(self.target, "__qualname__", self.target)
        told = f"{told} {id(self.target)}" if callable(self.target) else told
        return f"{self.state}.{self.kind} to {told}"


def instant_in(start: float, end: float) -> float:
    """Return how long an event takes that takes no time."""
    rounding = float(np.spacing(max(abs(start), abs(end))))
    return max(INSTANT * (end - start), _APART * rounding)


def impulses_of(events: Iterable[Event]) -> dict[Impulse, list[tuple[float, float, float]]]:
    """Return by what inputs events act: (time, duration or 0, size) of every act."""
    found: dict[Impulse, list[tuple[float, float, float]]] = {}
    for event in events:
        if isinstance(event, Dose):
            act = float(event.time), event.duration, event.amount
            found.setdefault(Impulse(event.to, kind="dose"), []).append(act)
        elif isinstance(event, Switch):
            continue
        elif isinstance(event, Dilution):
            for state in event.states:
                act = float(event.time), 0.0, float(np.log(event.factor))
                found.setdefault(Impulse(state, kind="dilution"), []).append(act)
        else:
            for state, target in event.to.items():
                impulse = Impulse(state, kind="reset", target=target)
                found.setdefault(impulse, []).append((float(event.time), 0.0, _PULL))
    return found


def placed(events: Iterable[Event], at: Mapping[str, float], instant: float) -> list[Event]:
    """Return events with numbers for times, in turn; those that nobody has placed are left out.

    Events closer than an instant are at the same time, and each waits for those before it in the order
    given that it does not commute with.
    """
    found = [
        replace(event, time=at[event.time]) if event.time in at else event  # type: ignore[index]
        for event in events
    ]
    return _in_turn([event for event in found if not isinstance(event.time, str)], instant)


def _in_turn(events: list[Event], instant: float) -> list[Event]:
    first, shared = -np.inf, {}
    for time in sorted(float(event.time) for event in events):
        first = first if time - first < instant else time
        shared[time] = first
    turns: dict[float, list[list[Event]]] = {}  # who acts at a time, turn by turn
    found = []
    for event in events:
        time = shared[float(event.time)]
        acting = turns.setdefault(time, [[]])
        if not all(_commute(event, other) for other in acting[-1]):
            acting.append([])
        acting[-1].append(event)
        wait = (len(acting) - 1) * instant
        found.append(replace(event, time=time + wait) if wait else event)
    return found


def _commute(one: Event, other: Event) -> bool:
    """Whether it is all the same which of two events at the same time comes first."""
    if any(isinstance(e, Switch) or (isinstance(e, Dose) and e.duration) for e in (one, other)):
        return True
    if isinstance(one, Reset) or isinstance(other, Reset):
        sees = any(isinstance(e, Reset) and any(map(callable, e.to.values())) for e in (one, other))
        return not sees and not set(one.states) & set(other.states)
    return type(one) is type(other) or not set(one.states) & set(other.states)


def signals_of(events: Sequence[Event], instant: float) -> dict[str, Signal]:
    """Return the inputs that events act by: rates, constant while they act, and switched ones."""
    found = {}
    for impulse, acts in impulses_of(events).items():
        spans = [(t, t + max(d, instant), size) for t, d, size in acts]
        lasting = [(a, b, size / (b - a)) for a, b, size in spans]  # b - a as it was rounded
        edges = np.unique([edge for first, last, _ in lasting for edge in (first, last)])
        rates = sum(np.where((edges >= a) & (edges < b), rate, 0.0) for a, b, rate in lasting)
        times = np.append(edges[0] - instant, edges)
        found[impulse.name] = Signal(times, np.append(0.0, np.asarray(rates)), "zoh")
    steps: dict[str, list[Switch]] = {}
    for event in events:
        if isinstance(event, Switch):
            steps.setdefault(event.input, []).append(event)
    for name, these in steps.items():
        these.sort(key=lambda e: float(e.time))
        at = np.array([float(e.time) for e in these])
        values = np.array([these[0].before, *(e.after for e in these)])
        found[name] = Signal(np.append(at[0] - 1.0, at), values, "zoh")
    return found


def points_of(events: Iterable[Event], instant: float) -> Array:
    """Return the times that have to be mesh points: where events begin and end, and within."""
    found = [np.empty(0)]
    for event in events:
        time = float(event.time)
        if isinstance(event, Dose):
            found.append(time + np.array([0.0, max(event.duration, instant)]))
        elif isinstance(event, Switch):
            found.append(np.array([time]))
        else:
            found.append(time + instant * np.linspace(0.0, 1.0, _PIECES + 1))
    return np.unique(np.concatenate(found))


def passing(events: Iterable[Event], instant: float, times: Array) -> Mask:
    """Which times lie within the instant of an event that takes none: what is there, nobody means."""
    found = np.zeros(len(times), dtype=bool)
    for event in events:
        lasting = isinstance(event, Dose) and event.duration > instant
        if not (lasting or isinstance(event, Switch)):
            begin = float(event.time)
            rounding = 4.0 * np.spacing(abs(begin))
            found |= (times > begin + rounding) & (times < begin + instant - rounding)
    return found
