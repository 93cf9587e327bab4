"""Figures as PNG files."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from ..errors import FileError
from ..files import replacing
from ..identify.uncertainty import Uncertainty
from ..results.solution import Solution
from .convergence import convergence
from .phase import phase_portrait
from .trajectories import trajectories

Drawing = Callable[[Solution], Figure]


def drawings(solution: Solution, trust: Uncertainty | None = None) -> dict[str, Drawing]:
    """Return the figures that make sense for a solution, by file name.

    A phase portrait needs two states; the trajectories have bands if ``trust`` is given.
    """
    found: dict[str, Drawing] = {
        "trajectories.png": partial(trajectories, trust=trust),
        "convergence.png": convergence,
    }
    if len(solution.model.states) > 1:
        found["phase_portrait.png"] = phase_portrait
    return found


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
    return [save_figure(draw(solution), place / name) for name, draw in drawings(solution).items()]
