"""Likelihoods against the densities of SciPy."""

import casadi as ca
import numpy as np
import pytest
from scipy import special, stats

from collocode import (
    MLP,
    Dynamics,
    Evidence,
    Experiment,
    InputError,
    Laplace,
    LeastSquares,
    LogNormal,
    NegativeBinomial,
    NeuralODE,
    Normal,
    Parameter,
    Poisson,
    Problem,
    Student,
)
from collocode.model.activations import CASADI
from collocode.model.special import log_gamma, log_normal_tail

LN10 = np.log(10.0)
LAWS = {
    "normal": (Normal(), lambda h, s: stats.norm(h, s).logpdf),
    "lognormal": (LogNormal(), lambda h, s: stats.lognorm(s, scale=h).logpdf),
    "log10normal": (LogNormal(base="10"), lambda h, s: stats.lognorm(s * LN10, scale=h).logpdf),
    "laplace": (Laplace(), lambda h, s: stats.laplace(h, s).logpdf),
    "student": (Student(freedom=3.0), lambda h, s: stats.t(3.0, h, s).logpdf),
    "poisson": (Poisson(), lambda h, s: stats.poisson(h).logpmf),
    "negative binomial": (
        NegativeBinomial(),
        lambda h, s: stats.nbinom(1.0 / s, 1.0 / (1.0 + s * h)).logpmf,
    ),
}
H, Y, S = np.array([0.5, 4.0, 30.0]), np.array([1.0, 3.0, 41.0]), np.array([0.3, 1.2, 0.02])


@pytest.mark.parametrize("name", LAWS)
def test_costs_are_twice_minus_the_logarithms_of_scipys_densities(name):
    loss, law = LAWS[name]
    expected = -2.0 * law(H, S)(Y)
    np.testing.assert_allclose(loss.cost(H, Y, S), expected, rtol=1e-12)
    symbols = [ca.SX.sym(v, 3) for v in "hys"]
    solver = ca.Function("cost", symbols, [loss.cost(*symbols, CASADI)])(H, Y, S)
    rounded = 2e-2 if name == "laplace" else 1e-12
    np.testing.assert_allclose(np.array(solver).ravel(), expected, rtol=1e-10, atol=rounded)


