"""Shifts beyond the lowest eigenvalue: they shrink as long as steps end as foreseen, else they grow back."""

from itertools import pairwise

import numpy as np
import pytest

import collocode as cc
from collocode.solvers.chains import pace
from tests.problems import van_der_pol_neural

STEP = np.array([0.3, -0.4])
SHIFT = 1e-3
FORESEEN = SHIFT * STEP


def paces(gradient, share=1.0, shift=SHIFT, count=12, made=None):
    """The multiples after one step after the other of which the gradient behind it is told."""
    found, x, made = [], np.zeros(2), made or pace.Pace()
    for _ in range(count):
        made.look(x)
        made.step(gradient, STEP, shift)
        x = x + share * STEP
        found.append(made.over)
    return found


def test_steps_that_end_as_foreseen_become_longer():
    found = paces(1.1 * FORESEEN)
    assert found[0] == 2.0
    assert all(b <= a for a, b in pairwise(found))
    assert found[-1] == pytest.approx(1.2)


@pytest.mark.parametrize(("gradient", "share"), [(-5.0 * FORESEEN, 1.0), (FORESEEN, 0.25)])
def test_after_steps_that_miss_or_are_cut_they_are_as_at_first(gradient, share):
    made = pace.Pace()
    paces(1.1 * FORESEEN, made=made)
    found = paces(gradient, share, made=made)
    assert all(b >= a for a, b in pairwise(found[1:]))  # the first is judged by a step of before
    assert found[-1] == 2.0


@pytest.mark.parametrize(("gradient", "shift"), [(0.5 * FORESEEN, SHIFT), (1e3 * FORESEEN, 0.0)])
def test_steps_that_tell_neither_change_nothing(gradient, shift):
    assert set(paces(gradient, shift=shift)) == {2.0}


def test_the_way_to_a_smaller_penalty_is_shorter(monkeypatch):
    """The optimum of one λ begins the solve of another: most steps there are shorter than they need be."""
    nlp = cc.start_from(
        cc.discretize(van_der_pol_neural(sizes=(2, 16, 2), regularisation=cc.L2(1e-4)), mesh=16)
    )
    begun = nlp.with_start(cc.solve(nlp, options={"linear_solver": "chains"}).result.x)
    other = begun.with_parameters(regularisation=5e-6)

    def result():
        found = cc.solve(other, options={"linear_solver": "chains"}).result
        assert found.success
        return found

    paced = result()
    monkeypatch.setattr(pace.Pace, "over", 2.0)
    fixed = result()
    assert paced.objective == pytest.approx(fixed.objective, rel=1e-3)
    assert paced.iterations < 0.9 * fixed.iterations
