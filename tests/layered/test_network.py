"""Networks: weights in time, initial weights, refusals, descriptions, more layers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collocode import InputError, Mesh
from collocode.layered import (
    AntisymmetricBlock,
    HamiltonianBlock,
    LayeredNetwork,
    LeapfrogBlock,
    ResidualBlock,
    RungeKuttaBlock,
    bisect,
    forward,
    insert,
    predict,
)
from collocode.layered.network import network_of
from collocode.numerics.bases import Legendre, Monomial, PiecewiseConstant
from tests.layered.cases import BASES, BLOCKS, LIFTS, MESH, SPAN, small


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("kind", BLOCKS)
def test_weights_of_the_layers_are_those_of_the_function_of_time(kind: str, basis: str) -> None:
    objective, theta = small(kind, basis, lift="opening")
    network = objective.network
    K, b = network.layer_weights(theta)
    K_at, b_at = network.weights_at(theta, MESH.points[:-1])
    np.testing.assert_allclose(K, K_at, atol=1e-14)
    np.testing.assert_allclose(b, b_at, atol=1e-14)
    opening, coefficients, readout = network.split(theta)
    np.testing.assert_array_equal(np.concatenate([opening, coefficients.ravel(), readout]), theta)
    # a coefficient is K column by column, then b
    first = coefficients.copy() * 0.0
    first[:, 1] = network.time_basis.constant()
    theta = np.concatenate([opening, first.ravel(), readout])
    assert network.layer_weights(theta)[0][0][1, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("basis", BASES)
def test_initial_weights_are_constant_in_time(basis: str) -> None:
    network = small(basis=basis)[0].network
    K, b = network.layer_weights(network.initial(seed=3))
    np.testing.assert_allclose(K, np.broadcast_to(K[0], K.shape), atol=1e-12)
    assert not b.any()
    reference = small(basis="layers")[0].network
    np.testing.assert_allclose(K, reference.layer_weights(reference.initial(seed=3))[0], atol=1e-12)


def test_a_layer_of_its_own_weights_ends_before_the_jump() -> None:
    """Runge-Kutta's last stage belongs to the layer, not to the next one."""
    network = LayeredNetwork(1, 1, 1, Mesh.uniform(0, 2, 2), block=RungeKuttaBlock("linear"))
    theta = np.zeros(network.n_weights)
    theta[network.slices["coefficients"]] = [-1.0, 0.0, 0.0, 0.0]  # x' = -x, then x' = 0
    x = forward(network, theta, np.ones((1, 1)))[:, 0, 0]
    factor = 1 - 1 + 1 / 2 - 1 / 6 + 1 / 24
    np.testing.assert_allclose(x, [1.0, factor, factor], atol=1e-14)


def test_forward_by_hand() -> None:
    network = LayeredNetwork(2, 1, 3, Mesh(np.array([0.0, 1.0, 1.5])), lift="pad")
    theta = network.initial(seed=1)
    X = np.array([[0.3, -0.2]])
    (K0, K1), (b0, b1) = network.layer_weights(theta)
    x0 = np.array([0.3, -0.2, 0.0])
    x1 = x0 + np.tanh(K0 @ x0 + b0)
    x2 = x1 + 0.5 * np.tanh(K1 @ x1 + b1)
    np.testing.assert_allclose(forward(network, theta, X)[:, 0], [x0, x1, x2], atol=1e-14)
    W, mu = network.readout(theta)
    np.testing.assert_allclose(predict(network, theta, X)[0], W @ x2 + mu, atol=1e-14)


def test_hamiltonian_state_begins_at_rest() -> None:
    network = LayeredNetwork(2, 1, 2, Mesh.uniform(0, 3, 3), block=HamiltonianBlock())
    states = forward(network, network.initial(), np.ones((4, 2)))
    assert states.shape == (4, 4, 4)
    assert not states[0][:, 2:].any()


def test_leapfrog_is_the_second_difference() -> None:
    """x₊ = 2x − x₋ − h² Kᵀ φ(K x + b) on layers of one length, at rest at first."""
    network = LayeredNetwork(2, 1, 2, Mesh.uniform(0, 2, 4), block=LeapfrogBlock())
    theta = network.initial(2) + 0.1
    states = forward(network, theta, np.array([[0.4, -0.7]]))[:, 0, :2]
    K, b = network.layer_weights(theta)
    before = states[0]
    for n in range(4):
        x, force = states[n], np.tanh(K[n] @ states[n] + b[n])
        np.testing.assert_allclose(
            states[n + 1], 2 * x - before - 0.25 * K[n].T @ force, atol=1e-14
        )
        before = x


def test_antisymmetric_rotates_and_symmetric_parts_do_nothing() -> None:
    block = AntisymmetricBlock("linear")
    x, K = np.array([[0.6, 0.2]]), np.array([[3.0, 1.0], [-1.0, 5.0]])
    np.testing.assert_allclose(block.step(x, [K], [np.zeros(2)], 0.1), [[0.62, 0.14]], atol=1e-15)


