"""What ``collocode admm`` does: the run, its checkpoint, its history, and the report of the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from ..coordination.admm import ADMMResult, Callbacks, admm
from ..coordination.checkpoint import Checkpoint
from ..coordination.cluster import DaskCluster
from ..coordination.consensus import ADMMRules
from ..coordination.executors import Executor, InProcess
from ..coordination.partition import Partition
from ..coordination.pool import ProcessPool
from ..coordination.state import Iteration
from ..coordination.subproblem import FitSettings
from ..errors import InputError
from ..files import plain
from ..model.losses import L1
from ..results.status import Termination
from .admm_checkpoint import CHECKPOINT, checkpoint_in, finish_checkpoint, kept_in
from .admm_live import table_of, watching
from .choices import Choices, Task, task_of
from .folder import Folder, Writer
from .results import open_folder, present
from .summary import counted
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, messages, output, say_error, say_warning

HISTORY, FIGURE = "history.csv", "admm.png"
ROWS = 12  # of the history that are printed
GAP = 0.25  # between simulated and collocated objective, that is worth a warning


@dataclass(frozen=True)
class Wanted:
    """What the command line asks of the iteration; see `collocode.coordination`."""

    batches: str
    workers: int
    scheduler: str | None
    boundary: str
    overlap: float
    rho: float | None
    iterations: int
    time_limit: float | None
    tolerance: float | None
    l1: float | None
    polish: bool
    points: str
    resume: bool

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of `collocode.coordination`, those of the solver left out."""
        rules: dict[str, Any] = {"rho": self.rho, "iterations": self.iterations}
        if self.time_limit is not None:
            rules["time_limit"] = self.time_limit
        if self.tolerance is not None:
            rules["relative"] = self.tolerance
        return {
            "batches": Partition(parse_batches(self.batches), self.overlap, self.boundary),
            "executor": self.executor,
            "regularisation": None if self.l1 is None else L1(self.l1),
            "rules": ADMMRules(**rules),
            "polish": self.polish,
        }

    @property
    def executor(self) -> Executor:
        """Where the batches are solved."""
        if self.scheduler is not None:
            return DaskCluster(self.scheduler, self.workers, points=self.points)
        if self.workers != 1:
            return ProcessPool(self.workers, points=self.points)
        return InProcess(points=self.points)


def run_admm(
    path: Path,
    given: list[str],
    choices: Choices,
    wanted: Wanted,
    out: Path | None,
    with_plots: bool,
) -> int:
    """Train a model over batches, show and write the results; return the exit status."""
    task = task_of(path, given, choices)
    problem, keywords = task.problem(), wanted.keywords
    _check(wanted, problem.dynamics.networks)
    folder = None
    if out is not None:
        more = [HISTORY, CHECKPOINT, *([FIGURE] if with_plots else [])]
        folder = open_folder(out, problem, with_plots, more, also=[CHECKPOINT])
    checkpoint = checkpoint_in(out, wanted.resume)
    asked = keywords["batches"].batches
    count = asked if isinstance(asked, int) else len(asked)
    try:
        with watching(messages(), count) as watch:
            found = admm(
                problem,
                settings=FitSettings(**task.how),
                **keywords,
                checkpoint=None if checkpoint is None else Checkpoint(checkpoint, wanted.resume),
                callbacks=Callbacks(watch.iterated, watch.answered, watch.finishing()),
            )
    except KeyboardInterrupt:
        say_error(f"interrupted; {kept_in(checkpoint)}.")
        return INTERRUPTED
    print_admm(output(), found)
    _say(found, checkpoint, wanted)
    return _present(task, found, folder, wanted, with_plots)


def parse_batches(text: str) -> int | list[list[str]]:
    """Return a count, or groups of names.

    Examples
    --------
    >>> parse_batches("4"), parse_batches("one, two; three")
    (4, [['one', 'two'], ['three']])
    """
    if text.strip().lstrip("+-").isdigit():
        return int(text)
    groups = [[n.strip() for n in group.split(",")] for group in text.split(";")]
    if not all(name for group in groups for name in group):
        raise InputError(
            f"--batches takes a count, say 4, or names of experiments, say 'one,two;three', not "
            f"{text!r}."
        )
    return groups


