"""Figures that are written by the way: drawn whole, but without a layout and with few pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

import collocode.plots
from collocode.plots import style


@contextlib.contextmanager
def quickly_drawn() -> Iterator[None]:
    """Half of the time of a figure goes into its layout; `tests/plots` and `tests/reports` see figures as they are."""
    real = style.png

    def png(figure: Figure) -> bytes:
        figure.set_layout_engine("none")
        return real(figure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collocode.plots, "png", png)
        patch.setattr(style, "DPI", 20)
        yield
