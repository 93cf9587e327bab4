"""A network's linear regions with its value, and the course of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from . import style

if TYPE_CHECKING:  # slow imports
    from ..relu import ReluNetwork, Surrogate, TrainingResult
    from ..relu.regions import PlanarRegions

FINE = 241  # points an axis of the grid that carries the colours


@kinds_checked
@style.styled
def relu_regions(
    network: ReluNetwork,
    box: ArrayLike,
    inputs: tuple[int, int] = (0, 1),
    at: ArrayLike | None = None,
    output: int = 0,
    surrogate: Surrogate | None = None,
) -> Figure:
    """Draw the linear regions of a network in the plane of two inputs, coloured by its value.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds.
    inputs : the two that vary.
    at : (inputs,) a point that is marked, and where the other inputs are held; if None they are at
        the middle of the box.
    output : which output the colours show.
    surrogate : gives names, and where it has a function a second panel shows the network's error.

    Raises
    ------
    InputError
        Fewer than two inputs, or an output that does not exist.
    """
    if not 0 <= output < network.outputs:
        raise InputError(f"there is no output {output}; the network has {network.outputs}, from 0.")
    from ..relu import planar_regions  # a slow import

    regions = planar_regions(network, box, inputs, at)
    limits = np.asarray(box, dtype=float)
    point = limits.mean(axis=1) if at is None else np.asarray(at, dtype=float)
    x, y = (np.linspace(limits[i, 0], limits[i, 1], FINE) for i in regions.inputs)
    grid = style.plane(x, y, point, regions.inputs)
    value = network(grid)[:, output].reshape(FINE, FINE)
    true = None if surrogate is None else surrogate.truth(grid)
    figure = style.new_figure(5.9 if true is None else 10.4, 4.9)
    axes = figure.subplots(1, 1 if true is None else 2, squeeze=False, sharex=True, sharey=True)[0]
    label = surrogate.outputs[output] if surrogate is not None else f"output {output}"
    _panel(figure, axes[0], x, y, value, regions, label, {"cmap": "viridis"})
    axes[0].set_title("the network", color=style.MUTED, fontsize=9)
    if true is not None:
        error = value - true[:, output].reshape(FINE, FINE)
        most = float(np.abs(error).max()) or 1.0
        look = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
        _panel(figure, axes[1], x, y, error, regions, "network − function", look)
        axes[1].set_title("its error", color=style.MUTED, fontsize=9)
    names = surrogate.inputs if surrogate is not None else [f"x{i}" for i in range(network.inputs)]
    for ax in axes:
        if at is not None:
            mark = dict(color="white", markeredgecolor=style.INK, markersize=13, clip_on=False)
            ax.plot(*point[list(regions.inputs)], marker="*", zorder=6, **mark)
        ax.set_xlabel(names[regions.inputs[0]])
    axes[0].set_ylabel(names[regions.inputs[1]])
    others = [i for i in range(network.inputs) if i not in regions.inputs]
    held = ", ".join(f"{names[i]} = {point[i]:.3g}" for i in others)
    note = f"{len(regions)} linear regions" + (f", {held}" if held else "")
    style.heading(figure, surrogate.name if surrogate is not None else "ReLU network", note)
    return figure


def _panel(
    figure: Figure,
    ax: Axes,
    x: Array,
    y: Array,
    values: Array,
    regions: PlanarRegions,
    label: str,
    look: dict[str, Any],
) -> None:
    style.coloured(figure, ax, x, y, values, label, zorder=1, **look)
    edges = [np.vstack([p, p[:1]]) for p in regions.polygons]
    # the more edges, the finer, or they would hide what they part
    width = float(np.clip(12.0 / np.sqrt(len(edges)), 0.15, 0.8))
    colour = "white" if look["cmap"] == "viridis" else style.MUTED
    lines = LineCollection(edges, colors=colour, linewidths=width, alpha=0.7, zorder=2)
    ax.add_collection(lines, autolim=False)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    ax.grid(False)


@kinds_checked
@style.styled
def training_curve(trained: TrainingResult) -> Figure:
    """Draw errors and penalties of a training over its epochs; the kept iterate is marked."""
    history = trained.history
    figure = style.new_figure(6.0, 3.8)
    ax = figure.subplots()
    ax.plot(history.epoch, history.train, color=style.BLUE, label="training samples")
    held: dict[str, Any] = {"color": style.ORANGE}
    ax.plot(history.epoch, history.validation, dashes=(4, 1.5), label="validation", **held)
    if history.penalty.any():
        ax.plot(history.epoch, history.penalty, color=style.GREEN, dashes=(1, 1), label="penalties")
    best = history.best
    ax.plot(history.epoch[best], history.validation[best], "o", label="kept iterate", **held)
    ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean square error / variance")
    style.heading(figure, "Training", repr(trained.network))
    style.legend_below(figure, [ax])
    return figure
