"""The application: arguments in, one call out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import guarded, output

app = typer.Typer(
    name="collocode",
    help="Identify models with unknown parts by direct collocation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _version(asked: bool) -> None:
    if asked:
        from .doctor import print_version

        print_version(output())
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Identify models with unknown parts by direct collocation."""


Model = Annotated[
    Path | None, typer.Argument(metavar="MODEL", help="Python file that defines problem(...).")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A keyword parameter of problem(); MODEL --help lists them.",
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An IPOPT option, say ipopt.tol=1e-8."),
]


# --help is an ordinary flag here, so that it sees MODEL and can show the model's own settings
@app.command(context_settings={"help_option_names": []})
def solve(
    context: typer.Context,
    model: Model = None,
    settings: Settings = None,
    scheme: Annotated[
        str | None,
        typer.Option(help="Discretization scheme; the model's, or radau. See `collocode schemes`."),
    ] = None,
    degree: Annotated[
        int | None, typer.Option(help="Stages of an element; the scheme's usual number if absent.")
    ] = None,
    elements: Annotated[
        int | None,
        typer.Option(
            help="Elements of every experiment; the model's mesh, or about one stage a measurement."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="gradient_matching, horizon, smoothing, interpolate or simulate; the model's, or "
            "the first."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the random first weights.")] = None,
    interface: Annotated[str, typer.Option(help="casadi, cyipopt or pyomo.")] = "casadi",
    option: Options = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same iterates on every platform; slower.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for JSON, CSV, NPZ and PNG files.")
    ] = None,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="No PNG files.")] = False,
    debug: Debug = False,
    show_help: Annotated[
        bool, typer.Option("--help", help="Show this text and the settings of MODEL.")
    ] = False,
) -> None:
    """Fit MODEL and report. Exit status 0 only if it was solved."""
    if show_help:
        typer.echo(context.get_help())
    with guarded(debug):
        from .solve import Choices, print_settings, run_solve

        if show_help:
            if model is not None:
                print_settings(output(), model)
            raise typer.Exit
        if model is None:
            raise typer.BadParameter("give a model file.", context, param_hint="MODEL")
        choices = Choices(
            *(scheme, degree, elements, start, seed, interface),
            options=tuple(option or ()),
            deterministic=deterministic,
        )
        status = run_solve(model, settings or [], choices, out, not no_plots)
    raise typer.Exit(status)


@app.command()
def simulate(
    fit: Annotated[Path, typer.Argument(metavar="FIT", help="solution.npz of a fit.")],
    times: Annotated[str | None, typer.Option(metavar="START:END:STEP", help="Times.")] = None,
    until: Annotated[
        float | None, typer.Option(help="Last time; the end of the experiment if absent.")
    ] = None,
    points: Annotated[int, typer.Option(help="Number of times, without --times.")] = 301,
    initial: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,...", help="Initial state; as fitted if absent."),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose inputs and parameters; the first.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv|DIR", help="Where to write CSV (and PNG).")
    ] = None,
    debug: Debug = False,
) -> None:
    """Simulate a saved fit by an independent integrator."""
    with guarded(debug):
        from .simulate import run_simulate

        status = run_simulate(fit, times, until, points, initial, experiment, out)
    raise typer.Exit(status)


@app.command()
def doctor() -> None:
    """Tell what is installed, what works, and what to do about the rest."""
    with guarded():
        from .doctor import run_doctor

        status = run_doctor()
    raise typer.Exit(status)


@app.command()
def schemes() -> None:
    """List the discretization schemes with their orders."""
    with guarded():
        from .schemes import print_schemes

        print_schemes(output())
