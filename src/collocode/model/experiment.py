"""Experiments: what was measured, when, under which inputs, from which initial state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import KW_ONLY, dataclass, field, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import InputError, as_number, as_pair, as_values, check_fields, check_type
from ..numerics import Array, numbers
from ..numerics.signals import Signal
from .control import Control
from .events import INSTANT, Dilution, Dose, Event, Reset, Switch, placed, points_of, signals_of
from .steady import Steady


@dataclass(frozen=True)
class Initial:
    """What is known of one initial state: its value and how far to trust it, bounds, or a formula.

    Use `fixed`, `weighted`, `free`, `bounded` or `given_by`.

    Examples
    --------
    >>> fixed(1.0).is_fixed, weighted(1.0, std=0.1).is_fixed, free().std
    (True, False, inf)
    """

    value: float = float("nan")
    std: float = float("inf")
    lower: float = float("-inf")
    upper: float = float("inf")
    function: Callable[..., Any] | str | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether the state is not a variable of the problem."""
        return self.std == 0.0


def fixed(value: float) -> Initial:
    """Pin an initial state to ``value``."""
    return _checked(value, 0.0)


def weighted(value: float, std: float) -> Initial:
    """Add the prior ((x(0) - value)/std)² of an initial state to the loss."""
    if not (isinstance(std, Real) and 0.0 < std < np.inf):
        raise InputError(f"the std of a weighted initial state must be positive, not {std}.")
    return _checked(value, std)


def free() -> Initial:
    """Leave an initial state to the optimiser (the default)."""
    return Initial()


def bounded(lower: float = float("-inf"), upper: float = float("inf")) -> Initial:
    """Leave an initial state to the optimiser within bounds that hold there alone."""
    as_pair((lower, upper), "a bounded initial state")
    if not lower < upper:
        raise InputError(
            f"the bounds of an initial state cross ({lower} and {upper}); swap them, or use fixed()."
        )
    return Initial(lower=lower, upper=upper)


def given_by(function: Callable[..., Any] | str) -> Initial:
    """Make an initial state a function ``f(p)`` of the parameters, or the parameter of that name.

    Examples
    --------
    >>> given_by(lambda p: p.dose / p.volume).is_fixed
    False
    """
    if not (callable(function) or isinstance(function, str)):
        raise InputError(
            f"an initial state is given by a function of p or a parameter's name, not {function!r}."
        )
    return Initial(function=function)


def at_rest(p: Any) -> Any:
    """Stand for an initial state that a steady state gives."""
    raise AssertionError("a steady state is no function of the parameters that can be called")


def as_initial(known: Any) -> Initial:
    """Read a number, a function of p or the name of a parameter as an `Initial`."""
    if isinstance(known, Initial):
        return known
    if callable(known) or isinstance(known, str):
        return given_by(known)
    return fixed(known)


def _checked(value: float, std: float) -> Initial:
    if not (isinstance(value, Real) or np.ndim(value) == 0) or isinstance(value, str):
        raise InputError(
            f"an initial state is a number, a function of p, a parameter's name, weighted() or free(), not "
            f"{value!r:.60}."
        )
    if not np.isfinite(value):
        raise InputError(f"an initial state must be finite, not {value}; use free() if unknown.")
    return Initial(float(value), float(std))


Past = float | str | Callable[..., Any] | Signal  # of a state before the beginning


@dataclass(frozen=True)
class Truth:
    """The system that made simulated data, for reports only; no fit ever looks at it.

    Parameters
    ----------
    rhs : ``rhs(t, x, u)`` in NumPy; returns the derivatives.
    initial : true initial state of the experiments, by experiment name or one for all.
    """

    rhs: Callable[..., Any]
    initial: Mapping[str, Sequence[float]] | Sequence[float]

    def covers(self, experiment: str) -> bool:
        """Whether the true initial state of an experiment is known."""
        return not isinstance(self.initial, Mapping) or experiment in self.initial

    def initial_of(self, experiment: str) -> Array:
        """Return the true initial state of an experiment."""
        given = self.initial[experiment] if isinstance(self.initial, Mapping) else self.initial
        return np.asarray(given, dtype=float)


