"""Fits by likelihoods against SciPy's optimum on the closed form c = A exp(-k t)."""

import numpy as np
import pytest
from scipy import optimize, stats

import collocode as cc
from collocode import Dynamics, Experiment, Parameter, Problem

TIMES = np.linspace(0.0, 3.0, 31)
MEAN = 20.0 * np.exp(-0.7 * TIMES)


def decay(*more):
    rates = [
        Parameter("k", 0.3, 1e-4, 1e2, scale="log10"),
        Parameter("A", 10.0, scale="log"),
        *more,
    ]
    return Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=rates)


def fitted(loss, y, *more, **given):
    run = Experiment(TIMES, y, ("c",), initial={"c": "A"}, **given)
    problem = Problem(decay(), run, loss=loss, parameters=more, bounds={"c": (1e-6, np.inf)})
    return cc.fit(problem, mesh=8)


def best_of(cost, start):
    first = optimize.minimize(cost, start, method="Powell")
    return optimize.minimize(cost, first.x, method="BFGS", options={"gtol": 1e-6})


def curve(z):
    return np.exp(z[1]) * np.exp(-np.exp(z[0]) * TIMES)


RNG = np.random.default_rng(3)
NORMAL = RNG.standard_normal(31)
CASES = {
    "normal": (cc.Normal(), MEAN + 0.5 * NORMAL, lambda h, s: stats.norm(h, s).logpdf),
    "lognormal": (
        cc.LogNormal(base="10"),
        MEAN * 10.0 ** (0.1 * NORMAL),
        lambda h, s: stats.lognorm(s * np.log(10.0), scale=h).logpdf,
    ),
    "student": (
        cc.Student(),
        MEAN + 0.5 * RNG.standard_t(4.0, 31),
        lambda h, s: stats.t(4.0, h, s).logpdf,
    ),
    "poisson": (
        cc.Poisson(),
        RNG.poisson(MEAN).astype(float),
        lambda h, s: stats.poisson(h).logpmf,
    ),
    "negative binomial": (
        cc.NegativeBinomial(),
        RNG.negative_binomial(5.0, 1.0 / (1.0 + 0.2 * MEAN)).astype(float),
        lambda h, s: stats.nbinom(1.0 / s, 1.0 / (1.0 + s * h)).logpmf,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_minus_log_l_are_those_of_scipy(name):
    loss, y, law = CASES[name]
    solution = fitted(loss, y)
    size = 2 if name == "poisson" else 3

    def cost(z):
        return -np.sum(law(curve(z), np.exp(z[2]) if size == 3 else 1.0)(y))

    best = best_of(cost, [-0.4, 3.0, -1.0][:size])
    found = np.array(list(solution.parameters.values()))
    np.testing.assert_allclose(found, np.exp(best.x), rtol=1e-3)
    assert 0.5 * len(y) * solution.result.objective == pytest.approx(best.fun, rel=1e-5)
    score = cc.likelihood(solution)
    assert score.minus_log == pytest.approx(best.fun, rel=1e-5)
    assert (score.parameters, score.data) == (size, 31)
    assert score.bic == pytest.approx(2.0 * best.fun + size * np.log(31.0), rel=1e-5)
    at_best = dict(zip(solution.parameters, np.exp(best.x), strict=True))
    problem = solution.nlp.problem
    assert cc.minus_log_likelihood(problem, at_best) == pytest.approx(best.fun, rel=1e-7)
    bend = optimize.approx_fprime(
        best.x, lambda z: optimize.approx_fprime(z, cost, 1e-5), 1e-4
    ).reshape(size, size)
    std = np.exp(best.x) * np.sqrt(np.diag(np.linalg.inv(bend)))
    np.testing.assert_allclose(cc.uncertainty(solution).intervals()["std"], std, rtol=0.2)
    assert cc.whiteness(solution)["p_value"].iloc[0] > 1e-3


def test_noise_that_grows_with_the_signal_has_both_its_parts_estimated():
    y = MEAN + (0.5 + 0.05 * MEAN) * np.random.default_rng(7).standard_normal(31)
    parts = [Parameter(name, 0.1, scale="log") for name in "ab"]
    solution = fitted(cc.Normal(("a", "b")), y, *parts)

    def cost(z):
        h = curve(z)
        return -np.sum(stats.norm(h, np.exp(z[2]) + np.exp(z[3]) * h).logpdf(y))

    best = best_of(cost, [-0.4, 3.0, -2.0, -2.0])
    np.testing.assert_allclose([*solution.parameters.values()], np.exp(best.x), rtol=1e-3)
    same = fitted(cc.Normal(lambda h, x, u, p: p.a + p.b * h), y, *parts)
    np.testing.assert_allclose(
        [*same.parameters.values()], [*solution.parameters.values()], rtol=1e-6
    )


def test_a_laplace_fit_is_within_a_fraction_of_its_error_of_the_median_regression():
    y = MEAN + np.random.default_rng(4).laplace(0.0, 0.5, 31)
    solution = fitted(cc.Laplace(0.5), y)
    options = {"xatol": 1e-9, "fatol": 1e-11}
    best = optimize.minimize(
        lambda z: np.abs(curve(z) - y).sum(), [-0.4, 3.0], method="Nelder-Mead", options=options
    )
    std = cc.uncertainty(solution).intervals()["std"]
    error = (np.array([*solution.parameters.values()]) - np.exp(best.x)) / std
    assert (np.abs(error) < 0.2).all()


def test_what_lies_below_the_limit_of_detection_is_no_datum_but_is_no_nothing_either():
    y = MEAN + 1.0 * NORMAL
    below = y < 4.0
    seen = np.where(below, 4.0, y)
    solution = fitted(cc.Normal(), seen, censored=np.where(below, -1.0, 0.0))

    def cost(z):
        law = stats.norm(curve(z), np.exp(z[2]))
        return -np.sum(np.where(below, law.logcdf(4.0), law.logpdf(seen)))

    best = best_of(cost, [-0.4, 3.0, 0.0])
    np.testing.assert_allclose([*solution.parameters.values()], np.exp(best.x), rtol=1e-4)
    bend = optimize.approx_fprime(
        best.x, lambda z: optimize.approx_fprime(z, cost, 1e-5), 1e-4
    ).reshape(3, 3)
    std = np.exp(best.x) * np.sqrt(np.diag(np.linalg.inv(bend)))
    trust = cc.uncertainty(solution)
    np.testing.assert_allclose(trust.intervals()["std"], std, rtol=0.15)
    # beyond the limit a prediction misses nothing, so what is missed is the noise and not the tail
    missed = seen - np.where(below, np.maximum(curve(best.x), 4.0), curve(best.x))
    np.testing.assert_allclose(cc.residuals(solution)["residual"], missed, atol=1e-3)
    assert solution.score()[0].simulated == pytest.approx(np.mean(missed**2), rel=1e-3)
    assert cc.whiteness(solution)["rms"].iloc[0] == pytest.approx(
        np.sqrt(np.mean(missed**2)), rel=1e-3
    )
    left = np.sum(missed[~below] ** 2) / (np.sum(~below) - 2.0)
    assert trust.noise["c"] == pytest.approx(np.sqrt(left), rel=0.05)


def test_where_an_output_was_not_measured_it_may_be_nothing():
    chain = Dynamics(
        lambda t, x, u, p, nn: {"a": -p.k * x.a, "b": p.k * x.a - p.q * x.b},
        parameters=[Parameter("k", 0.4), Parameter("q", 0.2)],
    )
    t, rng = np.linspace(0.0, 4.0, 21), np.random.default_rng(0)

    def means(k, q):
        return 2.0 * np.exp(-k * t), 2.0 * k / (q - k) * (np.exp(-k * t) - np.exp(-q * t))

    a, b = means(0.5, 0.2)
    a, b = a * np.exp(0.1 * rng.standard_normal(21)), b * np.exp(0.1 * rng.standard_normal(21))
    nowhere, law = np.full(21, np.nan), {"a": cc.Normal(), "b": cc.LogNormal()}
    begun = {"outputs": ("a", "b"), "initial": {"a": 2.0, "b": 0.0}}
    runs = [
        Experiment(t, np.column_stack([a, nowhere]), name="one", **begun),
        Experiment(t[1:], np.column_stack([nowhere, b])[1:], name="two", start=0.0, **begun),
    ]
    solution = cc.fit(Problem(chain, runs, loss=law), mesh=20)

    def cost(z):
        first, later = means(*z[:2])
        measured_a = stats.norm(first, np.exp(z[2])).logpdf(a).sum()
        return -measured_a - stats.lognorm(np.exp(z[3]), scale=later[1:]).logpdf(b[1:]).sum()

    how = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000}
    best = optimize.minimize(cost, [0.5, 0.2, -2.0, -2.0], method="Nelder-Mead", options=how)
    expected = [*best.x[:2], *np.exp(best.x[2:])]
    np.testing.assert_allclose([*solution.parameters.values()], expected, rtol=1e-3)
    # neither batch has measured both, so each knows of a noise that only the other one sees
    batches = cc.admm(solution.nlp.problem, settings=cc.FitSettings(mesh=20))
    np.testing.assert_allclose([*batches.solution.parameters.values()], expected, rtol=1e-3)


def test_the_likelihood_of_a_fit_is_that_of_its_parameters_by_their_names():
    decay = Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[
            Parameter("k", 0.4, scale="log"),
            Parameter("A", 2.0, scale="log", per_experiment=True),
        ],
    )
    t = np.linspace(0.0, 4.0, 9)
    runs = [
        Experiment(
            t,
            size * np.exp(-rate * t + 0.1 * np.cos(9.0 * t)),
            ("c",),
            name=name,
            initial={"c": "A"},
            **more,
        )
        for name, size, rate, more in (
            ("one", 3.0, 0.5, {}),
            ("two", 5.0, 0.8, {"parameters": {"k": "fast"}}),
        )
    ]
    problem = Problem(
        decay, runs, loss=cc.LogNormal(0.1), parameters=[Parameter("fast", 0.6, scale="log")]
    )
    solution = cc.fit(problem)
    named = solution.parameters
    assert {*named} == {"k", "fast", "A[one]", "A[two]"}
    expected = sum(
        -stats.lognorm(0.1, scale=named[f"A[{run.name}]"] * np.exp(-named[rate] * t))
        .logpdf(run.values[:, 0])
        .sum()
        for run, rate in zip(runs, ("k", "fast"), strict=True)
    )
    assert cc.minus_log_likelihood(problem, named) == pytest.approx(expected, rel=1e-6)
    # consensus ADMM, since initial states are rows: a batch that has no k of its own follows the other's
    batches = cc.admm(problem, settings=cc.FitSettings(mesh=10))
    found = [*batches.solution.parameters.values()]
    np.testing.assert_allclose(found, [*named.values()], rtol=0.05)


