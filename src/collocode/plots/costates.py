"""Costates and Hamiltonian of what was decided."""

from __future__ import annotations

from matplotlib.figure import Figure

from ..adapt.costates import costates as costates_of
from ..kinds import kinds_checked
from ..results.solution import Solution
from . import style

MOST_ROWS = 8


@kinds_checked
@style.styled
def costates(solution: Solution, limit: int = 4, time_label: str = "t") -> Figure:
    """Draw the costates and the Hamiltonian: a row per state, a column per window.

    Parameters
    ----------
    solution : from `fit` or `solve`, with its NLP.
    limit : most columns.
    time_label : of the time axis, with its unit.

    Raises
    ------
    InputError
        A solution that was loaded from a file, without its NLP.
    """
    found = costates_of(solution)[:limit]
    names = list(solution.model.states)[: MOST_ROWS - 1]
    wide = 8.6 if len(found) == 1 else 3.6 * len(found) + 0.8
    rows = len(names) + 1
    figure = style.new_figure(wide, max(2.6, 1.7 * rows + 0.8))
    axes = figure.subplots(rows, len(found), sharex="col", sharey="row", squeeze=False)
    for j, one in enumerate(found):
        for i in range(len(names)):
            axes[i, j].plot(one.times, one.values[:, i], color=style.BLUE, linewidth=1.4)
        times, energy = one.stage_times.ravel(), one.hamiltonian.ravel()
        axes[-1, j].plot(times, energy, color=style.GREEN, linewidth=1.4)
        axes[-1, j].set_xlabel(time_label)
        axes[0, j].set_title(solution.trajectories[j].experiment.name)
    for i, name in enumerate([*(f"∂J/∂{name}" for name in names), "Hamiltonian"]):
        axes[i, 0].set_ylabel(name)
        for ax in axes[i]:
            ax.margins(x=0.01)
    figure.align_ylabels()
    style.heading(figure, solution.name, "costates at the mesh points, from the left")
    return figure
