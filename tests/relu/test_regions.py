"""Linear regions: counts against theory and brute force, polygons that tile the rectangle."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collocode.errors import InputError
from collocode.relu import (
    ReluNetwork,
    planar_regions,
    sampled_regions,
    scaled,
    segment_breaks,
)
from collocode.relu.bounds import interval_bounds
from collocode.relu.regions import patterns
from tests.relu.nets import random_network

BOX = [(-2.0, 1.5), (-1.0, 2.0)]
seeds = st.integers(0, 10_000)
clips = st.sampled_from([None, 0.4])


def arrangement(W, b, box):
    """Regions of lines w.x + b = 0 in general position: 1 + lines met + crossings within."""
    corners = np.array([(x, y) for x in box[0] for y in box[1]])
    heights = corners @ W.T + b
    met = [k for k in range(len(b)) if heights[:, k].min() < 0 < heights[:, k].max()]
    crossings = 0
    for i, j in combinations(met, 2):
        x, y = np.linalg.solve(W[[i, j]], -b[[i, j]])
        crossings += box[0][0] < x < box[0][1] and box[1][0] < y < box[1][1]
    return 1 + len(met) + crossings


@given(seeds)
def test_one_layer_is_an_arrangement_of_lines(seed):
    network = random_network(seed, (2, 7, 1))
    regions = planar_regions(network, BOX)
    assert len(regions) == arrangement(network.weights[0], network.biases[0], BOX)


@given(seeds, clips)
def test_polygons_tile_the_rectangle_and_carry_the_network(seed, clip):
    network = random_network(seed, (2, 5, 4, 3, 2), clip, affine=True)
    regions = planar_regions(network, BOX)
    assert regions.areas.sum() == pytest.approx(3.5 * 3.0, rel=1e-12)
    assert (regions.areas > 0.0).all()
    centres = np.array([p.mean(axis=0) for p in regions.polygons])
    assert len(np.unique(patterns(network, centres), axis=0)) == len(regions)
    for polygon, J, offset in zip(
        regions.polygons, regions.gradients, regions.offsets, strict=True
    ):
        # corners too: the network is continuous
        np.testing.assert_allclose(polygon @ J.T + offset, network(polygon), atol=1e-9)


@given(seeds, clips)
def test_sampling_finds_no_more_than_there_are(seed, clip):
    network = random_network(seed, (2, 5, 4, 1), clip)
    exact = len(planar_regions(network, BOX))
    few, many = (sampled_regions(network, BOX, n, seed) for n in (50, 20_000))
    assert few <= many <= exact
    assert many >= 0.5 * exact


@given(seeds, clips)
def test_a_segment_has_as_many_regions_as_fine_sampling_sees(seed, clip):
    network = random_network(seed, (3, 6, 5, 1), clip, affine=True)
    start, end = np.random.default_rng(seed).normal(size=(2, 3)) * 2.0
    breaks = segment_breaks(network, start, end)
    assert (np.diff(breaks) > 0.0).all()
    t = np.linspace(0.0, 1.0, 20_001)
    codes = patterns(network, start + t[:, None] * (end - start))
    seen = int((codes[1:] != codes[:-1]).any(axis=1).sum())
    # two breaks within one step of the sampling look like one
    close = int((np.diff(breaks) < 2 * (t[1] - t[0])).sum())
    assert len(breaks) - close <= seen <= len(breaks)


@given(seeds, clips)
def test_the_network_is_straight_between_breaks_and_bends_at_them(seed, clip):
    network = random_network(seed, (2, 6, 4, 1), clip)
    start, end = np.array([-2.0, -1.0]), np.array([1.5, 1.7])
    edges = np.concatenate([[0.0], segment_breaks(network, start, end), [1.0]])
    for left, right in pairwise(edges):
        t = np.linspace(left, right, 5)
        y = network(start + t[:, None] * (end - start))[:, 0]
        np.testing.assert_allclose(np.diff(y, 2), 0.0, atol=1e-12)


def test_scaling_changes_no_region():
    network = random_network(3, (2, 8, 6, 1), 0.7)
    other = scaled(network, interval_bounds(network, BOX))
    np.testing.assert_allclose(
        np.sort(planar_regions(network, BOX).areas),
        np.sort(planar_regions(other, BOX).areas),
        atol=1e-9,
    )


def test_a_slice_through_more_inputs():
    network, at = random_network(5, (4, 6, 5, 1)), np.array([0.3, -0.2, 0.7, 0.1])
    box = [(-1.0, 1.0)] * 4
    regions = planar_regions(network, box, inputs=(2, 0), at=at)
    for polygon, J, offset in zip(
        regions.polygons, regions.gradients, regions.offsets, strict=True
    ):
        centre = polygon.mean(axis=0)
        x = at.copy()
        x[[2, 0]] = centre
        np.testing.assert_allclose(J @ centre + offset, network(x), atol=1e-10)


def test_two_units_with_the_same_kink_cut_once():
    twice = ReluNetwork(([[1.0, 0.0], [2.0, 0.0]], [[1.0, -1.0]]), ([0.0, 0.0], [0.0]))
    assert len(planar_regions(twice, BOX)) == 2
    assert len(segment_breaks(twice, [-1.0, 0.0], [1.0, 0.0])) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: planar_regions(n, BOX, inputs=(0, 0)), "two different inputs"),
        (lambda n: planar_regions(n, BOX, inputs=(0, 2)), "two different inputs"),
        (lambda n: planar_regions(n, BOX, at=[0.0]), r"at has shape \(1,\)"),
        (lambda n: planar_regions(n, [(0.0, 0.0), (0.0, 1.0)]), "has no area"),
        (lambda n: planar_regions(n, [(0.0, np.inf), (0.0, 1.0)]), "input 0 is unbounded"),
        (lambda n: segment_breaks(n, [0.0, 0.0], [0.0, 0.0]), "two different points"),
        (lambda n: segment_breaks(n, [0.0], [1.0]), "two different points of 2 inputs"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call(random_network(0))
