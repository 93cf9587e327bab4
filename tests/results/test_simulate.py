"""Simulation against analytic solutions, and honest breakdowns."""

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode.results import algebraic as algebraic_module
from collocode.results.integrate import integrate
from collocode.results.model import TrainedModel
from tests.problems import LOGISTIC, decay, driven, driven_exact, van_der_pol_neural


@pytest.fixture(scope="module")
def fitted_decay():
    return cc.fit(decay(), mesh=None)


def test_against_the_exponential(fitted_decay):
    t = np.linspace(0.0, 5.0, 33)
    run = cc.simulate(fitted_decay.model, [2.0], t)
    assert run.complete
    np.testing.assert_allclose(run.states[:, 0], 2.0 * np.exp(-0.7 * t), rtol=1e-6)


@pytest.mark.parametrize("method", ["LSODA", "DOP853", "Radau"])
def test_integrators_agree(method):
    t = np.linspace(0.0, 3.0, 9)
    run = integrate(lambda t, x: LOGISTIC.rhs(t, x), LOGISTIC.exact(t[:1])[0], t, method=method)
    np.testing.assert_allclose(run.states, LOGISTIC.exact(t), rtol=1e-6)


def test_the_integration_restarts_where_an_input_jumps():
    solution = cc.fit(driven(), mesh=None)
    u = solution.trajectories[0].experiment.inputs["u"]
    model = solution.model.with_parameters(np.array([1.3, 0.8]))
    t = np.array([0.0, 0.5, 0.7, 1.6, 1.9, 2.5, 3.0])  # some report times are jumps
    run = cc.simulate(model, [0.2], t, {"u": u}, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(run.states[:, 0], driven_exact(t, u, 1.3, 0.8), atol=1e-8)
    with pytest.raises(cc.InputError, match="the simulation needs input 'u'; pass it in inputs="):
        cc.simulate(model, [0.2], t)


def test_the_integration_does_not_step_over_a_short_pulse():
    solution = cc.fit(driven(), mesh=None)
    model = solution.model.with_parameters(np.array([1.3, 0.8]))
    times = np.array([0.0, 40.0, 40.005, 40.01, 80.0])
    for kind in ("linear", "spline"):
        pulse = cc.Signal(times, [0.0, 0.0, 200.0, 0.0, 0.0], kind)
        if kind == "spline":  # the same bump, but flat beside it
            grid = np.concatenate([np.linspace(0.0, 39.99, 50), np.linspace(40.0, 40.01, 41)])
            grid = np.append(grid, np.linspace(40.02, 80.0, 50))
            pulse = cc.Signal(grid, np.interp(grid, times, [0.0, 0.0, 200.0, 0.0, 0.0]), kind)
        t = np.array([0.0, 40.2, 41.0])
        found = cc.simulate(model, [0.0], t, {"u": pulse}, rtol=1e-9, atol=1e-12).states[:, 0]
        fine = cc.simulate(model, [0.0], t, {"u": pulse}, "CVODES", 1e-10, 1e-12).states[:, 0]
        np.testing.assert_allclose(found, fine, rtol=1e-4)
        assert abs(found[1]) > 0.1


def test_jumps_that_rounding_has_set_apart_are_one():
    t, e = np.array([0.0, 0.5, 1.0]), 1e-16
    jumps = [e, 0.5 - e, 0.5, 0.5 + e, 1.0 - e]
    run = integrate(lambda t, x: -x, [1.0], t, jumps)
    assert run.complete
    np.testing.assert_allclose(run.states[:, 0], np.exp(-t), atol=1e-7)


def test_every_jump_starts_the_integrator_anew():
    starts = []

    def rhs(t, x):
        starts.append(t)
        return [0.0]

    integrate(rhs, [1.0], [0.0, 1.0], jumps=[-1.0, 0.25, 0.5, 0.5, 1.0, 2.0])
    for edge in (0.0, 0.25, 0.5):
        assert edge in starts
    assert max(starts) <= 1.0 + 1e-9


@pytest.mark.parametrize("method", ["LSODA", "RK45"])
def test_a_blow_up_in_finite_time_is_reported_not_raised(method):
    t = np.linspace(0.0, 2.0, 21)  # ẋ = x², x(0) = 1 ends at t = 1
    run = integrate(lambda t, x: x**2, [1.0], t, method=method)
    assert not run.complete
    assert "broke down after t = " in run.message
    before = t < 0.85
    np.testing.assert_allclose(run.states[before, 0], 1.0 / (1.0 - t[before]), rtol=1e-5)
    assert np.isnan(run.states[t > 1.25]).all()
    assert float(run.message.split("=")[1]) == pytest.approx(1.0, abs=0.16)


def test_a_right_hand_side_of_nan_is_a_breakdown_too():
    run = integrate(lambda t, x: np.where(t > 0.5, np.nan, -x), [1.0], np.linspace(0.0, 1.0, 11))
    assert not run.complete
    assert np.isfinite(run.states[0]).all()
    assert np.isnan(run.states[-1]).all()


def test_one_time_is_the_initial_state(fitted_decay):
    np.testing.assert_array_equal(cc.simulate(fitted_decay.model, [3.0], [1.0]).states, [[3.0]])


def test_a_time_may_come_twice(fitted_decay):
    run = cc.simulate(fitted_decay.model, [3.0], [0.0, 0.0, 0.5, 1.0, 1.0])
    plain = cc.simulate(fitted_decay.model, [3.0], [0.0, 0.5, 1.0])
    assert run.complete
    np.testing.assert_array_equal(run.states, plain.states[[0, 0, 1, 2, 2]])


def test_an_unknown_integrator_is_refused(fitted_decay):
    with pytest.raises(cc.InputError, match="unknown integrator 'euler'; choose from LSODA"):
        cc.simulate(fitted_decay.model, [1.0], [0.0, 1.0], method="euler")


@pytest.mark.parametrize(
    ("initial", "times", "message"),
    [
        ([1.0, 2.0], [0.0, 1.0], "initial state has 2 entries, but the model has 1 state"),
        ([np.nan], [0.0, 1.0], "is not finite"),
        ([1.0], [1.0, 0.0], "may not decrease"),
        ([1.0], [0.0, np.nan], "finite"),
        ([1.0], [], "may not decrease"),
    ],
)
def test_bad_simulations_are_refused(fitted_decay, initial, times, message):
    with pytest.raises(cc.InputError, match=message):
        cc.simulate(fitted_decay.model, initial, times)


def test_collocation_and_simulation_agree_where_the_mesh_is_fine():
    solution = cc.fit(van_der_pol_neural(), mesh=60, options={"max_iter": 100})
    assert solution.gap() < 1e-4
    coarse = cc.fit(van_der_pol_neural(), "explicit_euler", mesh=60, options={"max_iter": 100})
    assert coarse.gap() > 1e-2  # and the gap tells where it is not


def growth(algebraic):
    """x' = u x under a decided u, plainly or through an algebraic variable."""
    dynamics = (
        cc.Dynamics(
            lambda t, x, u, p, nn: [x.z],
            algebraics={"z": 1.0},
            residuals=lambda t, x, u, p, nn: [x.z - u.u * x.x],
        )
        if algebraic
        else cc.Dynamics(lambda t, x, u, p, nn: [u.u * x.x])
    )
    window = cc.Window(end=1.0, controls={"u": cc.Control(-3.0, 3.0)}, initial={"x": 1.0})
    cost = cc.Lagrange(lambda t, x, u, p, nn: u.u**2)
    return cc.solve(cc.discretize(cc.Problem(dynamics, window, states=("x",), costs=cost), mesh=3))


SIGNALS = {
    "zoh": cc.Signal([0.0, 0.2, 0.7], [1.0, -2.0, 0.5], "zoh"),
    "linear": cc.Signal([0.0, 0.5, 1.0], [1.0, 2.0, -2.0]),
    "spline": cc.Signal([0.0, 0.3, 0.6, 1.0], [0.0, 0.09, 0.36, 1.0], "spline"),
    "polynomial": cc.Signal(
        [0.1, 0.4, 0.6, 0.9], [0.1, 0.4, 2.6, 2.9], "polynomial", points=[0.0, 0.5, 1.0]
    ),
}
INTEGRALS = {  # of u from 0 to t, by hand
    "zoh": lambda t: np.interp(t, [0.0, 0.2, 0.7, 1.0], [0.0, 0.2, -0.8, -0.65]),
    "linear": lambda t: np.where(
        t < 0.5, t + t**2, 0.75 + 2.0 * (t - 0.5) - 4.0 * np.maximum(t - 0.5, 0.0) ** 2
    ),
    "spline": lambda t: t**3 / 3.0,
    "polynomial": lambda t: t**2 / 2.0 + 2.0 * np.maximum(t - 0.5, 0.0),
}


@pytest.mark.parametrize("kind", INTEGRALS)
@pytest.mark.parametrize("algebraic", [False, True])
def test_compiled_integrators_go_from_piece_to_piece_of_every_kind_of_input(kind, algebraic):
    t, signal = np.linspace(0.0, 1.0, 21), SIGNALS[kind]
    run = cc.simulate(
        growth(algebraic).model,
        [1.0],
        t,
        {"u": signal},
        method=None if algebraic else "CVODES",
        rtol=1e-10,
        atol=1e-12,
    )
    exact = np.exp(INTEGRALS[kind](t))
    np.testing.assert_allclose(run.states[:, 0], exact, rtol=1e-7)
    if algebraic:
        np.testing.assert_allclose(run.algebraics[:, 0], signal(t) * exact, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("algebraic", [False, True])
def test_one_integrator_does_for_all_elements(algebraic, monkeypatch):
    made, build = [], ca.integrator
    monkeypatch.setattr(
        algebraic_module.ca, "integrator", lambda *a: made.append(a[1]) or build(*a)
    )
    solution = growth(algebraic)  # solved without being simulated, until now
    values = 1.0 + 0.1 * np.arange(40)
    u = cc.Signal(np.linspace(0.0, 1.0, 41)[:-1], values, "zoh")
    method = None if algebraic else "CVODES"
    del made[:]
    run = cc.simulate(solution.model, [1.0], np.linspace(0.0, 1.0, 81), {"u": u}, method=method)
    assert made == ["idas" if algebraic else "cvodes"]
    np.testing.assert_allclose(run.states[-1], np.exp(values.mean()), rtol=1e-5)


def test_a_compiled_integrator_reports_how_far_it_came():
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [u.u * x.x**2])
    window = cc.Window(end=0.1, controls={"u": cc.Control(0.0, 1.0)}, initial={"x": 1.0})
    cost = cc.Lagrange(lambda t, x, u, p, nn: u.u**2)
    model = cc.solve(
        cc.discretize(cc.Problem(dynamics, window, states=("x",), costs=cost), mesh=2)
    ).model
    u = cc.Signal([0.0, 0.25], [1.0, 1.001], "zoh")  # x = 1/(1 - t), or about
    run = cc.simulate(model, [1.0], np.linspace(0.0, 2.0, 9), {"u": u}, method="CVODES")
    assert not run.complete
    assert "broke down after t = 0.75" in run.message
    np.testing.assert_allclose(run.states[:4, 0], 1.0 / (1.0 - run.times[:4]), rtol=3e-3)
    assert np.isnan(run.states[4:]).all()


@pytest.mark.parametrize("algebraic", [False, True])
def test_a_compiled_integrator_reports_over_decades_of_time(algebraic):
    """x = 1/(1 + t), the beginning of which is less than 1e-9 of the whole."""
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-(x.x**2)])
    if algebraic:
        dynamics = cc.Dynamics(
            lambda t, x, u, p, nn: [-x.z],
            algebraics={"z": 1.0},
            residuals=lambda t, x, u, p, nn: [x.z - x.x**2],
        )
    window = cc.Window(end=1.0, initial={"x": 1.0})
    problem = cc.Problem(dynamics, window, states=("x",))
    nlp = cc.discretize(problem, mesh=1)
    t = np.append(0.0, np.geomspace(1e-3, 1e12, 31))
    method = None if algebraic else "CVODES"
    run = cc.simulate(TrainedModel.of(nlp, nlp.start), [1.0], t, method=method, atol=1e-20)
    np.testing.assert_allclose(run.states[:, 0], 1.0 / (1.0 + t), rtol=1e-5)
    assert run.complete


