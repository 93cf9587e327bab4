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
    upper, lower = sorted(report["tables"]["active bounds"]["rows"], key=lambda row: -row["value"])
    assert (upper["name"], upper["bound"], lower["bound"]) == ("a", "upper", "lower")
    assert upper["where"] == [pytest.approx([0.0, 2.0], abs=0.01)]
    assert lower["where"] == [pytest.approx([2.0, 4.0], abs=0.01)]
    loaded = cc.load(tmp_path / "solution.npz")
    assert loaded.costs["time"] == pytest.approx(cost["value"])
    assert "a" in (tmp_path / "trajectory_window.csv").read_text().splitlines()[0].split(",")


def test_refine_shows_the_error_of_the_cost_mesh_by_mesh(tmp_path):
    answer = run("refine", MODEL, "--elements", 11, "--tol", "1e-5", "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert "tolerance reached" in answer.output
    table = (tmp_path / "refinement.csv").read_text().splitlines()
    assert len(table) == 3  # eleven elements have the switch inside, twelve do not
    assert "structure" in (tmp_path / "indicators.csv").read_text().splitlines()[0]


def test_admm_says_what_it_is_about():
    answer = run("admm", MODEL)
    assert answer.exit_code == 2, answer.output
    assert "what batches of data share, and problem 'Double integrator'" in " ".join(
        answer.output.split()
    )
