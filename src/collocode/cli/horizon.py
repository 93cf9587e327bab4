"""``collocode horizon``: plan, hold the first move, measure, plan again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import collocode as cc

from ..checks import check_named, counted
from ..errors import InputError
from .options import FILES, SOLVER, verb
from .run import Run, Task
from .settings import split_pairs
from .terminal import counted_progress, messages

CHECKPOINT = "loop.npz"
_MOVES = 20


@verb("settings", "scheme", "degree", "residual", "elements", *SOLVER, "resume", *FILES)
def horizon(
    run: Run,
    moves: Annotated[
        int | None, typer.Option(help="How many moves are made; the model's, or 20.")
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option(help="How long a move is held; the model's, or one element."),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="A state to begin at; the window's initial one if absent."
        ),
    ] = None,
) -> int:
    """Close the loop: plan over MODEL's window, hold the first move on its plant, and so on.

    The plant is what MODEL's plant() returns; without one the model itself answers.
    """
    task = run.task()
    problem = task.problem()
    told = task.model.horizon
    count = int(told.get("moves", _MOVES)) if moves is None else moves
    if count < 1:
        raise InputError(f"--moves={count}: a closed loop makes at least one move.")
    names = ["loop.csv", "closed_loop.png"]
    folder = run.folder(names, [CHECKPOINT])
    path = run.checkpoint(CHECKPOINT, _look)
    how = task.how
    found = cc.RecedingHorizon(
        problem,
        sample=told.get("sample") if sample is None else sample,
        scheme=how["scheme"],
        degree=how.get("degree"),
        mesh=_mesh(run, task),
        interface=how["interface"],
        options=how["options"],
        setpoints=told.get("setpoints"),
    )
    before = None
    if path is not None and path.exists():
        before = found.load(path)
    begun = _state(problem, state or ())
    plant = task.model.answer(task.settings)
    with counted_progress(messages(), "move", [str(k + 1) for k in range(count)]) as bar:
        for _ in () if before is None else before.plans:
            bar.advance()

        def made(loop: cc.ClosedLoop) -> None:
            bar.advance()
            if path is not None:
                loop.save(path)

        loop = found.run(begun, count, plant, after=before, on_move=made)
    asked = run.asked(task, {"moves": count, "sample": found.sample})
    return run.finish(loop, asked, folder)


def _look(path: Path) -> tuple[bool, str]:
    """Whether the loop of a file has ended, and what it holds."""
    from ..results.closed_loop import LOOP  # a slow import, which other commands do without

    def told(tree: Any) -> tuple[bool, str]:
        made, wanted = len(tree["plans"]), tree["wanted"]
        return made >= wanted, f"{made} of {counted(wanted, 'move')} of a closed loop"

    return LOOP.read(path, told)


def _mesh(run: Run, task: Task) -> Any:
    """The elements that are asked for; None takes one a sample."""
    given = run.values["elements"]
    if given == "auto":
        raise InputError("--elements auto refines a mesh, which a horizon keeps; give a number.")
    return task.model.defaults.get("mesh") if given is None else given


def _state(problem: cc.Problem, given: list[str] | tuple[()]) -> dict[str, float]:
    """Return the state to begin at: the window's, and what is said."""
    window, found = problem.experiments[0], {}
    for name in problem.states:
        known = problem.initial_of(window, name)
        if known.is_fixed:
            found[name] = float(known.value)
    for name, text in split_pairs(given, "--state"):
        check_named("--state", [name], "state", problem.states)
        try:
            found[name] = float(text)
        except ValueError:
            raise InputError(f"--state {name}={text}: {text!r} is not a number.") from None
    missing = [name for name in problem.states if name not in found]
    if missing:
        raise InputError(
            f"the window does not fix where state {missing[0]!r} begins; give --state {missing[0]}=..."
        )
    return found
