"""Consoles, exit codes, one way to show reports, errors and warnings, and the progress of a run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

import collocode as cc

from ..errors import CollocodeError, CollocodeWarning, quietly
from ..reports.parts import Severity, Table
from ..reports.record import Report
from ..reports.text import Line, finding_spans, report_lines, table_lines
from .streams import SteadyConsole

SOLVED, UNSOLVED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_STYLES = {
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "quiet": "dim",
    "strong": "bold",
    "": "",
}


def output() -> Console:
    """Return the console of results (stdout, as it is now)."""
    return SteadyConsole(highlight=False, soft_wrap=False)


def messages() -> Console:
    """Return the console of messages and progress (stderr)."""
    return SteadyConsole(stderr=True, highlight=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Show an error as one line on stderr."""
    messages().print(Text.assemble(("error: ", "bold red"), text))


def say_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning of ours as one line on stderr; others as Python does."""
    if issubclass(category, CollocodeWarning):
        messages().print(Text.assemble(("warning: ", "bold yellow"), str(message)))
    else:
        _usual_warning(message, category, filename, lineno, file, line)


_usual_warning = warnings.showwarning


def styled(lines: Iterable[Line]) -> Text:
    """Return lines of spans as text for a console."""
    whole = []
    for line in lines:
        text = Text.assemble(*((part, _STYLES[tone]) for part, tone in line))
        text.rstrip()
        whole.append(text)
    return Text("\n").join(whole)


def show_table(table: Table) -> None:
    """Print a table."""
    console = output()
    console.print(styled(table_lines(table, console.width)), soft_wrap=True)


def show_report(report: Report) -> None:
    """Print a report; its errors and warnings go to stderr."""
    console = output()
    console.print(styled(report_lines(report, console.width, [Severity.NOTE])), soft_wrap=True)
    for finding in report.findings:
        if finding.severity is not Severity.NOTE:
            messages().print(styled([finding_spans(finding)]))


@contextmanager
def guarded(debug: bool = False) -> Iterator[None]:
    """Turn the toolkit's errors into one sentence and exit status 2, Ctrl-C into 130.

    Anything else is a bug and keeps its traceback; ``debug`` shows it for expected errors too.
    """
    try:
        with quietly(), warnings.catch_warnings():  # findings are printed as such
            warnings.showwarning = say_warning
            yield
    except CollocodeError as error:
        if debug:
            raise
        say_error(str(error))
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        say_error("interrupted; nothing more was written.")
        raise typer.Exit(INTERRUPTED) from None


_EVERY = 0.08  # seconds between two refreshments


class Shown:
    """What is shown live; it changes at most twelve times a second unless it must."""

    def __init__(self, live: Live) -> None:
        self._live, self._began, self._last = live, time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._began

    def show(self, what: Callable[[], RenderableType], at_once: bool = False) -> None:
        """Show what ``what`` returns, if it is time to."""
        now = time.perf_counter()
        if not at_once and now - self._last <= _EVERY:
            return
        self._last = self._last if at_once else now
        self._live.update(what(), refresh=True)

    def line(self, text: str, at_once: bool = False) -> None:
        """Show a quiet line that says how long it has taken and how to stop it."""
        tail = f"  {self.seconds:.1f} s  Ctrl-C stops"
        self.show(lambda: Text(text + tail, "dim"), at_once)


@contextmanager
def live_view(console: Console) -> Iterator[Shown | None]:
    """Yield what shows things live, or None where nobody looks."""
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Shown(live)


@contextmanager
def live_trainings(
    console: Console, of_cycle: Callable[[Any], str], of_step: Callable[..., str], always: bool
) -> Iterator[tuple[Callable[[Any], None] | None, Callable[..., None] | None]]:
    """Yield what a loop of trainings calls: a line per cycle, and a live line per iteration.

    Where nobody looks there is no live line, and a line per cycle only if ``always``.
    """

    def tell(cycle: Any) -> None:
        console.print(Text(of_cycle(cycle), "dim"))

    with live_view(console) as view:
        if view is None:
            yield tell if always else None, None
        else:
            yield tell, lambda *step: view.line(of_step(*step))


@contextmanager
def live_progress(console: Console) -> Iterator[Callable[[cc.Progress], object] | None]:
    """Yield what a solver has to call after every iteration, or None where nobody looks."""
    with live_view(console) as view:
        if view is None:
            yield None
            return
        view.show(lambda: Text("building the problem and its start ..."), at_once=True)
        yield lambda progress: view.show(lambda: progress_line(progress, view.seconds))


def progress_line(progress: cc.Progress, seconds: float) -> Text:
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


class Bar:
    """Progress through a list of fits; nothing of it shows where nobody looks.

    Attributes
    ----------
    look : what the solver calls after every iteration, or None.
    """

    def __init__(self, live: RichProgress | None, task: TaskID, labels: Sequence[str]) -> None:
        self._live, self._task, self._labels = live, task, list(labels)
        self._done, self._shown = 0, 0.0
        self.look: Callable[[cc.Progress], object] | None = None if live is None else self._look

    def advance(self) -> None:
        """Note that one fit is done."""
        self._done += 1
        if self._live is not None:
            self._live.update(self._task, advance=1, now=self._label(), inner="")

    def _look(self, progress: cc.Progress) -> None:
        now = time.perf_counter()
        if self._live is not None and now - self._shown > _EVERY:
            self._shown = now
            inner = f"iteration {progress.iteration}, objective {progress.objective:.2e}"
            self._live.update(self._task, now=self._label(), inner=inner, refresh=True)

    def _label(self) -> str:
        return self._labels[self._done] if self._done < len(self._labels) else "best, all data"


@contextmanager
def counted_progress(
    console: Console, what: str, labels: Sequence[str], done: Sequence[str] = ()
) -> Iterator[Bar]:
    """Yield a bar over the fits called ``labels``; those in ``done`` are done already."""
    pending = [label for label in labels if label not in done]
    if not console.is_terminal:
        yield Bar(None, TaskID(0), pending)
        return
    columns = (
        TextColumn("{task.description} [bold]{task.fields[now]}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[inner]}"),
    )
    with RichProgress(*columns, console=console, transient=True) as live:
        count = len(labels) - len(pending)
        first = pending[0] if pending else "best, all data"
        task = live.add_task(what, total=len(labels), completed=count, now=first, inner="")
        yield Bar(live, task, pending)
