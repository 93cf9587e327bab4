"""``collocode solve``: what it shows, writes and returns."""

import csv
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from tests.waiting import HANGS

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
MU, VDP = str(MODELS / "van_der_pol_mu.py"), str(MODELS / "van_der_pol.py")
DAMPED, HARMONIC = str(MODELS / "damped_oscillator.py"), str(MODELS / "harmonic_oscillator.py")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})


def solve(*arguments):
    return run("solve", *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One run of two experiments with every file."""
    folder = tmp_path_factory.mktemp("damped") / "new" / "out"
    return solve(DAMPED, "--set", "hidden=6", "--elements", 12, "--out", folder), folder


def test_a_solved_problem_returns_zero_and_a_summary(results):
    answer, _ = results
    assert answer.exit_code == 0
    assert answer.stderr == ""  # quiet where nobody looks
    for text in (
        "Damped oscillator  converged (optimal)",
        "2 states, 2 experiments, 240 measurements, 25 weights, 0 parameters",
        "radau, degree 3 (order 5), 24 elements in 2 experiments",
        "through casadi, linear solver mumps",
        "build",
        "derivatives",
        "pulled",
        "unseen",
        "gap",
    ):
        assert text in answer.stdout


def test_files_are_complete_and_readable(results):
    _, folder = results
    names = sorted(p.name for p in folder.iterdir())
    report = json.loads((folder / "report.json").read_text())
    assert names == report["files"]
    assert names == [
        "convergence.png",
        "parameters.csv",
        "phase_portrait.png",
        "report.html",
        "report.json",
        "report.md",
        "solution.npz",
        "trajectories.png",
        "trajectory_pulled.csv",
        "trajectory_pushed.csv",
    ]
    assert report["result"]["success"] is True
    assert report["model"]["settings"]["hidden"] == 6
    assert report["details"]["scheme"]["elements"] == [12, 12]
    assert report["details"]["solver"]["interface"] == "casadi"
    assert report["details"]["seconds"]["total"] > 0.0
    scores = report["tables"]["scores"]["rows"]
    assert [s["role"] for s in scores] == ["train", "train", "test"]
    assert scores[0]["truth"] < 1e-3
    assert scores[2]["gap"] is None
    solution = cc.load(folder / "solution.npz")
    with open(folder / "trajectory_pushed.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["time", "x", "v", "x_simulated", "v_simulated"]
    np.testing.assert_allclose(
        [float(row["x"]) for row in rows], solution.trajectories[1].states[:, 0]
    )
    for name in names:
        if name.endswith(".png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert os.stat(folder / name).st_mode & 0o044 == 0o044 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_second_run_replaces_its_own_files(results):
    _, folder = results
    before = {p.name for p in folder.iterdir()}
    answer = solve(MU, "--elements", 30, "--no-plots", "--out", folder)
    assert answer.exit_code == 0
    assert "trajectories.png" in before
    assert {p.name for p in folder.iterdir()} == {
        "parameters.csv",
        "report.html",
        "report.json",
        "report.md",
        "solution.npz",
        "trajectory_van_der_pol.csv",
    }
    with open(folder / "parameters.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["name"] == "mu"
    assert float(row["value"]) == pytest.approx(1.0, rel=0.02)
    assert (row["lower"], row["upper"]) == ("0.0", "10.0")


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "parameters.csv").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    answer = solve(MU, "--out", tmp_path)
    assert answer.exit_code == 2
    assert "exists and was not written by collocode" in answer.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "parameters.csv"]
    assert (tmp_path / "parameters.csv").read_text() == "mine"


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    answer = solve(MU, "--out", tmp_path / "file")
    assert answer.exit_code == 2
    assert "cannot write into" in answer.stderr


def test_parameters_with_bounds_are_shown():
    answer = solve(MU, "--elements", 30)
    assert answer.exit_code == 0
    assert "Estimated parameters" in answer.stdout
    assert "0 … 10" in answer.stdout
    assert "wrote" not in answer.stdout


def test_a_parameter_at_its_bound_is_a_warning():
    answer = solve(MU, "--elements", 30, "--set", "lower=2", "--start", "interpolate")
    assert "mu ended at a bound" in answer.stderr


def test_scheme_degree_start_seed_and_options_reach_the_solver():
    answer = solve(
        *(HARMONIC, "--scheme", "gauss", "--degree", 2, "--elements", 20, "--start", "smoothing"),
        *("--seed", 3, "--option", "ipopt.tol=1e-6", "--option", "linear_solver=mumps"),
        *("--deterministic", "--set", "test=", "--threads", 2),
    )
    assert answer.exit_code == 0
    assert "gauss, degree 2 (order 4), 20 elements" in answer.stdout


def test_no_threads_are_refused():
    answer = solve(HARMONIC, "--threads", 0)
    assert answer.exit_code == 2
    assert "threads = 0 is no number of threads" in answer.stderr


@pytest.mark.parametrize(("interface", "package"), [("cyipopt", "cyipopt"), ("pyomo", "pyomo")])
def test_other_interfaces(interface, package, tmp_path):
    pytest.importorskip(package)
    answer = solve(MU, "--elements", 30, "--interface", interface, "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert f"through {interface}" in answer.stdout
    (row,) = json.loads((tmp_path / "report.json").read_text())["tables"]["parameters"]["rows"]
    assert row["value"] == pytest.approx(0.9971, abs=2e-3)


def test_an_iteration_limit_is_not_solved_but_nothing_is_lost(tmp_path):
    answer = solve(HARMONIC, "--option", "max_iter=2", "--no-plots", "--out", tmp_path)
    assert answer.exit_code == 1
    assert "not solved: iteration limit" in answer.stderr
    assert "--option max_iter=2000" in answer.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["result"]["success"] is False
    assert report["result"]["termination"] == "iteration limit"
    assert [f["code"] for f in report["findings"]] == ["not-solved"]
    assert report["findings"][0]["severity"] == "error"
    assert not cc.load(tmp_path / "solution.npz").success


def test_a_fit_that_does_not_simulate_is_a_warning_with_a_remedy():
    answer = solve(HARMONIC, "--set", "regularisation=1e-6", "--elements", 13)
    assert answer.exit_code == 0
    assert "times the noise off its own collocated trajectory" in answer.stderr
    assert "--elements auto" in answer.stderr


def test_help_shows_the_models_settings():
    answer = solve(VDP, "--help")
    assert answer.exit_code == 0
    for text in ("--scheme", "--set", "hidden", "32", "units in a hidden layer", "3e-05", "float"):
        assert text in answer.stdout
    answer = solve("--help")
    assert answer.exit_code == 0
    assert "--deterministic" in answer.stdout


def test_help_of_a_missing_model():
    answer = solve("nowhere.py", "--help")
    assert answer.exit_code == 2
    assert "no model file 'nowhere.py'" in answer.stderr


INTERRUPTED = '''
import importlib.util, pytest
from tests.waiting import press_ctrl_c
spec = importlib.util.spec_from_file_location("vdp", {vdp!r})
vdp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vdp)

def problem():
    """Press Ctrl-C in the third iteration of the solver."""
    press_ctrl_c(pytest.MonkeyPatch(), 3)
    return vdp.problem(hidden=4)
'''


def test_ctrl_c_saves_the_best_iterate(tmp_path):
    """In a process of its own: the entry point, the exit status, no traceback."""
    model, out = tmp_path / "interrupted.py", tmp_path / "out"
    model.write_text(INTERRUPTED.format(vdp=VDP))
    command = [sys.executable, "-m", "collocode", "solve", str(model), "--no-plots"]
    command += ["--out", str(out), "--elements", "20", "--start", "interpolate"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, cwd=ROOT)
    assert answer.returncode == 130, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "not solved: interrupted" in answer.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["result"]["termination"] == "interrupted"
    assert 3 <= report["result"]["iterations"] <= 5
    assert cc.load(out / "solution.npz").result.termination is cc.Termination.INTERRUPTED


def test_a_time_limit_is_not_solved_but_nothing_is_lost(tmp_path):
    answer = solve(VDP, "--time-limit", "1e-9", "--no-plots", "--out", tmp_path)
    assert answer.exit_code == 1
    assert "not solved: time limit" in answer.stderr
    assert "--time-limit" in answer.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["result"]["termination"] == "time limit"
    assert report["command"]["time_limit"] == 1e-9


def test_a_time_limit_that_is_none():
    answer = solve(VDP, "--time-limit", "-1")
    assert answer.exit_code == 2
    assert "the time limit is a positive number of seconds, not -1" in answer.stderr


def test_ctrl_c_before_the_solver_runs(tmp_path):
    model = tmp_path / "model.py"
    model.write_text("def problem():\n    raise KeyboardInterrupt\n")
    answer = solve(model)
    assert answer.exit_code == 130
    assert "interrupted" in answer.stderr


@pytest.mark.filterwarnings("default::collocode.errors.CollocodeWarning")
def test_warnings_are_lines_like_errors(tmp_path):
    model = tmp_path / "model.py"
    model.write_text(
        "import warnings, collocode as cc\n"
        "def problem():\n"
        "    warnings.warn('this takes long.', cc.CollocodeWarning)\n"
        "    raise cc.InputError('no more.')\n"
    )
    answer = solve(model)
    first, second = answer.stderr.splitlines()
    assert first == "warning: this takes long."
    assert second.startswith("error: ")


def test_version_and_no_arguments():
    assert run("--version").stdout.strip() == f"collocode {cc.__version__}"
    assert "solve" in run("--help").stdout


def test_settings_of_every_type(tmp_path):
    model = tmp_path / "typed.py"
    model.write_text(
        textwrap.dedent('''
        """Types."""
        from __future__ import annotations

        def problem(flag: bool = False, count=2, rate: float = 1, label: str = "a",
                    limit: int | None = None, table=(1, 2), *, needed: float):
            """Say what came.

            needed: has to be given,
                on two lines
            """
            raise ValueError(f"{flag!r} {count!r} {rate!r} {label!r} {limit!r} {needed!r}")
        ''')
    )
    pairs = ["flag=yes", "count=3", "rate=2", "label=b c", "limit=4", "needed=1e-3"]
    answer = solve(model, *(part for pair in pairs for part in ("--set", pair)))
    assert "ValueError: True 3 2.0 'b c' 4 0.001." in answer.stderr
    answer = solve(model, "--set", "needed=1", "--set", "limit=none", "--set", "flag=off")
    assert "False 2 1 'a' None 1.0" in answer.stderr
    assert "needs --set needed=<float>" in solve(model).stderr
    assert "has to be given, on two lines" in solve(model, "--help").stdout
    assert "'x' is not true or false" in solve(model, "--set", "flag=x").stderr
    assert "'x' is not a number" in solve(model, "--set", "rate=x").stderr
    assert "--set cannot give 'table'" in solve(model, "--set", "table=1").stderr


def test_elements_are_a_count_or_auto(tmp_path):
    answer = CliRunner().invoke(app, ["solve", "models/my_csv.py", "--elements", "fast"])
    assert answer.exit_code == 2
    assert "'fast' is neither a count, say 40, nor auto" in " ".join(answer.stderr.split())
