"""The application: arguments in, one call out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .admm import admm
from .arguments import (
    Ampl,
    Debug,
    Degree,
    Deterministic,
    Elements,
    Help,
    Interface,
    Model,
    NlOptions,
    NoPlots,
    Options,
    Out,
    Scheme,
    Seed,
    Settings,
    Start,
    ready,
)
from .grow import grow
from .refine import refine
from .relu import relu
from .searches import multistart, sweep
from .terminal import guarded, output
from .train import train

app = typer.Typer(
    name="collocode",
    help="Identify models with unknown parts by direct collocation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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


# --help is an ordinary flag of these, so that it sees MODEL and can show the model's own settings
OWN_HELP: dict[str, list[str]] = {"help_option_names": []}


@app.command(context_settings=OWN_HELP)
def solve(
    context: typer.Context,
    model: Model = None,
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
    words: NlOptions = None,
    ampl: Ampl = False,
) -> None:
    """Fit MODEL and report. Exit status 0 only if it was solved.

    MODEL may also be an AMPL .nl file: it is solved by IPOPT, and its .sol file written.
    """
    with guarded(debug):
        path = ready(context, model, show_help)
        if ampl or path.suffix == ".nl":
            from .ampl import run_nl

            given = [*(option or ()), *(words or ())]
            raise typer.Exit(run_nl(path, given, deterministic, ampl, out))
        if words:
            raise typer.BadParameter(f"unexpected {words[0]!r}; give options by --option.", context)
        from .choices import Choices
        from .solve import run_solve

        more = (interface, tuple(option or ()), deterministic)
        choices = Choices(scheme, degree, elements, start, seed, *more)
        status = run_solve(path, settings or [], choices, out, not no_plots)
    raise typer.Exit(status)


app.command(context_settings=OWN_HELP)(sweep)
app.command(context_settings=OWN_HELP)(multistart)
app.command(context_settings=OWN_HELP)(refine)
app.command(context_settings=OWN_HELP)(admm)
app.command(context_settings=OWN_HELP)(relu)
app.command(context_settings=OWN_HELP)(grow)
app.command(context_settings=OWN_HELP)(train)


@app.command(context_settings=OWN_HELP)
def export(
    context: typer.Context,
    model: Model = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of the NLP: .nl, .gms, .bar, .lp, .casadi, .c. Of the trained model (MODEL is "
            "solved, or a saved fit): .onnx, .npz, .mo, and of a saved fit .casadi and .c.",
        ),
    ] = None,
    solve_first: Annotated[
        bool, typer.Option("--solve", help="Solve, and write point and multipliers too.")
    ] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Write tanh and its like with exp (SCIP, BARON).")
    ] = False,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Write scaling_factor suffixes (.nl).")
    ] = False,
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which network, if there are several.")
    ] = None,
    settings: Settings = None,
    scheme: Scheme = None,
    degree: Degree = None,
    elements: Elements = None,
    start: Start = None,
    seed: Seed = None,
    option: Options = None,
    debug: Debug = False,
    show_help: Help = False,
) -> None:
    """Write MODEL, or a saved fit, for other tools."""
    with guarded(debug):
        path = ready(context, model, show_help)
        if to is None:
            raise typer.BadParameter("give a file, say --to model.nl.", context, param_hint="--to")
        from .choices import Choices
        from .export import Form, run_export

        choices = Choices(
            scheme, degree, elements, start, seed, "casadi", tuple(option or ()), False
        )
        form = Form(rewrite, scaling, network)
        status = run_export(path, to, settings or [], choices, form, solve_first)
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
