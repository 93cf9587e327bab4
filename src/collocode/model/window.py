"""Windows without data: a stretch of time, fixed or free, over which inputs are decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..checks import apart, as_pair, check_fields
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..numerics.signals import Signal
from .experiment import Experiment
from .parameters import check_bounds


@dataclass(frozen=True, eq=False, repr=False)
class Window(Experiment):
    """An `Experiment` in which nothing is measured; made with keywords.

    Parameters
    ----------
    start, end : its times; first guesses where they are free.
    start_bounds, end_bounds : (lower, upper) make a time free.
    duration_bounds : (lower, upper) of end − start, where both are free.
    controls : the inputs that are decided, by name; ``inputs`` are given as in any experiment.
    initial, final : what is known of the states at both ends, as in any experiment.
    guess : a number or `Signal` by state (or algebraic variable) to start from; by default, the line between what is
        known at the ends.
    name : how messages and reports call it.

    Examples
    --------
    A double integrator that is brought to rest at 1 in free time:

    >>> from collocode.model.control import Control
    >>> Window(
    ...     end=2.0,
    ...     end_bounds=(0.1, 10.0),
    ...     controls={"a": Control(-1.0, 1.0)},
    ...     initial={"x": 0.0, "v": 0.0},
    ...     final={"x": 1.0, "v": 0.0},
    ... )
    Window('window', controls=('a',), [0, 2 (free)])
    """

    times: Array = field(default_factory=lambda: np.empty(0))
    values: Array = field(default_factory=lambda: np.empty((0, 0)))
    name: str = "window"
    start: float | None = 0.0
    measures: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)
        where, start, end = f"window {self.name!r}", self.start, self.end
        if start is None or end is None:
            raise InputError(f"{where} has no end; give Window(end=...), a guess if it is free.")
        if not (np.isfinite([start, end]).all() and start < end):
            told = apart(start, end, digits=12)
            raise InputError(f"{where} runs from {told[0]} to {told[1]}; give finite start < end.")
        for label, time, bounds in (
            ("start", start, self.start_bounds),
            ("end", end, self.end_bounds),
        ):
            if bounds is not None:
                check_bounds(
                    *as_pair(bounds, f"{label}_bounds= of {where}"), f"the {label} of {where}"
                )
                if not bounds[0] <= time <= bounds[1]:
                    told = apart(time, bounds[0], bounds[1])
                    raise InputError(
                        f"{where} has {label} = {told[0]} for a guess, outside its bounds "
                        f"[{told[1]}, {told[2]}]; move one of them."
                    )
        latest = start if self.start_bounds is None else self.start_bounds[1]
        earliest = end if self.end_bounds is None else self.end_bounds[0]
        if self.duration_bounds is not None:
            pair = as_pair(self.duration_bounds, f"duration_bounds= of {where}")
            check_bounds(*pair, f"the duration of {where}")
            if not (self.is_free and self.duration_bounds[0] > 0.0):
                raise InputError(
                    f"duration_bounds={self.duration_bounds} of {where} need a free time and a positive "
                    "lower bound."
                )
        elif not earliest > latest:
            told = apart(earliest, latest, digits=12)
            raise InputError(
                f"{where} may shrink to nothing (its end may be {told[0]}, its start {told[1]}); "
                "raise the lower bound of the end, lower the upper bound of the start, or give "
                "duration_bounds=."
            )
        self.check_controls(where)
        for name, signal in self.inputs.items():
            check_type(f"inputs[{name!r}] of {where}", signal, Signal)
        for name, value in self.guess.items():
            check_type(f"guess[{name!r}] of {where}", value, Signal, float, int, np.number)
        if self.is_free and self.events:
            raise InputError(
                f"{where} has free times, but an event at a given one; end the window where the event is, and "
                "let a Link with a jump= begin the next."
            )
        moving = [name for name, signal in self.inputs.items() if np.ptp(signal.values) > 0.0]
        if self.is_free and moving:
            raise InputError(
                f"{where} has free times, but input {moving[0]!r} is a signal of given times; make it "
                "constant, a Control, or a function of t in the dynamics."
            )
        super().__post_init__()

    def __repr__(self) -> str:
        ends = [
            f"{time:.12g}{' (free)' if bounds else ''}"
            for time, bounds in ((self.start, self.start_bounds), (self.end, self.end_bounds))
        ]
        controls = f", controls={tuple(self.controls)}" if self.controls else ""
        return f"Window({self.name!r}{controls}, [{', '.join(ends)}])"


def check_shared(experiments: Sequence[Experiment], inputs: Sequence[str]) -> None:
    """Refuse controls that windows share but give differently, and bases that are too short for a window.

    Raises
    ------
    InputError
        There is one.
    """
    for name in inputs:
        deciding = [e for e in experiments if name in e.controls]
        for e in deciding:
            control, first = e.controls[name], deciding[0].controls[name]
            if control != first and (control.shared or first.shared):
                raise InputError(
                    f"windows {deciding[0].name!r} and {e.name!r} share control {name!r}, but give it "
                    "differently; give both the same Control."
                )
            if control.basis is None:
                continue
            start, end = control.basis.interval
            slack = 1e-9 * (end - start)
            assert e.start is not None and e.end is not None
            if e.start < start - slack or e.end > end + slack:
                raise InputError(
                    f"control {name!r} is a {control.basis!r}, but window {e.name!r} runs over "
                    f"[{e.start:.12g}, {e.end:.12g}]; give the basis an interval that covers it."
                )
