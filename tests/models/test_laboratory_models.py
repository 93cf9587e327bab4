"""Models of what laboratories measure, against the literature and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import collocode as cc
from models import dead_time, influenza, leak, sir, theophylline


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


def test_the_leak_opened_when_scipys_least_squares_say():
    problem = leak.problem(hours=6.0)
    solution = cc.fit(problem)
    run = problem.experiments[0]

    def missed(v):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in zip(("VALVE", "LEAK", "OPENED", "FULL"), v, strict=True):
                patch.setattr(leak, name, float(value))
            return leak.level(run.times) - run.values[:, 0]

    found = np.array([*solution.parameters.values(), solution.states(0.0)[0, 0]])
    steps = 1e-5 * np.diag(found)
    J = np.column_stack([(missed(found + h) - missed(found - h)) / (2.0 * h.sum()) for h in steps])
    rest = missed(found)
    covariance = np.linalg.inv(J.T @ J) * (rest @ rest) / (len(rest) - 4)
    more = np.linalg.lstsq(J, -rest)[0]  # what a step of Gauss and Newton would still change
    table = cc.uncertainty(solution).intervals()
    for j, (name, true) in enumerate((("c", 0.2), ("l", 0.1), ("T", 3.7))):
        std = np.sqrt(covariance[j, j])
        assert abs(more[j]) < 0.1 * std
        assert table["std"][name] == pytest.approx(std, rel=0.05)
        assert table["lower"][name] < true < table["upper"][name]


def test_poisson_counts_of_an_epidemic_have_scipys_estimates_and_errors():
    problem = sir.problem()
    solution = cc.fit(problem)
    y, weeks = problem.experiments[0].values[:, 0], problem.experiments[0].times
    found = np.array([solution.parameters[name] for name in ("beta", "seen", "ill")])
    assert cc.likelihood(solution).minus_log == pytest.approx(
        -stats.poisson(sir.expected(weeks, *found)).logpmf(y).sum(), abs=0.01
    )
    steps = 1e-4 * np.diag(found)
    slopes = [sir.expected(weeks, *(found + h)) - sir.expected(weeks, *(found - h)) for h in steps]
    J, mean = np.column_stack(slopes) / (2e-4 * found), sir.expected(weeks, *found)
    information = J.T @ (J / mean[:, None])
    more = np.linalg.solve(information, J.T @ ((y - mean) / mean))  # what a step would still change
    std = np.sqrt(np.diag(np.linalg.inv(information)))
    assert (np.abs(more) < 0.02 * std).all()
    table = cc.uncertainty(solution).intervals()
    for j, (name, true) in enumerate((("beta", 1.8), ("seen", 0.3), ("ill", 5.0))):
        assert table["std"][name] == pytest.approx(std[j], rel=0.05)
        assert table["lower"][name] < true < table["upper"][name]
