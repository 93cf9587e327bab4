"""Sampled signals: inputs u(t) between their samples, decided ones too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..checks import check_choice
from ..errors import InputError
from . import Array, Index, Mask, numbers
from .scheme import differentiation_matrix, lagrange_matrix

KINDS = ("zoh", "linear", "spline", "polynomial")
_FLAT = 1e-6  # share of a signal's range that a kink has to bend it by


@dataclass(frozen=True, eq=False)
class Signal:
    """A sampled input; constant before its first and after its last sample.

    Parameters
    ----------
    times : (N,) strictly increasing.
    values : (N,) finite.
    kind : ``"zoh"`` holds each sample until the next, ``"linear"`` joins them, ``"spline"`` is the
        not-a-knot cubic through them, ``"polynomial"`` one through the samples of every piece.
    points : (pieces + 1,) where the pieces of a ``"polynomial"`` end; each has as many samples, at the
        same places in it, as what a control that is free at the stages of a scheme has.
    late : by how much `later` has moved it, so that a known dead time counts once.

    Examples
    --------
    >>> step = Signal([0.0, 1.0], [5.0, 7.0], "zoh")
    >>> step([0.5, 1.0]), step([1.0], left=True)
    (array([5., 7.]), array([5.]))
    """

    times: Array
    values: Array
    kind: str = "linear"
    points: Array | None = None
    late: float = 0.0

    def __post_init__(self) -> None:
        t, v = numbers(self.times, "times of an input"), numbers(self.values, "values of an input")
        check_choice("input kind", self.kind, KINDS)
        if t.ndim != 1 or t.shape != v.shape or len(t) == 0:
            raise InputError(f"an input needs two rows of one length, not {t.shape} and {v.shape}.")
        if not (np.isfinite(t).all() and np.isfinite(v).all()):
            raise InputError("an input has NaN or infinite samples; drop or fill them.")
        # two pieces may each have a sample where one ends and the other begins
        steps = np.diff(t)
        if (steps < 0.0).any() or (self.kind != "polynomial" and (steps == 0.0).any()):
            raise InputError("the times of an input must increase strictly; sort, drop duplicates.")
        for name, array in (("times", t), ("values", v), ("points", self._checked_points(t))):
            if array is not None:
                array.setflags(write=False)
            object.__setattr__(self, name, array)

    def _checked_points(self, t: Array) -> Array | None:
        if (self.kind == "polynomial") != (self.points is not None):
            raise InputError(
                "an input of polynomials, and no other, has points= between its pieces."
            )
        if self.points is None:
            return None
        points = np.atleast_1d(np.array(self.points, dtype=float))
        pieces = len(points) - 1
        if points.ndim != 1 or pieces < 1 or not (np.diff(points) > 0.0).all() or len(t) % pieces:
            raise InputError(
                "the points of an input must increase, with equally many samples between."
            )
        inside = np.repeat(points[:-1], len(t) // pieces), np.repeat(points[1:], len(t) // pieces)
        slack = 1e-9 * (points[-1] - points[0])
        if ((t < inside[0] - slack) | (t > inside[1] + slack)).any():
            raise InputError("a sample of an input lies outside its piece; check points=.")
        return points

    def later(self, by: float) -> Signal:
        """Return the same, so much later than it was given; earlier where it is later already."""
        more = by - self.late
        points = None if self.points is None else self.points + more
        return replace(self, times=self.times + more, points=points, late=by) if more else self

    @cached_property
    def _pieces(self) -> tuple[Array, Array]:
        """(samples of a piece,) their places in [0, 1], and (pieces, samples) values."""
        assert self.points is not None
        values = self.values.reshape(len(self.points) - 1, -1)
        first = self.times[: values.shape[1]] - self.points[0]
        return np.clip(first / (self.points[1] - self.points[0]), 0.0, 1.0), values

    @property
    def jumps(self) -> Array:
        """Times at which the signal is discontinuous."""
        if self.kind == "polynomial":
            assert self.points is not None
            nodes, values = self._pieces
            start, end = lagrange_matrix(nodes, [0.0, 1.0]) @ values.T
            return np.asarray(self.points[1:-1][start[1:] != end[:-1]], dtype=float)
        if self.kind != "zoh":
            return np.empty(0)
        return np.asarray(self.times[1:][np.diff(self.values) != 0.0], dtype=float)

    @property
    def ends(self) -> Array:
        """Times between which the signal is one polynomial, whose degree is at most `degree`."""
        return self.times if self.points is None else self.points

    @property
    def degree(self) -> int:
        """Of the polynomials that it consists of."""
        if self.points is not None:
            return len(self._pieces[0]) - 1
        if self.kind == "zoh":
            return 0
        return 3 if self.kind == "spline" and len(self.times) >= 3 else 1

    @property
    def kinks(self) -> tuple[Array, Array]:
        """Times at which the slope is discontinuous, and by how much."""
        if self.kind == "polynomial":
            assert self.points is not None
            nodes, values = self._pieces
            to_ends = lagrange_matrix(nodes, [0.0, 1.0]) @ differentiation_matrix(nodes)
            start, end = to_ends @ values.T / np.diff(self.points)
            change = np.concatenate([start, [0.0]]) - np.concatenate([[0.0], end])
            return self.points[change != 0.0], np.abs(change[change != 0.0])
        if self.kind == "zoh" or (self.kind == "spline" and len(self.times) >= 3):
            return np.empty(0), np.empty(0)
        slope = np.diff(self.values) / np.diff(self.times)
        change = np.diff(np.concatenate([[0.0], slope, [0.0]]))  # constant outside the samples
        bent = change != 0.0
        return self.times[bent], np.abs(change[bent])

    @cached_property
    def onsets(self) -> Array:
        """Times from which the signal varies faster than before, where an integrator of long steps begins anew.

        Ends of pieces behind which a piece is shorter than half the longest since the onset before: whoever
        takes steps as long as that one would look past it.
        """
        ends = self.ends
        if self.kind == "zoh":
            return np.empty(0)
        if self.points is None and (self.kind == "linear" or len(ends) < 3):
            bent, change = self.kinks
            width = np.diff(bent, append=np.inf, prepend=-np.inf)
            sharp = change * np.minimum(width[1:], width[:-1])
            ends = bent[~(sharp < _FLAT * np.ptp(self.values))]
        found, longest = [], np.inf
        for time, width in zip(ends.tolist(), np.diff(ends).tolist(), strict=False):
            if width < 0.5 * longest:
                found.append(time)
                longest = width
            longest = max(longest, width)
        return np.array(found)

    @cached_property
    def _spline(self) -> scipy.interpolate.CubicSpline:
        return scipy.interpolate.CubicSpline(self.times, self.values)

    def __call__(self, times: ArrayLike, left: bool | Mask = False) -> Array:
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
            index = self._piece_of(t, left)
            return np.asarray(self.values[np.clip(index, 0, len(self.times) - 1)], dtype=float)
        if self.points is not None:
            nodes, values = self._pieces
            t = np.clip(t, self.points[0], self.points[-1])
            piece = np.clip(self._piece_of(t, left), 0, len(values) - 1)
            local = (t - self.points[piece]) / np.diff(self.points)[piece]
            return np.asarray((lagrange_matrix(nodes, local) * values[piece]).sum(axis=1))
        t = np.clip(t, self.times[0], self.times[-1])
        if self.kind == "linear" or len(self.times) < 3:
            return np.asarray(np.interp(t, self.times, self.values), dtype=float)
        return np.asarray(self._spline(t), dtype=float)

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        """Where pieces begin, from the right and from the left.

        A collocation node reaches a jump only up to rounding, so there is a slack, as small as the shorter
        of the pieces beside it asks for: on a mesh over decades of time they differ by as much.
        """
        ends = self.ends
        width = np.concatenate([[np.inf], np.diff(ends), [np.inf]])
        shorter = np.minimum(width[:-1], width[1:])
        slack = np.where(np.isfinite(shorter), 1e-9 * shorter, 0.0)
        slack = slack + 4.0 * np.spacing(np.abs(ends))
        return ends - slack, ends + slack

    def _piece_of(self, t: Array, left: bool | Mask) -> Index:
        """Number of the end that begins the piece of each time, -1 before all of them."""
        after = np.searchsorted(self._limits[0], t, side="right") - 1
        if left is False:
            return after
        before = np.searchsorted(self._limits[1], t, side="left") - 1
        return np.asarray(np.where(left, before, after))
