"""Conditions of checkpoints: what tells two problems apart, in every process alike."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import collocode as cc
from collocode.conditions import UNFITTED, check_conditions, fingerprint
from tests.problems import driven


def scaled(factor):
    def function(x):
        def inner(y):
            return factor * y + 1.0

        return inner(x)

    return function


class Counted:
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        return self.k * x


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1.0, np.nextafter(1.0, 2.0)),
        (True, 1),
        ("a", b"a"),
        ([1, 2], [2, 1]),
        ([[1], [2]], [[1, 2]]),
        ([[], [1]], [[1], []]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, "f4")),
        (np.array([1.0, np.nan]), np.array([np.nan, 1.0])),
        (np.float64(1.0), np.float64(2.0)),
        (scaled(2.0), scaled(3.0)),
        (lambda x: "a", lambda x: "b"),
        (lambda x: x.sum(), lambda x: x.max()),
        (lambda x, k=1: k, lambda x, k=2: k),
        (partial(max, 1), partial(max, 2)),
        (partial(max, 1), partial(min, 1)),
        (Counted(1), Counted(2)),
        (Counted(1).__call__, Counted(2).__call__),
        (cc.LeastSquares(), cc.Normal()),
        (cc.LeastSquares(), cc.LeastSquares(1.0)),
        (cc.Termination.CONVERGED, cc.Termination.ACCEPTABLE),
        ({1, 2}, {1, 3}),
    ],
)
def test_what_differs(one, other):
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


def test_functions_that_do_the_same_are_alike_wherever_they_are_written():
    assert fingerprint(scaled(2.0)) == fingerprint(scaled(2.0))
    assert fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 1)


def test_what_is_one_object_and_what_is_alike_do_not_differ():
    shared, other = cc.LeastSquares(1.0), cc.LeastSquares(1.0)
    assert fingerprint([shared, shared]) == fingerprint([shared, other])


def test_a_value_that_holds_itself_ends():
    loop = [1]
    loop.append(loop)
    assert len(fingerprint(loop)) == 16


def _first(problem, **changed):
    return replace(problem, experiments=[replace(problem.experiments[0], **changed)])


@pytest.mark.parametrize(
    "changed",
    [
        lambda p: _first(p, values=p.experiments[0].values[::-1].copy()),  # of the same sum
        lambda p: _first(p, times=p.experiments[0].times * (1 - 1e-12)),
        lambda p: _first(p, weights=np.full_like(p.experiments[0].values, 2.0)),
        lambda p: _first(p, sigma=0.3),
        lambda p: _first(p, initial={p.states[0]: 0.5}),
        lambda p: replace(p, loss=cc.Huber(1.0)),
        lambda p: replace(p, bounds={p.states[0]: (-1e6, 1e6)}),
        lambda p: replace(p, regularisation=cc.L2(1e-3)),
    ],
)
def test_what_a_fit_sees_of_a_problem_counts_and_nothing_else(changed):
    problem = driven()
    mark = fingerprint(problem, without=UNFITTED)
    assert fingerprint(driven(), without=UNFITTED) == mark
    assert fingerprint(changed(problem), without=UNFITTED) != mark
    more = replace(problem, source="elsewhere", test=problem.experiments)
    assert fingerprint(more, without=UNFITTED) == mark
    cc.discretize(problem)  # leaves things that were computed
    assert fingerprint(problem, without=UNFITTED) == mark


def test_another_process_finds_the_same():
    code = (
        "from collocode.conditions import fingerprint; from tests.problems import driven; "
        "print(fingerprint(driven()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "5"},
    )
    assert told.stdout.strip() == fingerprint(driven())


def test_conditions_are_compared_as_files_hold_them(tmp_path):
    here = {"a": (1, 2.0), "b": float("nan"), "c": np.arange(2)}
    check_conditions(tmp_path / "x.npz", {"a": [1, 2.0], "b": None, "c": [0, 1]}, here)
    with pytest.raises(
        cc.FileError, match=r"x\.npz was made with other c \(\[1, 1\], now \[0, 1\]\)"
    ):
        check_conditions(tmp_path / "x.npz", {**here, "c": np.array([1, 1])}, here)
    with pytest.raises(cc.FileError, match=r"other d \(1, now None\); name another checkpoint or"):
        check_conditions(tmp_path / "x.npz", {**here, "d": 1}, here)
