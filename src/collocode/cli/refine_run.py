"""What ``collocode refine`` does: the refinement, its tables, and the report of the last fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from ..adapt.goals import ObjectiveValue
from ..adapt.refine import refine
from ..adapt.refinement import MeshRefinement
from ..model.problem import Problem
from ..results.status import Termination
from .choices import Task
from .folder import Writer
from .progress import live_progress
from .results import open_folder, present
from .summary import counted
from .terminal import (
    SOLVED,
    UNSOLVED,
    messages,
    output,
    plain_table,
    say_error,
    say_warning,
)

FILES = ("refinement.csv", "indicators.csv")
FIGURES = ("refinement.png", "mesh.png")


@dataclass(frozen=True)
class Wanted:
    """What the command line asks of the refinement; see `collocode.refine`."""

    tol: float
    goal: str
    rule: str
    theta: float
    number: int
    max_elements: int
    max_cycles: int
    compare: bool


def run_refine(
    task: Task, problem: Problem, wanted: Wanted, out: Path | None, with_plots: bool
) -> int:
    """Refine a model's problem, show and write the results; return the exit status."""
    more = [*FILES, *(FIGURES if with_plots else ())]
    folder = open_folder(out, problem, with_plots, more)
    with live_progress(messages()) as show:
        found = refine(
            problem,
            wanted.tol,
            wanted.goal,
            rule=wanted.rule,
            theta=wanted.theta,
            number=wanted.number,
            max_elements=wanted.max_elements,
            max_cycles=wanted.max_cycles,
            compare=wanted.compare,
            on_iteration=show,
            **task.how,
        )
    print_refinement(output(), found)
    _say(found)
    files: dict[str, Writer] = {
        "refinement.csv": partial(_table(found).to_csv, index=False),
        "indicators.csv": partial(found.estimate.to_frame().to_csv, index=False),
    }
    if with_plots and folder is not None:
        from ..plots import mesh_density, refinement_history, save_figure

        files["refinement.png"] = partial(save_figure, refinement_history(found))
        files["mesh.png"] = partial(save_figure, mesh_density(found))
    command = task.command("refine", goal=wanted.goal, tol=wanted.tol, mark=wanted.rule)
    extra = {"refinement": _entry(found)}
    status = present(task, found.solution, folder, with_plots, command, extra, files)
    return UNSOLVED if status == SOLVED and not found.success else status


def print_refinement(console: Console, found: MeshRefinement) -> None:
    """Print a row a mesh, adaptive and uniform, and how it ended."""
    for run, name in ((found, found.rule), (found.uniform, "uniform")):
        if run is not None:
            _print_cycles(console, run, name)


def _print_cycles(console: Console, run: MeshRefinement, name: str) -> None:
    own = not isinstance(run.goal, ObjectiveValue)
    shown = plain_table(
        *("elements", "unknowns", "objective", *([str(run.goal)] if own else [])),
        *("estimated\nerror", "effec-\ntivity", "iter-\nations", "seconds"),
        title=f"Refinement, {name}",
        right=0,
    )
    for _, row in run.table().iterrows():
        effectivity = row["effectivity"]
        shown.add_row(
            *(str(row["elements"]), str(row["unknowns"]), f"{row['objective']:.5g}"),
            *([f"{row['goal']:.7g}"] if own else []),
            f"{row['estimate']:.1e}",
            "" if pd.isna(effectivity) else f"{effectivity:.2f}",
            *(str(row["iterations"]), f"{row['seconds']:.2f}"),
            style="" if row["solved"] else "red",
        )
    console.print()
    console.print(shown)
    lost = int((~run.table()["solved"]).sum())
    note = f"{run.status}; {len(run.cycles)} mesh{'es' if len(run.cycles) > 1 else ''} in "
    note += f"{run.seconds:.2f} s" + (f", {lost} not solved" if lost else "")
    console.print(Text(note, "green" if run.success else "red"))


def _say(found: MeshRefinement) -> None:
    """Say what keeps the tolerance from being reached, and what to do."""
    e = found.estimate
    if found.termination is Termination.SIZE_LIMIT:
        say_warning(
            f"the budget of elements is used up at an estimated error of {abs(e.error):.1e}; raise "
            "--max-elements, --degree or --tol."
        )
    elif found.termination is Termination.ITERATION_LIMIT:
        say_warning(
            f"the budget of meshes is used up at an estimated error of {abs(e.error):.1e}; raise "
            "--max-cycles or --theta."
        )
    elif found.termination is Termination.STALLED:
        say_warning(
            f"finer meshes do not reduce the error below {e.magnitude:.1e}; rounding and the solver's "
            "tolerance allow no more (--option ipopt.tol=1e-10), or the first mesh is too coarse."
        )
    elif found.termination is Termination.ERROR:
        say_error("the last mesh was not solved, so its estimate is none; see the status above.")
    if not e.stationary and found.termination is not Termination.ERROR:
        say_warning(
            f"the last point is not stationary (residual {e.stationarity:.1e}); its estimate holds "
            "as far as it is near a solution."
        )
    if e.unconverged:
        say_warning(
            f"{counted(e.unconverged, 'element')} of the last mesh could not be solved again from the "
            "left end; the estimate is rough there."
        )


def _table(found: MeshRefinement) -> pd.DataFrame:
    """All cycles in one table."""
    runs = [(found, found.rule), *([(found.uniform, "uniform")] if found.uniform else [])]
    return pd.concat([run.table().reset_index().assign(rule=name) for run, name in runs])


def _entry(found: MeshRefinement) -> dict[str, Any]:
    e = found.estimate
    return {
        "goal": str(found.goal),
        "tol": found.tol,
        "status": found.status,
        "value": e.value,
        "estimate": e.error,
        "magnitude": e.magnitude,
        "stationarity": e.stationarity,
        "seconds": found.seconds,
        "cycles": _table(found).to_dict("records"),
    }
