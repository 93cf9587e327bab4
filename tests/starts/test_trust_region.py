"""Trust-region steps: against NumPy's least squares, with few residuals and with few unknowns."""

import numpy as np
import pytest
from scipy import sparse

from collocode.starts.trust_region import Model, Penalty, least_squares


@pytest.mark.parametrize("rows", [8, 40])
@pytest.mark.parametrize("held", [20, 17])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
def test_steps_are_those_of_least_squares(rows, held, alpha):
    """Also where some unknowns have no penalty, of a matrix that is wide."""
    rng = np.random.default_rng(rows + held)
    J, r, rest = rng.standard_normal((rows, 20)), rng.standard_normal(rows), rng.standard_normal(20)
    D = np.where(np.arange(20) < held, np.where(np.arange(20) < 9, 0.1, 0.3), 0.0)
    model = Model.of(J, r, Penalty(sparse.diags_array(D).tocsr()), rest)
    step, slope = model.damped(alpha)
    matrix = np.vstack([J, np.diag(D), np.sqrt(alpha) * np.eye(20)])
    wanted = np.linalg.lstsq(matrix, -np.concatenate([r, rest, np.zeros(20)]))[0]
    close = 1e-5 if rows < 20 and held < 20 and not alpha else 1e-8
    assert step == pytest.approx(wanted, rel=close, abs=close)
    assert model.gradient == pytest.approx(J.T @ r + D * rest)
    assert model.curvature(step) == pytest.approx(np.sum((J @ step) ** 2) + np.sum((D * step) ** 2))
    if alpha:
        size = [np.linalg.norm(model.damped(alpha * (1.0 + e))[0]) for e in (-1e-4, 1e-4)]
        assert slope == pytest.approx((size[1] - size[0]) / (2e-4 * alpha), rel=1e-3)


@pytest.mark.parametrize("strengths", [2, 50])
def test_a_minimum_is_found_with_fewer_residuals_than_unknowns(strengths):
    """Rosenbrock's valley with unknowns that nothing but a penalty determines."""
    weights = 0.01 * (1.0 + np.arange(60) % strengths)

    def residual(z):
        return np.concatenate([[10.0 * (z[1] - z[0] ** 2), 1.0 - z[0]], weights * z])

    def model(z, r):
        J = np.zeros((2, 60))
        J[:, :2] = [[-20.0 * z[0], 10.0], [-1.0, 0.0]]
        return Model.of(J, r[:2], Penalty(sparse.diags_array(weights).tocsr()), r[2:])

    start = np.append([-1.2, 1.0], np.ones(58))
    found = least_squares(residual, model, start, np.ones(60, dtype=bool), 60)
    gradient = model(found, residual(found)).gradient
    assert np.abs(gradient).max() <= 1e-4
    assert found[:2] == pytest.approx(1.0, abs=2e-3)