def test_every_output_has_a_law_and_every_datum_a_sigma_of_its_own(tmp_path):
    twice = Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c],
        parameters=[Parameter("k", 0.3, scale="log"), Parameter("A", 10.0, scale="log")],
    )
    sigma = np.column_stack([np.linspace(0.3, 0.8, 31), np.full(31, np.nan)])
    counts = np.random.default_rng(5).poisson(3.0 * MEAN)
    data = np.column_stack([MEAN + sigma[:, 0] * NORMAL, counts])
    run = Experiment(TIMES, data, ("level", "count"), sigma=sigma, initial={"c": "A"})
    problem = Problem(
        twice,
        run,
        states=("c",),
        observe=lambda x, u, p: {"level": x.c, "count": 3.0 * x.c},
        loss={"count": cc.Poisson(), "level": cc.Normal()},
    )
    solution = cc.fit(problem, mesh=8)
    assert list(solution.parameters) == ["k", "A"]

    def cost(z):
        h = curve(z)
        return -np.sum(stats.norm(h, sigma[:, 0]).logpdf(data[:, 0])) - np.sum(
            stats.poisson(3.0 * h).logpmf(counts)
        )

    best = best_of(cost, [-0.4, 3.0])
    np.testing.assert_allclose([*solution.parameters.values()], np.exp(best.x), rtol=1e-5)
    assert 31.0 * solution.result.objective == pytest.approx(best.fun, rel=1e-5)
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    np.testing.assert_allclose(again.sigma(0)[:, 0], sigma[:, 0])
    before, after = (cc.whiteness(s)["p_value"] for s in (solution, again))
    np.testing.assert_allclose(after, before, rtol=1e-9)


