"""``collocode grow``: a layered network that gets layers where they lower the loss most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

import collocode as cc

from ..checks import counted
from ..errors import InputError
from .options import FILES, verb
from .run import Run
from .terminal import live_trainings, messages

CHECKPOINT = "growth.npz"
NAMES = ("network.npz", "cycles.csv", "scores.csv", "history.csv", "scores.png", "history.png")


@verb("trainer", "resume", "settings", "seed", *FILES)
def grow(
    run: Run,
    max_layers: Annotated[int, typer.Option(help="Depth limit.")] = 12,
    indicator: Annotated[
        str,
        typer.Option(
            help="topological (the layer of the largest promised decrease, with its weights), "
            "sensitivity (zeros where the slope is largest), dwr (halves the layer that a coarse "
            "step costs most), random."
        ),
    ] = "topological",
    select: Annotated[
        str,
        typer.Option(
            help="Of topological: rows (all neurons of a layer), neuron (one), or an exponent p of the "
            "Wasserstein distance between (4: the better ones more)."
        ),
    ] = "rows",
    step: Annotated[float, typer.Option(help="Step h of a new layer.")] = 1.0,
    iterations: Annotated[
        int | None, typer.Option(help="Of every depth; the model's, or 100.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Iterations without a lower validation loss that end a depth's training."
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Smallest score, relative to the objective, that adds a layer.")
    ] = 1e-6,
    stall: Annotated[
        int, typer.Option(help="Depths without a lower validation loss that end it; 0 goes on.")
    ] = 2,
    time_limit: Annotated[float | None, typer.Option(help="In seconds.")] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Keep a part of the first network: opening, coefficients (its layers), readout.",
        ),
    ] = None,
) -> int:
    """Train MODEL, a layered network, and add layers where they help most.

    Every depth is kept in --out; Ctrl-C reports what there is, --resume goes on from there. Exit
    status 0 if it ended by a rule of its own: depth, validation, tolerance.
    """
    task = run.task()
    problem, defaults = task.model.layered(task.values), task.model.defaults
    usual = {"trainer": "lbfgs", "iterations": 100, "patience": None, "seed": 0}
    given = {**run.values, "iterations": iterations, "patience": patience}
    how = {
        **{n: defaults.get(n, u) if given[n] is None else given[n] for n, u in usual.items()},
        "gradient_tolerance": defaults.get("tolerance", 1e-6),
        "max_layers": max_layers,
        "tolerance": tolerance,
        "stall": stall or None,
        "seconds": float("inf") if time_limit is None else time_limit,
    }
    resume = run.values["resume"]
    if resume and (run.out is None or not (run.out / CHECKPOINT).exists()):
        raise InputError("--resume needs the --out of an earlier run, with its growth.npz.")
    # an earlier growth belongs to this run only if it goes on from there
    run.folder([*NAMES, CHECKPOINT], [CHECKPOINT] if resume else [])
    folder = run.folder(NAMES, [CHECKPOINT])
    checkpoint = None if folder is None else folder.path / CHECKPOINT
    with live_trainings(messages(), _depth_line, _step_line, True) as (on_cycle, on_step):
        growth = cc.grow(
            problem,
            _indicator(indicator, select, step),
            freeze=freeze or (),
            checkpoint=checkpoint,
            resume=cc.load_growth(checkpoint) if resume and checkpoint else None,
            on_cycle=on_cycle,
            on_step=on_step,
            **how,
        )
    more = {"indicator": growth.indicator, "select": select, "step": step, "freeze": freeze or ()}
    asked = run.asked(task, {**how, **more}, problem=problem)
    return run.finish(growth, asked, folder)


def _indicator(name: str, select: str, step: float) -> Any:
    """Return the indicator with its settings; an unknown name is refused by `grow`."""
    from ..layered.growth.indicators import (
        DualWeightedResiduals,
        RandomPlace,
        Sensitivity,
        Topological,
    )

    selection = float(select) if select.replace(".", "", 1).isdigit() else select
    own: dict[str, Callable[[], Any]] = {
        "topological": lambda: Topological(selection, step),
        "sensitivity": lambda: Sensitivity(step),
        "random": lambda: RandomPlace(step=step),
        "dwr": DualWeightedResiduals,
    }
    return own[name]() if name in own else name


def _step_line(step: cc.layered.Step, layers: int) -> str:
    text = f"{counted(layers, 'layer')}  iteration {step.iteration:4d}  J {step.objective:.3e}"
    known = step.validation_loss == step.validation_loss
    return text + (f"  validation {step.validation_loss:.3e}" if known else "")


def _depth_line(cycle: Any) -> str:
    t = cycle.training
    text = f"{counted(cycle.layers, 'layer')}: objective {t.objective:.4e} after {counted(t.iterations, 'iteration')}"
    if cycle.extension is not None:
        text += f", new layer at {cycle.extension.position}"
    return text
