"""``collocode relu``: the answer, the files, every error."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from collocode.cli.main import app
from collocode.relu import ReluNetwork, maximize
from tests.relu.nets import random_network

pytest.importorskip("optax")

MODEL = '''
"""A tent, learnt."""
import numpy as np
from collocode import relu

def tent(x):
    return 1.0 - np.abs(x).sum(axis=1)

def surrogate(hidden: int = 4, kind: str = "plain"):
    """Maximise a tent.

    hidden: units
    kind: plain, wrong, limited or impossible
    """
    if kind == "wrong":
        return relu.TrainingSettings()
    limit = {"limited": -0.25, "impossible": -3.0}.get(kind)
    return relu.Surrogate(
        [(-1.0, 1.0), (-1.0, 2.0)], tent, hidden=(hidden, hidden),
        training=relu.TrainingSettings(epochs=40, rate=1e-2, batch=50), samples=400,
        inputs=("left", "right"), outputs=("height",), name="Tent", source="made up",
        constraints=None if limit is None else ([[1.0, 1.0]], -np.inf, limit),
    )
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relu")
    (folder / "tent.py").write_text(MODEL)
    random_network(1, (2, 4, 3, 1)).save(folder / "small.npz")
    return folder


def relu(*arguments):
    command = ["relu", *map(str, arguments)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "110"})


@pytest.fixture(scope="module")
def finished(place):
    return relu(place / "tent.py", "--out", place / "out"), place / "out"


def test_it_trains_optimizes_and_tells(finished):
    answer, out = finished
    assert answer.exit_code == 0, answer.output
    assert "Tent  converged (optimal)" in answer.stdout
    for label in ("network", "training", "test error", "regions", "bounds", "search", "check"):
        assert any(line.startswith(label) for line in answer.stdout.splitlines()), label
    assert "true function" in answer.stdout
    report = json.loads((out / "report.json").read_text())
    result, rows = report["result"], report["tables"]["optimum"]["rows"]
    assert [row["name"] for row in rows] == ["left", "right", "height"]
    x = [row["network"] for row in rows[:2]]
    assert rows[2]["true"] == pytest.approx(1.0 - np.abs(x).sum())
    assert rows[2]["network"] == pytest.approx(result["value"]) == pytest.approx(result["bound"])
    assert rows[2]["error"] == pytest.approx(rows[2]["network"] - rows[2]["true"])
    network = ReluNetwork.load(out / "network.npz")
    assert network(x)[0] == pytest.approx(result["value"])
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 2, 121),) * 2), axis=-1).reshape(-1, 2)
    assert network(grid[grid[:, 0] <= 1.0]).max() <= result["value"] + 1e-6
    units = report["details"]["bounds"]["units"]
    assert sum(units.values()) == report["details"]["network"]["units"] == 8
    assert report["details"]["encoding"]["binaries"] == units["undecided"]


def test_its_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert {"history.csv", "optimum.csv", "regions.png", "training.png"} <= set(report["files"])
    history = pd.read_csv(out / "history.csv")
    assert history["epoch"].iloc[-1] == report["details"]["training"]["epochs_run"] == 40
    assert list(pd.read_csv(out / "optimum.csv")["name"]) == ["left", "right", "height"]
    assert (out / "regions.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_is_taken_instead_of_training(finished, place):
    _, out = finished
    before = json.loads((out / "report.json").read_text())["result"]["value"]
    ways = (
        ("--bounds", "interval", "--scale", "neuron"),
        ("--encoding", "partition", "--scale", "layer"),
        ("--bounds", "1000", "--no-plots"),
    )
    for number, way in enumerate(ways):
        new = place / f"again{number}"
        answer = relu(place / "tent.py", "--network", out / "network.npz", "--out", new, *way)
        assert answer.exit_code == 0, answer.output
        assert "training" not in answer.stdout
        report = json.loads((new / "report.json").read_text())
        assert report["result"]["value"] == pytest.approx(before, abs=1e-5)
        assert "history.csv" not in report["files"]
        assert ("regions.png" in report["files"]) == ("--no-plots" not in way)


def test_a_network_file_needs_a_box_only(place):
    network = ReluNetwork.load(place / "small.npz")
    answer = relu(place / "small.npz", "--box=-1:1,0:2", "--out", place / "file", "--no-plots")
    assert answer.exit_code == 0, answer.output
    report = json.loads((place / "file" / "report.json").read_text())
    best = maximize(network, [(-1.0, 1.0), (0.0, 2.0)]).value
    assert report["result"]["value"] == pytest.approx(best, abs=1e-6)
    assert "surrogate_error" not in report["details"]
    assert "true function" not in answer.stdout
    least = relu(place / "small.npz", "--box=-1:1,0:2", "--sense", "minimize")
    assert "Smallest value of the network" in least.stdout


def test_training_settings_and_constraints(place):
    out = place / "limited"
    answer = relu(
        place / "tent.py", "--set", "kind=limited", "--train", "clip=0.7", "--train", "l1=1e-3",
        "--train", "epochs=20", "--encoding", "clipped", "--out", out, "--no-plots",
    )  # fmt: skip
    assert answer.exit_code == 0, answer.output
    report = json.loads((out / "report.json").read_text())
    assert report["details"]["network"]["clipped"]
    assert report["details"]["training"]["l1"] == 1e-3
    assert report["details"]["training"]["epochs_run"] == 20
    x = [row["network"] for row in report["tables"]["optimum"]["rows"][:2]]
    assert sum(x) <= -0.25 + 1e-6


def test_a_time_limit_leaves_a_point_and_a_bound(place):
    random_network(0, (6, 60, 60, 1)).save(place / "large.npz")  # a search of hours
    answer = relu(
        place / "large.npz", "--box=-1:1,-1:1,-1:1,-1:1,-1:1,-1:1", "--bounds", "interval", "--time-limit", "0.1",
        "--out", place / "stopped", "--no-plots",
    )  # fmt: skip
    assert answer.exit_code == 1, answer.output
    assert "warning: the optimum is not proved" in answer.stderr
    result = json.loads((place / "stopped" / "report.json").read_text())["result"]
    assert result["bound"] > result["value"]
    assert result["gap"] > 0.0


def test_help_shows_the_model(place):
    shown = relu(place / "tent.py", "--help").stdout
    assert "plain, wrong, limited or impossible" in shown
    assert "--encoding" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tent.py", "--set", "kind=wrong"],
            "surrogate() returned an object of type 'TrainingSettings'",
        ),
        (["tent.py", "--set", "kind=impossible"], "the constraint cannot hold"),
        (["tent.py", "--train", "l3=1"], "training has no setting 'l3'"),
        (["tent.py", "--train", "l1=much"], "--train l1=much: 'much' is not a number"),
        (
            ["tent.py", "--bounds", "best"],
            "--bounds is interval, lp, mip, split or a number, not 'best'",
        ),
        (["tent.py", "--encoding", "best"], "unknown encoding 'best'"),
        (
            ["tent.py", "--scale", "best"],
            "units are scaled by 'neuron' or 'layer', not 'best'; leave it out for none",
        ),
        (["tent.py", "--network", "tent.py"], "tent.py is no network"),
        (["tent.py", "--network", "small.npz", "--train", "l1=1"], "nothing to train"),
        (["small.npz"], "add --box LOW:HIGH"),
        (["small.npz", "--box", "1,2"], "--box takes LOW:HIGH"),
        (["small.npz", "--box", "0:1"], "the box has shape (1, 2)"),
        (["small.npz", "--box", "0:1,0:inf"], "one finite (lower, upper) pair"),
        (["small.npz", "--box", "0:1,0:1", "--bounds", "0.01"], "would cut the graph"),
        (["small.npz", "--box", "0:1,0:1", "--set", "a=1"], "has no settings"),
        (["small.npz", "--box", "0:1,0:1", "--sense", "best"], "choose from maximize, minimize"),
        (["small.npz", "--box", "0:1,0:1", "--option", "speed=9"], "HiGHS refuses the option"),
        (["absent.npz", "--box", "0:1,0:1"], "absent.npz"),
        (["other.py"], "there is no model file"),
    ],
)
def test_errors_are_one_sentence(place, monkeypatch, arguments, message):
    monkeypatch.chdir(place)
    answer = relu(*arguments, "--time-limit", "5")
    assert answer.exit_code == 2, answer.output
    (line,) = answer.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_model_of_the_other_kind_is_told_apart(place):
    answer = CliRunner().invoke(app, ["solve", str(place / "tent.py")])
    assert answer.exit_code == 2
    assert "defines no function problem()" in answer.stderr
