import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint

from collocode import InputError
from collocode.relu import (
    Bounds,
    ReluNetwork,
    interval_bounds,
    lp_bounds,
    mip_bounds,
    proved_bounds,
    sampled_range,
    split_bounds,
)
from collocode.relu.splitting import crown_bounds

from .nets import random_network

BOX = [(-1.0, 2.0), (-1.5, 1.0)]
clips = st.sampled_from([None, 0.6, 2.0])


@given(st.integers(0, 10_000), clips, st.booleans())
def test_intervals_contain_the_programs_contain_the_samples(seed, clip, affine):
    network = random_network(seed, (2, 6, 5, 4, 2), clip, affine)
    ia, lp, split = (f(network, BOX) for f in (interval_bounds, lp_bounds, split_bounds))
    reached = sampled_range(network, BOX, 2000)
    assert ia.contains(lp)
    assert lp.contains(reached)
    assert ia.contains(split)
    assert split.contains(reached)


@given(st.integers(0, 10_000), clips)
def test_constraints_tighten_and_keep_what_satisfies_them(seed, clip):
    network = random_network(seed, (2, 6, 5, 1), clip)
    constraint = LinearConstraint([[1.0, 1.0]], -0.5, 0.5)
    free, held = lp_bounds(network, BOX), lp_bounds(network, BOX, constraint)
    reached = sampled_range(network, BOX, 4000, constraints=constraint)
    assert held.contains(reached)
    assert split_bounds(network, BOX, constraint).contains(reached)
    assert free.lower[0].sum() <= held.lower[0].sum()


@given(st.integers(0, 10_000), clips)
def test_linear_bounds_hold_on_every_part(seed, clip):
    network = random_network(seed, (2, 6, 5, 1), clip)
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(-2.0, 2.0, (8, 2, 2)), axis=2)
    lower, upper = crown_bounds(network, corners[:, :, 0], corners[:, :, 1])
    x = (
        corners[:, None, :, 0]
        + rng.random((8, 200, 2)) * (corners[:, :, 1] - corners[:, :, 0])[:, None]
    )
    for k, a in enumerate(network.pre_activations(x.reshape(-1, 2))):
        a = a.reshape(8, 200, -1)
        assert (a.min(axis=1) >= lower[k] - 1e-9).all()
        assert (a.max(axis=1) <= upper[k] + 1e-9).all()


def test_the_first_undecided_layer_is_tightened_to_the_triangle():
    # a_2 = v_1 + v_2 with v the positive parts of x and -x: interval [0, 2], triangle [0, 1]
    network = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    box = [(-1.0, 1.0)]
    assert interval_bounds(network, box).upper[1] == 2.0
    assert lp_bounds(network, box).upper[1] == pytest.approx(1.0, abs=1e-9)


def test_a_clipped_unit_has_the_hull_of_both_kinks():
    # v = clip(x, 0, 1) on [-1, 3]: over its hull v - x/2 is at most 1/2 (at x = 1, v = 1)
    network = ReluNetwork(
        ([[1.0], [1.0]], [[1.0, -0.5]]), ([0.0, 10.0], [5.0]), clip=([1.0, np.inf],)
    )
    assert lp_bounds(network, [(-1.0, 3.0)]).upper[1] == pytest.approx(0.5, abs=1e-9)


def test_threads_give_the_same_bounds():
    network = random_network(5, (3, 12, 12, 1))
    box = [(-1.0, 1.0)] * 3
    one, two = lp_bounds(network, box), lp_bounds(network, box, workers=2)
    assert one.contains(two, 1e-7)
    assert two.contains(one, 1e-7)
    assert one.complete
    assert one.programs == two.programs > 0


def test_a_budget_that_is_over_leaves_valid_bounds():
    network = random_network(5, (3, 20, 20, 1))
    box = [(-1.0, 1.0)] * 3
    stopped = lp_bounds(network, box, time_budget=0.0)
    assert not stopped.complete
    assert stopped.contains(sampled_range(network, box))
    assert interval_bounds(network, box).contains(stopped)


def test_programs_with_binaries_find_what_units_reach():
    """Against a grid: what is reached is inside, and the ranges of two hidden layers are tight."""
    network = random_network(1, (2, 6, 6, 6, 1))
    exact, relaxed = mip_bounds(network, BOX), lp_bounds(network, BOX)
    assert exact.kind == "mip"
    assert exact.complete
    assert relaxed.contains(exact, 1e-9)
    axes = (np.linspace(low, up, 401) for low, up in BOX)
    reached = network.core().pre_activations(np.stack(np.meshgrid(*axes), -1).reshape(-1, 2))
    widths = []
    for k, a in enumerate(reached):
        assert (exact.lower[k] <= a.min(axis=0) + 1e-12).all()
        assert (exact.upper[k] >= a.max(axis=0) - 1e-12).all()
        open_units = [True] if k == 3 else exact.stable(network)[k] == 0
        widths.append(((exact.upper[k] - exact.lower[k]) / np.ptp(a, axis=0))[open_units])
    assert np.concatenate(widths).max() < 1.01
    assert proved_bounds(network, BOX, exact, workers=2) is exact


