import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given
from hypothesis import strategies as st

import collocode as cc
import collocode.pyomo_plugin
from collocode import InputError
from collocode.relu import ENCODINGS, ReluNetwork, embed, lp_bounds, sampled_range, smoothed

from .nets import random_network

BOX = [(-1.0, 2.0), (-1.5, 1.0)]


def model_with(network, encoding="bigm", bounds="interval", box=BOX, **settings):
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(network.inputs), bounds=lambda _, i: box[i])
    return model, embed(model, network, model.x, encoding, bounds, **settings)


@given(
    st.integers(0, 10_000),
    st.sampled_from([None, 0.6]),
    st.sampled_from(ENCODINGS[:3]),
    st.sampled_from(["interval", "lp", "split", 100.0]),
    st.integers(1, 3),
)
def test_with_fixed_inputs_the_outputs_are_the_networks(seed, clip, encoding, bounds, partitions):
    network = random_network(seed, (2, 5, 4, 2), clip, affine=True)
    model, added = model_with(network, encoding, bounds, partitions=partitions)
    x = np.random.default_rng(seed).uniform(*np.transpose(BOX))
    for variable, value in zip(model.x.values(), x.tolist(), strict=True):
        variable.fix(value)
    model.objective = pyo.Objective(expr=added.outputs[0] - added.outputs[1])
    pyo.SolverFactory("highs").solve(model)
    found = [pyo.value(y) for y in added.outputs]
    np.testing.assert_allclose(found, network(x), atol=1e-6)


@pytest.mark.parametrize("clip", [None, 0.6])
def test_complementarities_hold_the_same_function(clip):
    network = random_network(3, (2, 5, 4, 1), clip, affine=True)
    model, added = model_with(network, "complementarity")
    assert added.binaries == ()
    assert added.summary.products > 0
    for variable, value in zip(model.x.values(), (0.3, -0.2), strict=True):
        variable.fix(value)
    model.objective = pyo.Objective(expr=added.outputs[0])
    pyo.SolverFactory("collocode_ipopt").solve(model)
    # v s <= 0 is met to 1e-8, so v to its square root
    assert pyo.value(added.outputs[0]) == pytest.approx(network([0.3, -0.2])[0], abs=1e-3)


def test_two_networks_and_an_expression_share_one_model():
    square = random_network(0, (1, 6, 1))
    other = random_network(1, (1, 6, 1), clip=0.5)
    model = pyo.ConcreteModel()
    model.u = pyo.Var(bounds=(-1.0, 1.0))
    first = embed(model, square, [2.0 * model.u + 1.0])
    second = embed(model, other, [first.outputs[0]], "clipped", "lp")
    model.objective = pyo.Objective(expr=second.outputs[0] + model.u, sense=pyo.maximize)
    pyo.SolverFactory("highs").solve(model)
    grid = np.linspace(-1.0, 1.0, 20_001)[:, None]
    best = (other(square(2.0 * grid + 1.0)) + grid).max()
    assert pyo.value(model.objective) == pytest.approx(best, abs=1e-3)
    u = model.u.value
    assert pyo.value(second.outputs[0]) == pytest.approx(
        other(square([2.0 * u + 1.0]))[0], abs=1e-6
    )
    assert first.block is not second.block


def test_stable_units_lose_their_binaries():
    # always off, undecided, always on, always saturated, undecided between the kinks
    network = ReluNetwork(
        (np.ones((5, 1)), np.ones((1, 5))),
        ([-2.0, 0.0, 2.0, 5.0, 3.0], [0.0]),
        clip=([np.inf, np.inf, np.inf, 3.0, 3.0],),
    )
    for encoding in ENCODINGS[:3]:
        _, added = model_with(network, encoding, box=[(-1.0, 1.0)])
        assert len(added.binaries) == added.summary.binaries == 2
        assert added.summary.units == {"off": 1, "on": 1, "saturated": 1, "undecided": 2}
        assert added.summary.big_m == (1.0, 4.0)


def test_a_clipped_unit_takes_two_binaries_and_their_order():
    network = ReluNetwork(([[1.0]], [[1.0]]), ([0.0], [0.0]), clip=(1.0,))
    model, added = model_with(network, "clipped", box=[(-2.0, 3.0)])
    assert len(added.binaries) == 2
    model.objective = pyo.Objective(expr=added.outputs[0])
    for x, states in ((-1.0, (0, 0)), (0.5, (1, 0)), (2.0, (1, 1))):
        model.x[0].fix(x)
        pyo.SolverFactory("highs").solve(model)
        assert [round(z.value) for z in added.binaries] == list(states)


def test_tighter_bounds_mean_fewer_binaries():
    network = random_network(6, (2, 12, 12, 1))
    _, loose = model_with(network)
    _, tight = model_with(network, bounds="split")
    assert tight.summary.binaries < loose.summary.binaries
    assert max(tight.summary.big_m) < max(loose.summary.big_m)


