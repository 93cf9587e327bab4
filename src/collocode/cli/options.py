"""Options that several commands take, and `verb`, which gives them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from .run import Run, ready
from .terminal import guarded

MODEL = Annotated[
    Path | None, typer.Argument(metavar="MODEL", help="Python file that defines problem(...).")
]
# what stands on the command line, and its default; the names are those of `Run.values`
SHARED: dict[str, tuple[Any, Any]] = {
    "settings": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="NAME=VALUE",
                help="A keyword parameter of problem(); MODEL --help lists them.",
            ),
        ],
        None,
    ),
    "scheme": (
        Annotated[
            str | None,
            typer.Option(
                help="Discretization scheme; the model's, or radau. See `collocode schemes`."
            ),
        ],
        None,
    ),
    "degree": (
        Annotated[
            int | None,
            typer.Option(help="Stages of an element; the scheme's usual number if absent."),
        ],
        None,
    ),
    "elements": (
        Annotated[
            int | None,
            typer.Option(
                help="Elements of every experiment; the model's mesh, or about one stage a "
                "measurement."
            ),
        ],
        None,
    ),
    "start": (
        Annotated[
            str | None,
            typer.Option(
                help="gradient_matching; horizon (fits growing windows: for long, oscillating or "
                "partly measured records); smoothing, interpolate or simulate. The model's, or the "
                "first."
            ),
        ],
        None,
    ),
    "seed": (Annotated[int | None, typer.Option(help="Of the random first weights.")], None),
    "interface": (Annotated[str, typer.Option(help="casadi, cyipopt or pyomo.")], "casadi"),
    "option": (
        Annotated[
            list[str] | None,
            typer.Option(metavar="NAME=VALUE", help="An IPOPT option, say ipopt.tol=1e-8."),
        ],
        None,
    ),
    "deterministic": (
        Annotated[
            bool,
            typer.Option("--deterministic", help="The same iterates on every platform; slower."),
        ],
        False,
    ),
    "trainer": (
        Annotated[
            str | None,
            typer.Option(
                help="lbfgs, adam, gauss-newton, ipopt, barzilai-borwein or armijo; the model's, or "
                "lbfgs."
            ),
        ],
        None,
    ),
    "resume": (
        Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")],
        False,
    ),
    "out": (
        Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Folder for the report, CSV, NPZ and PNG files."),
        ],
        None,
    ),
    "no_plots": (Annotated[bool, typer.Option("--no-plots", help="No figures.")], False),
    "debug": (
        Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
        False,
    ),
    "show_help": (
        Annotated[bool, typer.Option("--help", help="Show this text and the settings of MODEL.")],
        False,
    ),
}
FIT = ("settings", "scheme", "degree", "elements", "start", "seed")
SOLVER = ("interface", "option", "deterministic")
FILES = ("out", "no_plots")


def verb(
    *names: str, wanted: str = "problem", **other: Any
) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Make a command of a function of a `Run` and of its own options, which returns the exit status.

    Parameters
    ----------
    names : of the shared options that it takes too; it finds their values in the `Run`.
    wanted : the function that the model file has to define.
    other : annotations that take the place of the shared ones (``model`` is one of them).
    """
    kinds = {"model": (MODEL, None), **SHARED}
    kinds |= {name: (kind, kinds[name][1]) for name, kind in other.items()}

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

        def shared(name: str) -> inspect.Parameter:
            annotation, default = kinds[name]
            return inspect.Parameter(name, kind, default=default, annotation=annotation)

        def command(context: typer.Context, **values: Any) -> None:
            with guarded(values["debug"]):
                path = ready(context, values["model"], values["show_help"], wanted)
                passed = {p.name: values[p.name] for p in own}
                status = function(Run(context, path, values), **passed)
            raise typer.Exit(status)

        parameters = [
            inspect.Parameter("context", kind, annotation=typer.Context),
            shared("model"),
            *(p.replace(annotation=hints[p.name]) for p in own),
            *(shared(name) for name in (*names, "debug", "show_help")),
        ]
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate
