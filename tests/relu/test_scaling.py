import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode import InputError
from collocode.relu import (
    Bounds,
    interval_bounds,
    lp_bounds,
    maximize,
    scaled,
    scaled_bounds,
)

from .nets import random_network

BOX = [(-1.0, 2.0), (-1.5, 1.0)]
settings = (
    st.integers(0, 10_000),
    st.sampled_from([None, 0.6]),
    st.sampled_from(["neuron", "layer"]),
)


@given(*settings)
def test_the_function_is_the_same_to_twelve_digits(seed, clip, per):
    network = random_network(seed, (2, 7, 6, 5, 2), clip, affine=True)
    other = scaled(network, interval_bounds(network, BOX), per)
    x = np.random.default_rng(seed).uniform(-3.0, 3.0, (200, 2))
    y = network(x)
    np.testing.assert_allclose(other(x), y, rtol=1e-12, atol=1e-12 * np.abs(y).max())


@given(*settings)
def test_hidden_ranges_are_within_one(seed, clip, per):
    network = random_network(seed, (2, 7, 6, 1), clip, affine=True)
    bounds = interval_bounds(network, BOX)
    other = scaled(network, bounds, per)
    again = interval_bounds(other, BOX)
    moved = scaled_bounds(network, bounds, per)
    for k, (low, up) in enumerate(zip(again.lower[:-1], again.upper[:-1], strict=True)):
        size = np.maximum(np.abs(low), np.abs(up))
        assert size.max() == pytest.approx(1.0)
        if per == "neuron":
            np.testing.assert_allclose(size, 1.0)
        np.testing.assert_allclose(moved.lower[k], low, atol=1e-12)
        np.testing.assert_allclose(moved.upper[k], up, atol=1e-12)


@given(*settings, st.sampled_from(["bigm", "clipped", "partition"]))
def test_the_relaxation_has_the_same_optimum(seed, clip, per, encoding):
    network = random_network(seed, (2, 7, 6, 1), clip)
    bounds = lp_bounds(network, BOX)
    limited = {"encoding": encoding, "time_limit": 0.0}  # the relaxation only
    before = maximize(network, BOX, bounds=bounds, **limited)
    after = maximize(
        scaled(network, bounds, per), BOX, bounds=scaled_bounds(network, bounds, per), **limited
    )
    assert after.root_bound == pytest.approx(before.root_bound, rel=1e-6, abs=1e-7)


def test_a_unit_that_is_always_zero_keeps_its_scale():
    network = random_network(0, (1, 2, 1))
    bounds = Bounds(
        (np.array([0.0, -2.0]), np.array([-1.0])), (np.array([0.0, 1.0]), np.array([1.0]))
    )
    assert scaled(network, bounds).biases[0][0] == network.biases[0][0]


def test_bad_input_is_named():
    network = random_network(0)
    bounds = interval_bounds(network, BOX)
    with pytest.raises(InputError, match="'unit'"):
        scaled(network, bounds, "unit")
    with pytest.raises(InputError, match=r"widths \[4\]"):
        scaled(network, Bounds((np.zeros(4),), (np.ones(4),)))
    endless = Bounds(tuple(x - np.inf for x in bounds.lower), bounds.upper)
    with pytest.raises(InputError, match="must be finite"):
        scaled(network, endless)
