"""Models with inputs, gaps, unmeasured states and known physics: accuracy with their defaults."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import collocode as cc
from models import (
    alpha_pinene,
    cstr,
    fitzhugh_nagumo,
    gas_oil,
    hudson_bay,
    marine,
    methanol,
    robertson,
    van_der_pol_forced,
)

DATA = Path(cstr.__file__).parent / "data"
# model, its settings: largest MSE of the simulation against the truth on train and on test experiments
ACCURACY = {
    "stirred tank": (cstr, {}, 1e-3, 1e-3),
    "FitzHugh-Nagumo": (fitzhugh_nagumo, {}, 1e-3, 1e-3),
    "FitzHugh-Nagumo, hybrid": (fitzhugh_nagumo, {"hybrid": True}, 5e-3, 2.5e-2),
    "driven van der Pol": (van_der_pol_forced, {}, 3e-4, 3e-4),
    "Robertson": (robertson, {}, 1e-5, 1e-5),
}


def fit(module, **settings):
    return cc.fit(module.problem(**settings), **getattr(module, "DEFAULTS", {}))


@pytest.fixture(scope="module")
def solutions():
    return {label: fit(module, **settings) for label, (module, settings, _, _) in ACCURACY.items()}


@pytest.mark.parametrize("label", ACCURACY)
def test_accuracy(solutions, label):
    solution, (_, _, train, test) = solutions[label], ACCURACY[label]
    assert solution.success
    scores = solution.score()
    assert {score.role for score in scores} == {"train", "test"}
    for score in scores:
        assert score.truth <= (train if score.role == "train" else test), score
        if score.role == "train":
            assert score.gap <= 1e-2, score


@pytest.mark.parametrize("module", [alpha_pinene, gas_oil, marine, methanol])
def test_the_least_squares_of_cops(module):
    found = fit(module)
    run = found.trajectories[0].experiment
    squares = np.nansum((found.fitted(run.times) - run.values) ** 2)
    assert found.success
    assert squares == pytest.approx(module.OPTIMUM, rel=5e-5)
    assert found.gap() < 1e-4


@pytest.mark.parametrize(
    "module",
    [
        alpha_pinene,
        cstr,
        fitzhugh_nagumo,
        gas_oil,
        hudson_bay,
        marine,
        methanol,
        robertson,
        van_der_pol_forced,
    ],
)
def test_docstrings_state_question_source_and_units(module):
    text = module.__doc__
    assert text.splitlines()[0].endswith("?")
    assert "Source:" in text
    assert any(word in text for word in ("dimensionless", "mol/l", "thousands", "(%)"))
    for name in module.problem.__annotations__.keys() - {"return"}:
        assert f"    {name}: " in module.problem.__doc__


# ---- Hudson Bay: real data, no truth but the literature's ---------------------------------------

LITERATURE = {"alpha": 0.55, "beta": 0.028, "gamma": 0.80, "delta": 0.024}


def test_hudson_bay_is_near_the_literature_and_has_intervals():
    solution = fit(hudson_bay)
    table = cc.uncertainty(solution).intervals()
    for name, value in LITERATURE.items():
        assert solution.parameters[name] == pytest.approx(value, rel=0.05)
        row = table.loc[name]
        assert row["lower"] < value < row["upper"]
        assert 0.05 < row["std"] / value < 0.2
        assert row["note"] == ""
    assert solution.gap() < 1e-3
    noise = list(cc.uncertainty(solution).noise.values())
    assert noise == pytest.approx([0.25, 0.25], abs=0.03)  # log-normal, as in the literature


def test_hudson_bay_hybrid_finds_a_falling_growth_rate():
    solution = fit(hudson_bay, hybrid=True)
    assert solution.success
    assert solution.gap() < 1e-2
    assert solution.parameters["gamma"] == pytest.approx(0.80, rel=0.1)
    assert solution.parameters["delta"] == pytest.approx(0.024, rel=0.1)
    lynx = np.linspace(6.0, 60.0, 20)
    growth = solution.network()(lynx[:, None]).ravel()
    assert (np.diff(growth) < 0.0).all()
    # the network bends, but stays about Lotka and Volterra's line
    assert np.abs(growth - (0.55 - 0.028 * lynx)).max() < 0.25
    parametric, hybrid = (
        s.score()[0].simulated for s in (fit(hudson_bay), solution)
    )  # in logarithms
    assert hybrid < parametric


# ---- unknown terms against the truth -------------------------------------------------------------


def test_the_rate_of_the_stirred_tank_is_recovered_on_the_data(solutions):
    solution = solutions["stirred tank"]
    states = np.vstack([part.states for part in solution.trajectories])
    true = cstr.true_rate(*states.T)
    error = solution.network("rate")(states).ravel() - true
    assert np.sqrt(np.mean(error**2) / np.mean(true**2)) < 0.02


def test_concentration_of_the_stirred_tank_is_known_where_it_was_not_measured(solutions):
    solution = solutions["stirred tank"]
    up = solution.trajectories[solution.index("up")].experiment
    c = up.values[:, up.outputs.index("c")]
    unmeasured = (up.times >= 9.0) & (up.times <= 16.0)
    assert np.isnan(c[unmeasured]).all()
    truth = cc.Truth(solution.truth.rhs, solution.truth.initial)
    assert truth.covers("up")
    simulated = solution.simulate("up").states[unmeasured, 0]
    clean = clean_tank(up.times)[unmeasured, 0]
    assert np.abs(simulated - clean).max() < 0.01


def clean_tank(times):
    make = script("make_cstr")
    initial, steps, coolants = make.RUNS["up"]
    return make.run(initial, steps, coolants, times)


def test_jumps_of_the_coolant_are_mesh_points(solutions):
    for part in solutions["stirred tank"].trajectories:
        assert len(part.experiment.jumps) in (3, 4)
        for jump in part.experiment.jumps:
            assert np.abs(part.mesh.points - jump).min() < 1e-9


def test_the_damping_of_the_driven_oscillator_is_recovered(solutions):
    y = np.linspace(-2.3, 2.3, 47)
    damping = solutions["driven van der Pol"].network("damping")(y[:, None]).ravel()
    assert np.sqrt(np.mean((damping - (1.0 - y**2)) ** 2)) < 0.06


def test_the_driven_oscillator_has_runs_of_different_length_and_sampling(solutions):
    runs = [part.experiment for part in solutions["driven van der Pol"].trajectories]
    assert [run.end for run in runs] == [8.0, 12.0, 16.0]
    assert [round(run.times[1], 6) for run in runs] == [0.1, 0.15, 0.2]


def test_the_black_box_fits_the_driven_oscillator():
    solution = fit(van_der_pol_forced, hybrid=False)
    assert solution.success
    assert all(score.truth < 2e-3 for score in solution.score() if score.role == "train")


def test_the_cubic_of_the_neuron_is_recovered(solutions):
    v = np.linspace(-2.0, 2.0, 41)
    cubic = solutions["FitzHugh-Nagumo, hybrid"].network("cubic")(v[:, None]).ravel()
    assert np.sqrt(np.mean((cubic - (v - v**3 / 3.0)) ** 2)) < 0.1


# ---- parameters against the truth ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_neuron_is_identified_from_its_voltage_under_any_noise(seed):
    make = script("make_fitzhugh_nagumo")
    t, v = make.tables(seed)["fitzhugh_nagumo.csv"].T
    data = cc.Experiment(t, v, outputs=("v",))
    problem = replace(fitzhugh_nagumo.problem(test=""), experiments=(data,))
    for start in ("horizon", "gradient_matching"):
        solution = cc.fit(problem, **{**fitzhugh_nagumo.DEFAULTS, "start": start})
        assert solution.success
        found = solution.parameters
        assert found["a"] == pytest.approx(0.2, abs=0.02)
        assert found["b"] == pytest.approx(0.2, abs=0.1)
        assert found["c"] == pytest.approx(3.0, abs=0.05)


def test_the_rates_of_robertson_lie_in_their_intervals(solutions):
    solution = solutions["Robertson"]
    table = cc.uncertainty(solution).intervals()
    for name, value in (("log_k1", 0.04), ("log_k2", 3e7), ("log_k3", 1e4)):
        assert solution.parameters[name] == pytest.approx(np.log10(value), abs=0.03)
        assert table.loc[name, "lower"] < np.log10(value) < table.loc[name, "upper"]
        assert 0.0 < table.loc[name, "std"] < 0.03


@pytest.mark.parametrize("start", [{"k1": 1e-3}, {"k2": 1e9}, {"k3": 1e6}])
def test_robertson_from_starts_that_are_decades_off(start):
    solution = fit(robertson, **start)
    assert solution.success
    assert solution.parameters["log_k2"] == pytest.approx(np.log10(3e7), abs=0.03)


def script(name):
    spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
