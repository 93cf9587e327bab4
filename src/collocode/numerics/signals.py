"""Input signals u(t): zero-order hold, linear and cubic-spline interpolation of samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Real

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .scheme import Array

KINDS = ("zoh", "linear", "spline")


@dataclass(frozen=True, eq=False)
class Signal:
    """A sampled input; constant before its first and after its last sample.

    Parameters
    ----------
    times : (N,) strictly increasing.
    values : (N,) finite.
    kind : ``"zoh"`` holds each sample until the next, ``"linear"`` joins them, ``"spline"`` is the
        not-a-knot cubic through them.

    Examples
    --------
    >>> step = Signal([0.0, 1.0], [5.0, 7.0], "zoh")
    >>> step([0.5, 1.0]), step([1.0], left=True)
    (array([5., 7.]), array([5.]))
    """

    times: Array
    values: Array
    kind: str = "linear"

    def __post_init__(self) -> None:
        t, v = np.array(self.times, dtype=float), np.array(self.values, dtype=float)
        if self.kind not in KINDS:
            raise InputError(f"unknown input kind {self.kind!r}; choose from {', '.join(KINDS)}.")
        if t.ndim != 1 or t.shape != v.shape or len(t) == 0:
            raise InputError(f"an input needs two rows of one length, not {t.shape} and {v.shape}.")
        if not (np.isfinite(t).all() and np.isfinite(v).all()):
            raise InputError("an input has NaN or infinite samples; drop or fill them.")
        if (np.diff(t) <= 0.0).any():
            raise InputError("the times of an input must increase strictly; sort, drop duplicates.")
        for name, array in (("times", t), ("values", v)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def jumps(self) -> Array:
        """Times at which the signal is discontinuous."""
        if self.kind != "zoh":
            return np.empty(0)
        return np.asarray(self.times[1:][np.diff(self.values) != 0.0], dtype=float)

    @property
    def kinks(self) -> tuple[Array, Array]:
        """Times at which the slope is discontinuous, and by how much."""
        if self.kind == "zoh" or (self.kind == "spline" and len(self.times) >= 3):
            return np.empty(0), np.empty(0)
        slope = np.diff(self.values) / np.diff(self.times)
        change = np.diff(np.concatenate([[0.0], slope, [0.0]]))  # constant outside the samples
        bent = change != 0.0
        return self.times[bent], np.abs(change[bent])

    @cached_property
    def _spline(self) -> scipy.interpolate.CubicSpline:
        return scipy.interpolate.CubicSpline(self.times, self.values)

    def __call__(self, times: ArrayLike, left: bool | NDArray[np.bool_] = False) -> Array:
        """Values at ``times``; at a jump the limit from the right, or the left where asked.

        Raises
        ------
        InputError
            Times that are no numbers, such as the symbol that a right-hand side is built with.
        """
        given = np.asarray(times)
        if given.dtype == object and not all(isinstance(v, Real) for v in given.flat):
            raise InputError(
                f"a Signal takes numbers, not {given}, which has no value while the equations are "
                "built; list the signal in inputs= of the Experiment and write u.name there."
            )
        t = np.atleast_1d(np.asarray(times, dtype=float))
        if self.kind == "zoh":
            # a collocation node reaches a jump only up to rounding, so compare with a slack
            slack = 1e-9 * max(1e-300, float(self.times[-1] - self.times[0]))
            shift = np.where(np.broadcast_to(left, t.shape), -slack, slack)
            index = np.searchsorted(self.times, t + shift, side="right") - 1
            return np.asarray(self.values[np.clip(index, 0, len(self.times) - 1)], dtype=float)
        t = np.clip(t, self.times[0], self.times[-1])
        if self.kind == "linear" or len(self.times) < 3:
            return np.asarray(np.interp(t, self.times, self.values), dtype=float)
        return np.asarray(self._spline(t), dtype=float)
