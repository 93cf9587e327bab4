"""When a fit is doubted: against the noise, once, and only where there is a reason."""

from __future__ import annotations

import importlib
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from collocode.errors import quietly
from collocode.results.agreement import Agreement, agreements
from collocode.results.doubts import doubts_of
from tests.cli.small_models import DECAY
from tests.problems import van_der_pol_data, van_der_pol_grey, van_der_pol_neural

GOOD = (
    "van_der_pol",
    "van_der_pol_mu",
    "fitzhugh_nagumo",
    "hudson_bay",
    "cstr",
    "damped_oscillator",
)


def coarse(sigma: float = 0.1) -> cc.Problem:
    return van_der_pol_grey(van_der_pol_data(n=41, sigma=sigma))


@pytest.fixture(scope="module")
def main_job():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return cc.fit(importlib.import_module("models.van_der_pol").problem(), mesh=None)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.filterwarnings("error::collocode.CollocodeWarning")
def test_good_fits_of_our_models_have_no_warning_and_no_finding(name):
    solution = cc.fit(importlib.import_module(f"models.{name}").problem(), mesh=None)
    assert [
        found.code for found in cc.findings(solution) if found.severity is not cc.Severity.NOTE
    ] == []


def test_what_is_found_costs_little(main_job):
    """About a tenth of the fit's time; half of it would mean that something is solved again."""

    def cost(run, what):
        began = time.process_time()
        run(what)
        return time.process_time() - began

    problem = main_job.nlp.problem
    fit = min(cost(cc.fit, problem) for _ in range(2))
    assert min(cost(cc.findings, replace(main_job)) for _ in range(5)) < 0.5 * fit


def test_python_the_report_and_the_command_line_say_the_same(tmp_path):
    model = tmp_path / "decay.py"
    model.write_text(DECAY)
    space: dict = {}
    exec(DECAY, space)
    for kind in ("plain", "twins", "coloured", "contradicted"):
        with quietly():
            solution = cc.fit(space["problem"](kind), mesh=5)
        found = cc.findings(solution)
        assert found == cc.report(solution).findings
        answer = CliRunner().invoke(
            app,
            ["solve", str(model), "--elements", "5", "--set", f"kind={kind}"],
            env={"COLUMNS": "1000"},
        )
        assert answer.stderr.count("warning:") + answer.stderr.count("error:") == sum(
            one.severity is not cc.Severity.NOTE for one in found
        )
        for one in found:
            assert one.text in answer.output
        assert "CollocodeWarning" not in answer.output


def test_the_most_serious_comes_first():
    with pytest.warns(cc.CollocodeWarning):
        solution = cc.fit(coarse(), mesh=4)
    weight = [list(cc.Severity).index(found.severity) for found in cc.findings(solution)]
    assert weight == sorted(weight)
    assert weight[0] == list(cc.Severity).index(cc.Severity.WARNING)


def test_a_gap_counts_by_the_noise_and_not_by_the_states():
    """The same mesh is fine for noisy data and not for precise ones."""
    noisy, precise = (cc.fit(coarse(sigma), mesh=12) for sigma in (0.2, 1e-3))
    assert noisy.gap() == pytest.approx(precise.gap(), rel=0.5)
    assert [d.code for d in doubts_of(noisy)] == []
    assert [d.code for d in doubts_of(precise)] == ["large-gap"]


def test_the_warning_names_the_caller_and_the_remedy():
    with pytest.warns(cc.CollocodeWarning, match="noise off .*collocode.findings") as caught:
        cc.fit(coarse(1e-3), mesh=6)
    assert [w.filename for w in caught] == [__file__]


def test_a_search_warns_once_of_what_it_returns():
    problem = van_der_pol_neural(van_der_pol_data(n=60, sigma=0.05))
    with pytest.warns(cc.CollocodeWarning) as caught:
        cc.sweep(problem, values=[1.0, 0.5], mesh=20)
    assert len(caught) == 1
    with pytest.warns(cc.CollocodeWarning) as caught:
        cc.multistart(replace(problem, regularisation=cc.L2(0.5)), seeds=2, mesh=20)
    assert len(caught) == 1


def test_nothing_is_emitted_where_it_is_shown_in_another_way():
    with warnings.catch_warnings(), quietly():
        warnings.simplefilter("error")
        cc.fit(coarse(1e-3), mesh=6)


def test_a_sigma_that_only_the_smoother_doubts_is_left_alone():
    """The lynx and hare scatter around a smooth curve by half of what the model leaves."""
    solution = cc.fit(importlib.import_module("models.hudson_bay").problem(), mesh=None)
    hare = agreements(solution)[0]
    assert hare.smooth < 0.5 * hare.noise
    assert not hare.contradicted


