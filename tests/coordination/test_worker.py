"""A worker: few solvers for many batches, nothing that cannot be built again."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from collocode.coordination.parcel import packed
from collocode.coordination.task import Answer, Failure, Missing
from collocode.coordination.worker import Worker

from .faulty import TRAPPED


@pytest.fixture
def worker(case):
    return Worker(case.settings)


def test_an_unknown_batch_is_asked_for_and_then_known(case, worker):
    (task,) = case.tasks(0)
    assert worker.run(task) == Missing(0)
    first = worker.run(task, packed(case.batches[0], "batch"))
    again = worker.run(task)
    assert isinstance(first, Answer)
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
    few = Worker(replace(case.settings, solvers=1))
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
