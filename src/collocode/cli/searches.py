"""The commands that fit a model many times: arguments in, one call out."""

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


def sweep(
    context: typer.Context,
    model: Model = None,
    over: Annotated[
        str,
        typer.Option(
            metavar="NAME=VALUES",
            help="A setting of the model, and first:last:count (logarithmic) or a,b,c.",
        ),
    ] = "regularisation=1e-2:1e-7:11",
    holdout: Annotated[
        str,
        typer.Option(
            metavar="SHARE|NAMES",
            help="Last share of every experiment's time, or names of experiments: NAME,NAME.",
        ),
    ] = "0.25",
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
    """Choose a setting of MODEL by validation, then fit with the best value.

    Every value is fitted to a part of the data and judged by simulation on the rest. Ctrl-C keeps
    the finished values in --out; --resume goes on from there.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        from .choices import Choices
        from .sweep import run_sweep

        more = (interface, tuple(option or ()), deterministic)
        choices = Choices(scheme, degree, elements, start, seed, *more)
        what = (over, holdout, out, resume, not no_plots)
        status = run_sweep(path, settings or [], choices, *what)
    raise typer.Exit(status)


def multistart(
    context: typer.Context,
    model: Model = None,
    seeds: Annotated[
        str, typer.Option(metavar="COUNT|SEEDS", help="How many (0, 1, ...), or which: 3,7,11.")
    ] = "10",
    settings: Settings = None,
    scheme: Scheme = None,
    degree: Degree = None,
    elements: Elements = None,
    start: Start = None,
    interface: Interface = "casadi",
    option: Options = None,
    deterministic: Deterministic = False,
    out: Out = None,
    no_plots: NoPlots = False,
    debug: Debug = False,
    show_help: Help = False,
) -> None:
    """Fit MODEL from several random weights and report the best."""
    with guarded(debug):
        path = ready(context, model, show_help)
        from .choices import Choices
        from .multistart import run_multistart

        more = (interface, tuple(option or ()), deterministic)
        choices = Choices(scheme, degree, elements, start, None, *more)
        status = run_multistart(path, settings or [], choices, seeds, out, not no_plots)
    raise typer.Exit(status)
