"""Histories by iteration: of the solver, of consensus ADMM, of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from ..checks import counted
from ..kinds import kinds_checked
from ..numerics import Array
from ..results.solution import Solution
from . import style

if TYPE_CHECKING:  # theirs are slow imports, and a fit draws without them
    from ..coordination.admm import ADMMResult
    from ..layered.trainers.training import Training

_PRIMAL: dict[str, Any] = {"color": style.BLUE, "linewidth": 1.8, "marker": "o", "markersize": 3}
_DUAL: dict[str, Any] = {"color": style.ORANGE, "linewidth": 1.8, "marker": "s", "markersize": 3}
_LIMIT: dict[str, Any] = {"linewidth": 1.1, "linestyle": (0, (1, 1.6)), "marker": "none"}


@kinds_checked
@style.styled
def convergence(solution: Solution) -> Figure:
    """Draw objective, primal and dual infeasibility by iteration.

    The infeasibilities, on a logarithmic axis, are the solver's own, of the scaled problem; the
    objective's axis is logarithmic where it changes by more than a factor of five.
    """
    history = solution.result.history
    figure = style.new_figure(7.2, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
    if not len(history.get("objective", ())):
        for ax in (upper, lower):
            style.empty(ax, "this interface keeps no history of its iterations")
    else:
        objective = np.asarray(history["objective"], dtype=float)
        look = {"color": style.INK, "linewidth": 1.6, "marker": "o", "markersize": 2.6}
        _lines(upper, np.arange(len(objective)), [(objective, "objective", look)])
        looks: dict[str, dict[str, Any]] = {
            "primal": {"color": style.BLUE, "linewidth": 1.8},
            "dual": {"color": style.ORANGE, "linewidth": 1.8, "linestyle": (0, (4, 1.5))},
        }
        for key, look in looks.items():
            if key in history:
                y = style.positive(history[key])
                lower.plot(y, label=f"{key} infeasibility", marker="o", markersize=2.6, **look)
        tolerance = solution.result.options.get("tol")
        if tolerance:
            limit = {"color": style.MUTED, "linewidth": 0.9, "linestyle": ":"}
            lower.axhline(tolerance, label="tolerance", **limit)
        _logarithmic(lower)
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        lower.margins(x=0.02)
    upper.set_ylabel("objective")
    lower.set_ylabel("infeasibility")
    lower.set_xlabel("iteration")
    figure.align_ylabels()
    note = f"{solution.status} after {counted(solution.result.iterations, 'iteration')}"
    style.heading(figure, solution.name, note)
    style.legend_below(figure, [lower])
    return figure


@kinds_checked
@style.styled
def learning_curves(training: Training, name: str = "Layered network") -> Figure:
    """Draw objective and gradient, and the metric on training and validation, by iteration.

    A dotted line marks the iteration whose weights are best on validation.

    Parameters
    ----------
    training : from `collocode.layered.trainers.train`.
    name : for the title.
    """
    history = training.history
    figure = style.new_figure(7.2, 5.0)
    upper, lower = figure.subplots(2, 1, sharex=True)
    iteration = history["iteration"].to_numpy(dtype=float)
    _positive_line(upper, iteration, history["objective"], "objective", style.INK)
    _positive_line(
        upper, iteration, history["gradient_norm"], "gradient", style.MUTED, (0, (4, 1.5))
    )
    shares = training.metric == "accuracy"
    for key, colour in (("training", style.BLUE), ("validation", style.ORANGE)):
        values = history[key].to_numpy(dtype=float)
        if not np.isfinite(values).any():
            continue
        if shares:
            lower.plot(iteration, values, color=colour, linewidth=1.6, label=key)
        else:
            _positive_line(lower, iteration, history[key], key, colour)
    if np.isfinite(history["validation"]).any():
        look = {"color": style.MUTED, "linewidth": 0.9, "linestyle": ":"}
        lower.axvline(training.best_iteration, label="best on validation", **look)
    upper.set_ylabel("objective, gradient")
    lower.set_ylabel(training.metric)
    lower.set_xlabel("iteration")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    note = (
        f"{training.trainer}: {training.status} after {counted(training.iterations, 'iteration')}"
    )
    style.heading(figure, name, note)
    style.legend_below(figure, [upper, lower])
    return figure


def _positive_line(
    ax: Axes, x: Array, values: Any, label: str, colour: str, dash: object = "-"
) -> None:
    """Plot positive values on a logarithmic axis; the others are left out."""
    shown = style.positive(values)
    if np.isfinite(shown).any():
        ax.set_yscale("log")
    ax.plot(x, shown, color=colour, linewidth=1.6, linestyle=dash, label=label)


@kinds_checked
@style.styled
def admm_history(result: ADMMResult) -> Figure:
    """Draw residuals with their limits, objectives, the simulated error and ρ by iteration.

    Of Newton's method the shift of the Hessian takes the place of ρ, the size of the step that of the error.

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
        curves = [(table["objective"], "of the batches", _PRIMAL)]
        newton = bool(np.isfinite(table["size"]).all())
        if not newton:
            curves += [(table["simulated_objective"], "of the simulated consensus", _DUAL)]
        _lines(axes[0, 1], x, curves)
        axes[0, 1].set_ylabel("objective")
        penalty = table["rho"].where(
            table["rho"] > 0.0
        )  # no shift is no point on a logarithmic axis
        axes[1, 0].step(x, penalty, where="mid", color=style.INK, linewidth=1.6)
        _logarithmic(axes[1, 0])
        values = np.unique(penalty.dropna())
        if len(values) < 7:
            axes[1, 0].set_yticks(values, [f"{value:.2g}" for value in values])
        axes[1, 0].set_ylabel("shift of the weights" if newton else "penalty ρ")
        shown = table["size" if newton else "batch_mse"]
        _lines(axes[1, 1], x, [(shown, "simulated by batch, against data", _DUAL)])
        axes[1, 1].set_ylabel("size of the step" if newton else "mean squared error")
        for ax in axes.flat:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.margins(x=0.02)
        for ax in axes[0]:
            ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=4, fontsize=8.5,
                      columnspacing=1.2, handlelength=1.8, borderaxespad=0.0)  # fmt: skip
    for ax in axes[1]:
        ax.set_xlabel("iteration")
    figure.align_ylabels()
    note = f"{result.termination.value} after {counted(len(table), 'iteration')} of "
    note += counted(len(result.batches), "batch", "batches")
    style.heading(figure, result.solution.name, note)
    return figure


