"""``collocode refine`` on layered networks: tables, files, statuses, resuming, and bad requests."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from collocode.cli.main import app
from collocode.cli.model_file import load_model
from collocode.errors import InputError
from collocode.layered import load_training
from collocode.reports.layers import ruler
from tests.cli.small_models import DECAY

SQUARES = '''
"""Squares: a small layered network."""
import collocode as cc
from collocode import layered

DEFAULTS = {"iterations": 25, "seed": 1}

def problem(layers: int = 1, penalty: float = 1e-3, width: int = 2):
    """Tell two classes apart.

    layers: of the first network
    """
    training, validation = layered.squares2d(100)
    network = layered.LayeredNetwork(2, 1, width, cc.Mesh.uniform(0, 4, layers),
                                     lift="none" if width == 2 else "pad")
    return layered.LayeredProblem(network, training, layered.LogisticLoss(),
                                  layered.Regularisation(penalty, penalty, penalty),
                                  validation=validation, name="Squares", source="nowhere")
'''


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "squares.py").write_text(SQUARES)
    (folder / "decay.py").write_text(DECAY)
    return folder


def run(*arguments, command="refine"):
    env = {"COLUMNS": "120", "NO_COLOR": "1"}
    return CliRunner().invoke(app, [command, *map(str, arguments)], env=env)


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("refine") / "out"
    how = ("--max-elements", "4", "--stall", "0", "--accept", "all", "--prolongation", "copy")
    how = (*how, "--compare", "--reference", "8", "--out", out)
    return run(models / "squares.py", *how), out


def test_tables_and_status(finished):
    answer, _ = finished
    assert answer.exit_code == 0, answer.output
    assert "Squares, layers refined (dorfler)" in answer.stdout
    assert "Squares, layers refined (uniform)" in answer.stdout
    assert answer.stdout.count("layer budget used up; chosen: ") == 2
    assert ruler([0.0, 2.0, 4.0]) in answer.stdout
    assert "the last weights are not optimal" in answer.stderr


def test_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert {"regions.png", "layers.png", "refinement.png", "last.npz"} <= set(report["files"])
    table = pd.read_csv(out / "refinement.csv")
    own = table[table["rule"] == "dorfler"]
    assert list(own["layers"]) == [1, 2, 3, 4]
    assert report["result"]["scores"]["validation"] == pytest.approx(own["validation"].max())
    chosen = load_training(out / "network.npz")
    assert chosen.network.layers == report["result"]["layers"]
    assert load_training(out / "last.npz").network.layers == 4
    indicators = pd.read_csv(out / "indicators.csv")
    assert list(indicators.groupby("cycle").size()) == [1, 2, 3, 4]
    sums = indicators.groupby("cycle")["error"].sum()
    np.testing.assert_allclose(sums, own["estimate"])
    assert own["effectivity"].notna().all()
    assert report["command"]["seed"] == 1  # the model's own


def test_goes_on_from_the_last_network(finished, models):
    _, out = finished
    how = ("--start", out / "last.npz", "--max-elements", "5", "--no-plots", "--stall", "0")
    how = (*how, "--accept", "all")
    answer = run(models / "squares.py", *how)
    assert answer.exit_code == 0, answer.output
    rows = [line.split()[0] for line in answer.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert rows == ["4", "5"]


def test_tolerance_out_of_reach_is_a_failure(models):
    answer = run(models / "squares.py", "--tol", "1e-9", "--max-elements", "2")
    assert answer.exit_code == 1
    assert "the tolerance 1e-09 was not reached (layer budget used up)" in answer.stderr
    reached = run(models / "squares.py", "--tol", "1e-2", "--set", "penalty=1.0")
    assert reached.exit_code == 0, reached.output
    assert "tolerance reached; chosen: 1 layer," in reached.stdout


def test_ipopt_with_its_options(models):
    how = ("--trainer", "ipopt", "--option", "ipopt.mu_strategy=adaptive", "--iterations", "8")
    answer = run(models / "squares.py", *how, "--max-cycles", "2")
    assert answer.exit_code == 0, answer.output
    wrong = run(models / "squares.py", "--trainer", "ipopt", "--option", "ipopt.moo=1")
    assert wrong.exit_code == 2
    assert "moo" in wrong.stderr


def test_three_features_have_no_plane(models, tmp_path):
    answer = run(models / "squares.py", "--set", "width=3", "--max-cycles", "1", "--out", tmp_path)
    assert answer.exit_code == 0
    assert (tmp_path / "regions.png").exists()  # the features are two, whatever the width


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scheme", "radau"), "--scheme does not apply to"),
        (("--elements", "3"), "--set layers=4 sets the first layers"),
        (("--goal", "simulated"), "the goal of"),
        (("--deterministic",), "--deterministic does not apply"),
        (("--option", "tol=1"), "--option is for IPOPT; add --trainer ipopt"),
        (("--trainer", "lbgfs"), "unknown trainer 'lbgfs'; did you mean 'lbfgs'?"),
        (("--indicator", "fear"), "unknown indicator 'fear'"),
        (("--accept", "none"), "unknown accept 'none'"),
        (("--prolongation", "cut"), "unknown prolongation 'cut'"),
        (("--start", "nowhere.npz"), "there is no file 'nowhere.npz'"),
        (("--max-elements", "0"), "more than the budget of 0"),
        (("--stall", "-1"), "stall must be a positive integer"),
    ],
)
def test_bad_requests(models, options, message):
    answer = run(models / "squares.py", *options)
    assert answer.exit_code == 2, answer.output
    assert message in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_each_command_names_its_own_kind(models):
    layered = "is a layered network; use collocode train, refine or grow for it."
    for command in ("solve", "sweep", "multistart"):
        more = ["--over", "penalty=1,2"] if command == "sweep" else []
        answer = run(models / "squares.py", *more, command=command)
        assert answer.exit_code == 2
        assert layered in answer.stderr, command
    answer = run(models / "decay.py", "--trainer", "lbfgs")
    assert "--trainer is for layered networks" in answer.stderr
    with pytest.raises(InputError, match=r"no layered network but dynamics"):
        load_model(models / "decay.py").layered({})


def test_defaults_of_the_other_kind_are_refused(tmp_path):
    model = tmp_path / "squares.py"
    model.write_text(SQUARES.replace('"seed": 1', '"mesh": 4'))
    answer = run(model)
    assert answer.exit_code == 2
    assert "DEFAULTS has 'mesh', which does not exist; choose from trainer" in answer.stderr


def test_files_of_others_are_left_alone(models, tmp_path):
    (tmp_path / "network.npz").write_text("mine")
    answer = run(models / "squares.py", "--out", tmp_path)
    assert answer.exit_code == 2
    assert "was not written by collocode" in answer.stderr
    assert (tmp_path / "network.npz").read_text() == "mine"


MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize(
    ("name", "least"),
    [("spiral2d", 0.87), ("donut2d", 0.85), ("donut1d", 0.9), ("squares2d", 0.79)],
)
def test_models(name, least):
    """Half as many wrong again as with the worst of six seeds of data and weights."""
    how = ("--set", "samples=300", "--max-elements", "5", "--no-plots")
    answer = run(MODELS / f"{name}.py", *how)
    assert answer.exit_code == 0, answer.output
    accuracy = float(answer.stdout.split("validation accuracy ")[1].split(";")[0])
    assert accuracy >= least


def test_model_of_breast_cancer():
    pytest.importorskip("sklearn")
    answer = run(MODELS / "breast_cancer.py", "--max-elements", "3", "--no-plots")
    assert answer.exit_code == 0, answer.output
    assert "test" in answer.stdout
