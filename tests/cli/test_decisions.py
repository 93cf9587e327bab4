"""The command line on models that decide: costs where fits print errors; what is about data refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app

MODEL = str(Path(__file__).parents[2] / "models" / "control" / "double_integrator.py")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})


def test_solve_prints_costs_windows_and_controls_and_writes_the_solution(tmp_path):
    answer = run("solve", MODEL, "--set", "distance=4", "--elements", 20, "--out", tmp_path)
    assert answer.exit_code == 0
    for words in ("Costs", "time", "Windows", "Hamiltonian", "Controls", "50 % of the time"):
        assert words in answer.output
    assert "Mean squared errors" not in answer.output
    written = {path.name for path in tmp_path.iterdir()}
    assert {"solution.npz", "trajectories.png", "costates.png", "report.json"} <= written
    report = json.loads((tmp_path / "report.json").read_text())
    (cost,) = report["tables"]["costs"]["rows"]
    assert cost["value"] == pytest.approx(4.0, rel=1e-5)
    loaded = cc.load(tmp_path / "solution.npz")
    assert loaded.costs["time"] == pytest.approx(cost["value"])
    assert "a" in (tmp_path / "trajectory_window.csv").read_text().splitlines()[0].split(",")


def test_refine_and_admm_say_what_they_are_about():
    for command in ("refine", "admm"):
        answer = run(command, MODEL)
        assert answer.exit_code == 2, answer.output
        assert "about fits of data, but problem 'Double integrator'" in answer.output
