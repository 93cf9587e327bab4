"""Ctrl-C, a full disk, a closed pipe: real processes, and a real signal at a place, not at a time."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter

import pandas as pd
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from collocode.plots import style
from collocode.solvers.interrupt import interrupted
from tests.cli.small_models import DECAY, NETWORK
from tests.cli.test_grow import MODEL as CURVE
from tests.cli.test_refine_layers import SQUARES
from tests.cli.test_relu import MODEL as TENT
from tests.waiting import HANGS, until

# runs a command that waits for Ctrl-C at the COUNT-th call of MODULE:FUNCTION
WAITING = """
import sys, time
from importlib import import_module
from operator import attrgetter
from collocode.cli.main import app
from collocode.solvers.interrupt import interrupted

(module, path), count = sys.argv.pop(1).split(":"), int(sys.argv.pop(1))
*owner, name = path.split(".")
owner = attrgetter(".".join(owner))(import_module(module)) if owner else import_module(module)
whole, calls = getattr(owner, name), []

def waiting(*given, **named):
    calls.append(name)
    if len(calls) == count:
        print("PRESS", file=sys.stderr, flush=True)
        while not interrupted():
            time.sleep(0.01)
    return whole(*given, **named)

setattr(owner, name, waiting)
app(prog_name="collocode")
"""
ITERATION = "collocode.solvers.protocol:Watch.look"  # of IPOPT


@dataclass
class Ended:
    """What a process left."""

    code: int
    stdout: str
    stderr: str


def run(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done


def pressed(place, count, *arguments, code=WAITING, presses=1):
    """Run a command and press Ctrl-C when it is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, place, str(count), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line == "PRESS\n":
            process.send_signal(signal.SIGINT)
            presses -= 1
        if not presses:
            break
    stdout, stderr = process.communicate(timeout=HANGS)
    assert "PRESS\n" in lines, "".join(lines) + stderr
    return Ended(process.returncode, stdout, "".join(lines) + stderr)


def pressed_here(patch, place, count, *arguments):
    """The same within this process, which has all imported: the signal is real, the process is not its own."""
    module, path = place.split(":")
    *owner, name = path.split(".")
    owner = attrgetter(".".join(owner))(import_module(module)) if owner else import_module(module)
    whole, calls = getattr(owner, name), []

    def waiting(*given, **named):
        calls.append(name)
        if len(calls) == count:
            signal.raise_signal(signal.SIGINT)
            until(interrupted)
        return whole(*given, **named)

    patch.setattr(owner, name, waiting)
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "80"})
    patch.undo()
    assert len(calls) >= count, done.output
    return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    texts = {"decay": DECAY, "network": NETWORK, "curve": CURVE, "squares": SQUARES, "tent": TENT}
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    run("solve", folder / "decay.py", "--out", folder / "fit", "--no-plots")
    (folder / "fit" / "solution.npz").rename(folder / "solution.npz")
    run("export", folder / "decay.py", "--to", folder / "decay.nl")
    return folder


