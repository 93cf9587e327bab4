"""Figures of a solution (trajectories, phase portrait, convergence), of sweeps and refinements.

Every function takes a `Solution` (`sweep_curve` a `Sweep`), returns a `matplotlib.figure.Figure` and touches no pyplot state,
so it works in scripts, notebooks, threads and without a display.

>>> from collocode.plots import trajectories
>>> trajectories(solution).savefig("fit.png")  # doctest: +SKIP
"""

from .admm import admm_history
from .convergence import convergence, learning_curves
from .costates import costates
from .files import png, save_all, save_figure
from .growth import growth_history, growth_scores
from .layers import decision_regions, layer_history, layer_mesh
from .phase import phase_portrait
from .refinement import mesh_density, refinement_history
from .relu import relu_regions, training_curve
from .sweep import sweep_curve
from .trajectories import simulation, trajectories

__all__ = [
    "admm_history",
    "convergence",
    "costates",
    "decision_regions",
    "growth_history",
    "growth_scores",
    "layer_history",
    "layer_mesh",
    "learning_curves",
    "mesh_density",
    "phase_portrait",
    "png",
    "refinement_history",
    "relu_regions",
    "save_all",
    "save_figure",
    "simulation",
    "sweep_curve",
    "training_curve",
    "trajectories",
]
