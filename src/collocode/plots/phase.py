"""Phase portrait: the learnt vector field against the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path

from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from ..results.solution import Solution
from . import style
from .curves import POINTS, pick

FINE = 60  # points an axis of the grid on which the fields are evaluated
ARROWS = 18
# from left to right, then the head
_ARROW = Path([(-1.0, 0.0), (1.0, 0.0), (0.4, 0.4), (1.0, 0.0), (0.4, -0.4)], [1, 2, 1, 2, 2])


@kinds_checked
@style.styled
def phase_portrait(
    solution: Solution,
    states: Sequence[str] | None = None,
    at: float | None = None,
    experiment: int | str = 0,
) -> Figure:
    """Draw the learnt field with data and simulated trajectories; beside it, where it is wrong.

    Parameters
    ----------
    solution : with two states or more.
    states : the two to draw; None takes the first two.  The others are held at the middle of the
        collocated trajectory.
    at : time at which a field that depends on time or inputs is drawn; None takes the start, or the end where there are events.
    experiment : whose parameters and inputs the field has.

    Returns
    -------
    One panel with the streamlines; where the true system is known, the true streamlines under them
    and a second panel with |learnt - true| relative to the root mean square of the true field.

    Raises
    ------
    InputError
        Fewer than two states, or names that are none.
    """
    names = solution.model.states
    if len(names) < 2:
        raise InputError(f"a phase portrait needs two states; {solution.name} has {len(names)}.")
    chosen = pick(states, names, "state")[:2]
    if len(chosen) < 2 or chosen[0] == chosen[1]:
        raise InputError("a phase portrait needs two different states.")
    pair = (names.index(chosen[0]), names.index(chosen[1]))
    number = solution.index(experiment)
    part = solution.trajectories[number]
    # where a dose acts, its rate would be all that is seen of the field
    start = part.times[-1 if part.experiment.events else 0]
    time = float(start) if at is None else at
    x, y = _window(solution, pair)
    learnt, true = _fields(solution, pair, number, time, x, y)
    figure = style.new_figure(5.6 if true is None else 9.6, 5.2)
    axes = figure.subplots(1, 1 if true is None else 2, squeeze=False, sharex=True, sharey=True)[0]
    _draw_fields(axes[0], x, y, learnt, true)
    _paths(axes[0], solution, pair)
    if true is not None:
        _error(figure, axes[1], x, y, learnt, true)
        _paths(axes[1], solution, pair, only_data=True)
    for ax in axes:
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
        ax.set_xlabel(chosen[0])
        ax.grid(False)
    axes[0].set_ylabel(chosen[1])
    style.heading(figure, solution.name, _note(solution, pair, time))
    style.legend_below(figure, axes[:1])
    return figure


def _note(solution: Solution, pair: tuple[int, int], time: float) -> str:
    notes = [f"field at t = {time:g}"] if solution.model.inputs else []
    if len(solution.model.states) > 2:
        held = [n for i, n in enumerate(solution.model.states) if i not in pair]
        notes.append(f"{', '.join(held)} held at the middle of the trajectory")
    return ", ".join(notes)


def _window(solution: Solution, pair: tuple[int, int]) -> tuple[Array, Array]:
    """Grid lines that cover the collocated trajectories with a margin."""
    table = np.vstack([part.states for part in solution.trajectories])[:, pair]
    low, high = table.min(axis=0), table.max(axis=0)
    margin = 0.18 * np.where(high > low, high - low, 1.0)
    x, y = (np.linspace(low[i] - margin[i], high[i] + margin[i], FINE) for i in range(2))
    return x, y


def _fields(
    solution: Solution, pair: tuple[int, int], number: int, time: float, x: Array, y: Array
) -> tuple[Array, Array | None]:
    """(FINE, FINE, 2) learnt and true field on the grid, rows along y."""
    part = solution.trajectories[number]
    points = style.plane(x, y, np.median(part.states, axis=0), pair)
    inputs = [float(part.experiment.inputs[n](time)[0]) for n in solution.model.inputs]
    model = solution.model.with_parameters(part.parameters)
    learnt = model.rhs(time, points, inputs)[:, pair].reshape(FINE, FINE, 2)
    if solution.truth is None:
        return learnt, None
    true = np.array([solution.truth.rhs(time, point, inputs) for point in points], dtype=float)
    return learnt, true[:, pair].reshape(FINE, FINE, 2)


def _draw_fields(ax: Axes, x: Array, y: Array, learnt: Array, true: Array | None) -> None:
    """True streamlines under the learnt directions; they agree where arrows follow lines."""
    look: dict[str, Any] = {"density": 1.3, "zorder": 1}
    if true is None:
        look["arrowstyle"] = "-|>"
        ax.streamplot(x, y, learnt[..., 0], learnt[..., 1], color=style.BLUE, linewidth=0.8, **look)
        ax.add_line(Line2D([], [], color=style.BLUE, linewidth=0.8, label="learnt field"))
        return
    if mpl.__version_info__ >= (
        3,
        11,
    ):  # a third of the time; the learnt field has arrows of its own
        look["num_arrows"] = 0
    ax.streamplot(x, y, true[..., 0], true[..., 1], color="#c4c4c4", linewidth=1.1, **look)
    for arrow in [*ax.patches]:
        arrow.remove()
    ax.add_line(Line2D([], [], color="#c4c4c4", linewidth=1.1, label="true field"))
    some = np.linspace(0, FINE - 1, ARROWS + 2).round().astype(int)[1:-1]
    # unit arrows in units of the panel, so that both axes count alike
    directions = learnt[np.ix_(some, some)] / [np.ptp(x), np.ptp(y)]
    directions /= np.maximum(np.linalg.norm(directions, axis=2, keepdims=True), 1e-300)
    ax.quiver(
        *(x[some], y[some], *np.moveaxis(directions, 2, 0)),
        color=style.BLUE,
        pivot="mid",
        scale=1.5 * ARROWS,
        width=0.0035,
        zorder=2,
    )
    label = Line2D([], [], color=style.BLUE, marker=_ARROW, linestyle="none")
    label.set(label="learnt field", markersize=11, fillstyle="none")
    ax.add_line(label)


def _paths(ax: Axes, solution: Solution, pair: tuple[int, int], only_data: bool = False) -> None:
    """Measured pairs and simulated paths of the fitted experiments."""
    names = [solution.model.states[i] for i in pair]
    look = {**style.DATA, "zorder": 3.5, "markersize": 2.4 if only_data else 3.2}
    look["markerfacecolor"] = style.INK if only_data else "#7a7a7a"
    for number, part in enumerate(solution.trajectories):
        experiment = part.experiment
        if all(name in experiment.outputs for name in names):
            columns = [experiment.values[:, experiment.outputs.index(name)] for name in names]
            ax.plot(*columns, label="data", **look)
        if not only_data:
            times = np.linspace(part.times[0], part.times[-1], POINTS)
            path = solution.simulate(number, times=times).states[:, list(pair)]
            ax.plot(*path.T, label="simulated", **{**style.SIMULATED, "linewidth": 2.2})


def _error(figure: Figure, ax: Axes, x: Array, y: Array, learnt: Array, true: Array) -> None:
    size = np.sqrt(np.mean(np.sum(true**2, axis=2)))
    error = np.linalg.norm(learnt - true, axis=2) / (size or 1.0)
    look = {"cmap": "Blues", "norm": LogNorm(1e-3, 3.0)}
    style.coloured(
        figure, ax, x, y, np.maximum(error, 1e-12), "|learnt − true| / rms |true|", **look
    )
    ax.set_title("error of the field, with the data", color=style.MUTED, fontsize=9)
