"""Hundreds of batches: memory and time go with the number of solvers, not of batches."""

import multiprocessing
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

from collocode.coordination.pool import ProcessPool
from collocode.coordination.subproblem import Subproblem
from collocode.coordination.worker import Worker

from .faulty import Case, oscillators


def peak(process):
    """Peak resident size in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def test_workers_do_not_grow_with_the_number_of_batches():
    case = Case.of(oscillators(number=110, samples=11), 110)
    # one iteration a solve: what is found does not matter here
    pool = replace(case, settings=replace(case.settings, options={"max_iter": 1})).open(
        ProcessPool(2)
    )
    try:
        tasks = case.tasks()
        pool.run(tasks[:20], lambda answer: None)
        few = [peak(p) for p in multiprocessing.active_children()]
        answers = pool.run(tasks, lambda answer: None)
        many = [peak(p) for p in multiprocessing.active_children()]
    finally:
        pool.close()
    assert len(answers) == 110
    assert len(few) == 2
    # 45 more batches each, of which only data and bounds are kept: 0.1 MB a batch would be 4.5
    assert max(b - a for a, b in zip(few, many, strict=True)) < 4.5


def test_a_batch_like_another_is_small(case):
    first = Subproblem(case.batches[0], case.settings)
    Subproblem(case.batches[1], case.settings, like=first.nlp)
    tracemalloc.start()
    more = [Subproblem(b, case.settings, like=first.nlp) for b in case.batches * 5]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(more) < 100e3


def test_a_solver_that_is_used_again_leaves_no_trail(case):
    worker = Worker(case.settings)
    (task,) = case.tasks(0)
    sizes = []
    for _ in range(5):
        worker.run(task, case.batches[0])
        ((_, solver),) = worker._solvers.values()
        sizes.append(os.path.getsize(solver._log_path))
    assert sizes[0] > 0
    assert len(set(sizes)) == 1


def test_structures_are_compared_once(case, monkeypatch):
    worker = Worker(case.settings)
    (task,) = case.tasks(0)
    worker.run(task, case.batches[0])
    monkeypatch.delitem(worker.run.__func__.__globals__, "structure")  # nobody asks again
    assert worker.run(task).rescue == ""
