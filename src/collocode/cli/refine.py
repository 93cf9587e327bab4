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
    given_options,
    ready,
)
from .terminal import guarded

LAYERS = "Layered networks"


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
    trainer: Annotated[
        str | None,
        typer.Option(
            help="lbfgs, barzilai-borwein, armijo, gauss-newton, adam or ipopt; the model's, or lbfgs.",
            rich_help_panel=LAYERS,
        ),
    ] = None,
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

    Exit status 0 only if the tolerance was reached by a solution. A layered network is trained on
    layer meshes; without --tol it ends when validation no longer improves, and --start takes the
    last.npz of an earlier --out to go on from.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        from ..model.problem import Problem
        from .choices import Choices, task_of
        from .refine_layers import layers_wanted, refuse_layer_options, run_refine_layers
        from .refine_run import Wanted, run_refine

        more = (interface, tuple(option or ()), deterministic)
        choices = Choices(scheme, degree, elements, start, seed, *more)
        task = task_of(path, settings or [], choices)
        problem = task.model.problem(task.values)
        given = given_options(context)
        if isinstance(problem, Problem):
            refuse_layer_options(path, given)
            wanted = Wanted(tol, goal, mark, theta, number, max_elements, max_cycles, compare)
            status = run_refine(task, problem, wanted, out, not no_plots)
        else:
            layers = layers_wanted(path, given, task.model.defaults)
            status = run_refine_layers(task, problem, layers, out, not no_plots)
    raise typer.Exit(status)
