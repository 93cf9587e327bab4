"""What a problem makes of its experiments: events placed and shared, inputs shifted, kinks on the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..checks import check_named
from ..errors import InputError
from ..numerics.signals import Signal
from .delays import Delay, breaking_points, check_lag, given_input, told
from .event_times import Boundary, boundaries_of
from .events import Switch
from .experiment import Experiment
from .impulses import impulses_of, placed, signals_of
from .parameters import Parameter

Experiments = tuple[Experiment, ...]
Parameters = Mapping[str, Parameter]


def events_placed(experiments: Experiments, known: Parameters, other: bool) -> Experiments:
    """Put events at estimated times where their parameters start, with points of the mesh beside.

    Parameters
    ----------
    known : parameters by name.
    other : whether the problem has what moving elements cannot stand beside.

    Raises
    ------
    InputError
        A time that is no constant parameter with bounds, or that cannot be estimated here.
    """
    found = []
    for e in experiments:
        names = {event.time for event in e.events if isinstance(event.time, str)}
        for name in names:
            _check_event_time(e, name, known, other)
        at = {name: known[name].start for name in names}
        e = replace(e, placed=at) if names else e
        points = [p for b in boundaries_in(e, known) for p in b.points().tolist()]
        found.append(replace(e, points=tuple(sorted({*e.points, *points}))) if names else e)
    return tuple(found)


def _check_event_time(e: Experiment, name: str, known: Parameters, other: bool) -> None:
    where = f"the time {name!r} of an event of experiment {e.name!r}"
    if name not in known:
        raise InputError(f"{where} is no parameter; add it.")
    q = known[name]
    if q.basis is not None or not np.isfinite([q.lower, q.upper]).all():
        raise InputError(
            f"{where} is a constant parameter whose bounds say between which times it lies; give "
            f"Parameter({name!r}, ..., lower=..., upper=...)."
        )
    own = name in e.parameters
    if own or other or e.controls or e.is_free:
        raise InputError(
            f"{where} cannot be estimated beside "
            + (
                "a value of the parameter in parameters=; give the event that time."
                if own
                else "algebraic variables, delayed states, controls, links or free times; give the "
                "event a number."
            )
        )


def boundaries_in(e: Experiment, known: Parameters) -> tuple[Boundary, ...]:
    """Return where phases of an experiment meet at estimated times.

    Raises
    ------
    InputError
        Bounds that overlap, or an input that varies between them.
    """
    assert e.start is not None
    assert e.end is not None
    bounds = {name: (known[name].lower, known[name].upper) for name in e.placed}
    found = boundaries_of(e.events, e.placed, bounds, (e.start, e.end), e.instant)
    acting = signals_of(placed(e.events, e.placed, e.instant), e.instant)
    for b in found:
        for name, signal in e.inputs.items():
            within = signal([b.first, *signal.times, b.last])
            times = np.array([b.first, *signal.times, b.last])
            inside = within[(times >= b.first) & (times <= b.last)]
            if name not in acting and np.ptp(inside):
                raise InputError(
                    f"input {name!r} of experiment {e.name!r} varies where the time {b.parameter!r} of an "
                    "event is looked for; narrow that parameter's bounds."
                )
    return found


def impulses_shared(everywhere: Experiments, states: Sequence[str]) -> Experiments:
    """Give every experiment the inputs that events of any of them act by.

    Raises
    ------
    InputError
        An event of what is no state.
    """
    nothing: dict[str, Signal] = {}
    for e in everywhere:
        for event in e.events:
            check_named(f"an event of experiment {e.name!r}", event.states, "state", states)
    for e in everywhere:
        for impulse in impulses_of(placed(e.events, e.placed, e.instant)):
            nothing.setdefault(impulse.name, Signal(np.zeros(1), np.zeros(1), "zoh"))
    for e in everywhere:
        for event in e.events:
            if isinstance(event, Switch):  # those without stay as they are before it
                value = Signal(np.zeros(1), np.array([event.before]), "zoh")
                nothing.setdefault(event.input, value)
    if not nothing:
        return everywhere
    return tuple(replace(e, inputs={**nothing, **e.inputs}) for e in everywhere)


def inputs_delayed(
    delays: Mapping[str, Delay | float | str],
    experiments: Experiments,
    test: Experiments,
    known: Parameters,
) -> tuple[dict[str, Delay], Experiments, Experiments]:
    """Shift inputs of known dead time, and tell where the steps of the others are.

    Raises
    ------
    InputError
        A delay that is no parameter, or of what is no input.
    """
    wanted = {n: d if isinstance(d, Delay) else Delay(d) for n, d in delays.items()}
    of_inputs = {n: d for n, d in wanted.items() if not d.of}
    known_by = {n: d.by for n, d in of_inputs.items() if not isinstance(d.by, str)}
    everywhere, count = [*experiments, *test], len(experiments)
    for e in everywhere:
        for name in of_inputs:
            given_input(e, name)
    for k, e in enumerate(everywhere):
        inputs = {n: s.later(known_by.get(n, 0.0)) for n, s in e.inputs.items()}
        if any(inputs[n] is not s for n, s in e.inputs.items()):
            everywhere[k] = replace(e, inputs=inputs)
    for name, delay in of_inputs.items():
        if not isinstance(delay.by, str):
            continue
        if delay.by not in known:
            raise InputError(
                f"input {name!r} is delayed by {delay.by!r}, which is no parameter; add it."
            )
        if any(f"{name}.width" not in e.inputs for e in everywhere):
            everywhere = told(name, delay, known[delay.by], everywhere[:count], everywhere)
    return wanted, tuple(everywhere[:count]), tuple(everywhere[count:])


def check_lags(
    lags: Mapping[str, Delay],
    everywhere: Experiments,
    names: tuple[Sequence[str], Sequence[str]],
    known: Parameters,
    links: bool,
) -> None:
    """Refuse delayed states and histories that do not fit.

    Parameters
    ----------
    names : of states and of algebraic variables.
    links : whether there are links between windows.

    Raises
    ------
    InputError
        What cannot be, and what to do.
    """
    states, algebraics = names
    first = everywhere[0]
    for name, delay in lags.items():
        taken = (*states, *first.inputs, *first.controls, *algebraics)
        check_lag(name, delay, tuple(states), taken, known)
    looked_at = {delay.of for delay in lags.values()}
    for e in everywhere:
        for state, past in e.history.items():
            if looked_at:
                where = f"history= of experiment {e.name!r}"
                check_named(where, [state], "state that a delay looks at", looked_at)
            else:
                raise InputError(
                    f"experiment {e.name!r} has a history of {state!r}, which no delay looks at; add "
                    f'one, say delays={{"late": Delay(1.0, of={state!r})}}, or leave it out.'
                )
            if isinstance(past, str) and past not in known:
                raise InputError(
                    f"the history of {state!r} in experiment {e.name!r} is {past!r}, which is no "
                    "parameter; add it."
                )
    for what, there in (
        ("algebraic variables", bool(algebraics)),
        ("links between windows", links),
        ("free times", any(e.is_free for e in everywhere)),
    ):
        if lags and there:
            raise InputError(
                f"a problem with {what} has no delayed states here; leave out the delay "
                f"{next(iter(lags))!r}."
            )


def kinks_marked(experiments: Experiments, lags: Mapping[str, Delay]) -> Experiments:
    """Make the kinks that known delays bring points of the mesh."""
    if not lags:
        return experiments
    marks = [{*e.points, *breaking_points(lags.values(), e)} for e in experiments]
    pairs = zip(experiments, marks, strict=True)
    return tuple(replace(e, points=tuple(sorted(points))) for e, points in pairs)
