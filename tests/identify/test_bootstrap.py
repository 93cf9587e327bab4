"""Ctrl-C in a bootstrap, and few data; that its intervals agree with others is in test_uncertainty."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress
from scipy.stats import t as student

import collocode as cc
from tests.problems import decay
from tests.waiting import press_ctrl_c


def noisy_decay():
    problem = decay()
    data = problem.experiments[0]
    noise = 0.02 * np.random.default_rng(0).standard_normal(data.values.shape)
    again = cc.Experiment(data.times, data.values + noise, data.outputs)
    return cc.Problem(problem.dynamics, again)


def test_ctrl_c_keeps_the_refits_so_far(monkeypatch):
    solution = cc.fit(noisy_decay(), mesh=None)
    press_ctrl_c(monkeypatch, 1, solve=4)
    found = cc.bootstrap(solution, refits=50)
    assert found.termination is cc.Termination.INTERRUPTED
    assert len(found.samples) == 3
    assert found.failed == 0
    assert np.isfinite(found.intervals().loc["k", "std"])


def test_ctrl_c_in_the_first_refit_leaves_no_sample(monkeypatch):
    solution = cc.fit(noisy_decay(), mesh=None)
    press_ctrl_c(monkeypatch, 0)
    found = cc.bootstrap(solution, refits=50)
    assert found.termination is cc.Termination.INTERRUPTED
    assert list(found.samples.columns) == ["k"]
    assert found.intervals().isna().all(axis=None)


def test_intervals_are_ranks_of_the_refits():
    k = np.random.default_rng(1).standard_normal(399) ** 3
    row = cc.Bootstrap(pd.DataFrame({"k": k}), failed=0).intervals(0.9).loc["k"]
    assert row["estimate"] == np.median(k)
    assert row["std"] == pytest.approx(np.sqrt(np.sum((k - k.mean()) ** 2) / 398))
    np.testing.assert_allclose(row[["lower", "upper"]], np.sort(k)[[19, 379]])  # 20 and 380 of 400


@pytest.mark.parametrize("refits", [39, 100])
def test_one_more_refit_falls_between_the_limits_as_often_as_they_say(refits):
    draws = np.random.default_rng(0).standard_t(4, (refits + 1, 20_000))
    found = cc.Bootstrap(pd.DataFrame(draws[:-1]), failed=0).intervals()
    inside = (found["lower"] <= draws[-1]) & (draws[-1] <= found["upper"])
    assert np.mean(inside) == pytest.approx(0.95, abs=4.0 * np.sqrt(0.05 * 0.95 / 20_000))


def test_fewer_refits_than_a_level_needs_have_no_limits():
    found = cc.Bootstrap(pd.DataFrame({"k": np.arange(38.0)}), failed=0)
    assert found.intervals()[["lower", "upper"]].isna().all(axis=None)
    assert np.isfinite(found.intervals(0.94).loc["k", ["lower", "upper"]]).all()
    with pytest.raises(cc.InputError, match="between 0 and 1"):
        found.intervals(95.0)


def test_percentiles_of_few_data_are_those_of_students_t():
    """Of six data about a line half a width of 95 % is 2.78 standard errors, not 1.96."""
    t = np.linspace(0.0, 1.0, 6)
    y = 0.5 + 2.0 * t + 0.1 * np.random.default_rng(0).standard_normal(6)
    line = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k + 0.0 * x.x], parameters=[cc.Parameter("k", 1.0)]
    )
    problem = cc.Problem(line, cc.Experiment(t, y, ("x",)))
    solution = cc.fit(problem, mesh=1, start="gradient_matching")
    row = cc.bootstrap(solution, refits=400, seed=0).intervals().loc["k"]
    half = 0.5 * (row["upper"] - row["lower"]) / linregress(t, y).stderr
    assert half == pytest.approx(student.ppf(0.975, 4), rel=0.12)
