"""Trajectories over time: data, collocated and simulated curves, train and test windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..identify.intervals import Uncertainty
from ..kinds import kinds_checked
from ..results.integrate import Simulation
from ..results.solution import Solution
from . import style
from .curves import Curves, columns_of, is_geometric, pick, quantities
from .legible import room, shortened

MOST_ROWS = 8
LETTERS = 13.0  # of an experiment's name an inch
BAND = "95 % band"


@kinds_checked
@style.styled
def trajectories(
    solution: Solution,
    experiments: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    limit: int = 4,
    time_label: str = "t",
    trust: Uncertainty | None = None,
) -> Figure:
    """Draw data, collocated and simulated trajectories, and controls; a column per experiment.

    A test window that continues the only fitted experiment shares its axis, shaded.

    Parameters
    ----------
    solution : from `fit`, `solve` or `load`.
    experiments : names of those to draw; None draws the first ``limit``.
    states : names of states, outputs or decided inputs; None draws all (the first eight).
    limit : most columns; the heading tells how many were left out.
    time_label : of the time axis, with its unit.
    trust : from `uncertainty`; shades the 95 % confidence band of the fitted states.

    Raises
    ------
    InputError
        An experiment or a state that does not exist.
    """
    every = columns_of(solution, trust)
    names = [c.experiment.name for column in every for c in column]
    chosen = pick(experiments, names, "experiment")
    columns = [column for column in every if any(c.experiment.name in chosen for c in column)]
    known = quantities(solution)
    rows = pick(states, known, "state or output")
    notes = [f"the first {limit} of {len(columns)} experiments"] if len(columns) > limit else []
    if states is None and len(rows) > MOST_ROWS:
        decided = [name for part in solution.trajectories for name in part.controls]
        others = [name for name in rows if name not in decided]
        most = max(1, MOST_ROWS - (len(rows) - len(others)))  # what was decided is shown whole
        if len(others) > most:
            notes.append(f"the first {most} of {len(others)} states")
            rows = [name for name in rows if name in decided or name in others[:most]]
    columns = columns[:limit]
    wide = 8.6 if len(columns) == 1 else 3.6 * len(columns) + 0.8
    figure = style.new_figure(wide, max(2.6, 1.9 * len(rows) + 1.1))
    axes = figure.subplots(len(rows), len(columns), sharex="col", sharey="row", squeeze=False)
    for j, column in enumerate(columns):
        for i, name in enumerate(rows):
            for curves in column:
                if name in curves.decided:
                    _draw_control(axes[i, j], solution, curves, name)
                elif name in curves.experiment.inputs:  # decided in another window
                    given = curves.experiment.inputs[name](curves.times)
                    axes[i, j].plot(curves.times, given, label="given input", **style.GIVEN)
                elif name in (
                    *solution.model.states,
                    *solution.model.algebraics,
                    *curves.experiment.outputs,
                ):
                    _draw(axes[i, j], curves, known.index(name), name)
            _windows(axes[i, j], column, i == 0)
            axes[i, j].margins(x=0.01)
        axes[-1, j].set_xlabel(time_label)
        if all(is_geometric(curves.times) for curves in column):
            axes[-1, j].set_xscale("log", nonpositive="mask")
    for i, name in enumerate(rows):
        axes[i, 0].set_ylabel(name)
        _robust_limits(axes[i])
    figure.align_ylabels()
    style.heading(figure, solution.name, ", ".join(notes))
    style.legend_below(figure, list(axes.flat))
    return figure


@kinds_checked
@style.styled
def simulation(
    solution: Solution, run: Simulation, states: Sequence[str] | None = None, time_label: str = "t"
) -> Figure:
    """Draw one simulated trajectory, a row per state.

    Parameters
    ----------
    solution : whose model was simulated.
    run : from `Solution.simulate` or `simulate`.
    states : names of those to draw; None draws all (the first eight).
    time_label : of the time axis, with its unit.
    """
    known = solution.model.states
    rows = pick(states, known, "state")[:MOST_ROWS]
    figure = style.new_figure(8.6, max(2.6, 1.9 * len(rows) + 0.8))
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, rows, strict=True):
        ax.plot(run.times, run.states[:, known.index(name)], label="simulated", **style.SIMULATED)
        ax.set_ylabel(name)
        ax.margins(x=0.01)
    axes[-1].set_xlabel(time_label)
    figure.align_ylabels()
    style.heading(figure, f"{solution.name}, simulated", run.message)
    return figure


def _draw(ax: Axes, curves: Curves, quantity: int, name: str) -> None:
    experiment, measured = curves.experiment, False
    if name in experiment.outputs:
        values = experiment.values[:, experiment.outputs.index(name)]
        if np.isfinite(values).any():
            ax.plot(experiment.times, values, label="data", **style.DATA)
            measured = True
    if not measured and experiment.measures:
        place: dict[str, Any] = {"ha": "right", "va": "top", "transform": ax.transAxes}
        ax.text(0.99, 0.97, "not measured", color=style.MUTED, fontsize=8.5, **place)
    for label, table, look in (
        ("collocated", curves.collocated, style.COLLOCATED),
        ("simulated", curves.simulated, style.SIMULATED),
        ("truth", curves.truth, style.TRUTH),
    ):
        if table is not None and np.isfinite(table[:, quantity]).any():
            ax.plot(curves.times, table[:, quantity], label=label, **look)
    if curves.band is not None and quantity < curves.band[0].shape[1]:
        low, high = (limit[:, quantity] for limit in curves.band)
        ax.fill_between(curves.times, low, high, label=BAND, **style.BAND)


def _draw_control(ax: Axes, solution: Solution, curves: Curves, name: str) -> None:
    """Draw a decided input, its finite bounds and the mesh."""
    part = solution.trajectories[solution.index(curves.experiment.name)]
    control = part.controls[name]
    ax.plot(curves.times, curves.decided[name], label="control", **style.CONTROL)
    for bound in (control.lower, control.upper):
        if np.isfinite(bound):
            ax.axhline(bound, label="bound", **style.BOUND)
    points = part.mesh.points
    bottom = ax.get_xaxis_transform()
    ax.plot(points, np.zeros(len(points)), transform=bottom, label="mesh", **style.MESH)


def _windows(ax: Axes, column: Sequence[Curves], top: bool) -> None:
    """Shade test windows, and name every window above the top panel."""
    for curves in column:
        # the first time above zero, which a logarithmic axis does not have
        begin = 1 if is_geometric(curves.times) and curves.times[0] <= 0.0 else 0
        start, end = curves.times[begin], curves.times[-1]
        if curves.role == "test":
            ax.axvspan(start, end, color="#f4f1ea", linewidth=0, zorder=0)
        if top:
            role = curves.role
            ending = f" ({role})" if curves.experiment.measures else ""
            name = shortened(curves.experiment.name, int(LETTERS * room(ax)[0]) - len(ending))
            text = role if len(column) > 1 else name + ending
            ax.annotate(
                text,
                (start, 1.0),
                (2, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=style.MUTED,
                fontsize=9,
            )


def _robust_limits(row: Sequence[Axes]) -> None:
    """Let a simulation or a band that runs away leave the panel instead of flattening all else."""
    kept, wild = [np.empty(0)], [np.empty(0)]
    for ax in row:
        for line in ax.lines:
            (wild if line.get_label() == "simulated" else kept).append(np.asarray(line.get_ydata()))
        for shade in ax.collections:
            if shade.get_label() == BAND:
                wild += [np.asarray(path.vertices)[:, 1] for path in shade.get_paths()]
    values, others = np.concatenate(kept), np.concatenate(wild)
    values, others = values[np.isfinite(values)], others[np.isfinite(others)]
    if not len(values) or not len(others):
        return
    low, high = values.min(), values.max()
    size = (high - low) or 1.0
    if others.min() < low - size or others.max() > high + size:
        row[0].set_ylim(low - 0.3 * size, high + 0.3 * size)
