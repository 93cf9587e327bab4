"""Kinks that a problem's own functions have: named where a solver fails, not where it does not."""

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode.model.kinked import kinked
from collocode.numerics.bases import Legendre


def rest_to_rest(cost=lambda u: u**2, drag=lambda x: 0.0, **more):
    """One length in four seconds, |u| at most 1."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [x.v, u.u - drag(x)]),
        cc.Window(
            end=4.0,
            controls={"u": cc.Control(-1.0, 1.0)},
            initial={"x": 0.0, "v": 0.0},
            final={"x": 1.0, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Lagrange(lambda t, x, u, p, nn: cost(u.u), name="fuel"),
        **more,
    )


def test_a_kink_is_named_where_the_solver_fails():
    with pytest.warns(cc.CollocodeWarning, match=r"not solved.*cost 'fuel' \(fabs\) has a kink"):
        found = cc.fit(rest_to_rest(ca.fabs), mesh=30)
    findings = {f.code: f for f in cc.findings(found)}
    assert "cost 'fuel' (fabs)" in findings["not-smooth"].text
    assert "v = p - n" in findings["not-smooth"].remedy


def test_the_remedy_gives_the_optimum():
    """Two burns of s at full thrust, s (4 - s) = 1, with the thrust of each side a control of its own."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [x.v, u.p - u.n]),
        cc.Window(
            end=4.0,
            controls={"p": cc.Control(0.0, 1.0), "n": cc.Control(0.0, 1.0)},
            initial={"x": 0.0, "v": 0.0},
            final={"x": 1.0, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.p + u.n, name="fuel"),
    )
    found = cc.fit(problem, mesh=40)
    assert found.success
    assert found.costs["fuel"] == pytest.approx(2.0 * (2.0 - np.sqrt(3.0)), rel=2e-3)


def test_a_problem_with_kinks_that_is_solved_says_nothing():
    problem = rest_to_rest(drag=lambda x: 0.5 * x.v * ca.fabs(x.v))
    assert kinked(problem) == ["the derivative of 'v' (fabs)"]
    found = cc.fit(problem, mesh=30)  # a warning would be an error here
    assert found.success
    assert "not-smooth" not in [f.code for f in cc.findings(found)]


@pytest.mark.parametrize(
    ("drag", "name"),
    [
        (lambda x: 0.2 * ca.sign(x.v), "sign"),
        (lambda x: ca.if_else(x.x > 0.5, 0.4, 0.0), "if_else"),
        (lambda x: ca.fmax(x.v, 0.1), "fmax"),
        (lambda x: ca.floor(10.0 * x.x), "floor"),
    ],
)
def test_kinks_and_jumps_of_what_is_decided_are_found(drag, name):
    assert kinked(rest_to_rest(drag=drag)) == [f"the derivative of 'v' ({name})"]


def test_what_depends_on_time_and_data_alone_is_none():
    t = np.linspace(0.0, 1.0, 9)
    given = {"f": cc.Signal(t, t - 0.5)}
    field = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c * ca.fabs(u.f) + ca.fmax(t, 0.5)],
        parameters=[cc.Parameter("k", 1.0)],
    )
    assert kinked(cc.Problem(field, cc.Experiment(t, np.exp(-t), ("c",), inputs=given))) == []


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "elu", "softplus"])
def test_networks_answer_for_their_own_activations(activation, varies):
    t = np.linspace(0.0, 1.0, 9)
    network = cc.MLP((1, 4, 1), activation=activation)
    if varies:
        network = cc.TimeVarying(network, Legendre(1, (0.0, 1.0)))
    assert kinked(cc.Problem(cc.NeuralODE(network), cc.Experiment(t, np.exp(-t), ("c",)))) == []
