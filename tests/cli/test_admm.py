"""``collocode admm``: batches, the table, files, checkpoint and resume, every error."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.admm import parse_batches
from collocode.cli.admm_live import line_of, watching
from collocode.cli.main import app
from collocode.coordination.state import Iteration
from collocode.coordination.subproblem import BatchResult
from collocode.reports.admm import admm_table
from collocode.reports.text import table_lines
from tests.waiting import HANGS, until

WAVE = '''
"""An oscillator learnt from one period."""
import numpy as np
import collocode as cc

def problem():
    """Learn it."""
    t = np.linspace(0.0, 12.0, 97)
    data = cc.Experiment(t, np.column_stack([np.cos(t), -np.sin(t)]), ("x", "v"), name="run")
    return cc.Problem(cc.NeuralODE(cc.MLP((2, 6, 2))), data, regularisation=cc.L2(1e-4))
'''


def admm(model, *arguments):
    command = ["admm", str(model), *map(str, arguments)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("admm") / "out"
    return admm(models / "decay.py", "--batches", "2", "--rho", "0.01", "--out", out), out


def test_it_shows_the_iteration_and_the_report_of_solve(finished):
    answer, _ = finished
    assert answer.exit_code == 0, answer.output
    assert "Consensus ADMM" in answer.stdout
    assert re.search(r"converged: \d+ iterations, 2 batches, in-process", answer.stdout)
    assert "States fitted to the consensus, all data at once" in answer.stdout
    assert "Decay  converged (optimal)" in answer.stdout
    assert "Mean squared errors" in answer.stdout
    assert max(map(len, answer.stdout.splitlines()[:20])) <= 100


def test_plain_lines_can_be_searched(finished):
    answer, out = finished
    history = pd.read_csv(out / "history.csv")
    lines = [text for text in answer.stderr.splitlines() if text.startswith("admm iteration ")]
    assert len(lines) == len(history)
    for line, (_, row) in zip(lines, history.iterrows(), strict=True):
        assert len(line) <= 80
        assert line.split()[3] == f"{row['primal']:.1e}"
        assert line.split()[5] == f"{row['dual']:.1e}"
    assert lines[1].split()[9] == f"{history['batch_mse'][0]:.1e}"  # simulated one iteration later
    heading = answer.stderr.splitlines()[answer.stderr.splitlines().index(lines[0]) - 1]
    assert " ".join(heading.split()) == "admm primal limit dual limit rho objective MSE k-1 time"
    assert "\x1b" not in answer.stderr


def test_its_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert {"history.csv", "checkpoint.npz", "admm.png", "trajectories.png"} <= set(report["files"])
    entry = report["details"]["admm"]
    assert entry["status"] == "converged"
    assert sorted(entry["batches"]) == ["one", "two"]
    assert (
        entry["iterations"]
        == len(report["tables"]["iterations"]["rows"])
        == len(pd.read_csv(out / "history.csv"))
    )
    assert entry["consensus"]["k"] == report["tables"]["parameters"]["rows"][0]["value"]
    assert report["command"]["name"] == "admm"
    assert report["command"]["batches"] == "2"
    assert (out / "admm.png").read_bytes().startswith(b"\x89PNG")
    assert cc.load(out / "solution.npz").success


def test_a_finished_run_does_not_refuse_the_next(finished, models):
    _, out = finished
    again = ["--batches", "2", "--rho", "0.01", "--out", out, "--no-plots"]
    answer = admm(models / "decay.py", *again, "--resume")
    assert answer.exit_code == 0
    first = next(x for x in answer.stderr.splitlines() if x.startswith("admm iteration"))
    assert "iteration 1 " not in first  # it goes on from where it was
    anew = admm(models / "decay.py", *again)
    assert anew.exit_code == 0
    assert "admm iteration 1 " in anew.stderr
    assert not (out / "admm.png").exists()


def test_an_iteration_limit_is_said_and_can_be_lifted(models, tmp_path):
    arguments = ["--batches", "2", "--no-plots", "--out", tmp_path, "--rho", "0.5"]
    answer = admm(models / "decay.py", *arguments, "--iterations", "2")
    assert answer.exit_code == 1
    assert "no agreement to the tolerance in 2 iterations; raise --iterations" in answer.stderr
    assert f"--resume goes on from {tmp_path / 'checkpoint.npz'}" in answer.stderr
    assert "Decay  converged (optimal)" in answer.stdout  # usable nevertheless
    more = admm(models / "decay.py", *arguments, "--iterations", "60", "--resume")
    assert more.exit_code == 0, more.output
    assert len(pd.read_csv(tmp_path / "history.csv")) > 2


def test_polish_solves_the_whole(models, tmp_path):
    answer = admm(models / "decay.py", "--iterations", "1", "--polish", "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert "Polished: everything fitted, all data at once" in answer.stdout
    assert "no agreement" not in answer.stderr
    solved = CliRunner().invoke(app, ["solve", str(models / "decay.py")])
    pattern = r"objective +(\S+),"
    assert re.search(pattern, answer.stdout)[1] == re.search(pattern, solved.stdout)[1]


def test_newtons_method_is_the_usual_one(models, tmp_path):
    answer = admm(models / "network.py", "--batches", "2", "--elements", "10", "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert "Newton's method over batches\n" in answer.stdout
    assert "The optimum, all data at once" in answer.stdout
    line = next(x for x in answer.stderr.splitlines() if x.startswith("admm iteration 1 "))
    assert re.search(r" shift +objective +step +time\n" + re.escape(line), answer.stderr)
    solved = CliRunner().invoke(app, ["solve", str(models / "network.py"), "--elements", "10"])
    pattern = r"objective +(\S+),"
    ours, one = (float(re.search(pattern, a.stdout)[1]) for a in (answer, solved))
    assert ours == pytest.approx(one, abs=1e-4)
    assert (tmp_path / "admm.png").exists()


def test_groups_processes_and_tolerance(models, tmp_path):
    groups = ["--batches", "two;one", "--tolerance", "0.01", "--rho", "0.01", "--workers", "2"]
    answer = admm(models / "decay.py", *groups, "--out", tmp_path, "--no-plots")
    assert answer.exit_code == 0, answer.output
    assert "process pool of 2 workers" in answer.stdout
    assert json.loads((tmp_path / "report.json").read_text())["details"]["admm"]["batches"] == [
        "two",
        "one",
    ]


def test_lasso_and_windows(models, tmp_path):
    arguments = ["--l1", "0.05", "--batches", "2", "--iterations", "30", "--elements", "10"]
    answer = admm(models / "network.py", *arguments, "--no-plots", "--out", tmp_path)
    assert answer.exit_code in (0, 1), answer.output
    consensus = json.loads((tmp_path / "report.json").read_text())["details"]["admm"]["consensus"]
    weights = [v for k, v in consensus.items() if k.startswith("nn.")]
    assert 0.0 in weights
    assert "c[run;1]" in consensus


def test_ctrl_c_leaves_a_usable_result_that_can_be_resumed(models, tmp_path):
    """A real process and a real signal, in the midst of many iterations."""
    out, model = tmp_path / "out", models / "network.py"
    endless = [
        "--method",
        "admm",
        "--batches",
        "2",
        "--tolerance",
        "1e-14",
        "--no-plots",
        "--out",
        str(out),
    ]
    command = [sys.executable, "-m", "collocode", "admm", str(model), *endless]
    run = subprocess.Popen(
        [*command, "--iterations", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    until((out / "checkpoint.npz").exists)
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=HANGS)
    assert run.returncode == 130, stderr
    assert "interrupted:" in stdout
    assert "Mean squared errors" in stdout
    assert re.search(r"interrupted; \d+ iterations? (is|are) kept in .*--resume goes on", stderr)
    assert cc.load(out / "solution.npz").model.theta.size
    refused = admm(model, *endless)
    assert refused.exit_code == 2
    assert "of a run that did not end; add --resume to go on" in refused.stderr
    count = len(pd.read_csv(out / "history.csv"))
    more = admm(model, *endless, "--iterations", count + 2, "--resume")
    assert f"admm iteration {count + 1} " in more.stderr
    assert len(pd.read_csv(out / "history.csv")) == count + 2


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["--batches", "0"], ["at least 1, not 0"]),
        (["--batches", "50"], ["too few for", "ask for fewer batches"]),
        (["--batches", "one"], ["every experiment belongs to exactly one batch", "'two' is in 0"]),
        (["--batches", "one;three"], ["no experiment 'three'"]),
        (["--batches", "one;,"], ["--batches takes a count, say 4, or names"]),
        (["--boundary", "open"], ["unknown boundary 'open'"]),
        (["--overlap", "0.1"], ["add boundary='free'"]),
        (["--rho", "-1"], ["rho must be positive"]),
        (["--iterations", "0"], ["at least 1"]),
        (["--tolerance", "-1"], ["the tolerance must be positive, not -1"]),
        (["--method", "magic"], ["--method is admm or newton, not 'magic'"]),
        (["--method", "newton", "--rho", "1"], ["--rho is ADMM's penalty"]),
        (["--time-limit", "0"], ["--time-limit must be positive"]),
        (["--workers", "0"], ["at least 1"]),
        (["--tls-ca-file", "ca.pem"], ["certificates want both --tls-ca-file and --tls-cert"]),
        (["--memory-limit", "2GB"], ["--memory-limit is for a Dask cluster; give --scheduler"]),
        (["--points", "moon"], ["not with 'moon'"]),
        (["--l1", "0.1"], ["the model has no network, so --l1 has no weights"]),
        (["--resume"], ["--resume goes on from a checkpoint; give its folder by --out"]),
        (["--scheme", "radua"], ["did you mean 'radau'?"]),
    ],
)
def test_bad_input(arguments, phrases, models):
    answer = admm(models / "decay.py", *arguments)
    assert answer.exit_code == 2, answer.output
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.strip().splitlines()) == 1
    for phrase in phrases:
        assert phrase in answer.stderr


def test_resume_wants_a_checkpoint_of_the_same_run(models, tmp_path, finished):
    answer = admm(models / "decay.py", "--out", tmp_path, "--resume")
    assert answer.exit_code == 2
    assert "there is no checkpoint" in answer.stderr
    other = admm(models / "decay.py", "--out", finished[1], "--resume", "--batches", "4")
    assert other.exit_code == 2
    assert "was made with other" in other.stderr


def test_foreign_files_are_left_alone(models, tmp_path):
    (tmp_path / "checkpoint.npz").write_text("mine")
    answer = admm(models / "decay.py", "--out", tmp_path)
    assert answer.exit_code == 2
    assert "is not a checkpoint of an ADMM run, or it is damaged" in answer.stderr
    np.savez(tmp_path / "checkpoint.npz", mine=np.zeros(3))
    assert admm(models / "decay.py", "--out", tmp_path).exit_code == 2
    assert np.load(tmp_path / "checkpoint.npz")["mine"].shape == (3,)
    (tmp_path / "checkpoint.npz").unlink()
    (tmp_path / "history.csv").write_text("mine")
    answer = admm(models / "decay.py", "--out", tmp_path)
    assert "history.csv exists and was not written by collocode" in answer.stderr


def test_weights_that_agree_and_do_not_simulate_alike_are_warned_of(models, tmp_path):
    """Short windows and a loose tolerance: agreement in the weights is not yet one in the model."""
    (tmp_path / "wave.py").write_text(WAVE)
    loose = ["--method", "admm", "--batches", "4", "--tolerance", "0.5", "--no-plots"]
    answer = admm(tmp_path / "wave.py", *loose)
    assert answer.exit_code == 0, answer.output
    assert "the batches agree to the tolerance, but simulated, their consensus" in answer.stderr
    polished = admm(tmp_path / "wave.py", *loose, "--polish")
    assert "but simulated" not in polished.stderr


def test_groups():
    assert parse_batches(" 16 ") == 16
    assert parse_batches("-2") == -2
    assert parse_batches("a,b ; c") == [["a", "b"], ["c"]]


# ---- the live table -----------------------------------------------------------------------------


def row(number=1, primal=0.5, mse=float("nan"), rescued=""):
    return Iteration(
        iteration=number,
        primal=primal,
        dual=1e-5,
        primal_limit=1e-2,
        dual_limit=1e-4,
        scaled=0.1,
        rho=0.02,
        objective=0.3,
        lagrangian=0.3,
        simulated_objective=0.4,
        batch_mse=mse,
        steps=9,
        seconds=0.5,
        batch_seconds=0.3,
        build_seconds=0.1,
        rescued=rescued,
    )


def answer(batch, squares=(2.0, 4)):
    return BatchResult(
        batch=batch,
        iteration=0,
        values=np.zeros(1),
        loss=0.1,
        simulated_loss=0.1,
        squares=squares,
        iterations=7,
        seconds=0.25,
    )


def test_the_live_table_shows_progress_within_an_iteration_and_the_simulated_error():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with watching(console, 2) as watch:
        watch.answered(answer(0, (0.0, 0)))
        text = console.file.getvalue()
        assert "iteration 1: 1 of 2 batches, batch 1 took 7 steps, 0.25 s" in text
        watch.answered(answer(1, (0.0, 0)))
        watch.iterated(row(1))
        watch.answered(answer(0, (2.0, 4)))
        watch.answered(answer(1, (1.0, 4)))
        watch.iterated(row(2, rescued="window 2: consensus"))
        shown = console.file.getvalue()
        watch.finishing()(cc.Progress(3, 0.25, 1e-6))
    assert "3.75e-01" in shown  # (2 + 1) / (4 + 4), in the row of iteration 1
    assert "rescued" in shown
    assert "Ctrl-C stops" in shown
    assert re.search(r"last solve  .*iteration .*3", console.file.getvalue())


def test_only_a_terminal_gets_a_live_table():
    console = Console(file=io.StringIO())
    with watching(console, 2) as watch:
        assert watch.finishing() is None
        watch.answered(answer(0))
        watch.iterated(row(1))
    heading, line = console.file.getvalue().splitlines()
    assert heading.startswith("admm                primal limit")
    assert line.startswith("admm iteration 1   5.0e-01 1e-02")
    assert len(heading) == len(line)


def test_lines_and_tables():
    assert line_of([row(1)]).split()[9] == "–"
    assert line_of([row(1, mse=2.5e-3), row(2)]).split()[9] == "2.5e-03"
    assert len(line_of([row(999)])) <= 80
    table = admm_table([asdict(row(k)) for k in range(1, 4)], "Title")
    text = "\n".join("".join(part for part, _ in line) for line in table_lines(table, 80))
    assert "Title" in text
    assert "rescued" not in text
    assert max(map(len, text.splitlines())) <= 80
