"""Records that no simulation from their beginning follows: fits of them are judged by pieces."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.identify.fallbacks import failed
from collocode.starts.restarts import restarted_misfit
from collocode.starts.shooting import enough_for, simulated_misfit

TRUE = {"sigma": 10.0, "rho": 28.0, "beta": 8.0 / 3.0}


def lorenz(seed, end=20.0, samples=401):
    """The attractor, with noise of 2 %."""

    def rates(x, y, z, s, r, b):
        return [s * (y - x), x * (r - z) - y, x * y - b * z]

    t = np.linspace(0.0, end, samples)
    run = solve_ivp(
        lambda t, x: rates(*x, *TRUE.values()),
        (0.0, end),
        [-8.0, 7.0, 27.0],
        "LSODA",
        t,
        rtol=1e-10,
    )
    noise = 0.02 * run.y.std(1) * np.random.default_rng(seed).standard_normal(run.y.T.shape)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: rates(x.x, x.y, x.z, p.sigma, p.rho, p.beta),
        parameters=[cc.Parameter(n, v) for n, v in zip(TRUE, (5.0, 20.0, 1.0), strict=True)],
    )
    return cc.Problem(model, cc.Experiment(t, run.y.T + noise, ("x", "y", "z")))


@pytest.fixture(scope="module")
def solution():
    return cc.fit(lorenz(0), mesh=200, start="gradient_matching")


def test_a_chaotic_fit_near_the_noise_is_none_that_failed(solution):
    """No simulation follows it to the end, each of its pieces does: the truth, nearly."""
    nlp, x = solution.nlp, solution.result.x
    assert simulated_misfit(nlp, x) > 10.0 * enough_for(nlp)
    found = restarted_misfit(nlp, x)
    assert found == pytest.approx(solution.result.objective, rel=0.3)
    assert found < enough_for(nlp)
    assert not failed(solution)
    for name, true in TRUE.items():
        assert solution.parameters[name] == pytest.approx(true, rel=0.03)


def test_states_beside_the_data_that_no_simulation_follows_are_no_fit(solution):
    x = solution.result.x.copy()
    x[solution.nlp.layout.columns_of("rho")] = 20.0
    assert restarted_misfit(solution.nlp, x) == np.inf
    assert failed(replace(solution, result=replace(solution.result, x=x)))


def test_short_records_are_simulated_as_a_whole():
    short = cc.fit(lorenz(0, end=1.0, samples=41), mesh=20, start="gradient_matching")
    assert restarted_misfit(short.nlp, short.result.x) == np.inf
    assert not failed(short)
