"""Activations: the textbooks' values, two derivatives, one meaning in every arithmetic, no overflow."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from scipy.special import expit, ndtr

from collocode import InputError
from collocode.model.activations import (
    ACTIVATIONS,
    CASADI,
    NUMPY,
    Activation,
    activation,
    activation_names,
    jax_operations,
)

POINTS = np.concatenate([np.linspace(-6.0, 6.0, 40), [-300.0, 300.0]])
TEXTBOOK = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "softplus": lambda a: np.logaddexp(0.0, a),
    "swish": lambda a: a * expit(a),
    "gelu": lambda a: (
        0.5 * a * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (a + 0.044715 * np.power(a, 3))))
    ),
    "silu_tanh": lambda a: 2.0 * a * expit(a) - np.tanh(a),
    "linear": lambda a: a,
    "elu": lambda a: np.where(a > 0.0, a, np.expm1(np.minimum(a, 0.0))),
    "relu": lambda a: np.maximum(a, 0.0),
}
# value and slope at minus and plus infinity, for an argument of size n
LIMITS = {
    "tanh": lambda n: ((-1.0, 0.0), (1.0, 0.0)),
    "sigmoid": lambda n: ((0.0, 0.0), (1.0, 0.0)),
    "silu_tanh": lambda n: ((1.0, 0.0), (2.0 * n - 1.0, 2.0)),
    "linear": lambda n: ((-n, 1.0), (n, 1.0)),
    "elu": lambda n: ((-1.0, 0.0), (n, 1.0)),
}
RAMP = {name: (lambda n: ((0.0, 0.0), (n, 1.0))) for name in ("softplus", "swish", "gelu", "relu")}


def five_points(function, a, h=1e-3):
    """Central differences of order four."""
    return (
        8.0 * (function(a + h) - function(a - h)) - (function(a + 2 * h) - function(a - 2 * h))
    ) / (12.0 * h)


@pytest.mark.parametrize("name", activation_names())
def test_values_are_the_textbooks(name):
    np.testing.assert_allclose(activation(name)(POINTS), TEXTBOOK[name](POINTS), atol=1e-14)


def test_gelu_is_near_the_one_with_the_normal_distribution():
    a = np.linspace(-8.0, 8.0, 1601)
    difference = np.abs(activation("gelu")(a) - a * ndtr(a)).max()
    assert 1e-4 < difference < 5e-4


@pytest.mark.parametrize("name", activation_names())
def test_derivatives_and_how_often_they_exist(name):
    phi = activation(name)
    y = phi(POINTS)
    np.testing.assert_allclose(phi.slope(POINTS, y), five_points(phi, POINTS), atol=1e-8)
    curvature = five_points(lambda a: phi.slope(a, phi(a)), POINTS)
    np.testing.assert_allclose(phi.curvature(POINTS, y), curvature, atol=1e-8)
    # jumps of the derivatives at 0, where every kink here is
    sides = np.array([-1e-9, 1e-9])
    jumps = [np.ptp(d(sides, phi(sides))) > 1e-3 for d in (phi.slope, phi.curvature)]
    assert jumps == {0: [True, False], 1: [False, True], np.inf: [False, False]}[phi.smoothness]
    assert phi.kinks == (name == "relu")


@pytest.mark.parametrize("name", activation_names())
@pytest.mark.parametrize("size", [40.0, 700.0, 1000.0, 1300.0])
def test_far_out_value_and_two_derivatives_are_right(name, size):
    phi, x = activation(name), ca.SX.sym("x")
    value = phi(x, CASADI)
    function = ca.Function("f", [x], [value, ca.jacobian(value, x), ca.hessian(value, x)[0]])
    for sign, limit in zip((-1.0, 1.0), {**LIMITS, **RAMP}[name](size), strict=True):
        expected = [*limit, 0.0]
        found = [float(v) for v in function(sign * size)]
        np.testing.assert_allclose(found, expected, atol=1e-10 * size)
        a = np.array([sign * size])
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            y = phi(a)
            found = [float(v[0]) for v in (y, phi.slope(a, y), phi.curvature(a, y))]
        np.testing.assert_allclose(found, expected, atol=1e-10 * size)


@pytest.mark.parametrize("name", activation_names())
def test_casadi_and_its_derivatives_mean_the_same(name):
    phi, a = activation(name), ca.SX.sym("a")
    first = ca.gradient(phi(a, CASADI), a)
    forms = [phi(a, CASADI), first, ca.gradient(first, a)]
    y = phi(POINTS)
    for form, expected in zip(
        forms, (y, phi.slope(POINTS, y), phi.curvature(POINTS, y)), strict=True
    ):
        got = np.asarray(ca.Function("phi", [a], [form])(POINTS[None, :])).ravel()
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", activation_names())
def test_jax_means_the_same(name):
    jnp = pytest.importorskip("jax.numpy")
    got = activation(name)(jnp.asarray(POINTS), jax_operations())
    np.testing.assert_allclose(got, activation(name)(POINTS), rtol=1e-5, atol=1e-5)


def test_at_zero():
    assert activation("silu_tanh").at_zero == (0.0, 0.0, 1.0)
    assert activation("tanh").at_zero == (0.0, 1.0, 0.0)
    value, slope, curvature = activation("gelu").at_zero
    assert (value, slope) == (0.0, 0.5)
    assert curvature == pytest.approx(np.sqrt(2.0 / np.pi), rel=1e-12)
    a = ca.SX.sym("a")  # CasADi's derivative in ELU's joint is the derivative
    assert float(ca.Function("s", [a], [ca.gradient(activation("elu")(a, CASADI), a)])(0.0)) == 1.0
    assert activation("elu").at_zero[:2] == (0.0, 1.0)


def test_functions_are_found_and_names_refused():
    assert activation("elu").functions == {"absolute", "exp"}
    assert activation("relu").functions == {"maximum"}
    assert activation("linear").functions == frozenset()
    with pytest.raises(InputError, match="unknown activation 'tan'; did you mean 'tanh'"):
        activation("tan")


def test_a_new_activation_is_one_record(monkeypatch, tmp_path):
    """Network, CasADi, layers and ONNX know it as soon as the table does."""
    pytest.importorskip("onnxruntime")
    import collocode as cc
    from collocode.export.onnx import write_onnx

    bell = Activation(
        name="bell",
        formula=lambda a, ops: ops.exp(-a * a),
        slope=lambda a, y: -2.0 * a * y,
        curvature=lambda a, y: (4.0 * a * a - 2.0) * y,
    )
    floored = replace(bell, name="floored", formula=lambda a, ops: ops.maximum(a, -0.1) - 1.0)
    only_cosh = replace(bell, name="sech", formula=lambda a, ops: ops.cosh(a) * 1.0)
    for record in (bell, floored, only_cosh):
        monkeypatch.setitem(ACTIVATIONS, record.name, record)
    network = cc.MLP((2, 3, 1), "bell")
    theta = network.initial_weights(0)
    W, b = network.matrices(theta)[0]
    z = np.array([0.3, -0.7])
    expected = network.matrices(theta)[1][0] @ np.exp(-((W @ z + b) ** 2))
    np.testing.assert_allclose(network(z, theta), expected, rtol=1e-14)
    assert cc.layered.ResidualBlock("bell").phi is bell
    trained = cc.TrainedNetwork(network, theta)
    assert write_onnx(trained, tmp_path / "bell.onnx").error < 1e-12
    trained = cc.TrainedNetwork(cc.MLP((2, 3, 1), "floored"), theta)
    assert write_onnx(trained, tmp_path / "floored.onnx").error < 1e-12
    with pytest.raises(InputError, match="no operators for the activation 'sech'"):
        write_onnx(cc.TrainedNetwork(cc.MLP((2, 3, 1), "sech"), theta), tmp_path / "sech.onnx")
    assert not (tmp_path / "sech.onnx").exists()


def test_numpy_sigmoid_is_scipys():
    np.testing.assert_allclose(NUMPY.sigmoid(POINTS), expit(POINTS), atol=1e-15)


@pytest.mark.parametrize("name", ["gelu", "elu"])
@pytest.mark.parametrize("interface", ["casadi", "cyipopt", "pyomo"])
def test_a_fit_from_start_to_file(name, interface, tmp_path):
    import collocode as cc

    t = np.linspace(0.0, 2.0, 21)
    data = cc.Experiment(t, np.exp(-t), outputs=("c",), initial={"c": cc.fixed(1.0)})
    problem = cc.Problem(cc.NeuralODE(cc.MLP((1, 4, 1), name)), data, regularisation=cc.L2(1e-6))
    nlp = cc.start_from(cc.discretize(problem, mesh=10), "gradient_matching", seed=1)
    try:
        solution = cc.solve(nlp, interface)
    except cc.MissingDependency as absent:
        pytest.skip(str(absent))
    assert solution.success
    assert solution.gap() < 1e-3
    np.testing.assert_allclose(solution.predict(t)[:, 0], np.exp(-t), atol=5e-3)
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    state = np.array([0.4])
    np.testing.assert_allclose(
        again.model.rhs(0.0, state), solution.model.rhs(0.0, state), rtol=1e-14
    )
    np.testing.assert_allclose(again.model.rhs(0.0, state), [-0.4], rtol=0.05)
