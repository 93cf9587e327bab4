"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .terminal import output

Model = Annotated[
    Path | None, typer.Argument(metavar="MODEL", help="Python file that defines problem(...).")
]
NlOptions = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=VALUE]...", help="IPOPT options, if MODEL is an .nl file."),
]
Ampl = Annotated[
    bool, typer.Option("-AMPL", help="MODEL is the stub of an .nl file; behave as AMPL expects.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A keyword parameter of problem(); MODEL --help lists them.",
    ),
]
Scheme = Annotated[
    str | None,
    typer.Option(help="Discretization scheme; the model's, or radau. See `collocode schemes`."),
]
Degree = Annotated[
    int | None, typer.Option(help="Stages of an element; the scheme's usual number if absent.")
]
Elements = Annotated[
    int | None,
    typer.Option(
        help="Elements of every experiment; the model's mesh, or about one stage a measurement."
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        help="gradient_matching; horizon (fits growing windows: for long, oscillating or partly "
        "measured records); smoothing, interpolate or simulate. The model's, or the first."
    ),
]
Seed = Annotated[int | None, typer.Option(help="Of the random first weights.")]
Interface = Annotated[str, typer.Option(help="casadi, cyipopt or pyomo.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An IPOPT option, say ipopt.tol=1e-8."),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="The same iterates on every platform; slower.")
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder for JSON, CSV, NPZ and PNG files.")
]
NoPlots = Annotated[bool, typer.Option("--no-plots", help="No PNG files.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Help = Annotated[bool, typer.Option("--help", help="Show this text and the settings of MODEL.")]


def ready(
    context: typer.Context, model: Path | None, show_help: bool, wanted: str = "problem"
) -> Path:
    """Return the model's path; show the help, with what is the model's own, if that is wanted."""
    if show_help:
        typer.echo(context.get_help())
        if model is not None:
            from .settings_help import print_settings

            print_settings(output(), model, wanted)
        raise typer.Exit
    if model is None:
        raise typer.BadParameter("give a model file.", context, param_hint="MODEL")
    return model


def given_options(context: typer.Context) -> dict[str, Any]:
    """Options that stand on the command line, by the names of the function's arguments."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    said = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    return {name: context.params[name] for name in said}
