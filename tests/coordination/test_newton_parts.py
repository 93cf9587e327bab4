"""The parts of Newton's method over batches, each for itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collocode.coordination.barrier import Barrier, inside
from collocode.coordination.coupled import Coupled
from collocode.coordination.filter import Filter, Merit
from collocode.coordination.messages import Direction, Linear
from collocode.coordination.newton_state import Step


def barrier(seed, mu=0.3, n=5):
    rng = np.random.default_rng(seed)
    lower, upper = -rng.uniform(0.5, 2.0, n), rng.uniform(0.5, 2.0, n)
    lower[rng.random(n) < 0.3], upper[rng.random(n) < 0.3] = -np.inf, np.inf
    x = inside(rng.uniform(-3.0, 3.0, n), lower, upper)
    return rng, x, Barrier(x, lower, upper, rng.standard_normal(n), mu)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_barriers_slope_is_that_of_its_value(seed):
    rng, x, found = barrier(seed)
    d = rng.standard_normal(len(x))
    assert np.isfinite(found.value(x))
    h = 1e-6 * min(1.0, found.sizes(d)[0])
    difference = (found.value(x + h * d) - found.value(x - h * d)) / (2.0 * h)
    assert found.gradient @ d == pytest.approx(difference, rel=1e-3, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_step_of_its_size_keeps_the_bounds_and_a_full_one_linearises(seed):
    rng, x, found = barrier(seed)
    d = 10.0 * rng.standard_normal(len(x))
    primal, dual = found.sizes(d)
    assert 0.0 < primal <= 1.0
    assert 0.0 < dual <= 1.0
    assert np.isfinite(found.value(x + primal * d))
    # slack z + slack dz + z dslack = μ, side by side, is in net terms
    np.testing.assert_allclose(found.net + found.step(d), found.gradient + found.curvature * d)


def test_without_bounds_there_is_no_barrier():
    free = np.full(3, np.inf)
    found = Barrier(np.zeros(3), -free, free, np.zeros(3), 1.0)
    assert (found.value(np.ones(3)), found.complementarity) == (0.0, 0.0)
    assert found.sizes(np.ones(3)) == (1.0, 1.0)
    assert not found.net.any()


def coupled(H, g, shifted):
    n = len(g)
    linear = Linear(
        batch=0, iteration=0, loss=0.0, barrier=0.0, violation=0.0, largest=0.0, stationarity=0.0,
        complementarity=0.0, pull=np.zeros(n), matrix=H[np.tril_indices(n)], gradient=g,
        ends=np.zeros(0),
    )  # fmt: skip
    fixed = np.zeros(n, dtype=bool)
    return Coupled([linear], [np.arange(n)], np.zeros((n, n)), np.zeros(n), 0, shifted, fixed)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8))
def test_the_shift_is_a_little_more_than_the_least_one(seed, n):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((n, n))
    H += H.T
    g, lowest = rng.standard_normal(n), float(np.linalg.eigvalsh(H)[0])
    system = coupled(H, g, np.ones(n, dtype=bool))
    assert system.factorise()
    system.within(np.inf)
    if lowest > 1e-9:
        assert system.shift == 0.0
    elif lowest < -1e-9:
        assert system.shift == pytest.approx(-1.3 * lowest)
    step, _ = system.solve(system.rhs)
    np.testing.assert_allclose((H + system.shift * np.eye(n)) @ step, -g, rtol=1e-6, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 8), part=st.floats(1e-3, 0.9))
def test_the_weights_step_is_as_long_as_the_radius_and_all_else_is_solved_with_it(seed, n, part):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((n, n))
    H += H.T
    shifted = np.arange(n) > 0
    H[0, 0] = 1.0 + abs(H[0, 0])  # what is not shifted has its inertia
    g = rng.standard_normal(n)
    system = coupled(H, g, shifted)
    assert system.factorise()
    system.within(np.inf)
    radius = part * system.length
    system.within(radius)
    step, _ = system.solve(system.rhs)
    assert np.linalg.norm(step[1:]) == pytest.approx(radius)
    np.testing.assert_allclose((H + system.shift * np.diag(shifted)) @ step, -g, atol=1e-8)
    assert np.linalg.eigvalsh(H + system.shift * np.diag(shifted))[0] > 0.0


def test_what_no_shift_can_mend_is_told():
    H = np.diag([-1.0, 1.0])
    assert not coupled(H, np.ones(2), np.array([False, True])).factorise()
    assert not coupled(np.diag([np.nan, 1.0]), np.ones(2), np.ones(2, dtype=bool)).factorise()


def test_states_of_the_wrong_curvature_are_damped():
    # one meeting state, curved downwards, one weight, and a last state that follows the meeting one
    linear = Linear(
        batch=0, iteration=0, loss=0.0, barrier=0.0, violation=0.0, largest=0.0, stationarity=0.0,
        complementarity=0.0, pull=np.zeros(2), matrix=np.array([-1.0, 0.0, 2.0, 0.0, 0.0, -3.0]),
        gradient=np.ones(2), ends=np.zeros(1),
    )  # fmt: skip
    none, weights = np.zeros(2, dtype=bool), np.array([False, True])
    system = Coupled(
        [linear], [np.array([0, 1, 2])], np.zeros((2, 2)), np.zeros(2), 1, weights, none
    )
    assert not system.factorise()
    assert system.factorise(1.5)
    system.within(np.inf)
    step, pull = system.solve(system.rhs)
    # by hand: 0.5 d - π = -1, -d - 3 π = 0 of the state, 2 w = -1 of the weight
    np.testing.assert_allclose([*step, *pull], [-6.0 / 5.0, -0.5, 2.0 / 5.0])
    assert system.bend == 1.0


def test_a_radius_follows_how_a_step_was_taken():
    free = Direction(values=np.zeros(1), pull=np.zeros(0))
    taken = {"direction": free, "size": 1.0, "dual_size": 1.0, "filter": Filter(), "objective": 0.0}
    assert Step(**taken, trust=2.0).radius(3.0, 2.0) == 4.0
    assert Step(**taken, trust=2.0).radius(9.0, 2.0) == 9.0  # far from the edge
    assert Step(**taken).radius(3.0, 2.0) == 3.0
    assert Step(**taken, trust=0.25).radius(3.0, 2.0) == 0.5
    assert Step(**taken).radius(np.inf, 2.0) == np.inf  # no region yet


def test_the_filter_takes_what_is_less_violated_or_lower():
    here, fresh = Merit(1.0, 5.0), Filter.at(Merit(3.0, 5.0))
    assert fresh.takes(here, 1.0, 1.0, Merit(0.5, 9.0))
    assert fresh.takes(here, 1.0, 1.0, Merit(2.0, 4.0))
    assert not fresh.takes(here, 1.0, 1.0, Merit(2.0, 6.0))
    assert not fresh.takes(here, 1.0, 1.0, Merit(3.1, 4.0))  # more than at the start
    assert not fresh.takes(here, 1.0, 1.0, Merit(np.nan, 0.0))
    later = fresh.after(here, 1.0, 1.0, Merit(0.5, 9.0))
    assert not later.takes(Merit(0.5, 9.0), 1.0, 1.0, Merit(1.0, 5.0))
    assert later.without_memory() == fresh


def test_near_feasibility_the_objective_has_to_fall_as_the_slope_promises():
    here, fresh = Merit(1e-12, 5.0), Filter.at(Merit(1.0, 5.0))
    assert fresh.takes(here, -1.0, 1.0, Merit(1e-6, 4.5))
    assert not fresh.takes(here, -1.0, 1.0, Merit(1e-13, 5.0 - 1e-9))
    assert fresh.after(here, -1.0, 1.0, Merit(1e-6, 4.5)) == fresh
