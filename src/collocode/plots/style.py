"""One look for all figures, and how they become PNG files.

Colours are those of Okabe and Ito (*Color Universal Design*, 2008), which stay apart for every kind
of colour vision; lines also differ in width and dash, so that a grey print can be read.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import ArrayLike

from ..files import replacing
from ..kinds import kinds_checked
from ..numerics import Array
from .legible import FONT_SIZE, make_legible

P = ParamSpec("P")

INK, MUTED = "#222222", "#6b6b6b"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"

DATA: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 3.0,
    "markerfacecolor": "#9a9a9a",
    "markeredgecolor": "none",
    "zorder": 1,
}
TRUTH: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (1, 1.6)), "zorder": 5}
COLLOCATED: dict[str, Any] = {"color": BLUE, "linewidth": 3.2, "alpha": 0.45, "zorder": 3}
BAND: dict[str, Any] = {"color": BLUE, "alpha": 0.16, "linewidth": 0, "zorder": 2}
CONTROL: dict[str, Any] = {"color": GREEN, "linewidth": 1.6, "zorder": 4}
GIVEN: dict[str, Any] = {"color": GREEN, "linewidth": 1.0, "linestyle": (0, (5, 1)), "zorder": 4}
BOUND: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 2}
MESH: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 5, "color": MUTED}
SIMULATED: dict[str, Any] = {"color": ORANGE, "linewidth": 1.4, "zorder": 4}

DPI = 160
_QUICK = {"compress_level": 4}  # 10 % larger than the usual 6, in half the time
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SETTINGS: Any = {
    "font.size": FONT_SIZE,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "savefig.dpi": DPI,
    "figure.dpi": 110,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw under this module's settings, whatever the caller's are."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_SETTINGS):
            figure = draw(*args, **kwargs)
            for ax in figure.axes:
                make_legible(ax)
            return figure

    return inside


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def heading(figure: Figure, title: str, note: str = "") -> None:
    """Put a title at the top left of a figure, with a quieter note behind it."""
    text = f"{title}   ·   {note}" if note else title
    figure.suptitle(text, x=0.01, ha="left", fontsize=11.5)


def legend_below(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all axes, under the panels, where no data can be."""
    found: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=len(found),
            handlelength=2.2,
            columnspacing=1.8,
        )


def positive(values: ArrayLike) -> Array:
    """Return what a logarithmic axis can show: NaN for the rest."""
    y = np.asarray(values, dtype=float)
    return np.where(np.isfinite(y) & (y > 0.0), y, np.nan)


def decades(axis: Axis) -> None:
    """Label a logarithmic axis by powers of ten in plain text; TeX's grammar takes longer than the figure."""

    def power(value: float, _: object) -> str:
        exponent = round(np.log10(value)) if value > 0.0 else 0
        whole = np.isclose(value, 10.0**exponent, rtol=1e-6, atol=0.0)
        return f"10{str(exponent).translate(_RAISED)}" if whole else f"{value:.3g}"

    axis.set_major_formatter(FuncFormatter(power))
    axis.set_minor_formatter(NullFormatter())


def panels(
    count: int, columns: int, width: float, height: float, **shared: Any
) -> tuple[Figure, Any]:
    """Return a figure with a panel of a size for each of ``count``, so many in a row, and the axes."""
    columns = min(columns, max(1, count))
    rows = max(1, -(-count // columns))
    figure = new_figure(width * columns + 0.6, height * rows + 0.7)
    axes: Any = figure.subplots(rows, columns, squeeze=False, **shared)
    for ax in axes.flat[max(1, count) :]:
        ax.set_visible(False)
    return figure, axes


def plane(x: Array, y: Array, point: Array, pair: tuple[int, int]) -> Array:
    """(len(y)·len(x), n) copies of a point whose entries ``pair`` run over a grid, rows along y."""
    points = np.tile(point, (len(x) * len(y), 1))
    points[:, pair[0]], points[:, pair[1]] = (a.ravel() for a in np.meshgrid(x, y))
    return points


def coloured(
    figure: Figure, ax: Axes, x: Array, y: Array, values: Array, label: str, **look: Any
) -> None:
    """Fill a panel with the colours of (len(y), len(x)) values, and explain them by a bar."""
    image = ax.pcolormesh(x, y, values, shading="gouraud", rasterized=True, **look)
    bar = figure.colorbar(image, ax=ax, pad=0.02, aspect=30)
    bar.set_label(label)
    if isinstance(image.norm, LogNorm):
        decades(bar.ax.yaxis)
    bar.outline.set_visible(False)


def runs_of(refinement: Any) -> list[tuple[Any, str, str, str]]:
    """(run, colour, marker, label) of a refinement and, if there, the uniform one beside it."""
    if refinement.uniform is None:
        return [(refinement, BLUE, "o", "refined")]
    return [(refinement, BLUE, "o", "adaptive"), (refinement.uniform, ORANGE, "s", "uniform")]


@kinds_checked
def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    engine, dpi, canvas = figure.get_layout_engine(), figure.dpi, figure.canvas
    try:
        figure.set_dpi(DPI)
        agg = FigureCanvasAgg(figure)
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        agg.draw()  # once; `savefig` does it twice
        about = {"Software": "collocode"}
        pixels = np.asarray(agg.buffer_rgba())
        imsave(stream, pixels, format="png", dpi=DPI, metadata=about, pil_kwargs=_QUICK)
    finally:
        figure.set_layout_engine(engine)
        figure.set_dpi(dpi)
        figure.set_canvas(canvas)
    return stream.getvalue()


@kinds_checked
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


def empty(ax: Axes, text: str) -> None:
    """Say in the middle of an empty panel why it is empty."""
    ax.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])
