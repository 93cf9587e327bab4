"""``collocode train``: table, files, resuming, and every bad request."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from collocode.cli.main import app
from collocode.layered import Step, load_training
from tests.cli.small_models import DECAY

MODEL = '''
"""A bump learnt by a small network."""
import numpy as np
import collocode as cc
from collocode import layered

DEFAULTS = {"trainer": "lbfgs", "iterations": 30}

def problem(layers: int = 4, classes: bool = False, held: bool = True):
    """Learn it."""
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (60, 2))
    Y = (X[:, 0] > X[:, 1]).astype(int) if classes else 1.0 + X[:, :1] * X[:, 1:]
    samples = layered.Samples(X, Y)
    train, validation, test = layered.split_samples(samples, 30, 15, 15)
    network = layered.LayeredNetwork(2, 1, 3, cc.Mesh.uniform(0, 2, layers), lift="pad")
    loss = layered.LogisticLoss() if classes else layered.SquaredLoss()
    parts = {"validation": validation, "test": test} if held else {}
    return layered.LayeredProblem(network, train, loss, layered.Regularisation(1e-5, 1e-5),
                                  name="Bump", **parts)
'''


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "bump.py").write_text(MODEL)
    (folder / "decay.py").write_text(DECAY)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("train") / "out"
    how = ("--basis", "legendre", "--order", 2, "--trainer", "gauss-newton", "--iterations", 8)
    return run(models / "bump.py", *how, "--out", out), out


def test_table(finished):
    answer, _ = finished
    assert answer.exit_code == 0, answer.output
    assert "Bump: gauss-newton, Legendre(order=2" in answer.stdout
    for word in ("training", "validation", "test", "relative error", "affine", "evaluations"):
        assert word in answer.stdout
    assert "40 weights, 36 of them in time" in answer.stdout


def test_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    names = ["history.csv", "learning_curves.png"]
    names += ["report.html", "report.json", "report.md", "training.npz"]
    assert sorted(p.name for p in out.iterdir()) == report["files"] == names
    training = load_training(out / "training.npz")
    result = report["result"]
    assert result["iterations"] == training.iterations == 8
    assert result["status"] == "iteration limit"
    assert result["weights"] == training.network.n_weights == 40
    assert len(pd.read_csv(out / "history.csv")) == len(training.history)
    (tested,) = (row for row in report["tables"]["parts"]["rows"] if row["part"] == "test")
    assert tested["samples"] == 15
    assert tested["error"] < tested["affine"]
    assert report["command"]["trainer"] == "gauss-newton"
    assert report["command"]["seconds"] is None or report["command"]["seconds"] > 1e9


def test_resume_goes_on_exactly(models, tmp_path):
    how = ("--basis", "legendre", "--order", 2, "--trainer", "gauss-newton")
    straight = tmp_path / "straight"
    assert run(models / "bump.py", *how, "--iterations", 12, "--out", straight).exit_code == 0
    halves = tmp_path / "halves"
    assert run(models / "bump.py", *how, "--iterations", 8, "--out", halves).exit_code == 0
    answer = run(models / "bump.py", *how, "--iterations", 12, "--out", halves, "--resume")
    assert answer.exit_code == 0, answer.output
    one, two = (load_training(f / "training.npz") for f in (straight, halves))
    np.testing.assert_allclose(two.theta, one.theta, atol=1e-12)
    other = run(models / "bump.py", "--basis", "monomial", "--out", halves, "--resume")
    assert other.exit_code == 2
    assert "the training to resume is of" in other.stderr


def test_a_basis_of_its_own_and_the_defaults(models):
    answer = run(models / "bump.py", "--basis", "bspline", "--order", 1)
    assert answer.exit_code == 0
    assert "lbfgs, BSpline(degree 1" in answer.stdout
    assert "after 30 iterations" in answer.stdout


def test_classes_have_no_affine_baseline(models):
    answer = run(models / "bump.py", "--set", "classes=true", "--iterations", 20)
    assert answer.exit_code == 0
    assert "accuracy" in answer.stdout
    assert "affine" not in answer.stdout


def test_warnings(models):
    answer = run(models / "bump.py", "--iterations", 0)
    assert "no better than affine least squares" in answer.stderr
    answer = run(models / "bump.py", "--set", "held=false", "--iterations", 2)
    assert "without validation samples nothing tells when to stop" in answer.stderr


def test_continuous(models, tmp_path):
    pytest.importorskip("diffrax")
    how = ("--basis", "constant", "--continuous", "--rtol", "1e-4", "--iterations", 3)
    answer = run(models / "bump.py", *how, "--out", tmp_path / "out", "--no-plots")
    assert answer.exit_code == 0, answer.output
    assert "in continuous" in answer.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["details"]["right_hand_sides"]["forward"] > 50
    assert report["files"] == [
        *("history.csv", "report.html", "report.json", "report.md", "training.npz")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--basis", "legendre", "--order", 4], "more than the 4 layers can tell apart"),
        (["--basis", "legndre"], "did you mean 'legendre'"),
        (["--order", 2], "has no order; give --basis too"),
        (["--basis", "legendre", "--order", -1], "must be an integer of at least 0"),
        (["--trainer", "adm"], "did you mean 'adam'"),
        (["--trainer", "lbfgs", "--rate", 0.1], "settings of adam, not of lbfgs"),
        (["--trainer", "adam", "--batch", 0], "size of a minibatch must be a positive integer"),
        (["--iterations", -1], "iterations must be an integer"),
        (["--resume"], "give its folder by --out"),
        (["--continuous", "--trainer", "gauss-newton"], "works on layers"),
        (["--continuous", "--rtol", 0], "rtol must be between"),
        (["--set", "depth=3"], "no setting 'depth'"),
    ],
)
def test_bad_requests(models, arguments, message):
    answer = run(models / "bump.py", *arguments)
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.output


def test_bad_models_and_folders(models, tmp_path):
    answer = run(models / "decay.py")
    assert answer.exit_code == 2
    assert "is no layered network" in answer.stderr
    answer = run(models / "bump.py", "--resume", "--out", tmp_path)
    assert "training.npz to go on from" in answer.stderr
    (tmp_path / "history.csv").write_text("mine")
    answer = run(models / "bump.py", "--out", tmp_path)
    assert answer.exit_code == 2
    assert "was not written by collocode" in answer.stderr
    assert (tmp_path / "history.csv").read_text() == "mine"


def test_progress_line():
    from collocode.cli.train import progress_line

    known = {"iteration": 12, "seconds": 3.0, "evaluations": 40.0, "gradients": 12.0}
    known |= {"objective": 0.5, "gradient_norm": 0.1, "training": 0.25}
    step = Step(**known)
    assert progress_line(step).startswith("iteration    12  J 5.000e-01  training 0.2500")
    held = Step(**known, validation=0.3)
    assert "validation 0.3000" in progress_line(held)
