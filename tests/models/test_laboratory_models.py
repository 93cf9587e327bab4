"""Models of what laboratories measure, against the literature and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import collocode as cc
from models import dead_time, influenza, theophylline


def concentration(logs, t, dose):
    ka, CL, V = np.exp(logs)
    ke = CL / V
    late = np.maximum(t, 0.0)
    return dose / V * ka / (ka - ke) * (np.exp(-ke * late) - np.exp(-ka * late))


@pytest.mark.slow
def test_theophylline_of_twelve_subjects_is_the_closed_forms_optimum():
    solution = cc.fit(theophylline.problem())
    table = pd.read_csv(theophylline.DATA)
    found = solution.parameters
    logs = np.log([[found[f"{k}[subject {n}]"] for k in ("ka", "CL", "V")] for n in range(1, 13)])

    def cost(z):
        total = 0.0
        for row, (_, part) in zip(z[:-2].reshape(12, 3), table.groupby("subject"), strict=True):
            h = concentration(row, part["time"].to_numpy(), np.nanmax(part["dose"]))
            law = stats.norm(h, np.exp(z[-2]) + np.exp(z[-1]) * h)
            total -= law.logpdf(part["concentration"]).sum()
        return total

    z = np.append(logs.ravel(), np.log([found["a"], found["b"]]))
    best = optimize.minimize(cost, z, method="L-BFGS-B", options={"maxfun": 100_000})
    score = cc.likelihood(solution)
    assert score.minus_log == pytest.approx(best.fun, rel=1e-3)
    assert cost(z) - best.fun < 0.01
    assert score.parameters == 38
    np.testing.assert_allclose(np.exp(logs.mean(axis=0)), [1.5, 0.040, 0.46], rtol=0.06)


@pytest.mark.slow
def test_influenza_spreads_as_in_the_literature_and_poisson_is_too_sure():
    trust = {
        law: cc.uncertainty(cc.fit(influenza.problem(law))).intervals()
        for law in ("negative_binomial", "poisson")
    }
    wide, narrow = trust["negative_binomial"], trust["poisson"]
    assert wide["estimate"]["beta"] == pytest.approx(1.73, abs=0.05)
    assert wide["estimate"]["gamma"] == pytest.approx(0.54, abs=0.03)
    assert narrow["std"]["beta"] < 0.5 * wide["std"]["beta"]


@pytest.mark.slow
def test_the_dead_time_is_within_its_interval():
    solution = cc.fit(dead_time.problem())
    table = cc.uncertainty(solution).intervals()
    for name, true in (("K", 2.0), ("tau", 20.0), ("theta", 15.0)):
        assert abs(table["estimate"][name] - true) < 3.0 * table["std"][name]
    assert table["std"]["theta"] < 0.2
