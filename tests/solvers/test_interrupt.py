"""Ctrl-C as a flag: who learns of it, and that nothing is raised where C code runs."""

import signal
import threading
import time

import pytest

import collocode.solvers.interrupt as module
from collocode.errors import InputError
from collocode.solvers.interrupt import Interrupt, aside, interrupted


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _same_handler():
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before
    assert not interrupted()


def test_the_first_sets_a_flag_and_the_second_raises():
    with Interrupt() as interrupt:
        assert not interrupt.requested
        press()
        assert interrupt.requested
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert not interrupted()
    with pytest.raises(KeyboardInterrupt):
        press()


def test_what_is_pressed_inside_is_known_outside():
    with Interrupt() as outer:
        with Interrupt() as inner:
            press()
        assert inner.requested
        assert outer.requested


def test_what_was_pressed_before_is_known_inside():
    """A request between two solves ends the next one."""
    with Interrupt():
        press()
        with Interrupt() as inner:
            assert inner.requested


def test_what_is_over_is_forgotten():
    with Interrupt() as outer:
        press()
    assert outer.requested
    with Interrupt() as later:
        assert not later.requested


def test_a_decorated_function_opens_its_own_at_every_call():
    @Interrupt()
    def work(pressing):
        if pressing:
            press()
        return interrupted()

    assert [work(True), work(False), work(True)] == [True, False, True]


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            press()
            assert aside(lambda: press() or 3, press) == 3
        assert not interrupt.requested
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_see_it_and_open_none():
    seen = []

    def look():
        with Interrupt():
            seen.append(interrupted())

    with Interrupt():
        press()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [True]


# ---- a limit of time ---------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_the_nearest_limit_counts(clock):
    with Interrupt(10.0) as outer:
        with Interrupt(5.0) as inner, Interrupt(7.0) as innermost:
            clock[0] = 4.9
            assert not innermost.requested
            clock[0] = 5.0
            assert innermost.late
            assert inner.late
            assert interrupted()
        assert not outer.requested
        with Interrupt(100.0) as longer:
            clock[0] = 10.0
            assert longer.late
        assert outer.late
    assert not interrupted()


def test_ctrl_c_before_the_limit_is_no_delay(clock):
    with Interrupt(5.0) as interrupt:
        press()
        clock[0] = 6.0
        assert interrupt.requested
        assert not interrupt.late


def test_another_thread_has_its_own_limit(clock):
    seen = []

    def look():
        with Interrupt(3.0):
            seen.append(interrupted())
            clock[0] = 3.0
            seen.append(interrupted())

    with Interrupt(5.0):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [False, True]
        assert not interrupted()


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), "1"])
def test_a_limit_is_positive(limit):
    with pytest.raises(InputError, match="time limit is a positive number of seconds"):
        Interrupt(limit)


# ---- C code aside ------------------------------------------------------------------------------------


def test_aside_is_a_call():
    assert aside(lambda: threading.current_thread().name, press) != "MainThread"
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 // 0, press)


def test_aside_in_another_thread_is_there_already():
    names = []
    thread = threading.Thread(
        target=lambda: names.append(aside(lambda: threading.current_thread().name, press)),
        name="worker",
    )
    thread.start()
    thread.join()
    assert names == ["worker"]


@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_raised_in_the_work_and_nobody_leaves_before_it_ends(again):
    """The work stands for C code with callbacks; it presses Ctrl-C itself and ends when cancelled."""
    cancelled, said = threading.Event(), []

    def work():
        press()
        while not cancelled.wait(0.01):
            said.append("working")
        if again:  # an impatient user, while the program waits
            press()
            time.sleep(0.3)
        said.append("ended")

    with pytest.raises(KeyboardInterrupt):
        aside(work, cancelled.set)
    assert said[-1] == "ended"


def test_within_an_interrupt_the_work_ends_by_itself():
    def work():
        press()
        while not interrupted():
            time.sleep(0.01)
        return "best so far"

    with Interrupt():
        assert aside(work, press) == "best so far"
