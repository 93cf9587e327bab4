"""Receding horizons: the linear-quadratic regulator, set points by the clock, plans that fail."""

from dataclasses import replace

import numpy as np
import pytest
import scipy

import collocode as cc
from collocode.errors import quietly

A = np.array([[0.0, 1.0], [2.0, -0.5]])  # unstable
B = np.array([[0.0], [1.0]])
Q, R = np.diag([3.0, 1.0]), 0.5


def regulator(end=8.0, **window):
    """∫ xᵀQx + R u² along an unstable pair of states."""

    def cost(t, x, u, p, nn):
        return Q[0, 0] * x.x**2 + Q[1, 1] * x.v**2 + R * u.a**2

    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": 2.0 * x.x - 0.5 * x.v + u.a}),
        cc.Window(end=end, controls={"a": cc.Control()}, **window),
        states=("x", "v"),
        costs=cc.Lagrange(cost),
    )


def tracking(target, end=2.0, plant_gain=1.0, **control):
    """A tank that follows an input ``target``, which is given."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [plant_gain * u.feed - x.level]),
        cc.Window(
            end=end,
            inputs={"target": target},
            controls={"feed": cc.Control(0.0, 5.0, kind="constant", **control)},
        ),
        states=("level",),
        costs=cc.Lagrange(
            lambda t, x, u, p, nn: (x.level - u.target) ** 2 + 1e-3 * (u.feed - u.target) ** 2
        ),
    )


def test_the_closed_loop_is_the_linear_quadratic_regulator():
    """A long horizon makes the moves of Riccati's gain."""
    horizon = cc.RecedingHorizon(regulator(), sample=0.25)
    loop = horizon.run({"x": 1.0, "v": 0.0}, 6)
    P = scipy.linalg.solve_continuous_are(A, B, Q, np.array([[R]]))
    gain = B.T @ P / R
    for t, state in zip(loop.times, loop.states, strict=True):
        exact = scipy.linalg.expm((A - B @ gain) * t) @ [1.0, 0.0]
        np.testing.assert_allclose(state, exact, atol=2e-5)
    middle = loop.times[:-1] + 0.125
    states = [scipy.linalg.expm((A - B @ gain) * t) @ [1.0, 0.0] for t in middle]
    np.testing.assert_allclose(loop.control("a", middle), -(states @ gain.T).ravel(), rtol=1e-3)
    # quadratic: Newton's one step, whatever the start
    assert max(loop.iterations) <= 3
    table = loop.to_frame()
    assert list(table.columns) == ["time", "x", "v", "a", "seconds"]
    assert len(table) == 6


def test_a_plan_with_another_clock_is_the_plan_of_a_shifted_set_point():
    target = cc.Signal([0.0, 1.0, 2.3], [1.0, 2.0, 0.5], "zoh")
    horizon = cc.RecedingHorizon(tracking(target), sample=0.2)
    first = horizon.plan([0.0])
    moved = horizon.plan([1.0], now=0.8, previous=first)
    later = tracking(cc.Signal(target.times - 0.8, target.values, "zoh"))
    window = replace(later.experiments[0], initial={"level": 1.0})
    alone = cc.fit(replace(later, experiments=window), mesh=cc.Mesh.uniform(0.0, 2.0, 10))
    assert moved.success
    assert moved.result.objective == pytest.approx(alone.result.objective, rel=1e-6)
    np.testing.assert_allclose(moved.result.x, alone.result.x, atol=1e-5)
    assert moved.costs == pytest.approx(alone.costs, rel=1e-6)


def test_the_loop_follows_a_set_point_that_is_known_ahead():
    target = cc.Signal([0.0, 1.0], [1.0, 2.0], "zoh")
    horizon = cc.RecedingHorizon(tracking(target), sample=0.1, mesh=40)
    loop = horizon.run([1.0], 20)
    assert loop.states[5, 0] == pytest.approx(1.0, abs=0.02)
    assert loop.states[-1, 0] == pytest.approx(2.0, abs=0.02)
    assert (loop.control("target", [0.55, 1.55]) == [1.0, 2.0]).all()


def test_a_warm_plan_takes_fewer_iterations_and_finds_the_same():
    from models.control import cstr_setpoint as tank

    horizon = cc.RecedingHorizon(tank.problem(learnt=False), sample=0.25, degree=2)
    loop = horizon.run(tank.START, 8)
    cold = [horizon.plan(state).result for state in loop.states[:-1]]
    for plan, alone in zip(loop.plans, cold, strict=True):
        assert plan.success
        assert plan.result.objective == pytest.approx(alone.objective, rel=1e-6)
    assert max(loop.iterations[4:]) <= 3
    assert min(result.iterations for result in cold[4:]) >= 7


