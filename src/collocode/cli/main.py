"""The application: its commands, one file each."""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from .streams import print_anything

_FILES = {"schemes": "doctor"}  # of a command that has not its own name
_PLAIN = ("doctor", "schemes")  # without a model, whose settings their --help could show
_COMMANDS = (
    "solve",
    "sweep",
    "multistart",
    "refine",
    "admm",
    "horizon",
    "relu",
    "grow",
    "train",
    "export",
    "simulate",
    *_PLAIN,
)


class _Commands(TyperGroup):
    """The commands by name; the file of one is loaded when it is asked for."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        # for lists and suggestions
        self.commands = {name: TyperCommand(name) for name in _COMMANDS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f".{_FILES.get(cmd_name, cmd_name)}", __package__)
        # --help is an ordinary flag where there is a MODEL, so that it can show the model's own settings
        settings: dict[str, Any] | None = None if cmd_name in _PLAIN else {"help_option_names": []}
        alone = typer.Typer(**_LOOK)
        alone.command(cmd_name, context_settings=settings)(getattr(module, cmd_name))
        return get_command(alone)


_LOOK: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # panels of options break words where there are few columns; plain text does not
    "rich_markup_mode": "rich" if shutil.get_terminal_size().columns >= 60 else None,
}
app = typer.Typer(
    name="collocode",
    cls=_Commands,
    help="Identify models with unknown parts by direct collocation.",
    no_args_is_help=True,
    **_LOOK,
)


def _version(asked: bool) -> None:
    if asked:
        from .doctor import print_version

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
