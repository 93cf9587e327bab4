"""Ctrl-C in a bootstrap; that its intervals are right is in test_uncertainty."""

import numpy as np
import pandas as pd
import pytest

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
    solution = cc.fit(noisy_decay())
    press_ctrl_c(monkeypatch, 1, solve=4)
    found = cc.bootstrap(solution, refits=50)
    assert found.termination is cc.Termination.INTERRUPTED
    assert len(found.samples) == 3
    assert found.failed == 0
    assert np.isfinite(found.intervals().loc["k", "std"])


def test_ctrl_c_in_the_first_refit_leaves_no_sample(monkeypatch):
    solution = cc.fit(noisy_decay())
    press_ctrl_c(monkeypatch, 0)
    found = cc.bootstrap(solution, refits=50)
    assert found.termination is cc.Termination.INTERRUPTED
    assert list(found.samples.columns) == ["k"]
    assert found.intervals().isna().all(axis=None)


def test_intervals_are_quantiles_of_the_refits():
    k = np.random.default_rng(1).standard_normal(400) ** 3
    row = cc.Bootstrap(pd.DataFrame({"k": k}), failed=0).intervals(0.9).loc["k"]
    assert row["estimate"] == np.median(k)
    assert row["std"] == pytest.approx(np.sqrt(np.sum((k - k.mean()) ** 2) / 399))
    np.testing.assert_allclose(row[["lower", "upper"]], np.percentile(k, [5.0, 95.0]))