def test_feedback_rejects_what_the_model_does_not_know():
    """The plant's gain is a tenth less; what remains is an offset, not a drift."""
    horizon = cc.RecedingHorizon(tracking(cc.Signal([0.0], [1.0])), sample=0.2)
    as_problem = horizon.run([0.0], 15, plant=tracking(cc.Signal([0.0], [1.0]), plant_gain=0.9))

    def plant(state, inputs, sample):
        feed = inputs["feed"](np.array([0.0]))[0]
        return 0.9 * feed + (state - 0.9 * feed) * np.exp(-sample)

    as_function = horizon.run({"level": 0.0}, 15, plant=plant)
    np.testing.assert_allclose(as_problem.states, as_function.states, atol=1e-6)
    assert 0.9 < as_function.states[-1, 0] < 1.0


def disturbed(swing=0.0, **inputs):
    """A tank with a disturbance; it may swing by the clock."""
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.feed - x.level + u.d + swing * np.cos(2.0 * t)]),
        cc.Window(end=2.0, inputs=inputs, controls={"feed": cc.Control(0.0, 5.0, kind="constant")}),
        states=("level",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: (x.level - 1.0) ** 2 + 0.01 * u.feed**2),
    )


@pytest.mark.parametrize("swing", [0.0, 0.5])
def test_the_plant_has_disturbances_of_its_own_by_the_clock(swing):
    """x' = feed - x + d + a cos 2t, where the plans know of none; each sample in closed form."""
    horizon = cc.RecedingHorizon(disturbed(d=cc.Signal([0.0], [0.0])), sample=0.2)
    comes = cc.Signal([0.0, 0.7], [0.0, 1.0], "zoh")
    loop = horizon.run([0.0], 8, plant=disturbed(swing, d=comes))

    def swung(t):  # one solution of x' = -x + a cos 2t
        return swing * (np.cos(2.0 * t) + 2.0 * np.sin(2.0 * t)) / 5.0

    for k, feed in enumerate(loop.control("feed", loop.times[:-1] + 0.1)):
        now, later = 0.2 * k, 0.2 * (k + 1)
        x = feed + (loop.states[k, 0] - swung(now) - feed) * np.exp(-0.2) + swung(later)
        x += 1.0 - np.exp(-(later - min(max(now, 0.7), later)))
        assert loop.states[k + 1, 0] == pytest.approx(x, abs=1e-7)
    # what the model decides, the plant gets from the plans, whatever its own window has
    data = disturbed(d=cc.Signal([0.0], [0.0]))
    given = {**data.experiments[0].inputs, "feed": cc.Signal([0.0], [3.0])}
    window = replace(data.experiments[0], inputs=given, controls={})
    answered = horizon.run([0.0], 3, plant=replace(data, experiments=window))
    np.testing.assert_allclose(answered.states, horizon.run([0.0], 3).states, atol=1e-9)


def test_a_first_plan_that_fails_is_told_to_be_followed():
    problem = replace(disturbed(d=cc.Signal([0.0], [0.0])), bounds={"level": (0.5, 2.0)})
    horizon = cc.RecedingHorizon(problem, sample=0.2, options={"linear_solver": "mumps"})
    with pytest.warns(cc.CollocodeWarning, match="the first was followed as it ended"):
        loop = horizon.run([90.0], 2)
    assert loop.failed == (0, 1)
    assert "followed as it ended" in str(cc.report(loop))
    feed = loop.plans[0].control("feed", [0.1])[0]
    assert loop.states[1, 0] == pytest.approx(feed + (90.0 - feed) * np.exp(-0.2), rel=1e-7)


