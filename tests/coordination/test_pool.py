"""A pool of processes: the iterates of one process, whatever happens to its own."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from collocode.coordination.executors import Stopped
from collocode.coordination.pool import ProcessPool
from collocode.results.status import Termination
from tests.waiting import HANGS, until

from .faulty import at, environment


@pytest.fixture(scope="module")
def pool(case):
    executor = case.open(ProcessPool(2))
    yield executor
    executor.close()


def same(state, other):
    np.testing.assert_array_equal(state.consensus.z, other.consensus.z)
    for ours, theirs in zip(state.points, other.points, strict=True):
        if ours is not None:
            np.testing.assert_array_equal(ours.x, theirs.x)
            np.testing.assert_array_equal(ours.lam_g, theirs.lam_g)


def test_the_iterates_are_those_of_one_process(case, pool, undisturbed):
    state, termination, warnings = case.run(pool)
    assert (termination, warnings) == (Termination.ITERATION_LIMIT, [])
    same(state, undisturbed)
    assert [row.simulated_objective for row in state.history] == pytest.approx(
        [row.simulated_objective for row in undisturbed.history], rel=1e-12, nan_ok=True
    )


def test_data_travel_once(case, pool):
    case.run(pool, 1, simulate=False)
    before = pool.traffic[0]
    case.run(pool, 1, simulate=False)
    n = len(case.first.consensus.z)
    # two vectors of the consensus' length a task, no data; a pickle adds a few hundred bytes
    assert pool.traffic[0] - before < len(case.batches) * (2 * 8 * n + 600)


@pytest.mark.parametrize("when", ["in a solve", "between iterations"])
def test_a_killed_process_costs_nothing_but_time(case, pool, undisturbed, told, when):
    def kill():
        if when == "in a solve":
            told("die once")
        else:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    state, termination, warnings = case.run(pool, on_iteration=at(2, kill))
    assert (termination, warnings) == (Termination.ITERATION_LIMIT, [])
    same(state, undisturbed)


def test_an_exception_is_tried_again_in_another_process(case, pool, undisturbed, told):
    place = dict(pool._place)
    state, _, warnings = case.run(pool, on_iteration=at(2, lambda: told("raise once")))
    assert warnings == []
    assert [b for b, p in pool._place.items() if p != place[b]] == [2]
    same(state, undisturbed)


def test_a_batch_that_kills_every_process_keeps_its_point(case, pool, told, folder):
    states = []

    def relent(answer):
        if answer.rescue == "kept":
            (folder / "die").unlink()

    state, termination, warnings = case.run(
        pool, 3, save=states.append, on_iteration=at(2, lambda: told("die")), on_batch=relent
    )
    assert termination is Termination.ITERATION_LIMIT
    assert warnings == [
        "batch 'run 2' keeps its last point (its worker died 3 times in one iteration; is there "
        "enough memory?)."
    ]
    moved = [
        not np.array_equal(new.x, old.x)
        for new, old in zip(state.points, states[1].points, strict=True)
    ]
    assert moved == [True, True, False, True]


def test_a_stop_gives_the_iteration_up_and_the_pool_goes_on(case, pool, undisturbed):
    seen = []
    with pytest.raises(Stopped):
        pool.run(case.tasks(), seen.append, stop=lambda: len(seen) == 1)
    assert len(seen) == 1
    same(case.run(pool)[0], undisturbed)


def test_the_time_limit_ends_after_whole_iterations(case, pool):
    state, termination, _ = case.run(pool, 50, time_limit=0.0)
    assert termination is Termination.TIME_LIMIT
    assert state.iteration == 1


SCRIPT = """
import sys, multiprocessing
from pathlib import Path
import collocode as cc
from tests.coordination.faulty import oscillators

def note(row):
    Path(sys.argv[1]).write_text(" ".join(str(p.pid) for p in multiprocessing.active_children()))

print("once")  # there is no main guard, and none is needed
problem = oscillators()
found = cc.admm(
    problem,
    4,
    rules=cc.ADMMRules(absolute=1e-300, relative=0.0, iterations=100000),
    executor=cc.ProcessPool(2),
    settings=cc.FitSettings(mesh=8),
    callbacks=cc.Callbacks(note),
)
print(found.termination.name, found.solution.result.termination.name, len(found.history) > 0)
"""


def gone(pid):
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def both(note):
    """The two processes that are noted, or nothing while they are not."""
    pids = note.read_text().split() if note.exists() else []
    return pids if len(pids) == 2 else []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_orphans_whatever_ends_the_coordinator(tmp_path, how):
    note = tmp_path / "pids"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = subprocess.Popen(
        [sys.executable, str(script), str(note)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(),
    )
    children = [int(pid) for pid in until(lambda: both(note))]
    os.killpg(run.pid, how) if how is signal.SIGINT else os.kill(run.pid, how)
    said, complained = run.communicate(timeout=HANGS)
    if how is signal.SIGINT:
        assert run.returncode == 0
        assert said.split() == ["once", "INTERRUPTED", "CONVERGED", "True"]
        assert complained == ""
    until(lambda: all(gone(pid) for pid in children))
