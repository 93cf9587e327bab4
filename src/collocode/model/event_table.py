"""Tables of events as pharmacometrics writes them: a row an event, ``amt``, ``evid`` and their kin.

================  ============================================================================
column            what it says
================  ============================================================================
``time``          when
``amt``           amount of a dose; empty, NaN or 0 where there is none
``rate``          of an infusion, which lasts amount / rate; empty or 0 for a bolus
``evid``          0 observation, 1 dose, 2 other, 3 reset of all states to zero, 4 reset and dose
``cmt``           which state is dosed: its name, or its number from 1 on
``addl``, ``ii``  so many doses more, one every ``ii``
================  ============================================================================

Source: Beal, Sheiner, Boeckmann and Bauer, *NONMEM Users Guides*, part V.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, listed
from ..numerics import Array, numbers
from .events import Dose, Event, Reset

_COLUMNS = ("time", "amt", "rate", "evid", "cmt", "addl", "ii")


def events_from_frame(
    table: Any, states: Sequence[str], to: str | None = None
) -> tuple[Event, ...]:
    """Read the events of one subject from a table with the columns of pharmacometrics.

    Parameters
    ----------
    table : a data frame, or a mapping of columns; upper and lower case are the same, other columns, such as
        measured ones, are left alone.
    states : the model's, in the order that ``cmt`` numbers.
    to : the state that is dosed where there is no ``cmt``; by default the first.

    Raises
    ------
    InputError
        No ``time`` or ``amt``, a number that has no meaning here, steady-state doses (``ss``).

    Examples
    --------
    >>> table = {"time": [0, 1, 2], "amt": [100, 0, 0], "evid": [1, 0, 0], "addl": [1, 0, 0], "ii": [12, 0, 0]}
    >>> [(dose.time, dose.amount, dose.to) for dose in events_from_frame(table, ("depot", "central"))]
    [(0.0, 100.0, 'depot'), (12.0, 100.0, 'depot')]
    """
    if not hasattr(table, "keys"):
        raise InputError(
            f"a table of events is a data frame or a dict of columns, not {table!r:.60}."
        )
    known = {str(name).lower(): table[name] for name in table.keys()}  # noqa: SIM118 of a frame
    for name in ("time", "amt"):
        if name not in known:
            raise InputError(
                f"a table of events has columns time and amt, but this one has: {listed(known)}."
            )
    time = numbers(known["time"], "column time")
    if "ss" in known and np.nan_to_num(numbers(known["ss"], "column ss")).any():
        raise InputError(
            "column ss asks for doses at steady state; write the doses before it out by addl and ii, or "
            "begin the experiment at rest by steady=."
        )
    columns = {
        name: _column(known, name, len(time)) for name in _COLUMNS if name not in ("time", "cmt")
    }
    kinds = columns["evid"] if "evid" in known else (columns["amt"] != 0.0).astype(float)
    found: list[Event] = []
    for row in range(len(time)):
        values = {name: float(column[row]) for name, column in columns.items()}
        if kinds[row] not in (0.0, 1.0, 2.0, 3.0, 4.0):
            raise InputError(f"evid is {kinds[row]:g} in row {row + 1}; it is 0, 1, 2, 3 or 4.")
        if kinds[row] in (3.0, 4.0):
            found.append(Reset(float(time[row]), dict.fromkeys(states, 0.0)))
        if kinds[row] in (1.0, 4.0) and values["amt"]:
            found += _doses(float(time[row]), values, _state(known, row, states, to), row)
    return tuple(found)


def _column(known: Mapping[str, Any], name: str, length: int) -> Array:
    """A column of numbers, 0 where it is empty or absent."""
    if name not in known:
        return np.zeros(length)
    values = numbers(known[name], f"column {name}")
    if values.shape != (length,):
        raise InputError(f"column {name} has {values.size} rows, but time has {length}.")
    return np.nan_to_num(values)


def _doses(time: float, values: Mapping[str, float], state: str, row: int) -> list[Event]:
    amount, rate, more, every = (values[n] for n in ("amt", "rate", "addl", "ii"))
    if rate < 0.0:
        raise InputError(
            f"rate is {rate:g} in row {row + 1}, a rate or duration that is modelled; make the infusion an "
            "input of the model."
        )
    if more < 0.0 or more != int(more) or (more and not every > 0.0):
        raise InputError(
            f"row {row + 1} asks for {more:g} doses more, one every {every:g}; addl is a whole number, and ii "
            "positive."
        )
    duration = abs(amount / rate) if rate else 0.0
    return [Dose(time + k * every, amount, state, duration) for k in range(int(more) + 1)]


def _state(known: Mapping[str, Any], row: int, states: Sequence[str], to: str | None) -> str:
    given = np.asarray(known["cmt"], dtype=object)[row] if "cmt" in known else None
    if given is None or (isinstance(given, float) and np.isnan(given)):
        return to or states[0]
    if isinstance(given, str) and given in states:
        return given
    try:
        number = int(given)
    except ValueError:
        number = 0
    if not 1 <= number <= len(states):
        raise InputError(
            f"cmt is {given!r} in row {row + 1}; it is a state's name or number: {', '.join(states)}."
        )
    return states[number - 1]
