"""What ``collocode refine`` does with a layered network: training, tables, figures, files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..errors import InputError
from ..results.status import Termination
from .choices import Task
from .folder import Folder, Writer
from .refine_layers_report import make_layers_report, print_layers, warnings_of
from .settings import parse_options
from .terminal import (
    INTERRUPTED,
    SOLVED,
    UNSOLVED,
    messages,
    output,
    say_warning,
)

if TYPE_CHECKING:  # the layered networks are loaded where there is one
    from ..layered import LayeredProblem, Step
    from ..layered.refinement.result import LayerCycle, LayerRefinement

CHECKPOINT = "last.npz"
FILES = ("report.json", "refinement.csv", "indicators.csv", "network.npz", CHECKPOINT)
FIGURES = ("layers.png", "refinement.png")
REGIONS = "regions.png"
_ONLY_LAYERS = ("trainer", "iterations", "indicator", "stall")
_ONLY_DYNAMICS = ("scheme", "degree", "elements", "deterministic")
_MODELS_OWN = ("trainer", "iterations", "tolerance", "patience", "seed")
_EVERY = 0.08  # seconds between two refreshments


@dataclass(frozen=True)
class LayersWanted:
    """What the command line asks of the refinement: keywords of `collocode.refine_layers`."""

    keywords: Mapping[str, Any]

    @property
    def entry(self) -> dict[str, Any]:
        """The keywords as the report has them."""
        return {key: str(v) if key == "trainer" else v for key, v in self.keywords.items()}


def refuse_layer_options(path: Path, given: Mapping[str, Any]) -> None:
    """Refuse options that only layered networks have.

    Raises
    ------
    InputError
        One of them stands on the command line.
    """
    for name in _ONLY_LAYERS:
        if name in given:
            raise InputError(f"--{name} is for layered networks, and {path} is none; leave it out.")


def layers_wanted(
    path: Path, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> LayersWanted:
    """Return what is wanted of a layered network; the model's defaults go behind the options given.

    Raises
    ------
    InputError
        An option that a layered network has no use for.
    """
    for name in _ONLY_DYNAMICS:
        if name in given:
            hint = "; --set layers=4 sets the first layers" if name == "elements" else ""
            raise InputError(f"--{name} does not apply to {path}, a layered network{hint}.")
    if given.get("goal", "objective") != "objective":
        raise InputError(
            f"the goal of {path}, a layered network, is its objective; {given['goal']!r} does not apply."
        )
    how = {name: defaults[name] for name in _MODELS_OWN if name in defaults}
    names = {"max_elements": "max_layers", "mark": "rule"}
    taken = ("tol", "mark", "theta", "number", "max_elements", "max_cycles", "compare", "seed")
    for name in (*taken, "start", "trainer", "iterations", "indicator"):
        if name in given:
            how[names.get(name, name)] = given[name]
    if "stall" in given:
        how["stall"] = given["stall"] or None
    return LayersWanted(how | _solver(how.get("trainer", "lbfgs"), given))


def _solver(trainer: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return IPOPT with its options, if there are any."""
    named = [name for name in ("interface", "option") if name in given]
    if not named:
        return {}
    if trainer != "ipopt":
        raise InputError(f"--{named[0]} is for IPOPT; add --trainer ipopt or leave it out.")
    from ..layered import Simultaneous

    options = {
        k.removeprefix("ipopt."): v for k, v in parse_options(given.get("option", [])).items()
    }
    return {"trainer": Simultaneous(options, given.get("interface", "casadi"))}


def run_refine_layers(
    task: Task, problem: LayeredProblem, wanted: LayersWanted, out: Path | None, with_plots: bool
) -> int:
    """Refine a layered network, show and write the results; return the exit status."""
    from ..layered.refinement.refine_layers import refine_layers

    folder = _open(out, with_plots)
    checkpoint = None if folder is None else folder.path / CHECKPOINT
    with _watching(messages()) as (tell, look):
        found = refine_layers(
            problem, checkpoint=checkpoint, on_cycle=tell, callback=look, **wanted.keywords
        )
    runs = [(found, found.rule), *([(found.uniform, "uniform")] if found.uniform else [])]
    tables = [(run, run.table(), name) for run, name in runs]
    for run, table, name in tables:
        print_layers(output(), run, table, f"{problem.name}, layers refined ({name})")
    warnings = warnings_of(found)
    for warning in warnings:
        say_warning(warning)
    if folder is not None:
        whole = pd.concat([table.reset_index().assign(rule=name) for _, table, name in tables])
        report = make_layers_report(task, found, wanted.entry, whole, warnings)
        written = folder.write(_files(found, whole, report, with_plots))
        output().print(f"wrote {len(written)} files into {folder.path}", soft_wrap=True)
    if found.termination is Termination.INTERRUPTED:
        return INTERRUPTED
    return SOLVED if found.success else UNSOLVED


def _open(out: Path | None, with_plots: bool) -> Folder | None:
    if out is None:
        return None
    folder = Folder(out, also=[CHECKPOINT])
    folder.check([*FILES, *((*FIGURES, REGIONS) if with_plots else ())])
    return folder


def _files(
    found: LayerRefinement, table: pd.DataFrame, report: Mapping[str, Any], with_plots: bool
) -> dict[str, Writer]:
    """Return the writers of all files by name."""
    indicators = pd.concat(
        [c.estimate.to_frame().assign(cycle=n) for n, c in enumerate(found.cycles)]
    )
    files: dict[str, Writer] = {
        "network.npz": found.best.training.save,
        CHECKPOINT: found.cycles[-1].training.save,
        "refinement.csv": partial(table.to_csv, index=False),
        "indicators.csv": partial(indicators.to_csv, index=False),
    }
    if with_plots:
        from ..plots import decision_regions, layer_history, layer_mesh, save_figure
        from ..plots.layers import has_regions

        files["layers.png"] = partial(save_figure, layer_mesh(found))
        files["refinement.png"] = partial(save_figure, layer_history(found))
        if has_regions(found):
            files[REGIONS] = partial(save_figure, decision_regions(found))
    text = json.dumps({**report, "files": sorted([*files, "report.json"])}, indent=2) + "\n"
    files["report.json"] = lambda path: path.write_text(text, encoding="utf-8")
    return files


Watch = tuple[Callable[["LayerCycle"], None] | None, Callable[["Step"], None] | None]


@contextmanager
def _watching(console: Console) -> Iterator[Watch]:
    """Yield what `refine_layers` calls on a terminal: a line a network, a live line an iteration."""
    if not console.is_terminal:
        yield None, None
        return
    shown = 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def tell(cycle: LayerCycle) -> None:
            text = f"{cycle.layers:3d} layers  J {cycle.estimate.value:.4g}"
            scores = "".join(f"  {name} {value:.4f}" for name, value in cycle.scores.items())
            console.print(Text(text + scores, "dim"))

        def look(step: Step) -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown > _EVERY:
                shown = now
                text = f"iteration {step.iteration:4d}  J {step.objective:.3e}  Ctrl-C stops"
                live.update(Text(text, "dim"), refresh=True)

        yield tell, look
