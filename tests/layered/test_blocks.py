"""Blocks: derivatives, and one meaning in NumPy and CasADi."""

from __future__ import annotations

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from collocode import InputError
from collocode.layered import ResidualBlock, RungeKuttaBlock, block
from collocode.layered.blocks import COLUMN
from tests.layered.cases import BLOCKS, difference


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("name", ["tanh", "swish", "silu_tanh", "gelu", "elu"])
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