@dataclass(frozen=True, eq=False)
class Experiment:
    """One run: a table of measurements and the conditions it was taken under.

    Parameters
    ----------
    times : (N,) strictly increasing, two or more; one is enough if ``start`` and ``end`` give the window.
    values : (N, outputs) or (N,); NaN marks what was not measured.  A value of weight 0 becomes NaN:
        it is not there, for the fit and for all that judges it.
    outputs : names of the columns; empty names them ``y1, y2, ...``.
    weights : factors of the measurements' losses, of the shape of ``values``; None means one.  They
        count as inverse variances, in units of σ⁻².
    sigma : standard deviation of this run's noise, where it is known: one for all, by output name, or
        of the shape of ``values``; NaN or None leaves it to the loss.
    censored : of the shape of ``values``, or by output name: -1 where y is below its value (of which
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
    start, end : the window that the model has to cover; default first and last time.
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
            raise InputError(f"{where}: points= are finite times, not {self.points!r:.60}.")
        times = numbers(self.times, f"{where}: times")
        values = numbers(self.values, f"{where}: values")
        values = values[:, None] if values.ndim == 1 else values
        if self.measures or len(times):
            spans = self.start is not None and self.end is not None and self.start < self.end
            check_times(times, where, least=1 if spans else 2, replicates=self.replicates)
            self._check_nothing_decided(where)
        if values.ndim != 2 or len(values) != len(times):
            raise InputError(
                f"{where}: {len(times)} times do not fit values of shape {values.shape}; "
                "give one row per time."
            )
        outputs = tuple(self.outputs) or tuple(f"y{j + 1}" for j in range(values.shape[1]))
        if len(outputs) != values.shape[1] or len(set(outputs)) != len(outputs):
            raise InputError(
                f"{where}: {values.shape[1]} columns need as many different names, not {outputs}."
            )
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0]
            raise InputError(
                f"{where}: {outputs[column]!r} is infinite at t = {times[row]:g}; use NaN for missing."
            )
        weights = self.weights
        if weights is not None:
            weights = np.broadcast_to(numbers(weights, f"{where}: weights"), values.shape).copy()
            if not (np.isfinite(weights) & (weights >= 0.0)).all():
                raise InputError(f"{where}: weights must be finite and not negative.")
            values[weights == 0.0] = np.nan
        sigma = _sigma(self.sigma, values.shape, outputs, where)
        censored = _censored(self.censored, values.shape, outputs, where)
        start, end = self._window(times, where)
        kinds = Dose, Dilution, Reset, Switch
        events = as_values(self.events, f"events= of {where}", *kinds)
        instant = float(self.instant) or (INSTANT * (end - start) if events else 0.0)
        initial, final = (
            {k: as_initial(v) for k, v in given.items()} for given in (self.initial, self.final)
        )
        for state, past in self.history.items():
            check_past(past, f"{where}: the history of {state!r}")
        for state, known in final.items():
            if known.function is not None or np.isfinite([known.lower, known.upper]).any():
                raise InputError(
                    f"{where}: the final {state!r} can be fixed or weighted, not bounded or given by "
                    "parameters; use a PathConstraint at the end."
                )
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
        made = copy(self)
        for name, value in {**decided, **free}.items():
            object.__setattr__(made, name, value)
        return made

    def _window(self, times: Array, where: str) -> tuple[float, float]:
        """First and last time, checked against the data."""
        start = float(times[0] if self.start is None else self.start)
        end = float(times[-1] if self.end is None else self.end)
        if len(times) and (start > times[0] or end < times[-1]):
            raise InputError(
                f"{where}: the window [{start:g}, {end:g}] does not cover the measurements "
                f"[{times[0]:g}, {times[-1]:g}]; widen it or cut the data."
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
        jumps = np.unique(
            np.concatenate(
                [
                    points_of(placed(self.events, self.placed, self.instant), self.instant),
                    self.points,
                    *places,
                ]
            )
        )
        return jumps[(jumps > self.start) & (jumps < self.end)]

    def select(self, outputs: Sequence[str]) -> Experiment:
        """Return the experiment with only the columns ``outputs``, NaN where it has none."""
        mine = [self.outputs.index(n) if n in self.outputs else -1 for n in outputs]

        def columns(table: Any, absent: float) -> Any:
            if table is None:
                return None
            padded = np.column_stack([table, np.full(self.samples, absent)])
            return padded[:, mine]

        return replace(
            self,
            values=columns(self.values, np.nan),
            weights=columns(self.weights, 1.0),
            sigma=columns(self.sigma, np.nan),
            censored=columns(self.censored, 0.0),
            outputs=tuple(outputs),
        )

    def window(self, start: float, end: float, name: str | None = None) -> Experiment:
        """Return the part of the experiment that was measured in [start, end]."""
        keep = (self.times >= start) & (self.times <= end)
        return replace(
            self,
            times=self.times[keep],
            values=self.values[keep],
            weights=None if self.weights is None else self.weights[keep],
            sigma=None if self.sigma is None else np.asarray(self.sigma)[keep],
            censored=None if self.censored is None else np.asarray(self.censored)[keep],
            initial=self.initial if start <= self.times[0] else {},
            history=self.history if start <= self.times[0] else {},
            steady=self.steady if start <= self.times[0] else None,
            name=name or self.name,
            start=None,
            end=None,
        )

    def __repr__(self) -> str:
        return (
            f"Experiment({self.name!r}, outputs={self.outputs}, samples={self.samples}, "
            f"[{self.start:g}, {self.end:g}])"
        )


def check_past(past: Any, what: str) -> None:
    """Refuse what is no history of a state."""
    number = isinstance(past, Real) and np.isfinite(float(past))
    if not (number or isinstance(past, str | Signal) or callable(past)):
        raise InputError(
            f"{what} is a finite number, a Signal, a function of t and p or a parameter's name, not "
            f"{past!r:.60}."
        )


def check_times(times: Array, where: str, least: int = 2, replicates: bool = False) -> None:
    """Refuse times that are too few, NaN, unsorted or (without ``replicates``) duplicate, naming the first."""
    if times.ndim != 1:
        raise InputError(f"{where}: times must be a row of numbers, not of shape {times.shape}.")
    distinct = len(np.unique(times)) if replicates else len(times)
    if distinct < least:
        raise InputError(
            f"{where}: {distinct} time is too few; at least 2 are needed, or start= and end=."
            if distinct == 1
            else f"{where}: there are no times; add data."
        )
    if not np.isfinite(times).all():
        bad = int(np.flatnonzero(~np.isfinite(times))[0])
        raise InputError(
            f"{where}: time in row {bad + 1} is {times[bad]}; drop or repair that row."
        )
    steps = np.diff(times)
    if (steps == 0.0).any() and not replicates:
        bad = int(np.flatnonzero(steps == 0.0)[0])
        raise InputError(
            f"{where}: time {times[bad]:g} occurs twice (rows {bad + 1} and {bad + 2}); "
            "name the column of experiments, or say replicates=True if one run was measured again."
        )
    if (steps < 0.0).any():
        bad = int(np.flatnonzero(steps < 0.0)[0])
        raise InputError(
            f"{where}: times are not sorted: {times[bad + 1]:g} (row {bad + 2}) follows "
            f"{times[bad]:g}; sort the rows or name an experiment column."
        )


def _by_output(given: Any, filled: Array, outputs: Sequence[str], where: str, what: str) -> Array:
    """Fill a table of the data's shape from one for all, a column a name, or a table."""
    shape = filled.shape
    if isinstance(given, Mapping):
        for name, value in given.items():
            if name not in outputs:
                raise InputError(
                    f"{where}: {what} names {name!r}, which is no output; outputs: {', '.join(outputs)}."
                )
            filled[:, outputs.index(name)] = numbers(value, f"{where}: {what}")
        return filled
    table = numbers(given, f"{where}: {what}")
    table = table[:, None] if table.ndim == 1 and len(table) == shape[0] else table
    try:
        filled[:] = table
    except ValueError as error:
        raise InputError(
            f"{where}: {what} of shape {table.shape} does not fit values of shape {shape}."
        ) from error
    return filled


def _sigma(given: Any, shape: tuple[int, ...], outputs: Sequence[str], where: str) -> Array | None:
    """(N, outputs) standard deviations, NaN where they are not known; None if nowhere."""
    if given is None:
        return None
    sigma = _by_output(given, np.full(shape, np.nan), outputs, where, "sigma")
    if np.isinf(sigma).any() or (sigma <= 0.0).any():
        raise InputError(f"{where}: sigma must be positive and finite, or NaN where it is unknown.")
    return None if np.isnan(sigma).all() else sigma


def _censored(
    given: Any, shape: tuple[int, ...], outputs: Sequence[str], where: str
) -> Array | None:
    """(N, outputs) -1, 0 or 1; None if nothing is censored."""
    if given is None:
        return None
    table = _by_output(given, np.zeros(shape), outputs, where, "censored")
    if not np.isin(table, (-1.0, 0.0, 1.0)).all():
        raise InputError(f"{where}: censored is -1 (below), 0 or 1 (above), nothing else.")
    return table if table.any() else None