@given(
    points=st.lists(st.floats(0.1, 2.0), min_size=3, max_size=6),
    order=st.integers(0, 3),
    seed=st.integers(0, 100),
)
@settings(max_examples=20, deadline=None)
def test_equal_spaces_give_equal_networks(points: list[float], order: int, seed: int) -> None:
    """Monomials and Legendre polynomials of one degree describe the same functions."""
    mesh = Mesh(np.concatenate([[0.0], np.cumsum(points)]))
    order = min(order, mesh.elements - 1)
    span = (mesh.start, mesh.end)
    one = LayeredNetwork(2, 2, 2, mesh, Legendre(order, span))
    two = LayeredNetwork(2, 2, 2, mesh, Monomial(order, span, unit=True))
    rng = np.random.default_rng(seed)
    theta = 0.3 * rng.standard_normal(one.n_weights)
    _, coefficients, readout = one.split(theta)
    converted = one.time_basis.prolong(two.time_basis) @ coefficients
    other = np.concatenate([converted.ravel(), readout])
    X = rng.standard_normal((3, 2))
    np.testing.assert_allclose(predict(one, theta, X), predict(two, other, X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("kind", BLOCKS)
def test_descriptions_come_back(kind: str, basis: str) -> None:
    network = small(kind, basis, lift="opening", activation="swish")[0].network
    again = network_of(network.description())
    assert again.description() == network.description()
    assert again.time_basis == network.time_basis


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": 0}, "inputs must be a positive integer"),
        ({"width": 5}, "without a lift the width must be the number of inputs"),
        ({"width": 2, "lift": "pad"}, "cannot be padded to width 2"),
        ({"lift": "fold"}, "unknown lift 'fold'"),
        ({"basis": Legendre(2, (0.0, 1.0))}, "give both the same interval"),
        ({"basis": Legendre(4, SPAN)}, "lower its order or take more layers"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    usual = {"inputs": 3, "outputs": 1, "width": 3, "mesh": MESH}
    with pytest.raises(InputError, match=message):
        LayeredNetwork(**{**usual, **arguments})  # type: ignore[arg-type]


def test_wrong_weights_and_features() -> None:
    objective, theta = small()
    network = objective.network
    with pytest.raises(InputError, match=r"has shape \(3,\)"):
        network.checked(np.ones(3))
    theta[4] = np.nan
    with pytest.raises(InputError, match="weight 4 is nan"):
        network.checked(theta)
    with pytest.raises(InputError, match=r"needs \(S, 3\)"):
        forward(network, network.initial(), np.ones((2, 5)))
    with pytest.raises(InputError, match="no part 'lid'"):
        network.mask("lid")
    with pytest.raises(InputError, match="describes no layered network"):
        network_of({"inputs": 1})


# ---- more layers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("basis", BASES)
def test_bisection_keeps_the_function_of_time(basis: str) -> None:
    objective, theta = small(basis=basis, lift="opening")
    network = objective.network
    finer, new = bisect(network, theta, [1, 3])
    assert finer.mesh.steps.tolist() == [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    t = np.linspace(0.0, 2.999, 50)
    for old_part, new_part in zip(
        network.weights_at(theta, t), finer.weights_at(new, t), strict=True
    ):
        np.testing.assert_allclose(new_part, old_part, atol=1e-12)
    assert finer.time_basis.size == (6 if basis == "layers" else network.time_basis.size)


def test_bisection_changes_the_network_by_its_discretization_only() -> None:
    """Halving all layers again and again: the changes halve too, as Euler's error does."""
    objective, theta = small(basis="layers")
    network, X = objective.network, objective.samples.X
    outputs = [predict(network, theta, X)]
    for _ in range(6):
        network, theta = bisect(network, theta, range(network.layers))
        outputs.append(predict(network, theta, X))
    changes = [np.abs(b - a).max() for a, b in itertools.pairwise(outputs)]
    assert changes[-2] / changes[-1] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("position", [0, 2, 4])
def test_inserted_layers(position: int) -> None:
    objective, theta = small(lift="pad")
    network, X = objective.network, objective.samples.X
    deeper, same = insert(network, theta, position)
    np.testing.assert_allclose(predict(deeper, same, X), predict(network, theta, X), atol=1e-14)
    K, b = np.arange(9.0).reshape(3, 3) / 10.0, np.array([0.1, 0.2, 0.3])
    deeper, new = insert(network, theta, position, (K, b), step=0.5)
    assert deeper.mesh.steps[position] == pytest.approx(0.5)
    np.testing.assert_allclose(deeper.layer_weights(new)[0][position], K)
    before, after = forward(network, theta, X), forward(deeper, new, X)
    np.testing.assert_allclose(after[: position + 1], before[: position + 1])
    x = before[position]
    np.testing.assert_allclose(after[position + 1], x + 0.5 * np.tanh(x @ K.T + b))


def test_refused_insertions() -> None:
    objective, theta = small()
    with pytest.raises(InputError, match=r"at 0 \.\.\. 4, not at 5"):
        insert(objective.network, theta, 5)
    with pytest.raises(InputError, match="step of a layer must be positive"):
        insert(objective.network, theta, 1, step=0.0)
    with pytest.raises(InputError, match="needs K"):
        insert(objective.network, theta, 1, (np.ones((2, 2)), np.ones(3)))
    objective, theta = small(basis="legendre")
    with pytest.raises(InputError, match="prolong the weights to PiecewiseConstant"):
        insert(objective.network, theta, 1)


def test_default_basis_is_one_weight_a_layer() -> None:
    network = LayeredNetwork(2, 1, 2, MESH, block=ResidualBlock("relu"))
    assert network.time_basis == PiecewiseConstant(MESH)  # type: ignore[arg-type]
    assert set(LIFTS) == {"none", "pad", "opening"}