def test_agreements_are_those_of_the_curves():
    """With σ and weights, and a sample that was not measured."""
    t = np.linspace(0.0, 2.0, 31)
    y = np.exp(-0.7 * t) + 0.02 * np.cos(40.0 * t)
    y[4] = np.nan
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    solution = cc.fit(cc.Problem(decay, cc.Experiment(t, y, outputs=("c",), sigma=0.02)), mesh=None)
    (found,) = agreements(solution)
    left = np.delete(y - solution.predict(t)[:, 0], 4)
    assert found.samples == 30
    assert (found.noise, found.given) == (0.02, True)
    assert found.simulated == pytest.approx(np.sqrt(np.mean(left**2)))


def test_root_mean_squares_are_medians_only_under_losses_that_look_past_outliers():
    """A likelihood for each output is asked for its own; medians are less sure of themselves."""
    t = np.linspace(0.0, 2.0, 31)
    y = np.exp(-0.7 * t) + 0.02 * np.cos(40.0 * t)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])

    def found(loss):
        problem = cc.Problem(decay, cc.Experiment(t, y, outputs=("c",)), loss=loss)
        return agreements(cc.fit(problem, mesh=None))[0]

    normal, own = found(cc.Normal(0.02)), found({"c": cc.Normal(0.02)})
    assert own.collocated == pytest.approx(normal.collocated)
    assert own.degrees == normal.degrees == 31
    assert found(cc.Student(0.02)).degrees == pytest.approx(0.37 * 31)


def test_residuals_by_medians_are_rarely_called_smaller_than_their_noise():
    """20 000 sets of 30 normal numbers: as seldom as the level says, or thrice that."""
    z = np.random.default_rng(0).standard_normal((20000, 30))
    rms = np.sqrt(2.198 * np.median(z**2, axis=1))
    fixed = {"experiment": "e", "output": "y", "samples": 30, "noise": 1.0, "given": True}
    fixed |= {"smooth": 1.0, "freedom": 20.0, "core": 1.0, "simulated": 1.0, "gap": 0.0}
    fixed |= {"lag_one": 0.0, "spread": 3.0, "degrees": 0.37 * 30}
    below = np.mean([Agreement(**fixed, collocated=float(r)).below for r in rms])
    assert below < 3e-3


def undersampled(n: int, seed: int) -> cc.Problem:
    """A relaxation oscillation with a few samples a period."""
    data = van_der_pol_data(n=n, end=20.0, sigma=0.1, seed=seed, mu=5.0, begin=(2.0, 0.0))
    mu = cc.Parameter("mu", 1.0, 0.0, 20.0)
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [x.y2, p.mu * (1 - x.y1**2) * x.y2 - x.y1], parameters=[mu]
        ),
        data,
    )


@pytest.mark.parametrize(("seed", "code"), [(0, "above-noise"), (1, "left-unexplained")])
def test_a_wrong_optimum_of_sixteen_samples_is_doubted(seed, code):
    """The solver is content, the spline hardly tells the noise, and most of the variance is left."""
    with pytest.warns(cc.CollocodeWarning):
        wrong = cc.fit(undersampled(16, seed), start="gradient_matching", mesh=60)
    assert wrong.success
    assert abs(wrong.parameters["mu"] - 5.0) > 3.0
    found = cc.findings(wrong)[0]
    assert (found.code, found.lever) == (code, cc.Lever.START)
    assert "start='auto'" in found.remedy


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fit_of_a_mesh_of_its_own_is_right_or_doubted(seed):
    """The first mesh is not solved; it is halved then."""
    solution = cc.fit(undersampled(16, seed), start="gradient_matching", mesh="auto")
    data = solution.trajectories[0].experiment
    rms = np.sqrt(np.mean((solution.predict(data.times) - data.values) ** 2))
    doubted = any(found.severity is not cc.Severity.NOTE for found in cc.findings(solution))
    assert rms < 0.2 or doubted


@pytest.mark.parametrize("seed", [3, *(pytest.param(k, marks=pytest.mark.slow) for k in (0, 1))])
@pytest.mark.filterwarnings("error::collocode.CollocodeWarning")
def test_the_usual_start_finds_the_right_one(seed):
    solution = cc.fit(undersampled(26, seed), mesh="auto")
    low, high = cc.uncertainty(solution).intervals(0.999).loc["mu", ["lower", "upper"]]
    assert low < 5.0 < high < low + 0.1


@pytest.mark.filterwarnings("error::collocode.CollocodeWarning")
def test_a_constant_with_noise_is_believed():
    """Nothing is explained, since there is nothing to explain."""
    t = np.linspace(0.0, 2.0, 16)
    y = 1.0 + 0.1 * np.random.default_rng(4).standard_normal(16)
    rest = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k * (1.0 - x.c)], parameters=[cc.Parameter("k", 1.0, 0.1, 9.0)]
    )
    solution = cc.fit(cc.Problem(rest, cc.Experiment(t, y, outputs=("c",))))
    assert not {"left-unexplained", "above-noise"} & {found.code for found in cc.findings(solution)}
