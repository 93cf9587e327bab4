"""Noise that a likelihood estimates, by output: intervals against closed forms of linear models."""

import numpy as np
import pytest
from scipy.stats import chi2, linregress
from scipy.stats import t as student

import collocode as cc


def _lines(loss, shared, counts=(12, 5), noise=(0.02, 0.1)):
    """Two lines, of which the second is measured at fewer times: their fit, and (t, y) of both."""
    names = ["k"] if shared else ["k_a", "k_b"]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [
            getattr(p, names[0]) + 0.0 * x.a,
            getattr(p, names[-1]) + 0.0 * x.b,
        ],
        parameters=[cc.Parameter(name, 1.0) for name in names],
    )
    t, rng = np.linspace(0.0, 1.0, counts[0]), np.random.default_rng(4)
    y = np.column_stack([0.5 + 2.0 * t, 1.0 + 2.0 * t])
    y += np.array(noise) * rng.standard_normal(y.shape)
    kept = np.isin(np.arange(len(t)), np.linspace(0, len(t) - 1, counts[1]).astype(int))
    y[~kept, 1] = np.nan
    problem = cc.Problem(dynamics, cc.Experiment(t, y, ("a", "b")), loss=loss)
    return cc.fit(problem, mesh=2, start="gradient_matching"), [(t, y[:, 0]), (t[kept], y[kept, 1])]


def test_outputs_of_their_own_noise_have_intervals_of_ordinary_least_squares():
    """Each line apart: its own residuals, its own degrees of freedom, Student's t and χ² exactly."""
    solution, data = _lines(cc.Normal(), shared=False)
    trust = cc.uncertainty(solution)
    table = trust.intervals()
    for name, (t, y) in zip("ab", data, strict=True):
        line = linregress(t, y)
        half = student.ppf(0.975, len(t) - 2) * line.stderr
        found = table.loc[f"k_{name}", ["lower", "upper"]].tolist()
        assert found == pytest.approx([line.slope - half, line.slope + half], rel=1e-4)
        squares = np.sum((line.intercept + line.slope * t - y) ** 2)
        ends = np.sqrt(squares / chi2.ppf([0.975, 0.025], len(t) - 2))
        found = table.loc[f"sigma_{name}", ["lower", "upper"]].tolist()
        assert found == pytest.approx(ends.tolist(), rel=1e-3)
        low, high = trust.band([0.4], noise=True)
        width = 1.0 + 1.0 / len(t) + (0.4 - t.mean()) ** 2 / np.sum((t - t.mean()) ** 2)
        half = student.ppf(0.975, len(t) - 2) * np.sqrt(squares / (len(t) - 2) * width)
        j = "ab".index(name)
        assert 0.5 * (high - low)[0, j] == pytest.approx(half, rel=1e-3)


def test_what_two_outputs_tell_together_is_as_uncertain_as_their_weights_are():
    """A common slope: variance and degrees of freedom by Kenward and Roger, written out for two groups."""
    solution, data = _lines(cc.Normal(), shared=True, counts=(9, 9), noise=(0.05, 0.1))
    row = cc.uncertainty(solution).intervals().loc["k"]
    X = [
        np.column_stack([np.eye(2)[j][None].repeat(len(t), 0), t]) for j, (t, _) in enumerate(data)
    ]
    ml = [solution.parameters[f"sigma_{name}"] ** 2 for name in "ab"]
    H = np.linalg.inv(sum(x.T @ x / v for x, v in zip(X, ml, strict=True)))
    used = [np.trace(H @ x.T @ x) / v for x, v in zip(X, ml, strict=True)]
    left = [len(x) - u for x, u in zip(X, used, strict=True)]
    v = [m * len(x) / f for m, x, f in zip(ml, X, left, strict=True)]
    parts = [H @ x.T @ x @ H * now / m**2 for x, m, now in zip(X, ml, v, strict=True)]
    P = [x.T @ x / now for x, now in zip(X, v, strict=True)]
    Phi = np.linalg.inv(P[0] + P[1])
    Lambda = sum(2.0 / f * (p - p @ Phi @ p) for p, f in zip(P, left, strict=True))
    variance = (parts[0] + parts[1] + 2.0 * Phi @ Lambda @ Phi)[2, 2]
    freedom = variance**2 / sum(p[2, 2] ** 2 / f for p, f in zip(parts, left, strict=True))
    assert row["std"] == pytest.approx(np.sqrt(variance), rel=1e-4)
    half = student.ppf(0.975, freedom) * np.sqrt(variance)
    assert 0.5 * (row["upper"] - row["lower"]) == pytest.approx(half, rel=1e-4)


def test_a_datum_that_is_censored_tells_less_of_the_noise():
    """Five of twelve are below the limit: sigma is told by hardly more than those above."""
    t = np.linspace(0.0, 3.0, 12)
    y = 20.0 * np.exp(-0.7 * t) + np.random.default_rng(0).standard_normal(12)
    below = y < 7.0
    widths = {}
    for name, flags in (("all", None), ("half", np.where(below, -1.0, 0.0)[:, None])):
        data = cc.Experiment(
            t, y if flags is None else np.where(below, 7.0, y), ("c",), censored=flags
        )
        decay = cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)]
        )
        solution = cc.fit(
            cc.Problem(decay, data, loss=cc.Normal()), mesh=8, start="gradient_matching"
        )
        row = cc.uncertainty(solution).intervals().loc["sigma_c"]
        widths[name] = row["upper"] / row["lower"]
    assert below.sum() >= 5
    tails = chi2.ppf([0.975, 0.025], 10)
    assert widths["all"] == pytest.approx(np.sqrt(tails[0] / tails[1]), rel=1e-3)
    tails = chi2.ppf([0.975, 0.025], (~below).sum() - 1)
    assert widths["half"] > np.sqrt(tails[0] / tails[1])
