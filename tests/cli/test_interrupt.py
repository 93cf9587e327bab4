"""Ctrl-C, a full disk, a closed pipe: real processes, and a real signal at a place, not at a time."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from collocode.cli.main import app
from tests.cli.small_models import DECAY, NETWORK
from tests.cli.test_grow import MODEL as CURVE
from tests.cli.test_refine_layers import SQUARES
from tests.cli.test_relu import MODEL as TENT
from tests.waiting import HANGS

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


def pressed(place, count, *arguments):
    """Run a command and press Ctrl-C when it is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, place, str(count), *map(str, arguments)],
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
            break
    stdout, stderr = process.communicate(timeout=HANGS)
    assert "PRESS\n" in lines, "".join(lines) + stderr
    return Ended(process.returncode, stdout, "".join(lines) + stderr)


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
    "refine": ("network.py", ["--tol", "1e-12"], "collocode.adapt.refine:_Meshes.solve", 2, "refinement.csv"),
    "refine, layers": ("squares.py", [], f"{LAYERS}.refinement.refine_layers:train", 2, "last.npz"),
    "admm": ("network.py", ["--tolerance", "1e-14"], "collocode.coordination.admm:ADMM.step", 2, "checkpoint.npz"),
    "train": ("squares.py", [], f"{LAYERS}.trainers.run:Run.report", 5, "training.npz"),
    "grow": ("curve.py", [], f"{LAYERS}.growth.grow:train", 2, "growth.npz"),
    "relu, training": ("tent.py", [], "jax.random:split", 2, "network.npz"),
    "relu, searching": ("tent.py", [], "collocode.relu.optimise:solve_mip", 1, "optimum.csv"),
    "simulate": ("solution.npz", [], "collocode.reports.folder:Folder.write", 1, "simulation.json"),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_every_verb_keeps_what_there_is(what, models, tmp_path):
    name, more, place, count, kept = CASES[what]
    if what.startswith("relu"):
        pytest.importorskip("optax")
        pytest.importorskip("highspy")
    verb, out = what.split(",")[0], tmp_path / "out"
    plain = [] if verb == "simulate" else ["--no-plots"]
    done = pressed(place, count, verb, models / name, *more, *plain, "--out", out)
    assert done.code == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert (out / kept).exists(), done.stderr
    assert (out / "report.json").exists() == (verb not in ("sweep", "simulate"))
    assert not [p.name for p in out.iterdir() if p.name.startswith(".")]
