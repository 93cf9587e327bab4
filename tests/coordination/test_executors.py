"""What all executors share: order of answers, second tries, points that stand, errors by name."""

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.executors import (
    InProcess,
    InProcessSession,
    Lost,
    Stopped,
    WorkerError,
    balanced,
)
from collocode.coordination.subproblem import BatchResult
from collocode.coordination.worker import Failure, Missing, Worker
from collocode.results.status import Termination

from .faulty import TRAPPED, at


class Scripted(InProcessSession):
    """Replies as its script says, then as usual."""

    def __init__(self, case, script):
        super().__init__(case.batches, case.settings, Worker(case.settings))
        self.script, self.sent = list(script), []

    def _send(self, task, elsewhere=False):
        self.sent.append((task.batch, elsewhere))
        super()._send(task, elsewhere)

    def _receive(self, stop):
        task, reply = super()._receive(stop)
        if self.script and self.script[0].batch == task.batch:
            return task, self.script.pop(0)
        return task, reply


def test_answers_come_in_the_order_of_the_tasks(case):
    seen = []
    answers = case.open(InProcess()).run(case.tasks(3, 0, 2), lambda a: seen.append(a.batch))
    assert [a.batch for a in answers] == [3, 0, 2]
    assert seen == [3, 0, 2]


def test_what_is_missing_or_lost_is_sent_again(case):
    executor = Scripted(case, [Missing(0), Lost(1)])
    answers = executor.run(case.tasks(0, 1), lambda a: None)
    assert all(isinstance(a, BatchResult) for a in answers)
    assert sorted(executor.sent) == [(0, False), (0, False), (1, False), (1, False)]


def test_a_failure_is_tried_elsewhere_once(case):
    executor = Scripted(case, [Failure(0, "ValueError: no")])
    (answer,) = executor.run(case.tasks(0), lambda a: None)
    assert answer.rescue == ""
    assert executor.sent == [(0, False), (0, True)]


def test_a_batch_without_a_point_that_fails_twice_ends_the_run(case):
    executor = Scripted(case, [Failure(0, "ValueError: no."), Failure(0, "ValueError: no.")])
    with pytest.raises(WorkerError, match=r"batch 'run 0' could not be solved \(ValueError: no\)"):
        executor.run(case.tasks(0), lambda a: None)


def test_a_batch_that_kills_its_workers_is_given_up(case):
    executor = Scripted(case, [Lost(0)] * 3)
    with pytest.raises(WorkerError, match=r"died 3 times in one iteration; is there enough memory"):
        executor.run(case.tasks(0), lambda a: None)
    assert len(executor.sent) == 3


def test_a_batch_with_a_point_keeps_it(case):
    executor = Scripted(case, [])
    (first,) = executor.run(case.tasks(0), lambda a: None)
    executor.script = [Failure(0, "ValueError: no")] * 2
    (kept,) = executor.run(case.tasks(0), lambda a: None)
    assert kept.rescue == "kept"
    assert kept.status == "ValueError: no"
    np.testing.assert_array_equal(kept.values, first.values)
    assert kept.loss == first.loss
    assert np.isnan(kept.simulated_loss)


def test_a_stop_leaves_nothing_behind(case):
    executor = case.open(InProcess())
    with pytest.raises(Stopped):
        executor.run(case.tasks(0, 1), lambda a: None, lambda: True)
    assert len(executor.run(case.tasks(1), lambda a: None)) == 1


def test_one_exception_leaves_no_trace(case, undisturbed, told):
    state, termination, warnings = case.run(
        case.open(InProcess()), on_iteration=at(2, lambda: told("raise once"))
    )
    assert termination is Termination.ITERATION_LIMIT
    assert warnings == []
    np.testing.assert_array_equal(state.consensus.z, undisturbed.consensus.z)


def test_a_batch_that_goes_on_raising_keeps_its_point_and_is_reported(case, undisturbed, told):
    executor = case.open(InProcess())
    states = []
    state, termination, warnings = case.run(
        executor, save=states.append, on_iteration=at(2, lambda: told("raise"))
    )
    assert termination is Termination.ITERATION_LIMIT
    assert warnings == [
        "batch 'run 2' keeps its last point (RuntimeError: the sensor has burnt down)."
    ]
    assert state.history[-1].rescued == "run 2: kept"
    np.testing.assert_array_equal(state.points[TRAPPED].x, states[1].points[TRAPPED].x)
    assert not np.array_equal(state.points[0].x, states[1].points[0].x)
    # after a restart nobody remembers the answer: the point itself tells
    again, _, noted = case.run(case.open(InProcess()), state=states[2], iterations=4)
    assert noted != []
    np.testing.assert_allclose(again.consensus.z, state.consensus.z, rtol=1e-13, atol=1e-15)


def test_the_users_error_stops_the_run_and_names_the_batch(case, told):
    executor = case.open(InProcess())
    told("misuse")
    with pytest.raises(cc.InputError, match=r"batch 'run 2': the sensor was never connected\."):
        case.run(executor)


def test_batches_are_dealt_by_size():
    assert balanced({}, (1, 5, 3, 3), range(2)) == {1: 0, 2: 1, 3: 1, 0: 0}
    assert sorted(balanced({}, [4] * 6, range(3)).values()) == [0, 0, 1, 1, 2, 2]
