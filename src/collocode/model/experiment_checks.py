"""What an experiment's columns have to be: times, noise, censoring and histories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..checks import apart, check_named, counted, shown
from ..errors import InputError
from ..numerics import Array, numbers
from ..numerics.signals import Signal
from .initial import Initial


def check_past(past: Any, what: str) -> None:
    """Refuse what is no history of a state."""
    number = isinstance(past, Real) and np.isfinite(float(past))
    if not (number or isinstance(past, str | Signal) or callable(past)):
        raise InputError(
            f"{what} is a finite number, a Signal, a function of t and p or a parameter's name, not "
            f"{shown(past)}."
        )


def _row(number: int) -> str:
    return f"row {number + 1}"


def check_times(
    times: Array,
    where: str,
    window: tuple[float | None, float | None] = (None, None),
    replicates: bool = False,
    place: Callable[[int], str] = _row,
) -> None:
    """Refuse times that are too few, NaN, unsorted or (without ``replicates``) duplicate, naming the first.

    Parameters
    ----------
    window : start and end, as far as they are given; with one of them at another time one time is enough.
    place : tells where a reader finds a row.
    """
    if times.ndim != 1:
        raise InputError(f"{where}: times must be a row of numbers, not of shape {times.shape}.")
    if not len(times):
        raise InputError(f"{where}: there are no times; add data.")
    if not np.isfinite(times).all():
        bad = int(np.flatnonzero(~np.isfinite(times))[0])
        raise InputError(f"{where}: time in {place(bad)} is {times[bad]}; drop or repair that row.")
    open_ends = [n for n, v in zip(("start=", "end="), window, strict=True) if v is None]
    moment = len(np.unique(times)) < 2 and (replicates or len(times) < 2)
    if open_ends and moment and all(v is None or v == times[0] for v in window):
        raise InputError(
            f"{where}: 1 time is too few; at least 2 are needed, or {' and '.join(open_ends)}"
            f"{'' if len(open_ends) > 1 else ' too'}."
        )
    steps = np.diff(times)
    if (steps == 0.0).any() and not replicates:
        bad = int(np.flatnonzero(steps == 0.0)[0])
        raise InputError(
            f"{where}: time {times[bad]:.12g} occurs twice ({place(bad)} and {place(bad + 1)}); "
            "name the column of experiments, or say replicates=True if one run was measured again."
        )
    if (steps < 0.0).any():
        bad = int(np.flatnonzero(steps < 0.0)[0])
        told = apart(times[bad + 1], times[bad], digits=12)
        raise InputError(
            f"{where}: times are not sorted: {told[0]} ({place(bad + 1)}) follows "
            f"{told[1]}; several runs in one table look like that: name the column of experiments, or "
            "sort the rows."
        )


def outputs_of(given: Sequence[str], values: Array, times: Array, where: str) -> tuple[str, ...]:
    """Return the names of the columns; refuse values that do not fit them or the times, or are infinite."""
    if values.ndim != 2 or len(values) != len(times):
        raise InputError(
            f"{where}: {counted(len(times), 'time does', 'times do')} not fit values of shape {values.shape}; "
            "give one row per time."
        )
    outputs = tuple(given) or tuple(f"y{j + 1}" for j in range(values.shape[1]))
    if len(outputs) != values.shape[1] or len(set(outputs)) != len(outputs):
        raise InputError(
            f"{where}: {counted(values.shape[1], 'column needs', 'columns need')} as many different names, not {outputs}."
        )
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise InputError(
            f"{where}: {outputs[column]!r} is infinite at t = {times[row]:.12g}; use NaN for missing."
        )
    return outputs


def check_final(final: Mapping[str, Initial], where: str) -> None:
    """Refuse final states that are neither fixed nor weighted."""
    for state, known in final.items():
        if known.function is not None or np.isfinite([known.lower, known.upper]).any():
            raise InputError(
                f"{where}: the final {state!r} can be fixed or weighted, not bounded or given by "
                "parameters; use a PathConstraint at the end."
            )


def _by_output(given: Any, filled: Array, outputs: Sequence[str], where: str, what: str) -> Array:
    """Fill a table of the data's shape from one for all, one or a column by name, or a table."""
    shape, places = filled.shape, {name: (slice(None), j) for j, name in enumerate(outputs)}
    for name, value in (given if isinstance(given, Mapping) else {None: given}).items():
        if name is not None:
            check_named(f"{where}: {what}", [name], "output", outputs)
        table = numbers(value, f"{where}: {what}")
        told = table.shape
        if name is None and shape[1] == 1 and table.ndim == 1:
            table = table[:, None]
        place = slice(None) if name is None else places[name]
        fits = filled[place].shape
        if table.ndim and table.shape != fits:
            whose = what if name is None else f"{what} of {name!r}"
            raise InputError(
                f"{where}: {whose} of shape {told} does not fit values of shape {shape}; give one "
                f"number for all, or as many as there are values, of shape {fits}."
            )
        filled[place] = table
    return filled


def weights_of(given: Any, shape: tuple[int, ...], outputs: Sequence[str], where: str) -> Array:
    """(N, outputs) factors of what data cost."""
    weights = _by_output(given, np.ones(shape), outputs, where, "weights")
    if not (np.isfinite(weights) & (weights >= 0.0)).all():
        raise InputError(f"{where}: weights must be finite and not negative.")
    return weights


def sigma_of(
    given: Any, shape: tuple[int, ...], outputs: Sequence[str], where: str
) -> Array | None:
    """(N, outputs) standard deviations, NaN where they are not known; None if nowhere."""
    if given is None:
        return None
    sigma = _by_output(given, np.full(shape, np.nan), outputs, where, "sigma")
    if np.isinf(sigma).any() or (sigma <= 0.0).any():
        raise InputError(f"{where}: sigma must be positive and finite, or NaN where it is unknown.")
    return None if np.isnan(sigma).all() else sigma


def censored_of(
    given: Any, shape: tuple[int, ...], outputs: Sequence[str], where: str
) -> Array | None:
    """(N, outputs) -1, 0 or 1; None if nothing is censored."""
    if given is None:
        return None
    table = _by_output(given, np.zeros(shape), outputs, where, "censored")
    if not np.isin(table, (-1.0, 0.0, 1.0)).all():
        raise InputError(f"{where}: censored is -1 (below), 0 or 1 (above), nothing else.")
    return table if table.any() else None
