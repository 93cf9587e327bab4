"""Validation and training error of a sweep against the value."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..arrays import Array
from ..identify.sweep import Sweep
from . import style

WIDE = 20.0  # a range wider than this factor gets a logarithmic axis


@style.styled
def sweep_curve(sweep: Sweep) -> Figure:
    """Draw the held-out and the training error by value, and mark the choice.

    Values whose fit did not converge have a hollow mark; where the simulation broke down, a triangle
    at the upper edge stands for an infinite error.
    """
    table = sweep.table
    figure = style.new_figure(7.2, 4.2)
    ax = figure.subplots()
    x = _axis(ax, list(table.index))
    solved = table["converged"].to_numpy(dtype=bool)
    errors = {key: table[key].to_numpy(dtype=float) for key in ("training", "validation")}
    top = _limits(ax, list(errors.values()))
    looks: dict[str, dict[str, Any]] = {
        "training": {"color": style.BLUE, "linewidth": 1.8, "marker": "s", "markersize": 4},
        "validation": {"color": style.ORANGE, "linewidth": 2.2, "marker": "o", "markersize": 5},
    }
    labels = {"training": "training data", "validation": "held-out data"}
    for key, look in looks.items():
        y, quiet = errors[key], {**look, "linestyle": "none"}
        shown = style.positive(y)
        order = np.argsort(x)
        ax.plot(x[order], shown[order], label=labels[key], **look)
        ax.plot(x[~solved], shown[~solved], **{**quiet, "markerfacecolor": "white"}, zorder=4)
        lost = np.isinf(y)
        if lost.any():
            ax.plot(x[lost], np.full(lost.sum(), top), **{**quiet, "marker": "^"}, clip_on=False)
    _mark(ax, sweep, x, errors["validation"])
    ax.set_xlabel(sweep.name)
    ax.set_ylabel("mean squared residual / spread²")
    notes = [f"sweep over {sweep.name}"]
    notes += [] if solved.all() else ["hollow: not converged"]
    notes += ["triangle: infinite"] if any(np.isinf(y).any() for y in errors.values()) else []
    style.heading(figure, sweep.solution.name, ", ".join(notes))
    style.legend_below(figure, [ax])
    return figure


def _axis(ax: Axes, values: list[Any]) -> Array:
    """Return where the values lie on the x-axis, and set it up."""
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not numeric:
        ax.set_xticks(range(len(values)), [str(v) for v in values])
        return np.arange(len(values), dtype=float)
    x = np.array(values, dtype=float)
    ticks = np.sort(x)
    if x.min() > 0.0 and (_geometric(ticks) or x.max() > WIDE * x.min()):
        ax.set_xscale("log")
    if len(x) <= 12 and (ax.get_xscale() == "linear" or x.max() <= 100.0 * x.min()):
        ax.set_xticks(ticks, [f"{v:g}" for v in ticks])
        ax.minorticks_off()
    return x


def _geometric(ticks: Array) -> bool:
    """Whether positive values grow by about the same factor from one to the next."""
    if len(ticks) < 3:
        return False
    factors = ticks[1:] / ticks[:-1]
    return bool(factors.max() <= 1.35 * factors.min())


def _limits(ax: Axes, errors: list[Array]) -> float:
    """Set the y-axis and return its upper edge."""
    known = np.concatenate(errors)
    known = known[np.isfinite(known) & (known > 0.0)]
    if not len(known):
        return 1.0
    low, high = known.min(), known.max()
    if high > 3.0 * low:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.4, high * 1.6)
    else:
        ax.set_ylim(max(0.0, low - 0.3 * (high - low or high)), high + 0.3 * (high - low or high))
    return float(ax.get_ylim()[1])


def _mark(ax: Axes, sweep: Sweep, x: Array, errors: Array) -> None:
    """Ring the chosen value, with a line down to the axis."""
    chosen = list(sweep.table.index).index(sweep.best)
    ax.axvline(x[chosen], color=style.MUTED, linewidth=0.9, linestyle=":", zorder=1)
    ring = {"marker": "o", "markersize": 12, "markerfacecolor": "none", "linestyle": "none"}
    ax.plot(x[chosen], errors[chosen], color=style.INK, markeredgewidth=1.4, zorder=5, **ring)  # type: ignore[arg-type]
    text = f"{sweep.best:g}" if isinstance(sweep.best, int | float) else str(sweep.best)
    ax.annotate(
        f"chosen: {text}",
        (x[chosen], 1.0),
        (0, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        color=style.INK,
        fontsize=9,
    )
