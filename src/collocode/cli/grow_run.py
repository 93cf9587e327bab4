"""What ``collocode grow`` does: the growth, its table, its files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

import collocode

from ..errors import InputError
from ..files import plain
from ..layered.growth.grow import grow
from ..layered.growth.growth import Growth, GrowthCycle, load_growth, save_growth
from ..layered.growth.indicators import (
    DualWeightedResiduals,
    Indicator,
    RandomPlace,
    Sensitivity,
    Topological,
    indicator_of,
)
from ..layered.problem import LayeredProblem
from ..layered.trainers.training import Step
from ..results.status import Termination
from .folder import Folder, Writer
from .model_file import load_model
from .settings import parse_settings
from .terminal import INTERRUPTED, SOLVED, UNSOLVED, messages, output, plain_table

CHECKPOINT = "growth.npz"
FILES = ("report.json", CHECKPOINT, "network.npz", "cycles.csv", "scores.csv", "history.csv")
FIGURES = ("scores.png", "history.png")
_EVERY = 0.08  # seconds between two refreshments


@dataclass(frozen=True)
class Wanted:
    """What the command line asks of the growth; see `collocode.grow`."""

    max_layers: int
    indicator: str
    select: str
    step: float
    trainer: str | None
    iterations: int | None
    patience: int | None
    tolerance: float
    stall: int | None
    time_limit: float | None
    freeze: tuple[str, ...]
    seed: int | None
    resume: bool

    def chosen(self) -> Indicator:
        """Return the indicator with its settings."""
        if self.indicator == "topological":
            return Topological(self.select, self.step)
        own: dict[str, Callable[[], Indicator]] = {
            "sensitivity": lambda: Sensitivity(self.step),
            "random": lambda: RandomPlace(step=self.step),
            "dwr": DualWeightedResiduals,
        }
        return own[self.indicator]() if self.indicator in own else indicator_of(self.indicator)

    def keywords(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of `grow`; what the command line leaves open is the model's."""
        given = {
            "trainer": self.trainer,
            "iterations": self.iterations,
            "patience": self.patience,
            "seed": self.seed,
        }
        usual = {"trainer": "lbfgs", "iterations": 100, "patience": None, "seed": 0}
        how = {
            name: value if value is not None else defaults.get(name, usual[name])
            for name, value in given.items()
        }
        how["gradient_tolerance"] = defaults.get("tolerance", 1e-6)
        how |= {"max_layers": self.max_layers, "tolerance": self.tolerance, "stall": self.stall}
        return how | {"seconds": float("inf") if self.time_limit is None else self.time_limit}


def run_grow(
    path: Path, given: list[str], wanted: Wanted, out: Path | None, with_plots: bool
) -> int:
    """Grow a model, show and write the results; return the exit status."""
    model = load_model(path)
    values = parse_settings(given, model.settings)
    problem = model.layered(values)
    how = wanted.keywords(model.defaults)
    folder = _open(out, wanted.resume, with_plots)
    earlier = None
    if wanted.resume:
        if folder is None or not (folder.path / CHECKPOINT).exists():
            raise InputError("--resume needs the --out of an earlier run, with its growth.npz.")
        earlier = load_growth(folder.path / CHECKPOINT)
    began = time.perf_counter()
    with _watching(messages()) as (on_cycle, on_step):
        growth = grow(
            problem,
            wanted.chosen(),
            freeze=wanted.freeze,
            checkpoint=None if folder is None else folder.path / CHECKPOINT,
            resume=earlier,
            on_cycle=on_cycle,
            on_step=on_step,
            **how,
        )
    print_growth(output(), growth, problem)
    settings = {s.name: values.get(s.name, s.default) for s in model.settings}
    command = {
        "name": "grow",
        **how,
        "indicator": growth.indicator,
        "select": wanted.select,
        "step": wanted.step,
        "freeze": wanted.freeze,
    }
    report = _report(growth, problem, path, settings, command, time.perf_counter() - began)
    if folder is not None:
        written = folder.write(_files(growth, report, with_plots))
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    if growth.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    return SOLVED if growth.success else UNSOLVED


