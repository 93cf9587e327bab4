"""Intervals and evidence where a problem learns and decides: against fits of data that were moved."""

from dataclasses import replace

import numpy as np
import pytest
import scipy

import collocode as cc
from collocode.results.doubts import _of_windows
from tests.identify.moved_data import by_moved_data

T = np.linspace(0.0, 2.0, 9)
NOISE = 0.03
EXACT = {"tol": 1e-12}


def decay(weight=1e-2, jump=0.0, **plan):
    """k is learnt from a run, and pulled by the cost of a plan that shares it."""
    values = np.exp(-0.7 * T) + NOISE * np.random.default_rng(1).standard_normal(9)
    run = cc.Experiment(
        T, values, ("x",), inputs={"feed": cc.Signal([0.0], [jump])}, initial={"x": 1.0}, name="run"
    )
    plan = {"controls": {"feed": cc.Control(kind="constant")}, "initial": {"x": 1.0}, **plan}
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.x + u.feed], parameters=[cc.Parameter("k", 1.0)]
        ),
        [run, cc.Window(end=2.0, name="plan", **plan)],
        costs=weight
        * cc.Lagrange(lambda t, x, u, p, nn: (x.x - 1.0) ** 2 + u.feed**2, windows="plan"),
        loss=cc.LeastSquares(NOISE),
        constraints=[
            cc.PathConstraint(
                "end", lambda t, x, u, p, nn: x.x, lower=0.2, at="end", windows="plan"
            )
        ],
    )


def unseen(samples=6):
    """A force that nobody measured, held by what it costs."""
    t = np.linspace(0.0, 1.0, samples)
    values = np.sin(3.0 * t) + NOISE * np.random.default_rng(0).standard_normal(samples)
    run = cc.Experiment(
        t, values, ("x",), controls={"force": cc.Control(kind="constant")}, name="run"
    )
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.force - 0.5 * x.x]),
        run,
        loss=cc.LeastSquares(NOISE),
        costs=1e-1 * cc.Lagrange(lambda t, x, u, p, nn: u.force**2, name="effort"),
    )


@pytest.mark.parametrize(
    ("problem", "rel"),
    [
        (decay(1e-6), 0.02),
        (decay(100.0), 0.2),  # the plan's pull makes k move less, by a third
        (decay(10.0, final={"x": 0.6}), 0.05),
    ],
)
def test_intervals_are_what_the_noise_makes_of_the_joint_optimum(problem, rel):
    mesh = 4
    fitted = cc.fit(problem, mesh=mesh, options=EXACT)
    table = cc.uncertainty(fitted).intervals()
    expected = by_moved_data(fitted, lambda s: s.parameters["k"], NOISE, 1e-4)
    assert table.loc["k", "std"] == pytest.approx(float(expected), rel=rel)
    assert table.loc["k", "note"] == ""


def test_a_plan_without_any_freedom_left_holds_what_it_shares():
    """Full feed all along, and an end that is given: k is what makes that possible."""
    held = decay(10.0, final={"x": 0.6}, controls={"feed": cc.Control(0.0, 0.2)})
    table = cc.uncertainty(cc.fit(held, mesh=4, options=EXACT)).intervals()
    assert table.loc["k", "note"].startswith("held by bounds of")


