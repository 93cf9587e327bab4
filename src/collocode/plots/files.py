"""Figures as PNG files."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from ..errors import FileError
from ..files import replacing
from ..results.solution import Solution
from .convergence import convergence
from .phase import phase_portrait
from .trajectories import trajectories


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    with mpl.rc_context({"savefig.dpi": 160}):
        figure.savefig(stream, format="png", metadata={"Software": "collocode"})
    return stream.getvalue()


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, in one step, so that a crash never leaves half a file.

    Raises
    ------
    FileError
        The folder is missing or cannot be written.
    """
    target = Path(path)
    with replacing(target) as (drawn,):
        drawn.write_bytes(png(figure))
    return target


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
    if len(solution.model.states) > 1:
        drawn["phase_portrait.png"] = phase_portrait
    return [save_figure(draw(solution), place / name) for name, draw in drawn.items()]
