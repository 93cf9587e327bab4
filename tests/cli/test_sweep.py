"""``collocode sweep``: the choice, the files, the checkpoint, every error."""

import io
import json

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from collocode.cli.sweep import parse_over
from collocode.cli.terminal import counted_progress
from collocode.identify import sweep as library
from collocode.solvers.protocol import Progress
from tests.waiting import press_ctrl_c


def sweep(model, *arguments):
    command = ["sweep", str(model), *map(str, arguments)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep") / "out"
    return sweep(models / "network.py", "--over", "hidden=1,2,3", "--out", out), out


def test_a_sweep_shows_its_values_and_the_fit_with_the_best(finished):
    answer, out = finished
    assert answer.exit_code == 0, answer.output
    assert "Sweep over hidden" in answer.stdout
    assert "Held out: the last 25 % of every experiment." in answer.stdout
    best = json.loads((out / "report.json").read_text())["details"]["sweep"]["best"]
    (line,) = (line for line in answer.stdout.splitlines() if "chosen" in line)
    assert line.split()[0] == str(best)
    assert f"Fit to all data with hidden = {best}" in answer.stdout
    assert "Learnt decay  converged (optimal)" in answer.stdout
    assert "6 elements" in answer.stdout  # the model's own
    assert answer.stdout.index("chosen") < answer.stdout.index("Learnt decay")


def test_its_files(finished):
    _, out = finished
    report = json.loads((out / "report.json").read_text())
    assert sorted(p.name for p in out.iterdir()) == report["files"]
    assert {"sweep.csv", "sweep.json", "sweep.png", "trajectories.png"} <= set(report["files"])
    table = pd.read_csv(out / "sweep.csv")
    assert list(table["hidden"]) == [1, 2, 3]
    best = int(table.loc[table["validation"].idxmin(), "hidden"])
    assert report["details"]["sweep"]["best"] == report["model"]["settings"]["hidden"] == best
    assert report["command"]["name"] == "sweep"
    assert [row["value"] for row in report["tables"]["sweep"]["rows"]] == [1, 2, 3]
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert cc.load(out / "solution.npz").success


def test_resuming_a_finished_sweep_fits_nothing_again(finished, models, monkeypatch):
    _, out = finished
    before = (out / "sweep.csv").read_text()
    calls = count_fits(monkeypatch)
    again = ["--over", "hidden=1,2,3", "--out", out, "--no-plots"]
    assert sweep(models / "network.py", *again, "--resume").exit_code == 0
    assert len(calls) == 3  # the best again from its point, and to all data from it and anew
    assert (out / "sweep.csv").read_text() == before
    assert not (out / "sweep.png").exists()
    assert sweep(models / "network.py", *again).exit_code == 0  # a finished one begins anew
    assert len(calls) == 3 + 3 + 2  # networks of other sizes have only one start


def count_fits(monkeypatch, stop_at=None):
    calls, fit = [], library.fit

    def counted(problem, **how):
        if len(calls) + 1 == stop_at:
            raise KeyboardInterrupt
        calls.append(problem)
        return fit(problem, **how)

    monkeypatch.setattr(library, "fit", counted)
    return calls


def test_an_interrupted_sweep_is_kept_shown_and_resumed(models, tmp_path, monkeypatch):
    arguments = ["--over", "hidden=1,2,3", "--no-plots", "--out", tmp_path]
    with monkeypatch.context() as patch:
        count_fits(patch, stop_at=3)
        answer = sweep(models / "network.py", *arguments)
    assert answer.exit_code == 130
    assert "2 of 3 values are kept in" in answer.stderr
    assert "--resume goes on" in answer.stderr
    assert "held-out" in answer.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.json"]
    refused = sweep(models / "network.py", *arguments)
    assert refused.exit_code == 2
    assert "holds 2 values of a sweep that did not end; add --resume" in refused.stderr
    other = sweep(models / "network.py", *arguments, "--resume", "--holdout", "0.5")
    assert other.exit_code == 2
    assert "was made with other holdout (0.25, now 0.5)" in other.stderr
    other = sweep(models / "network.py", *arguments, "--resume", "--set", "activation=sigmoid")
    assert other.exit_code == 2
    assert "was made with other settings" in other.stderr
    calls = count_fits(monkeypatch)
    answer = sweep(models / "network.py", *arguments, "--resume")
    assert answer.exit_code == 0, answer.output
    assert len(calls) == 1 + 1 + 2  # the best again, the missing value, and the best to all data


def test_an_interruption_without_a_folder(models, monkeypatch):
    count_fits(monkeypatch, stop_at=2)
    answer = sweep(models / "network.py", "--over", "hidden=1,2,3")
    assert answer.exit_code == 130
    assert "interrupted after 1 of 3 values; with --out a sweep can be resumed" in answer.stderr


def test_ctrl_c_while_the_solver_runs(models, tmp_path, monkeypatch):
    """The value that was interrupted does not count."""
    press_ctrl_c(monkeypatch, 3, solve=2)
    answer = sweep(models / "network.py", "--over", "hidden=1,2,3", "--out", tmp_path)
    assert answer.exit_code == 130, answer.output
    assert list(json.loads((tmp_path / "sweep.json").read_text())["content"]["rows"]) == ["1"]


def test_the_regularisation_of_a_model_without_such_a_setting(models, tmp_path):
    answer = sweep(
        models / "network.py", "--over", "regularisation=1e-5,1e-2,1e-4", "--out", tmp_path
    )
    assert answer.exit_code == 0, answer.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert [row["value"] for row in report["tables"]["sweep"]["rows"]] == [1e-2, 1e-4, 1e-5]
    assert report["model"]["settings"]["regularisation"] == report["details"]["sweep"]["best"]


def test_whole_experiments_are_held_out(models):
    answer = sweep(models / "decay.py", "--over", "slope=0.0,1.0", "--holdout", "two")
    assert answer.exit_code == 0, answer.output
    assert "Held out: two." in answer.stdout


def test_a_choice_at_the_end_of_the_range_is_a_warning(models):
    answer = sweep(models / "network.py", "--over", "regularisation=10,1")
    assert answer.exit_code == 0
    assert "regularisation = 1 is the least of the values; widen --over" in answer.stderr


def test_no_value_converges(models, tmp_path):
    arguments = ["--over", "hidden=1,2", "--option", "max_iter=1", "--out", tmp_path]
    for more in ([], ["--resume"]):
        answer = sweep(models / "network.py", *arguments, *more)
        assert answer.exit_code == 1
        assert "iteration limit" in answer.stdout
        assert "no value of 'hidden' gave a converged fit" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["--over", "hiden=1,2"], ["no setting 'hiden'", "did you mean 'hidden'?"]),
        (["--over", "hidden"], ["--over takes name=value, not 'hidden'"]),
        (["--over", "hidden=3"], ["two values or more", "hidden=4,8,16"]),
        (["--over", "hidden=3,3"], ["two values or more"]),
        (["--over", "hidden=a,b"], ["--over hidden=a: 'a' is not an integer"]),
        (["--over", "hidden=1:x:3"], ["is no range", "first:last:count"]),
        (["--over", "hidden=0:8:3"], ["a range is logarithmic", "positive"]),
        (["--over", "hidden=1:8:1"], ["the count lies between 2 and"]),
        (["--over", "regularisation=-1,1"], ["L2"]),
        (["--over", "hidden=1,2", "--set", "hidden=3"], ["--set and --over both give 'hidden'"]),
        (["--holdout", "0"], ["'0' is neither a share between 0 and 1 nor an experiment", "run"]),
        (["--holdout", "nobody"], ["'nobody' is neither"]),
        (["--holdout", "run"], ["hold out at least one experiment and keep at least one"]),
        (["--holdout", ","], ["neither"]),
        (["--resume"], ["--resume goes on from a checkpoint; give its folder by --out"]),
        (["--scheme", "radua"], ["did you mean 'radau'?"]),
    ],
)
def test_bad_input(arguments, phrases, models):
    answer = sweep(models / "network.py", *arguments)
    assert answer.exit_code == 2, answer.output
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.strip().splitlines()) == 1
    for phrase in phrases:
        assert phrase in answer.stderr


