"""Figures of a solution: trajectories, phase portrait, convergence; and of a sweep.

Every function takes a `Solution` (`sweep_curve` a `Sweep`), returns a `matplotlib.figure.Figure` and touches no pyplot state,
so it works in scripts, notebooks, threads and without a display.

>>> from collocode.plots import trajectories
>>> trajectories(solution).savefig("fit.png")  # doctest: +SKIP
"""

from .convergence import convergence
from .files import drawings, save_all, save_figure
from .phase import phase_portrait
from .sweep import sweep_curve
from .trajectories import simulation, trajectories

__all__ = [
    "convergence",
    "drawings",
    "phase_portrait",
    "save_all",
    "save_figure",
    "simulation",
    "sweep_curve",
    "trajectories",
]
