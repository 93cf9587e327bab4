"""What ``collocode train`` does: the training, its table, its files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

import collocode

from ..errors import InputError
from ..files import plain
from ..layered import Adam, LayeredProblem, Objective, Step, Training, train
from ..layered.continuous import ContinuousObjective
from ..layered.depth import weight_basis
from ..layered.parts import affine_errors
from ..layered.trainers.run import Trainer
from ..numerics.bases import Basis
from ..results.status import Termination
from .folder import Folder, Writer
from .model_file import load_model
from .settings import parse_settings
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, messages, output, plain_table, say_warning

CHECKPOINT = "training.npz"
FILES = ("report.json", CHECKPOINT, "history.csv")
FIGURES = ("learning_curves.png",)
_EVERY = 0.08  # seconds between two refreshments
_USUAL = {"trainer": "lbfgs", "iterations": 500, "patience": None, "tolerance": 1e-6, "seed": 0}


@dataclass(frozen=True)
class Wanted:
    """What the command line asks of the training; see `collocode.layered.trainers.train`."""

    basis: str | None = None
    order: int | None = None
    trainer: str | None = None
    iterations: int | None = None
    seconds: float | None = None
    patience: int | None = None
    tolerance: float | None = None
    seed: int | None = None
    rate: float | None = None
    batch: int | None = None
    continuous: bool = False
    rtol: float = 1e-6
    resume: bool = False

    def keywords(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of `train`; what the command line leaves open is the model's."""
        how: dict[str, Any] = {}
        for name, usual in _USUAL.items():
            value = getattr(self, name)
            how[name] = defaults.get(name, usual) if value is None else value
        return how | {"seconds": float("inf") if self.seconds is None else self.seconds}

    def method(self, name: str) -> str | Trainer:
        """Return the trainer with its settings."""
        if self.rate is None and self.batch is None:
            return name
        if name != "adam":
            raise InputError(f"--rate and --batch are settings of adam, not of {name}.")
        return Adam(1e-3 if self.rate is None else self.rate, self.batch)


def with_basis(problem: LayeredProblem, name: str | None, order: int | None) -> LayeredProblem:
    """Return the problem with other functions of time under its weights.

    Raises
    ------
    InputError
        An unknown basis, more functions than layers, an order for a basis that has none.
    """
    network = problem.network
    if name is None and order is None:
        return problem
    own = network.time_basis
    if name is not None:
        kept = getattr(own, "order", 3) if order is None else order
        chosen: Basis = weight_basis(name, kept, network.mesh)
    elif "order" in {f.name for f in fields(own)}:  # type: ignore[arg-type]
        chosen = replace(own, order=order)  # type: ignore[type-var]
    else:
        raise InputError(f"the model's basis, {own!r}, has no order; give --basis too.")
    return problem.with_network(replace(network, basis=chosen))


def run_train(
    path: Path, given: list[str], wanted: Wanted, out: Path | None, with_plots: bool
) -> int:
    """Train a model, show and write the results; return the exit status."""
    model = load_model(path)
    values = parse_settings(given, model.settings)
    problem = with_basis(model.layered(values), wanted.basis, wanted.order)
    how = wanted.keywords(model.defaults)
    objective: Objective = problem.objective
    if wanted.continuous:
        objective = ContinuousObjective.of(objective, rtol=wanted.rtol, atol=0.01 * wanted.rtol)
    folder, earlier = _open(out, wanted.resume, with_plots)
    method = wanted.method(how["trainer"])
    with _watching(messages()) as look:
        training = train(
            objective,
            method,
            validation=problem.validation,
            callback=look,
            checkpoint=None if folder is None else folder.path / CHECKPOINT,
            resume=earlier,
            **{name: value for name, value in how.items() if name != "trainer"},
        )
    report = _report(training, problem, objective)
    print_training(output(), report)
    for warning in report["warnings"]:
        say_warning(warning)
    report["model"] = {
        "file": str(path),
        "settings": {s.name: values.get(s.name, s.default) for s in model.settings},
        "source": problem.source,
    }
    report["command"] = plain({"name": "train", **vars(wanted), **how})
    if folder is not None:
        written = folder.write(_files(training, problem.name, report, with_plots))
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    if training.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    return UNSOLVED if training.termination.failed else SOLVED


def _open(out: Path | None, resume: bool, with_plots: bool) -> tuple[Folder | None, Path | None]:
    """Return the folder, once it is sure that nothing foreign lies there, and what to go on from."""
    if out is None:
        if resume:
            raise InputError("--resume goes on from training.npz; give its folder by --out.")
        return None, None
    names = [*FILES, *(FIGURES if with_plots else ())]
    Folder(out, also=[CHECKPOINT] if resume else []).check(names)
    if resume and not (out / CHECKPOINT).exists():
        raise InputError(f"there is no {out / CHECKPOINT} to go on from; leave out --resume.")
    return Folder(out, also=[CHECKPOINT]), out / CHECKPOINT if resume else None


