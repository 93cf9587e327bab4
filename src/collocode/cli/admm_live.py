"""Progress of `collocode admm`: a live table on a terminal, else one plain line an iteration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
from rich.console import Console, Group
from rich.text import Text

from ..checks import counted
from ..coordination.messages import Answer
from ..coordination.state import Iteration, simulated
from ..coordination.subproblem import BatchResult
from ..reports.admm import admm_table
from ..reports.text import table_lines
from ..reports.words import formatted
from ..solvers.protocol import OnIteration, Progress
from .terminal import Shown, live_view, progress_line, styled

SHOWN = 12  # rows of the live table
_ROW = "{:<18} {:>7} {:>5} {:>7} {:>5} {:>7} {:>10} {:>7} {:>6}"


class Watch:
    """What is called while the batches are at work; this one prints a line per iteration.

    Parameters
    ----------
    console : of messages.
    batches : their number.
    """

    def __init__(self, console: Console, batches: int) -> None:
        self._console, self._batches = console, batches
        self._rows: list[Iteration] = []
        self._answers: list[BatchResult | Answer] = []

    def answered(self, answer: BatchResult | Answer) -> None:
        """Take note of a batch that is done."""
        self._answers.append(answer)

    def iterated(self, row: Iteration) -> None:
        """Take note of an iteration; its batches have simulated the consensus before it."""
        measured = [a for a in self._answers if isinstance(a, BatchResult) and a.squares[1]]
        if self._rows and len(measured) == self._batches:
            mse = simulated(measured)[1]
            self._rows[-1] = replace(self._rows[-1], batch_mse=mse)
        self._answers = []
        self._rows.append(row)
        self._show()

    def finishing(self) -> OnIteration | None:
        """What the last solve calls in each of its iterations, or None where nobody looks."""
        return None

    def _show(self) -> None:
        if len(self._rows) == 1:
            newton = not np.isnan(self._rows[0].size)
            self._console.print(Text(headings(newton)), soft_wrap=True)
        self._console.print(Text(line_of(self._rows)), soft_wrap=True)


class LiveWatch(Watch):
    """The same as a table that is redrawn, with the batches of the iteration under way."""

    def __init__(self, console: Console, batches: int, view: Shown) -> None:
        super().__init__(console, batches)
        self._view = view
        view.show(lambda: Text("building the problem and its start ..."), at_once=True)

    def answered(self, answer: BatchResult | Answer) -> None:
        """See `Watch`."""
        super().answered(answer)
        self._show()

    def finishing(self) -> OnIteration | None:
        """See `Watch`."""
        return self._finish

    def _finish(self, progress: Progress) -> None:
        self._view.show(
            lambda: Group(
                self._table(), Text("last solve  ") + progress_line(progress, self._view.seconds)
            )
        )

    def _show(self) -> None:
        answers = len(self._answers)  # Newton's method asks several times in an iteration
        done = (answers - 1) % self._batches + 1 if answers else 0
        batches = counted(self._batches, "batch", "batches")
        parts = [f"iteration {len(self._rows) + 1}: {done} of {batches}"]
        if self._answers:
            last = self._answers[-1]
            if isinstance(last, BatchResult):
                parts.append(f"batch {last.batch + 1} took {counted(last.iterations, 'step')}")
            parts.append(f"{last.seconds:.2f} s")
        parts.append(f"{self._view.seconds:.0f} s in all, Ctrl-C stops")
        line = Text(", ".join(parts), "dim")
        self._view.show(lambda: Group(self._table(), line), at_once=True)

    def _table(self) -> Text:
        rows = [asdict(row) for row in self._rows[-SHOWN:]]
        return styled(table_lines(admm_table(rows), self._console.width))


@contextmanager
def watching(console: Console, batches: int) -> Iterator[Watch]:
    """Yield what `admm` has to call."""
    with live_view(console) as view:
        yield Watch(console, batches) if view is None else LiveWatch(console, batches, view)


def headings(newton: bool) -> str:
    """Return what is above the lines of `line_of`."""
    middle = ("shift", "objective", "step") if newton else ("rho", "objective", "MSE k-1")
    return _ROW.format("admm", "primal", "limit", "dual", "limit", *middle, "time")


def line_of(rows: list[Iteration]) -> str:
    """Return the last iteration as a line of at most 80 columns.

    The simulated error is that of the iteration before: a consensus is simulated together with the next
    iteration's solves.
    """
    row, before = rows[-1], rows[-2] if len(rows) > 1 else None
    last = row.size if before is None or not np.isnan(row.size) else before.batch_mse
    return _ROW.format(
        f"admm iteration {row.iteration}",
        f"{row.primal:.1e}",
        f"{row.primal_limit:.0e}",
        f"{row.dual:.1e}",
        f"{row.dual_limit:.0e}",
        f"{row.rho:.1e}",
        f"{row.objective:.3e}",
        formatted(last, ".1e"),
        f"{row.seconds:.1f}",
    )
