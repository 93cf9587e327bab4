"""Dead time of inputs, known and estimated, against the closed form of first order plus dead time."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

import collocode as cc
from collocode import Delay, Experiment, Parameter, Problem, Signal, first_order_plus_dead_time

TIMES = np.arange(0.0, 151.0, 3.0)
STEPS = Signal([0.0, 10.0, 80.0], [0.0, 1.0, 0.5], "zoh")


def response(K, tau, theta, t=TIMES):
    def risen(start):
        late = np.maximum(t - start - theta, 0.0)
        return 1.0 - np.exp(-late / tau)

    return K * (risen(10.0) - 0.5 * risen(80.0))


def fopdt(y, delay, *more, signal=STEPS, **given):
    model = first_order_plus_dead_time(
        Parameter("K", 1.0, scale="log"), Parameter("tau", 10.0, scale="log")
    )
    run = Experiment(TIMES, y, ("y",), inputs={"u": signal}, initial={"y": 0.0})
    return Problem(model, run, parameters=more, delays={"u": delay}, **given)


def test_the_dead_time_of_a_step_response_and_its_error_are_those_of_scipy():
    y = response(2.0, 20.0, 15.0) + 0.02 * np.random.default_rng(1).standard_normal(51)
    best = optimize.least_squares(lambda v: response(*v) - y, [1.5, 15.0, 12.0], diff_step=1e-4)
    std = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)) * 2.0 * best.cost / 48.0)
    solution = cc.fit(fopdt(y, Delay("theta", width=2.0), Parameter("theta", 5.0, 0.0, 40.0)))
    found = np.array([*solution.parameters.values()])
    assert (np.abs(found - best.x) < 0.5 * std).all()
    table = cc.uncertainty(solution).intervals()
    np.testing.assert_allclose(table["std"], std, rtol=0.15)
    assert table["lower"]["theta"] < 15.0 < table["upper"]["theta"]
    assert solution.gap() < 5e-3


def test_a_known_dead_time_is_exact_and_comes_once():
    problem = fopdt(response(2.0, 20.0, 15.0), 15.0)
    again = replace(problem, name="again")
    np.testing.assert_allclose(again.experiments[0].inputs["u"].times, STEPS.times + 15.0)
    solution = cc.fit(again)
    np.testing.assert_allclose([*solution.parameters.values()], [2.0, 20.0], rtol=1e-4)


def test_a_ramp_is_delayed_as_well_as_a_step():
    ramp = Signal([0.0, 30.0, 90.0], [0.0, 3.0, 1.0], "linear")
    problem = fopdt(np.ones(51), "theta", Parameter("theta", 12.0, 0.0, 20.0), signal=ramp)
    import casadi as ca

    from collocode.model.symbolic import Symbols, derivatives

    s = Symbols.of(problem)
    f = ca.Function("f", [s.t, s.x, s.u, s.p], [derivatives(problem, s)])
    experiment = problem.experiments[0]
    for t in (5.0, 30.0, 60.0, 130.0):
        u = [float(experiment.inputs[name](t)[0]) for name in problem.inputs]
        value = float(f(t, 0.0, u, [0.0, 0.0, 12.0]))  # K = tau = 1, so f is the input
        assert value == pytest.approx(float(ramp(t - 12.0)[0]), abs=1e-2)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Delay(-1.0), "must be finite and not negative"),
        (lambda: Delay("theta", width=-1.0), "width of a delay"),
        (lambda: fopdt(np.ones(51), "theta"), "delayed by 'theta', which is no parameter"),
        (lambda: fopdt(np.ones(51), "theta", Parameter("theta", 1.0)), "bounds have to say"),
        (
            lambda: fopdt(
                np.ones(51),
                "theta",
                Parameter("theta", 1.0, 0.0, 2.0),
                signal=Signal([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], "spline"),
            ),
            "only one of kind 'zoh' or 'linear'",
        ),
        (
            lambda: fopdt(
                np.ones(51),
                "theta",
                Parameter("theta", 1.0, 0.0, 2.0),
                signal=Signal(np.arange(200.0), np.arange(200.0) % 2.0, "zoh"),
            ),
            "at most 100",
        ),
    ],
)
def test_wrong_delays_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        make()


@pytest.mark.slow
def test_intervals_of_a_dead_time_cover():
    hit = 0
    for seed in range(200):
        y = response(2.0, 20.0, 15.0) + 0.05 * np.random.default_rng(seed).standard_normal(51)
        problem = fopdt(y, "theta", Parameter("theta", 12.0, 0.0, 30.0), loss=cc.Normal())
        row = cc.uncertainty(cc.fit(problem)).intervals().loc["theta"]
        hit += row["lower"] <= 15.0 <= row["upper"]
    assert 0.90 <= hit / 200 <= 0.99


@pytest.mark.parametrize("delay", [15.0, "theta"])
def test_other_runs_and_new_inputs_are_late_too(delay, tmp_path):
    """Those that `replace` brings, those that are simulated, and those of a fit from a file: one dead time, once."""
    more = [] if delay == 15.0 else [Parameter("theta", 15.0, 15.0 - 1e-6, 15.0 + 1e-6)]
    problem = fopdt(response(2.0, 20.0, 15.0), delay, *more)
    other = Signal([0.0, 40.0], [0.0, 1.0], "zoh")
    exact = 2.0 * (1.0 - np.exp(-np.maximum(TIMES - 55.0, 0.0) / 20.0))
    run = Experiment(TIMES, exact, ("y",), inputs={"u": other}, initial={"y": 0.0}, name="other")
    rounded = 1e-7 if delay == 15.0 else 2e-2  # its steps are
    solution = cc.fit(replace(problem, test=run))
    assert solution.score()[1].simulated < rounded**2
    np.testing.assert_allclose(
        [*cc.fit(replace(problem, experiments=run)).parameters.values()][:2], [2.0, 20.0], rtol=1e-2
    )
    solution.save(tmp_path / "fit.npz")
    for fit in (solution, cc.load(tmp_path / "fit.npz")):
        for found in (
            cc.simulate(fit.model, [0.0], TIMES, {"u": other}),
            fit.simulate(times=TIMES, inputs={"u": other}),
        ):
            np.testing.assert_allclose(found.states[:, 0], exact, atol=10.0 * rounded)
        np.testing.assert_allclose(
            fit.simulate().states, solution.predict(TIMES), atol=1e-9
        )  # the run's own inputs are late already


def test_a_new_input_of_more_steps_than_an_estimated_dead_time_knows_is_refused():
    fit = cc.fit(fopdt(response(2.0, 20.0, 15.0), "theta", Parameter("theta", 14.0, 5.0, 25.0)))
    busy = Signal(np.arange(9.0), np.arange(9.0) % 2.0, "zoh")
    with pytest.raises(cc.InputError, match="input 'u' has 8 steps or bends, but"):
        cc.simulate(fit.model, [0.0], TIMES, {"u": busy})


def test_a_dead_time_that_is_exchanged_counts_from_the_record():
    problem = replace(fopdt(response(2.0, 20.0, 15.0), 3.0), delays={"u": 15.0})
    np.testing.assert_allclose(problem.experiments[0].inputs["u"].times, STEPS.times + 15.0)
