"""Tables of events as pharmacometrics writes them: a row an event, ``amt``, ``evid`` and their kin.

================  ============================================================================
column            what it says
================  ============================================================================
``time``          when
``amt``           amount of a dose; empty, NaN or 0 where there is none
``rate``          of an infusion, which lasts amount / rate; empty or 0 for a bolus
``dur``           how long an infusion lasts, in place of its rate; also ``tinf``
``evid``          0 observation, 1 dose, 2 other, 3 reset of all states to zero, 4 reset and dose
``cmt``           which state is dosed: its name, or its number from 1 on
``addl``, ``ii``  so many doses more, one every ``ii``
``id``            the subject, who is one
================  ============================================================================

A point stands for an empty cell.

Source: Beal, Sheiner, Boeckmann and Bauer, *NONMEM Users Guides*, part V.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import apart, counted, listed, shown
from ..errors import InputError
from ..numerics import Array, numbers
from .events import Dose, Event, Reset

_COLUMNS = ("amt", "rate", "dur", "tinf", "evid", "addl", "ii")


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
        No ``time`` or ``amt``, several subjects, a time that goes back, a number that has no meaning here,
        steady-state doses (``ss``), a reset while an infusion lasts or doses of ``addl`` are to come.

    Examples
    --------
    >>> table = {"time": [0, 1, 2], "amt": [100, 0, 0], "evid": [1, 0, 0], "addl": [1, 0, 0], "ii": [12, 0, 0]}
    >>> [(dose.time, dose.amount, dose.to) for dose in events_from_frame(table, ("depot", "central"))]
    [(0.0, 100.0, 'depot'), (12.0, 100.0, 'depot')]
    """
    if not hasattr(table, "keys"):
        raise InputError(
            f"a table of events is a data frame or a dict of columns, not {shown(table)}; pandas.read_csv(path) reads one."
        )
    known = _columns(table)
    time = _column(known, "time")
    columns = {name: _column(known, name, len(time)) for name in _COLUMNS}
    kinds = columns["evid"] if "evid" in known else (columns["amt"] != 0.0).astype(float)
    found: list[Event] = []
    for row in range(len(time)):
        values = {name: float(column[row]) for name, column in columns.items()}
        if kinds[row] not in (0.0, 1.0, 2.0, 3.0, 4.0):
            raise InputError(f"evid is {kinds[row]:g} in row {row + 1}; it is 0, 1, 2, 3 or 4.")
        if kinds[row] == 0.0 and values["amt"]:
            raise InputError(
                f"row {row + 1} is an observation, evid 0, with an amount of {values['amt']:g}; a dose has "
                "evid 1, and an observation no amount."
            )
        if kinds[row] in (3.0, 4.0):
            _check_over(found, float(time[row]), row)
            found.append(Reset(float(time[row]), dict.fromkeys(states, 0.0)))
        if kinds[row] in (1.0, 4.0) and (values["amt"] or values["rate"]):
            found += _doses(float(time[row]), values, _state(known, row, states, to), row)
    return tuple(found)


def _columns(table: Any) -> dict[str, Any]:
    """Columns by their names in lower case, of one subject in the order of time."""
    known: dict[str, Any] = {}
    for name in table.keys():  # noqa: SIM118 of a frame
        if str(name).lower() in known:
            raise InputError(
                f"a table of events has two columns called {str(name).lower()!r}; rename one of them."
            )
        known[str(name).lower()] = table[name]
    for name in ("time", "amt"):
        if name not in known:
            raise InputError(
                f"a table of events has columns time and amt, but this one has: {listed(known)}."
            )
    subjects = list(dict.fromkeys(str(v) for v in known.get("id", ())))
    if len(subjects) > 1:
        raise InputError(
            f"a table of events is of one subject, but column id has {listed(subjects)}; read each "
            "subject's rows by themselves."
        )
    if "ss" in known and _column(known, "ss").any():
        raise InputError(
            "column ss asks for doses at steady state; write the doses before it out by addl and ii, or "
            "begin the experiment at rest by steady=."
        )
    back = np.flatnonzero(np.diff(_column(known, "time")) < 0.0)
    if len(back):
        raise InputError(
            f"time goes back in row {back[0] + 2}; sort the rows, or make an experiment of its own of what "
            "comes after a reset."
        )
    return known


def _column(known: Mapping[str, Any], name: str, length: int | None = None) -> Array:
    """A column of numbers, 0 where it is empty or absent."""
    if name not in known:
        return np.zeros(length or 0)
    cells = np.asarray(known[name], dtype=object)
    empty = np.array([isinstance(v, str) and v.strip() in (".", "") for v in cells.ravel()])
    values = numbers(np.where(empty.reshape(cells.shape), np.nan, cells), f"column {name}")
    if length is not None and values.shape != (length,):
        raise InputError(f"column {name} has {counted(values.size, 'row')}, but time has {length}.")
    return values if name == "time" else np.nan_to_num(values)


def _check_over(found: Sequence[Event], time: float, row: int) -> None:
    """Refuse a reset while something is still given; programs differ in what becomes of it."""
    ends = [float(e.time) + e.duration for e in found if isinstance(e, Dose)]
    if ends and max(ends) > time:
        told = apart(time, max(ends), digits=12)
        raise InputError(
            f"row {row + 1} resets at {told[0]}, but a dose of a row before it lasts or comes until "
            f"{told[1]}; end it by its addl, rate or amount."
        )


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
    told = [v for v in (values["dur"], values["tinf"], abs(amount / rate) if rate else 0.0) if v]
    if not amount or (told and not np.allclose(told, told[0])):
        raise InputError(
            f"row {row + 1} has amt {amount:g}, rate {rate:g} and a duration of "
            f"{values['dur'] or values['tinf']:g}, which do not agree; give the amount, and its rate or "
            "duration."
        )
    duration = told[0] if told else 0.0
    return [Dose(time + k * every, amount, state, duration) for k in range(int(more) + 1)]


def _state(known: Mapping[str, Any], row: int, states: Sequence[str], to: str | None) -> str:
    given = np.asarray(known["cmt"], dtype=object)[row] if "cmt" in known else None
    if isinstance(given, str) and given in states:
        return given
    if isinstance(given, str) and given.strip() in (".", ""):
        given = None
    if given is None or (isinstance(given, float) and np.isnan(given)):
        return to or states[0]
    try:
        number = int(given) if float(given).is_integer() else 0
    except ValueError:
        number = 0
    if not 1 <= number <= len(states):
        raise InputError(
            f"cmt is {given!r} in row {row + 1}; it is a state's name or number: {', '.join(states)}."
        )
    return states[number - 1]
