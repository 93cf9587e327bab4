"""``collocode admm``: the same fit from batches of the data, in parallel."""

from __future__ import annotations

from typing import Annotated

import typer

from .arguments import (
    Debug,
    Degree,
    Deterministic,
    Elements,
    Help,
    Interface,
    Model,
    NoPlots,
    Options,
    Out,
    Scheme,
    Seed,
    Settings,
    Start,
    ready,
)
from .terminal import guarded


def admm(
    context: typer.Context,
    model: Model = None,
    batches: Annotated[
        str,
        typer.Option(
            metavar="COUNT|GROUPS",
            help="How many (whole experiments, or windows in time where there are fewer of them), "
            "or names of experiments: 'one,two;three'.",
        ),
    ] = "2",
    workers: Annotated[int, typer.Option(help="Processes of this machine.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT|local",
            help="A Dask cluster, or local for one of --workers processes here.",
        ),
    ] = None,
    boundary: Annotated[
        str,
        typer.Option(help="Where windows meet: shared (they agree on the state) or free."),
    ] = "shared",
    overlap: Annotated[
        float, typer.Option(help="Part of a window by which it reaches into both neighbours.")
    ] = 0.0,
    rho: Annotated[
        float | None,
        typer.Option(help="First penalty; found from the number of batches if absent."),
    ] = None,
    iterations: Annotated[int, typer.Option(help="Most iterations, those resumed included.")] = 50,
    time_limit: Annotated[float | None, typer.Option(help="In seconds.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Relative tolerance of both residuals.")
    ] = None,
    l1: Annotated[
        float | None,
        typer.Option("--l1", metavar="STRENGTH", help="Lasso penalty in place of the model's L2."),
    ] = None,
    polish: Annotated[
        bool, typer.Option("--polish", help="Solve the whole problem from the consensus.")
    ] = False,
    points: Annotated[
        str,
        typer.Option(
            help="Where the batches' points are kept: coordinator, or workers (only consensus "
            "entries travel)."
        ),
    ] = "coordinator",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")
    ] = False,
    settings: Settings = None,
    scheme: Scheme = None,
    degree: Degree = None,
    elements: Elements = None,
    start: Start = None,
    seed: Seed = None,
    interface: Interface = "casadi",
    option: Options = None,
    deterministic: Deterministic = False,
    out: Out = None,
    no_plots: NoPlots = False,
    debug: Debug = False,
    show_help: Help = False,
) -> None:
    """Fit MODEL batch by batch, until all batches agree on one network (consensus ADMM).

    Every iteration is kept in --out; Ctrl-C reports the consensus so far, --resume goes on from
    there. Exit status 0 only if the batches agree to the tolerance, or --polish solved the whole.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        from .admm_run import Wanted, run_admm
        from .choices import Choices

        more = (interface, tuple(option or ()), deterministic)
        choices = Choices(scheme, degree, elements, start, seed, *more)
        wanted = Wanted(
            batches,
            workers,
            scheduler,
            boundary,
            overlap,
            rho,
            iterations,
            time_limit,
            tolerance,
            l1,
            polish,
            points,
            resume,
        )
        status = run_admm(path, settings or [], choices, wanted, out, not no_plots)
    raise typer.Exit(status)