def test_a_plan_that_fails_is_not_followed():
    horizon = cc.RecedingHorizon(
        replace(tracking(cc.Signal([0.0], [1.0])), bounds={"level": (0.0, 1.5)}),
        sample=0.2,
        options={"linear_solver": "mumps"},
    )
    kicks = iter([0.5, 40.0, 0.5, 0.5])  # the second cannot decay below 1.5 within the window
    with pytest.warns(cc.CollocodeWarning, match=r"1 of 4 plans were not solved .* Soften"):
        loop = horizon.run([0.5], 4, plant=lambda state, inputs, sample: [next(kicks)])
    assert loop.failed == (2,)
    one, two = loop.plans[1], loop.plans[2]
    assert not two.success
    np.testing.assert_allclose(two.control("feed", [0.0]), one.control("feed", [0.2]), atol=1e-9)
    with pytest.warns(cc.CollocodeWarning, match="1 of 4 plans"):  # of all that were made
        horizon.run([0.5], 2, after=loop)
    with quietly():
        horizon.run([0.5], 2, after=loop)  # would be an error


@pytest.mark.parametrize("by", ["bounds", "constraints"])
def test_a_plant_beyond_a_bound_has_a_way_back(by):
    """x' = u - x with x at most 2: from 3 at rest, u = 0, until ln 1.5 = 0.405, the third sample of 0.2."""
    most = {
        "bounds": {"level": (0.0, 2.0)},
        "constraints": [cc.PathConstraint("most", lambda t, x, u, p, nn: x.level**2, upper=4.0)],
    }
    problem = tracking(cc.Signal([0.0], [1.9]))
    horizon = cc.RecedingHorizon(replace(problem, **{by: most[by]}), sample=0.2)
    barely = horizon.run([2.0 + 1e-6], 4)
    assert not barely.failed
    free = cc.RecedingHorizon(problem, sample=0.2)
    np.testing.assert_allclose(barely.states, free.run([2.0 + 1e-6], 4).states, atol=1e-6)
    loop = horizon.run([3.0], 6)
    assert not loop.failed
    np.testing.assert_allclose(loop.states[:3, 0], 3.0 * np.exp([0.0, -0.2, -0.4]), rtol=1e-6)
    assert (loop.states[3:, 0] < 2.0).all()
    assert (loop.plans[0].states(np.arange(0.8, 2.01, 0.2)) <= 2.0 + 1e-6).all()  # of 1, 2, 4, ...


@pytest.mark.parametrize("by", ["bounds", "constraints"])
def test_a_plant_beyond_a_bound_of_an_algebraic_variable_has_a_way_back(by):
    """The same with an outflow of 0.8 times the level, at most 1.6, and a sum that the feed moves."""
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: {"level": u.feed - 1.25 * x.out},
        algebraics={"out": 0.5, "sum": 1.0},
        residuals=lambda t, x, u, p, nn: [x.out - 0.8 * x.level, x.sum - x.out - u.feed],
    )
    problem = cc.Problem(
        dynamics,
        cc.Window(end=2.0, controls={"feed": cc.Control(0.0, 5.0, kind="constant")}),
        states=("level",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: (x.level - 1.9) ** 2),
        bounds={"out": (0.0, 1.6)} if by == "bounds" else {},
        constraints=[cc.PathConstraint("most", lambda t, x, u, p, nn: x.out**2, upper=2.56)]
        if by == "constraints"
        else [],
    )
    horizon = cc.RecedingHorizon(problem, sample=0.2)
    loop = horizon.run([3.0], 6)
    assert not loop.failed
    np.testing.assert_allclose(loop.states[:3, 0], 3.0 * np.exp([0.0, -0.2, -0.4]), rtol=1e-6)
    assert (loop.states[3:, 0] < 2.0).all()
    assert (loop.plans[0].algebraics(np.arange(0.8, 2.01, 0.2))[:, 0] <= 1.6 + 1e-6).all()
    assert horizon._way_back._settled.tolist() == [True, False]