def print_admm(console: Console, found: ADMMResult) -> None:
    """Print some iterations, how they ended, and what it took."""
    rows = [Iteration(**row) for row in found.history.reset_index().to_dict("records")]
    if rows:
        picked = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).round().astype(int))
        console.print()
        console.print(table_of([rows[k] for k in picked], "Consensus ADMM"))
    where = found.executor
    if found.workers > 1:
        where += f" of {found.workers} workers"
    batches = counted(len(found.batches), "batch").replace("batchs", "batches")
    note = f"{found.termination.value}: {counted(len(rows), 'iteration')}, {batches}, {where}"
    if rows:
        note += f", scaled primal residual {rows[-1].scaled:.1e}"
    good = found.termination is Termination.CONVERGED
    console.print(
        Text(f"{note}, {found.seconds:.2f} s", "green" if good else "red"), soft_wrap=True
    )


def _check(wanted: Wanted, networks: Any) -> None:
    if wanted.l1 is not None and not networks:
        raise InputError(
            "the model has no network, so --l1 has no weights to act on; leave it out."
        )
    if wanted.time_limit is not None and not wanted.time_limit > 0.0:
        raise InputError(f"--time-limit must be positive, not {wanted.time_limit:g}.")


def _say(found: ADMMResult, checkpoint: Path | None, wanted: Wanted) -> None:
    """Say what went wrong on the way, and how to go on."""
    for warning in found.warnings:
        say_warning(warning)
    rescued = [text for text in found.history["rescued"] if text]
    if rescued:
        say_warning(
            f"batches had to be rescued in {counted(len(rescued), 'iteration')}; the last time, "
            f"{rescued[-1]} ({HISTORY} has all); a larger --rho steadies them."
        )
    more = (
        f"--resume goes on from {checkpoint}" if checkpoint else "with --out a run can be resumed"
    )
    if found.termination is Termination.ITERATION_LIMIT and not found.success:
        say_warning(
            f"no agreement to the tolerance in {counted(len(found.history), 'iteration')}; raise "
            f"--iterations ({more}), loosen --tolerance, or add --polish."
        )
    elif found.termination is Termination.TIME_LIMIT:
        say_warning(f"the time limit was reached; {more}.")
    elif found.termination is Termination.INTERRUPTED:
        say_warning(f"interrupted; {kept_in(checkpoint)}.")
    elif found.termination is Termination.ERROR:
        say_warning(f"{found.message} {kept_in(checkpoint)}.".replace(". no", "; no"))
    elif found.termination is Termination.STALLED:
        say_warning("every batch failed; try a larger --rho, fewer --batches or another --start.")
    if found.termination is Termination.CONVERGED and not wanted.polish:
        _say_gap(found)
    if found.kept_best:
        best = found.history["simulated_objective"].idxmin()
        say_warning(
            f"the consensus of iteration {best} is reported, not the last one, because its "
            "simulation fits better."
        )


def _say_gap(found: ADMMResult) -> None:
    """Networks whose weights agree to a tolerance may still differ in what they do."""
    last = found.history.iloc[-1]
    if last["simulated_objective"] > (1.0 + GAP) * last["objective"]:
        say_warning(
            f"the batches agree to the tolerance, but simulated, their consensus fits less well "
            f"(objective {last['simulated_objective']:.2e}, of the batches' own networks "
            f"{last['objective']:.2e}); add --polish, a smaller --tolerance with more --iterations, "
            "or fewer --batches."
        )


def _present(
    task: Task, found: ADMMResult, folder: Folder | None, wanted: Wanted, with_plots: bool
) -> int:
    files: dict[str, Writer] = {HISTORY: found.history.to_csv}
    if folder is not None:
        if (folder.path / CHECKPOINT).exists():
            files[CHECKPOINT] = partial(
                finish_checkpoint, folder.path / CHECKPOINT, found.termination
            )
        if with_plots and len(found.history):
            from ..plots import admm_history, save_figure  # takes half a second to import

            files[FIGURE] = partial(save_figure, admm_history(found))
    what = "Polished: everything fitted" if wanted.polish else "States fitted to the consensus"
    output().print()
    output().print(f"{what}, all data at once", style="bold")
    command = task.command("admm", batches=wanted.batches, polish=wanted.polish)
    extra = {"admm": _entry(found)}
    status = present(task, found.solution, folder, with_plots, command, extra, files)
    if found.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    agreed = found.termination is Termination.CONVERGED or found.success
    return UNSOLVED if status == SOLVED and not agreed else status


def _entry(found: ADMMResult) -> dict[str, Any]:
    return {
        "termination": found.termination.value,
        "message": found.message,
        "mse": plain(found.mse),
        "iterations": len(found.history),
        "batches": list(found.batches),
        "executor": found.executor,
        "workers": found.workers,
        "seconds": found.seconds,
        "kept_best": found.kept_best,
        "warnings": list(found.warnings),
        "consensus": found.consensus,
        "history": plain(found.history.reset_index().to_dict("records")),
    }
