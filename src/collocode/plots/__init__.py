"""Figures of a solution (trajectories, phase portrait, convergence), of sweeps and refinements.

Every function takes a `Solution` (`sweep_curve` a `Sweep`), returns a `matplotlib.figure.Figure` and touches no pyplot state,
so it works in scripts, notebooks, threads and without a display.

>>> from collocode.plots import trajectories
>>> trajectories(solution).savefig("fit.png")  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

from ..errors import FileError
from ..kinds import kinds_checked
from ..results.solution import Solution
from .convergence import admm_history, convergence, learning_curves
from .costates import costates
from .layers import decision_regions, growth_history, growth_scores, layer_history, layer_mesh
from .loops import closed_loop
from .phase import phase_portrait
from .relu import relu_regions, training_curve
from .searches import mesh_density, refinement_history, sweep_curve, waterfall
from .style import png, save_figure
from .trajectories import simulation, trajectories

__all__ = [
    "admm_history",
    "closed_loop",
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
    "waterfall",
]


@kinds_checked
def save_all(solution: Solution, folder: str | Path) -> list[Path]:
    """Write every figure of a solution into a folder, which is made if need be.

    Returns
    -------
    The files: ``trajectories.png``, ``convergence.png`` and, with two states, ``phase_portrait.png``.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {place} ({error.strerror}).") from error
    drawn = {"trajectories.png": trajectories, "convergence.png": convergence}
    if len(solution.model.states) > 1 and not solution.model.lags:
        drawn["phase_portrait.png"] = phase_portrait
    return [save_figure(draw(solution), place / name) for name, draw in drawn.items()]