def test_squares_of_unknown_sigma_are_no_likelihood():
    solution = fitted(cc.LeastSquares(), MEAN + NORMAL)
    with pytest.raises(cc.InputError, match="is no likelihood; give loss=Normal"):
        cc.likelihood(solution)
    with pytest.raises(cc.InputError, match="names 'm', which is no constant parameter"):
        cc.minus_log_likelihood(solution.nlp.problem, {"m": 1.0})
    known = fitted(cc.LeastSquares(1.0), MEAN + NORMAL)
    again = fitted(cc.Normal(1.0), MEAN + NORMAL)
    assert cc.likelihood(known).minus_log == pytest.approx(cc.likelihood(again).minus_log, rel=1e-6)


def test_the_report_tells_minus_log_l_and_the_bootstrap_refuses_other_laws():
    solution = fitted(cc.Poisson(), CASES["poisson"][1])
    told = cc.report(solution)
    score = cc.likelihood(solution)
    assert f"-log L {score.minus_log:.6g}, AIC {score.aic:.6g}" in str(told)
    with pytest.raises(cc.InputError, match="draws normal noise, which does not fit Poisson"):
        cc.bootstrap(solution, refits=2)


@pytest.mark.slow
@pytest.mark.parametrize("censored", [False, True])
def test_intervals_cover_what_made_the_data(censored):
    hit = {"k": 0, "A": 0, "sigma_c": 0}
    for seed in range(200):
        y = MEAN + np.random.default_rng(seed).standard_normal(31)
        below = (y < 4.0) & censored
        given = {"censored": np.where(below, -1.0, 0.0)} if censored else {}
        solution = fitted(cc.Normal(), np.where(below, 4.0, y), **given)
        table = cc.uncertainty(solution).intervals()
        for name, true in (("k", 0.7), ("A", 20.0), ("sigma_c", 1.0)):
            hit[name] += table["lower"][name] <= true <= table["upper"][name]
    assert all(0.90 <= count / 200 <= 0.99 for count in hit.values()), hit


