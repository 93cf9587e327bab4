"""Splits by time and by experiment."""

import numpy as np
import pytest

import collocode as cc

T = np.linspace(0.0, 5.0, 51)


def decays(*names):
    runs = [
        cc.Experiment(T, (k + 1.0) * np.exp(-0.5 * T), outputs=("c",), name=name)
        for k, name in enumerate(names)
    ]
    rhs = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0, 0.0, 5.0)]
    )
    return cc.Problem(rhs, runs)


def test_a_split_by_time_keeps_every_sample_once():
    parts = cc.split(decays("A", "B"), 0.3)
    for kept, held in zip(parts.experiments, parts.test, strict=True):
        np.testing.assert_array_equal(np.concatenate([kept.times, held.times]), T)
        assert held.start == kept.end


def test_the_held_out_end_is_predicted_from_the_last_fitted_state():
    solution = cc.fit(cc.split(decays("A"), 0.3))
    train, test = solution.score()
    assert (train.role, test.role) == ("train", "test")
    assert test.simulated < 1e-10


def test_a_split_by_experiment():
    parts = cc.split(decays("A", "B", "C"), ["B"])
    assert [e.name for e in parts.experiments] == ["A", "C"]
    assert [e.name for e in parts.test] == ["B"]


@pytest.mark.parametrize(
    ("holdout", "phrase"),
    [
        (0.0, "between 0 and 1"),
        (1.0, "between 0 and 1"),
        (["Z"], "no experiment 'Z'"),
        (["A", "B"], "keep at least one"),
        ([], "hold out at least one"),
    ],
)
def test_bad_splits(holdout, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.split(decays("A", "B"), holdout)


def test_every_held_out_end_goes_on_from_its_own_experiment():
    """Both parts end at the same time; states and parameters of their own must not be mixed up."""
    runs = [
        cc.Experiment(T, c0 * np.exp(-k * T), outputs=("c",), name=name)
        for name, k, c0 in (("A", 0.2, 1.0), ("AB", 0.9, 5.0))
    ]
    rhs = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[cc.Parameter("k", 0.5, 0.0, 5.0, per_experiment=True)],
    )
    scores = cc.fit(cc.split(cc.Problem(rhs, runs), 0.3)).score()
    assert [score.experiment for score in scores] == ["A", "AB", "A, held out", "AB, held out"]
    assert all(score.simulated < 1e-8 for score in scores)
