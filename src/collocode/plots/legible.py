"""Labels that can be read: numbers that stand alone and apart, and names that stay within their panel."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import AutoLocator, ScalarFormatter

FONT_SIZE = 9.5  # points, of figures
_DIGIT = (
    0.64  # of the font's size that a digit is wide, and more than a letter of text is on average
)
_LEAST_RANGE = 1e-5  # of the values on a y-axis: what a solver leaves of a constant is less
_FAR = 1e4  # spans of a time axis from zero: labels would differ in their last digits alone
_LINES = 3  # of a name beside an axis


class _Whole(ScalarFormatter):
    """Labels that stand alone: a power of ten or an offset above the axis would lie on a panel's name."""

    def __init__(self, origin: float = 0.0) -> None:
        super().__init__(useOffset=False)
        self._origin = origin

    def set_locs(self, locs: Any) -> None:
        super().set_locs([float(x) - self._origin for x in locs])

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = super().__call__(x - self._origin, pos)
        return text + super().get_offset().removeprefix("1") if x != self._origin and text else text

    def get_offset(self) -> str:
        return ""


class _Apart(AutoLocator):
    """The usual ticks of an x-axis, fewer where their labels would touch."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        axis: Any = self.axis
        wide = axis.axes.bbox.width * 72.0 / axis.axes.figure.dpi
        for bins in range(min(9, max(1, axis.get_tick_space())), 0, -1):
            self.set_params(nbins=bins)
            ticks = super().tick_values(vmin, vmax)
            if len(ticks) < 2 or vmax == vmin:
                break
            longest = max(map(len, axis.get_major_formatter().format_ticks(ticks)))
            apart = np.diff(ticks).min() / abs(vmax - vmin) * wide
            if (longest + 1) * _DIGIT * FONT_SIZE <= apart:
                break
        return ticks


def make_legible(ax: Axes) -> None:
    """Give linear axes labels that stand alone and apart, the y-axis a range that shows no rounding, and names room."""
    origin = _origin(*ax.get_xlim()) if ax.get_xscale() == "linear" else 0.0
    if type(ax.xaxis.get_major_formatter()) is ScalarFormatter:
        ax.xaxis.set_major_formatter(_Whole(origin))
    if origin and ax.get_xlabel() and isinstance(ax.xaxis.get_major_formatter(), _Whole):
        ax.set_xlabel(f"{ax.get_xlabel()} − {origin:.15g}" if origin > 0.0 else
                      f"{ax.get_xlabel()} + {-origin:.15g}")  # fmt: skip
    if type(ax.xaxis.get_major_locator()) is AutoLocator:
        ax.xaxis.set_major_locator(_Apart())
    if type(ax.yaxis.get_major_formatter()) is ScalarFormatter:
        ax.yaxis.set_major_formatter(_Whole())
    low, high = ax.get_ylim()
    if ax.get_yscale() == "linear" and 0.0 < high - low < _LEAST_RANGE * max(abs(low), abs(high)):
        half = 0.5 * _LEAST_RANGE * max(abs(low), abs(high))
        ax.set_ylim(0.5 * (low + high) - half, 0.5 * (low + high) + half)
    elif ax.get_yscale() == "log" and low < high < low * (1.0 + _LEAST_RANGE):
        ax.set_ylim(0.5 * low, 2.0 * high)
    if ax.get_ylabel():
        size = ax.yaxis.label.get_fontsize()
        ax.set_ylabel(folded(ax.get_ylabel(), int(room(ax)[1] * 72.0 / (_DIGIT * float(size)))))


def room(ax: Axes) -> tuple[float, float]:
    """Width and height of a panel in inches, before the figure lays itself out: somewhat less than then."""
    figure: Any = ax.figure
    wide, high = figure.get_size_inches()
    return ax.get_position().width * wide, ax.get_position().height * high


def _origin(first: float, last: float) -> float:
    """Where the labels of an axis begin to count: zero, unless that is far away."""
    low, span = min(first, last), abs(last - first)
    if not 0.0 < span * _FAR < max(abs(first), abs(last)):
        return 0.0
    unit = 10.0 ** np.ceil(np.log10(span))
    return float(np.floor((low + 0.1 * span) / unit) * unit)  # not before the margin


def shortened(text: str, length: int) -> str:
    """Leave out the middle of a text that is longer; names differ at their ends.

    Examples
    --------
    >>> shortened("concentration_of_species_12", 16), shortened("x", 16)
    ('concentr…cies_12', 'x')
    """
    if len(text) <= length:
        return text
    kept = max(2, length - 1)
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def folded(text: str, length: int) -> str:
    r"""Break a name into lines, behind spaces and signs between words, and leave out what three do not hold.

    Examples
    --------
    >>> folded("concentration_of_species_12", 16)
    'concentration_of_\nspecies_12'
    """
    length = max(6, length)
    if len(text) <= length:
        return text
    lines = [""]
    for word in re.findall(r".+?(?:[\s_./-]+|$)", text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > length + 1:
            lines.append("")
        lines[-1] += word
    if len(lines) > _LINES or max(map(len, lines)) > length + 1:
        text = shortened(text, _LINES * length)
        lines = [text[k : k + length] for k in range(0, len(text), length)]
    return "\n".join(line.rstrip() for line in lines)