# model, further arguments, where Ctrl-C is pressed, and the file that has what is kept
LAYERS = "collocode.layered"
CASES = {
    "solve": ("network.py", [], ITERATION, 3, "solution.npz"),
    "solve, comparing starts": ("network.py", [], "collocode.starts.ladder:Ladder.offer", 1, "solution.npz"),
    "solve, a program": ("decay.nl", [], ITERATION, 2, "decay.sol"),
    "multistart": ("network.py", ["--seeds", "3"], "collocode.identify.multistart:solve_begun", 2, "multistart.csv"),
    "sweep": ("network.py", ["--over", "hidden=1,2,3"], "collocode.identify.sweep:_Trials.row_of", 3, "sweep.json"),
    "refine": ("network.py", ["--tol", "1e-12"], "collocode.adapt.refine:Meshes.solve", 2, "refinement.csv"),
    "refine, layers": ("squares.py", [], f"{LAYERS}.refinement.method:train", 2, "last.npz"),
    "admm": ("network.py", ["--tolerance", "1e-14", "--method", "admm"], "collocode.coordination.admm:ADMM.step", 2, "checkpoint.npz"),
    "admm, newton": ("network.py", ["--tolerance", "1e-14"], "collocode.coordination.newton:Newton.iterate", 2, "checkpoint.npz"),
    "train": ("squares.py", [], f"{LAYERS}.trainers.run:Run.report", 5, "training.npz"),
    "grow": ("curve.py", [], f"{LAYERS}.growth.grow:train", 2, "growth.npz"),
    "relu, training": ("tent.py", [], "jax.random:split", 2, "network.npz"),
    "relu, searching": ("tent.py", [], "collocode.relu.optimise:solve_mip", 1, "optimum.csv"),
    "simulate": ("solution.npz", [], "collocode.reports.folder:Folder.write", 1, "simulation.json"),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_every_verb_keeps_what_there_is(what, models, tmp_path, monkeypatch):
    """The first case of a verb is a process of its own; the others are pressed within this one."""
    name, more, place, count, kept = CASES[what]
    if what.startswith("relu"):
        pytest.importorskip("optax")
        pytest.importorskip("highspy")
    verb, out = what.split(",")[0], tmp_path / "out"
    plain = [] if verb == "simulate" else ["--no-plots"]
    command = [verb, models / name, *more, *plain, "--out", out]
    if what == next(case for case in CASES if case.split(",")[0] == verb):
        done = pressed(place, count, *command)
    else:
        done = pressed_here(monkeypatch, place, count, *command)
    assert done.code == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert (out / kept).exists(), done.stderr
    assert (out / "report.json").exists() == (verb not in ("sweep", "simulate"))
    assert not [p.name for p in out.iterdir() if p.name.startswith(".")]


def test_a_refinement_goes_on_from_its_last_mesh(models, tmp_path, monkeypatch):
    again = ["refine", models / "network.py", "--tol", "1e-12", "--no-plots", "--out", tmp_path]
    done = pressed_here(monkeypatch, "collocode.adapt.refine:Meshes.solve", 3, *again)
    assert done.code == 130, done.stderr
    first = pd.read_csv(tmp_path / "refinement.csv")
    assert len(first) == 2
    assert first["solved"].all()
    assert cc.load(tmp_path / "solution.npz").success
    more = [*again, "--max-cycles", "1", "--start", tmp_path / "solution.npz"]
    CliRunner().invoke(app, list(map(str, more)))
    second = pd.read_csv(tmp_path / "refinement.csv")
    assert list(second["elements"]) == [first["elements"].iloc[-1]]
    assert second["objective"].iloc[0] == pytest.approx(first["objective"].iloc[-1], rel=1e-6)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["command"]["start"] == str(tmp_path / "solution.npz")


def test_the_seeds_that_are_left_are_named(models, monkeypatch):
    place = "collocode.identify.multistart:solve_begun"
    done = pressed_here(
        monkeypatch, place, 2, "multistart", models / "network.py", "--seeds", "5,1,7,2"
    )
    assert done.code == 130, done.stderr
    assert "interrupted in the 2 seeds" not in done.stdout
    assert "the others are --seeds 7,2" in done.stderr


def test_while_the_model_is_built_there_is_nothing_to_keep(models, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = ["solve", models / "decay.py", "--no-plots", "--out", out]
    done = pressed_here(monkeypatch, "collocode.cli.run:load_model", 1, *command)
    assert done.code == 130, done.stderr
    assert done.stderr.endswith("interrupted; nothing more was written.\n")
    assert not out.exists()


def test_the_second_one_stops_at_once(models, tmp_path):
    again = 'print("PRESS", file=sys.stderr, flush=True); time.sleep(600)'
    code = WAITING.replace(
        "    return whole", f"    if len(calls) == count: {again}\n    return whole"
    )
    out = tmp_path / "out"
    command = ["refine", models / "network.py", "--tol", "1e-12", "--no-plots", "--out", out]
    done = pressed("collocode.adapt.refine:Meshes.solve", 2, *command, code=code, presses=2)
    assert done.code == 130, done.stderr
    assert done.stderr.endswith("interrupted; nothing more was written.\n")
    assert not list(out.iterdir())


def test_what_is_being_written_is_written(models, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = ["solve", models / "decay.py", "--no-plots", "--out", out]
    done = pressed_here(monkeypatch, "collocode.reports.folder:Folder.write", 1, *command)
    assert done.code == 130, done.stderr
    assert cc.load(out / "solution.npz").success
    assert "wrote" in done.stdout


def test_an_interrupted_export_has_the_best_iterate(models, tmp_path):
    file = tmp_path / "net.npz"
    done = pressed(ITERATION, 3, "export", models / "network.py", "--to", file)
    assert done.code == 130, done.stderr
    assert file.exists()
    assert "not solved: interrupted" in done.stderr


# ---- what cannot be shown or written ---------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_an_encoding_that_lacks_characters_costs_nothing(models, tmp_path, encoding):
    runner = CliRunner(charset=encoding)
    command = ["solve", models / "decay.py", "--no-plots", "--out", tmp_path]
    done = runner.invoke(app, list(map(str, command)), env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert (tmp_path / "solution.npz").exists()
    shown = done.stdout_bytes.decode(encoding)
    assert "95 % interval" in shown
    assert " ~ " in shown or " … " in shown
    assert runner.invoke(app, ["schemes"]).exit_code == 0


@pytest.mark.parametrize("where", ["pipe", "/dev/full", "closed"])
def test_nobody_reads(models, tmp_path, where):
    """Files are written first, and whoever reads no further does not change how it ended."""
    if where == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(os.devnull if where == "closed" else where, os.O_WRONLY)
    command = [sys.executable, "-m", "collocode", "solve", models / "decay.py", "--no-plots"]
    shell = 'exec "$@" >&-' if where == "closed" else 'exec "$@"'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *map(str, command), "--out", tmp_path],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANGS,
        check=False,
    )
    os.close(writing)
    assert done.returncode == (2 if where == "/dev/full" else 0), done.stderr
    assert ("cannot print the report (No space left on device)" in done.stderr) == (
        where == "/dev/full"
    )
    assert "Traceback" not in done.stderr
    assert cc.load(tmp_path / "solution.npz").success
    assert json.loads((tmp_path / "report.json").read_text())["result"]["success"]


@pytest.fixture
def simulated(models, tmp_path):
    """A folder with the files of an earlier run, and the command that writes it again."""
    out = tmp_path / "out"
    return ["simulate", models / "solution.npz", "--points", "5", "--out", out], out


def limited(command, size):
    """Run a command where no file may have more than ``size`` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        return CliRunner().invoke(app, list(map(str, command)), env={"COLUMNS": "80"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_costs_the_figures_first(simulated, monkeypatch):
    monkeypatch.setattr(style, "DPI", 100)  # so that the figure is the largest file
    command, out = simulated
    run(*command)
    (figure,) = out.glob("*.png")
    (table,) = out.glob("*.csv")
    table.write_text("old")
    done = limited(command, figure.stat().st_size - 1)
    assert done.exit_code == 2
    assert "No space left" in done.stderr or "File too large" in done.stderr
    assert f"The files, without figures, are in {out}." in done.stderr.replace("\n", "")
    assert table.read_text() != "old"
    assert not figure.exists()
    assert "Simulation" in done.stdout or "simulat" in done.stdout


def test_a_folder_that_is_full_has_another_beside_it(simulated, monkeypatch, tmp_path):
    command, out = simulated
    run(*command)
    before = {path: path.read_bytes() for path in out.iterdir()}
    replace = os.replace

    def full(source, target):
        if target.parent == out:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = CliRunner().invoke(app, list(map(str, command)), env={"COLUMNS": "80"})
    assert done.exit_code == 2
    (place,) = tmp_path.glob("collocode-*")
    assert f"are in {place}." in done.stderr.replace("\n", "")
    assert {"simulation.json"} < {path.name for path in place.iterdir()}
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_where_nothing_can_be_written_the_report_is_shown(simulated):
    command, out = simulated
    whole = run(*command).stdout
    before = {path: path.read_bytes() for path in out.iterdir()}
    done = limited(command, 10)
    assert done.exit_code == 2
    assert done.stdout.strip() == whole[: whole.index("wrote")].strip()
    assert "File too large" in done.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_ctrl_c_while_the_command_line_is_imported_is_one_sentence():
    pressed = """
import sys
from collocode.__main__ import main

class Pressed:
    def find_spec(self, name, *_):
        if name == "collocode.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed())
main()
"""
    done = subprocess.run([sys.executable, "-c", pressed], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: interrupted; nothing was begun.\n"
