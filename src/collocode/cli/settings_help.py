"""The part of ``MODEL --help`` that is the model's own: its settings and its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .model_file import ModelFile, load_model
from .terminal import plain_table


def print_settings(console: Console, path: Path, wanted: str = "problem") -> None:
    """Print what ``--set`` reaches in a model, and which options the model has set itself."""
    model = load_model(path, wanted)
    console.print(Text(model.summary, "bold"))
    console.print()
    console.print(settings_table(model))
    if model.defaults:
        console.print()
        console.print(Text.assemble(("The model's own:  ", "dim"), defaults_text(model.defaults)))


def settings_table(model: ModelFile) -> Table:
    """Return the model's settings as a table."""
    table = plain_table("--set", "type", "default", "meaning")
    for column in table.columns[:3]:
        column.no_wrap, column.overflow, column.max_width = True, "ellipsis", 34
    for setting in model.settings:
        default = "required" if setting.required else short(setting.default)
        table.add_row(
            Text(setting.name, "bold cyan"), setting.kind_name, Text(default), Text(setting.text)
        )
    return table


def defaults_text(defaults: Mapping[str, Any]) -> str:
    """Return a model's DEFAULTS as the options that they stand for.

    Examples
    --------
    >>> defaults_text({"mesh": 40, "start": "horizon", "options": {"max_iter": 900}})
    '--elements 40  --start horizon  --option max_iter=900'
    """
    parts = []
    for name, value in defaults.items():
        if name == "options":
            parts += [f"--option {key}={option}" for key, option in value.items()]
        elif name == "mesh" and not isinstance(value, int):
            points = f" of {len(value)} points" if isinstance(value, Sized) else ""
            parts.append(f"a mesh{points}")
        else:
            parts.append(f"--{'elements' if name == 'mesh' else name} {value}")
    return "  ".join(parts)


def short(value: Any) -> str:
    """Return a default as text; a path inside the current folder is shown relative to it."""
    if isinstance(value, str) and value.startswith("/"):
        path = Path(value)
        return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else value
    return repr(value) if value == "" else str(value)
