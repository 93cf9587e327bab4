"""Figures of what goes round a fit: a sweep over a setting, several starts, a refined mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from ..checks import counted
from ..kinds import kinds_checked
from ..numerics import Array
from . import style

if TYPE_CHECKING:  # slow imports
    from ..adapt.refinement import MeshRefinement
    from ..identify.multistart import Multistart
    from ..identify.sweep import Sweep

WIDE = 20.0  # a range wider than this factor gets a logarithmic axis


@kinds_checked
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


_ONE = 0.1  # of -log L, or a thousandth of an objective: so far apart is one optimum


@kinds_checked
@style.styled
def waterfall(found: Multistart) -> Figure:
    """Draw what the starts of a multistart came to, sorted: steps are optima, the lowest the best.

    Of a likelihood it is -log L above the best, else the objective; on a logarithm from what counts as one
    optimum on.  Hollow marks are fits that were not solved or were given up.
    """
    problem = None if found.best.nlp is None else found.best.nlp.problem
    likely = problem is not None and problem.loss.likelihood
    unit = 0.5 * problem.n_measurements if problem is not None and likely else 1.0
    values = unit * np.array([s.result.objective for s in found.solutions])
    solved = np.array([s.success for s in found.solutions])
    order = np.argsort(values, kind="stable")
    above, ended = values[order] - values.min(), solved[order]
    near = _ONE if likely else 1e-3 * max(abs(values.min()), 1e-12)
    hits, rank = int((above <= near).sum()), 1 + np.arange(len(order))
    figure = style.new_figure(7.2, 4.2)
    ax = figure.subplots()
    look: dict[str, Any] = {"color": style.BLUE, "marker": "o", "markersize": 5}
    ax.plot(rank, above, color=style.BLUE, linewidth=1.0, alpha=0.5)
    ax.plot(rank[ended], above[ended], linestyle="none", label="solved", **look)
    hollow = {**look, "markerfacecolor": "white", "linestyle": "none"}
    if not ended.all():
        ax.plot(rank[~ended], above[~ended], label="not solved, or given up", **hollow)
        ax.legend()
    ax.axhspan(0.0, near, color=style.GREEN, alpha=0.15, linewidth=0.0)
    if above.max(initial=0.0) > WIDE * near:
        ax.set_yscale("symlog", linthresh=near)
    ax.set_ylim(bottom=-0.2 * near)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("start, from the best")
    ax.set_ylabel("-log L above the best" if likely else "objective above the best")
    lost = len(found.table) - len(found.solutions)
    note = f"{hits} of {len(found.table)} within {near:.2g} of the best"
    style.heading(figure, found.best.name, note + (f", {lost} did not begin" if lost else ""))
    return figure


_SAMPLES = 1500


@kinds_checked
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
    note = f"{len(first) - 1} to {counted(len(last) - 1, 'element')}{whose}"
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


@kinds_checked
@style.styled
def refinement_history(refinement: MeshRefinement) -> Figure:
    """Draw the goal's error against the number of unknowns, adaptive and, if there, uniform.

    Full marks are the estimates, hollow ones the errors against the reference.  The marking rule is
    in the note.
    """
    figure = style.new_figure(7.2, 4.6)
    ax = figure.subplots()
    sizes: list[float] = []
    known = False
    for run, colour, marker, label in style.runs_of(refinement):
        table = run.table()
        x = table["unknowns"].to_numpy(dtype=float)
        sizes += x.tolist()
        estimate, error = (style.positive(np.abs(table[key])) for key in ("estimate", "error"))
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
        ax.plot(x, estimate, linewidth=1.8, label=label, **look)
        hollow = {**look, "markerfacecolor": "white", "markersize": 8, "zorder": 1.5}
        ax.plot(x, error, linestyle="none", **hollow)
        known |= bool(np.isfinite(error).any())
    if known:
        shown = {"marker": "o", "markersize": 8, "markerfacecolor": "white", "color": style.MUTED}
        ax.plot([], [], linestyle="none", label="error against the reference", **shown)  # type: ignore[arg-type]
    ax.axhline(refinement.tol, color=style.MUTED, linewidth=0.9, linestyle=":", label="tolerance")
    ax.set_xscale("log")
    ax.set_yscale("log")
    _plain_ticks(ax, sizes)
    ax.set_xlabel("unknowns")
    ax.set_ylabel(f"|error| of {refinement.goal}")
    count = len(refinement.cycles)
    note = f"{refinement.rule}: {refinement.status} after {counted(count, 'mesh', 'meshes')}"
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