def test_an_input_that_nobody_measured_has_intervals():
    problem, mesh = unseen(), 5
    fitted = cc.fit(problem, mesh=mesh, options=EXACT)
    trust = cc.uncertainty(fitted)
    names = [name for name in trust.names if name.startswith("force")]
    expected = by_moved_data(
        fitted, lambda s: s.control("force", [0.1, 0.3, 0.5, 0.7, 0.9]), NOISE, 1e-4
    )
    found = trust.intervals(names=names)["std"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    low, high = trust.band([0.5])
    assert low[0, 0] < fitted.states([0.5])[0, 0] < high[0, 0]


def test_the_evidence_chooses_the_penalty_beside_a_plan():
    t = np.linspace(0.0, 2.0, 25)
    values = np.exp(-0.7 * t) + 0.02 * np.random.default_rng(0).standard_normal(25)
    run = cc.Experiment(t, values, ("x",), inputs={"feed": cc.Signal([0.0], [0.0])}, name="run")
    plan = cc.Window(end=2.0, controls={"feed": cc.Control()}, initial={"x": 1.0}, name="plan")
    learnt = cc.Dynamics(
        lambda t, x, u, p, nn: [nn(x.x) + u.feed], networks={"rate": cc.MLP((1, 4, 1))}
    )
    cost = 1e-6 * cc.Lagrange(lambda t, x, u, p, nn: (x.x - 1.0) ** 2 + u.feed**2, windows="plan")
    alone = cc.fit(cc.Problem(learnt, run), mesh=8)
    both = cc.fit(cc.Problem(learnt, [run, plan], costs=cost), mesh=8)
    assert both.penalty.chosen
    assert both.penalty.solves > 1
    # the plan hardly counts, so the data ask for what they ask for alone
    assert np.log(both.penalty.strength / alone.penalty.strength) == pytest.approx(0.0, abs=0.7)


def test_batches_agree_with_the_one_program():
    """An experiment and a plan of their own in every batch; k is what they share."""
    problem = decay(1.0)
    run, plan = problem.experiments
    again = replace(run, name="again", values=run.values + 0.02, initial={"x": 1.02})
    later = replace(plan, name="later", initial={"x": 0.5})
    both = replace(
        problem,
        experiments=(run, again, plan, later),
        costs=replace(problem.costs[0], windows=("plan", "later")),
    )
    whole = cc.fit(both, mesh=4, options=EXACT)
    found = cc.admm(
        both,
        cc.Partition([["run", "plan"], ["again", "later"]]),
        rules=cc.ADMMRules(absolute=1e-7, relative=0.0, iterations=60),
        settings=cc.FitSettings(mesh=4),
    )
    assert found.solution.parameters["k"] == pytest.approx(whole.parameters["k"], abs=1e-4)
    assert found.solution.costs == pytest.approx(whole.costs, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        (
            {},
            {"batches": 3},
            "2 experiments and windows stay whole; ask for at most 2 batches, not 3",
        ),
        ({}, {"rules": cc.NewtonRules()}, "NewtonRules is about fits of data"),
        ({"links": cc.Link("plan", "plan", time=False)}, {}, "joins windows of problem 'problem'"),
        ({"shared": True}, {}, "windows share control 'feed'"),
    ],
)
def test_what_batches_cannot_have_apart_is_refused(change, how, message):
    control = cc.Control(
        kind=cc.PiecewiseConstant((0.0, 1.0, 2.0)), shared=change.pop("shared", False)
    )
    problem = replace(decay(controls={"feed": control}), **change)
    with pytest.raises(cc.InputError, match=message):
        cc.admm(problem, cc.Partition(how.pop("batches", 2)), **how)


def test_without_data_there_is_no_noise():
    plan = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [-x.x + u.feed]),
        cc.Window(end=1.0, controls={"feed": cc.Control()}, initial={"x": 1.0}),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: x.x**2 + u.feed**2),
    )
    with pytest.raises(cc.InputError, match="has no data; the error of its cost is what estimate"):
        cc.uncertainty(cc.fit(plan, mesh=4))
    with pytest.raises(cc.InputError, match="what batches of data share, and problem"):
        cc.admm(plan)


def test_a_plan_whose_cost_is_lost_beside_the_misfit_is_told():
    """x' = -k x + u with k learnt; two pieces of u at the least ∫ (x - 1.2)² + u²/100, piece by piece in closed form."""
    t = np.linspace(0.0, 2.0, 11)
    run = cc.Experiment(
        t,
        np.exp(-0.8 * t) + 0.02 * np.cos(9.0 * t),
        ("x",),
        inputs={"u": cc.Signal([0.0], [0.0])},
    )
    halves = cc.PiecewiseConstant((0.0, 1.0, 2.0))
    plan = cc.Window(
        name="plan", end=2.0, controls={"u": cc.Control(0.0, 2.0, kind=halves)}, initial={"x": 0.3}
    )

    def cost(t, x, u, p, nn):
        return (x.x - 1.2) ** 2 + 0.01 * u.u**2

    weighed = cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.x + u.u], parameters=[cc.Parameter("k", 1.0, 0.0, 5.0)]
        ),
        [run, plan],
        costs=1e-6 * cc.Lagrange(cost, windows="plan", name="J"),
    )
    with pytest.warns(cc.CollocodeWarning, match="tolerances of the solver are worth"):
        loose = cc.fit(weighed, mesh=10)
    assert [f.code for f in cc.findings(loose) if f.code == "loose-cost"]
    tight = cc.fit(weighed, mesh=10, options={"tol": 1e-12})
    assert not [f for f in cc.findings(tight) if f.code == "loose-cost"]
    # what is left of the misfit's own conditions says nothing of the plan
    assert tight.nlp is not None
    rows, _ = _of_windows(tight.nlp)
    spoilt = tight.result.lam_g + 1e-3 * ~rows
    other = replace(tight, result=replace(tight.result, lam_g=spoilt))
    assert not [f for f in cc.findings(other) if f.code == "loose-cost"]
    k = tight.parameters["k"]

    def exact(u):
        x, total = 0.3, 0.0
        for v in u:
            rest, away = v / k - 1.2, x - v / k
            total += rest**2 + 2.0 * rest * away * (1.0 - np.exp(-k)) / k + 0.01 * v**2
            total += away**2 * (1.0 - np.exp(-2.0 * k)) / (2.0 * k)
            x = v / k + away * np.exp(-k)
        return total

    best = scipy.optimize.minimize(exact, [1.0, 1.0], bounds=[(0.0, 2.0)] * 2, tol=1e-14)
    assert tight.costs["J"] == pytest.approx(1e-6 * best.fun, rel=1e-6)
    assert loose.costs["J"] > 1e-6 * best.fun * (1.0 + 1e-4)
