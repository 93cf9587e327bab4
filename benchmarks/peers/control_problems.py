"""Six problems of optimal control, written once for all systems: functions of a module of mathematics.

``m`` is casadi, or for Pyomo what has its functions; ``x`` and ``u`` have the states and controls for
attributes.  They are those of ``models/control``, where sources and optima are; a control is constant in
every element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, pi
from typing import Any


@dataclass(frozen=True, kw_only=True)
class State:
    """A state: what is known at its ends, its bounds, its size, and the line that it starts from."""

    first: float | None = None
    last: float | None = None
    lower: float = -inf
    upper: float = inf
    size: float = 1.0
    guess: tuple[float, float] | None = None

    @property
    def line(self) -> tuple[float, float]:
        known = [v for v in (self.first, self.last) if v is not None] or [0.0]
        return self.guess or (known[0], known[-1])


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem: rates and an integrand or a final cost; ``free`` bounds the end, if that is free."""

    states: Mapping[str, State]
    controls: Mapping[str, tuple[float, float, float]]  # lower, upper, start
    rates: Callable[[Any, Any, Any], list[Any]]
    integrand: Callable[[Any, Any, Any], Any] | None = None
    final: Callable[[Any, Any], Any] | None = None  # of the last states and the time
    end: float = 1.0
    free: tuple[float, float] | None = None


def _batch_reactor(m, x, u):
    first = 4000.0 * m.exp(-2500.0 / u.T) * x.A**2
    second = 620000.0 * m.exp(-5000.0 / u.T) * x.B
    return [-first, first - second]


def _cart_pole(m, x, u):
    s, c = m.sin(x.angle), m.cos(x.angle)
    inertia = 1.0 + 0.3 * s**2
    cart = (u.force + 0.3 * s * (0.5 * x.spin**2 + 9.81 * c)) / inertia
    pole = -(u.force * c + 0.15 * x.spin**2 * s * c + 1.3 * 9.81 * s) / (0.5 * inertia)
    return [x.v, x.spin, cart, pole]


def _tank(m, x, u):
    r = 7.2e10 * m.exp(-8750.0 / x.T) * x.c
    return [1.0 - x.c - r, 350.0 - x.T + 150.0 * r + 10.0 * (u.Tc - x.T)]


def _catalyst(m, x, u):
    forth = u.share * (10.0 * x.x2 - x.x1)
    return [forth, -forth - (1.0 - u.share) * x.x2]


def _robot(m, x, u):
    inertia = ((5.0 - x.r) ** 3 + x.r**3) / 3.0
    return [
        x.vr, x.vth, x.vph,
        u.u1 / 5.0, u.u2 / (inertia * m.sin(x.ph) ** 2), u.u3 / inertia,
    ]  # fmt: skip


def _glider(m, x, u):
    r = (x.x / 100.0 - 2.5) ** 2
    sink = x.vy - 2.5 * (1.0 - r) * m.exp(-r)
    v = m.sqrt(x.vx**2 + sink**2)
    lift = 0.5 * 1.13 * 14.0 * u.lift * v
    drag = 0.5 * 1.13 * 14.0 * (0.034 + 0.069662 * u.lift**2) * v
    return [
        x.vx, x.vy,
        (-lift * sink - drag * x.vx) / 100.0, (lift * x.vx - drag * sink) / 100.0 - 9.81,
    ]  # fmt: skip


TASKS = {
    "batch reactor": Task(
        states={"A": State(first=1.0), "B": State(first=0.0)},
        controls={"T": (298.0, 398.0, 348.0)},
        rates=_batch_reactor,
        final=lambda x, t: -x.B,
    ),
    "catalyst": Task(
        states={"x1": State(first=1.0), "x2": State(first=0.0)},
        controls={"share": (0.0, 1.0, 0.5)},
        rates=_catalyst,
        final=lambda x, t: x.x1 + x.x2 - 1.0,
    ),
    "stirred tank": Task(
        states={
            "c": State(first=0.7, lower=0.0, upper=1.0, guess=(0.5, 0.5)),
            "T": State(first=335.0, lower=300.0, upper=352.0, size=256.0, guess=(345.0, 345.0)),
        },
        controls={"Tc": (320.0, 360.0, 340.0)},
        rates=_tank,
        integrand=lambda m, x, u: ((x.c - 0.5) / 0.1) ** 2 + 0.1 * ((u.Tc - 340.0) / 20.0) ** 2,
        end=5.0,
    ),
    "cart and pole": Task(
        states={
            "q": State(first=0.0, last=1.0, lower=-2.0, upper=2.0),
            "angle": State(first=0.0, last=pi),
            "v": State(first=0.0, last=0.0),
            "spin": State(first=0.0, last=0.0, size=4.0),
        },
        controls={"force": (-20.0, 20.0, 0.0)},
        rates=_cart_pole,
        integrand=lambda m, x, u: u.force**2,
        end=2.0,
    ),
    "robot arm": Task(
        states={
            "r": State(first=4.5, last=4.5, lower=0.0, upper=5.0),
            "th": State(first=0.0, last=2.0 * pi / 3.0, lower=-pi, upper=pi),
            "ph": State(first=pi / 4.0, last=pi / 4.0, lower=0.0, upper=pi),
            **{name: State(first=0.0, last=0.0) for name in ("vr", "vth", "vph")},
        },
        controls=dict.fromkeys(("u1", "u2", "u3"), (-1.0, 1.0, 0.0)),
        rates=_robot,
        final=lambda x, t: t,
        end=9.0,
        free=(0.1, 100.0),
    ),
    "hang glider": Task(
        states={
            "x": State(first=0.0, lower=0.0, size=1024.0, guess=(0.0, 1300.0)),
            "y": State(first=1000.0, last=900.0, size=1024.0),
            "vx": State(first=13.2275675, last=13.2275675, lower=0.0, size=16.0),
            "vy": State(first=-1.28750052, last=-1.28750052),
        },
        controls={"lift": (0.0, 1.4, 0.7)},
        rates=_glider,
        final=lambda x, t: -x.x,
        end=100.0,
        free=(10.0, 1000.0),
    ),
}
