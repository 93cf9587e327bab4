"""Experiments that begin at rest: the steady state, what is conserved, and fits from there."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode import Dynamics, Experiment, Parameter, Problem, Signal, Steady
from collocode.model.steady import laws_of

RATES = {"k1": 0.3, "k2": 0.6, "k3": 2.0, "b": 1.5, "d": 0.8}
TIMES = np.linspace(0.0, 4.0, 25)


def switch(t, x, u, p, nn):
    """A <-> B is a switch of ten molecules, B makes M."""
    forth = (p.k1 + p.k3 * u.s) * x.A - p.k2 * x.B
    return {"A": -forth, "B": forth, "M": p.b * x.B - p.d * x.M}


def measured(s, start):
    def rhs(t, x):
        forth = (0.3 + 2.0 * s) * x[0] - 0.6 * x[1]
        return [-forth, forth, 1.5 * x[1] - 0.8 * x[2]]

    run = solve_ivp(rhs, (0.0, 4.0), start, t_eval=TIMES, rtol=1e-10, atol=1e-12)
    return run.y[1:].T


def problem(before=None, steady=None, starts=1.5, seed=0, **more):
    rng, runs = np.random.default_rng(seed), []
    for s in (0.5, 1.0):
        y = measured(s, [20.0 / 3.0, 10.0 / 3.0, 6.25]) + 0.02 * rng.standard_normal((25, 2))
        runs.append(
            Experiment(
                TIMES,
                y,
                ("B", "M"),
                name=f"s = {s}",
                inputs={"s": Signal([0.0, 4.0], [s, s])},
                initial={"A": 10.0, "B": 0.0} if before is None else before,
                steady=Steady(inputs={"s": 0.0}) if steady is None else steady,
            )
        )
    rates = [Parameter(n, starts * v, scale="log10") for n, v in RATES.items()]
    return Problem(
        Dynamics(switch, parameters=rates),
        runs,
        states=("A", "B", "M"),
        observe=lambda x, u, p: [x.B, x.M],
        loss=cc.Normal(0.02),
        **more,
    )


def test_the_start_is_at_rest_and_keeps_what_is_conserved():
    nlp = cc.discretize(problem(starts=1.0), mesh=2)
    for part in nlp.layout.experiments:
        np.testing.assert_allclose(
            nlp.start[part.states[0]], [20.0 / 3.0, 10.0 / 3.0, 6.25], rtol=1e-9
        )
        np.testing.assert_allclose(nlp.constraints(nlp.start)[part.initial_rows], 0.0, atol=1e-9)


def test_rates_are_found_through_the_rest_before_the_stimulus():
    given = problem(test=[problem(seed=1).experiments[0]])
    solution = cc.fit(given, mesh=16)
    table = cc.uncertainty(solution).intervals()
    missed = (table["estimate"] - np.array([*RATES.values()])) / table["std"]
    assert (missed.abs() < 3.5).all()
    assert (table["std"] / table["estimate"] < 0.02).all()
    first = solution.trajectories[0].states[0]
    assert first[:2].sum() == pytest.approx(10.0, rel=1e-9)
    assert [known.is_fixed for known in solution.test[0].initial.values()] == [True] * 3
    np.testing.assert_allclose(
        [v.value for v in solution.test[0].initial.values()],
        [first[0], first[1], first[2]],
        rtol=1e-6,
    )
    nominal = cc.minus_log_likelihood(given, solution.parameters)
    assert nominal == pytest.approx(cc.likelihood(solution).minus_log, abs=0.1)


def test_parameters_can_be_others_while_it_rests():
    rested = Steady(inputs={"s": 0.0}, parameters={"k1": 0.6, "d": "b"})
    nlp = cc.discretize(problem(steady=rested, starts=1.0), mesh=2)
    np.testing.assert_allclose(
        nlp.start[nlp.layout.experiments[0].states[0]], [5.0, 5.0, 5.0], rtol=1e-9
    )


def test_laws_are_found_where_many_states_share_them():
    import casadi as ca

    x, p = ca.SX.sym("x", 5), ca.SX.sym("p", 2)
    bind = p[0] * x[0] * x[1] - p[1] * x[2]
    f = ca.Function(
        "f", [x, p, ca.SX.sym("w", 0)], [ca.vertcat(-bind, -bind, bind, 1.0 - x[3], 0.0)]
    )
    laws, rows = laws_of(f, np.ones(5), np.array([0.3, 0.7]), np.zeros(0))
    assert len(laws) == 3
    assert len(rows) == 2
    for law in laws:
        assert law[3] == pytest.approx(0.0, abs=1e-9)
        assert law[0] + law[1] - law[2] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: problem(steady=Steady(inputs={"r": 0.0})), "names 'r', which is no input"),
        (lambda: problem(steady=Steady(parameters={"r": 0.0})), "names 'r', which is no parameter"),
        (lambda: cc.discretize(problem(before={"A": 10.0})), "give initial= for 'B'"),
    ],
)
def test_wrong_rests_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        make()
