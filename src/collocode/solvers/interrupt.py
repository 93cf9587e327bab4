"""Ctrl-C, or the end of the time, as a flag: whoever works sees it at a safe place and hands back the best there is.

A signal's exception that is raised in a callback would have to pass through the solver's C code, which
not every solver survives.  So within an `Interrupt` nothing is raised: loops and callbacks ask.  C code
that asks nobody runs `aside`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ContextDecorator
from numbers import Real
from types import FrameType, TracebackType
from typing import Any, TypeVar

from ..errors import InputError

T = TypeVar("T")
_TICK = 0.2  # seconds after which a signal is seen where none ends the waiting
_open: list[Interrupt] = []
_deadlines = threading.local()  # those of a thread's open contexts, the nearest last


def interrupted() -> bool:
    """Whether Ctrl-C was pressed within an `Interrupt` that is still open, or its time is over."""
    return (bool(_open) and _open[-1].pressed) or time.perf_counter() >= _deadline()


def _deadline() -> float:
    nearest: list[float] = getattr(_deadlines, "nearest", [])
    return nearest[-1] if nearest else float("inf")


class Interrupt(ContextDecorator):
    """Context, or decorator, in which Ctrl-C sets ``requested``; a second one interrupts as usual.

    One inside another knows what the outer one knows: a request that came between two solves ends the
    next one at its start.  Where Ctrl-C is ignored (a job in the background of a script), it stays so.

    Parameters
    ----------
    time_limit : seconds from here on after which ``requested`` is set, too; None sets no limit.

    Raises
    ------
    InputError
        A limit that is not positive.
    """

    def __init__(self, time_limit: float | None = None) -> None:
        if time_limit is not None and not (isinstance(time_limit, Real) and time_limit > 0.0):
            raise InputError(f"the time limit is a positive number of seconds, not {time_limit!r}.")
        self.pressed = False
        self._end = time.perf_counter() + (float("inf") if time_limit is None else time_limit)
        self._installed = False
        self._previous: Any = None

    @property
    def requested(self) -> bool:
        """Whether to end: Ctrl-C was pressed, or the time of this context or of one around it is over."""
        return self.pressed or time.perf_counter() >= min(_deadline(), self._end)

    @property
    def late(self) -> bool:
        """Whether the time is over, and nobody pressed Ctrl-C."""
        return self.requested and not self.pressed

    def _recreate_cm(self) -> Interrupt:
        return Interrupt()  # a decorated function opens its own, whenever it is called

    def __enter__(self) -> Interrupt:
        nearest = _deadlines.__dict__.setdefault("nearest", [])
        nearest.append(min(_deadline(), self._end))
        self._previous = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(self._previous):
            self.pressed = bool(_open) and _open[-1].pressed
            _open.append(self)
            self._installed = True
            signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _deadlines.nearest.pop()
        if self._installed:
            try:
                signal.signal(signal.SIGINT, self._previous)
            finally:  # the previous one may raise at once
                _open.remove(self)
                self._installed = False

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        for each in _open:
            each.pressed = True


def aside(work: Callable[[], T], cancel: Callable[[], object]) -> T:
    """Run C code in a thread of its own, where no signal raises anything; return what it returns.

    Parameters
    ----------
    work : the call.
    cancel : tells it to end soon; called when a second Ctrl-C, or another exception, comes meanwhile.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        return work()
    answers: list[T] = []
    errors: list[BaseException] = []
    pressed: list[tuple[int, FrameType | None]] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    def tell() -> None:
        """Tell the handler of what was pressed; what it raises waits for the work's end."""
        try:
            while pressed:
                handler(*pressed.pop())
        except BaseException as error:
            errors.insert(0, error)
            cancel()

    done = threading.Event()
    # nothing may be raised here: neither a start nor a wait that an exception ends can be taken up again
    signal.signal(signal.SIGINT, lambda *press: pressed.append(press))
    try:
        threading.Thread(target=run).start()
        while not done.wait(_TICK):
            tell()
    finally:
        signal.signal(signal.SIGINT, handler)
    tell()
    if errors:
        raise errors[0]
    return answers[0]