def _report(training: Training, problem: LayeredProblem, objective: Objective) -> dict[str, Any]:
    """What came out, as plain data: the table's rows, costs and warnings."""
    parts = problem.parts
    rows = {
        name: {"samples": len(samples), "error": problem.objective.score(training.best, samples)}
        for name, samples in parts.items()
    }
    if isinstance(objective, ContinuousObjective):
        for name, samples in parts.items():
            rows[name]["continuous"] = objective.score(training.best, samples)
    if not problem.samples.classes:
        for row, error in zip(rows.values(), affine_errors(*parts.values()), strict=True):
            row["affine"] = error
    network = problem.network
    coefficients = network.slices["coefficients"]
    report: dict[str, Any] = plain(
        {
            "format": "collocode training report 1",
            "collocode": collocode.__version__,
            "problem": {"name": problem.name, "network": network.description()},
            "result": {
                "status": training.status,
                "message": training.message,
                "trainer": training.trainer,
                "metric": training.metric,
                "objective": training.objective,
                "iterations": training.iterations,
                "best_iteration": training.best_iteration,
                "weights": network.n_weights,
                "weights_in_time": coefficients.stop - coefficients.start,
                "basis": repr(network.time_basis),
                "evaluations": training.evaluations,
                "gradients": training.gradients,
                "seconds": training.seconds,
            },
            "parts": rows,
            "warnings": _warnings(training, rows, problem),
        }
    )
    if isinstance(objective, ContinuousObjective):
        report["result"]["right_hand_sides"] = vars(objective.work)
    return report


def _warnings(
    training: Training, rows: Mapping[str, Mapping[str, float]], problem: LayeredProblem
) -> list[str]:
    found = []
    judged = rows.get("test") or rows.get("validation")
    if judged and "affine" in judged and judged["error"] >= judged["affine"]:
        found.append(
            "the network is no better than affine least squares on samples it has not seen; train "
            "longer, regularise more or take more samples."
        )
    if "validation" in rows and training.best_iteration < training.iterations:
        found.append(
            f"the weights are those of iteration {training.best_iteration}, which are best on "
            "validation; later ones fit the training part only."
        )
    if problem.validation is None:
        found.append(
            "without validation samples nothing tells when to stop; give the problem some."
        )
    return found


def print_training(console: Console, report: Mapping[str, Any]) -> None:
    """Print errors of all parts, and what it cost."""
    result, rows = report["result"], report["parts"]
    names = {"error": result["metric"], "continuous": "in continuous\ndepth", "affine": "affine"}
    columns = [key for key in names if key in rows["training"]]
    title = f"{report['problem']['name']}: {result['trainer']}, {result['basis']}"
    shown = plain_table("", "samples", *(names[key] for key in columns), right=1)
    for name, row in rows.items():
        values = (f"{row[key]:.4f}" for key in columns)
        shown.add_row(name, str(row["samples"]), *values)
    console.print()
    console.print(Text(title, "bold"))
    console.print(shown)
    status = result["status"] + (f" ({result['message']})" if result["message"] else "")
    bad = Termination(result["status"]).failed
    console.print(
        Text(f"{status} after {result['iterations']} iterations", "red" if bad else "green")
    )
    text = (
        f"objective {result['objective']:.4g}; {result['weights']} weights, "
        f"{result['weights_in_time']} of them in time; {result['evaluations']:.0f} evaluations, "
        f"{result['seconds']:.2f} s"
    )
    console.print(Text(text))


def _files(
    training: Training, name: str, report: Mapping[str, Any], with_plots: bool
) -> dict[str, Writer]:
    """Return the writers of all files by name."""
    files: dict[str, Writer] = {
        CHECKPOINT: training.save,
        "history.csv": partial(training.history.to_csv, index=False),
    }
    if with_plots:
        from ..plots import learning_curves, save_figure  # matplotlib takes half a second

        files["learning_curves.png"] = partial(save_figure, learning_curves(training, name))
    text = json.dumps({**report, "files": sorted([*files, "report.json"])}, indent=2) + "\n"
    files["report.json"] = lambda path: path.write_text(text, encoding="utf-8")
    return files


@contextmanager
def _watching(console: Console) -> Iterator[Callable[[Step], None] | None]:
    """Yield what `train` calls on a terminal: a live line an iteration."""
    if not console.is_terminal:
        yield None
        return
    shown = 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def look(step: Step) -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown > _EVERY:
                shown = now
                live.update(Text(progress_line(step), "dim"), refresh=True)

        yield look


def progress_line(step: Step) -> str:
    """Return one iterate as a line."""
    text = f"iteration {step.iteration:5d}  J {step.objective:.3e}  training {step.training:.4f}"
    if step.validation == step.validation:
        text += f"  validation {step.validation:.4f}"
    return f"{text}  {step.seconds:.1f} s  Ctrl-C stops"
