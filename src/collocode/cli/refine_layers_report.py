"""A refinement of layers on the terminal, and as a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.text import Text

import collocode

from ..files import plain
from .choices import Task
from .summary import counted
from .terminal import plain_table

if TYPE_CHECKING:
    from ..layered.refinement.result import LayerRefinement

_SHORTEST = 16  # characters that a layer mesh needs


def ruler(mesh: Any, length: int = 32) -> str:
    """Return layer boundaries as a line of characters.

    Examples
    --------
    >>> ruler([0.0, 2.0, 3.0, 4.0], 16)
    '├───────┼───┼───┤'
    """
    ends = {round((p - mesh[0]) / (mesh[-1] - mesh[0]) * length) for p in mesh}
    inner = "".join("┼" if i in ends else "─" for i in range(1, length))
    return f"├{inner}┤"


def print_layers(console: Console, run: LayerRefinement, table: pd.DataFrame, title: str) -> None:
    """Print a row a network, and how it ended; the layer mesh where there is room for it."""
    parts = [name for name in ("training", "validation", "test") if name in table]
    length = min(32, console.width - 58 - 10 * len(parts))
    drawn = length >= _SHORTEST
    shown = plain_table(
        *("layers", "objective", "estimated\nerror", "effec-\ntivity", "as a\nflow"),
        *(f"{run.metric}\n{part}" if part == parts[0] else f"\n{part}" for part in parts),
        *("evalu-\nations", "seconds", *(["  layer mesh"] if drawn else [])),
        title=title,
        right=0,
    )
    if drawn:
        shown.columns[-1].justify = "left"
    for row, cycle in enumerate(run.cycles):
        values = table.iloc[row]
        shown.add_row(
            *(str(cycle.layers), f"{values['objective']:.4g}", f"{values['estimate']:.1e}"),
            *(
                "" if pd.isna(values["effectivity"]) else f"{values['effectivity']:.2f}",
                f"{values['flow']:.3g}",
            ),
            *(f"{values[part]:.4f}" for part in parts),
            *(f"{values['evaluations']:.0f}", f"{values['seconds']:.2f}"),
            *(["  " + ruler(cycle.estimate.mesh, length)] if drawn else []),
            style="bold" if row == run.chosen else "",
        )
    console.print()
    console.print(shown)
    best = run.best
    judged = "validation" if "validation" in best.scores else "training"
    text = (
        f"{run.status}; chosen: {counted(best.layers, 'layer')}, {best.network.n_weights} weights, "
        f"{judged} {run.metric} {best.score:.4f}; {run.seconds:.2f} s in all"
    )
    console.print(Text(text, "green" if run.success else "red"), soft_wrap=True)


def warnings_of(found: LayerRefinement) -> list[str]:
    """Say what the numbers do not: a tolerance missed, weights not optimal."""
    e, said = found.cycles[-1].estimate, []
    if found.tol is not None and not found.success:
        said.append(
            f"the tolerance {found.tol:g} was not reached ({found.status}): the estimated error "
            f"is {abs(e.error):.1e}, Σ|η| {e.magnitude:.1e}; raise --iterations, --max-elements, "
            "--max-cycles or --stall, or the model's penalty on the weights."
        )
    if not e.stationary:
        said.append(
            f"the last weights are not optimal (gradient {e.stationarity:.1e}, wanted "
            f"{e.tolerance:.0e}), so the estimate shows where to refine and not how far the optimum "
            "is; --iterations trains longer."
        )
    return said


def make_layers_report(
    task: Task,
    found: LayerRefinement,
    command: Mapping[str, Any],
    table: pd.DataFrame,
    warnings: list[str],
) -> dict[str, Any]:
    """Return the report as plain values; ``files`` is left to whoever writes them."""
    best = found.best
    report: dict[str, Any] = plain(
        {
            "format": "collocode layers report 1",
            "collocode": collocode.__version__,
            "model": {
                "file": str(task.model.path),
                "settings": task.settings,
                "source": found.problem.source,
            },
            "command": {"name": "refine", **command},
            "problem": {"name": found.problem.name, "network": best.network.description()},
            "result": {
                "status": found.status,
                "layers": best.layers,
                "weights": best.network.n_weights,
                "metric": found.metric,
                "scores": best.scores,
                "estimate": found.estimate.error,
                "magnitude": found.estimate.magnitude,
                "gradient_norm": found.estimate.stationarity,
                "stationary": found.estimate.stationary,
                "seconds": found.seconds,
            },
            "cycles": table.to_dict("records"),
            "warnings": warnings,
        }
    )
    return report