def _residuals(ax: Axes, x: Array, result: ADMMResult) -> None:
    table = result.history
    for name, look in (("primal", _PRIMAL), ("dual", _DUAL)):
        ax.plot(x, style.positive(table[name]), label=name, **look)
        ax.plot(x, table[f"{name}_limit"], **{**look, **_LIMIT}, label="its limit")
    rescued = x[(table["rescued"] != "").to_numpy()]
    ax.set_yscale("log")
    if len(rescued):
        look = {"color": style.PURPLE, "transform": ax.get_xaxis_transform(), "label": "rescue"}
        ax.plot(rescued, np.full(len(rescued), 0.02), "^", **look)
    ax.set_ylabel("residual")


def _lines(ax: Axes, x: Any, curves: list[tuple[Any, str, dict[str, Any]]]) -> None:
    """Plot curves; the axis is logarithmic where they spread over more than a factor of five."""
    known = [np.empty(0)]
    for values, label, look in curves:
        shown = np.where(np.isfinite(values), values, np.nan)
        ax.plot(x, shown, label=label, **look)
        known.append(shown[np.isfinite(shown)])
    every = np.concatenate(known)
    if len(every) and every.min() > 0.0 and every.max() > 5.0 * every.min():
        _logarithmic(ax)
    elif len(every):
        ax.ticklabel_format(axis="y", scilimits=(-2, 3))
    else:
        style.empty(ax, "was not measured")


def _logarithmic(ax: Axes) -> None:
    """Scale logarithmically, with 1, 2 and 5 for labels where the range is short."""
    ax.set_yscale("log")
    style.decades(ax.yaxis)
    low, high = ax.get_ylim()
    if high < 30.0 * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
