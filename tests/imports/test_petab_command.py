"""``collocode solve problem.yaml`` and the parameter table that it writes."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app

from .conftest import decay, problem, sbml


@pytest.fixture
def path(tmp_path):
    return problem(
        tmp_path,
        sbml(decay()),
        ["a A 0.1"],
        [f"a c1 {value} {t}" for t, value in ((0, 3.0), (1, 2.22), (2, 1.65), (3, 1.22))],
        ["k log10 0.01 10 1 1", "V lin - - 2 0"],
    )


def test_solve_takes_a_petab_problem_and_writes_its_parameter_table(path, tmp_path):
    out = tmp_path / "out"
    run = CliRunner().invoke(app, ["solve", str(path), "--out", str(out), "--no-plots"])
    assert run.exit_code == 0, run.output
    table = pd.read_csv(out / "petab_parameters.tsv", sep="\t")
    assert table["parameterId"].tolist() == ["k", "V"]
    assert table["nominalValue"].tolist() == [pytest.approx(0.3, abs=0.005), 2.0]
    assert table["estimate"].tolist() == [1, 0]
    (path.parent / "parameters.tsv").write_text((out / "petab_parameters.tsv").read_text())
    again = cc.read_petab(path)
    assert cc.simulate_petab(again).nllh < -3.0


def test_a_table_needs_every_estimate(path, tmp_path):
    with pytest.raises(cc.InputError, match="no estimate of parameter 'k'"):
        cc.write_petab_parameters({}, path, tmp_path / "table.tsv")