def test_delays_are_not_for_a_compiled_integrator():
    t = np.linspace(0.0, 2.0, 9)
    dynamics, data = (
        cc.Dynamics(lambda t, x, u, p, nn: [-x.late]),
        cc.Experiment(t, np.cos(t), ("x",)),
    )
    problem = cc.Problem(dynamics, data, delays={"late": cc.Delay(0.5, of="x")})
    model = cc.solve(cc.discretize(problem, mesh=8)).model
    with pytest.raises(cc.InputError, match="'CVODES' does not look back at delayed states"):
        cc.simulate(model, [1.0], t, method="CVODES")


def test_nanomoles_are_simulated_as_exactly_as_moles(tmp_path):
    t = np.linspace(0.0, 5.0, 14)
    values = 3e-9 * np.exp(-0.7 * t)
    model = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    problem = cc.Problem(model, cc.Experiment(t, values, ("c",)), loss=cc.Normal(3e-10))
    fitted = cc.fit(problem)
    exact = fitted.states(0.0) * np.exp(-fitted.parameters["k"] * t[:, None])
    np.testing.assert_allclose(fitted.states(t), exact, rtol=1e-5, atol=0.0)
    fitted.save(tmp_path / "fit.npz")
    for solution in (fitted, cc.load(tmp_path / "fit.npz")):
        np.testing.assert_allclose(solution.simulate(times=t).states, exact, rtol=1e-6, atol=0.0)
