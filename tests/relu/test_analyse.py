"""Indicators against brute force, and their table."""

from dataclasses import replace

import numpy as np
import pytest

from collocode.errors import InputError
from collocode.relu import Bounds, ReluNetwork, analyse, planar_regions, surrogate_error
from collocode.relu.analyse import _excess as excess_of
from tests.relu.nets import enumerated_maximum, random_network

BOX = [(-1.0, 1.0), (-2.0, 1.0)]


@pytest.fixture(scope="module")
def found():
    network = random_network(7, (2, 6, 6, 4, 1))
    x = np.random.default_rng(0).uniform(*np.transpose(BOX), (200, 2))
    return network, analyse(network, BOX, data=(x, network(x) + 0.5), samples=4000)


def test_facts_are_those_of_the_bounds(found):
    _, told = found
    interval, lp, split = told.facts
    assert [fact.kind for fact in told.facts] == ["interval", "lp", "split"]
    for fact in told.facts:
        assert fact.off + fact.on + fact.saturated + fact.undecided == 16
        assert fact.stable_share == pytest.approx(1.0 - fact.undecided / 16)
        assert 0.0 < fact.big_m_median <= fact.big_m_largest
        assert fact.big_m_mean <= fact.big_m_largest
    assert split.stable_share >= lp.stable_share >= interval.stable_share
    assert 1.0 <= lp.excess < interval.excess
    assert split.excess < lp.excess  # only where the optimum can be


def test_the_optimizations_agree(found):
    _, told = found
    values = [result.value for result in told.results]
    np.testing.assert_allclose(values, values[0], atol=1e-6)
    gaps = [result.root_gap for result in told.results]
    assert -1e-9 <= gaps[2] <= gaps[1] <= gaps[0]
    small = random_network(7, (2, 3, 2, 1))
    best = analyse(small, BOX, samples=100, bounds=("lp",)).results[0].value
    assert best == pytest.approx(enumerated_maximum(small, BOX), abs=1e-6)


def test_regions_and_errors(found):
    network, told = found
    assert told.regions.planar == len(planar_regions(network, BOX))
    assert told.regions.sampled <= told.regions.planar
    assert 1.0 <= told.regions.segment <= told.regions.planar
    assert told.error.rmse == pytest.approx((0.5,))
    assert told.error.largest == pytest.approx((0.5,))


def test_the_table(found):
    _, told = found
    table = told.table
    assert list(table.index) == ["interval", "lp", "split"]
    assert {"stable", "big-M mean", "excess", "root gap", "nodes", "total s"} <= set(table.columns)
    parts = table["solver s"] + table["tightening s"]
    np.testing.assert_allclose(table["total s"], parts)
    assert f"{told.regions.planar} in all" in repr(told)
    assert "interval" in repr(told)


def test_without_solving_it_is_bounds_only():
    told = analyse(random_network(1), BOX, solve=False, samples=200)
    assert told.results == ()
    assert "nodes" not in told.table


def test_scaling_makes_every_big_m_one():
    network = random_network(2, (2, 6, 5, 1), clip=0.6)
    plain, scaled = (
        analyse(
            network, BOX, bounds=("interval",), samples=200, scaling=scaling, encoding="clipped"
        )
        for scaling in (None, "neuron")
    )
    assert scaled.facts[0].big_m_largest == pytest.approx(1.0)
    assert plain.facts[0].undecided == scaled.facts[0].undecided
    assert plain.results[0].value == pytest.approx(scaled.results[0].value, abs=1e-6)
    assert plain.results[0].root_bound == pytest.approx(scaled.results[0].root_bound, abs=1e-6)


def test_smallest_value_and_more_inputs():
    network = random_network(4, (3, 4, 1))
    box = [(-1.0, 1.0)] * 3
    told = analyse(network, box, sense="minimize", samples=200)
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (20_000, 3))
    assert told.results[0].value <= network(x).min() + 1e-6
    assert told.regions.planar is None


def test_a_linear_network_has_one_region():
    told = analyse(ReluNetwork(([[1.0, 2.0]],), ([0.0],)), BOX, samples=50)
    assert (told.regions.sampled, told.regions.planar, told.regions.segment) == (1, 1, 1.0)
    assert told.facts[0].stable_share == 1.0


def test_bad_input():
    network = random_network(0)
    with pytest.raises(InputError, match="outputs of shape"):
        analyse(network, BOX, solve=False, data=(np.zeros((3, 2)), np.zeros((3, 2))))
    with pytest.raises(InputError, match="unknown sense"):
        analyse(network, BOX, sense="best")
    with pytest.raises(InputError, match="input 1 is unbounded"):
        analyse(network, [(0.0, 1.0), (0.0, np.inf)])


def test_the_numbers_of_a_result_by_hand(found):
    _, told = found
    result = told.results[0]
    high = replace(result, sense=1, value=4.0, bound=5.0, root_bound=7.0)
    assert (high.gap, high.root_gap) == pytest.approx((0.25, 0.75))
    low = replace(result, sense=-1, value=0.5, bound=0.2, root_bound=-0.5)
    assert (low.gap, low.root_gap) == pytest.approx((0.3, 1.0))
    assert replace(low, value=np.nan).gap == np.inf
    fact = replace(told.facts[0], off=1, on=2, saturated=5, undecided=2)
    assert fact.stable_share == pytest.approx(0.8)


def test_errors_of_a_surrogate_by_hand():
    twice = ReluNetwork(([[1.0], [-1.0]], [[2.0, -2.0]]), ([0.0, 0.0], [0.0]))  # 2 x
    x = np.array([[-1.0], [0.0], [1.0], [4.0]])
    y = 2.0 * x[:, 0] + [0.0, 1.0, -1.0, 2.0]
    told = surrogate_error(twice, x, y)
    assert told.rmse == pytest.approx((np.sqrt(1.5),))
    assert told.relative == pytest.approx((np.sqrt(1.5) / np.std(y),))
    assert told.largest == pytest.approx((2.0,))


def test_the_excess_is_the_mean_over_units_of_how_much_wider_their_bounds_are():
    def bounds(*widths):
        lower = (np.zeros(3), np.zeros(1))
        return Bounds(lower, (np.array(widths, dtype=float), np.ones(1)))

    assert excess_of(bounds(2.0, 30.0, 5.0), bounds(1.0, 10.0, 0.0)) == pytest.approx(2.5)
    assert excess_of(bounds(1.0, 1.0, 1.0), bounds(0.0, 0.0, 0.0)) == 1.0
