"""Convergence of the solver by iteration."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..layered.trainers.training import Training
from ..results.solution import Solution
from . import style

Array = NDArray[np.float64]


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
        _line(upper, history["objective"], "objective", color=style.INK, linewidth=1.6)
        looks = {
            "primal": {"color": style.BLUE, "linewidth": 1.8},
            "dual": {"color": style.ORANGE, "linewidth": 1.8, "linestyle": (0, (4, 1.5))},
        }
        for key, look in looks.items():
            if key in history:
                _line(lower, history[key], f"{key} infeasibility", **look)
        tolerance = solution.result.options.get("tol")
        if tolerance:
            lower.axhline(
                tolerance, color=style.MUTED, linewidth=0.9, linestyle=":", label="tolerance"
            )
        lower.set_yscale("log")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        lower.margins(x=0.02)
    upper.set_ylabel("objective")
    lower.set_ylabel("infeasibility")
    lower.set_xlabel("iteration")
    figure.align_ylabels()
    note = f"{solution.status} after {solution.result.iterations} iterations"
    style.heading(figure, solution.name, note)
    style.legend_below(figure, [lower])
    return figure


def _line(ax: Axes, values: Array, label: str, **look: object) -> None:
    """Plot by iteration; zeros, which no logarithm shows, are left out."""
    shown = np.where(np.isfinite(values), values, np.nan)
    if label == "objective":
        known = shown[np.isfinite(shown)]
        if (known > 0.0).all() and known.max(initial=0.0) > 5.0 * known.min(initial=np.inf):
            ax.set_yscale("log")
        else:
            ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    else:
        shown = np.where(shown > 0.0, shown, np.nan)
    ax.plot(np.arange(len(shown)), shown, label=label, marker="o", markersize=2.6, **look)  # type: ignore[arg-type]


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
    _logarithmic(upper, iteration, history["objective"], "objective", style.INK)
    _logarithmic(upper, iteration, history["gradient_norm"], "gradient", style.MUTED, (0, (4, 1.5)))
    shares = training.metric == "accuracy"
    for key, colour in (("training", style.BLUE), ("validation", style.ORANGE)):
        values = history[key].to_numpy(dtype=float)
        if not np.isfinite(values).any():
            continue
        if shares:
            lower.plot(iteration, values, color=colour, linewidth=1.6, label=key)
        else:
            _logarithmic(lower, iteration, history[key], key, colour)
    if np.isfinite(history["validation"]).any():
        look = {"color": style.MUTED, "linewidth": 0.9, "linestyle": ":"}
        lower.axvline(training.best_iteration, label="best on validation", **look)
    upper.set_ylabel("objective, gradient")
    lower.set_ylabel(training.metric)
    lower.set_xlabel("iteration")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    note = f"{training.trainer}: {training.status} after {training.iterations} iterations"
    style.heading(figure, name, note)
    style.legend_below(figure, [upper, lower])
    return figure


def _logarithmic(
    ax: Axes, x: Array, values: object, label: str, colour: str, dash: object = "-"
) -> None:
    """Plot positive values on a logarithmic axis; the others are left out."""
    y = np.asarray(values, dtype=float)
    shown = np.where(np.isfinite(y) & (y > 0.0), y, np.nan)
    if np.isfinite(shown).any():
        ax.set_yscale("log")
    ax.plot(x, shown, color=colour, linewidth=1.6, linestyle=dash, label=label)
