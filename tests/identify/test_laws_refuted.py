"""Data that scatter more than the law that was given has it: counts by Pearson's χ², a σ by its residuals."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import linregress

import collocode as cc

T = np.linspace(0.0, 1.0, 20)


def decay_of(mean, rng, scatter=0.0):
    """Counts of a decay from a known state, and their fit."""
    mean = mean * np.exp(-0.7 * T)
    mean = mean * rng.gamma(1.0 / scatter, scatter, len(T)) if scatter else mean
    counts = rng.poisson(mean).astype(float)
    rate = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.n], parameters=[cc.Parameter("k", 1.0, 0.0, 9.0)]
    )
    run = cc.Experiment(T, counts, ("n",), initial={"n": cc.fixed(40.0)})
    problem = cc.Problem(rate, run, loss=cc.Poisson())
    return counts, cc.fit(problem, mesh=2, start="gradient_matching")


def test_counts_that_scatter_more_than_poissons_are_told_by_pearsons_factor():
    counts, solution = decay_of(40.0, np.random.default_rng(0), 0.1)

    def mean(k):
        return 40.0 * np.exp(-k * T)

    best = minimize_scalar(
        lambda k: float(np.sum(mean(k) - counts * np.log(mean(k)))),
        bounds=(0.1, 3),
        method="bounded",
    ).x
    pearson = np.sum((counts - mean(best)) ** 2 / mean(best)) / (len(T) - 1)
    assert cc.uncertainty(solution).scatter["n"] == pytest.approx(pearson, rel=1e-3)
    found = {f.code: f for f in cc.findings(solution)}
    assert "NegativeBinomial" in found["counts-scatter"].remedy


def test_counts_of_poissons_law_are_not():
    fits = [decay_of(40.0, np.random.default_rng(seed))[1] for seed in range(10)]
    assert not any(cc.uncertainty(solution).scatter for solution in fits)


@pytest.mark.parametrize("loss", [cc.LeastSquares(0.01), cc.Normal(0.01)])
def test_a_sigma_that_residuals_refute_is_scaled_by_them(loss):
    y = 0.5 + 2.0 * T + 0.1 * np.random.default_rng(0).standard_normal(len(T))
    line = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k + 0.0 * x.x], parameters=[cc.Parameter("k", 1.0)]
    )
    problem = cc.Problem(line, cc.Experiment(T, y, ("x",)), loss=loss)
    trust = cc.uncertainty(cc.fit(problem, mesh=1, start="gradient_matching"))
    assert trust.intervals().loc["k", "std"] == pytest.approx(linregress(T, y).stderr, rel=1e-4)
    assert set(trust.refuted) == {"x"}


def test_a_sigma_that_is_too_small_but_not_beyond_doubt_is_told():
    """Twenty residuals one and a half times as large as σ: χ² of 18 is 40, which chance is in 2 of 1000."""
    X = np.column_stack([np.ones_like(T), T])
    noise = np.random.default_rng(0).standard_normal(len(T))
    noise -= X @ np.linalg.lstsq(X, noise, rcond=None)[0]
    noise *= 0.1 * np.sqrt((len(T) - 2) / np.sum(noise**2))  # s is 0.1
    line = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k + 0.0 * x.x], parameters=[cc.Parameter("k", 1.0)]
    )
    for sigma, told in ((0.1 / 1.5, True), (0.1, False)):
        run = cc.Experiment(T, 0.5 + 2.0 * T + noise, ("x",))
        problem = cc.Problem(line, run, loss=cc.LeastSquares(sigma))
        solution = cc.fit(problem, mesh=1, start="gradient_matching")
        trust = cc.uncertainty(solution)
        assert not trust.refuted
        assert trust.scatter == ({"x": pytest.approx(2.25, rel=1e-3)} if told else {})
        found = {f.code: f for f in cc.findings(solution)}
        assert ("sigma-contradicted" in found) == told
        assert not told or "0.1" in found["sigma-contradicted"].remedy