def print_growth(console: Console, growth: Growth, problem: LayeredProblem) -> None:
    """Print a row a depth, and what came out."""
    shown = plain_table(
        *("layers", "iter-\nations", "objective", "training", "vali-\ndation"),
        *("best\nscore", "new\nlayer", "pre-\ndicted", "de-\ncrease", "seconds"),
        title=f"{problem.name}: growth by {growth.indicator}, {growth.trainer}",
        right=0,
    )
    for cycle, row in growth.table().iterrows():
        place = row["position"]
        shown.add_row(
            *(str(int(row[name])) for name in ("layers", "iterations")),
            _short(row["objective"]),
            *(_share(row[name]) for name in ("training", "validation")),
            _short(row["score"]),
            "" if place != place else str(int(place)),
            *("" if place != place else _short(row[name]) for name in ("predicted", "decrease")),
            f"{row['seconds']:.2f}",
            style="bold" if cycle == growth.best_cycle else "",
        )
    console.print()
    console.print(shown)
    layers = growth.network.layers
    spent = growth.training_seconds
    share = f", {100 * growth.scoring_seconds / spent:.1f} % of it for scores" if spent else ""
    note = f"{growth.status}; best with {layers} layer{'s' if layers > 1 else ''}; "
    note += f"training {spent:.2f} s{share}"
    console.print(Text(note, "green" if growth.success else "red"))
    if problem.test is not None:
        score = problem.with_network(growth.network).objective.score(growth.theta, problem.test)
        console.print(Text(f"test {growth.best.metric} {score:.4g}"))


def _share(value: float) -> str:
    return "–" if value != value else f"{value:.4f}"


def _short(value: float) -> str:
    return "–" if value != value else f"{value:.3g}"


def _open(out: Path | None, resume: bool, with_plots: bool) -> Folder | None:
    """Return the folder, once it is sure that nothing foreign lies there."""
    if out is None:
        return None
    names = [*FILES, *(FIGURES if with_plots else ())]
    Folder(out, also=[CHECKPOINT] if resume else []).check(names)
    return Folder(out, also=[CHECKPOINT])  # which the growth writes before its report


def _report(
    growth: Growth,
    problem: LayeredProblem,
    path: Path,
    settings: Mapping[str, Any],
    command: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    best = growth.best
    report: dict[str, Any] = plain(
        {
            "format": "collocode growth report 1",
            "collocode": collocode.__version__,
            "model": {"file": str(path), "settings": settings, "source": problem.source},
            "command": command,
            "problem": {"name": problem.name, "network": best.network.description()},
            "result": {
                "status": growth.status,
                "layers": growth.network.layers,
                "metric": best.metric,
                "objective": best.objective,
                "iterations": growth.iterations,
            },
            "seconds": {
                "total": seconds,
                "training": growth.training_seconds,
                "scores": growth.scoring_seconds,
            },
            "cycles": growth.table().to_dict("records"),
        }
    )
    return report


def _files(growth: Growth, report: Mapping[str, Any], with_plots: bool) -> dict[str, Writer]:
    """Return the writers of all files by name."""
    files: dict[str, Writer] = {
        CHECKPOINT: partial(save_growth, growth),
        "network.npz": growth.best.save,
        "cycles.csv": partial(growth.table().to_csv, index=False),
        "scores.csv": partial(growth.scores.to_csv, index=False),
        "history.csv": partial(growth.history.to_csv, index=False),
    }
    if with_plots:
        from ..plots import growth_history, growth_scores, save_figure

        files["scores.png"] = partial(save_figure, growth_scores(growth))
        files["history.png"] = partial(save_figure, growth_history(growth))
    text = json.dumps({**report, "files": sorted([*files, "report.json"])}, indent=2) + "\n"
    files["report.json"] = lambda path: path.write_text(text, encoding="utf-8")
    return files


Watch = tuple[Callable[[GrowthCycle], None], Callable[[Step, int], None] | None]


@contextmanager
def _watching(console: Console) -> Iterator[Watch]:
    """Yield what `grow` calls: a line a depth, and on a terminal a live line an iteration."""

    def tell(cycle: GrowthCycle) -> None:
        console.print(Text(_line(cycle), "dim"))

    if not console.is_terminal:
        yield tell, None
        return
    shown = 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def look(step: Step, layers: int) -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown > _EVERY:
                shown = now
                text = f"{layers} layers  iteration {step.iteration:4d}  J {step.objective:.3e}"
                if step.validation_loss == step.validation_loss:
                    text += f"  validation {step.validation_loss:.3e}"
                live.update(Text(f"{text}  Ctrl-C stops", "dim"), refresh=True)

        yield tell, look


def _line(cycle: GrowthCycle) -> str:
    t = cycle.training
    text = f"{cycle.layers} layers: objective {t.objective:.4e} after {t.iterations} iterations"
    if cycle.extension is not None:
        text += f", new layer at {cycle.extension.position}"
    return text
