"""A worker: few solvers for many batches, nothing that cannot be built again."""

import subprocess
import sys
import threading
import types
from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.subproblem import BatchResult, Subproblem, Task
from collocode.coordination.worker import Failure, Missing, Worker
from collocode.solvers.processes import deserialize, serialize

from .faulty import TRAPPED


@pytest.fixture
def worker(case):
    return Worker(case.settings)


def test_an_unknown_batch_is_asked_for_and_then_known(case, worker):
    (task,) = case.tasks(0)
    assert worker.run(task) == Missing(0)
    first = worker.run(task, serialize(case.batches[0], "batch"))
    again = worker.run(task)
    assert isinstance(first, BatchResult)
    np.testing.assert_array_equal(first.values, again.values)


def test_batches_of_equal_structure_share_one_solver(case, worker):
    for task in case.tasks():
        worker.run(task, case.batches[task.batch])
    assert len(worker._solvers) == 1
    functions = {id(s.nlp.functions) for s in worker._subproblems.values()}
    assert len(functions) == 1


def test_few_solvers_give_the_answers_of_many(case):
    """Every batch has a structure of its own here, and one solver at most is kept."""
    batches = [_shortened(batch, k) for k, batch in enumerate(case.batches)]
    few = Worker(case.settings, solvers=1)
    many = Worker(case.settings)
    for round_ in range(2):
        for task in case.tasks():
            one = few.run(task, batches[task.batch] if round_ == 0 else None)
            all_ = many.run(task, batches[task.batch] if round_ == 0 else None)
            np.testing.assert_array_equal(one.values, all_.values)
            assert len(few._solvers) == 1
            assert len(few._subproblems) == 1
    assert len(many._solvers) == len(batches)


def _shortened(batch, k):
    problem = batch.problem
    (e,) = problem.experiments
    keep = slice(0, e.samples - k)
    part = replace(e, times=e.times[keep], values=e.values[keep])
    return replace(batch, problem=replace(problem, experiments=(part,)))


def test_an_exception_leaves_nothing_of_its_batch(case, worker, told):
    (task,) = case.tasks(TRAPPED)
    batch = case.batches[TRAPPED]
    good = worker.run(task, batch)
    assert worker._data != {}
    told("raise once")
    worker._subproblems.clear()
    failed = worker.run(task)
    assert failed == Failure(TRAPPED, "RuntimeError: the sensor is on fire")
    assert worker._data == worker._subproblems == {}
    assert worker._solvers == {}
    assert worker.run(task) == Missing(TRAPPED)
    np.testing.assert_array_equal(worker.run(task, batch).values, good.values)


def test_kept_points_serve_the_next_iteration_only(case):
    worker = Worker(case.settings, keeps_points=True)
    (task,) = case.tasks(0)
    first = worker.run(task, case.batches[0])
    assert first.point is None
    assert worker._kept(replace(task, iteration=1)) is worker._points[0][1]
    assert worker._kept(replace(task, iteration=2)) is None  # it was elsewhere in between
    assert worker._kept(task) is None  # a new run


def test_threads_take_turns(case):
    """MUMPS must not run twice in one process: not for two workers either."""
    workers = [Worker(case.settings) for _ in range(3)]
    (task,) = case.tasks(0)
    found = []

    def solve(worker):
        found.append(worker.run(task, case.batches[0]).values)

    threads = [threading.Thread(target=solve, args=(w,)) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


# ---- what is sent to a process -------------------------------------------------------------------


def test_a_function_of_a_file_that_nobody_else_has_brings_its_code():
    module = types.ModuleType("seen_by_nobody")
    module.__file__ = "/somewhere/else/seen_by_nobody.py"
    sys.modules[module.__name__] = module
    exec("FACTOR = 3\ndef times(x):\n    return FACTOR * x", module.__dict__)
    try:
        data = serialize(module.times, "the function")
    finally:
        del sys.modules[module.__name__]
    script = "import sys, cloudpickle; print(cloudpickle.loads(sys.stdin.buffer.read())(14))"
    run = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True)
    assert run.stdout.split() == [b"42"], run.stderr


def test_our_own_classes_travel_by_name():
    assert type(deserialize(serialize(cc.L2(0.5), "it"))) is cc.L2


def test_what_cannot_travel_is_refused():
    lock = threading.Lock()
    with pytest.raises(cc.InputError, match=r"batch 'a' cannot be sent .*lock.* in this process\."):
        serialize(lambda: lock, "batch 'a'")


# ---- one solver for batches of other sizes ------------------------------------------------------


def swings(amplitude):
    """A batch of one run of x″ = −k x, scaled by its own amplitude."""
    t = np.linspace(0.0, 3.0, 31)
    x = amplitude * np.column_stack([np.cos(1.2 * t), -1.2 * np.sin(1.2 * t)])
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x], parameters=[cc.Parameter("k", 1.0)]
    )
    problem = cc.Problem(
        dynamics,
        cc.Experiment(t, x, ("x", "v"), name=f"of amplitude {amplitude:g}"),
        loss=cc.LeastSquares(1.0),
    )
    return cc.Partition(1).cut(problem, [cc.Mesh.uniform(0.0, 3.0, 10)])[0]


def test_batches_of_equal_structure_and_other_scales_are_solved_rightly():
    settings = cc.FitSettings(options={"tol": 1e-11})
    batches = [swings(amplitude) for amplitude in (4.0, 32.0)]
    scales = [Subproblem(batch, settings).nlp.column_scale[0] for batch in batches]
    assert scales[1] > 2.0 * scales[0]
    shared = Worker(settings)
    for number, batch in enumerate(batches):
        task = Task(
            batch=number,
            iteration=0,
            target=np.array([10.0]),
            consensus=np.array([10.0]),
            rho=1e-9,
            simulate=False,
        )
        ours, own = (worker.run(task, batch) for worker in (shared, Worker(settings)))
        assert (ours.rescue, own.rescue) == ("", "")
        assert ours.loss == pytest.approx(own.loss, abs=1e-9)
        np.testing.assert_allclose(ours.point.x, own.point.x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ours.values, own.values, rtol=1e-9)
    assert len(shared._solvers) == 1
