"""``collocode grow``: table, files, resuming, and every bad request."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from collocode.cli.main import app
from collocode.layered import load_training
from collocode.layered.growth.growth import load_growth
from tests.cli.small_models import DECAY

MODEL = '''"""Curve: how deep?"""
import numpy as np
import collocode as cc
from collocode import layered

DEFAULTS = {"iterations": 15}


def problem(activation: str = "silu_tanh", layers: int = 1):
    """Grow.

    activation: of the layers
    """
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (90, 2))
    samples = layered.Samples(X, np.sin(3.0 * X[:, :1]) * X[:, 1:])
    train, validation, test = samples.split(40, 25)
    network = layered.LayeredNetwork(
        2, 1, 3, cc.Mesh.uniform(0, layers, layers), None, layered.ResidualBlock(activation), "pad"
    )
    return layered.LayeredProblem(
        network, train, validation=validation, test=test, name="Curve", source="made up"
    )
'''


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "curve.py").write_text(MODEL)
    (folder / "decay.py").write_text(DECAY)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["grow", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("grow") / "out"
    return run(models / "curve.py", "--max-layers", 3, "--stall", 0, "--out", out), out


def test_table_progress_and_status(finished):
    answer, _ = finished
    assert answer.exit_code == 0, answer.output
    assert "Curve: growth by topological, lbfgs" in answer.stdout
    assert "depth limit; best with" in answer.stdout
    assert "test relative error" in answer.stdout
    assert answer.stderr.count("new layer at") == 2
    assert max(map(len, answer.stdout.splitlines()[:8])) <= 80


def test_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert report["result"]["status"] == "depth limit"
    assert report["model"]["settings"] == {"activation": "silu_tanh", "layers": 1}
    assert report["command"]["iterations"] == 15  # the model's own
    growth = load_growth(out / "growth.npz")
    cycles = pd.read_csv(out / "cycles.csv")
    assert cycles["layers"].tolist() == [1, 2, 3] == [c.layers for c in growth.cycles]
    scores = pd.read_csv(out / "scores.csv")
    assert scores.groupby("cycle").size().tolist() == [2, 3]
    assert len(pd.read_csv(out / "history.csv")) == 3 * 16
    best = load_training(out / "network.npz")
    np.testing.assert_array_equal(best.best, growth.theta)
    assert {"scores.png", "history.png"} <= set(report["files"])


def test_resume_goes_on_and_the_folder_is_guarded(models, tmp_path):
    how = (models / "curve.py", "--stall", 0, "--no-plots", "--out", tmp_path)
    whole = tmp_path / "whole"
    assert run(models / "curve.py", "--max-layers", 3, "--stall", 0, "--out", whole).exit_code == 0
    assert run(*how, "--max-layers", 2).exit_code == 0
    assert run(*how, "--max-layers", 3, "--resume").exit_code == 0
    first, second = (load_growth(p / "growth.npz") for p in (whole, tmp_path))
    np.testing.assert_array_equal(first.last.theta, second.last.theta)
    (tmp_path / "report.json").unlink()
    refused = run(*how, "--max-layers", 2)
    assert refused.exit_code == 2
    assert "was not written by collocode" in refused.stderr


@pytest.mark.parametrize("indicator", ["sensitivity", "dwr", "random"])
def test_indicators_and_settings(models, indicator):
    how = ("--max-layers", 2, "--iterations", 5, "--set", "activation=tanh", "--seed", 3)
    answer = run(models / "curve.py", "--indicator", indicator, *how)
    assert answer.exit_code == 0, answer.output
    assert f"growth by {indicator}" in answer.stdout


@pytest.mark.parametrize("select", ["neuron", "4"])
def test_selections(models, tmp_path, select):
    how = (
        "--max-layers",
        2,
        "--iterations",
        3,
        "--select",
        select,
        "--no-plots",
        "--out",
        tmp_path,
    )
    answer = run(models / "curve.py", *how)
    assert answer.exit_code == 0, answer.output
    network = load_growth(tmp_path / "growth.npz").last.network
    assert network.layers == 2


def test_a_time_limit_is_no_success(models):
    how = ("--max-layers", 9, "--iterations", 10**6, "--time-limit", 0.2)
    answer = run(models / "curve.py", *how)
    assert answer.exit_code == 1
    assert "time limit" in answer.stdout


def test_help_shows_the_models_settings(models):
    answer = run(models / "curve.py", "--help")
    assert answer.exit_code == 0
    assert "--max-layers" in answer.stdout
    assert "of the layers" in answer.stdout


BAD = {
    "unknown indicator": (["--indicator", "topologic"], "did you mean 'topological'"),
    "unknown trainer": (["--trainer", "lbgs"], "did you mean 'lbfgs'"),
    "unknown selection": (["--select", "row"], "unknown selection 'row'"),
    "small exponent": (["--select", "0.5"], "must be 1 or more, not 0.5"),
    "relu": (["--set", "activation=relu"], "kink"),
    "depth": (["--set", "layers=3", "--max-layers", "2"], "3 layers, more than the budget of 2"),
    "frozen": (["--freeze", "layers"], "no part 'layers'"),
    "nothing to resume": (["--resume"], "--resume needs the --out"),
    "step": (["--step", "-1"], "step of the new layer"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests(models, name):
    arguments, phrase = BAD[name]
    answer = run(models / "curve.py", "--iterations", 2, *arguments)
    assert answer.exit_code == 2, answer.output
    assert phrase in answer.stderr
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in answer.stderr


def test_dynamics_are_no_layers(models):
    answer = run(models / "decay.py")
    assert answer.exit_code == 2
    assert "no layered network" in answer.stderr
