"""Dask: the iterates of one process on real schedulers and workers, and what is left of them."""

import importlib
import json
import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.cluster import Cluster, balanced
from collocode.coordination.executors import InProcess, WorkerError
from collocode.coordination.state import Ending
from tests.waiting import HANGS, SEEN, until

from .faulty import at

pytest.importorskip("distributed")


class Processes:
    """A scheduler and workers, each a process that can be killed."""

    def __init__(self, folder):
        self.file, self.started, self.workers = folder / "scheduler.json", [], []
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--host", "127.0.0.1")

    def _start(self, what, *options):
        command = [sys.executable, "-m", f"distributed.cli.{what}", *options, "--no-dashboard"]
        command += ["--scheduler-file", str(self.file)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = dict(os.environ, PYTHONPATH=SEEN, MAY_DIE="1")
        self.started.append(subprocess.Popen(command, env=environment, **quiet))
        return self.started[-1]

    def add(self, number=1):
        for _ in range(number):
            self.workers.append(self._start("dask_worker", "--nthreads", "1", "--no-nanny"))

    @property
    def address(self):
        until(self.file.exists)
        return json.loads(self.file.read_text())["address"]

    def close(self):
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    processes = Processes(tmp_path_factory.mktemp("dask"))
    processes.add(2)
    yield processes
    processes.close()


def wait_for(monkeypatch, reach, patience, alone):
    """Set how many seconds the product waits before it gives up."""
    link = importlib.import_module("collocode.coordination.dask_link")
    monkeypatch.setattr(link, "_REACH", reach)
    monkeypatch.setattr(link, "_PATIENCE", patience)
    monkeypatch.setattr(importlib.import_module("collocode.coordination.cluster"), "_ALONE", alone)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """However busy the machine is, nobody who is alive is taken for dead."""
    wait_for(monkeypatch, HANGS, HANGS, HANGS)


@pytest.fixture
def give_up(monkeypatch):
    """From the call on, do not wait long for what is dead."""
    return lambda: wait_for(monkeypatch, 2.0, 4.0, 1.0)


@pytest.fixture
def cluster(dask, case):
    executor = Cluster(case.batches, case.settings, scheduler=dask.address)
    until(lambda: executor._link.workers() and len(executor._link.workers()) == 2)
    yield executor
    executor.close()


def same(state, other):
    np.testing.assert_array_equal(state.consensus.z, other.consensus.z)


def test_the_iterates_are_those_of_one_process(case, cluster, undisturbed):
    state, ending, troubles = case.run(cluster)
    assert (ending, troubles, cluster.workers) == (Ending.ITERATION_LIMIT, [], 2)
    same(state, undisturbed)
    for ours, theirs in zip(state.points, undisturbed.points, strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.lam_g, theirs.lam_g)


def test_points_may_stay_with_the_workers(case, dask, undisturbed):
    executor = Cluster(case.batches, case.settings, scheduler=dask.address, keep=True)
    state, _, _ = case.run(executor)
    executor.close()
    same(state, undisturbed)
    assert state.points == (None,) * 4


def test_an_exception_is_tried_again_at_another_worker(case, cluster, undisturbed, told):
    state, _, troubles = case.run(cluster, on_iteration=at(2, lambda: told("raise once")))
    assert troubles == []
    same(state, undisturbed)


def test_the_users_error_names_the_batch(case, cluster, told):
    told("misuse")
    with pytest.raises(cc.InputError, match=r"batch 'run 2': the sensor was never connected\."):
        case.run(cluster)


def test_a_stop_cancels_what_is_under_way(case, cluster, undisturbed):
    state, ending, _ = case.run(cluster, 50, seconds=0.0)
    assert (ending, state.iteration) == (Ending.TIME_LIMIT, 1)
    assert cluster._pending == {}
    same(case.run(cluster)[0], undisturbed)


def test_a_killed_worker_costs_nothing_but_time(case, cluster, dask, undisturbed, told, capfd):
    state, ending, troubles = case.run(cluster, on_iteration=at(2, lambda: told("die once")))
    assert (ending, troubles, cluster.workers) == (Ending.ITERATION_LIMIT, [], 1)
    same(state, undisturbed)
    assert capfd.readouterr() == ("", "")

    # the next iterations are shared with a worker that joins
    dask.add()
    until(lambda: len(cluster._link.workers()) == 2)
    same(case.run(cluster)[0], undisturbed)
    assert sorted(len(known) for known in cluster._knows.values()) == [2, 4]
    assert len(set(cluster._place.values())) == 2


def test_a_scheduler_that_hangs_ends_the_run(case, dask, give_up, capfd):
    executor = Cluster(case.batches, case.settings, scheduler=dask.address)

    def hang():
        dask.scheduler.send_signal(signal.SIGSTOP)
        give_up()

    try:
        state, ending, troubles = case.run(executor, on_iteration=at(2, hang))
        executor.close()
    finally:
        dask.scheduler.send_signal(signal.SIGCONT)
    assert (ending, state.iteration) == (Ending.WORKERS_LOST, 2)
    assert troubles == [f"the Dask scheduler at {dask.address} does not answer."]
    assert capfd.readouterr() == ("", "")


def test_a_lost_scheduler_ends_the_run_and_it_can_be_resumed(
    case, dask, give_up, undisturbed, tmp_path, capfd
):
    cluster = Cluster(case.batches, case.settings, scheduler=dask.address)
    file = case.checkpoint(tmp_path / "run.npz")

    def kill():
        dask.scheduler.kill()
        give_up()

    state, ending, troubles = case.run(cluster, save=file.write, on_iteration=at(2, kill))
    assert ending is Ending.WORKERS_LOST
    assert state.iteration == 2
    (trouble,) = troubles
    assert dask.address in trouble
    assert trouble.endswith(
        "The checkpoint holds the last complete iteration; resume goes on from it."
    )
    cluster.close()
    assert capfd.readouterr() == ("", "")

    again = case.run(InProcess(case.batches, case.settings), state=file.read(case.first))[0]
    same(again, undisturbed)


def test_a_cluster_without_workers_says_so(case, tmp_path, monkeypatch):
    wait_for(monkeypatch, HANGS, HANGS, 1.0)
    processes = Processes(tmp_path)
    try:
        with pytest.raises(WorkerError, match=f"{processes.address} has no workers; start some"):
            Cluster(case.batches, case.settings, scheduler=processes.address)
    finally:
        processes.close()


def test_a_wrong_address_is_named(case, give_up):
    give_up()
    with pytest.raises(WorkerError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:1'"):
        Cluster(case.batches, case.settings, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(cc.InputError, match="not 'nowhere'"):
        Cluster(case.batches, case.settings, scheduler="nowhere")


def test_without_distributed_the_extra_is_named(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(cc.MissingDependency, match=r"pip install 'collocode\[cluster\]'"):
        Cluster(case.batches, case.settings)


@pytest.mark.slow  # the start of a LocalCluster depends on what else the machine does
def test_a_cluster_of_our_own(case, undisturbed, capfd):
    executor = Cluster(case.batches, case.settings, 2, "local")
    level = logging.getLogger("distributed").level
    state, _, troubles = case.run(executor)
    assert (troubles, executor.workers) == ([], 2)
    same(state, undisturbed)
    executor.close()
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("distributed").level < level


@pytest.mark.parametrize("workers", [["a"], ["a", "b"], ["a", "b", "c", "d", "e"]])
def test_batches_are_balanced_and_stay(workers):
    sizes = [4, 4, 2, 2, 2, 2]
    place = balanced({}, sizes, workers)
    load = {w: sum(sizes[b] for b in place if place[b] == w) for w in workers}
    assert max(load.values()) - min(load.values()) <= 4
    assert balanced(place, sizes, workers) == place
    more = balanced(place, sizes, [*workers, "new"])
    assert "new" in more.values()
    stayed = [b for b in place if more[b] == place[b]]
    assert sum(sizes[b] for b in stayed) >= sum(sizes) - 2 * max(load.values())
    fewer = balanced(place, sizes, [*workers[1:], "new"], move=False)
    assert all(fewer[b] == place[b] for b in place if place[b] in workers[1:])
