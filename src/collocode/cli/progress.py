"""Progress of a solve: one live line on a terminal, nothing otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..solvers.protocol import OnIteration, Progress

_EVERY = 0.08  # seconds between two refreshments


@contextmanager
def live_progress(console: Console) -> Iterator[OnIteration | None]:
    """Yield what a solver has to call after every iteration, or None where nobody looks."""
    if not console.is_terminal:
        yield None
        return
    began, shown = time.perf_counter(), 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        live.update(Text("building the problem and its start ..."), refresh=True)

        def show(progress: Progress) -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown > _EVERY:
                shown = now
                live.update(progress_line(progress, now - began), refresh=True)

        yield show


def progress_line(progress: Progress, seconds: float) -> Text:
    """Return one iteration as a line."""
    parts: list[str | tuple[str, str]] = [
        ("iteration ", "dim"),
        f"{progress.iteration:4d}",
        ("  objective ", "dim"),
        f"{progress.objective:.3e}",
        ("  infeasibility ", "dim"),
        f"{progress.primal:.1e}",
    ]
    if progress.dual == progress.dual:
        parts += [("  dual ", "dim"), f"{progress.dual:.1e}"]
    return Text.assemble(*parts, ("  ", ""), (f"{seconds:.1f} s  Ctrl-C stops", "dim"))
