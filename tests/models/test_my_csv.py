"""The template for any table: two tables that have little in common, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

import collocode as cc
from models import my_csv


@pytest.fixture
def oscillation(tmp_path):
    """Columns t, y1, y2: a turning that decays, noise 0.02."""
    t = np.linspace(0.0, 8.0, 120)
    rng = np.random.default_rng(0)
    y = np.exp(-0.1 * t)[:, None] * np.column_stack([np.cos(2 * t), np.sin(2 * t)])
    frame = pd.DataFrame(y + 0.02 * rng.standard_normal(y.shape), columns=["y1", "y2"])
    frame.insert(0, "t", t)
    frame.to_csv(tmp_path / "my.csv", index=False)
    return tmp_path / "my.csv"


@pytest.fixture
def tanks(tmp_path):
    """Two batches with other times, a stepped feed, empty cells and a column of no use; noise 0.01."""
    rng, rows = np.random.default_rng(1), []
    for batch, level, flows in (("A", 0.2, (1.0, 0.2, 0.6)), ("B", 1.5, (0.1, 1.2, 0.5))):
        for k in range(61):
            feed = flows[min(k // 20, 2)]
            seen = round(level + 0.01 * rng.standard_normal(), 5) if k % 5 else None
            rows.append((batch, k / 10 * (1.0 if batch == "A" else 1.5), level, seen, feed, 7))
            step = 0.1 * (1.0 if batch == "A" else 1.5)
            level = feed + (level - feed) * np.exp(-step)  # level' = feed - level
    names = ["batch", "hour", "true", "level", "feed", "shift"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "tanks.csv", index=False)
    return tmp_path / "tanks.csv"


def test_times_first_and_states_behind(oscillation):
    problem = my_csv.problem(data=str(oscillation))
    assert problem.states == ("y1", "y2")
    solution = cc.fit(problem, mesh=None)
    fitted, predicted = solution.score()
    assert solution.success
    assert (fitted.role, predicted.role) == ("train", "test")
    assert fitted.simulated < 2 * 0.02**2
    assert predicted.simulated < 10 * 0.02**2


def test_named_columns_runs_and_inputs(tanks):
    problem = my_csv.problem(
        data=str(tanks), time="hour", run="batch", outputs="level", inputs="feed", holdout=0.2
    )
    assert problem.states == ("level",)
    assert [run.name for run in problem.experiments] == ["A", "B"]
    solution = cc.fit(problem, mesh=None)
    assert solution.success
    for score in solution.score():
        assert score.simulated < 10 * 0.01**2, score
    x = np.array([[0.4, 0.4], [0.4, 1.0]])  # level, feed: at rest, and filling
    at_rest, filling = solution.network()(x)[:, 0]
    assert at_rest == pytest.approx(0.0, abs=0.1)
    assert filling == pytest.approx(0.6, abs=0.15)


def test_without_holdout_everything_is_fitted(oscillation):
    problem = my_csv.problem(data=str(oscillation), holdout=0.0)
    assert problem.n_measurements == 240
    assert not problem.test


def test_unknown_columns_are_named(oscillation):
    with pytest.raises(cc.InputError, match="y3"):
        my_csv.problem(data=str(oscillation), outputs="y1,y3")
