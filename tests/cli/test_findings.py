"""What `collocode solve` says beside the curves: intervals, residuals, diagnosis, one remedy."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from collocode.reports.levers import advised
from collocode.reports.words import spoken
from collocode.results.diagnosis import Advice, Diagnosis
from tests.cli.small_models import DECAY, NETWORK


@pytest.fixture(scope="module")
def decay(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "decay.py"
    path.write_text(DECAY)
    return path


def solve(model, *arguments, columns=100):
    command = ["solve", str(model), "--elements", "5", *map(str, arguments)]
    return CliRunner().invoke(app, command, env={"COLUMNS": str(columns)})


def kind(model, name, *arguments):
    return solve(model, "--set", f"kind={name}", *arguments)


def test_estimates_come_with_intervals_everywhere(decay, tmp_path):
    answer = solve(decay, "--no-plots", "--out", tmp_path)
    assert answer.exit_code == 0
    assert "95 % interval" in answer.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    (row,) = report["tables"]["parameters"]["rows"]
    assert row["lower_95"] < row["value"] < row["upper_95"]
    assert row["upper_95"] - row["lower_95"] == pytest.approx(4.05 * row["std"], rel=0.01)
    assert 0.005 < report["details"]["noise"]["c"] < 0.02
    with open(tmp_path / "parameters.csv", newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert float(line["lower_95"]) == pytest.approx(row["lower_95"])
    assert (line["lower"], line["note"]) == ("0.0", "")


def test_intervals_are_those_of_the_library(decay, tmp_path):
    solve(decay, "--no-plots", "--out", tmp_path)
    space = {}
    exec(DECAY, space)
    table = cc.uncertainty(cc.fit(space["problem"](), mesh=5)).intervals()
    (row,) = json.loads((tmp_path / "report.json").read_text())["tables"]["parameters"]["rows"]
    assert row["std"] == pytest.approx(table.loc["k", "std"])
    assert row["lower_95"] == pytest.approx(table.loc["k", "lower"])


def test_what_is_not_identifiable_is_named(decay, tmp_path):
    answer = kind(decay, "twins", "--no-plots", "--out", tmp_path)
    assert answer.exit_code == 0
    assert answer.stdout.count("not identifiable") == 2
    assert "k, m are not identifiable" in answer.stderr
    rows = json.loads((tmp_path / "report.json").read_text())["tables"]["parameters"]["rows"]
    assert [row["note"] for row in rows] == ["not identifiable"] * 2
    assert rows[0]["upper_95"] is None


def test_parameters_of_each_experiment_and_fixed_ones(decay):
    answer = kind(decay, "own")
    assert "k[one]" in answer.stdout
    assert "k[two]" in answer.stdout
    answer = kind(decay, "fixed")
    (line,) = (line for line in answer.stdout.splitlines() if line.startswith("m "))
    assert line.split() == ["m", "0.1", "fixed", "0.1", "…", "0.1"]
    assert answer.stderr == ""


def test_residuals_by_output_and_where_they_are_not_white(decay, tmp_path):
    answer = solve(decay)
    (line,) = (line for line in answer.stdout.splitlines() if line.startswith("c "))
    assert line.split()[1] == "42"
    assert line.endswith("white")
    answer = kind(decay, "coloured", "--no-plots", "--out", tmp_path)
    assert "not white in 'wavy'" in answer.stdout
    assert "the model misses something" in answer.stdout
    assert "< 0.001" in answer.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert [r["experiment"] for r in report["details"]["residuals"]] == ["two", "wavy"]
    assert [r["white"] for r in report["details"]["residuals"]] == [True, False]
    assert "diagnosis" not in report["details"]
    assert [f["code"] for f in report["findings"]] == ["not-white"]


def test_a_covariance_that_is_too_large_is_left_out(decay, monkeypatch):
    monkeypatch.setattr("collocode.reports.evidence.MOST_NUMBERS", 1.0)
    answer = solve(decay)
    assert answer.exit_code == 0
    assert "No intervals: the covariance would need" in answer.stdout


def test_a_covariance_that_fails_does_not_cost_the_fit(decay, monkeypatch):
    def fail(solution):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr("collocode.reports.evidence.uncertainty", fail)
    answer = solve(decay)
    assert answer.exit_code == 0
    assert "No intervals: the covariance could not be computed (singular)" in answer.stdout


def test_a_failed_solve_ranks_its_residuals_and_has_one_remedy(decay, tmp_path):
    answer = solve(decay, "--option", "max_iter=1", "--no-plots", "--out", tmp_path)
    assert answer.exit_code == 1
    assert "Largest violations" in answer.stdout
    assert "collocation" in answer.stdout
    assert len(answer.stderr.strip().splitlines()) == 1
    assert answer.stderr.count("--option max_iter=2000") == 1
    report = json.loads((tmp_path / "report.json").read_text())
    sizes = [row["residual"] for row in report["tables"]["violated"]["rows"]]
    assert sizes == sorted(sizes, reverse=True)
    (finding,) = report["findings"]
    assert f"{finding['text']}; {finding['remedy']}." in answer.stderr.replace("\n", " ")
    assert report["tables"]["parameters"]["rows"][0]["lower_95"] is None


def test_where_a_function_is_not_finite(decay):
    answer = kind(decay, "nan")
    assert answer.exit_code == 1
    assert "Not finite at" in answer.stdout
    assert "of 'one' at t =" in answer.stdout
    assert answer.stderr.count("bounds=") == 1
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_constraint_that_the_bounds_contradict(decay):
    answer = kind(decay, "contradicted")
    assert answer.exit_code == 1
    assert "relax the constraint 'growing'" in answer.stderr
    assert "growing" in answer.stdout


@pytest.mark.parametrize(
    ("advice", "start", "phrase"),
    [
        (Advice.OTHER_START, "gradient_matching", "--start horizon"),
        (Advice.OTHER_START, "horizon", "--start smoothing"),
        (Advice.MORE_ITERATIONS, "horizon", "--option max_iter=4000"),
        (Advice.CHECK_BOUNDS, "horizon", "fixed initial states"),
        (Advice.OTHER_GUESS, "auto", "give the states a guess="),
        (Advice.LOOSEN, "horizon", "--option tol=1e-6"),
        (Advice.MORE_TIME, "horizon", "max_wall_time"),
        (Advice.GO_ON, "horizon", "best iterate"),
    ],
)
def test_every_advice_has_words_for_the_command_line(advice, start, phrase):
    import pandas as pd

    empty = pd.DataFrame({"equation": []})
    said = advised(Diagnosis(empty, empty, (), advice), start, 1000).text
    assert phrase in spoken(said, shell=True)


def test_tables_keep_within_eighty_columns(decay):
    answer = kind(decay, "coloured")
    assert max(len(line) for line in answer.stdout.splitlines()) <= 100
    narrow = solve(decay, "--option", "max_iter=1", columns=80)
    assert max(len(line) for line in narrow.stdout.splitlines()) <= 80


def test_defaults_of_a_model_are_used_overridden_and_shown(tmp_path):
    model = tmp_path / "model.py"
    model.write_text(NETWORK)
    runner = CliRunner()
    assert "6 elements" in runner.invoke(app, ["solve", str(model)]).stdout
    assert "9 elements" in runner.invoke(app, ["solve", str(model), "--elements", "9"]).stdout
    for command in ("solve", "sweep", "multistart"):
        text = runner.invoke(app, [command, str(model), "--help"]).stdout
        assert "The model's own:  --elements 6  --option max_iter=200" in text
        assert "units" in text


@pytest.mark.parametrize(
    ("defaults", "phrase"),
    [
        ("3", "DEFAULTS is no mapping"),
        ("{'meshes': 3}", "DEFAULTS has 'meshes', which does not exist; did you mean 'mesh'?"),
        ("{'tol': 3}", "choose from scheme, degree, mesh, start, seed, options,"),
        ("{'options': 3}", "options in DEFAULTS is no mapping"),
        ("{'mesh': -1}", "positive"),
        ("{'scheme': 'radua'}", "did you mean 'radau'?"),
    ],
)
def test_wrong_defaults(defaults, phrase, tmp_path):
    model = tmp_path / "model.py"
    model.write_text(NETWORK + f"\nDEFAULTS = {defaults}\n")
    answer = CliRunner().invoke(app, ["solve", str(model)])
    assert answer.exit_code == 2, answer.output
    assert phrase in answer.stderr.replace("\n", " ")
