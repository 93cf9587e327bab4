"""Every model file solves with its defaults, to a stated accuracy."""

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import collocode as cc
from models import (
    damped_oscillator,
    drifting_oscillator,
    harmonic_oscillator,
    van_der_pol,
    van_der_pol_mu,
)

MODELS = Path(__file__).parents[2] / "models"
# model: largest MSE of the simulation against the truth on train and on test experiments
ACCURACY = {
    van_der_pol: (2e-3, 5e-3),
    van_der_pol_mu: (1e-3, 1e-3),
    harmonic_oscillator: (5e-4, 1e-3),
    damped_oscillator: (1e-4, 1e-4),
    drifting_oscillator: (1e-4, 1e-4),
}


@pytest.fixture(scope="module", params=ACCURACY, ids=lambda module: module.__name__)
def solved(request):
    return request.param, cc.fit(request.param.problem(), mesh=None)


def test_accuracy(solved):
    module, solution = solved
    train, test = ACCURACY[module]
    assert solution.success
    assert {score.role for score in solution.score()} == {"train", "test"}
    for score in solution.score():
        assert score.truth <= (train if score.role == "train" else test), score
        if score.role == "train":
            assert score.truth_from_true_initial <= 2.0 * train, score
            assert score.gap <= 1e-2, score


@pytest.mark.parametrize(
    "name", ["cstr", "damped_oscillator", "drifting_oscillator", "robertson", "van_der_pol_forced"]
)
def test_runs_may_be_left_out_of_which_the_truth_is_known(name):
    problem = importlib.import_module(f"models.{name}").problem(test="")
    assert problem.test == ()
    assert {run.name for run in problem.experiments} < set(problem.truth.initial)


def test_mu_is_recovered_within_two_percent():
    for start in (0.1, 3.0):
        solution = cc.fit(van_der_pol_mu.problem(start=start), mesh=None)
        assert solution.parameters["mu"] == pytest.approx(1.0, rel=0.02)


def test_docstrings_state_source_and_units():
    for module in ACCURACY:
        assert "Source:" in module.__doc__
        assert "dimensionless" in module.__doc__ or "(m)" in module.__doc__
        assert module.__doc__.splitlines()[0].endswith("?")


SLOW = {"make_vorticity"}
SCRIPTS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else [])
    for path in sorted((MODELS / "data").glob("make_*.py"))
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_make_the_data_that_are_stored(script, tmp_path, capsys):
    copy = tmp_path / script.name
    copy.write_text(script.read_text())
    spec = importlib.util.spec_from_file_location(script.stem, copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    made = sorted(tmp_path.glob("*.csv"))
    assert len(made) >= 2
    for path in made:
        stored = (MODELS / "data" / path.name).read_text().splitlines()
        fresh = path.read_text().splitlines()
        assert fresh[0] == stored[0]
        assert len(fresh) == len(stored)
        for a, b in zip(fresh[1:], stored[1:], strict=True):
            for x, y in zip(a.split(","), b.split(","), strict=True):
                try:
                    assert np.isclose(float(x), float(y), rtol=1e-7, atol=1e-8)
                except ValueError:
                    assert x == y


def test_four_of_five_seeds_of_van_der_pol_learn_the_field():
    """All of ten did when this was written, at less than half of what is allowed."""
    runs = cc.multistart(van_der_pol.problem(), seeds=5, mesh=None)
    good = 0
    for solution in runs.solutions:
        train, test = solution.score()
        good += solution.success and train.truth <= 2e-3 and test.truth <= 5e-3
    assert good >= 4, runs.table
