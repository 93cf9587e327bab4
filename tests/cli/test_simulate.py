"""``collocode simulate``: a saved fit run forward."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from models import damped_oscillator, harmonic_oscillator


def simulate(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def fit(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fit") / "solution.npz"
    cc.fit(damped_oscillator.problem(hidden=6), mesh=12).save(path)
    return path


def test_summary_of_the_first_experiment(fit):
    answer = simulate(fit)
    assert answer.exit_code == 0
    assert "simulated as 'pulled' at 301 times, t = 0 … 6" in answer.stdout
    assert answer.stderr == ""


def test_times_and_initial_state(fit, tmp_path):
    out = tmp_path / "run.csv"
    answer = simulate(fit, "--times", "0:10:0.5", "--initial", "x=1,v=0", "--out", out)
    assert answer.exit_code == 0
    frame = pd.read_csv(out)
    assert list(frame.columns) == ["time", "x", "v"]
    assert len(frame) == 21
    solution = cc.load(fit)
    run = cc.simulate(solution.model, [1.0, 0.0], frame["time"])
    np.testing.assert_allclose(frame[["x", "v"]], run.states)
    again = simulate(fit, "--out", out)
    assert again.exit_code == 2
    assert "exists; choose another --out" in again.stderr


def test_a_folder_with_a_picture(fit, tmp_path):
    for _ in range(2):  # its own files may be replaced
        answer = simulate(fit, "--experiment", "pushed", "--until", 8, "--out", tmp_path / "run")
        assert answer.exit_code == 0
    listed = json.loads((tmp_path / "run" / "simulation.json").read_text())
    assert listed["result"]["success"] is True
    assert listed["kind"] == "simulation"
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == listed["files"]
    frame = pd.read_csv(tmp_path / "run" / "simulation.csv")
    part = cc.load(fit).trajectories[1]
    np.testing.assert_allclose(frame.iloc[0, 1:], part.states[0])
    assert frame["time"].iloc[-1] == 8.0


def test_later_times_continue_from_the_fitted_start(fit, tmp_path):
    assert simulate(fit, "--times", "2:4:1", "--out", tmp_path / "late.csv").exit_code == 0
    frame = pd.read_csv(tmp_path / "late.csv")
    run = cc.load(fit).simulate(0, times=[2.0, 3.0, 4.0])
    np.testing.assert_allclose(frame[["x", "v"]], run.states, rtol=1e-6)


def test_a_test_experiment_begins_where_its_data_do_or_needs_an_initial_state(fit, tmp_path):
    assert simulate(fit, "--experiment", "unseen", "--initial", "x=1").exit_code == 0
    whole = cc.load(fit)
    (unseen,) = whole.test
    half = replace(unseen, values=unseen.values * [1.0, np.nan])  # no v
    replace(whole, test=(half,)).save(tmp_path / "half.npz")
    answer = simulate(tmp_path / "half.npz", "--experiment", "unseen", "--initial", "x=1")
    assert answer.exit_code == 2
    assert "not known; give --initial v=..." in answer.stderr
    given = simulate(tmp_path / "half.npz", "--experiment", "unseen", "--initial", "x=1,v=0")
    assert given.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["--times", "3"], "start:end:step"),
        (["--times", "0:a:1"], "start:end:step"),
        (["--times", "3:0:1"], "start < end"),
        (["--times", "0:1:0"], "positive step"),
        (
            ["--times", "0:1e9:1e-9"],
            "asks for 1e+18 times, which take 8e+09 GB and every state as much",
        ),
        (["--times", "-1:1:0.1"], "begins before the fit"),
        (["--times", "0:1:0.1", "--until", "3"], "not both"),
        (["--until", "-1"], "must lie after the start"),
        (["--points", "1"], "at least 2"),
        (["--points", "1e12"], "--points 1000000000000 asks for 1e+12 times, which take 8e+03 GB"),
        (["--initial", "z=1"], "'z', which is no state; there are: x, v"),
        (["--initial", "x=one"], "'one' is not a number"),
        (["--initial", "x"], "--initial takes name=value"),
        (["--experiment", "pulld"], "did you mean 'pulled'?"),
        (["--out", "/nowhere/run.csv"], "cannot write /nowhere/run.csv"),
    ],
)
def test_bad_input(fit, arguments, phrase):
    answer = simulate(fit, *arguments)
    assert answer.exit_code == 2, answer.output
    assert answer.stderr.startswith("error: ")
    assert phrase in answer.stderr


@pytest.mark.parametrize("points", ["many", "1.5", "inf", "nan"])
def test_points_are_a_whole_number(fit, points):
    assert f"'{points}' is no whole number" in simulate(fit, "--points", points).stderr
    assert simulate(fit, "--points", "1e2").exit_code == 0


def test_files_that_are_no_fit(tmp_path):
    assert "there is no file" in simulate(tmp_path / "none.npz").stderr
    (tmp_path / "bad.npz").write_text("no")
    answer = simulate(tmp_path / "bad.npz")
    assert answer.exit_code == 2
    assert "is not a solution, or it is damaged" in answer.stderr


def test_a_breakdown_is_not_a_success(tmp_path):
    """x' = x² blows up at t = 1."""
    t = np.linspace(0.0, 0.5, 6)
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [p.k * x.c**2], parameters=[cc.Parameter("k", 0.9)]),
        [cc.Experiment(t, 1.0 / (1.0 - t), outputs=("c",))],
    )
    cc.fit(problem, mesh=None).save(tmp_path / "fit.npz")
    answer = simulate(tmp_path / "fit.npz", "--until", 2)
    assert answer.exit_code == 1
    assert "broke down after t = 0.9" in answer.stderr


def test_the_last_state_continues_into_the_test_window(tmp_path):
    cc.fit(harmonic_oscillator.problem(), mesh=None).save(tmp_path / "fit.npz")
    answer = simulate(tmp_path / "fit.npz", "--experiment", "harmonic_oscillator_test")
    assert answer.exit_code == 0
    assert "t = 10 … 20" in answer.stdout