@pytest.mark.parametrize("name", LAWS)
def test_slopes_and_curvatures_are_derivatives(name):
    loss, step = LAWS[name][0], 1e-4

    def cost(h):
        return loss.cost(h, Y, S)

    slope = (cost(H + step) - cost(H - step)) / (2.0 * step)
    np.testing.assert_allclose(loss.slope(H, Y, S), slope, rtol=1e-4)
    if name != "laplace":  # which has no curvature but at its kink
        bend = (cost(H + step) - 2.0 * cost(H) + cost(H - step)) / step**2
        np.testing.assert_allclose(loss.curvature(H, Y, S), bend, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_the_information_is_the_variance_of_the_score(name):
    loss, rng, h, s, n = LAWS[name][0], np.random.default_rng(0), 4.0, 0.4, 200_000
    draws = {
        "normal": lambda: rng.normal(h, s, n),
        "lognormal": lambda: h * np.exp(s * rng.standard_normal(n)),
        "log10normal": lambda: h * 10.0 ** (s * rng.standard_normal(n)),
        "laplace": lambda: rng.laplace(h, s, n),
        "student": lambda: h + s * rng.standard_t(3.0, n),
        "poisson": lambda: rng.poisson(h, n).astype(float),
        "negative binomial": lambda: rng.negative_binomial(1 / s, 1 / (1 + s * h), n).astype(float),
    }
    y, step = draws[name](), 1e-5

    def score(dh, ds):
        up = loss.minus_log(h + dh, y, s + ds)
        return (up - loss.minus_log(h - dh, y, s - ds)) / (2.0 * step)

    on_h, on_s = (float(v[0]) for v in loss.information(np.array([h]), np.array([s])))
    assert np.var(score(step, 0.0)) == pytest.approx(on_h, rel=0.02)
    assert np.var(score(0.0, step)) == pytest.approx(on_s, rel=0.03, abs=1e-12)
    if name != "student":  # of three degrees of freedom, whose variance hardly settles
        assert np.std(y) == pytest.approx(loss.deviation(np.array([h]), np.array([s]))[0], rel=0.02)
    residual = loss.deviance(np.full(n, h), y, np.full(n, s))
    expected = np.sqrt(2.0) if name == "laplace" else 1.0
    assert np.std(residual) == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("loss", [Normal(), LogNormal(), LogNormal(base="10")])
def test_censored_data_cost_their_tail(loss):
    limit, h, s = np.array([1.0, 5.0]), np.array([2.0, 0.5]), np.array([0.4, 0.5])
    unit = LN10 if loss == LogNormal(base="10") else 1.0
    law = stats.norm(h, s) if loss == Normal() else stats.lognorm(s * unit, scale=h)
    np.testing.assert_allclose(loss.tail(h, limit, s, -1.0), -2.0 * law.logcdf(limit), rtol=1e-10)
    np.testing.assert_allclose(loss.tail(h, limit, s, 1.0), -2.0 * law.logsf(limit), rtol=1e-8)


def test_special_functions_and_their_derivatives_are_scipys():
    z = ca.SX.sym("z")

    def with_derivatives(value):
        first = ca.gradient(value, z)
        return ca.Function("f", [z], [ca.vertcat(value, first, ca.gradient(first, z))])

    tail, gamma = (
        with_derivatives(log_normal_tail(z, CASADI)),
        with_derivatives(log_gamma(z, CASADI)),
    )
    for x in (-3.0, 0.3, 2.99, 3.01, 9.0, 40.0):
        log = special.log_ndtr(-x)
        mills = np.exp(-0.5 * x**2 - 0.5 * np.log(2.0 * np.pi) - log)
        found = np.array(tail(x)).ravel()
        np.testing.assert_allclose(found, [-log, mills, mills**2 - x * mills], rtol=1e-8)
    for x in (0.01, 0.7, 3.0, 250.0):
        expected = [special.gammaln(x), special.digamma(x), special.polygamma(1, x)]
        np.testing.assert_allclose(np.array(gamma(x)).ravel(), expected, rtol=1e-10, atol=1e-12)


def _problem(loss, values=(1.0, 0.5, 0.2), dynamics=None, **given):
    decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    own = {name: given.pop(name, None) for name in ("censored", "weights")}
    data = Experiment([0.0, 1.0, 2.0], values, ("c",), **own)
    return Problem(dynamics or decay, data, loss=loss, **given)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Normal(-1.0), "must be a positive number"),
        (lambda: Normal((0.1, 0.2, 0.3)), "must be a positive number"),
        (lambda: LogNormal(base="2"), "is 'e' or '10'"),
        (lambda: Student(freedom=0.0), "must be positive and finite"),
        (lambda: Normal({"d": 1.0}).spread_of("c"), "no sigma for output 'c'"),
        (lambda: _problem(LogNormal(), (1.0, 0.0, 0.2)), "LogNormal cannot be"),
        (lambda: _problem(Poisson(), (1.0, 0.5, 0.2)), "Poisson cannot be"),
        (lambda: _problem({"d": Normal()}), "output 'c' has no loss"),
        (lambda: _problem({"c": LeastSquares()}), "has to be a likelihood"),
        (lambda: _problem(LeastSquares(), censored=[0, 0, -1]), "censored data need a likelihood"),
        (lambda: _problem(Normal(), censored=[0, 0, 2]), "censored is -1"),
        (lambda: _problem(Normal(), weights=[1.0, 4.0, 9.0]), "for numbers of equal data"),
        (
            lambda: _problem(
                Normal(), dynamics=NeuralODE(MLP((1, 3, 1))), regularisation=Evidence()
            ),
            "the evidence that chooses λ",
        ),
        (lambda: Laplace().tail(1.0, 1.0, 1.0, -1.0), "no Laplace likelihood"),
    ],
)
def test_wrong_likelihoods_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_sigma_that_is_no_parameter_is_refused_when_the_program_is_written():
    from collocode import discretize

    with pytest.raises(InputError, match="'noise', which is no parameter"):
        discretize(_problem(Normal("noise")))
