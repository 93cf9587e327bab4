r"""Events at known times: doses, dilutions and resets of states.

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
duration, 1e-7.  Events at the same time act together; a reset among them wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, check_fields
from ..numerics import Array
from ..numerics.signals import Signal

INSTANT = 1e-7  # of the experiment's duration
_PULL = 40.0  # a reset forgets all but e^-40
_PIECES = 8  # elements that a dilution or reset needs within its instant


@dataclass(frozen=True)
class Dose:
    """An amount that is added to a state, at once or at a constant rate.

    Parameters
    ----------
    time, amount : when, and how much; negative takes away.
    to : the state.
    duration : of an infusion, from ``time`` on; 0 for a bolus.

    Examples
    --------
    >>> Dose(0.0, 100.0, to="depot").duration
    0.0
    """

    time: float
    amount: float
    to: str
    duration: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not (np.isfinite([self.time, self.amount]).all() and 0.0 <= self.duration < np.inf):
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
    time, factor : when, and by what.
    of : the states.
    """

    time: float
    factor: float
    of: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", (self.of,) if isinstance(self.of, str) else tuple(self.of))
        if not (np.isfinite(self.time) and 0.0 < self.factor < np.inf):
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
    time : when.
    to : by state a number, the name of a parameter, or a function ``j(x, u, p)`` that does not see the
        states that are set.
    """

    time: float
    to: Mapping[str, float | str | Callable[..., Any]]

    def __post_init__(self) -> None:
        if not np.isfinite(self.time):
            raise InputError(f"a reset needs a finite time, not {self.time}.")

    @property
    def states(self) -> tuple[str, ...]:
        """The states that it acts on."""
        return tuple(self.to)


Event = Dose | Dilution | Reset


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
            act = event.time, event.duration, event.amount
            found.setdefault(Impulse(event.to, kind="dose"), []).append(act)
        elif isinstance(event, Dilution):
            for state in event.states:
                act = event.time, 0.0, float(np.log(event.factor))
                found.setdefault(Impulse(state, kind="dilution"), []).append(act)
        else:
            for state, target in event.to.items():
                impulse = Impulse(state, kind="reset", target=target)
                found.setdefault(impulse, []).append((event.time, 0.0, _PULL))
    return found


def signals_of(events: Iterable[Event], instant: float) -> dict[str, Signal]:
    """Return the inputs that events act by: rates, constant while they act."""
    found = {}
    for impulse, acts in impulses_of(events).items():
        lasting = [(t, t + (d or instant), size / (d or instant)) for t, d, size in acts]
        edges = np.unique([edge for first, last, _ in lasting for edge in (first, last)])
        rates = sum(np.where((edges >= a) & (edges < b), rate, 0.0) for a, b, rate in lasting)
        times = np.append(edges[0] - instant, edges)
        found[impulse.name] = Signal(times, np.append(0.0, np.asarray(rates)), "zoh")
    return found


def points_of(events: Iterable[Event], instant: float) -> Array:
    """Return the times that have to be mesh points: where events begin and end, and within."""
    found = [np.empty(0)]
    for event in events:
        if isinstance(event, Dose):
            found.append(event.time + np.array([0.0, event.duration or instant]))
        else:
            found.append(event.time + instant * np.linspace(0.0, 1.0, _PIECES + 1))
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
    t, a, d = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in (times, amounts, durations))
    )
    given = np.isfinite(a) & (a != 0.0)
    rows = zip(t[given].tolist(), a[given].tolist(), np.nan_to_num(d[given]).tolist(), strict=True)
    return tuple(Dose(time, amount, to, duration) for time, amount, duration in rows)
