"""``collocode multistart``: the table of seeds, the best one, every error."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from tests.cli.small_models import DECAY
from tests.waiting import press_ctrl_c


def run(command, *arguments):
    texts = [command, *map(str, arguments)]
    return CliRunner().invoke(app, texts, env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("multistart") / "out"
    return run("multistart", models / "network.py", "--seeds", "3,1,4", "--out", out), out


def test_every_seed_has_a_row_and_the_best_is_reported(finished):
    answer, out = finished
    assert answer.exit_code == 0, answer.output
    report = json.loads((out / "report.json").read_text())
    best = report["details"]["multistart"]["best"]
    table = pd.read_csv(out / "multistart.csv").set_index("seed")
    assert list(table.index) == [3, 1, 4]
    assert list(table) == ["objective", "simulated", "status", "iterations", "seconds"]
    assert table.loc[best, "objective"] == pytest.approx(table["objective"].min(), rel=1e-6)
    assert report["result"]["objective"] == pytest.approx(table.loc[best, "objective"])
    (line,) = (line for line in answer.stdout.splitlines() if line.endswith("best"))
    assert line.split()[0] == str(best)
    assert "Multistart from 3 seeds" in answer.stdout
    assert "Learnt decay  converged (optimal)" in answer.stdout


def test_its_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert {"multistart.csv", "trajectories.png", "parameters.csv"} <= set(report["files"])
    assert report["command"]["name"] == "multistart"
    assert report["command"]["seed"] == report["details"]["multistart"]["best"]
    assert report["details"]["multistart"]["asked"] == [3, 1, 4]


def test_the_best_seed_gives_it_again(finished, models, tmp_path):
    answer, out = finished
    best = json.loads((out / "report.json").read_text())["details"]["multistart"]["best"]
    assert f"solve --seed {best} gives it again" in answer.stdout
    run("solve", models / "network.py", "--seed", best, "--no-plots", "--out", tmp_path)
    objectives = [
        json.loads((folder / "report.json").read_text())["result"]["objective"]
        for folder in (out, tmp_path)
    ]
    assert objectives[0] == pytest.approx(objectives[1], rel=1e-6)


def test_a_count_of_seeds(models):
    answer = run("multistart", models / "network.py", "--seeds", 2, "--elements", 4)
    assert answer.exit_code == 0
    assert "4 elements" in answer.stdout
    rows = [line.split()[0] for line in answer.stdout.splitlines() if " converged" in line]
    assert rows[:2] == ["0", "1"]


def test_none_converges(models):
    answer = run("multistart", models / "network.py", "--seeds", 2, "--option", "max_iter=1")
    assert answer.exit_code == 1
    assert "not solved: iteration limit" in answer.stderr


def test_ctrl_c_shows_what_there_is(models, monkeypatch):
    press_ctrl_c(monkeypatch, 3)
    answer = run("multistart", models / "network.py", "--seeds", 3, "--start", "interpolate")
    assert answer.exit_code == 130, answer.output
    assert "Multistart from 1 seed" in answer.stdout
    assert "not solved: interrupted" in answer.stderr


def test_without_a_network_seeds_change_nothing(models):
    answer = run("multistart", models / "decay.py", "--seeds", 2, "--elements", 5)
    assert answer.exit_code == 0
    assert "every seed gives the same start" in answer.stderr
    assert "95 % interval" in answer.stdout


@pytest.mark.parametrize("seeds", ["0", "-1", "many", "", "1.5", "1,x", "3,-1", "99999"])
def test_bad_seeds(seeds, models):
    answer = run("multistart", models / "network.py", f"--seeds={seeds}")
    assert answer.exit_code == 2
    assert "--seeds takes a count, say 10, or seeds, say 3,7,11" in answer.stderr


def test_equal_optima_count_as_one():
    """The first seed of several that found the same optimum."""
    space = {}
    exec(DECAY, space)
    runs = cc.multistart(space["problem"](), (5, 2), mesh=4)
    assert runs.best_seed == 5
    assert runs.best is runs.solutions[0]
