"""``collocode relu``: a ReLU network, trained or given, and its proved optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import collocode as cc

from ..checks import check_has
from ..errors import FileError, InputError
from ..solvers.interrupt import Interrupt
from .options import FILES, verb
from .run import Run, Task
from .settings import settings_of, split_pairs
from .terminal import Shown, live_view, messages

NETWORKS = (".npz", ".onnx")
MODEL = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL",
        help="Python file that defines surrogate(...); or a network, .npz or .onnx, with --box.",
    ),
]
SETTINGS = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A keyword parameter of surrogate(); MODEL --help lists them.",
    ),
]
OPTION = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A solver option by its own name.")
]


@verb(
    "settings", "option", *FILES, wanted="surrogate", model=MODEL, settings=SETTINGS, option=OPTION
)
def relu(
    run: Run,
    train: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Of the training: epochs, batch, rate, l1, l2, dropout, big_m, unstable, clip, "
            "validation, patience, prune, seed.",
        ),
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take this network, .npz or .onnx, and train none."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="LOW:HIGH,...", help="Range of every input, instead of the model's."),
    ] = None,
    sense: Annotated[
        str | None, typer.Option(help="maximize or minimize; the model's, or maximize.")
    ] = None,
    encoding: Annotated[
        str, typer.Option(help="bigm, clipped, partition, or complementarity (local, by IPOPT).")
    ] = "bigm",
    bounds: Annotated[
        str, typer.Option(help="interval, lp, mip, split, or a number M, which is checked.")
    ] = "split",
    scale: Annotated[str, typer.Option(help="none, neuron or layer.")] = "none",
    solver: Annotated[str, typer.Option(help="highs, scip or gurobi.")] = "highs",
    time_limit: Annotated[
        float, typer.Option(help="Seconds of the solver; then its best point and bound count.")
    ] = 300.0,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Seconds for --bounds lp, split or mip; if absent, 60 for mip."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Threads for --bounds lp.")] = 1,
) -> int:
    """Train a ReLU network, or take one, and find its optimum. Exit status 0 only if proved."""
    task, surrogate = _surrogate(run, network, box, sense)
    surrogate = replace(surrogate, training=_training(surrogate.training, train or []))
    if train and surrogate.network is not None:
        raise InputError("--train has nothing to train: the network is given; leave one out.")
    how = {
        "encoding": encoding,
        "bounds": _bounds(bounds),
        "scaling": None if scale == "none" else scale,
        "solver": solver,
        "time_limit": time_limit,
        "time_budget": time_budget,
        "workers": workers,
        "options": run.options,
    }
    names = ["network.npz", "optimum.csv"]
    names += ["history.csv", "training.png"] if surrogate.network is None else []
    folder = run.folder([*names, *(["regions.png"] if len(surrogate.inputs) > 1 else [])])
    with live_view(messages()) as view, Interrupt():  # of training and search, one after the other
        found, more = _optimum(surrogate, how, view)
    asked = run.asked(task, how, problem=surrogate, more=more)
    return run.finish(found, asked, folder)


def _optimum(
    surrogate: cc.relu.Surrogate, how: Mapping[str, Any], view: Shown | None
) -> tuple[cc.relu.OptimumResult, dict[str, Any]]:
    """Train where there is no network, then optimize; return also what was trained on what."""
    more: dict[str, Any] = {}
    if surrogate.function is not None or surrogate.data is not None:
        more["samples"] = surrogate.draw(surrogate.training.seed)
    network = surrogate.network
    if network is None:

        def checked(epoch: int, error: float) -> None:
            if view is not None:
                view.line(f"training, epoch {epoch:4d}  validation {error:.2e}", at_once=True)

        more["trained"] = surrogate.train(more["samples"], checked)
        network = more["trained"].network
    if view is not None:
        view.line(f"bounds {how['bounds']}", at_once=True)

    def searched(now: cc.relu.MipProgress) -> None:
        if view is not None:
            state = f"best {now.incumbent:.5g}  bound {now.bound:.5g}"
            view.line(f"nodes {now.nodes:6d}  {state}", at_once=True)

    solve = cc.relu.maximize if surrogate.sense == "maximize" else cc.relu.minimize
    found = solve(
        network,
        surrogate.box,
        surrogate.constraints,
        objective=surrogate.objective,
        on_progress=searched if view is not None else None,
        **how,
    )
    return found, more


def _surrogate(
    run: Run, network: Path | None, box: str | None, sense: str | None
) -> tuple[Task | None, cc.relu.Surrogate]:
    """Return what is asked, from a model file or from a network's file."""
    limits, path, task = None if box is None else _box(box), run.path, None
    if path.suffix in NETWORKS:
        if network is not None:
            raise InputError(f"{path} is a network already; leave --network out.")
        if run.values["settings"]:
            raise InputError(f"{path} is a network and has no settings; leave --set out.")
        if limits is None:
            raise InputError(f"{path} does not say where its inputs may be; add --box LOW:HIGH,...")
        found = _network(path)
        names = ("y",) if found.outputs == 1 else tuple(f"y{i}" for i in range(found.outputs))
        surrogate = cc.relu.Surrogate(limits, network=found, outputs=names, name=path.stem)
    else:
        task = run.task(wanted="surrogate")
        surrogate = task.model.surrogate(task.values)
        changed: dict[str, Any] = {} if limits is None else {"box": limits}
        if network is not None:
            changed["network"] = _network(network)
        surrogate = replace(surrogate, **changed)
    return task, surrogate if sense is None else replace(surrogate, sense=sense)


def _bounds(text: str) -> str | float:
    if text in ("interval", "lp", "mip", "split"):
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"--bounds is interval, lp, mip, split or a number, not {text!r}."
        ) from None


def _network(path: Path) -> cc.relu.ReluNetwork:
    if path.suffix not in NETWORKS:
        raise FileError(f"{path} is no network; give a .npz or an .onnx file.")
    kind = cc.relu.ReluNetwork
    return kind.load(path) if path.suffix == ".npz" else kind.from_onnx(path)


def _box(text: str) -> np.ndarray:
    """Turn ``LOW:HIGH,LOW:HIGH`` into (inputs, 2).

    Examples
    --------
    >>> _box("-1:1,0:2.5").tolist()
    [[-1.0, 1.0], [0.0, 2.5]]
    """
    try:
        pairs = [[float(side) for side in part.split(":")] for part in text.split(",")]
    except ValueError:
        pairs = [[]]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(
            f"--box takes LOW:HIGH for every input, say --box=-3:3,-3:3, not {text!r}."
        )
    return np.array(pairs)


def _training(base: cc.relu.TrainingSettings, given: Sequence[str]) -> cc.relu.TrainingSettings:
    known = {setting.name: setting for setting in settings_of(cc.relu.TrainingSettings)}
    changes = {}
    for name, text in split_pairs(given, "--train"):
        check_has("training", "setting", name, known)
        changes[name] = known[name].convert(text, "--train")
    return replace(base, **changes)
