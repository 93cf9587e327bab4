"""Marking rules against brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode import InputError
from collocode.adapt.marking import Action, equidistribute, mark

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


SIZES = st.lists(st.floats(0.0, 1e6), min_size=2, max_size=12)


@given(SIZES, st.integers(2, 6), st.integers(0, 60), st.data())
def test_elements_are_halved_to_their_share_within_the_budget(sizes, order, most, data):
    count = len(sizes)
    free = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    free[-1] = False
    actions = equidistribute(sizes, order, free, most, 6)
    grown = np.where(actions > 0, 2.0**actions - 1, 0).sum() - (actions == Action.MERGE).sum()
    assert count + grown <= max(count, most)
    assert not (actions[np.array(sizes) <= 1.0] > 0).any()
    if most >= 4 * count:
        left = np.array(sizes) / 2.0 ** (order * np.maximum(actions, 0))
        assert ((left <= 1.0 + 1e-9) | (actions == Action.QUARTER)).all()


@given(SIZES, st.data())
def test_what_is_joined_stays_far_below_the_tolerances(sizes, data):
    sizes = 1e-4 * np.array(sizes)
    free = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    free[-1] = False
    actions = equidistribute(sizes, 4, free, 1000, 6)
    joined = np.flatnonzero(actions == Action.MERGE)
    assert np.array(free)[joined].all()
    assert (np.diff(joined) > 1).all()  # an element is joined once
    assert not (actions[joined + 1] > 0).any()
    predicted = 2.0**6 * (sizes[joined] + sizes[joined + 1])
    assert predicted.sum() <= 0.05 * len(sizes)


def test_negligible_neighbours_are_joined_and_a_short_budget_joins_none():
    sizes = [10.0, 1e-9, 1e-9, 1e-9, 1e-9]
    free = [True, True, True, True, False]
    assert equidistribute(sizes, 4, free, 20, 6).tolist() == [1, -1, 0, -1, 0]
    assert equidistribute(sizes, 4, free, 5, 6).tolist() == [0] * 5
