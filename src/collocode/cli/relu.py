"""``collocode relu``: the command and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Debug, Help, NoPlots, Out, ready
from .terminal import guarded

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A keyword parameter of surrogate(); MODEL --help lists them.",
    ),
]
Train = Annotated[
    list[str] | None,
    typer.Option(
        "--train",
        metavar="NAME=VALUE",
        help="Of the training: epochs, batch, rate, l1, l2, dropout, big_m, unstable, clip, "
        "validation, patience, prune, seed.",
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="A solver option by its own name."),
]


def relu(
    context: typer.Context,
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="Python file that defines surrogate(...); or a network, .npz or .onnx, with --box.",
        ),
    ] = None,
    settings: Settings = None,
    train: Train = None,
    network: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take this network, .npz or .onnx, and train none."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="LOW:HIGH,...", help="Range of every input, instead of the model's."),
    ] = None,
    sense: Annotated[
        str | None, typer.Option(help="maximize or minimize; the model's, or maximize.")
    ] = None,
    encoding: Annotated[
        str, typer.Option(help="bigm, clipped, partition, or complementarity (local, by IPOPT).")
    ] = "bigm",
    bounds: Annotated[
        str, typer.Option(help="interval, lp, split, or a number M, which is checked.")
    ] = "split",
    scale: Annotated[str, typer.Option(help="none, neuron or layer.")] = "none",
    solver: Annotated[str, typer.Option(help="highs, scip or gurobi.")] = "highs",
    time_limit: Annotated[
        float, typer.Option(help="Seconds of the solver; then its best point and bound count.")
    ] = 300.0,
    time_budget: Annotated[
        float | None, typer.Option(help="Seconds for --bounds lp or split; no limit if absent.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Threads for --bounds lp.")] = 1,
    option: Options = None,
    out: Out = None,
    no_plots: NoPlots = False,
    debug: Debug = False,
    show_help: Help = False,
) -> None:
    """Train a ReLU network, or take one, and find its optimum. Exit status 0 only if proved."""
    with guarded(debug):
        file = model is not None and model.suffix in (".npz", ".onnx")
        path = ready(context, model, show_help and not file, "surrogate")
        if show_help:
            typer.echo(context.get_help())
            raise typer.Exit
        from .relu_run import Ask, run_relu

        scaling = None if scale == "none" else scale
        how = (encoding, bounds, scaling, solver, time_limit, time_budget, workers)
        ask = Ask(*how, tuple(option or ()))
        status = run_relu(
            path, settings or [], train or [], network, box, sense, ask, out, not no_plots
        )
    raise typer.Exit(status)
