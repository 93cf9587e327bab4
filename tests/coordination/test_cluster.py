"""Dask: the iterates of one process on real schedulers and workers, and what is left of them."""

import gc
import importlib
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from collocode.coordination.dask_client import security_from
from collocode.coordination.executors import InProcess, WorkerError, balanced
from collocode.results.status import Termination
from tests.cli.small_models import DECAY
from tests.waiting import HANGS, until

from .faulty import at, environment

distributed = pytest.importorskip("distributed")


class Processes:
    """A scheduler and workers, each a process that can be killed."""

    def __init__(self, folder, *options):
        self.file, self.started, self.workers = folder / "scheduler.json", [], []
        self.options = options
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--host", "127.0.0.1")

    def _start(self, what, *options):
        command = [sys.executable, "-m", f"distributed.cli.{what}", *options, "--no-dashboard"]
        command += ["--scheduler-file", str(self.file), *self.options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.started.append(subprocess.Popen(command, env=environment(MAY_DIE="1"), **quiet))
        return self.started[-1]

    def add(self, number=1):
        for _ in range(number):
            self.workers.append(self._start("dask_worker", "--nthreads", "1", "--no-nanny"))

    @property
    def address(self):
        until(lambda: self._written() is not None)
        return self._written()["address"]

    def _written(self):
        """What the scheduler says in its file; None before all of it is there."""
        try:
            return json.loads(self.file.read_text())
        except (FileNotFoundError, ValueError):
            return None

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
    link = importlib.import_module("collocode.coordination.dask_client")
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
    session = case.open(cc.DaskCluster(dask.address))
    until(lambda: session._client.workers() and len(session._client.workers()) == 2)
    yield session
    session.close()


def same(state, other):
    np.testing.assert_array_equal(state.consensus.z, other.consensus.z)


def test_the_iterates_are_those_of_one_process(case, cluster, undisturbed):
    state, termination, warnings = case.run(cluster)
    assert (termination, warnings, cluster.workers) == (Termination.ITERATION_LIMIT, [], 2)
    same(state, undisturbed)
    for ours, theirs in zip(state.points, undisturbed.points, strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.lam_g, theirs.lam_g)


def test_points_may_stay_with_the_workers(case, dask, undisturbed):
    session = case.open(cc.DaskCluster(dask.address, points="workers"))
    state, _, _ = case.run(session)
    session.close()
    same(state, undisturbed)
    assert state.points == (None,) * 4


def test_an_exception_is_tried_again_at_another_worker(case, cluster, undisturbed, told):
    state, _, warnings = case.run(cluster, on_iteration=at(2, lambda: told("raise once")))
    assert warnings == []
    same(state, undisturbed)


def test_the_users_error_names_the_batch(case, cluster, told):
    told("misuse")
    with pytest.raises(cc.InputError, match=r"batch 'run 2': the sensor was never connected\."):
        case.run(cluster)


def test_a_stop_cancels_what_is_under_way(case, cluster, undisturbed):
    state, termination, _ = case.run(cluster, 50, time_limit=0.0)
    assert (termination, state.iteration) == (Termination.TIME_LIMIT, 1)
    assert cluster._pending == {}
    same(case.run(cluster)[0], undisturbed)


def test_a_killed_worker_costs_nothing_but_time(case, cluster, dask, undisturbed, told, capfd):
    state, termination, warnings = case.run(cluster, on_iteration=at(2, lambda: told("die once")))
    assert (termination, warnings, cluster.workers) == (Termination.ITERATION_LIMIT, [], 1)
    same(state, undisturbed)
    assert capfd.readouterr() == ("", "")

    # the next iterations are shared with a worker that joins
    dask.add()
    until(lambda: len(cluster._client.workers()) == 2)
    same(case.run(cluster)[0], undisturbed)
    assert sorted(len(known) for known in cluster._knows.values()) == [2, 4]
    assert len(set(cluster._place.values())) == 2


def test_a_scheduler_that_hangs_ends_the_run(case, dask, give_up, capfd):
    session = case.open(cc.DaskCluster(dask.address))

    def hang():
        dask.scheduler.send_signal(signal.SIGSTOP)
        give_up()

    try:
        found = case.outcome(session, on_iteration=at(2, hang))
        session.close()
    finally:
        dask.scheduler.send_signal(signal.SIGCONT)
    assert (found.termination, found.state.iteration) == (Termination.ERROR, 2)
    assert found.message == f"the Dask scheduler at {dask.address} does not answer."
    assert found.warnings == ()
    assert capfd.readouterr() == ("", "")


def test_a_lost_scheduler_ends_the_run_and_it_can_be_resumed(
    case, dask, give_up, undisturbed, tmp_path, capfd
):
    cluster = case.open(cc.DaskCluster(dask.address))
    file = case.checkpoint(tmp_path / "run.npz")

    def kill():
        dask.scheduler.kill()
        give_up()

    found = case.outcome(cluster, save=file.write, on_iteration=at(2, kill))
    assert found.termination is Termination.ERROR
    assert found.state.iteration == 2
    assert dask.address in found.message
    assert found.message.endswith(
        "The checkpoint holds the last complete iteration; resume goes on from it."
    )
    cluster.close()
    assert capfd.readouterr() == ("", "")

    again = case.run(case.open(InProcess()), state=file.read(case.first))[0]
    same(again, undisturbed)


def test_a_cluster_without_workers_says_so(case, tmp_path, monkeypatch):
    wait_for(monkeypatch, HANGS, HANGS, 1.0)
    processes = Processes(tmp_path)
    try:
        with pytest.raises(WorkerError, match=f"{processes.address} has no workers; start some"):
            case.open(cc.DaskCluster(processes.address))
    finally:
        processes.close()


def test_a_wrong_address_is_named(case, give_up):
    give_up()
    with pytest.raises(WorkerError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:1'"):
        case.open(cc.DaskCluster("tcp://127.0.0.1:1"))
    with pytest.raises(cc.InputError, match="not 'nowhere'"):
        case.open(cc.DaskCluster("nowhere"))


def test_without_distributed_the_extra_is_named(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(cc.MissingDependency, match=r"pip install 'collocode\[cluster\]'"):
        case.open(cc.DaskCluster())


@pytest.mark.slow  # the start of a LocalCluster depends on what else the machine does
def test_a_cluster_of_our_own(case, undisturbed, capfd):
    session = case.open(cc.DaskCluster(workers=2, memory_limit="1GB"))
    assert session._client.address.startswith("tls://")
    known = session._client._client.scheduler_info()["workers"].values()
    assert [worker["memory_limit"] for worker in known] == [10**9] * 2
    level = logging.getLogger("distributed").level
    state, _, warnings = case.run(session)
    assert (warnings, session.workers) == ([], 2)
    same(state, undisturbed)
    session.close()
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("distributed").level < level


# ---- certificates -----------------------------------------------------------------------------------


def certificates(folder):
    """Write the files of an authority of its own; return the options that name them."""
    made = distributed.Security.temporary()
    texts = {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.pem").write_text(text)
    names = {"--tls-ca-file": "ca", "--tls-cert": "cert", "--tls-key": "key"}
    return [part for flag, name in names.items() for part in (flag, str(folder / f"{name}.pem"))]


def holder(options):
    """The `Security` of a client with these files."""
    return security_from(*map(Path, options[1::2]))


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A cluster with certificates, and the files' options."""
    pytest.importorskip("cryptography")
    folder = tmp_path_factory.mktemp("closed")
    options = certificates(folder / "ours")
    processes = Processes(folder, *options)
    processes.add()
    yield processes, options
    processes.close()


def test_over_tls_the_iterates_are_those_of_one_process(case, closed, undisturbed):
    processes, options = closed
    assert processes.address.startswith("tls://")
    session = case.open(cc.DaskCluster(processes.address, security=holder(options)))
    state, _, warnings = case.run(session)
    session.close()
    assert warnings == []
    same(state, undisturbed)
    for ours, theirs in zip(state.points, undisturbed.points, strict=True):
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.lam_g, theirs.lam_g)


def test_a_cluster_with_certificates_refuses_who_has_none(case, closed, tmp_path, capfd):
    processes, options = closed
    address, plain = processes.address, processes.address.replace("tls", "tcp")
    foreign = certificates(tmp_path / "theirs")
    forged = [*options[:2], *foreign[2:]]  # knows the authority, has no certificate of it
    answers = {
        (address, None): (cc.InputError, f"the scheduler at '{address}' wants a certificate; give"),
        (address, holder(foreign)): (WorkerError, f"at '{address}' to this certificate; give the"),
        (address, holder(forged)): (WorkerError, f"at '{address}' to this certificate; give the"),
        (plain, None): (WorkerError, f"no Dask scheduler answers at '{plain}'; give the address"),
        (plain, holder(options)): (cc.InputError, f"encryption, which '{plain}' does not have"),
    }
    for (scheduler, security), (kind, phrase) in answers.items():
        with pytest.raises(kind, match=phrase) as caught:
            case.open(cc.DaskCluster(scheduler, security=security))
        assert str(caught.value).endswith(".")
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_certificates_by_the_command_line(closed, tmp_path):
    (processes, options), model = closed, tmp_path / "decay.py"
    model.write_text(DECAY)
    run = ["admm", str(model), "--iterations", "2", "--no-plots", "--scheduler", processes.address]
    answer = CliRunner().invoke(app, [*run, *options])
    assert "Dask cluster" in answer.stdout, answer.output
    answer = CliRunner().invoke(app, run)
    assert (answer.exit_code, answer.stderr.count("\n")) == (2, 1)
    assert "wants a certificate" in answer.stderr


def test_what_cannot_be_a_certificate_is_named(case, tmp_path):
    (tmp_path / "ca.pem").write_text("nobody")
    with pytest.raises(cc.FileError, match=r"gone\.pem is no file"):
        security_from(tmp_path / "ca.pem", tmp_path / "gone.pem")
    with pytest.raises(cc.InputError, match="the certificates cannot be read: "):
        case.open(cc.DaskCluster("tls://h:1", security=security_from(*2 * [tmp_path / "ca.pem"])))
    with pytest.raises(cc.InputError, match="security takes a Security, not a str"):
        case.open(cc.DaskCluster("tls://h:1", security="mine"))


def test_what_belongs_to_a_cluster_of_our_own(case, monkeypatch):
    with pytest.raises(cc.InputError, match="memory_limit is for a cluster of our own"):
        cc.DaskCluster("tcp://host:8786", memory_limit="2GB")
    for limit in ("much", "1MB", "-1GB", -1, float("nan")):
        with pytest.raises(cc.InputError, match=r"memory_limit is a size of at least 200 MB"):
            case.open(cc.DaskCluster(memory_limit=limit, security=distributed.Security()))
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(cc.MissingDependency, match="pip install bokeh"):
        case.open(cc.DaskCluster(dashboard_address=":0", security=distributed.Security()))
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(cc.MissingDependency, match=r"need cryptography; pip install 'collocode\["):
        case.open(cc.DaskCluster())


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