def test_nothing_to_regularise(models):
    answer = sweep(models / "decay.py")
    assert answer.exit_code == 2
    assert "the model has no network to regularise" in answer.stderr


def test_foreign_files_are_left_alone(models, tmp_path):
    for text in ("mine", "[1]", '{"rows": 3}'):
        (tmp_path / "sweep.json").write_text(text)
        for more in ([], ["--resume"]):
            answer = sweep(models / "network.py", "--out", tmp_path, *more)
            assert answer.exit_code == 2
            assert "is not a checkpoint of a sweep" in answer.stderr
        assert (tmp_path / "sweep.json").read_text() == text
    (tmp_path / "sweep.json").unlink()
    (tmp_path / "sweep.csv").write_text("mine")
    answer = sweep(models / "network.py", "--out", tmp_path)
    assert answer.exit_code == 2
    assert "sweep.csv exists and was not written by collocode" in answer.stderr


def test_a_checkpoint_of_another_sweep(models, tmp_path):
    count = ["--no-plots", "--out", tmp_path]
    assert sweep(models / "network.py", "--over", "hidden=1,2", *count).exit_code == 0
    answer = sweep(models / "network.py", "--over", "regularisation=1,2", *count, "--resume")
    assert answer.exit_code == 2
    assert "belongs to a sweep over 'hidden'" in answer.stderr


def test_no_model():
    answer = CliRunner().invoke(app, ["sweep"])
    assert answer.exit_code == 2
    assert "give a model file" in answer.stderr


def test_values():
    assert parse_over("regularisation=1e-2:1e-4:3", ()) == ("regularisation", [0.01, 0.001, 0.0001])
    assert parse_over("regularisation=3,1", ()) == ("regularisation", [3.0, 1.0])


def test_progress_shows_the_value_and_the_iteration():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with counted_progress(console, "sweep hidden", ["4", "8", "16"], ["4"]) as bar:
        bar.look(Progress(7, 0.5, 1e-3))
        bar.advance()
        bar.advance()
    text = console.file.getvalue()
    for phrase in ("sweep hidden", "8", "1/3", "iteration 7, objective 5.00e-01", "best, all data"):
        assert phrase in text
    with counted_progress(Console(file=io.StringIO()), "sweep", ["4"]) as bar:
        assert bar.look is None
        bar.advance()


def test_a_time_limit_ends_it_and_says_so(models, tmp_path):
    answer = sweep(models / "network.py", "--time-limit", "1e-9", "--no-plots", "--out", tmp_path)
    assert answer.exit_code == 1
    assert "the time was over after 0 of 11 values" in answer.stderr
