"""``collocode horizon``: the loop of a model file, kept, taken up again, and reported."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app

TANK = '''
"""A tank whose level follows a set point."""
import collocode as cc

DEFAULTS = {"mesh": 8}
HORIZON = {"sample": 0.25, "moves": 3, "setpoints": {"level": "target"}}


def problem(leak: float = 1.0):
    """leak: rate of what flows out"""
    target = cc.Signal([0.0, 1.0], [0.5, 0.9], "zoh")
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [u.feed - leak * x.level]),
        cc.Window(
            end=2.0,
            controls={"feed": cc.Control(0.0, 2.0, kind="constant", unit="l/s")},
            inputs={"target": target},
            initial={"level": 0.2},
        ),
        states=("level",),
        bounds={"level": (0.0, 1.0)},
        costs=cc.Lagrange(
            lambda t, x, u, p, nn: (x.level - u.target) ** 2 + 1e-3 * u.feed**2, name="miss"
        ),
        name="Tank",
    )


def plant(leak: float = 1.0):
    return problem(leak=1.2 * leak)
'''


@pytest.fixture
def tank(tmp_path):
    path = tmp_path / "tank.py"
    path.write_text(TANK)
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})


def test_the_loop_is_run_reported_kept_and_taken_up(tank, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    answer = run("horizon", tank, "--out", out)
    assert answer.exit_code == 0, answer.output
    for words in ("all plans solved, 3 moves", "The plant's states", "3 of 3 solved", "l/s"):
        assert words in answer.output
    names = {path.name for path in out.iterdir()}
    assert {"loop.csv", "loop.npz", "closed_loop.png", "report.json", "report.html"} <= names
    more = run("horizon", tank, "--moves", 6, "--resume", "--no-plots", "--out", out)
    assert more.exit_code == 0, more.output
    at_once = run("horizon", tank, "--moves", 6, "--no-plots", "--out", whole)
    assert at_once.exit_code == 0
    tables = [np.genfromtxt(f / "loop.csv", delimiter=",", names=True) for f in (out, whole)]
    for name in ("time", "level", "feed"):
        np.testing.assert_allclose(tables[0][name], tables[1][name], atol=1e-7)
    report = json.loads((out / "report.json").read_text())
    assert report["kind"] == "closed loop"
    (row,) = report["tables"]["states"]["rows"]
    assert row["setpoint"] == 0.9
    assert row["gap"] > 1e-3  # the plant leaks more than the plan thinks


def test_a_loop_that_was_stopped_wants_to_be_taken_up(tank, tmp_path, monkeypatch):
    """Ctrl-C in the third plan: two moves are kept, and what follows is as if nothing had been."""
    out, plan, made = tmp_path / "out", cc.RecedingHorizon.plan, []

    def pressed(self, *args, **keywords):
        made.append(1)
        if len(made) == 3:
            import signal

            signal.raise_signal(signal.SIGINT)
        return plan(self, *args, **keywords)

    monkeypatch.setattr(cc.RecedingHorizon, "plan", pressed)
    stopped = run("horizon", tank, "--no-plots", "--out", out)
    monkeypatch.undo()
    assert stopped.exit_code == 130, stopped.output
    assert "2 moves of 3" in stopped.output
    anew = run("horizon", tank, "--no-plots", "--out", out)
    assert anew.exit_code == 2
    assert "2 of 3 moves of a closed loop" in " ".join(anew.output.split())
    resumed = run("horizon", tank, "--no-plots", "--resume", "--out", out)
    assert resumed.exit_code == 0, resumed.output
    assert len((out / "loop.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--moves", "0"], "makes at least one move"),
        (["--elements", "auto"], "which a horizon keeps; give a number"),
        (["--state", "depth=1"], "--state names 'depth', which is no state"),
        (["--state", "level=high"], "'high' is not a number"),
        (["--sample", "9"], "does not lie within the window"),
    ],
)
def test_wrong_options_are_one_sentence(tank, arguments, message):
    answer = run("horizon", tank, *arguments)
    assert answer.exit_code == 2
    assert message in " ".join(answer.output.split())


def test_wrong_names_in_the_model_are_told(tank, tmp_path):
    tank.write_text(TANK.replace('"moves": 3', '"movs": 3'))
    answer = run("horizon", tank)
    assert "HORIZON has 'movs', which does not exist; did you mean 'moves'?" in " ".join(
        answer.output.split()
    )
    tank.write_text(TANK.replace('{"level": "target"}', '{"level": "aim"}'))
    assert "has no given input 'aim'" in " ".join(run("horizon", tank).output.split())
    tank.write_text(TANK.replace("HORIZON = {", "HORIZON = 3 or {"))
    assert "HORIZON is no mapping" in " ".join(run("horizon", tank).output.split())


def test_the_help_fits_in_eighty_columns(tank):
    answer = CliRunner().invoke(app, ["horizon", str(tank), "--help"], env={"COLUMNS": "80"})
    assert answer.exit_code == 0
    assert max(map(len, answer.output.splitlines())) <= 80
    assert "Close the loop" in answer.output
    assert "leak" in answer.output


def test_a_loop_of_another_model_is_refused(tank, tmp_path):
    out = tmp_path / "out"
    assert run("horizon", tank, "--no-plots", "--out", out).exit_code == 0
    tank.write_text(TANK.replace('"Tank"', '"Another tank"'))
    answer = run("horizon", tank, "--no-plots", "--resume", "--out", out)
    assert "which this model on this mesh did not plan" in " ".join(answer.output.split())
    assert Path(out / "loop.npz").exists()
