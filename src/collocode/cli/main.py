"""The application: its commands, one file each."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from .admm import admm
from .doctor import doctor, print_version, schemes
from .export import export
from .grow import grow
from .horizon import horizon
from .multistart import multistart
from .refine import refine
from .relu import relu
from .simulate import simulate
from .solve import solve
from .streams import print_anything
from .sweep import sweep
from .train import train

app = typer.Typer(
    name="collocode",
    help="Identify models with unknown parts by direct collocation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # panels of options break words where there are few columns; plain text does not
    rich_markup_mode="rich" if shutil.get_terminal_size().columns >= 60 else None,
)


def _version(asked: bool) -> None:
    if asked:
        print_version()
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Identify models with unknown parts by direct collocation."""
    print_anything()


for _verb in (
    solve,
    sweep,
    multistart,
    refine,
    admm,
    horizon,
    relu,
    grow,
    train,
    export,
    simulate,
):
    # --help is an ordinary flag of these, so that it sees MODEL and can show the model's own settings
    app.command(context_settings={"help_option_names": []})(_verb)
app.command()(doctor)
app.command()(schemes)
