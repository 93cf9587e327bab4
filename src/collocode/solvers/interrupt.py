"""Ctrl-C as a flag: whoever works sees it at a safe place, ends there and hands back the best there is.

A signal's exception that is raised in a callback would have to pass through the solver's C code, which
not every solver survives.  So within an `Interrupt` nothing is raised: loops and callbacks ask.  C code
that asks nobody runs `aside`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ContextDecorator, suppress
from types import FrameType, TracebackType
from typing import TypeVar

T = TypeVar("T")
_TICK = 0.2  # seconds after which a signal is seen where none ends the waiting
_open: list[Interrupt] = []


def interrupted() -> bool:
    """Whether Ctrl-C was pressed within an `Interrupt` that is still open."""
    return bool(_open) and _open[-1].requested


class Interrupt(ContextDecorator):
    """Context, or decorator, in which Ctrl-C sets ``requested``; a second one interrupts as usual.

    One inside another knows what the outer one knows: a request that came between two solves ends the
    next one at its start.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: object = None

    def _recreate_cm(self) -> Interrupt:
        return Interrupt()  # a decorated function opens its own, whenever it is called

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self.requested = interrupted()
            self._previous = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._request)
            _open.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            _open.remove(self)
            signal.signal(signal.SIGINT, self._previous)  # type: ignore[arg-type]

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        for each in _open:
            each.requested = True


def aside(work: Callable[[], T], cancel: Callable[[], object]) -> T:
    """Run C code in a thread of its own, where no signal raises anything; return what it returns.

    Parameters
    ----------
    work : the call.
    cancel : tells it to end soon; called when a second Ctrl-C, or another exception, comes meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    done = threading.Event()  # a join that an exception ends may take the thread for ended too
    thread = threading.Thread(target=run)
    thread.start()
    try:
        while not done.wait(_TICK):
            pass
    finally:
        while not done.is_set():  # the program must not go on, or end, under it
            cancel()
            with suppress(KeyboardInterrupt):
                done.wait(_TICK)
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]
