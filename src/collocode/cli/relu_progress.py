"""Progress of ``collocode relu``: one live line through training, bounds and branch and bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..relu import MipProgress


class ReluProgress:
    """What the three stages call; it shows nothing where nobody looks.

    Attributes
    ----------
    training : called with (epoch, validation error), or None.
    search : called with a `MipProgress`, or None.
    """

    def __init__(self, live: Live | None) -> None:
        self._live, self._began = live, time.perf_counter()
        self.training: Callable[[int, float], Any] | None = None
        self.search: Callable[[MipProgress], Any] | None = None
        if live is not None:
            self.training, self.search = self._training, self._search

    def tightening(self, bounds: Any) -> None:
        """Say that the bounds are being proved."""
        self._show(("bounds ", "dim"), str(bounds))

    def _training(self, epoch: int, error: float) -> None:
        self._show(
            ("training, epoch ", "dim"), f"{epoch:4d}", ("  validation ", "dim"), f"{error:.2e}"
        )

    def _search(self, now: MipProgress) -> None:
        self._show(
            ("nodes ", "dim"),
            f"{now.nodes:6d}",
            ("  best ", "dim"),
            f"{now.incumbent:.5g}",
            ("  bound ", "dim"),
            f"{now.bound:.5g}",
            ("  Ctrl-C stops", "dim"),
        )

    def _show(self, *parts: str | tuple[str, str]) -> None:
        if self._live is not None:
            seconds = time.perf_counter() - self._began
            line = Text.assemble(*parts, ("  ", ""), (f"{seconds:.1f} s", "dim"))
            self._live.update(line, refresh=True)


@contextmanager
def live_relu(console: Console) -> Iterator[ReluProgress]:
    """Yield the callbacks of the stages."""
    if not console.is_terminal:
        yield ReluProgress(None)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield ReluProgress(live)
