r"""Delays, known or estimated: dead time of inputs, :math:`u(t-\theta)`, and states of the past.

A known delay of an input shifts the signal.  One that is estimated, the parameter θ, makes the input an
expression of it, in which steps and bends are rounded off over a *width* w:

.. math:: u(t-\theta)\approx u_0+\sum_ka_kH\Bigl(\frac{t-\theta-t_k}{w}\Bigr)
          +\sum_kb_kR\Bigl(\frac{t-\theta-t_k}{w}\Bigr),\qquad H(s)=\tfrac12(1+\tanh 2s),

R the ramp that belongs to it.  The rounding is even, so it moves no step; what is left of it in a
response of time constant τ is of the size :math:`(w/\tau)^2/10`.  The mesh follows the places where a step
may come to lie, hence the bounds of θ.

A *delayed state* is a name of its own, ``delays={"late": Delay("tau", of="N")}``, which the model reads as
``x.late``, :math:`N(t-\tau)`; `collocode.transcription.lags` tells how it is discretized.  What it was
before the beginning an experiment's ``history`` says.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import casadi as ca
import numpy as np

from ..checks import check_fields, check_has, check_named
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..numerics.signals import Signal
from .activations import CASADI
from .dynamics import Dynamics
from .experiment import Experiment
from .parameters import Parameter

_MOST = 100  # steps or bends of an input whose delay is estimated
_LEVELS = 4  # of breaking points: behind them a solution is smooth enough for any scheme
_MOST_BREAKS = 60


@dataclass(frozen=True)
class Delay:
    """How late an input acts, or how far back a state is looked at.

    Parameters
    ----------
    by : a number, or the name of a parameter that is estimated.
    width : over which steps of an input are rounded off if it is; 0 takes the usual time between data.
    of : the state that is looked at; empty for a dead time of the input of the delay's own name.

    Examples
    --------
    >>> Delay("theta").width, Delay("tau", of="N").of
    (0.0, 'N')
    """

    by: float | str
    width: float = 0.0
    _: KW_ONLY
    of: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 <= self.width < np.inf:
            raise InputError(
                f"the width of a delay must be finite and not negative, not {self.width}."
            )
        if not isinstance(self.by, str) and not 0.0 <= self.by < np.inf:
            raise InputError(f"a delay must be finite and not negative, not {self.by}.")


def usual_step(experiments: Sequence[Experiment]) -> float:
    """Median time between neighbouring data."""
    steps = [np.diff(np.unique(e.times)) for e in experiments if e.samples > 1]
    return float(np.median(np.concatenate(steps))) if steps else 1.0


def parts_of(signal: Signal, where: str) -> tuple[float, Array, Array, Array]:
    """Return first value, times, steps and changes of slope of a signal.

    Raises
    ------
    InputError
        A spline, a polynomial, or too many samples.
    """
    if signal.kind not in ("zoh", "linear"):
        raise InputError(
            f"{where} is of kind {signal.kind!r}; only one of kind 'zoh' or 'linear' has a delay that is "
            "estimated."
        )
    t, v = signal.times, signal.values
    if signal.kind == "zoh":
        steps = np.diff(v, prepend=v[:1])
        bends = np.zeros(len(t))
    else:
        slopes = np.diff(v) / np.diff(t) if len(t) > 1 else np.zeros(0)
        steps, bends = np.zeros(len(t)), np.diff(np.concatenate([[0.0], slopes, [0.0]]))
    kept = (steps != 0.0) | (bends != 0.0)
    if kept.sum() > _MOST:
        raise InputError(
            f"{where} has {int(kept.sum())} steps or bends; a delay is estimated from at most {_MOST}. "
            "Thin it out."
        )
    return float(v[0]), t[kept], steps[kept], bends[kept]


def given_input(experiment: Experiment, name: str) -> Signal:
    """Return the signal of an input that a delay moves.

    Raises
    ------
    InputError
        There is none, or the input is decided.
    """
    if name in experiment.controls:
        raise InputError(
            f"window {experiment.name!r} decides {name!r}, which a delay cannot move; make it a state whose "
            f"derivative is the control, and delay that: delays={{'late': Delay(..., of={name!r})}}."
        )
    check_has(f"experiment {experiment.name!r}, for delays=,", "input", name, experiment.inputs)
    return experiment.inputs[name]


def told(
    name: str,
    delay: Delay,
    q: Parameter,
    experiments: Sequence[Experiment],
    everywhere: Sequence[Experiment],
) -> list[Experiment]:
    """Return experiments with the steps of a delayed input as constant inputs, and with mesh points.

    Raises
    ------
    InputError
        A parameter without finite bounds that are not negative, or an input that cannot be delayed.
    """
    if not (np.isfinite(q.upper) and q.lower >= 0.0):
        raise InputError(
            f"input {name!r} is delayed by {q.name!r}, whose bounds have to say where steps may come to "
            f"lie; give Parameter({q.name!r}, ..., lower=0.0, upper=...)."
        )
    width = delay.width or usual_step(experiments)
    signals = [given_input(e, name) for e in everywhere]
    bent = [
        parts_of(s, f"input {name!r} of experiment {e.name!r}")[1]
        for s, e in zip(signals, everywhere, strict=True)
    ]
    late, found = np.arange(q.lower, q.upper + width, width), []
    for e, signal, times in zip(everywhere, signals, bent, strict=True):
        others = {n: s for n, s in e.inputs.items() if not n.startswith(f"{name}.")}
        constants = constants_of(name, signal, width, max(map(len, bent)))
        points = (times[:, None] + late[None, :]).ravel()
        points = np.unique(np.round(points / width)) * width
        found.append(replace(e, inputs={**others, **constants}, points=tuple(points.tolist())))
    return found


def constants_of(name: str, signal: Signal, width: float, count: int) -> dict[str, Signal]:
    """Return the constant inputs by which a model of estimated dead time knows a signal of so many steps and bends.

    Raises
    ------
    InputError
        A signal that has more of them, or of which a delay is not estimated.
    """
    first, times, steps, bends = parts_of(signal, f"input {name!r}")
    if len(times) > count:
        raise InputError(
            f"input {name!r} has {len(times)} steps or bends, but those that its dead time was estimated from have "
            f"{count} at most; simulate up to a step, or fit with dead times that are numbers."
        )
    empty = np.zeros(count - len(times))
    table = {"time": np.append(times, empty + signal.times[0]), "step": np.append(steps, empty)}
    table["bend"] = np.append(bends, empty)
    values = {f"{name}.first": first, f"{name}.width": width}
    values |= {f"{name}.{what}{k}": v for what, row in table.items() for k, v in enumerate(row)}
    return {n: Signal(np.zeros(1), np.array([v]), "zoh") for n, v in values.items()}


def delayed(name: str, t: Any, by: Any, u: dict[str, Any]) -> Any:
    """Return the delayed input as an expression of time, delay and the constants of `told`."""
    width, value, k = u[f"{name}.width"], u[f"{name}.first"], 0
    while f"{name}.time{k}" in u:
        s = t - by - u[f"{name}.time{k}"]
        value += u[f"{name}.step{k}"] * (0.5 + 0.5 * CASADI.tanh(2.0 * s / width))
        value += u[f"{name}.bend{k}"] * 0.5 * (s + CASADI.sqrt(s**2 + (0.25 * width) ** 2))
        k += 1
    return value


def longest(delay: Delay, experiment: Experiment, known: Mapping[str, Parameter]) -> float:
    """Return how far back an experiment looks at most."""
    return span_of(delay, experiment, known)[1]


def span_of(
    delay: Delay, experiment: Experiment, known: Mapping[str, Parameter]
) -> tuple[float, float]:
    """Return the least and the largest value that a delay may take in an experiment."""
    by: float | str = delay.by
    if isinstance(by, str):
        by = experiment.parameters.get(by, by)
    if isinstance(by, str):
        return known[by].lower, known[by].upper
    return float(by), float(by)


def check_lag(
    name: str,
    delay: Delay,
    states: Sequence[str],
    taken: Iterable[str],
    known: Mapping[str, Parameter],
) -> None:
    """Refuse a delayed state that cannot be.

    Raises
    ------
    InputError
        A state or parameter that there is not, a name that is taken, bounds that leave the delay open.
    """
    check_named(f"of= of delay {name!r}", [delay.of], "state", states)
    if name in taken:
        raise InputError(
            f"the delayed state {name!r} needs a name of its own, which no state, input or variable has; "
            "rename it."
        )
    if not isinstance(delay.by, str):
        return
    if delay.by not in known:
        raise InputError(
            f"state {delay.of!r} is delayed by {delay.by!r}, which is no parameter; add it."
        )
    q = known[delay.by]
    if q.basis is not None:
        raise InputError(
            f"state {delay.of!r} is delayed by {q.name!r}, which varies in time; delays are constant."
        )
    if not (np.isfinite(q.upper) and q.lower >= 0.0):
        raise InputError(
            f"state {delay.of!r} is delayed by {q.name!r}, whose bounds have to say how far back to look; "
            f"give Parameter({q.name!r}, ..., lower=0.0, upper=...)."
        )


def breaking_points(delays: Iterable[Delay], experiment: Experiment) -> tuple[float, ...]:
    r"""Return where the solution has kinks: :math:`t_0` and jumps of inputs, plus sums of known delays."""
    known = sorted({float(d.by) for d in delays if not isinstance(d.by, str) and d.by > 0.0})
    start, end = experiment.start, experiment.end
    assert start is not None and end is not None
    sums = {
        sum(some)
        for level in range(1, _LEVELS + 1)
        for some in itertools.combinations_with_replacement(known, level)
    }
    jumps = [t for signal in experiment.inputs.values() for t in signal.jumps.tolist()]
    places = {begun + s for begun in (start, *jumps) for s in sums}
    return tuple(sorted(t for t in places if start < t < end)[:_MOST_BREAKS])


def piecewise(signal: Signal, t: Any) -> Any:
    """Return a signal as an expression of time.

    Raises
    ------
    InputError
        One of polynomials.
    """
    if signal.kind == "spline" and len(signal.times) >= 3:
        return _spline(signal, t)
    if signal.kind == "polynomial":
        raise InputError(
            "a history is a signal of kind 'zoh', 'linear' or 'spline', not 'polynomial'."
        )
    first, at, v = float(signal.values[0]), signal.times, signal.values
    if signal.kind == "zoh" or len(at) < 2:
        return first + sum(
            ((t >= a) * step for a, step in zip(at[1:], np.diff(v), strict=True)), ca.SX(0.0)
        )
    bends = np.diff(np.concatenate([[0.0], np.diff(v) / np.diff(at), [0.0]]))
    return first + sum(
        (bend * ca.fmax(t - a, 0.0) for a, bend in zip(at, bends, strict=True)), ca.SX(0.0)
    )


def _spline(signal: Signal, t: Any) -> Any:
    """The not-a-knot cubic, constant outside its samples."""
    import scipy

    pieces = scipy.interpolate.CubicSpline(signal.times, signal.values)
    t = ca.fmin(ca.fmax(t, signal.times[0]), signal.times[-1])
    within = [t >= a for a in signal.times[1:-1]]
    begun = [ca.SX(1.0), *within]
    here = [b - a for b, a in zip(begun, [*within, ca.SX(0.0)], strict=True)]
    left = sum((h * a for h, a in zip(here, signal.times, strict=False)), ca.SX(0.0))
    value: Any = ca.SX(0.0)
    for row in pieces.c:
        coefficient = sum((h * c for h, c in zip(here, row, strict=True)), ca.SX(0.0))
        value = value * (t - left) + coefficient
    return value


def first_order_plus_dead_time(
    gain: Parameter, tau: Parameter, state: str = "y", input: str = "u"
) -> Dynamics:
    r"""Return :math:`\tau\dot y=K u-y`; with ``Problem(delays={"u": "theta"})`` FOPDT.

    Parameters
    ----------
    gain, tau : K, and the time constant in units of t.
    state, input : names of y and u.

    Examples
    --------
    >>> model = first_order_plus_dead_time(Parameter("K", 1.0), Parameter("tau", 10.0))
    >>> [q.name for q in model.parameters]
    ['K', 'tau']
    """
    for what, given in (("gain", gain), ("tau", tau)):
        check_type(f"first_order_plus_dead_time({what}=...)", given, Parameter)

    def rhs(t: Any, x: Any, u: Any, p: Any, nn: Any) -> dict[str, Any]:
        return {state: (p[gain.name] * u[input] - x[state]) / p[tau.name]}

    return Dynamics(rhs, parameters=[gain, tau])
