"""Runs of different noise: intervals by the noise of each run where they differ, against lines by SciPy."""

import numpy as np
from scipy import stats

import collocode as cc

COUNT = 4  # data of a run, for two unknowns
T = np.linspace(0.0, 1.0, COUNT)


def slopes(spreads, seed):
    """Runs of a line each, their intervals and what SciPy says of each."""
    rng = np.random.default_rng(seed)
    data = [1.0 + 2.0 * T + s * rng.standard_normal(COUNT) for s in spreads]
    line = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k + 0.0 * x.x],
        parameters=[cc.Parameter("k", 1.0, per_experiment=True)],
    )
    runs = [cc.Experiment(T, y, ("x",), name=f"r{j}") for j, y in enumerate(data)]
    trust = cc.uncertainty(cc.fit(cc.Problem(line, runs), mesh=1, start="gradient_matching"))
    table = trust.intervals(names=[f"k[r{j}]" for j in range(len(data))])
    return table["upper"] - table["estimate"], [stats.linregress(T, y) for y in data]


def half_width(variance, freedom):
    return stats.t.ppf(0.975, freedom) * np.sqrt(variance / np.sum((T - T.mean()) ** 2))


def test_one_loud_run_of_many_has_its_own_noise_and_the_others_that_of_all():
    """By an F test at a quarter, of twice the others' variance; Bartlett's of all finds nothing here."""
    half, known = slopes([0.1] * 5 + [0.25] + [0.1] * 4, seed=7)
    variance = np.array([one.stderr**2 * np.sum((T - T.mean()) ** 2) for one in known])
    assert stats.bartlett(*[[-(v**0.5), 0.0, v**0.5] for v in variance]).pvalue > 0.25
    ratio = 9.0 * variance / (variance.sum() - variance)
    loud = (stats.f.sf(ratio, 2, 18) < 0.25) & (ratio > 2.0)
    assert loud[5]
    assert not loud.all()
    np.testing.assert_allclose(half[loud], half_width(variance[loud], 2), rtol=1e-4)
    np.testing.assert_allclose(half[~loud], half_width(variance.mean(), 20), rtol=1e-4)


def test_runs_that_bartletts_test_tells_apart_have_a_noise_each():
    half, known = slopes([0.02, 0.1, 0.5, 0.02], seed=0)
    variance = np.array([one.stderr**2 * np.sum((T - T.mean()) ** 2) for one in known])
    np.testing.assert_allclose(half, half_width(variance, 2), rtol=1e-4)
