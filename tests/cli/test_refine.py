"""``collocode refine``: tables, files, statuses, and every bad request."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from collocode.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, ["refine", *map(str, arguments)], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("refine") / "out"
    how = ("--goal", "parameter:k", "--tol", "1e-6", "--scheme", "trapezoid", "--elements", "4")
    return run(models / "decay.py", *how, "--compare", "--out", out), out


def test_tables_and_status(finished):
    answer, _ = finished
    assert answer.exit_code == 0, answer.output
    assert "Refinement, dorfler" in answer.stdout
    assert "Refinement, uniform" in answer.stdout
    assert answer.stdout.count("tolerance reached; ") == 2
    assert "Decay  converged (optimal)" in answer.stdout


def test_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert {"refinement.csv", "indicators.csv", "refinement.png", "mesh.png"} <= set(
        report["files"]
    )
    entry = report["details"]["refinement"]
    assert entry["status"] == "tolerance reached"
    assert abs(entry["estimate"]) <= 1e-6
    table = pd.read_csv(out / "refinement.csv")
    assert set(table["rule"]) == {"dorfler", "uniform"}
    adaptive = table[table["rule"] == "dorfler"]
    assert (adaptive["elements"].diff().dropna() > 0).all()
    assert adaptive["estimate"].iloc[-1] == pytest.approx(entry["estimate"])
    indicators = pd.read_csv(out / "indicators.csv")
    assert len(indicators) == adaptive["elements"].iloc[-1]
    assert indicators["indicator"].sum() == pytest.approx(entry["estimate"])
    assert set(indicators["experiment"]) == {"one", "two"}


def test_a_network_with_the_models_own_mesh(models):
    answer = run(models / "network.py", "--tol", "1e-5", "--no-plots")
    assert answer.exit_code == 0, answer.output
    assert "Learnt decay  converged" in answer.stdout


def test_a_budget_that_is_too_small(models):
    how = ("--goal", "state:c@2,two", "--tol", "1e-12", "--elements", "4", "--max-elements", "12")
    answer = run(models / "decay.py", *how)
    assert answer.exit_code == 1
    assert "element budget used up; " in answer.stdout
    assert "raise --max-elements, --degree or --tol" in answer.stderr


def test_too_few_meshes(models):
    answer = run(models / "decay.py", "--tol", "1e-13", "--elements", "3", "--max-cycles", "2")
    assert answer.exit_code == 1
    assert "raise --max-cycles or --theta" in answer.stderr


def test_a_fit_that_fails(models):
    answer = run(models / "network.py", "--option", "max_iter=1", "--max-cycles", "2")
    assert answer.exit_code == 1
    assert "not solved on the last mesh" in answer.stdout
    assert "was not solved, so its estimate is none" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--goal", "state:c@9"), "outside the horizon [0, 2]"),
        (("--goal", "state:d@1"), "the states are: c"),
        (("--goal", "parameter:q"), "there are: k"),
        (("--goal", "accuracy"), "unknown goal 'accuracy'"),
        (("--mark", "doerfler"), "did you mean 'dorfler'"),
        (("--theta", "0"), "theta must lie in (0, 1]"),
        (("--tol", "-1"), "tolerance must be positive"),
        (("--elements", "9", "--max-elements", "9"), "more than the budget of 9"),
    ],
)
def test_bad_requests(models, arguments, message):
    answer = run(models / "decay.py", *arguments)
    assert answer.exit_code == 2
    assert message in " ".join(answer.stderr.split())
