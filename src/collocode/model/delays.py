r"""Dead time: inputs that act late, :math:`u(t-\theta)`, by a known or an estimated delay.

A known delay shifts the signal.  One that is estimated, the parameter θ, makes the input an expression of
it, in which steps and bends are rounded off over a *width* w:

.. math:: u(t-\theta)\approx u_0+\sum_ka_kH\Bigl(\frac{t-\theta-t_k}{w}\Bigr)
          +\sum_kb_kR\Bigl(\frac{t-\theta-t_k}{w}\Bigr),\qquad H(s)=\tfrac12(1+\tanh 2s),

R the ramp that belongs to it.  The rounding is even, so it moves no step; what is left of it in a
response of time constant τ is of the size :math:`(w/\tau)^2/10`.  The mesh follows the places where a step
may come to lie, hence the bounds of θ.  Delays of states are not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError, check_fields
from ..numerics import Array
from ..numerics.signals import Signal
from .activations import CASADI
from .dynamics import Dynamics
from .experiment import Experiment
from .parameters import Parameter

_MOST = 100  # steps or bends of an input whose delay is estimated


@dataclass(frozen=True)
class Delay:
    """How late an input acts.

    Parameters
    ----------
    by : a number, or the name of a parameter that is estimated.
    width : over which steps are rounded off if it is; 0 takes the usual time between data.

    Examples
    --------
    >>> Delay("theta").width
    0.0
    """

    by: float | str
    width: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 <= self.width < np.inf:
            raise InputError(
                f"the width of a delay must be finite and not negative, not {self.width}."
            )
        if not isinstance(self.by, str) and not 0.0 <= self.by < np.inf:
            raise InputError(f"a delay must be finite and not negative, not {self.by}.")


def shifted(signal: Signal, by: float) -> Signal:
    """Return a signal that comes later."""
    points = None if signal.points is None else signal.points + by
    return replace(signal, times=signal.times + by, points=points)


def usual_step(experiments: Sequence[Experiment]) -> float:
    """Median time between neighbouring data."""
    steps = [np.diff(e.times) for e in experiments if e.samples > 1]
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
    found, parts = [], []
    for e in everywhere:
        if name not in e.inputs:
            raise InputError(f"experiment {e.name!r} has no input {name!r} that could be delayed.")
        parts.append(parts_of(e.inputs[name], f"input {name!r} of experiment {e.name!r}"))
    most = max(len(times) for _, times, _, _ in parts)
    for e, (first, times, steps, bends) in zip(everywhere, parts, strict=True):
        assert e.start is not None
        empty = np.zeros(most - len(times))
        table = {"time": np.append(times, empty + e.start), "step": np.append(steps, empty)}
        table["bend"] = np.append(bends, empty)
        values = {f"{name}.first": first, f"{name}.width": width}
        values |= {f"{name}.{what}{k}": v for what, row in table.items() for k, v in enumerate(row)}
        constants = {
            n: Signal(np.array([e.start]), np.array([v]), "zoh") for n, v in values.items()
        }
        late = np.arange(q.lower, q.upper + width, width)
        points = (times[:, None] + late[None, :]).ravel()
        points = np.unique(np.round(points / width)) * width
        found.append(replace(e, inputs={**e.inputs, **constants}, points=tuple(points.tolist())))
    return found


def delayed(name: str, t: Any, by: Any, u: dict[str, Any]) -> Any:
    """Return the delayed input as an expression of time, delay and the constants of `told`."""
    width, value, k = u[f"{name}.width"], u[f"{name}.first"], 0
    while f"{name}.time{k}" in u:
        s = t - by - u[f"{name}.time{k}"]
        value += u[f"{name}.step{k}"] * (0.5 + 0.5 * CASADI.tanh(2.0 * s / width))
        value += u[f"{name}.bend{k}"] * 0.5 * (s + CASADI.sqrt(s**2 + (0.25 * width) ** 2))
        k += 1
    return value


def first_order_plus_dead_time(
    gain: Parameter, tau: Parameter, state: str = "y", input: str = "u"
) -> Dynamics:
    r"""Return :math:`\tau\dot y=K u-y`; with ``Problem(delays={"u": "theta"})`` FOPDT.

    Examples
    --------
    >>> model = first_order_plus_dead_time(Parameter("K", 1.0), Parameter("tau", 10.0))
    >>> [q.name for q in model.parameters]
    ['K', 'tau']
    """

    def rhs(t: Any, x: Any, u: Any, p: Any, nn: Any) -> dict[str, Any]:
        return {state: (p[gain.name] * u[input] - x[state]) / p[tau.name]}

    return Dynamics(rhs, parameters=[gain, tau])
