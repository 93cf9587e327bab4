"""Scales, priors and bindings of parameters, against SciPy."""

import numpy as np
import pytest
from scipy import stats

from collocode import Dynamics, Experiment, InputError, Parameter, Prior, Problem
from collocode.model.activations import NUMPY
from collocode.model.parameters import SCALES
from collocode.numerics.bases import Legendre

DENSITIES = {
    "normal": stats.norm(0.7, 0.3),
    "laplace": stats.laplace(0.7, 0.3),
    "lognormal": stats.lognorm(0.3, scale=np.exp(0.7)),
    "loglaplace": stats.loglaplace(1.0 / 0.3, scale=np.exp(0.7)),
    "uniform": stats.uniform(0.3, 0.4),
}


@pytest.mark.parametrize("kind", DENSITIES)
def test_a_prior_is_minus_the_logarithm_of_scipys_density(kind):
    prior = Prior(kind, 0.3, 0.7) if kind == "uniform" else Prior(kind, 0.7, 0.3)
    for value in (0.35, 0.6):
        assert prior.cost(value, np.log(value)) == pytest.approx(-DENSITIES[kind].logpdf(value))


@pytest.mark.parametrize("name", SCALES)
def test_scales_invert_and_their_slopes_are_derivatives(name):
    scale, p = SCALES[name], np.array([0.02, 0.5, 0.9])
    z, h = scale.decided(p), 1e-6
    np.testing.assert_allclose(scale.natural(z, NUMPY), p, rtol=1e-12)
    q = Parameter("k", 0.5, scale=name)
    slopes = (q.natural(z + h) - q.natural(z - h)) / (2.0 * h)
    np.testing.assert_allclose(q.slope(z), slopes, rtol=1e-8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["log", "log10"])
def test_an_interval_that_nothing_bounds_ends_at_infinity(name):
    assert Parameter("k", 0.5, scale=name).natural(1e4) == np.inf


def test_a_uniform_prior_is_a_bound_on_its_scale():
    natural = Parameter("k", 0.5, 0.0, 0.9, scale="log10", prior=Prior("uniform", 0.01, 10.0))
    np.testing.assert_allclose(natural.decided_bounds, (-2.0, np.log10(0.9)))
    decided = Prior("uniform", -1.0, 1.0, on="scale")
    assert Parameter("k", 0.5, scale="log10", prior=decided).decided_bounds == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Parameter("k", 0.0, scale="log"), "starts at 0, which has no log"),
        (lambda: Parameter("k", 1.0, scale="lgo"), "unknown scale"),
        (lambda: Parameter("k", 1.0, prior=3.0), "prior"),
        (lambda: Parameter("k", 1.0, scale="log", basis=Legendre(1, (0.0, 1.0))), "varies in time"),
        (lambda: Prior("normal", 0.0, -1.0), "must be positive"),
        (lambda: Prior("normal", np.nan, 1.0), "finite"),
        (lambda: Prior("uniform", 1.0, 0.0), "lower first"),
        (lambda: Prior("gauss", 1.0, 0.0), "unknown kind of prior"),
    ],
)
def test_wrong_parameters_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def _problem(parameters=None, extra=(), **given):
    rates = [Parameter("k", 1.0), Parameter("l", 1.0, scale="log"), *extra]
    decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=rates)
    data = Experiment([0.0, 1.0, 2.0], [1.0, 0.5, 0.2], ("c",), parameters=parameters or {})
    return Problem(decay, data, **given)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: _problem({"m": 1.0}), "names 'm', which is no parameter"),
        (lambda: _problem({"k": "m"}), "names 'm', which is no parameter"),
        (lambda: _problem({"k": "l"}), "of its scale, 'linear'"),
        (lambda: _problem({"l": 0.0}), "which has no log"),
        (lambda: _problem({"o": 1.0}, [Parameter("o", 1.0, per_experiment=True)]), "own"),
        (lambda: _problem(parameters=None, extra=[Parameter("k", 2.0)]), "defined twice"),
        (
            lambda: _problem(extra=[Parameter("o", 1.0, prior=Prior("normal", 1.0, 1.0))]),
            "whose noise nobody tells",
        ),
    ],
)
def test_wrong_bindings_and_priors_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
