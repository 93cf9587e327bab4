"""Plans that hold for all that a fit leaves open: windows of their own parameters under one control."""

import numpy as np
import pytest

import collocode as cc

HELD = cc.PiecewiseConstant(tuple(np.linspace(0.0, 2.0, 5)))
PLAN = cc.Window(
    name="plan",
    end=2.0,
    controls={"feed": cc.Control(0.0, 2.0, kind=HELD, shared=True)},
    initial={"x": 1.0},
)


@pytest.fixture(scope="module")
def learnt():
    t, rng = np.linspace(0.0, 2.0, 41), np.random.default_rng(0)
    noisy = np.exp(-0.7 * t) + 0.02 * rng.standard_normal(41)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.x], parameters=[cc.Parameter("k", 1.0)])
    return cc.fit(cc.Problem(decay, cc.Experiment(t, noisy, ("x",), initial={"x": 1.0})), mesh=20)


def test_a_plan_holds_for_every_parameter_drawn_from_the_covariance(learnt):
    trust = cc.uncertainty(learnt)
    windows = cc.scenarios(PLAN, trust, count=200, seed=1)
    drawn = np.array([w.inputs["k"].values[0] for w in windows])
    assert drawn.mean() == pytest.approx(learnt.parameters["k"], abs=3.0 * trust.std()[0] / 14.0)
    assert drawn.std() == pytest.approx(trust.std()[0], rel=0.15)
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": -u.k * x.x + u.feed}),
        windows[:5],
        states=("x",),
        costs=0.2 * cc.Lagrange(lambda t, x, u, p, nn: u.feed, name="feed"),
        constraints=[cc.PathConstraint("full", lambda t, x, u, p, nn: x.x, lower=1.0, at="end")],
    )
    found = cc.fit(problem, mesh=8)
    ends = [part.states[-1, 0] for part in found.trajectories]
    assert min(ends) == pytest.approx(1.0, abs=1e-6)
    fastest = int(np.argmax(drawn[:5]))  # the one that loses most is the one that binds
    assert int(np.argmin(ends)) == fastest
    alone = cc.fit(cc.Problem(**{**vars_of(problem), "experiments": windows[fastest]}), mesh=8)
    assert found.costs["feed"] == pytest.approx(5.0 * alone.costs["feed"], rel=1e-5)


def vars_of(problem):
    names = ("dynamics", "states", "costs", "constraints")
    return {name: getattr(problem, name) for name in names}


WRONG = {
    "a control of its own": (
        lambda: cc.scenarios(cc.Window(end=1.0, controls={"u": cc.Control()}), {"k": [1.0]}),
        "would each decide control 'u' alone; give it shared=True",
    ),
    "values of two numbers": (
        lambda: cc.scenarios(PLAN, {"k": [1.0, 2.0], "l": [1.0]}),
        "need one row of values by name, all of one length",
    ),
    "an input that is there": (
        lambda: cc.scenarios(PLAN, {"feed": [1.0]}),
        "has an input 'feed' already",
    ),
    "no values": (lambda: cc.scenarios(PLAN, [1.0, 2.0]), "takes a"),
    "no window": (lambda: cc.scenarios("plan", {"k": [1.0]}), "takes a Window"),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_sentence_for(what):
    call, sentence = WRONG[what]
    with pytest.raises(cc.InputError, match=sentence) as error:
        call()
    assert "\n" not in str(error.value)


def test_what_the_data_leave_open_is_not_drawn():
    t = np.linspace(0.0, 2.0, 21)
    twice = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.a * p.b * x.x],
        parameters=[cc.Parameter("a", 1.0), cc.Parameter("b", 1.0)],
    )
    data = cc.Experiment(t, np.exp(-0.7 * t) + 0.01 * np.cos(9.0 * t), ("x",))
    trust = cc.uncertainty(cc.fit(cc.Problem(twice, data), mesh=10))
    with pytest.raises(cc.InputError, match="need parameters that the data determine"):
        cc.scenarios(PLAN, trust)


def test_a_parameter_on_a_logarithmic_scale_is_drawn_there():
    t, rng = np.linspace(0.0, 2.0, 11), np.random.default_rng(0)
    k = cc.Parameter("k", 1.0, lower=0.01, upper=100.0, scale="log10")
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.x], parameters=[k])
    noisy = np.exp(-0.7 * t) + 0.2 * rng.standard_normal(11)
    data = cc.Experiment(t, noisy, ("x",), initial={"x": 1.0})
    found = cc.fit(cc.Problem(decay, data), mesh=10)
    trust = cc.uncertainty(found)
    drawn = np.array(
        [w.inputs["k"].values[0] for w in cc.scenarios(PLAN, trust, count=400, seed=2)]
    )
    assert (drawn > 0.0).all()
    assert np.median(drawn) == pytest.approx(found.parameters["k"], rel=0.1)
    assert np.log10(drawn).std() == pytest.approx(trust.std()[0], rel=0.15)
