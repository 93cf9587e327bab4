r"""Events: doses, dilutions and resets of states, and switches of inputs, at known or estimated times.

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
duration, 1e-7.  Events at the same time act one after the other in the order given, those whose order
matters an instant apart: a reset and a dose leave the dose, a dose and a reset nothing of it.

The time of an event may be the name of a parameter.  It is then *placed* at that parameter's start, a point
of the mesh, and the elements beside it move along with the parameter, see `Boundary`: the phases before and
after meet where the parameter says, and derivatives by it are exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, as_names, check_fields
from ..numerics import Array, numbers
from ..numerics.signals import Signal

INSTANT = 1e-7  # of the experiment's duration
_PULL = 40.0  # a reset forgets all but e^-40
_BESIDE = 4  # elements on each side of an estimated time that move with it, at first
_PIECES = 8  # elements that a dilution or reset needs within its instant


@dataclass(frozen=True)
class Dose:
    """An amount that is added to a state, at once or at a constant rate.

    Parameters
    ----------
    time, amount : when, a number or the name of a parameter that is estimated, and how much; negative
        takes away.
    to : the state.
    duration : of an infusion, from ``time`` on; 0 for a bolus.

    Examples
    --------
    >>> Dose(0.0, 100.0, to="depot").duration
    0.0
    """

    time: float | str
    amount: float
    to: str
    duration: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not (_finite(self.time, self.amount) and 0.0 <= self.duration < np.inf):
            raise InputError(
                f"a dose needs a finite time and amount and a duration that is not negative, not "
                f"{self.time}, {self.amount} and {self.duration}."
            )

    @property
    def states(self) -> tuple[str, ...]:
        """The states that it acts on."""
        return (self.to,)


@dataclass(frozen=True)
class Dilution:
    """States that are multiplied by a positive factor at a time; a split, or a dilution.

    Parameters
    ----------
    time, factor : when, a number or the name of a parameter that is estimated, and by what.
    of : the states.
    """

    time: float | str
    factor: float
    of: Sequence[str]

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "of", as_names(self.of, "of= of a dilution"))
        if not (_finite(self.time) and 0.0 < self.factor < np.inf):
            raise InputError(
                f"a dilution needs a finite time and a positive factor, not {self.time} and "
                f"{self.factor}; a reset sets a state to zero."
            )

    @property
    def states(self) -> tuple[str, ...]:
        """The states that it acts on."""
        return tuple(self.of)


@dataclass(frozen=True)
class Reset:
    """States that are set at a time.

    Parameters
    ----------
    time : when, a number or the name of a parameter that is estimated.
    to : by state a number, the name of a parameter, or a function ``j(x, u, p)`` that does not see the
        states that are set.
    """

    time: float | str
    to: Mapping[str, float | str | Callable[..., Any]]

    def __post_init__(self) -> None:
        check_fields(self)
        if not _finite(self.time):
            raise InputError(f"a reset needs a finite time, not {self.time}.")
        for state, target in self.to.items():
            number = isinstance(target, Real) and np.isfinite(float(target))
            if not (number or isinstance(target, str) or callable(target)):
                raise InputError(
                    f"a reset sets {state!r} to a finite number, a parameter's name or a function, not "
                    f"{target!r:.60}."
                )

    @property
    def states(self) -> tuple[str, ...]:
        """The states that it acts on."""
        return tuple(self.to)


@dataclass(frozen=True)
class Switch:
    """An input that goes from one value to another at a time.

    Parameters
    ----------
    time : when, a number or the name of a parameter that is estimated.
    input : its name; the model reads ``u.<input>``.
    before, after : its values.

    Examples
    --------
    >>> Switch("T", "heater").after
    1.0
    """

    time: float | str
    input: str
    before: float = 0.0
    after: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not _finite(self.time, self.before, self.after):
            raise InputError(
                f"a switch needs a finite time and finite values, not {self.time}, {self.before} and "
                f"{self.after}."
            )

    @property
    def states(self) -> tuple[str, ...]:
        """None: it acts on an input."""
        return ()


Event = Dose | Dilution | Reset | Switch


def _finite(*values: float | str) -> bool:
    return bool(np.isfinite([v for v in values if not isinstance(v, str)]).all())


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
            raise InputError(
                f"the time {name!r} of an event has to stay within its experiment, [{span[0]:g}, "
                f"{span[1]:g}], but its bounds are [{low:g}, {high:g}]; narrow them."
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


def signals_of(events: Sequence[Event], instant: float) -> dict[str, Signal]:
    """Return the inputs that events act by: rates, constant while they act, and switched ones."""
    found = {}
    for impulse, acts in impulses_of(events).items():
        lasting = [(t, t + (d or instant), size / (d or instant)) for t, d, size in acts]
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
            found.append(time + np.array([0.0, event.duration or instant]))
        elif isinstance(event, Switch):
            found.append(np.array([time]))
        else:
            found.append(time + instant * np.linspace(0.0, 1.0, _PIECES + 1))
    return np.unique(np.concatenate(found))


def doses(
    times: ArrayLike, amounts: ArrayLike, to: str, durations: ArrayLike = 0.0
) -> tuple[Dose, ...]:
    """Read columns of a table of events, as of pharmacometrics: no dose where the amount is NaN or 0.

    Parameters
    ----------
    times, amounts : columns of one length.
    to : the state that is dosed.
    durations : of infusions; one for all, or a column.

    Examples
    --------
    >>> doses([0.0, 1.0, 12.0], [100.0, float("nan"), 50.0], to="depot")
    (Dose(time=0.0, amount=100.0, to='depot', duration=0.0), Dose(time=12.0, amount=50.0, to='depot', duration=0.0))
    """
    names = ("times of doses", "amounts of doses", "durations of doses")
    columns = [numbers(v, n) for v, n in zip((times, amounts, durations), names, strict=True)]
    lengths = {c.size for c in columns if c.ndim}
    if any(c.ndim > 1 for c in columns) or len(lengths) > 1:
        told = " and ".join(str(c.shape) for c in columns)
        raise InputError(f"doses are columns of one length, not of shapes {told}.")
    t, a, d = np.broadcast_arrays(*(np.atleast_1d(c) for c in columns))
    given = np.isfinite(a) & (a != 0.0)
    rows = zip(t[given].tolist(), a[given].tolist(), np.nan_to_num(d[given]).tolist(), strict=True)
    return tuple(Dose(time, amount, to, duration) for time, amount, duration in rows)
