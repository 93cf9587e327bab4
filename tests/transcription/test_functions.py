"""f, ∇f, g, J and H of random problems against definitions, finite differences and CasADi's AD."""

import casadi as ca
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transcription.random_problems import cases, reference


def point(nlp, seed=0):
    return np.random.default_rng(seed).normal(size=nlp.columns)


def full(triangle):
    upper = np.asarray(triangle)
    return upper + np.triu(upper, 1).T


@settings(max_examples=30)
@given(cases(), st.integers(0, 100))
def test_objective_and_constraints_are_what_the_definitions_say(case, seed):
    nlp = case.nlp()
    x = point(nlp, seed)
    f, g = reference(case, nlp, x)
    np.testing.assert_allclose(nlp.objective(x), f, rtol=1e-10)
    np.testing.assert_allclose(nlp.constraints(x), g, rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(cases(), st.integers(0, 100))
def test_derivatives_match_finite_differences(case, seed):
    nlp = case.nlp()
    rng = np.random.default_rng(seed)
    x, direction = point(nlp, seed), rng.normal(size=nlp.columns)
    sigma, lam = 0.7, rng.normal(size=nlp.rows)
    functions, p, h = nlp.functions, nlp.p, 1e-6

    def difference(function):
        above, below = function(x + h * direction), function(x - h * direction)
        return (np.asarray(above) - np.asarray(below)).ravel() / (2.0 * h)

    def lagrangian_gradient(z):
        gradient = np.asarray(functions.gradient(z, p)[1]).ravel()
        return sigma * gradient + np.asarray(functions.jacobian(z, p)[1]).T @ lam

    def close(exact, approximate):
        size = max(1.0, np.abs(exact).max(initial=0.0))
        np.testing.assert_allclose(exact, approximate, atol=1e-5 * size)

    gradient = np.asarray(functions.gradient(x, p)[1]).ravel()
    close(np.array([gradient @ direction]), difference(lambda z: [nlp.objective(z)]))
    close(np.asarray(functions.jacobian(x, p)[1]) @ direction, difference(nlp.constraints))
    hessian = full(functions.hessian(x, p, sigma, lam))
    close(hessian @ direction, difference(lagrangian_gradient))


@settings(max_examples=20)
@given(cases(), st.integers(0, 100))
def test_derivatives_and_sparsity_are_casadis_own(case, seed):
    nlp = case.nlp()
    rng = np.random.default_rng(seed)
    x, sigma, lam = point(nlp, seed), 0.7, rng.normal(size=nlp.rows)
    z, mu = ca.SX.sym("z", nlp.columns), ca.SX.sym("mu", nlp.rows)
    p = ca.SX.sym("p", len(nlp.p))  # a symbol: with numbers, zeros in the data would be pruned
    flat_f = nlp.functions.objective.expand()(z, p)
    flat_g = nlp.functions.constraints.expand()(z, p)
    theirs_j = ca.jacobian(flat_g, z)
    theirs_h = ca.triu(ca.hessian(sigma * flat_f + ca.dot(mu, flat_g), z)[0])
    gradient, jacobian, hessian = ca.Function(
        "theirs", [z, p, mu], [ca.gradient(flat_f, z), theirs_j, theirs_h]
    )(x, nlp.p, lam)

    def close(ours, theirs):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        scale = max(1.0, np.abs(theirs).max(initial=0.0))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11 * scale)

    close(nlp.functions.gradient(x, nlp.p)[1], gradient)
    ours_j = nlp.functions.jacobian(x, nlp.p)[1]
    ours_h = nlp.functions.hessian(x, nlp.p, sigma, lam)
    close(ours_j, jacobian)
    close(ours_h, hessian)
    assert ours_j.sparsity() == theirs_j.sparsity()  # neither a nonzero more nor one less
    if nlp.scheme.dense == tuple(range(len(nlp.scheme.nodes))):
        assert ours_h.sparsity() == theirs_h.sparsity()
    else:  # the end of a Gauss element has no part in the interpolant, but may carry a measurement
        assert theirs_h.sparsity().is_subset(ours_h.sparsity())


@settings(max_examples=15)
@given(cases())
def test_gradient_and_jacobian_carry_the_values_too(case):
    nlp = case.nlp()
    x = point(nlp)
    assert float(nlp.functions.gradient(x, nlp.p)[0]) == nlp.objective(x)
    g = np.asarray(nlp.functions.jacobian(x, nlp.p)[0]).ravel()
    np.testing.assert_array_equal(g, nlp.constraints(x))


@settings(max_examples=15)
@given(cases(), st.integers(0, 100))
def test_predictions_are_what_the_misfit_compares(case, seed):
    nlp = case.nlp().with_parameters(regularisation=0.0, prior_weight=0.0)
    x = point(nlp, seed)
    values, jacobian = nlp.predictions(x)
    y, sigma = nlp.parameters["measurements"], nlp.parameters["sigma"]
    misfit = nlp.parameters["weights"] * case.problem.loss.cost(values, y, sigma)
    assert misfit.sum() == pytest.approx(nlp.objective(x), rel=1e-10)
    direction, h = np.random.default_rng(seed + 1).normal(size=nlp.columns), 1e-6
    above, below = (nlp.predictions(x + s * h * direction)[0].ravel() for s in (1.0, -1.0))
    expected = (above - below) / (2.0 * h)
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(jacobian @ direction, expected, atol=1e-5 * size)