@pytest.mark.parametrize("kind", ["linear", cc.PiecewiseConstant(tuple(np.linspace(0.0, 2.0, 11)))])
def test_a_bounded_slope_is_kept_from_plan_to_plan(kind):
    """A plant that leaps would have every plan begin elsewhere; what it gets moves by 0.5 a time unit."""
    problem = tracking(cc.Signal([0.0], [1.0]))
    window = replace(
        problem.experiments[0],
        controls={"feed": cc.Control(0.0, 5.0, kind=kind, rate=(-0.5, 0.5))},
    )
    horizon = cc.RecedingHorizon(replace(problem, experiments=window), sample=0.2)
    leaps = iter([0.4, -1.0, 1.5, -0.7, 0.6])
    loop = horizon.run([1.0], 5, plant=lambda state, inputs, sample: state + next(leaps))
    if kind == "linear":
        ends = [[p.control("feed", [t])[0] for t in (0.0, 0.2)] for p in loop.plans]
        np.testing.assert_allclose([a for a, _ in ends[1:]], [b for _, b in ends[:-1]], atol=1e-7)
    made = loop.control("feed", np.arange(0.1, 1.0, 0.2))
    assert np.abs(np.diff(made)).max() <= 0.5 * 0.2 * (1.0 + 1e-6)
    assert np.abs(np.diff(made)).max() > 0.09
    free = horizon.plan(loop.states[1], 0.2).control("feed", [0.1])[0]
    assert abs(free - made[0]) > 0.15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: cc.RecedingHorizon(p, sample=9.0), "sample=9 does not lie within the window"),
        (lambda p: cc.RecedingHorizon("tank"), "RecedingHorizon takes a Problem"),
        (
            lambda p: cc.RecedingHorizon(
                replace(p, experiments=replace(p.experiments[0], end_bounds=(1.0, 3.0)))
            ),
            "has free times",
        ),
        (
            lambda p: cc.RecedingHorizon(
                replace(
                    p, experiments=[replace(p.experiments[0], name=name) for name in ("a", "b")]
                )
            ),
            "has 2 windows",
        ),
        (
            lambda p: cc.RecedingHorizon(
                replace(p, costs=cc.Mayer(lambda t, x, u, p, nn: (x.level - u.target) ** 2))
            ),
            "'Mayer' looks at input 'target' at an end of the window",
        ),
        (
            lambda p: cc.RecedingHorizon(
                replace(p, experiments=replace(p.experiments[0], start=-1.0, end=1.0))
            ),
            "counts time from now, but 'window' starts at -1",
        ),
        (
            lambda p: cc.RecedingHorizon(
                replace(
                    p, experiments=replace(p.experiments[0], events=[cc.Dose(0.5, 0.5, to="level")])
                )
            ),
            "'window' has events",
        ),
        (
            lambda p: cc.RecedingHorizon(
                replace(
                    p,
                    constraints=[
                        cc.IntegralConstraint("dose", lambda t, x, u, p, nn: u.feed, upper=1.0)
                    ],
                )
            ),
            "integral constraint 'dose' begins at zero in every window",
        ),
        (
            lambda p: cc.RecedingHorizon(replace(p, parameters=[cc.Parameter("k", 1.0, 0.5, 2.0)])),
            "'k' of problem 'problem' is free, so that a plan would choose",
        ),
        (
            lambda p: cc.RecedingHorizon(
                replace(p, dynamics=cc.Dynamics(lambda t, x, u, p, nn: [u.feed - t * x.level]))
            ),
            "depend on t, which counts from now in every plan",
        ),
        (
            lambda p: cc.RecedingHorizon(p).run(
                [0.0], 1, plant=replace(p, delays={"then": cc.Delay(0.1, of="level")})
            ),
            "the plant 'problem' has delayed states",
        ),
        (
            lambda p: cc.RecedingHorizon(p).plan({"height": 1.0}),
            "names 'height', which is no state",
        ),
        (lambda p: cc.RecedingHorizon(p).run([0.0], 2.5), "run(moves=...)"),
        (lambda p: cc.RecedingHorizon(p).plan("full"), "the state to plan from cannot be read"),
        (
            lambda p: cc.RecedingHorizon(p, setpoints={"level": [1.0, 2.0]}),
            "the set point of 'level'",
        ),
        (lambda p: cc.RecedingHorizon(p).plan([np.nan]), "a finite value of each: level"),
        (lambda p: cc.RecedingHorizon(p).run([0.0], 0), "run(moves=...)"),
        (lambda p: cc.RecedingHorizon(p).run([0.0], 1, plant=3), "plant=...) takes a Problem"),
        (
            lambda p: cc.RecedingHorizon(p).run([0.0], 1, plant=regulator()),
            "the plant has states x, v and inputs a, the model level and target, feed",
        ),
        (
            lambda p: cc.RecedingHorizon(p).run([0.0], 1, plant=lambda *a: [1.0, 2.0]),
            "the plant answered with",
        ),
    ],
)
def test_what_cannot_move_along_is_refused(make, message):
    target = cc.Signal([0.0, 1.0], [1.0, 2.0], "zoh")
    problem = tracking(cc.Signal([0.0], [1.0]) if "free times" in message else target)
    with pytest.raises(cc.InputError) as caught:
        make(problem)
    assert message in str(caught.value)
