"""Options that several commands take, and `verb`, which gives them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from .run import Run, ready
from .terminal import guarded


def _option(kind: Any, text: str, *names: str, default: Any = None, **how: Any) -> tuple[Any, Any]:
    return Annotated[kind, typer.Option(*names, help=text, **how)], default


def _elements(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a count, say 40, nor auto.") from error


def _flag(name: str, text: str) -> tuple[Any, Any]:
    return _option(bool, text, name, default=False)


MODEL = Annotated[
    Path | None, typer.Argument(metavar="MODEL", help="Python file that defines problem(...).")
]
_SET = "A keyword parameter of problem(); MODEL --help lists them."
_START = (
    "auto (the best of several); gradient_matching; horizon (fits growing windows: for long, "
    "oscillating or partly measured records); shooting (known equations); smoothing, "
    "interpolate or simulate; or the solution.npz of an earlier fit. The model's, or the first."
)
_TRAINER = "lbfgs, adam, gauss-newton, ipopt, barzilai-borwein or armijo; the model's, or lbfgs."
# an annotation and a default by the name under which `Run.values` has the value
SHARED: dict[str, tuple[Any, Any]] = {
    "settings": _option(list[str] | None, _SET, "--set", metavar="NAME=VALUE"),
    "scheme": _option(
        str | None, "Discretization scheme; the model's, or radau. See `collocode schemes`."
    ),
    "degree": _option(int | None, "Stages of an element; the scheme's usual number if absent."),
    "residual": _option(
        float | None,
        "Weight in the objective of the dynamics' residual, squared and integrated between the stages: "
        "against controls that ring, and for coarse meshes. The model's, or 0.",
    ),
    "elements": _option(
        Any,
        "Elements of every experiment, or auto: chosen from the data and refined. The model's mesh, or "
        "auto where fits choose it and else about one stage a measurement.",
        parser=_elements,
        metavar="INTEGER|auto",
    ),
    "start": _option(str | None, _START),
    "seed": _option(int | None, "Of the random first weights."),
    "interface": _option(str, "casadi, cyipopt or pyomo.", default="casadi"),
    "option": _option(
        list[str] | None, "An IPOPT option, say ipopt.tol=1e-8.", metavar="NAME=VALUE"
    ),
    "threads": _option(
        int | None,
        "Threads for the experiments of one fit; one, if absent.",
    ),
    "deterministic": _flag("--deterministic", "The same iterates on every platform; slower."),
    "time_limit": _option(
        float | None, "Seconds for all of it; then the best point by then is reported."
    ),
    "trainer": _option(str | None, _TRAINER),
    "resume": _flag("--resume", "Go on from the checkpoint in --out."),
    "out": _option(Path | None, "Folder for the report, CSV, NPZ and PNG files.", metavar="DIR"),
    "no_plots": _flag("--no-plots", "No figures."),
    "debug": _flag("--debug", "Show the traceback of an error."),
    "show_help": _flag("--help", "Show this text and the settings of MODEL."),
}
FIT = ("settings", "scheme", "degree", "residual", "elements", "start", "seed")
SOLVER = ("interface", "option", "threads", "deterministic")
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
