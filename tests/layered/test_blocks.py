"""Activations and blocks: derivatives, and one meaning in NumPy and CasADi."""

from __future__ import annotations

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from collocode import InputError
from collocode.layered import ResidualBlock, RungeKuttaBlock, activation, activation_names, block
from collocode.layered.arithmetic import COLUMN
from collocode.model.network import ACTIVATIONS
from collocode.model.operations import CASADI, jax_operations
from tests.layered.cases import BLOCKS, difference

POINTS = np.concatenate([np.linspace(-6.0, 6.0, 40), [-300.0, 300.0]])


@pytest.mark.parametrize("name", activation_names())
def test_derivatives_of_activations(name: str) -> None:
    phi = activation(name)
    y = phi(POINTS)
    one = np.ones_like(POINTS)
    slope = difference(phi, POINTS, one, 1e-3)
    curvature = difference(lambda a: phi.slope(a, phi(a)), POINTS, one, 1e-3)
    np.testing.assert_allclose(phi.slope(POINTS, y), slope, atol=1e-8)
    if phi.smooth:
        np.testing.assert_allclose(phi.curvature(POINTS, y), curvature, atol=1e-8)


def test_every_activation_of_the_models_is_there_and_means_the_same() -> None:
    assert set(activation_names()) == {*ACTIVATIONS, "silu_tanh"}
    a = ca.SX.sym("a")
    for name in activation_names():
        symbolic = ca.Function("phi", [a], [activation(name)(a, CASADI)])
        got = np.asarray(symbolic(POINTS[None, :])).ravel()
        np.testing.assert_allclose(got, activation(name)(POINTS), rtol=1e-12, atol=1e-14)


def test_the_activation_for_insertion() -> None:
    phi = activation("silu_tanh")
    a = np.linspace(-3.0, 3.0, 13)
    np.testing.assert_allclose(phi(a), 2.0 * a / (1.0 + np.exp(-a)) - np.tanh(a), atol=1e-14)
    assert phi.at_zero == (0.0, 0.0, 1.0)
    assert activation("tanh").at_zero == (0.0, 1.0, 0.0)
    # φ(εa) = ε²a²/2 + O(ε³)
    assert phi(np.array(1e-3)) == pytest.approx(0.5e-6, rel=1e-3)


def test_activations_in_jax() -> None:
    jnp = pytest.importorskip("jax.numpy")
    got = activation("silu_tanh")(jnp.asarray(POINTS), jax_operations())
    np.testing.assert_allclose(got, activation("silu_tanh")(POINTS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("name", ["tanh", "swish", "silu_tanh"])
def test_step_tangent_and_pullback(kind: str, name: str) -> None:
    rng = np.random.default_rng(1)
    b, d, S, h = block(kind, name), 3, 5, 0.7
    stages, D = len(b.stages), b.state_size(d)
    x, dx, p = (rng.standard_normal((S, D)) for _ in range(3))
    K, dK = (0.5 * rng.standard_normal((stages, d, d)) for _ in range(2))
    bias, dbias = (rng.standard_normal((stages, d)) for _ in range(2))

    # CasADi takes one column through the same formula
    sx = ca.SX.sym("x", D)
    stepped = b.step(sx, [ca.DM(k) for k in K], [ca.DM(v) for v in bias], h, COLUMN)
    symbolic = np.asarray(ca.Function("step", [sx], [stepped])(x.T)).T
    np.testing.assert_allclose(b.step(x, K, bias, h), symbolic, atol=1e-13)

    # the tangent is the derivative
    tangent = b.tangent(x, K, bias, h, dx, dK, dbias)
    numeric = difference(
        lambda s: b.step(x + s * dx, K + s * dK, bias + s * dbias, h), np.zeros(1), np.ones(1), 1e-3
    )
    np.testing.assert_allclose(tangent, numeric, atol=1e-8)

    # the pullback is its transpose: <p, tangent> = <pullback, direction>
    by_state, factors = b.pullback(x, K, bias, h, p)
    total = np.sum(by_state * dx)
    for factor in factors:
        by_matrix, by_bias = factor.gradient()
        total += np.sum(by_matrix * dK[factor.stage]) + by_bias @ dbias[factor.stage]
        summed = np.concatenate([by_matrix.ravel(order="F"), by_bias])
        np.testing.assert_allclose(factor.rows().sum(axis=0), summed, atol=1e-12)
    assert total == pytest.approx(np.sum(p * tangent), rel=1e-12)


def test_runge_kutta_has_order_four_and_euler_order_one() -> None:
    K, b, x = np.array([[0.0, 1.0], [-1.0, 0.2]]), np.array([0.1, -0.3]), np.array([[0.5, -1.0]])
    exact = solve_ivp(lambda t, y: np.tanh(K @ y + b), (0, 1), x[0], rtol=1e-12, atol=1e-13).y[
        :, -1
    ]
    for kind, order in ((ResidualBlock(), 1), (RungeKuttaBlock(), 4)):
        errors = []
        for n in (8, 16):
            y = x
            for _ in range(n):
                y = kind.step(y, [K] * 3, [b] * 3, 1.0 / n)
            errors.append(np.abs(y - exact).max())
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="unknown activation 'tan'"):
        ResidualBlock("tan")
    with pytest.raises(InputError, match="unknown block 'conv'"):
        block("conv")
