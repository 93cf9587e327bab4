"""``collocode doctor`` and ``collocode schemes``."""

import re

import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli import doctor
from collocode.cli.doctor import probe
from collocode.cli.main import app


@pytest.fixture(scope="module")
def answer():
    return CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "120"})


def test_the_default_interface_works(answer):
    assert answer.exit_code == 0
    assert "The default interface works." in answer.stdout
    assert re.search(r"casadi(, cyipopt)? +yes +IPOPT 3\.\d+\.\d+, mumps", answer.stdout)


def test_packages_and_linear_solvers_are_listed(answer):
    for name in ("python", "casadi", "numpy", "pyomo", "cyipopt", "jax", "onnx"):
        assert re.search(rf"^{name} ", answer.stdout, re.MULTILINE)
    assert re.search(r"^mumps +yes", answer.stdout, re.MULTILINE)
    assert "EPL" not in answer.output  # no banner of IPOPT's
    assert answer.stderr == ""


def test_probes_tell_what_is_missing():
    assert probe("linear", "mumps")["works"]
    absent = probe("linear", "nonsense")
    assert not absent["works"]
    assert "nonsense" in absent["text"]
    assert "unknown interface" in probe("interface", "nonsense")["text"]


def test_a_probe_that_dies_is_reported_and_the_others_go_on():
    found = doctor.findings("no such kind", ("casadi", "nonsense"))
    assert [finding.works for finding in found] == [True, False]
    found, ending = doctor._probe("linear", [])
    assert found == []
    assert "status" in ending


def test_remedies():
    finding = doctor.Finding("cyipopt", False, "no module cyipopt")
    assert "make cyipopt" in doctor._what_to_do(finding, doctor.REMEDIES)
    text = (
        "linear solver 'ma57' needs libhsl.so, which is not installed; give its path by the "
        "option 'hsllib', or use 'mumps' or 'spral'."
    )
    told = doctor._what_to_do(doctor.Finding("ma57", False, text), {})
    assert told == "needs libhsl.so; if you have it, give --option hsllib=PATH"


def test_schemes_shows_orders_of_the_library():
    answer = CliRunner().invoke(app, ["schemes"])
    assert answer.exit_code == 0
    row = next(line for line in answer.stdout.splitlines() if line.startswith("radau"))
    orders = [str(cc.scheme("radau", s).order) for s in range(1, 10)]
    assert row.split()[2:] == orders
    for name in cc.scheme_names():
        assert name in answer.stdout
