"""Small problems with known answers, shared by the tests.  Everything random is seeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import spsolve

import collocode as cc

# ---- initial value problems with exact solutions ----------------------------------------------


@dataclass(frozen=True)
class Known:
    """ẋ = rhs(t, x) with its exact solution on [0, end]."""

    name: str
    states: tuple[str, ...]
    rhs: Callable[[Any, Any], Any]
    exact: Callable[[np.ndarray], np.ndarray]
    end: float

    def __str__(self) -> str:
        return self.name

    def problem(self) -> cc.Problem:
        """Nothing is unknown: the initial state is fixed, so the rows alone determine the states."""
        t = np.linspace(0.0, self.end, 9)
        x = self.exact(t)
        initial = {name: cc.fixed(v) for name, v in zip(self.states, x[0], strict=True)}
        data = cc.Experiment(t, x, outputs=self.states, initial=initial)
        return cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: self.rhs(t, x)), data)


LOGISTIC = Known(
    "logistic",
    ("x",),
    lambda t, x: [x[0] * (1.0 - x[0])],
    lambda t: (1.0 / (1.0 + np.exp(2.0 - t)))[:, None],
    3.0,  # not 4: on an interval symmetric to the inflection the orders are too good
)
# The Hopf normal form on its limit cycle: nonlinear, coupled, and an entire exact solution, so that
# even order 18 shows on meshes whose errors stay above rounding.
HOPF = Known(
    "hopf",
    ("x", "y"),
    lambda t, x: [
        x[0] * (1.0 - x[0] ** 2 - x[1] ** 2) - x[1],
        x[1] * (1.0 - x[0] ** 2 - x[1] ** 2) + x[0],
    ],
    lambda t: np.column_stack([np.cos(t), np.sin(t)]),
    4.0,
)
# time enters by itself, so nodes must carry the right times
FORCED = Known(
    "forced",
    ("x",),
    lambda t, x: [-ca.sin(t) + ca.cos(t) ** 3 - x[0] ** 3],
    lambda t: np.cos(t)[:, None],
    4.0,
)


def square_solution(nlp: cc.NLP) -> np.ndarray:
    """Solve the rows for the free columns by Newton's method on the NLP's own g and J."""
    free = np.flatnonzero(nlp.lower < nlp.upper)
    assert len(free) == nlp.rows
    x, size = nlp.start.copy(), np.inf
    for _ in range(40):
        g, jacobian = nlp.functions.jacobian(x, nlp.p)
        step = spsolve(jacobian.tocsc()[:, free].tocsc(), -np.asarray(g).ravel())
        x[free] += step
        last, size = size, np.abs(step).max()
        if size < 1e-14 or last / 2.0 < size < 1e-12:  # no more than rounding is left
            break
    return x


# ---- identification ---------------------------------------------------------------------------


def decay(k: float = 0.7, n: int = 21, **options: Any) -> cc.Problem:
    """Exact data of ċ = −k c; k is unknown."""
    t = np.linspace(0.0, 2.0, n)
    data = cc.Experiment(t, np.exp(-k * t), outputs=("c",))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0, 0.0, 10.0)]
    )
    return cc.Problem(dynamics, data, **options)


def van_der_pol(mu: float = 1.0) -> Callable[[float, np.ndarray], list[float]]:
    """Return ẏ₁ = y₂, ẏ₂ = μ(1 − y₁²) y₂ − y₁."""
    return lambda t, y: [y[1], mu * (1.0 - y[0] ** 2) * y[1] - y[0]]


def van_der_pol_data(
    n: int = 60,
    end: float = 7.0,
    sigma: float = 0.0,
    seed: int = 0,
    begin=(0.0, 1.0),
    mu: float = 1.0,
    **options,
) -> cc.Experiment:
    """Van der Pol, integrated to 1e-12, with seeded noise."""
    t = np.linspace(0.0, end, n)
    y = solve_ivp(van_der_pol(mu), (0.0, end), begin, "DOP853", t, rtol=1e-12, atol=1e-13).y.T
    y = y + sigma * np.random.default_rng(seed).normal(size=y.shape)
    return cc.Experiment(t, y, outputs=("y1", "y2"), **options)


def van_der_pol_grey(data: Any, **options: Any) -> cc.Problem:
    """The physics is known but for mu."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.y2, p.mu * (1.0 - x.y1**2) * x.y2 - x.y1],
        parameters=[cc.Parameter("mu", 0.3, 0.0, 5.0)],
    )
    return cc.Problem(dynamics, data, **options)


def van_der_pol_neural(data: Any = None, sizes=(2, 8, 2), **options: Any) -> cc.Problem:
    """Nothing is known: a small network is the right-hand side, of a given ridge unless told otherwise."""
    data = van_der_pol_data(sigma=0.05) if data is None else data
    options = {"regularisation": cc.L2(), **options}
    return cc.Problem(cc.NeuralODE(cc.MLP(sizes)), data, **options)


def driven(kind: str = "zoh", a: float = 1.3, b: float = 0.8) -> cc.Problem:
    """ẋ = −a x + b u(t) under a stepped input, exact data between the steps; a and b unknown."""
    u = cc.Signal([0.0, 0.7, 1.6, 2.5], [1.0, -0.5, 2.0, 0.0], kind)
    t = np.linspace(0.0, 3.0, 31)
    x = driven_exact(t, u, a, b)
    data = cc.Experiment(t, x, outputs=("x",), inputs={"u": u})
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.a * x.x + p.b * u.u],
        parameters=[cc.Parameter("a", 1.0, 0.0, 10.0), cc.Parameter("b", 1.0, 0.0, 10.0)],
    )
    return cc.Problem(dynamics, data)


def driven_exact(t: np.ndarray, u: cc.Signal, a: float, b: float, x0: float = 0.2) -> np.ndarray:
    """Exact solution of ẋ = −a x + b u for a stepped u that starts at 0."""
    found = np.empty_like(t)
    x, edges = x0, [*u.times, max(t[-1], u.times[-1]) + 1.0]
    for left, right, value in zip(edges[:-1], edges[1:], u.values, strict=True):
        rest = b * value / a
        here = (t >= left) & (t <= right)
        found[here] = rest + (x - rest) * np.exp(-a * (t[here] - left))
        x = rest + (x - rest) * np.exp(-a * (right - left))
    return found
