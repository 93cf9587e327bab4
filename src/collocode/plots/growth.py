"""Figures of a growing network: scores over depth at each cycle, and losses with the insertions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..layered.growth.growth import Growth
from . import style

Array = NDArray[np.float64]
_COLUMNS = 4


@style.styled
def growth_scores(growth: Growth) -> Figure:
    """Draw the scores of all places, one panel per cycle; the place that got the layer is full.

    Parameters
    ----------
    growth : from `collocode.grow`.
    """
    cycles = [(n, c) for n, c in enumerate(growth.cycles) if np.isfinite(c.values).any()]
    columns = min(_COLUMNS, max(1, len(cycles)))
    rows = max(1, -(-len(cycles) // columns))
    figure = style.new_figure(2.5 * columns + 1.0, 1.9 * rows + 1.0)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, (_, cycle) in zip(axes.flat, cycles, strict=False):
        _scores(ax, cycle.depths, cycle.values, cycle.training.network.mesh.points)
        if cycle.extension is not None:
            chosen = cycle.extension.position
            here = cycle.depths[chosen], cycle.values[chosen]
            ax.plot(*here, "o", color=style.ORANGE, markersize=7, zorder=4)
        ax.set_title(f"{cycle.layers} layer{'s' if cycle.layers > 1 else ''}", fontsize=9)
    for ax in axes.flat[len(cycles) :]:
        ax.set_visible(False)
    if not cycles:
        axes[0, 0].set_visible(True)
        style.empty(axes[0, 0], "this indicator gives no scores")
    figure.supxlabel("depth", fontsize=9.5)
    figure.supylabel("score", fontsize=9.5)
    style.heading(figure, growth.name, f"{growth.indicator} scores; full: where it grew")
    return figure


def _scores(ax: Axes, depths: Array, values: Array, points: Array) -> None:
    """Stems at the places, over ticks at the layers' ends."""
    ax.vlines(depths, 0.0, values, color=style.BLUE, linewidth=1.6, zorder=2)
    look: dict[str, Any] = {
        "marker": "o",
        "markersize": 5,
        "markerfacecolor": "white",
        "color": style.BLUE,
    }
    ax.plot(depths, values, linestyle="none", zorder=3, **look)
    ax.axhline(0.0, color=style.MUTED, linewidth=0.8)
    ax.set_xticks(
        points, [f"{t:g}" if len(points) < 8 or not i % 2 else "" for i, t in enumerate(points)]
    )
    room = 0.06 * max(points[-1] - points[0], 1e-12)
    ax.set_xlim(points[0] - room, points[-1] + room)
    ax.ticklabel_format(axis="y", scilimits=(-2, 3))


@style.styled
def growth_history(growth: Growth) -> Figure:
    """Draw objective and validation loss over the iterations; lines stand where the network grew.

    Parameters
    ----------
    growth : from `collocode.grow`.
    """
    history = growth.history
    figure = style.new_figure(7.2, 4.2)
    ax = figure.subplots()
    x = history["iteration"].to_numpy(dtype=float)
    ax.plot(x, history["objective"], color=style.BLUE, linewidth=1.6, label="training objective")
    if history["validation_loss"].notna().any():
        known = history.dropna(subset="validation_loss")
        look: dict[str, Any] = {"color": style.ORANGE, "linewidth": 1.4, "dashes": (4, 1.5)}
        ax.plot(known["iteration"], known["validation_loss"], label="validation loss", **look)
        _mark_best(ax, growth)
    ax.set_yscale("log")
    begins = np.cumsum([0, *(cycle.training.iterations for cycle in growth.cycles)])
    for begin, cycle in zip(begins[:-1], growth.cycles, strict=True):
        if begin:
            ax.axvline(begin, color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 1.6)), zorder=1)
        where = (begin, 1.01)
        kind = ax.get_xaxis_transform()
        ax.text(*where, f"{cycle.layers}", transform=kind, fontsize=8, color=style.MUTED)
    ax.set_xlabel("iteration; above: number of layers")
    ax.set_ylabel("loss")
    ax.margins(x=0.01)
    style.heading(figure, growth.name, f"{growth.indicator}: {growth.status}")
    style.legend_below(figure, [ax])
    return figure


def _mark_best(ax: Axes, growth: Growth) -> None:
    before = sum(c.training.iterations for c in growth.cycles[: growth.best_cycle])
    best = growth.best
    row = best.history[best.history["iteration"] == best.best_iteration].iloc[-1]
    look: dict[str, Any] = {
        "color": style.ORANGE,
        "markersize": 6,
        "label": "weights that are kept",
    }
    ax.plot(before + best.best_iteration, row["validation_loss"], "o", zorder=5, **look)
