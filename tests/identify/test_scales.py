"""Scaled, bound and a priori known parameters in fits, against SciPy on the closed form."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

import collocode as cc
from collocode import Dynamics, Experiment, LeastSquares, Parameter, Prior, Problem

TIMES = np.linspace(0.0, 3.0, 31)
DOSES = (1.0, 2.0, 4.0)


def decay(*parameters):
    return Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=parameters)


@pytest.fixture(scope="module")
def doses():
    """Three doses into one unknown volume: c(0) = dose/V, by parameters that a run binds."""
    rng = np.random.default_rng(0)
    runs = [
        Experiment(
            TIMES,
            d / 2.0 * np.exp(-0.7 * TIMES) + 0.01 * rng.standard_normal(31),
            ("c",),
            name=f"dose {d:g}",
            initial={"c": lambda p: p.dose / p.V},
            parameters={"dose": d},
        )
        for d in DOSES
    ]
    rates = decay(Parameter("k", 0.1, 1e-4, 1e2, scale="log10"), Parameter("V", 1.0, scale="log"))
    held = replace(runs[0], name="held out", parameters={"dose": 8.0})
    problem = Problem(rates, runs, parameters=[Parameter("dose", 1.0)], test=[held])
    return cc.fit(problem, mesh=6)


def test_estimates_and_their_lopsided_intervals_are_those_of_scipy(doses):
    y = np.concatenate([part.experiment.values[:, 0] for part in doses.trajectories])

    def residuals(z):
        return np.concatenate([d / np.exp(z[1]) * np.exp(-np.exp(z[0]) * TIMES) for d in DOSES]) - y

    best = optimize.least_squares(residuals, [0.0, 0.0], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    variance = 2.0 * best.cost / (len(y) - 2)
    std = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)) * variance)
    table = cc.uncertainty(doses).intervals()
    np.testing.assert_allclose(table["estimate"], np.exp(best.x), rtol=1e-5)
    np.testing.assert_allclose(table["std"], np.exp(best.x) * std, rtol=1e-3)
    t = stats.t(len(y) - 2).ppf(0.975)
    np.testing.assert_allclose(table["upper"], np.exp(best.x + t * std), rtol=1e-4)
    np.testing.assert_allclose(table["lower"], np.exp(best.x - t * std), rtol=1e-4)


def test_a_number_in_every_run_is_no_estimate_and_a_test_run_has_its_own(doses):
    assert list(doses.parameters) == ["k", "V"]
    assert doses.test[0].initial["c"].value == pytest.approx(8.0 / doses.parameters["V"])
    held = next(score for score in doses.score() if score.role == "test")
    late = (
        doses.test[0].values[:, 0]
        - 8.0 * np.exp(-doses.parameters["k"] * TIMES) / doses.parameters["V"]
    )
    assert held.simulated == pytest.approx(np.mean(late**2), rel=1e-3)


def test_what_a_file_keeps_of_scales_is_natural_again(doses, tmp_path):
    doses.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    assert again.parameters == doses.parameters
    np.testing.assert_allclose(again.predict([1.0], 2), doses.predict([1.0], 2))
    assert again.model.parameter("k", [0.0])[0] == pytest.approx(doses.parameters["k"])


def test_groups_of_runs_share_a_parameter_and_priors_are_weighed_as_scipy_weighs_them():
    rng = np.random.default_rng(1)
    runs = [
        Experiment(
            TIMES,
            np.exp(-k * TIMES) + 0.05 * rng.standard_normal(31),
            ("c",),
            name=name,
            initial={"c": 1.0},
            parameters={"k": group},
        )
        for name, group, k in (("a", "slow", 0.5), ("b", "slow", 0.5), ("c", "fast", 2.0))
    ]
    priors = {"slow": Prior("normal", 0.6, 0.02), "fast": Prior("lognormal", np.log(1.7), 0.1)}
    rates = [Parameter("k", 1.0, scale="log")]
    rates += [Parameter(name, 1.0, scale="log", prior=prior) for name, prior in priors.items()]
    loss = LeastSquares(0.05)
    solution = cc.fit(Problem(decay(*rates), runs, loss=loss), mesh=16)

    def cost(z):
        slow, fast = np.exp(z)
        model = [slow, slow, fast]
        squares = [
            np.sum((np.exp(-k * TIMES) - e.values[:, 0]) ** 2)
            for k, e in zip(model, runs, strict=True)
        ]
        return (
            0.5 * np.sum(squares) / 0.05**2
            - stats.norm(0.6, 0.02).logpdf(slow)
            - stats.lognorm(0.1, scale=1.7).logpdf(fast)
        )

    best = optimize.minimize(
        cost, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}
    )
    found = [solution.parameters[name] for name in ("slow", "fast")]
    assert list(solution.parameters) == ["slow", "fast"]
    np.testing.assert_allclose(found, np.exp(best.x), rtol=1e-5)
    std = cc.uncertainty(solution).intervals()["std"]
    for name, z in zip(("slow", "fast"), range(2), strict=True):
        step = 1e-3 * np.eye(2)[z]
        bend = (cost(best.x + step) - 2.0 * cost(best.x) + cost(best.x - step)) / 1e-6
        assert std[name] == pytest.approx(solution.parameters[name] / np.sqrt(bend), rel=0.05)


def test_bounds_at_the_start_hold_there_alone():
    noisy = np.exp(-0.7 * TIMES) + 0.01 * np.random.default_rng(2).standard_normal(31)
    run = Experiment(TIMES, noisy, ("c",), initial={"c": cc.bounded(1.1, 2.0)})
    solution = cc.fit(Problem(decay(Parameter("k", 1.0)), run), mesh=6)
    states = solution.trajectories[0].states[:, 0]
    assert states[0] == pytest.approx(1.1, abs=1e-6)
    assert states[-1] < 0.2
