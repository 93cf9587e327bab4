"""``collocode grow``: a layered network that gets layers where they lower the loss most."""

from __future__ import annotations

from typing import Annotated

import typer

from .arguments import Debug, Help, Model, NoPlots, Out, Seed, Settings, ready
from .terminal import guarded


def grow(
    context: typer.Context,
    model: Model = None,
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
        str, typer.Option(help="Of topological: rows (all neurons of a layer) or neuron (one).")
    ] = "rows",
    step: Annotated[float, typer.Option(help="Step h of a new layer.")] = 1.0,
    trainer: Annotated[
        str | None,
        typer.Option(
            help="lbfgs, adam, gauss-newton, ipopt, barzilai-borwein or armijo; the model's, or "
            "lbfgs."
        ),
    ] = None,
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")
    ] = False,
    settings: Settings = None,
    seed: Seed = None,
    out: Out = None,
    no_plots: NoPlots = False,
    debug: Debug = False,
    show_help: Help = False,
) -> None:
    """Train MODEL, a layered network, and add layers where they help most.

    Every depth is kept in --out; Ctrl-C reports what there is, --resume goes on from there. Exit
    status 0 if it ended by a rule of its own: depth, validation, tolerance.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        from .grow_run import Wanted, run_grow

        wanted = Wanted(
            max_layers,
            indicator,
            select,
            step,
            trainer,
            iterations,
            patience,
            tolerance,
            stall or None,
            time_limit,
            tuple(freeze or ()),
            seed,
            resume,
        )
        status = run_grow(path, settings or [], wanted, out, not no_plots)
    raise typer.Exit(status)
