"""From a surrogate's model file, or a network's, to the optimum, its tables and files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import FileError, InputError
from ..relu import (
    OptimumResult,
    ReluNetwork,
    Surrogate,
    SurrogateSamples,
    TrainingResult,
    TrainingSettings,
    maximize,
    minimize,
)
from ..relu.analyse import SurrogateError, count_regions, surrogate_error
from ..results.status import Termination
from .folder import Folder, Writer
from .model_file import load_model
from .relu_progress import live_relu
from .relu_report import make_report, print_report
from .settings import parse_options, parse_settings, settings_of, split_pairs
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, messages, output, say_warning

READERS = {".npz": ReluNetwork.load, ".onnx": ReluNetwork.from_onnx}


@dataclass(frozen=True)
class Ask:
    """How the optimum is sought: options of the command line."""

    encoding: str
    bounds: str
    scaling: str | None
    solver: str
    time_limit: float
    time_budget: float | None
    workers: int
    options: tuple[str, ...]

    def keywords(self) -> dict[str, Any]:
        """Return the keywords of `maximize`."""
        bounds: Any = self.bounds
        if bounds not in ("interval", "lp", "split"):
            try:
                bounds = float(bounds)
            except ValueError:
                raise InputError(
                    f"--bounds is interval, lp, split or a number, not {bounds!r}."
                ) from None
        return {
            "encoding": self.encoding,
            "bounds": bounds,
            "scaling": self.scaling,
            "solver": self.solver,
            "time_limit": self.time_limit,
            "time_budget": self.time_budget,
            "workers": self.workers,
            "options": parse_options(self.options),
        }


@dataclass(frozen=True, eq=False)
class Run:
    """All that came out, for the report."""

    surrogate: Surrogate
    network: ReluNetwork
    trained: TrainingResult | None
    samples: SurrogateSamples | None
    error: SurrogateError | None
    found: OptimumResult
    regions: Any
    true: Any
    scaling: str | None


def run_relu(
    path: Path,
    given: list[str],
    train: list[str],
    network: Path | None,
    box: str | None,
    sense: str | None,
    ask: Ask,
    out: Path | None,
    with_plots: bool,
) -> int:
    """Train or load a network, optimize over it, show and write the results."""
    surrogate, settings = _surrogate(path, given, network, box, sense)
    surrogate = replace(surrogate, training=_training(surrogate.training, train))
    if train and surrogate.network is not None:
        raise InputError("--train has nothing to train: the network is given; leave one out.")
    how = ask.keywords()
    folder = _open(out, surrogate, with_plots)
    with live_relu(messages()) as live:
        run = _work(surrogate, how, live)
    report = make_report(run, path, settings, how)
    print_report(output(), report)
    for warning in report["warnings"]:
        say_warning(warning)
    if folder is not None:
        written = folder.write(_files(run, report, with_plots))
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    if run.found.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    return SOLVED if run.found.success else UNSOLVED


def _work(surrogate: Surrogate, how: Mapping[str, Any], live: Any) -> Run:
    samples = trained = None
    if surrogate.function is not None or surrogate.data is not None:
        samples = surrogate.draw(surrogate.training.seed)
    network = surrogate.network
    if network is None:
        trained = surrogate.train(samples, live.training)
        network = trained.network
    live.tightening(how["bounds"])
    found = (maximize if surrogate.sense == "maximize" else minimize)(
        network,
        surrogate.box,
        surrogate.constraints,
        objective=surrogate.objective,
        on_progress=live.search,
        **how,
    )
    error = None if samples is None else surrogate_error(network, samples.x_test, samples.y_test)
    truth = surrogate.truth(found.x[None]) if np.isfinite(found.x).all() else None
    regions = count_regions(network, np.asarray(surrogate.box, dtype=float))
    true = None if truth is None else truth[0]
    scaling = how["scaling"]
    return Run(surrogate, network, trained, samples, error, found, regions, true, scaling)


def _surrogate(
    path: Path, given: list[str], network: Path | None, box: str | None, sense: str | None
) -> tuple[Surrogate, dict[str, Any]]:
    """Return what is asked, from a model file or from a network's file, and its settings."""
    limits = None if box is None else _box(box)
    settings: dict[str, Any] = {}
    if path.suffix in READERS:
        if network is not None:
            raise InputError(f"{path} is a network already; leave --network out.")
        if given:
            raise InputError(f"{path} is a network and has no settings; leave --set out.")
        if limits is None:
            raise InputError(f"{path} does not say where its inputs may be; add --box LOW:HIGH,...")
        found = _network(path)
        names = ("y",) if found.outputs == 1 else tuple(f"y{i}" for i in range(found.outputs))
        surrogate = Surrogate(limits, network=found, outputs=names, name=path.stem)
    else:
        model = load_model(path, "surrogate")
        values = parse_settings(given, model.settings)
        settings = {s.name: values.get(s.name, s.default) for s in model.settings}
        surrogate = model.surrogate(values)
        changed: dict[str, Any] = {} if limits is None else {"box": limits}
        if network is not None:
            changed["network"] = _network(network)
        surrogate = replace(surrogate, **changed)
    return (surrogate if sense is None else replace(surrogate, sense=sense)), settings


def _network(path: Path) -> ReluNetwork:
    if path.suffix not in READERS:
        raise FileError(f"{path} is no network; give a .npz or an .onnx file.")
    return READERS[path.suffix](path)


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


def _training(base: TrainingSettings, given: Sequence[str]) -> TrainingSettings:
    known = {setting.name: setting for setting in settings_of(TrainingSettings)}
    changes = {}
    for name, text in split_pairs(given, "--train"):
        if name not in known:
            raise InputError(f"training has no setting {name!r}; it has: {', '.join(known)}.")
        changes[name] = known[name].convert(text, "--train")
    return replace(base, **changes)


def _open(out: Path | None, surrogate: Surrogate, with_plots: bool) -> Folder | None:
    if out is None:
        return None
    names = ["report.json", "network.npz", "optimum.csv"]
    if surrogate.network is None:
        names += ["history.csv", *(["training.png"] if with_plots else [])]
    if with_plots and len(surrogate.inputs) > 1:
        names.append("regions.png")
    folder = Folder(out)
    folder.check(names)
    return folder


def _files(run: Run, report: Mapping[str, Any], with_plots: bool) -> dict[str, Writer]:
    """Return the writers of all files by name."""
    optimum = pd.DataFrame(report["optimum"]["rows"])
    files: dict[str, Writer] = {
        "network.npz": run.network.save,
        "optimum.csv": partial(optimum.to_csv, index=False),
    }
    if run.trained is not None:
        history = run.trained.history
        columns = ("epoch", "train", "validation", "penalty")
        frame = pd.DataFrame({name: getattr(history, name) for name in columns})
        files["history.csv"] = partial(frame.to_csv, index=False)
    if with_plots:
        from ..plots import relu_regions, save_figure, training_curve

        if run.trained is not None:
            files["training.png"] = partial(save_figure, training_curve(run.trained))
        if len(run.surrogate.inputs) > 1 and np.isfinite(run.found.x).all():
            figure = relu_regions(
                run.network, run.surrogate.box, at=run.found.x, surrogate=run.surrogate
            )
            files["regions.png"] = partial(save_figure, figure)
    text = json.dumps({**report, "files": sorted([*files, "report.json"])}, indent=2)
    files["report.json"] = lambda path: path.write_text(text + "\n", encoding="utf-8")
    return files
