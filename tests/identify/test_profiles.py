"""Profiles: against Student's intervals of a line and SciPy's profile of a decay; and what findings say of bent ones."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import linregress
from scipy.stats import t as student

import collocode as cc
from tests.waiting import press_ctrl_c

T = np.linspace(0.0, 2.0, 6)


def trust_of(dynamics, t, y, **more):
    problem = cc.Problem(dynamics, cc.Experiment(t, y, ("c",)), **more)
    return cc.uncertainty(cc.fit(problem, mesh=4, start="gradient_matching"))


def decay(noise, seed=0, **more):
    y = np.exp(-0.7 * T) + noise * np.random.default_rng(seed).standard_normal(len(T))
    rate = cc.Parameter("k", 0.7, **more)
    return trust_of(cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[rate]), T, y), y


@pytest.mark.parametrize("loss", [cc.LeastSquares(), cc.Normal()])
def test_of_a_straight_line_they_are_students_intervals(loss):
    y = 0.5 + 2.0 * T + 0.1 * np.random.default_rng(1).standard_normal(len(T))
    line = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k + 0.0 * x.c], parameters=[cc.Parameter("k", 1.0)]
    )
    trust, known = trust_of(line, T, y, loss=loss), linregress(T, y)
    half = student.ppf(0.975, 4) * known.stderr
    row = trust.profile().loc["k"]
    assert row["lower"] == pytest.approx(known.slope - half, abs=0.01 * half)
    assert row["upper"] == pytest.approx(known.slope + half, abs=0.01 * half)
    assert trust.profiled_level()["k"] == pytest.approx(0.95, abs=1e-3)


def test_of_a_noisy_decay_they_are_where_scipys_profile_ends():
    trust, y = decay(0.15)

    def left(k):
        shape = np.exp(-k * T)
        return float(np.sum((y - (shape @ y) / (shape @ shape) * shape) ** 2))

    best = minimize_scalar(left, bracket=(0.3, 1.2))
    allowed = student.ppf(0.975, 4) ** 2 * best.fun / 4.0
    ends = [
        brentq(lambda k: left(k) - best.fun - allowed, *sorted((best.x, far))) for far in (-5, 20)
    ]
    row = trust.profile().loc["k"]
    half = 0.5 * (ends[1] - ends[0])
    np.testing.assert_allclose(row[["lower", "upper"]].astype(float), ends, atol=0.01 * half)
    straight = trust.intervals().loc["k"]
    assert abs(straight["upper"] - ends[1]) > 0.05 * half  # which the linearised one is not


def test_a_bound_that_nothing_before_it_speaks_against_is_the_limit():
    trust, _ = decay(0.15, lower=0.5, upper=0.85)
    row = trust.profile().loc["k"]
    assert row["lower"] == 0.5
    assert row["upper"] == 0.85


def saturating(noise, seed=9):
    """Of so little substrate only V/K is told: V may be as large as it likes."""
    t = np.linspace(0.0, 4.0, 40)
    y = 0.1 * np.exp(-0.7 * t) + noise * np.random.default_rng(seed).standard_normal(40)
    sizes = [cc.Parameter(name, 1.0, 1e-3, 1e3, scale="log") for name in ("V", "K")]
    rate = cc.Dynamics(lambda t, x, u, p, nn: [-p.V * x.c / (p.K + x.c)], parameters=sizes)
    return trust_of(rate, t, y)


def test_an_interval_within_which_the_model_bends_is_told():
    trust = saturating(0.003)
    straight, profile = trust.intervals(), trust.profile()
    assert straight.loc["V", "upper"] < 100.0
    assert profile.loc["V", "upper"] > 900.0
    assert "bent-interval" in {f.code for f in cc.findings(trust._solution)}


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_one_within_which_it_does_not_is_not(noise):
    trust, _ = decay(noise)
    assert "bent-interval" not in {f.code for f in cc.findings(trust._solution)}


def test_ctrl_c_ends_a_profile(monkeypatch):
    trust, _ = decay(0.05)
    press_ctrl_c(monkeypatch, 1, solve=2)
    with pytest.raises(KeyboardInterrupt):
        trust.profile()
