"""``collocode solve``: model file -> fit -> report."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

import collocode as cc

from .model_file import PETAB
from .options import FILES, FIT, SOLVER, verb
from .run import Run, Task
from .terminal import live_progress, messages

_PARAMETERS = "petab_parameters.tsv"


@verb(*FIT, *SOLVER, "time_limit", *FILES)
def solve(
    run: Run,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="IPOPT options, if MODEL is an .nl file."),
    ] = None,
    ampl: Annotated[
        bool,
        typer.Option("-AMPL", help="MODEL is the stub of an .nl file; behave as AMPL expects."),
    ] = False,
) -> int:
    """Fit MODEL and report. Exit status 0 only if it was solved.

    MODEL may also be the .yaml file of a PEtab problem; the estimates go into a parameter table.
    Or an AMPL .nl file: it is solved by IPOPT, and its .sol file written.
    """
    if ampl or run.path.suffix == ".nl":
        from .ampl import solve_file

        limit = run.values["time_limit"]
        given = [] if limit is None else [f"max_wall_time={limit}"]
        threads = run.values["threads"]
        given += [] if threads is None else [f"threads={threads}"]
        given += [*(run.values["option"] or ()), *(words or ())]
        return solve_file(run.path, given, run.values["deterministic"], None if ampl else run)
    if words:
        raise typer.BadParameter(f"unexpected {words[0]!r}; give options by --option.", run.context)
    task = run.task()
    made = task.model.problem(task.values)
    if isinstance(made, cc.Program):
        return _program(run, task, made)
    problem = task.model.identified(made)
    petab = [_PARAMETERS] if run.path.suffix in PETAB else []
    folder = run.folder(petab, fits=problem)
    with live_progress(messages()) as show:
        solution = cc.fit(problem, **task.how, on_iteration=show)
    files = {name: partial(cc.write_petab_parameters, solution, run.path) for name in petab}
    return run.finish(solution, run.asked_of_fit(task), folder, files)


def _program(run: Run, task: Task, program: cc.Program) -> int:
    """Solve what `problem()` built; of a fit's options only those of the solver say anything."""
    folder = run.folder(["variables.csv"])
    how = {
        key: task.how[key] for key in ("interface", "options", "deterministic") if key in task.how
    }
    if "time_limit" in task.how:
        how["options"] = {"max_wall_time": task.how["time_limit"], **how["options"]}
    with live_progress(messages()) as show:
        solution = cc.solve(program, **how, on_iteration=show)
    return run.finish(solution, run.asked(task, how), folder)