@pytest.mark.parametrize("loss", [cc.LogNormal(0.2), cc.Poisson()])
def test_what_is_not_measured_may_have_no_likelihood(loss):
    """A state that begins at nothing has no logarithm there, which nobody measured."""
    times = np.linspace(0.0, 3.0, 7)
    mass = np.array([np.nan, 2.0, 3.0, 6.0, 7.0, 9.0, 14.0])
    filling = Dynamics(
        lambda t, x, u, p, nn: [p.rate, 0.0], parameters=[Parameter("rate", 1.0, 0.1, 50.0)]
    )
    data = np.column_stack([mass, np.full(7, 4.0)])
    run = Experiment(times, data, ("m", "level"), initial={"m": 0.0, "level": 4.0})
    problem = Problem(filling, run, loss=loss)
    nlp = cc.discretize(problem)
    assert np.isfinite([nlp.objective(nlp.start), *nlp.gradient(nlp.start)]).all()
    found = cc.fit(problem).parameters["rate"]
    poisson = np.nansum(mass) / times.sum()
    geometric = np.exp(np.mean(np.log(mass[1:] / times[1:])))
    wanted = poisson if isinstance(loss, cc.Poisson) else geometric
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_fit_that_scoring_does_not_end_is_solved_by_ipopt():
    """Kinks of Laplace between which scoring went to and fro for 104 iterations; least by the exact sum of |r|."""
    t, rng = np.linspace(0.0, 3.0, 40), np.random.default_rng([33, 1027])
    y = 2.0 * np.exp(-0.7 * t) + 0.05 * rng.laplace(size=40)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    found = cc.fit(cc.Problem(decay, cc.Experiment(t, y, ("c",)), loss=cc.Laplace()))
    assert found.success

    def best(k):
        e = np.exp(-k * t)
        return min(np.abs(y - a * e).sum() for a in y / e)

    assert best(found.parameters["k"]) <= (1.0 + 1e-4) * min(map(best, np.linspace(0.6, 0.8, 401)))
