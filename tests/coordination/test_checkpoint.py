"""Checkpoints: everything that a run needs to go on, and nothing that is not of this run."""

import errno
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import collocode as cc
from collocode.coordination.executors import InProcess
from collocode.coordination.state import table
from collocode.results.status import Termination
from tests.waiting import HANGS

from .faulty import Case, environment, oscillators
from .problems import admm


def started(case):
    return case.open(InProcess())


@pytest.fixture(scope="module")
def midway(case):
    """The state after two of four iterations."""
    states = []
    case.run(started(case), save=states.append)
    return states[1]


@pytest.fixture
def file(case, midway, tmp_path):
    checkpoint = case.checkpoint(tmp_path / "run.npz")
    checkpoint.write(midway)
    return checkpoint


def test_nothing_is_lost(case, midway, file):
    state = file.read(case.first)
    np.testing.assert_array_equal(state.consensus.z, midway.consensus.z)
    assert state.consensus.rho == midway.consensus.rho
    assert state.consensus.seen == midway.consensus.seen
    assert state.best[0] == midway.best[0]
    for ours, theirs in zip(state.points, midway.points, strict=True):
        for part in ("x", "lam_g", "lam_x"):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
    for ours, theirs in zip(state.consensus.duals, midway.consensus.duals, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pd.testing.assert_frame_equal(table(state.history), table(midway.history), rtol=0, atol=0)


def test_a_resumed_run_ends_where_the_whole_one_does(case, file, undisturbed):
    state, _, _ = case.run(started(case), state=file.read(case.first))
    np.testing.assert_array_equal(state.consensus.z, undisturbed.consensus.z)
    assert state.iteration == undisturbed.iteration


def test_points_that_stay_with_the_workers_are_not_in_it(case, midway, tmp_path):
    file = case.checkpoint(tmp_path / "run.npz")
    file.write(replace(midway, points=(None, *midway.points[1:])))
    points = file.read(case.first).points
    assert points[0] is None
    np.testing.assert_array_equal(points[1].x, midway.points[1].x)


def test_a_damaged_file_is_refused(case, file):
    whole = file.path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole[: rng.integers(0, len(whole))])
        file.path.write_bytes(damaged)
        with pytest.raises(cc.FileError, match="not a checkpoint of an ADMM run, or it is damaged"):
            file.read(case.first)
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[rng.integers(0, len(whole))] ^= 0xFF
        file.path.write_bytes(damaged)
        try:  # some bytes of a zip file, such as dates, mean nothing
            file.read(case.first)
        except cc.FileError:
            refused += 1
    assert refused > 20


def test_a_file_of_something_else_is_refused(case, file):
    np.savez(file.path, z=np.zeros(3))
    with pytest.raises(cc.FileError, match="not a checkpoint"):
        file.read(case.first)
    file.path.unlink()
    with pytest.raises(cc.FileError, match="there is no checkpoint"):
        file.read(case.first)


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("data and mesh", lambda e: replace(e, values=e.values + 1e-9)),
        ("data and mesh", lambda e: replace(e, weights=np.full(e.values.shape, 2.0))),
        ("data and mesh", lambda e: replace(e, initial={"x": 0.5})),
        ("data and mesh", lambda e: replace(e, parameters={"k": 1.0})),
    ],
)
def test_a_run_on_other_data_is_refused(folder, file, case, what, changed):
    problem = oscillators(str(folder))
    experiments = [changed(problem.experiments[0]), *problem.experiments[1:]]
    other = Case.of(replace(problem, experiments=experiments))
    with pytest.raises(cc.FileError, match=f"was made with other {what}"):
        other.checkpoint(file.path).read(other.first)


def test_other_batches_and_penalties_are_refused(folder, file):
    problem = oscillators(str(folder))
    other = Case.of(problem, 2)
    with pytest.raises(cc.FileError, match="was made with other"):
        other.checkpoint(file.path).read(other.first)
    other = replace(Case.of(problem), penalty=cc.L1(1e-4))
    with pytest.raises(cc.FileError, match=r"other regularisation \(L2 0.0001.*, now L1"):
        other.checkpoint(file.path).read(other.first)


def test_a_folder_that_is_not_there_is_refused_at_once(case, tmp_path):
    with pytest.raises(cc.FileError, match="create it or name another"):
        case.checkpoint(tmp_path / "nowhere" / "run.npz")


def full_disk(file):
    """Write with no more than a kilobyte for any file: the system's own refusal."""

    def write(state):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
        try:
            file.write(state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return write


def test_a_full_disk_is_noted_and_stops_nothing(case, file, midway, undisturbed, tmp_path):
    before = file.path.read_bytes()
    state, termination, warnings = case.run(started(case), save=full_disk(file))
    assert termination is Termination.ITERATION_LIMIT
    (warning,) = warnings  # once, not in every iteration
    assert warning.startswith(f"cannot write the checkpoint {file.path} (")
    assert warning.endswith("the run goes on without.")
    np.testing.assert_array_equal(state.consensus.z, undisturbed.consensus.z)
    assert file.path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_no_step_of_writing_harms_the_last_checkpoint(file, midway, monkeypatch, tmp_path, step):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = file.path.read_bytes()
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(cc.FileError, match="No space left on device"):
        file.write(midway)
    assert file.path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


SCRIPT = """
import os, signal, sys
from tests.coordination.faulty import oscillators
from tests.coordination.problems import admm

def die(row):
    if row.iteration == 3:
        os.kill(os.getpid(), signal.SIGKILL)

admm(oscillators(), 4, mesh=8, iterations=5, checkpoint=sys.argv[1], on_iteration=die)
"""


def test_a_killed_program_is_resumed_to_the_last_bit(tmp_path):
    path = tmp_path / "run.npz"
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        env=environment(),
        timeout=HANGS,
    )
    assert run.returncode == -signal.SIGKILL
    how = {"mesh": 8, "iterations": 5}
    resumed = admm(oscillators(), 4, checkpoint=cc.Checkpoint(path, resume=True), **how)
    whole = admm(oscillators(), 4, **how)
    assert resumed.consensus == whole.consensus
    assert len(resumed.history) == len(whole.history)
    same = ["primal", "dual", "rho", "objective", "simulated_objective", "batch_mse", "steps"]
    assert resumed.history[same].equals(whole.history[same])
    np.testing.assert_array_equal(resumed.solution.result.x, whole.solution.result.x)
