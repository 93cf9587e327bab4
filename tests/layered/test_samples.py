"""Samples and data sets: checks, sizes, densities."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from collocode import InputError, MissingDependency
from collocode.layered import Samples, dataset, donut1d, donut2d, spiral2d, squares2d
from collocode.layered.datasets import DATASETS
from collocode.layered.losses import SquaredLoss, accuracy, metric, relative_error


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.ones((3, 2)), np.ones((2, 1)), "3 rows of features, but 2 of targets"),
        (np.ones((0, 2)), np.ones((0, 1)), "there are no samples"),
        ([[1.0, np.nan]], [[1.0]], "features are nan in row 0, column 1"),
        ([[1.0], [2.0]], [[1.0], [np.inf]], "targets are inf in row 1, column 0"),
        ([[1.0], [2.0]], [0, -1], "class -1 in row 1 is negative"),
        ([["a"]], [[1.0]], "features cannot be read as numbers"),
        (np.ones((2, 2, 2)), [0, 1], "need two dimensions"),
        (
            [[1.0], [2.0]],
            [[0], [1]],
            r"shape \(2, 1\); give Y.ravel\(\) if they are classes, Y.astype",
        ),
        ([[1.0], [2.0]], [[True], [False]], "one column of integers"),
    ],
)
def test_bad_tables(X: object, Y: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Samples(X, Y)  # type: ignore[arg-type]


def test_split() -> None:
    data = Samples(np.arange(10.0), np.arange(10.0))
    parts = data.split(5, 3)
    assert [len(p) for p in parts] == [5, 3, 2]
    assert sorted(np.concatenate([p.X[:, 0] for p in parts])) == list(range(10))
    assert data.split(5, 3)[0].X.tolist() == parts[0].X.tolist()  # seeded
    assert data.split(9, seed=None)[1].X.tolist() == [[9.0]]
    with pytest.raises(InputError, match="cannot be cut from 10"):
        data.split(5, 5)


def test_metrics() -> None:
    assert accuracy(np.array([0, 1]), np.array([0, 0])) == 0.5
    assert relative_error(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]])) == 1.0
    assert relative_error(np.array([[2.0, 0.0]]), np.zeros((1, 2))) == 2.0
    data = Samples(np.ones((2, 1)), np.array([0, 1]))
    assert metric(SquaredLoss(), np.array([[0.2], [0.9]]), data) == 1.0


@pytest.mark.parametrize("make", [donut1d, donut2d, spiral2d, squares2d])
def test_generated_sets(make: object) -> None:
    train, validation = make(n=1000, seed=4)  # type: ignore[operator]
    assert len(train) == len(validation) == 1000
    assert not np.array_equal(train.X, validation.X)
    again, _ = make(n=1000, seed=4)  # type: ignore[operator]
    np.testing.assert_array_equal(train.X, again.X)
    if make is not squares2d:
        assert np.bincount(train.Y.astype(int)).tolist() == [500, 500]


def test_where_the_points_lie() -> None:
    """Disc and ring: E r² of a normal of variance 0.01 in the plane plus noise of 0.01."""
    train, _ = donut2d(n=20_000)
    r2 = np.sum(train.X**2, axis=1)
    assert r2[train.Y == 0].mean() == pytest.approx(2 * (0.01 + 0.01), rel=0.05)
    # ring: ∫ r³ e^{-(r-.5)²/.02} / ∫ r e^{-(r-.5)²/.02} = .25 + 3·.01 = .28, plus noise 2·.01
    assert r2[train.Y == 1].mean() == pytest.approx(0.28 + 0.02, rel=0.03)
    train, _ = spiral2d(n=2000)
    second = train.Y == 1
    turned = -train.X[~second]
    assert np.abs(turned - train.X[second]).mean() < 0.1
    radius = np.linalg.norm(train.X[~second], axis=1)
    assert radius[-1] > 0.8
    assert radius[0] < 0.3
    train, _ = squares2d(n=5000)
    agree = (train.X[:, 0] * train.X[:, 1] > 0) == (train.Y == 1)
    assert 0.75 < agree.mean() < 0.95  # the noise crosses the axes
    assert np.abs(train.X).max() < 0.7 + 0.6


@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [("breast_cancer", 569, 30, 2), ("digits", 1797, 64, 10), ("diabetes", 442, 10, 0)],
)
def test_real_sets(name: str, rows: int, features: int, classes: int) -> None:
    pytest.importorskip("sklearn")
    train, validation = dataset(name)
    assert len(train) + len(validation) == rows
    assert (train.inputs, train.classes) == (features, classes)
    assert np.abs(train.X.mean(axis=0)).max() < 1e-10


def test_missing_and_unknown_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="unknown data set 'mnist'"):
        dataset("mnist")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependency, match=r"collocode\[test\]"):
        dataset("digits")
    assert set(DATASETS) >= {"donut1d", "digits"}
