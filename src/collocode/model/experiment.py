"""Experiments: what was measured, when, under which inputs, from which initial state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from ..checks import apart, as_number, as_values, check_fields, shown
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array, Mask, numbers
from ..numerics.signals import Signal
from .control import Control
from .events import Dilution, Dose, Event, Reset, Switch, ends_before
from .excerpts import Excerpts
from .experiment_checks import (
    censored_of,
    check_final,
    check_past,
    check_times,
    outputs_of,
    sigma_of,
    weights_of,
)
from .impulses import instant_in, passing, placed, points_of, signals_of
from .initial import Initial, as_initial
from .steady import Steady

Past = float | str | Callable[..., Any] | Signal  # of a state before the beginning


@dataclass(frozen=True, eq=False)
class Experiment(Excerpts):
    """One run: a table of measurements and the conditions it was taken under.

    Parameters
    ----------
    times : (N,) strictly increasing, two or more; one is enough if ``start`` and ``end`` give the window.
    values : (N, outputs) or (N,); NaN marks what was not measured.  A value of weight 0 becomes NaN:
        it is not there, for the fit and for all that judges it.
    outputs : names of the columns; empty names them ``y1, y2, ...``.
    weights : factors of the measurements' losses: one for all, by output name (one, or N), or of the shape
        of ``values``, nothing between; None means one.  They count as inverse variances, in units of σ⁻².
    sigma : standard deviation of this run's noise, where it is known, given as the weights are; NaN or
        None leaves it to the loss.
    censored : given as the weights are: -1 where y is below its value (of which
        only that is known, say a limit of detection), 1 where it is above, else 0; see `likelihoods`.
    inputs : exogenous signals by name.
    controls : inputs that nobody measured, by name: they are decided, see `Control`, by what the data and
        the problem's costs tell; outputs cannot depend on them.
    initial : `fixed`, `weighted`, `bounded`, `given_by` or `free` by state name; a number means fixed,
        a function of p or a parameter's name given by it.
    history : what states were before the beginning, by name, where a delay looks back (`Delay`): a number,
        a `Signal`, a function ``h(t, p)`` or a parameter's name; by default the initial state.
    parameters : what parameters are in this run, by name: a number, or the name of another one, as for
        a group of runs.
    replicates : whether one time may occur in several rows, repeated measurements of the same run; by
        default that is refused, for it is how several runs look whose names were left out.
    events : `Dose`, `Dilution`, `Reset` and `Switch` at known or estimated times; they become inputs, see
        `events`.
    steady : makes it begin at rest, see `Steady`; ``initial`` are then the states before that.
    name : how messages and reports call the experiment.
    start, end : the window that the model has to cover; default first and last time, or from the first
        event on where that comes before.
    notes : what a reader decided about the file that it is from, a phrase each.
    instant : how long an event that takes no time takes; 0 for a ten-millionth of the duration.
    points : times that the mesh shall have among its points.
    placed : where events at estimated times are, by the parameter's name; a problem places them.
    final, start_bounds, end_bounds, duration_bounds, guess : see `Window`, the experiment without data.

    Raises
    ------
    InputError
        Times that are NaN, unsorted or duplicate, shapes that do not fit, infinite values,
        negative weights, a sigma that is not positive; free times beside data.

    Examples
    --------
    >>> Experiment([0.0, 1.0, 2.0], [[1.0], [float("nan")], [3.0]], outputs=("y",))
    Experiment('experiment', outputs=('y',), samples=3, [0, 2])
    """

    times: Array
    values: Array
    outputs: tuple[str, ...] = ()
    _: KW_ONLY
    weights: Array | None = None
    sigma: Array | float | Mapping[str, Any] | None = None
    censored: Array | Mapping[str, Any] | None = None
    inputs: Mapping[str, Signal] = field(default_factory=dict)
    initial: Mapping[str, Initial | float | str | Callable[..., Any]] = field(default_factory=dict)
    history: Mapping[str, Past] = field(default_factory=dict)
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    steady: Steady | None = None
    events: Sequence[Event] = ()
    name: str = "experiment"
    start: float | None = None
    end: float | None = None
    notes: tuple[str, ...] = ()
    controls: Mapping[str, Control] = field(default_factory=dict)
    final: Mapping[str, Initial | float] = field(default_factory=dict)
    start_bounds: tuple[float, float] | None = None
    end_bounds: tuple[float, float] | None = None
    duration_bounds: tuple[float, float] | None = None
    guess: Mapping[str, Signal | float] = field(default_factory=dict)
    replicates: bool = False
    instant: float = 0.0
    points: tuple[float, ...] = ()
    placed: Mapping[str, float] = field(default_factory=dict)
    measures: ClassVar[bool] = True

    def __post_init__(self) -> None:
        where = f"{'experiment' if self.measures else 'window'} {self.name!r}"
        check_fields(self)
        for name, signal in self.inputs.items():
            check_type(f"inputs[{name!r}] of {where}", signal, Signal)
        for name, given in self.parameters.items():
            if not isinstance(given, str):
                as_number(given, f"parameters[{name!r}] of {where}")
        if self.steady is not None:
            check_type(f"steady= of {where}", self.steady, Steady)
        if as_number(self.instant, f"instant= of {where}") < 0.0:
            raise InputError(
                f"{where}: instant= is {self.instant:g}, but no event takes less than 0."
            )
        points = numbers(self.points, f"{where}: points")
        if points.ndim != 1 or not np.isfinite(points).all():
            raise InputError(f"{where}: points= are finite times, not {shown(self.points)}.")
        times = numbers(self.times, f"{where}: times")
        values = numbers(self.values, f"{where}: values")
        values = values[:, None] if values.ndim == 1 else values
        kinds = Dose, Dilution, Reset, Switch
        events = as_values(self.events, f"events= of {where}", *kinds)
        if self.measures or len(times):
            first = min(_jumps(events), default=None) if self.start is None else self.start
            check_times(times, where, (first, self.end), self.replicates)
            self._check_nothing_decided(where)
        outputs = outputs_of(self.outputs, values, times, where)
        weights = self.weights
        if weights is not None:
            weights = weights_of(weights, values.shape, outputs, where)
            values[weights == 0.0] = np.nan
        sigma = sigma_of(self.sigma, values.shape, outputs, where)
        censored = censored_of(self.censored, values.shape, outputs, where)
        start, end = self._window(times, events, where)
        instant = float(self.instant) or (instant_in(start, end) if events else 0.0)
        initial, final = (
            {k: as_initial(v) for k, v in given.items()} for given in (self.initial, self.final)
        )
        for state, past in self.history.items():
            check_past(past, f"{where}: the history of {state!r}")
        check_final(final, where)
        for label, value in {
            "times": times,
            "values": values,
            "outputs": outputs,
            "weights": weights,
            "sigma": sigma,
            "censored": censored,
            "inputs": {**self.inputs, **signals_of(placed(events, self.placed, instant), instant)},
            "events": events,
            "instant": instant,
            "initial": initial,
            "final": final,
            "start": start,
            "end": end,
        }.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, label, value)

    def _check_nothing_decided(self, where: str) -> None:
        for what, decided in (
            ("a free start", self.start_bounds),
            ("a free end", self.end_bounds),
        ):
            if decided:
                raise InputError(
                    f"{where} has measurements at given times, so it cannot have {what}; put what is "
                    "decided into a Window of the same problem."
                )
        self.check_controls(where)
        if self.controls and self.steady is not None:
            raise InputError(
                f"{where} begins at rest under inputs that are given, so none can be decided; leave out "
                "steady= or controls=."
            )

    def check_controls(self, where: str) -> None:
        """Refuse what is no control, and inputs that are both given and decided."""
        for name, control in self.controls.items():
            check_type(f"controls[{name!r}] of {where}", control, Control)
            if name in self.inputs:
                raise InputError(
                    f"{where}: input {name!r} is both given and decided; take it out of inputs= or of "
                    "controls=."
                )

    def resolved(
        self,
        inputs: Mapping[str, Signal],
        history: Mapping[str, Past],
        start: float,
        end: float,
    ) -> Self:
        """Return the same with nothing left to decide; what was checked already is not checked again."""
        decided = {"inputs": inputs, "history": history, "controls": {}, "start": start, "end": end}
        free = dict.fromkeys(("start_bounds", "end_bounds", "duration_bounds"))
        return self._with(**decided, **free)

    def with_events(
        self, events: Sequence[Event], placed: Mapping[str, float], instant: float
    ) -> Self:
        """Return the same with the events that its inputs are made of."""
        return self._with(events=tuple(events), placed=dict(placed), instant=instant)

    def _with(self, **fields: Any) -> Self:
        made = copy(self)
        for name, value in fields.items():
            object.__setattr__(made, name, value)
        return made

    def _window(self, times: Array, events: Sequence[Event], where: str) -> tuple[float, float]:
        """First and last time, checked against data and events."""
        jumps = [e for e in events if e.states and not isinstance(e.time, str)]
        first = min(_jumps(events), default=np.inf)
        start = float(min(times[0], first) if self.start is None else self.start)
        over = [e for e in jumps if ends_before(e, start)]
        if over:
            told = apart(over[0].time, start, digits=12)
            raise InputError(
                f"{where}: the {type(over[0]).__name__.lower()} at {told[0]} comes before its start, "
                f"{told[1]}; let it begin earlier by start=, or leave the event out."
            )
        end = float(times[-1] if self.end is None else self.end)
        if self.measures and end <= start:
            told = apart(end, start, digits=12)
            raise InputError(
                f"{where}: it ends at {told[0]}, not after its start at {told[1]}; give another end= or "
                "start=."
            )
        if len(times) and (start > times[0] or end < times[-1]):
            told = apart(start, end, times[0], times[-1], digits=12)
            raise InputError(
                f"{where}: the window [{told[0]}, {told[1]}] does not cover the measurements "
                f"[{told[2]}, {told[3]}]; widen it or cut the data."
            )
        return start, end

    @property
    def is_free(self) -> bool:
        """Whether its start or its end is decided."""
        return self.start_bounds is not None or self.end_bounds is not None

    @property
    def samples(self) -> int:
        """Number of times."""
        return len(self.times)

    @property
    def jumps(self) -> Array:
        """Times inside the window at which an input is discontinuous, or a control's basis not smooth.

        A control beside data jumps where these pull at it, at the samples.
        """
        assert self.start is not None and self.end is not None
        places = [signal.jumps for signal in self.inputs.values()]
        places += [c.basis.breaks for c in self.controls.values() if c.basis is not None]
        places += [self.times] if self.controls else []
        jumps = np.unique(np.concatenate([self.event_points, self.points, *places]))
        return jumps[(jumps > self.start) & (jumps < self.end)]

    @property
    def event_points(self) -> Array:
        """Times between which events act: no element may step over one."""
        return points_of(placed(self.events, self.placed, self.instant), self.instant)

    def passing(self, times: Array) -> Mask:
        """Which times lie within the instant of an event."""
        return passing(placed(self.events, self.placed, self.instant), self.instant, times)

    def __repr__(self) -> str:
        return (
            f"Experiment({self.name!r}, outputs={self.outputs}, samples={self.samples}, "
            f"[{self.start:.12g}, {self.end:.12g}])"
        )


def _jumps(events: Sequence[Event]) -> list[float]:
    """Known times at which something happens to the states."""
    return [float(e.time) for e in events if e.states and not isinstance(e.time, str)]
