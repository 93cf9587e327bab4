"""Convergence of consensus ADMM by iteration."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from ..coordination.admm import ADMMResult
from . import style

Array = NDArray[np.float64]
_PRIMAL: dict[str, Any] = {"color": style.BLUE, "linewidth": 1.8, "marker": "o", "markersize": 3}
_DUAL: dict[str, Any] = {"color": style.ORANGE, "linewidth": 1.8, "marker": "s", "markersize": 3}
_LIMIT: dict[str, Any] = {"linewidth": 1.1, "linestyle": (0, (1, 1.6)), "marker": "none"}


@style.styled
def admm_history(result: ADMMResult) -> Figure:
    """Draw residuals with their limits, objectives, the simulated error and ρ by iteration.

    Objective means the loss of the batches' own networks plus the penalty of the consensus; simulated,
    the same with the consensus network integrated over every batch.  Iterations whose simulation broke
    down leave a gap; those in which a batch had to be rescued are marked at the lower edge.
    """
    table = result.history
    figure = style.new_figure(9.0, 5.4)
    axes = figure.subplots(2, 2, sharex=True, height_ratios=[3, 2])
    if not len(table):
        for ax in axes.flat:
            style.empty(ax, "no iteration was finished")
    else:
        x = table.index.to_numpy(dtype=int)
        _residuals(axes[0, 0], x, result)
        _lines(
            axes[0, 1],
            x,
            [
                (table["objective"], "of the batches", _PRIMAL),
                (table["simulated_objective"], "of the simulated consensus", _DUAL),
            ],
        )
        axes[0, 1].set_ylabel("objective")
        axes[1, 0].step(x, table["rho"], where="mid", color=style.INK, linewidth=1.6)
        _logarithmic(axes[1, 0])
        values = np.unique(table["rho"])
        if len(values) < 7:
            axes[1, 0].set_yticks(values, [f"{value:.2g}" for value in values])
        axes[1, 0].set_ylabel("penalty ρ")
        _lines(axes[1, 1], x, [(table["batch_mse"], "simulated by batch, against data", _DUAL)])
        axes[1, 1].set_ylabel("mean squared error")
        for ax in axes.flat:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.margins(x=0.02)
        for ax in axes[0]:
            ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=4, fontsize=8.5,
                      columnspacing=1.2, handlelength=1.8, borderaxespad=0.0)  # fmt: skip
    for ax in axes[1]:
        ax.set_xlabel("iteration")
    figure.align_ylabels()
    note = f"{result.termination.value} after {len(table)} iterations of {len(result.batches)}"
    style.heading(figure, result.solution.name, f"{note} batches")
    return figure


def _residuals(ax: Axes, x: Array, result: ADMMResult) -> None:
    table = result.history
    for name, look in (("primal", _PRIMAL), ("dual", _DUAL)):
        values = table[name].to_numpy(dtype=float)
        ax.plot(x, np.where(values > 0.0, values, np.nan), label=name, **look)
        ax.plot(x, table[f"{name}_limit"], **{**look, **_LIMIT}, label="its limit")
    rescued = x[(table["rescued"] != "").to_numpy()]
    ax.set_yscale("log")
    if len(rescued):
        bottom = np.full(len(rescued), 0.02)
        ax.plot(
            *(rescued, bottom, "^"),
            color=style.PURPLE,
            transform=ax.get_xaxis_transform(),
            label="rescue",
        )
    ax.set_ylabel("residual")


def _lines(ax: Axes, x: Array, curves: list[tuple[Any, str, dict[str, Any]]]) -> None:
    """Plot curves; the axis is logarithmic where they spread over more than a factor of five."""
    known = [np.empty(0)]
    for values, label, look in curves:
        shown = np.where(np.isfinite(values), values, np.nan)
        ax.plot(x, shown, label=label, **look)
        known.append(shown[np.isfinite(shown)])
    every = np.concatenate(known)
    if len(every) and every.min() > 0.0 and every.max() > 5.0 * every.min():
        _logarithmic(ax)
    elif not len(every):
        style.empty(ax, "was not measured")


def _logarithmic(ax: Axes) -> None:
    """Scale logarithmically, with 1, 2 and 5 for labels where the range is short."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 30.0 * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
