"""Figures of networks that get deeper: decision regions, layer mesh, scores, what the layers bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..checks import counted
from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from . import style

if TYPE_CHECKING:  # slow imports
    from ..layered.growth.growth import Growth
    from ..layered.refinement.result import LayerCycle, LayerRefinement
    from ..layered.samples import Samples

_FINE = 161  # points an axis of the grid that carries the colours
_COLUMNS, _PANELS = 4, 12
_MOST_POINTS = 600
_CLASSES = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.MUTED)


def has_regions(refinement: LayerRefinement) -> bool:
    """Whether `decision_regions` can draw it: two features, and classes it has colours for."""
    samples = refinement.problem.samples
    return samples.inputs == 2 and 0 < samples.classes <= len(_CLASSES)


@kinds_checked
@style.styled
def decision_regions(refinement: LayerRefinement) -> Figure:
    """Draw where each cycle's network sees which class, with the validation (or training) samples.

    With one output the colour fades towards the boundary as the odds do.  Of more than twelve cycles
    the first, the last and evenly spaced ones are shown.

    Parameters
    ----------
    refinement : from `collocode.refine_layers`.

    Raises
    ------
    InputError
        Not two features, or no classes, or too many.
    """
    if not has_regions(refinement):
        raise InputError(
            f"decision regions need two features and two to {len(_CLASSES)} classes, not "
            f"{refinement.problem.samples}."
        )
    shown = _chosen(len(refinement.cycles))
    figure, axes = style.panels(len(shown), _COLUMNS, 2.6, 2.5, sharex=True, sharey=True)
    part = "validation" if refinement.problem.validation is not None else "training"
    samples = refinement.problem.parts[part]
    limits = _limits(samples.X)
    for ax, number in zip(axes.flat, shown, strict=False):
        cycle = refinement.cycles[number]
        _regions(ax, refinement, cycle, limits)
        _points(ax, samples)
        best = number == refinement.chosen and len(shown) > 1
        title = f"{counted(cycle.layers, 'layer')}, {cycle.score:.3f}" + (
            " (chosen)" if best else ""
        )
        ax.set_title(title, fontsize=9.5, fontweight="bold" if best else "normal")
        ax.set_aspect("equal")
        ax.grid(visible=False)
        ax.tick_params(labelsize=8)
    note = f"decision regions, {part} samples and {refinement.metric}"
    style.heading(figure, refinement.problem.name, note)
    return figure


def _chosen(cycles: int) -> list[int]:
    return sorted(
        set(np.linspace(0, cycles - 1, min(cycles, _PANELS)).round().astype(int).tolist())
    )


def _limits(X: Array) -> tuple[Array, Array]:
    low, high = X.min(axis=0), X.max(axis=0)
    room = 0.06 * (high - low) + 1e-9
    return low - room, high + room


def _regions(
    ax: Axes, refinement: LayerRefinement, cycle: LayerCycle, limits: tuple[Array, Array]
) -> None:
    (x0, y0), (x1, y1) = limits
    x, y = np.linspace(x0, x1, _FINE), np.linspace(y0, y1, _FINE)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    from ..layered.forward import predict  # a slow import

    u = predict(cycle.network, cycle.training.best, grid)
    classes = refinement.problem.loss.decide(u).reshape(_FINE, _FINE)
    span: Any = {"extent": (x0, x1, y0, y1), "origin": "lower", "aspect": "auto", "zorder": 0}
    if u.shape[1] == 1 and type(refinement.problem.loss).__name__ == "LogisticLoss":
        fade = LinearSegmentedColormap.from_list("odds", [style.BLUE, "#f4f4f4", style.ORANGE])
        odds = 0.5 + 0.5 * np.tanh(0.5 * u[:, 0])
        ax.imshow(odds.reshape(_FINE, _FINE), cmap=fade, vmin=0, vmax=1, alpha=0.55, **span)
    else:
        count = refinement.problem.samples.classes
        ax.imshow(classes, cmap=ListedColormap(list(_CLASSES[:count])), vmin=-0.5, vmax=count - 0.5,
                  alpha=0.3, interpolation="nearest", **span)  # fmt: skip
    for value in range(1, int(classes.max()) + 1):
        if classes.min() < value:
            ax.contour(x, y, classes >= value, levels=[0.5], colors=style.INK, linewidths=0.9)


def _points(ax: Axes, samples: Samples) -> None:
    every = max(1, len(samples) // _MOST_POINTS)
    X, Y = samples.X[::every], np.asarray(samples.Y)[::every]
    for value in range(samples.classes):
        here = value == Y
        look: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.25, "zorder": 3}
        marker = "o^sDv"[value]
        ax.plot(X[here, 0], X[here, 1], marker, markersize=3.1, color=_CLASSES[value], **look)


@kinds_checked
@style.styled
def layer_mesh(refinement: LayerRefinement) -> Figure:
    """Draw every cycle's layers as a row of boxes, dark where the indicator is, marked ones framed.

    Parameters
    ----------
    refinement : from `collocode.refine_layers`.
    """
    cycles = refinement.cycles
    figure = style.new_figure(7.4, 0.42 * len(cycles) + 1.6)
    ax = figure.subplots()
    shades = LinearSegmentedColormap.from_list("share", ["#eef4f8", style.BLUE])
    for row, cycle in enumerate(cycles):
        points = cycle.estimate.mesh
        size = np.abs(cycle.estimate.of(refinement.indicator))
        share = size / size.max() if size.max() > 0.0 else size
        ax.broken_barh(list(zip(points[:-1], np.diff(points), strict=True)), (row - 0.4, 0.8),
                       facecolors=[shades(v) for v in share], edgecolor="white", linewidth=0.9)  # fmt: skip
        for n in cycle.marked:
            frame = [(points[n], points[n + 1] - points[n])]
            ax.broken_barh(frame, (row - 0.4, 0.8), facecolors="none", edgecolor=style.ORANGE,
                           linewidth=1.8, zorder=3)  # fmt: skip
    names = [f"{counted(c.layers, 'layer')}  {c.score:.3f}" for c in cycles]
    ax.set_yticks(range(len(cycles)), names)
    ax.get_yticklabels()[refinement.chosen].set_fontweight("bold")
    ax.set_ylim(len(cycles) - 0.5, -0.5)
    ax.set_xlim(cycles[0].estimate.mesh[0], cycles[0].estimate.mesh[-1])
    ax.set_xlabel("depth t")
    ax.grid(visible=False)
    ax.tick_params(axis="y", length=0)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0.0, 1.0), shades), ax=ax, shrink=0.9, aspect=16, pad=0.02
    )
    bar.set_label(f"indicator ({refinement.indicator})\nover its largest", fontsize=8.5)
    note = f"layer mesh and {cycles[0].training.metric}; framed: bisected next"
    style.heading(figure, refinement.problem.name, note)
    return figure


@kinds_checked
@style.styled
def layer_history(refinement: LayerRefinement) -> Figure:
    """Draw the score against layers and against the work done, adaptive and, if there, uniform.

    Work is the number of layers that all samples have passed, forward and backward, since the start.

    Parameters
    ----------
    refinement : from `collocode.refine_layers`.
    """
    figure = style.new_figure(8.4, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    part = "validation" if "validation" in refinement.best.scores else "training"
    for run, colour, marker, label in style.runs_of(refinement):
        layers = np.array([c.layers for c in run.cycles])
        work = np.cumsum([c.work for c in run.cycles])
        for ax, x in ((left, layers), (right, work)):
            look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
            ax.plot(x, [c.score for c in run.cycles], label=f"{label}, {part}", **look)
            if part == "validation":
                training = [c.scores["training"] for c in run.cycles]
                ax.plot(x, training, color=colour, linewidth=1.0, linestyle=(0, (4, 1.5)),
                        label=f"{label}, training")  # fmt: skip
            chosen = run.chosen
            ax.plot(x[chosen], run.best.score, marker, color=colour, markersize=11,
                    markerfacecolor="none", markeredgewidth=1.6)  # fmt: skip
    left.set_xlabel("layers")
    left.set_ylabel(refinement.metric)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("work (layers passed by all samples)")
    note = f"{refinement.status}; ring: chosen, {counted(refinement.best.layers, 'layer')}"
    style.heading(figure, refinement.problem.name, note)
    style.legend_below(figure, [left])
    return figure


_COLUMNS = 4


@kinds_checked
@style.styled
def growth_scores(growth: Growth) -> Figure:
    """Draw the scores of all places, one panel per cycle; the place that got the layer is full.

    Parameters
    ----------
    growth : from `collocode.grow`.
    """
    cycles = [cycle for cycle in growth.cycles if np.isfinite(cycle.values).any()]
    figure, axes = style.panels(len(cycles), _COLUMNS, 2.5, 1.9)
    for ax, cycle in zip(axes.flat, cycles, strict=False):
        _scores(ax, cycle.depths, cycle.values, cycle.training.network.mesh.points)
        if cycle.extension is not None:
            chosen = cycle.extension.position
            here = cycle.depths[chosen], cycle.values[chosen]
            ax.plot(*here, "o", color=style.ORANGE, markersize=7, zorder=4)
        ax.set_title(counted(cycle.layers, "layer"), fontsize=9)
    if not cycles:
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


@kinds_checked
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
    look: dict[str, Any] = {"color": style.ORANGE, "markersize": 6, "zorder": 5}
    look["label"] = "weights that are kept"
    ax.plot(before + best.best_iteration, row["validation_loss"], "o", **look)
