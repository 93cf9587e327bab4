import casadi as ca
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import collocode as cc
from collocode.model.activations import ACTIVATIONS, CASADI

sizes = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


def test_against_a_hand_computation():
    network = cc.MLP((2, 2, 1), "tanh", shift=(1.0, 0.0), scale=(2.0, 1.0), output_scale=(10.0,))
    W1, b1 = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, 0.2])
    W2, b2 = np.array([[5.0, 6.0]]), np.array([0.3])
    theta = network.vector([(W1, b1), (W2, b2)])
    np.testing.assert_array_equal(theta, [1.0, 3.0, 2.0, 4.0, 0.1, 0.2, 5.0, 6.0, 0.3])
    # z = (3, 0.5): (z - shift) / scale = (1, 0.5)
    by_hand = 10.0 * (5.0 * np.tanh(1.0 + 1.0 + 0.1) + 6.0 * np.tanh(3.0 + 2.0 + 0.2) + 0.3)
    assert network(np.array([3.0, 0.5]), theta)[0] == pytest.approx(by_hand, rel=1e-14)


@given(sizes, st.sampled_from(sorted(ACTIVATIONS)), st.integers(0, 1000), st.booleans())
def test_numpy_and_casadi_agree(widths, activation, seed, normalised):
    rng = np.random.default_rng(seed)
    network = cc.MLP(widths, activation)
    if normalised:
        network = network.normalised(
            rng.normal(size=widths[0]), rng.uniform(1, 2, widths[0]), rng.normal(size=widths[-1])
        )
    theta, z = rng.normal(size=network.n_weights), rng.normal(size=(widths[0], 4))
    x, w = ca.SX.sym("x", widths[0]), ca.SX.sym("w", network.n_weights)
    function = ca.Function("f", [x, w], [network(x, w, CASADI)])
    expected = np.column_stack([np.asarray(function(column, theta)).ravel() for column in z.T])
    np.testing.assert_allclose(network(z, theta), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(network(z[:, 0], theta), expected[:, 0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"relu"}))
def test_pyomo_agrees(activation):
    pyo = pytest.importorskip("pyomo.environ")
    from collocode.export.operations import pyomo_operations

    rng = np.random.default_rng(7)
    network = cc.MLP((2, 3, 2), activation).normalised([0.1, 0.2], [2.0, 3.0], [0.5, 4.0])
    model = pyo.ConcreteModel()
    model.z, model.w = pyo.Var(range(2)), pyo.Var(range(network.n_weights))
    z, theta = rng.normal(size=2), rng.normal(size=network.n_weights)
    for i, value in enumerate(z):
        model.z[i] = value
    for i, value in enumerate(theta):
        model.w[i] = value
    expressions = network(
        np.array([model.z[i] for i in range(2)], dtype=object),
        np.array([model.w[i] for i in range(network.n_weights)], dtype=object),
        pyomo_operations(),
    )
    values = [pyo.value(e) for e in expressions]
    np.testing.assert_allclose(values, network(z, theta), rtol=1e-13)


def test_pyomo_refuses_relu_with_a_reason():
    pytest.importorskip("pyomo.environ")
    from collocode.export.operations import pyomo_operations

    network = cc.MLP((1, 1, 1), "relu")
    with pytest.raises(cc.InputError, match="max"):
        network(np.ones(1), np.ones(4), pyomo_operations())


def test_a_network_is_as_smooth_as_its_hidden_layers():
    assert cc.MLP((1, 2, 1), "gelu").smoothness == np.inf
    assert cc.MLP((1, 2, 1), "elu").smoothness == 1
    assert cc.MLP((1, 2, 1), "relu").smoothness == 0
    assert cc.MLP((1, 1), "relu").smoothness == np.inf  # no hidden layer, no kink


@given(sizes, st.integers(0, 1000))
def test_weights_go_to_matrices_and_back(widths, seed):
    network = cc.MLP(widths)
    theta = np.random.default_rng(seed).normal(size=network.n_weights)
    matrices = network.matrices(theta)
    assert [W.shape for W, _ in matrices] == list(zip(widths[1:], widths, strict=False))
    np.testing.assert_array_equal(network.vector(matrices), theta)
    names = network.weight_names()
    assert len(names) == len(set(names)) == network.n_weights
    for name, value in zip(names, theta, strict=True):
        layer, place = int(name[1 : name.index("[")]), name[name.index("[") + 1 : -1].split(",")
        W, b = matrices[layer - 1]
        assert value == (W if name[0] == "W" else b)[tuple(int(i) for i in place)]


@given(sizes, st.integers(0, 1000))
def test_glorot_weights_are_bounded_seeded_and_unbiased(widths, seed):
    network = cc.MLP(widths)
    theta = network.initial_weights(seed)
    np.testing.assert_array_equal(theta, network.initial_weights(seed))
    for W, b in network.matrices(theta):
        assert np.abs(W).max() <= np.sqrt(6.0 / sum(W.shape))
        assert (b == 0.0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cc.MLP((2,)), "at least two positive integer widths"),
        (lambda: cc.MLP((2, 0, 1)), "positive integer widths"),
        (lambda: cc.MLP((2, 2.5, 1)), "positive integer widths"),
        (lambda: cc.MLP((2, True)), "positive integer widths"),
        (lambda: cc.MLP((2, 1), "erf"), "unknown activation 'erf'; choose from tanh"),
        (lambda: cc.MLP((2, 1), shift=(1.0,)), "shift has 1 entry, but the network has 2"),
        (lambda: cc.MLP((2, 1), output_scale=(1.0, 2.0)), "output_scale has 2 entries"),
        (lambda: cc.MLP((1, 1), scale=(0.0,)), "scale must be finite"),
        (lambda: cc.MLP((1, 1), shift=(np.nan,)), "shift must be finite"),
        (lambda: cc.MLP((2, 1)).matrices(np.zeros(4)), r"shape \(4,\), but \(2, 1\) needs \(3,\)"),
        (lambda: cc.MLP((2, 1)).vector([([[1.0]], [0.0])]), "needs"),
    ],
)
def test_bad_networks_are_refused(make, message):
    with pytest.raises(cc.InputError, match=message):
        make()
