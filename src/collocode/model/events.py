"""Events: doses, dilutions and resets of states, and switches of inputs, at known or estimated times.

How they act is told in `impulses`, how a time is estimated in `event_times`.  A datum that was taken at the time of an
event is taken before it; events at the same time act one after the other in the order given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import as_names, check_fields, shown
from ..errors import InputError
from ..numerics import numbers


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
                    f"{shown(target)}."
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


def ends_before(event: Event, time: float) -> bool:
    """Whether a jump or an infusion at a known time is over by then."""
    if isinstance(event.time, str) or not event.states:
        return False
    lasting = event.duration if isinstance(event, Dose) else 0.0
    return float(event.time) + lasting <= time if lasting else float(event.time) < time


def _finite(*values: float | str) -> bool:
    return bool(np.isfinite([v for v in values if not isinstance(v, str)]).all())


def doses(
    times: ArrayLike, amounts: ArrayLike, to: str, durations: ArrayLike = 0.0
) -> tuple[Dose, ...]:
    """Read columns of a table of events, as of pharmacometrics: no dose where the amount is NaN or 0.

    Parameters
    ----------
    times, amounts : columns of one length.
    to : the state that is dosed.
    durations : of infusions; one for all, or a column.

    Raises
    ------
    InputError
        Columns of different lengths, or what is no numbers.

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
