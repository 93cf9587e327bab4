"""What a plant did under plans that were made again and again."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..kinds import kinds_checked
from ..results.closed_loop import ClosedLoop
from . import style

MOST_ROWS = 8
_SAMPLES = 20  # of a control, a move


@kinds_checked
@style.styled
def closed_loop(loop: ClosedLoop, time_label: str = "t") -> Figure:
    """Draw states with bounds, set points and plans, controls with bounds, and the gap.

    Parameters
    ----------
    loop : from `RecedingHorizon.run`.
    time_label : of the time axis, with its unit.
    """
    plan = loop.plans[0]
    controls = list(plan.trajectories[0].controls)
    states = list(plan.model.states)[: max(1, MOST_ROWS - len(controls) - 1)]
    rows = len(states) + len(controls) + 1
    figure = style.new_figure(8.6, max(2.6, 1.7 * rows + 0.9))
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for i, name in enumerate(states):
        _draw_state(axes[i], loop, i, name)
    for ax, name in zip(axes[len(states) :], controls, strict=False):
        _draw_control(ax, loop, name)
    size = np.maximum(np.abs(loop.states).max(axis=0), 1e-300)
    axes[-1].step(
        loop.times[1:], (np.abs(loop.gap) / size).max(axis=1), where="mid", **style.SIMULATED
    )
    axes[-1].set_ylabel("gap")
    axes[-1].set_xlabel(time_label)
    for ax in axes:
        ax.margins(x=0.01)
    figure.align_ylabels()
    note = "gap: of the plant's answer from the plan's, relative"
    style.heading(figure, f"{loop.name}, closed loop", note)
    style.legend_below(figure, list(axes))
    return figure


def _draw_state(ax: Axes, loop: ClosedLoop, i: int, name: str) -> None:
    for k, plan in enumerate(loop.plans):
        part = plan.trajectories[0]
        times = loop.times[k] + part.times - part.mesh.start
        keep = times <= loop.times[-1]
        ax.plot(
            times[keep],
            part.states[keep, i],
            color=style.BLUE,
            alpha=0.25,
            linewidth=0.8,
            label="planned" if k == 0 else None,
        )
    ax.plot(loop.times, loop.states[:, i], marker=".", label="plant", **style.SIMULATED)
    if name in loop.setpoints:
        ax.step(loop.times, loop.setpoints[name], where="post", label="set point", **style.TRUTH)
    nlp = loop.plans[0].nlp
    if nlp is not None and name in nlp.problem.bounds:
        _draw_bounds(ax, nlp.problem.bounds[name])
    ax.set_ylabel(name)


def _draw_control(ax: Axes, loop: ClosedLoop, name: str) -> None:
    moves = len(loop.plans)
    inside = (np.arange(_SAMPLES) + 1e-6) / _SAMPLES
    times = (loop.times[:-1, None] + loop.sample * inside[None, :]).ravel()
    ax.plot(times, loop.control(name, times[: moves * _SAMPLES]), label="control", **style.CONTROL)
    control = loop.plans[0].trajectories[0].controls[name]
    _draw_bounds(ax, (control.lower, control.upper))
    ax.set_ylabel(f"{name}, {control.unit}" if control.unit else name)


def _draw_bounds(ax: Axes, bounds: tuple[float, float]) -> None:
    """Those that are near what is drawn; one far away would flatten it."""
    low, high = ax.get_ylim()
    room = 0.5 * (high - low)
    for bound in bounds:
        if np.isfinite(bound) and low - room <= bound <= high + room:
            ax.axhline(bound, **style.BOUND)