def test_programs_with_binaries_keep_constraints_and_budgets():
    network = random_network(5, (2, 12, 12, 12, 1))
    constraint = ([1.0, 1.0], -np.inf, -0.5)
    stopped = mip_bounds(network, BOX, constraint, time_budget=0.0)
    assert not stopped.complete
    x = np.random.default_rng(0).uniform(*np.transpose(BOX), (5000, 2))
    reached = network.core().pre_activations(x[x.sum(axis=1) <= -0.5])
    for bounds in (stopped, mip_bounds(network, BOX, constraint)):
        for low, up, a in zip(bounds.lower, bounds.upper, reached, strict=True):
            assert (low <= a.min(axis=0) + 1e-9).all()
            assert (up >= a.max(axis=0) - 1e-9).all()


def test_stable_units_by_their_ranges():
    W = np.ones((5, 1))
    network = ReluNetwork(
        (W, np.ones((1, 5))),
        ([-2.0, 0.0, 2.0, 5.0, 3.0], [0.0]),
        clip=([np.inf, np.inf, np.inf, 3.0, 3.0],),
    )
    assert interval_bounds(network, [(-1.0, 1.0)]).stable(network)[0].tolist() == [-1, 0, 1, 2, 0]


@pytest.mark.parametrize("given_bounds", ["M", "bounds"])
def test_bounds_that_would_cut_the_graph_are_refused(given_bounds):
    network = ReluNetwork(([[1.0], [3.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    box, proved = [(-1.0, 1.0)], interval_bounds(network, [(-1.0, 1.0)])
    tight = 2.9
    if given_bounds == "bounds":
        tight = Bounds((np.array([-1.0, -2.9]), proved.lower[1]), proved.upper)
    with pytest.raises(InputError, match=r"unit 1 of hidden layer 0 would cut .* \[-3, 3\]"):
        proved_bounds(network, box, tight)
    assert proved_bounds(network, box, 3.0).upper[0].tolist() == [3.0, 3.0]


def test_bounds_that_only_the_programs_prove_are_used_as_they_are():
    network = random_network(7, (2, 6, 5, 1))
    lp = lp_bounds(network, BOX)
    assert not lp.contains(interval_bounds(network, BOX))
    mine = Bounds(lp.lower, lp.upper)
    assert proved_bounds(network, BOX, mine) is mine


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda n: interval_bounds(n, [(-1, 1), (0, np.inf)]),
            r"input 1 is unbounded \(\[0, inf\]",
        ),
        (lambda n: interval_bounds(n, [(-1, 1), (1, 0)]), "input 1 are crossed"),
        (lambda n: interval_bounds(n, [(-1, 1)]), "each of the 2 inputs"),
        (lambda n: interval_bounds(n, "box"), "cannot be read as numbers"),
        (lambda n: lp_bounds(n, BOX, time_budget=-1.0), "time_budget"),
        (lambda n: lp_bounds(n, BOX, workers=0), "workers"),
        (lambda n: split_bounds(n, BOX, parts=0), "parts"),
        (
            lambda n: lp_bounds(n, BOX, ([[1, 1]], 9, 10)),
            r"the constraint cannot hold: .*\[-2.5, 3\]",
        ),
        (
            lambda n: lp_bounds(n, BOX, [([1, 1], 1, 2), ([1, 0], -1, -0.5)]),
            "together.*constraint [01]",
        ),
        (lambda n: lp_bounds(n, BOX, ([[1, 1, 1, 1]], 0, 1)), "4 columns; it needs 2"),
        (lambda n: lp_bounds(n, BOX, ([[1, 1]], 1, 0)), "1 <= ... <= 0"),
        (lambda n: lp_bounds(n, BOX, 3.0), "must be .A, lower, upper."),
        (lambda n: proved_bounds(n, BOX, "exact"), "'exact'"),
        (lambda n: lp_bounds(None, BOX), "ReluNetwork, not NoneType"),
        (lambda n: mip_bounds(n.weights, BOX), "ReluNetwork, not tuple"),
        (lambda n: proved_bounds(n, BOX, -1.0), "positive and finite"),
        (lambda n: proved_bounds(n, BOX, Bounds((np.zeros(2),), (np.ones(2),))), r"widths \[2\]"),
        (lambda n: Bounds((np.ones(2),), (np.zeros(2),)), r"output 0 are \[1, 0\]"),
        (lambda n: sampled_range(n, BOX, 10, constraints=([1, 1], 2.99, 9)), "none of 10"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call(random_network(0))
