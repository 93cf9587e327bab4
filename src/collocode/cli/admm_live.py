"""Progress of `collocode admm`: a live table on a terminal, else one plain line an iteration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..coordination.state import Iteration, simulated
from ..coordination.subproblem import BatchResult
from ..solvers.protocol import OnIteration, Progress
from .progress import progress_line
from .summary import counted
from .terminal import number, plain_table

SHOWN = 12  # rows of the live table
EVERY = 0.08  # seconds between two refreshments of the last solve
HEADINGS = (
    *("", "primal\nresidual", "limit", "dual\nresidual", "limit", "rho", "objective"),
    *("batch\nMSE", "seconds", "slowest\nbatch"),
)


class Watch:
    """What is called while the batches are at work; this one prints a line an iteration.

    Parameters
    ----------
    console : of messages.
    batches : their number.
    """

    def __init__(self, console: Console, batches: int) -> None:
        self._console, self._batches = console, batches
        self._rows: list[Iteration] = []
        self._answers: list[BatchResult] = []

    def answered(self, answer: BatchResult) -> None:
        """Take note of a batch that is done."""
        self._answers.append(answer)

    def iterated(self, row: Iteration) -> None:
        """Take note of an iteration; its batches have simulated the consensus before it."""
        measured = [a for a in self._answers if a.squares[1]]
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
        self._console.print(Text(line_of(self._rows)), soft_wrap=True)


class LiveWatch(Watch):
    """The same as a table that is redrawn, with the batches of the iteration under way."""

    def __init__(self, console: Console, batches: int, live: Live) -> None:
        super().__init__(console, batches)
        self._live, self._began, self._drawn = live, time.perf_counter(), 0.0
        self._live.update(Text("building the problem and its start ..."), refresh=True)

    def answered(self, answer: BatchResult) -> None:
        """See `Watch`."""
        super().answered(answer)
        self._show()

    def finishing(self) -> OnIteration | None:
        """See `Watch`."""
        return self._finish

    def _finish(self, progress: Progress) -> None:
        now = time.perf_counter()
        if now - self._drawn > EVERY:
            self._drawn = now
            line = Text("last solve  ") + progress_line(progress, now - self._began)
            self._live.update(Group(table_of(self._rows[-SHOWN:]), line), refresh=True)

    def _show(self) -> None:
        done = len(self._answers)
        parts = [f"iteration {len(self._rows) + 1}: {done} of {counted(self._batches, 'batch')}"]
        if self._answers:
            last = self._answers[-1]
            parts.append(f"batch {last.batch + 1} took {counted(last.iterations, 'step')}")
            parts.append(f"{last.seconds:.2f} s")
        parts.append(f"{time.perf_counter() - self._began:.0f} s in all, Ctrl-C stops")
        line = Text(", ".join(parts).replace("batchs", "batches"), "dim")
        self._live.update(Group(table_of(self._rows[-SHOWN:]), line), refresh=True)


@contextmanager
def watching(console: Console, batches: int) -> Iterator[Watch]:
    """Yield what `admm` has to call."""
    if not console.is_terminal:
        yield Watch(console, batches)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveWatch(console, batches, live)


def table_of(rows: list[Iteration], title: str = "") -> Table:
    """Return iterations as a table; a residual within its limit is green."""
    table = plain_table(*HEADINGS, title=title)
    for column in table.columns:
        column.justify = "right"
    rescued = any(row.rescued for row in rows)
    if rescued:
        table.add_column("", style="yellow")
    for row in rows:
        cells: list[Text | str] = [
            Text(str(row.iteration), "dim"),
            _residual(row.primal, row.primal_limit),
            Text(f"{row.primal_limit:.0e}", "dim"),
            _residual(row.dual, row.dual_limit),
            Text(f"{row.dual_limit:.0e}", "dim"),
            f"{row.rho:.1e}",
            number(row.objective, 4),
            number(row.batch_mse),
            f"{row.seconds:.2f}",
            f"{row.batch_seconds:.2f}",
        ]
        table.add_row(*cells, *(["rescued" if row.rescued else ""] if rescued else []))
    return table


def line_of(rows: list[Iteration]) -> str:
    """Return the last iteration as a line, with the simulated error of the one before.

    A consensus is simulated together with the next iteration's solves.
    """
    row = rows[-1]
    parts = [
        f"admm iteration {row.iteration}",
        f"primal {row.primal:.2e} (limit {row.primal_limit:.1e})",
        f"dual {row.dual:.2e} (limit {row.dual_limit:.1e})",
        f"rho {row.rho:.1e}",
        f"objective {row.objective:.4e}",
    ]
    if len(rows) > 1 and rows[-2].batch_mse == rows[-2].batch_mse:
        parts.append(f"batch mse after {rows[-2].iteration}: {rows[-2].batch_mse:.2e}")
    parts.append(f"{row.seconds:.2f} s")
    return "  ".join(parts)


def _residual(value: float, limit: float) -> Text:
    return Text(f"{value:.1e}", "green" if value <= limit else "")
