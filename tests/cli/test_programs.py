"""Model files of plain nonlinear programs from the command line."""

import json

import pytest
from typer.testing import CliRunner

from collocode.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_program_is_solved_and_reported(tmp_path):
    done = run(
        "solve", "models/nlp/torsion.py", "--set", "n=10", "--out", tmp_path / "out", "--no-plots"
    )
    assert done.exit_code == 0, done.output
    assert "torsion  converged (optimal)" in done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["kind"] == "program"
    assert report["result"]["objective"] == pytest.approx(-0.41, abs=0.02)
    header, *rows = (tmp_path / "out" / "variables.csv").read_text().splitlines()
    assert header.startswith("variable,value,lower,upper")
    assert len(rows) == 12 * 12


def test_a_maximum_has_the_users_sign():
    done = run("solve", "models/nlp/camshape.py", "--set", "n=20")
    assert done.exit_code == 0, done.output
    assert "objective  4." in done.output.replace("   ", "  ")


def test_a_program_is_exported_and_comes_back(tmp_path):
    pytest.importorskip("pyomo")
    done = run("export", "models/nlp/chain.py", "--set", "n=20", "--to", tmp_path / "chain.nl")
    assert done.exit_code == 0, done.output
    again = run("solve", tmp_path / "chain.nl")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("verb", ["sweep", "refine", "admm", "train", "grow"])
def test_other_verbs_say_what_is_for_programs(verb):
    done = run(verb, "models/nlp/chain.py")
    assert done.exit_code != 0
    assert "use collocode solve or export" in done.output.replace("\n", " ")


def test_a_network_is_asked_of_no_program(tmp_path):
    done = run("export", "models/nlp/chain.py", "--to", tmp_path / "chain.onnx")
    assert done.exit_code != 0
    assert "nonlinear program without a network" in done.output.replace("\n", " ")
