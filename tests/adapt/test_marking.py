"""Marking rules against brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode import InputError
from collocode.adapt.marking import mark

ETA = st.lists(st.floats(-10.0, 10.0), min_size=1, max_size=7)


@given(ETA, st.floats(0.05, 1.0))
def test_dorfler_marks_the_smallest_set_that_carries_its_share(eta, theta):
    size = np.abs(eta)
    marked = mark(eta, "dorfler", theta)
    if size.max() == 0.0:
        assert not len(marked)
        return
    assert size[marked].sum() >= theta * size.sum() * (1.0 - 1e-9)
    fewer = combinations(range(len(eta)), len(marked) - 1)
    assert all(size[list(chosen)].sum() < theta * size.sum() * (1.0 + 1e-9) for chosen in fewer)


@given(ETA, st.floats(0.05, 1.0))
def test_maximum_marks_what_is_near_the_largest(eta, theta):
    size = np.abs(eta)
    expected = (
        [] if size.max() == 0.0 else [e for e, v in enumerate(size) if v >= theta * size.max()]
    )
    assert mark(eta, "maximum", theta).tolist() == expected


@given(ETA, st.integers(1, 9))
def test_fixed_marks_the_largest(eta, number):
    size = np.abs(eta)
    marked = mark(eta, "fixed", number=number)
    if size.max() > 0.0:
        assert len(marked) == min(number, len(eta))
        assert sorted(size[marked])[::-1] == sorted(size)[::-1][: len(marked)]


def test_uniform_marks_all():
    assert mark([1.0, 0.0, 2.0], "uniform").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], "doerfler"), "did you mean 'dorfler'"),
        (([1.0], "dorfler", 0.0), r"theta must lie in \(0, 1\], not 0"),
        (([1.0], "fixed", 0.5, 0), "must be positive"),
        (([1.0, np.nan],), "not finite"),
    ],
)
def test_bad_marking(arguments, message):
    with pytest.raises(InputError, match=message):
        mark(*arguments)
