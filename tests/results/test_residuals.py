"""Residuals and the test whether they are white."""

import numpy as np
import pandas as pd
import pytest

import collocode as cc

T = np.linspace(0.0, 10.0, 101)


def constants(**columns):
    """ẋ = 0 for every column: the residuals are the data minus a constant."""
    data = cc.Experiment(T, np.column_stack(list(columns.values())), tuple(columns), name="run")
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x[k] for k in range(len(columns))])
    return cc.fit(cc.Problem(dynamics, data), mesh=5)


def noise(seed, n=101):
    return np.random.default_rng(seed).standard_normal(n)


def test_residuals_are_data_minus_model():
    y = 3.0 + noise(0)
    y[[4, 50]] = np.nan
    table = cc.residuals(constants(x=y))
    assert list(table.columns) == ["experiment", "output", "time", "measured", "model", "residual"]
    assert len(table) == 99
    assert not np.isin(T[[4, 50]], table["time"]).any()
    np.testing.assert_allclose(table["measured"] - table["model"], table["residual"])
    np.testing.assert_allclose(table["model"], np.nanmean(y), atol=1e-6)


def test_collocated_residuals_on_request():
    solution = constants(x=noise(0))
    simulated, collocated = cc.residuals(solution), cc.residuals(solution, simulated=False)
    np.testing.assert_allclose(simulated["residual"], collocated["residual"], atol=1e-7)


def test_white_noise_passes_and_a_sine_fails():
    solution = constants(white=noise(1), sine=np.sin(2.0 * T) + 0.3 * noise(2))
    table = cc.whiteness(solution)
    white, sine = table.loc[("run", "white")], table.loc[("run", "sine")]
    assert white["white"]
    assert not sine["white"]
    assert white["samples"] == 101
    assert white["rms"] == pytest.approx(np.std(noise(1)), rel=1e-6)
    assert abs(white["bias"]) < 1e-6
    assert abs(white["lag_one"]) < 0.2
    assert sine["lag_one"] > 0.7
    assert sine["p_value"] < 1e-6


def test_white_noise_is_called_white_in_about_95_percent():
    columns = {f"x{k}": noise(k) for k in range(100)}
    share = cc.whiteness(constants(**columns))["white"].mean()
    assert 0.88 <= share <= 1.0


def test_what_a_fit_takes_from_the_correlation_is_no_pattern():
    """Residuals of white noise after a fit of four numbers to 12 data: p alone would refuse a fifth."""
    t = np.linspace(-1.0, 1.0, 12)
    Q, _ = np.linalg.qr(np.vander(t, 4))
    verdicts = []
    for seed in range(60):
        e = noise(seed, 12)
        y = np.full(101, np.nan)
        y[::9] = e - Q @ (Q.T @ e)
        verdicts.append(y)
    table = cc.whiteness(constants(**{f"x{k}": y for k, y in enumerate(verdicts)}))
    assert (table["p_value"] <= 0.05).mean() > 0.12
    assert (~table["white"].fillna(True)).mean() < 0.08


def test_the_statistic_is_that_of_ljung_and_box():
    from scipy.stats import chi2

    y = noise(3)
    r = y - y.mean()
    rho = np.array([r[k:] @ r[:-k] / (r @ r) for k in range(1, 6)])
    Q = 101 * 103 * np.sum(rho**2 / (101 - np.arange(1, 6)))
    row = cc.whiteness(constants(x=y), lags=5).iloc[0]
    assert row["p_value"] == pytest.approx(chi2.sf(Q, 5), rel=1e-4)


def test_missing_samples_leave_the_others_as_they_are():
    y = noise(1)
    y[::7] = np.nan
    assert cc.whiteness(constants(x=y)).iloc[0]["samples"] == np.isfinite(y).sum()


def test_a_few_residuals_cannot_be_called_white():
    few = cc.whiteness(constants(x=np.where(np.arange(101) % 7 == 0, noise(1), np.nan))).iloc[0]
    assert few["samples"] == 15
    assert few["p_value"] > 0.05
    assert few["white"] is pd.NA
    told = cc.whiteness(constants(x=np.where(np.arange(101) % 7 == 0, np.sin(T), np.nan))).iloc[0]
    assert not told["white"]  # that much even fifteen tell


def test_every_residual_counts_in_units_of_its_own_noise():
    """A slow wave in the good half of the samples does not drown in the noise of the bad half."""
    sigma = np.where(np.arange(101) % 2 == 0, 0.1, 10.0)
    y = 0.4 * np.sin(T) + sigma * noise(4)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x])
    known, weighted, blind = (
        cc.whiteness(cc.fit(cc.Problem(dynamics, cc.Experiment(T, y, ("x",), **told)), mesh=5))
        for told in ({"sigma": sigma}, {"weights": 1.0 / sigma[:, None] ** 2}, {})
    )
    assert known["p_value"].iloc[0] < 1e-3
    assert weighted["p_value"].iloc[0] == pytest.approx(known["p_value"].iloc[0], rel=1e-3)
    assert blind["p_value"].iloc[0] > 0.05


def test_rms_and_bias_are_those_of_data_minus_model():
    y = np.exp(-0.7 * T) + 0.3 + 0.1 * noise(5)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.7, 0.7, 0.7)]
    )
    data = cc.Experiment(T, y, ("c",), name="run", initial={"c": 1.0})
    row = cc.whiteness(cc.fit(cc.Problem(model, data), mesh=30)).loc[("run", "c")]
    r = y - np.exp(-0.7 * T)
    assert row["bias"] == pytest.approx(r.mean(), rel=1e-5)
    assert row["rms"] == pytest.approx(np.sqrt(np.mean(r**2)), rel=1e-5)
