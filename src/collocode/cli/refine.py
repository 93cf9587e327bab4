"""``collocode refine``: a mesh that is fine where the goal's error comes from, in time or in depth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import collocode as cc

from ..errors import InputError
from .model_file import is_layered
from .options import FILES, FIT, SOLVER, verb
from .run import Run, Task
from .settings import parse_options
from .terminal import live_progress, live_trainings, messages

LAYERS = "Layered networks"
CHECKPOINT = "last.npz"
_OF_LAYERS = ("trainer", "iterations", "indicator", "prolongation", "accept", "reference")
_ONLY_LAYERS = (*_OF_LAYERS, "stall")
_ONLY_DYNAMICS = ("scheme", "degree", "residual", "elements", "deterministic")
_MODELS_OWN = ("trainer", "iterations", "tolerance", "patience", "seed")


@verb("trainer", *FIT, *SOLVER, *FILES)
def refine(
    run: Run,
    tol: Annotated[float, typer.Option(help="Error of the goal to reach, in its own unit.")] = 1e-4,
    goal: Annotated[
        str,
        typer.Option(
            metavar="GOAL",
            help="objective; simulated (misfit of the simulated model); parameter:NAME; "
            "state:NAME@TIME; integral:NAME. An experiment may follow: state:y1@7.5,run 2.",
        ),
    ] = "objective",
    mark: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Elements or layers to bisect: dorfler (those that carry a share theta of the error), maximum "
            "(those above theta times the largest), fixed (the --number largest), uniform.",
        ),
    ] = "dorfler",
    theta: Annotated[
        float, typer.Option(help="Of dorfler and maximum, in (0, 1]; for layers 0.5.")
    ] = 0.9,
    number: Annotated[int, typer.Option(help="Of fixed.")] = 1,
    max_elements: Annotated[int, typer.Option(help="Budget of elements; of layers 20.")] = 2000,
    max_cycles: Annotated[int, typer.Option(help="Budget of meshes; of networks 20.")] = 40,
    compare: Annotated[
        bool, typer.Option("--compare", help="Do the same with uniform meshes beside it.")
    ] = False,
    iterations: Annotated[
        int | None,
        typer.Option(help="Of every network; the model's, or 100.", rich_help_panel=LAYERS),
    ] = None,
    indicator: Annotated[
        str | None,
        typer.Option(
            help="error (layers that the discretization error comes from; the default) or freedom "
            "(layers whose halves want weights of their own).",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    stall: Annotated[
        int,
        typer.Option(
            help="Networks without better validation after which it ends; 0 goes on.",
            rich_help_panel=LAYERS,
        ),
    ] = 3,
    prolongation: Annotated[
        str | None,
        typer.Option(
            help="fit (halves that do together what the layer did; the default) or copy (its weights).",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(
            help="better (only networks no worse than their parent; the default without --tol) or all.",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    reference: Annotated[
        int | None,
        typer.Option(
            help="Layers of a fine network, trained until it converges, for the column effectivity.",
            rich_help_panel=LAYERS,
        ),
    ] = None,
) -> int:
    """Fit MODEL on meshes that are refined where the error of a goal comes from.

    Exit status 0 only if the tolerance was reached by a solution. A layered network is trained on
    layer meshes; without --tol it ends when validation no longer improves.

    An earlier run goes on from its last mesh by --start DIR/solution.npz, of layers DIR/last.npz.
    """
    task = run.task()
    problem = task.model.problem(task.values)
    if is_layered(problem):
        return _refine_layers(run, task, problem)
    problem = task.problem()
    for name in _ONLY_LAYERS:
        if name in run.given():
            raise InputError(
                f"--{name} is for layered networks, and {run.path} is none; leave it out."
            )
    how = dict(task.how)
    if isinstance(how["start"], cc.Solution) and run.values["elements"] is None:
        how["mesh"] = {part.experiment.name: part.mesh for part in how["start"].trajectories}
    folder = run.folder(
        ["refinement.csv", "indicators.csv", "refinement.png", "mesh.png"], fits=problem
    )
    with live_progress(messages()) as show:
        found = cc.refine(
            problem,
            tol,
            goal,
            rule=mark,
            theta=theta,
            number=number,
            max_elements=max_elements,
            max_cycles=max_cycles,
            compare=compare,
            on_iteration=show,
            **how,
        )
    asked = run.asked_of_fit(task, {"goal": goal, "tol": tol, "mark": mark})
    return run.finish(found, asked, folder)


# ---- layered networks ----------------------------------------------------------------------------


def _refine_layers(run: Run, task: Task, problem: cc.layered.LayeredProblem) -> int:
    """Refine a layered network."""
    how = layers_wanted(run.path, run.given(), task.model.defaults)
    names = ["refinement.csv", "indicators.csv", "network.npz", "layers.png", "refinement.png"]
    folder = run.folder([*names, "regions.png"], [CHECKPOINT])
    checkpoint = None if folder is None else folder.path / CHECKPOINT
    with live_trainings(messages(), _network_line, _step_line, False) as (tell, look):
        found = cc.refine_layers(
            problem, checkpoint=checkpoint, on_cycle=tell, callback=look, **how
        )
    said = {key: str(value) if key == "trainer" else value for key, value in how.items()}
    return run.finish(found, run.asked(task, said), folder)


def layers_wanted(
    path: Path, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return keywords of `refine_layers`; the model's defaults go behind the options given.

    Raises
    ------
    InputError
        An option that a layered network has no use for.
    """
    for name in _ONLY_DYNAMICS:
        if name in given:
            hint = "; --set layers=4 sets the first layers" if name == "elements" else ""
            raise InputError(f"--{name} does not apply to {path}, a layered network{hint}.")
    if given.get("goal", "objective") != "objective":
        raise InputError(
            f"the goal of {path}, a layered network, is its objective; {given['goal']!r} does not apply."
        )
    how = {name: defaults[name] for name in _MODELS_OWN if name in defaults}
    names = {"max_elements": "max_layers", "mark": "rule"}
    taken = ("tol", "mark", "theta", "number", "max_elements", "max_cycles", "compare", "seed")
    for name in (*taken, "start", *_OF_LAYERS):
        if name in given:
            how[names.get(name, name)] = given[name]
    if "stall" in given:
        how["stall"] = given["stall"] or None
    return how | _solver(how.get("trainer", "lbfgs"), given)


def _solver(trainer: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return IPOPT with its options, if there are any."""
    named = [name for name in ("interface", "option", "threads") if name in given]
    if not named:
        return {}
    if trainer != "ipopt":
        raise InputError(f"--{named[0]} is for IPOPT; add --trainer ipopt or leave it out.")
    options = {
        k.removeprefix("ipopt."): v for k, v in parse_options(given.get("option", [])).items()
    }
    if "threads" in given:
        options["threads"] = given["threads"]
    return {"trainer": cc.layered.Simultaneous(options, given.get("interface", "casadi"))}


def _network_line(cycle: Any) -> str:
    scores = "".join(f"  {name} {value:.4f}" for name, value in cycle.scores.items())
    return f"{cycle.layers:3d} layers  J {cycle.estimate.value:.4g}{scores}"


def _step_line(step: cc.layered.Step) -> str:
    return f"iteration {step.iteration:4d}  J {step.objective:.3e}"
