"""Waiting for events, and Ctrl-C at one: nothing here depends on how fast the machine is."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from collocode.solvers.protocol import Watch

# Seconds after which something hangs: far above what a busy machine needs for any step of a test.
HANGS = 600.0


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to become true; return it."""
    end = time.monotonic() + HANGS
    while not (answer := condition()):
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.02)
    return answer


def press_ctrl_c(patch: pytest.MonkeyPatch, iteration: int, solve: int = 1) -> None:
    """Send SIGINT to this process in an iteration of the first solve, or a later one, that gets there."""
    look, arrived = Watch.look, []

    def looking(self: Watch, *iterate: Any) -> bool:
        if self._count == iteration:
            arrived.append(self)
            if len(arrived) == solve:
                signal.raise_signal(signal.SIGINT)
        return look(self, *iterate)

    patch.setattr(Watch, "look", looking)
