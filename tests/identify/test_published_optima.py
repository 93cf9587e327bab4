"""Control problems with optima that are known: closed forms, and values of the literature."""

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import quad

import collocode as cc


def problem(rhs, controls, initial, cost, final=None, end=1.0, **more):
    window = {k: more.pop(k) for k in ("end_bounds",) if k in more}
    return cc.Problem(
        cc.Dynamics(rhs),
        cc.Window(end=end, controls=controls, initial=initial, final=final or {}, **window),
        states=tuple(initial),
        costs=cost,
        **more,
    )


def hyper_sensitive():
    """Rao and Mease 2000, over 40 s; both ends are on the manifolds of H = 0, where u = x³ ∓ x √(x⁴ + 1)."""
    made = problem(
        lambda t, x, u, p, nn: [u.u - x.x**3],
        {"u": cc.Control()},
        {"x": 1.0},
        cc.Lagrange(lambda t, x, u, p, nn: 0.5 * (x.x**2 + u.u**2)),
        {"x": 1.5},
        end=40.0,
    )
    down = quad(lambda x: x * np.sqrt(x**4 + 1.0) - x**3, 0.0, 1.0)[0]
    up = quad(lambda x: x * np.sqrt(x**4 + 1.0) + x**3, 0.0, 1.5)[0]
    return made, down + up


def breakwell():
    """Bryson and Ho 1975, section 3.11: a bound of 0.1 on the state, 4 / (9 · 0.1)."""
    made = problem(
        lambda t, x, u, p, nn: [x.v, u.a],
        {"a": cc.Control()},
        {"x": 0.0, "v": 1.0},
        cc.Lagrange(lambda t, x, u, p, nn: 0.5 * u.a**2),
        {"x": 0.0, "v": -1.0},
        bounds={"x": (-np.inf, 0.1)},
    )
    return made, 4.0 / 0.9


def rayleigh():
    """Betts 2010: 29.376."""
    made = problem(
        lambda t, x, u, p, nn: [x.b, -x.a + x.b * (1.4 - 0.14 * x.b**2) + 4.0 * u.u],
        {"u": cc.Control()},
        {"a": -5.0, "b": -5.0},
        cc.Lagrange(lambda t, x, u, p, nn: x.a**2 + u.u**2),
        end=2.5,
    )
    return made, 29.376


def two_reactions():
    """A → B by u, A → C by u²/2: Luus 2000, the yield of B is 0.57353."""
    made = problem(
        lambda t, x, u, p, nn: [-(u.u + 0.5 * u.u**2) * x.a, u.u * x.a],
        {"u": cc.Control(0.0, 5.0)},
        {"a": 1.0, "b": 0.0},
        cc.Mayer(lambda t, x, u, p, nn: -x.b),
    )
    return made, -0.57353


def stirred_tank():
    """Luus 2000: 0.133094."""

    def rhs(t, x, u, p, nn):
        reaction = (x.b + 0.5) * ca.exp(25.0 * x.a / (x.a + 2.0))
        return [-(2.0 + u.u) * (x.a + 0.25) + reaction, 0.5 - x.b - reaction]

    made = problem(
        rhs,
        {"u": cc.Control()},
        {"a": 0.09, "b": 0.09},
        cc.Lagrange(lambda t, x, u, p, nn: x.a**2 + x.b**2 + 0.1 * u.u**2),
        end=0.78,
    )
    return made, 0.133094


def tumour():
    """Betts 2010, a singular arc and a free end: 7571.67158."""
    largest = ((5.85 - 0.02) / 0.00873) ** 1.5

    def rhs(t, x, u, p, nn):
        growth = 5.85 - 0.02 - 0.00873 * x.p ** (2.0 / 3.0) - 0.15 * u.u
        return [-0.084 * x.p * ca.log(x.p / x.q), x.q * growth, u.u]

    made = problem(
        rhs,
        {"u": cc.Control(0.0, 75.0)},
        {"p": 0.5 * largest, "q": 0.25 * largest, "y": 0.0},
        cc.Mayer(lambda t, x, u, p, nn: x.p),
        end_bounds=(0.1, 5.0),
        bounds={"p": (0.01, largest), "q": (0.01, largest), "y": (0.0, 15.0)},
    )
    return made, 7571.67158


@pytest.mark.parametrize(
    "case", [hyper_sensitive, breakwell, rayleigh, two_reactions, stirred_tank, tumour]
)
def test_a_default_fit_finds_the_known_optimum(case):
    made, value = case()
    found = cc.fit(made)
    assert found.success
    assert found.objective == pytest.approx(value, rel=1e-4)
