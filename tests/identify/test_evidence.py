"""The linearised fit against dense algebra, and its evidence against Bayesian linear regression."""

import numpy as np
import pytest
import scipy

import collocode as cc
from collocode.identify.evidence import most_probable
from collocode.identify.linearised import Linearised
from collocode.identify.noise import noise_of
from tests.problems import van_der_pol_neural

T = np.linspace(0.0, 1.0, 41)
TERMS = 7


def linear(sigma=0.05, seed=0, loss=None, strength=1e-3, **options):
    """ẋ = W φ(t) + b from x(0) = 0: linear in its eight weights; and the matrix of that."""
    rng = np.random.default_rng(seed)
    A = np.column_stack([*(T ** (j + 1) / (j + 1) for j in range(1, TERMS + 1)), T])
    y = A @ rng.standard_normal(TERMS + 1) + sigma * rng.standard_normal(len(T))
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [nn(*(t**j for j in range(1, TERMS + 1)))],
        networks={"field": cc.MLP((TERMS, 1))},
    )
    data = cc.Experiment(T, y, ("x",), initial={"x": 0.0}, **options)
    problem = cc.Problem(
        model,
        data,
        loss=loss or cc.LeastSquares(),
        regularisation=cc.L2(strength),
        normalise=False,
    )
    return problem, A, y


def regression(A, y, alpha=1.0, beta=1.0, known=False):
    """MacKay's fixed point for y = A w + noise, by eigenvalues (Neural Computation 4, 1992)."""
    eigenvalues = np.linalg.eigvalsh(A.T @ A)
    for _ in range(500):
        w = np.linalg.solve(beta * A.T @ A + alpha * np.eye(A.shape[1]), beta * A.T @ y)
        gamma = (beta * eigenvalues / (beta * eigenvalues + alpha)).sum()
        alpha = gamma / (w @ w)
        if not known:
            beta = (len(y) - gamma) / np.sum((y - A @ w) ** 2)
    S = np.linalg.inv(beta * A.T @ A + alpha * np.eye(A.shape[1]))
    return alpha, beta, gamma, S


def solved(problem):
    solution = cc.fit(problem, "radau", 5, mesh=6, options={"tol": 1e-12})
    assert solution.success
    lin = Linearised.of(solution, solution.nlp)
    return solution, lin, noise_of(lin)


# ---- the algebra ---------------------------------------------------------------------------------


def test_the_derivative_along_the_rows_is_that_of_a_dense_null_space():
    solution = cc.fit(van_der_pol_neural(regularisation=cc.L2(1e-4)), mesh=8)
    nlp, lin = solution.nlp, Linearised.of(solution, solution.nlp)
    x = solution.result.x
    C = np.asarray(nlp.functions.jacobian(x, nlp.p)[1])
    N = scipy.linalg.null_space(C)
    Z = N @ np.linalg.inv(N[lin.free])  # free coordinates
    np.testing.assert_allclose(lin.J, nlp.predictions(x)[1] @ Z, atol=1e-7)
    pick = np.eye(nlp.columns)[nlp.layout.experiments[0].states[5]]
    np.testing.assert_allclose(lin.rows(scipy.sparse.csr_array(pick)), pick @ Z, atol=1e-8)
    W = np.zeros(nlp.columns)
    W[nlp.layout.weights] = lin.strength
    H = lin.J.T @ (lin.precision[:, None] * lin.J) + Z.T @ (W[:, None] * Z)
    np.testing.assert_allclose(
        lin.inverse_root @ lin.inverse_root.T, np.linalg.inv(H), rtol=1e-5, atol=1e-9
    )


def test_leverages_are_the_effective_parameters():
    _, lin, noise = solved(linear()[0])
    H = lin.J.T @ (lin.precision[:, None] * lin.J)
    S = np.linalg.inv(H + lin.strength * np.eye(len(H)))
    assert lin.leverage.sum() == pytest.approx(np.trace(S @ H), rel=1e-8)
    assert noise.freedom.sum() == pytest.approx(41 - np.trace(S @ H), rel=1e-8)


# ---- Bayesian linear regression ------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("sigma", [None, 0.05])
def test_the_evidence_is_that_of_linear_regression_wherever_it_starts(strength, sigma):
    problem, A, y = linear(loss=cc.LeastSquares(sigma), strength=strength)
    solution, lin, noise = solved(problem)
    s = sigma or problem.spread["x"]
    alpha, beta, gamma, S = regression(A / s, y / s, known=sigma is not None)
    found = most_probable(lin, solution.model.theta, noise)
    assert found.alpha == pytest.approx(alpha, rel=0.02)
    assert found.variance[0] == pytest.approx(1.0 / beta, rel=0.01)
    assert found.effective == pytest.approx(gamma, rel=0.01)
    assert found.strength == pytest.approx(alpha / (beta * 41), rel=0.02)
    # at that strength the covariance is the posterior's
    problem, *_ = linear(loss=cc.LeastSquares(sigma), strength=found.strength)
    trust = cc.uncertainty(solved(problem)[0])
    order = [trust.names.index(n) for n in (*(f"field.W1[0,{j}]" for j in range(7)), "field.b1[0]")]
    np.testing.assert_allclose(
        np.sqrt(np.diag(trust.covariance)[order]), np.sqrt(np.diag(S)), rtol=0.03
    )


def test_the_bias_of_a_strong_penalty_is_in_the_covariance():
    """H⁻¹ (β H_D + (α²/α_ev) 1) H⁻¹, not H⁻¹ (MacKay's S) nor H⁻¹ β H_D H⁻¹ (no bias)."""
    problem, A, y = linear(strength=3e-2)
    s = problem.spread["x"]
    ev, beta, *_ = regression(A / s, y / s)
    alpha = 3e-2 * 41 * beta
    B = beta * (A / s).T @ (A / s)
    H = np.linalg.inv(B + alpha * np.eye(8))
    expected = H @ (B + alpha**2 / ev * np.eye(8)) @ H
    solution, _, noise = solved(problem)
    trust = cc.uncertainty(solution)
    order = [trust.names.index(n) for n in (*(f"field.W1[0,{j}]" for j in range(7)), "field.b1[0]")]
    scale = noise.variance[0] * beta  # the noise of the biased fit itself is a little larger
    assert 1.0 < scale < 3.0
    found = np.diag(trust.covariance)[order]
    np.testing.assert_allclose(found, np.diag(expected), rtol=0.1)
    assert (found > 2.0 * np.diag(H)).any()
