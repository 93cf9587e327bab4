"""Ctrl-C in a bootstrap; that its intervals are right is in test_uncertainty."""

import numpy as np

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
