"""The command line and models that vary in time."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app

DRIFTING = str(Path(__file__).parents[2] / "models" / "drifting_oscillator.py")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drifting") / "out"
    return run("solve", DRIFTING, "--set", "order=2", "--out", folder), folder


def test_coefficients_are_reported_without_the_bounds_of_the_function(results):
    answer, folder = results
    assert answer.exit_code == 0, answer.output
    assert "ended at a bound" not in answer.output
    rows = json.loads((folder / "report.json").read_text())["tables"]["parameters"]["rows"]
    assert [row["name"] for row in rows] == ["k", "c.P0", "c.P1", "c.P2"]
    assert [row["lower"] for row in rows] == [0.0, None, None, None]
    assert all(row["lower_95"] < row["value"] < row["upper_95"] for row in rows)


def test_a_saved_fit_simulates_and_exports(results, tmp_path):
    _, folder = results
    answer = run("simulate", folder / "solution.npz", "--experiment", "late")
    assert answer.exit_code == 0, answer.output
    answer = run("simulate", folder / "solution.npz", "--experiment", "third", "--until", 40)
    assert answer.exit_code == 2
    assert "lies outside the interval [0, 30]" in " ".join(answer.output.split())
    answer = run("export", folder / "solution.npz", "--to", tmp_path / "drift.mo")
    assert answer.exit_code == 0, answer.output
    assert "c_P2" in (tmp_path / "drift.mo").read_text()
    loaded = cc.load(folder / "solution.npz")
    np.testing.assert_allclose(loaded.parameter("c", [0.0, 30.0]), [0.55, 0.07], atol=0.05)


@pytest.mark.parametrize(
    ("setting", "message"),
    [("basis=legendr", "did you mean 'legendre'"), ("order=-1", "at least 0, not -1")],
)
def test_bad_settings_are_named(setting, message):
    answer = run("solve", DRIFTING, "--set", setting)
    assert answer.exit_code == 2
    assert message in " ".join(answer.output.split())
