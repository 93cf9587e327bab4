"""The linearised fit against dense algebra, and its evidence against Bayesian linear regression."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import scipy

import collocode as cc
from collocode.identify.evidence import choose_strength, most_probable
from collocode.identify.linearised import Linearised
from collocode.identify.noise import noise_of
from collocode.solvers.solve import solve_with
from tests.problems import decay, van_der_pol, van_der_pol_data, van_der_pol_neural

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


# ---- fits that choose their λ --------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "least", "most"), [(0.1, 3e-6, 1e-4), (0.01, 3e-8, 1e-6)])
def test_a_fit_finds_its_strength_and_the_noise(noise, least, most):
    data = van_der_pol_data(n=100, end=14.0, begin=(2.0, 0.0))
    clean, size = data.values, data.values.std(axis=0)
    noisy = clean + noise * size * np.random.default_rng(0).standard_normal(clean.shape)
    problem = van_der_pol_neural(
        cc.Experiment(data.times, noisy, data.outputs),
        (2, 12, 2),
        regularisation=cc.Evidence(),
    )
    solution = cc.fit(problem)
    penalty = solution.penalty
    assert solution.success
    assert penalty.chosen
    assert 1 < penalty.solves <= 4
    assert least < penalty.strength < most
    assert 10.0 < penalty.effective < 60.0
    trust = cc.uncertainty(solution)
    assert list(trust.noise.values()) == pytest.approx(noise * size, rel=0.25)
    simulated = solution.simulate().states
    assert np.mean(((simulated - noisy) / (noise * size)) ** 2) < 1.1
    # it is a fixed point: from another start the same fit
    again = cc.fit(replace(problem, regularisation=cc.Evidence(start=3.0 * penalty.strength)))
    known = np.sqrt(2.0 / penalty.effective)  # to which the data tell ln λ
    assert abs(np.log(again.penalty.strength / penalty.strength)) < 2.0 * known


def test_a_strength_that_was_given_stays_and_nothing_is_chosen_without_weights():
    fixed = cc.fit(van_der_pol_neural(regularisation=cc.L2(3e-4)), mesh=15)
    assert (fixed.penalty.strength, fixed.penalty.chosen, fixed.penalty.solves) == (3e-4, False, 1)
    plain = cc.fit(decay(regularisation=cc.Evidence()))
    assert plain.penalty.solves == 1
    assert not plain.penalty.chosen
    assert plain.parameters["k"] == pytest.approx(0.7, abs=1e-6)


def test_what_solves_but_once_takes_the_first_strength():
    problem = van_der_pol_neural(regularisation=cc.Evidence())
    first = problem.penalty.strength
    shares = [(problem.smoothed_noise[n] / problem.spread[n]) ** 2 for n in problem.outputs]
    weak = np.mean(shares) / problem.n_measurements
    assert first == pytest.approx(min(max(1e-4, weak), 10.0 * weak))
    nlp = cc.discretize(problem, mesh=10)
    assert nlp.parameters["regularisation"][0] == first
    own = van_der_pol_neural(regularisation=cc.Evidence(start=1e-3))
    assert cc.discretize(own, mesh=10).parameters["regularisation"][0] == 1e-3


def test_a_fit_that_is_no_optimum_comes_back_as_it_is():
    problem = van_der_pol_neural(regularisation=cc.Evidence())
    solution = cc.fit(problem, mesh=15, options={"max_iter": 2})
    assert not solution.success
    assert solution.penalty.strength == problem.penalty.strength
    assert not solution.penalty.chosen


def test_the_chosen_strength_is_kept_in_the_file(tmp_path):
    solution = cc.fit(van_der_pol_neural(regularisation=cc.Evidence()), mesh=20)
    solution.save(tmp_path / "fit.npz")
    assert cc.load(tmp_path / "fit.npz").penalty == solution.penalty
    assert solution.penalty.chosen


def _oscillator(n=60, end=12.0, mu=1.0, noise=0.05, **more):
    t = np.linspace(0.0, end, n)
    y = scipy.integrate.solve_ivp(
        van_der_pol(mu), (0.0, end), (2.0, 0.0), "LSODA", t, rtol=1e-9
    ).y.T
    size = y.std(axis=0)
    noisy = y + noise * size * np.random.default_rng(1).standard_normal(y.shape)
    experiment = cc.Experiment(t, noisy, outputs=("y1", "y2"))
    return van_der_pol_neural(experiment, (2, 10, 2), **more), noise * size


def test_mesh_and_strength_are_found_together():
    problem, sigma = _oscillator(70, 14.0, 3.0, regularisation=cc.Evidence())
    solution = cc.fit(problem, mesh="auto")
    assert solution.meshing.success
    assert solution.meshing.meshes > 1
    assert solution.penalty.chosen
    # the meshes after the first choice have its λ, too
    assert solution.nlp.parameters["regularisation"][0] == solution.penalty.strength
    assert solution.penalty.strength != problem.penalty.strength
    values = problem.experiments[0].values
    assert np.mean(((solution.simulate().states - values) / sigma) ** 2) < 1.2


def test_a_given_sigma_is_believed():
    plain, sigma = _oscillator(regularisation=cc.Evidence())
    found = cc.fit(plain, mesh=30)
    names = plain.outputs
    told = [
        cc.fit(
            replace(plain, loss=cc.LeastSquares(dict(zip(names, f * sigma, strict=True)))), mesh=30
        )
        for f in (1.0, 5.0)
    ]
    # as precisely as the noise is known from the data, and then as if it were five times as large
    assert told[0].penalty.effective == pytest.approx(found.penalty.effective, rel=0.2)
    assert told[1].penalty.effective < 0.85 * told[0].penalty.effective


def test_a_step_that_fails_is_shortened(monkeypatch):
    problem, _ = _oscillator(regularisation=cc.Evidence(start=1e-2))
    whole = cc.fit(problem, mesh=30)
    tried = []

    def failing(solver, nlp, **how):
        tried.append(float(nlp.parameters["regularisation"][0]))
        solution = solve_with(solver, nlp, **how)
        if len(tried) == 1:
            failed = replace(solution.result, termination=cc.Termination.ITERATION_LIMIT)
            return replace(solution, result=failed)
        return solution

    monkeypatch.setattr("collocode.identify.evidence.solve_with", failing)
    solution = cc.fit(problem, mesh=30)
    assert tried[0] < tried[1] < 1e-2
    assert tried[1] == pytest.approx(np.sqrt(tried[0] * 1e-2))
    assert solution.penalty.chosen
    assert solution.penalty.solves == 1 + len(tried)
    known = np.sqrt(2.0 / whole.penalty.effective)
    assert abs(np.log(solution.penalty.strength / whole.penalty.strength)) < 2.0 * known


def test_an_interrupt_keeps_the_last_optimum():
    problem, _ = _oscillator(regularisation=cc.Evidence(start=1e-2))
    first = cc.fit(replace(problem, regularisation=cc.L2(1e-2)), mesh=30, deterministic=True)

    def stop(progress):
        signal.raise_signal(signal.SIGINT)

    solution = choose_strength(first, ("casadi", None, True), stop)
    assert solution.result.termination is cc.Termination.INTERRUPTED
    np.testing.assert_array_equal(solution.result.x, first.result.x)
    assert not solution.penalty.chosen


@pytest.mark.parametrize("start", [0.0, -1.0, float("inf"), float("nan")])
def test_a_bad_start_is_refused(start):
    with pytest.raises(cc.InputError, match="start of Evidence must be positive and finite"):
        cc.Evidence(start=start)
