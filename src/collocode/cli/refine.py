"""``collocode refine``: a mesh that is fine where the goal's error comes from."""

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


def refine(
    context: typer.Context,
    model: Model = None,
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
            help="Elements to bisect: dorfler (those that carry a share theta of the error), maximum "
            "(those above theta times the largest), fixed (the --number largest), uniform.",
        ),
    ] = "dorfler",
    theta: Annotated[float, typer.Option(help="Of dorfler and maximum, in (0, 1].")] = 0.9,
    number: Annotated[int, typer.Option(help="Of fixed.")] = 1,
    max_elements: Annotated[int, typer.Option(help="Budget of elements.")] = 2000,
    max_cycles: Annotated[int, typer.Option(help="Budget of meshes.")] = 40,
    compare: Annotated[
        bool, typer.Option("--compare", help="Do the same with uniform meshes beside it.")
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
    """Fit MODEL on meshes that are refined where the error of a goal comes from.

    Exit status 0 only if the tolerance was reached by a solution.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        from .choices import Choices
        from .refine_run import Wanted, run_refine

        more = (interface, tuple(option or ()), deterministic)
        choices = Choices(scheme, degree, elements, start, seed, *more)
        wanted = Wanted(tol, goal, mark, theta, number, max_elements, max_cycles, compare)
        status = run_refine(path, settings or [], choices, wanted, out, not no_plots)
    raise typer.Exit(status)
