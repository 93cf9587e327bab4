"""``collocode train``: a layered network, trained by any of the trainers."""

from __future__ import annotations

from typing import Annotated

import typer

from .arguments import Debug, Help, Model, NoPlots, Out, Seed, Settings, ready
from .terminal import guarded


def train(
    context: typer.Context,
    model: Model = None,
    basis: Annotated[
        str | None,
        typer.Option(
            help="Of the weights in time, instead of the model's: legendre, monomial, "
            "monomial-unit, chebyshev, bspline, fourier, constant, or layers (free weights)."
        ),
    ] = None,
    order: Annotated[
        int | None, typer.Option(help="Of the basis; 3, or the model's if that has one.")
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(
            help="lbfgs, adam, gauss-newton, ipopt, barzilai-borwein or armijo; the model's, or "
            "lbfgs."
        ),
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="The model's, or 500.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Time limit.")] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Iterations without a lower validation loss that end the training."),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Of the gradient's norm; the model's, or 1e-6.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Of adam; 1e-3 if absent.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Of adam: samples in a minibatch; all if absent.")
    ] = None,
    continuous: Annotated[
        bool,
        typer.Option(
            "--continuous",
            help="Optimize then discretize: solve the layers' differential equation adaptively.",
        ),
    ] = False,
    rtol: Annotated[float, typer.Option(help="Of --continuous.")] = 1e-6,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the training.npz in --out.")
    ] = False,
    settings: Settings = None,
    seed: Seed = None,
    out: Out = None,
    no_plots: NoPlots = False,
    debug: Debug = False,
    show_help: Help = False,
) -> None:
    """Train MODEL, a layered network, and report its errors on all parts of the data.

    With --out the training is kept in training.npz as it goes; Ctrl-C reports what there is, --resume
    goes on from there. Exit status 0 unless the training failed or was interrupted.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        from .train_run import Wanted, run_train

        limits = (iterations, seconds, patience, tolerance, seed)
        wanted = Wanted(basis, order, trainer, *limits, rate, batch, continuous, rtol, resume)
        status = run_train(path, settings or [], wanted, out, not no_plots)
    raise typer.Exit(status)