def test_a_box_holds_the_inputs():
    network = ReluNetwork(([[1.0]], [[1.0]]), ([0.0], [0.0]))
    model = pyo.ConcreteModel()
    model.x = pyo.Var()
    added = embed(model, network, [model.x], box=[(-1.0, 2.5)])
    model.objective = pyo.Objective(expr=added.outputs[0], sense=pyo.maximize)
    pyo.SolverFactory("highs").solve(model)
    assert model.x.value == pytest.approx(2.5)


def test_known_constraints_tighten_the_bounds_and_are_not_added():
    network = random_network(2, (2, 6, 5, 1))
    constraint = ([[1.0, 1.0]], -0.1, 0.1)
    _, added = model_with(network, bounds="lp", constraints=constraint)
    assert added.bounds.contains(sampled_range(network, BOX, constraints=constraint))
    assert lp_bounds(network, BOX).contains(added.bounds)
    assert len(list(added.block.rows)) == added.summary.rows


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "magic"}, "'magic'; choose from bigm, clipped"),
        ({"encoding": "partition", "partitions": 0}, "partitions"),
        ({"bounds": 0.01}, "unit . of hidden layer . would cut"),
        ({"box": [(-1.0, np.inf), (0.0, 1.0)]}, "input 0 is unbounded"),
    ],
)
def test_bad_settings_are_named(settings, message):
    network = random_network(0)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(2), bounds=(-1.0, 1.0))
    with pytest.raises(InputError, match=message):
        embed(model, network, model.x, **settings)
    assert model.component("network") is None


def test_unbounded_or_missing_inputs_are_named():
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(2), bounds=(-1.0, None))
    with pytest.raises(InputError, match="input 0 is unbounded"):
        embed(model, random_network(0), model.x)
    with pytest.raises(InputError, match="2 inputs, but 1"):
        embed(model, random_network(0), [model.x[0]])


@pytest.mark.parametrize("clip", [None, 0.6])
def test_rounded_kinks_tend_to_the_network(clip):
    network = random_network(5, (2, 5, 4, 2), clip, affine=True)
    x = np.random.default_rng(0).uniform(*np.transpose(BOX), (50, 2))
    gaps = [
        np.abs(np.array([smoothed(network, list(row), width) for row in x]) - network(x)).max()
        for width in (0.1, 0.01, 0.001)
    ]
    assert gaps[0] > 1e-3  # rounded it is
    assert gaps[1] < 0.3 * gaps[0]
    assert gaps[2] < 0.3 * gaps[1]


def test_a_rounded_unit_is_half_the_width_above_its_kink():
    unit = ReluNetwork(([[1.0]], [[1.0]]), ([0.0], [0.0]))
    assert smoothed(unit, [0.0], 0.1) == [pytest.approx(0.05)]
    assert smoothed(unit, [3.0], 0.1) == [pytest.approx(3.0 + 0.01 / 12.0, abs=1e-6)]
    with pytest.raises(InputError, match=r"must be positive, not 0\.0"):
        smoothed(unit, [1.0], 0.0)
    with pytest.raises(InputError, match="1 input, but 2 were given"):
        smoothed(unit, [1.0, 2.0], 0.1)


def test_rounded_for_ipopt_and_exact_for_highs_meet_in_an_optimal_control_problem():
    """x' = valve(u) - x in four Euler steps, least opening: the costs differ by the rounding."""
    valve = ReluNetwork(([[1.0]], [[2.0]]), ([-0.3], [0.0]))
    model = pyo.ConcreteModel()
    model.u = pyo.Var(range(4), bounds=(0.0, 1.0))
    model.x = pyo.Var(range(5), bounds=(0.0, 2.0))
    flow = [embed(model, valve, [model.u[k]]).outputs[0] for k in range(4)]
    model.ends = pyo.Constraint([0, 4], rule=lambda m, k: m.x[k] == 0.2 * k)
    model.steps = pyo.Constraint(
        range(4), rule=lambda m, k: m.x[k + 1] == m.x[k] + 0.25 * (flow[k] - m.x[k])
    )
    model.cost = pyo.Objective(expr=0.25 * sum(model.u.values()))
    pyo.SolverFactory("highs").solve(model)
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": smoothed(valve, [u.u], 1e-3)[0] - x.x}),
        cc.Window(
            end=1.0,
            controls={"u": cc.Control(0.0, 1.0, start=0.6)},
            initial={"x": 0.0},
            final={"x": 0.8},
        ),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u, name="opening"),
    )
    found = cc.fit(problem, "explicit_euler", mesh=4)
    assert found.costs["opening"] == pytest.approx(pyo.value(model.cost), abs=2e-3)
