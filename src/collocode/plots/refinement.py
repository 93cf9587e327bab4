"""Figures of a refinement: where the elements went, and what they bought."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ..adapt.refinement import MeshRefinement
from ..arrays import Array
from . import style

_SAMPLES = 1500


@style.styled
def mesh_density(refinement: MeshRefinement, experiment: int | str = 0) -> Figure:
    """Draw the trajectory, the elements' lengths on the first and the last mesh, and indicators.

    Parameters
    ----------
    refinement : from `collocode.refine`.
    experiment : name or number.
    """
    solution = refinement.solution
    number = solution.index(experiment)
    first, last = (c.estimate.meshes[number] for c in (refinement.cycles[0], refinement.cycles[-1]))
    figure = style.new_figure(7.6, 6.4)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 3])
    _trajectory(top, refinement, number, last)
    for points, look in (
        (first, {"color": style.MUTED, "linewidth": 1.2, "label": "first mesh"}),
        (last, {"color": style.INK, "linewidth": 1.6, "label": "last mesh"}),
    ):
        middle.stairs(np.diff(points), points, baseline=None, **look)
    middle.set_yscale("log", base=2)
    middle.set_ylabel("element length")
    _indicators(bottom, refinement, number, last)
    bottom.set_xlabel("time")
    figure.align_ylabels()
    several = len(solution.trajectories) > 1
    whose = f" in {solution.trajectories[number].experiment.name}" if several else ""
    note = f"{len(first) - 1} to {len(last) - 1} elements{whose}"
    style.heading(figure, solution.name, note)
    for ax in (top, middle, bottom):
        if ax.get_legend_handles_labels()[1]:
            ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.98), ncols=4, fontsize=8.5)
    return figure


def _trajectory(ax: Axes, refinement: MeshRefinement, number: int, points: Array) -> None:
    """States at many times, and a tick a mesh point below."""
    solution = refinement.solution
    times = np.unique(np.concatenate([np.linspace(points[0], points[-1], _SAMPLES), points]))
    values = solution.states(times, number)
    colours = [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE]
    for i, name in enumerate(solution.model.states[: len(colours)]):
        ax.plot(times, values[:, i], color=colours[i], linewidth=1.6, label=name)
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.12 * (high - low), high)
    ax.vlines(points, 0.0, 0.07, color=style.INK, linewidth=0.6, transform=ax.get_xaxis_transform())
    ax.set_ylabel("states, mesh points")


def _indicators(ax: Axes, refinement: MeshRefinement, number: int, points: Array) -> None:
    """|η| of the last mesh; its sign by colour."""
    estimate = refinement.estimate
    values = list(estimate.by_experiment().values())[number]
    middle, size = 0.5 * (points[1:] + points[:-1]), np.abs(values)
    known = size > 0.0
    ax.set_ylabel(f"indicator, {refinement.goal}", fontsize=8.5)
    if not known.any():
        style.empty(ax, "every indicator is zero")
        return
    floor = max(size[known].min(), 1e-8 * size.max())
    for sign, colour, label in ((1.0, style.GREEN, "positive"), (-1.0, style.PURPLE, "negative")):
        here = known & (np.sign(values) == sign) & (size >= floor)
        ax.vlines(middle[here], 0.5 * floor, size[here], color=colour, linewidth=0.9, alpha=0.6)
        look = {"linestyle": "none", "marker": "o", "markersize": 3.0, "color": colour}
        ax.plot(middle[here], size[here], label=label, **look)  # type: ignore[arg-type]
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5 * floor)


@style.styled
def refinement_history(refinement: MeshRefinement) -> Figure:
    """Draw the goal's error against the number of unknowns, adaptive and, if there, uniform.

    Full marks are the estimates, hollow ones the errors against the reference.  The marking rule is
    in the note.
    """
    figure = style.new_figure(7.2, 4.6)
    ax = figure.subplots()
    sizes: list[float] = []
    for run, colour, marker, label in style.runs_of(refinement):
        table = run.table()
        x = table["unknowns"].to_numpy(dtype=float)
        sizes += x.tolist()
        estimate, error = (style.positive(np.abs(table[key])) for key in ("estimate", "error"))
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
        ax.plot(x, estimate, linewidth=1.8, label=label, **look)
        hollow = {**look, "markerfacecolor": "white", "markersize": 8, "zorder": 1.5}
        ax.plot(x, error, linestyle="none", **hollow)
    shown = {"marker": "o", "markersize": 8, "markerfacecolor": "white", "color": style.MUTED}
    ax.plot([], [], linestyle="none", label="error against the reference", **shown)  # type: ignore[arg-type]
    ax.axhline(refinement.tol, color=style.MUTED, linewidth=0.9, linestyle=":", label="tolerance")
    ax.set_xscale("log")
    ax.set_yscale("log")
    _plain_ticks(ax, sizes)
    ax.set_xlabel("unknowns")
    ax.set_ylabel(f"|error| of {refinement.goal}")
    note = f"{refinement.rule}: {refinement.status} after {len(refinement.cycles)} meshes"
    style.heading(figure, refinement.solution.name, note)
    style.legend_below(figure, [ax])
    return figure


def _plain_ticks(ax: Axes, sizes: list[float]) -> None:
    """A few numbers in full on the logarithmic axis of sizes."""
    low, high = min(sizes), max(sizes)
    ticks = [
        m * 10.0**e for e in range(8) for m in (1, 2, 5) if low / 1.3 <= m * 10.0**e <= high * 1.3
    ]
    if len(ticks) > 1:
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
