"""Sampled signals: inputs u(t) between their samples, decided ones too, and smooth curves through noisy ones.

The smoother is a penalised cubic B-spline (Eilers & Marx, Statistical Science 11, 1996) whose
penalty minimises generalised cross-validation (Wahba, *Spline Models for Observational Data*,
1990).  Every trial is one banded factorisation, which gives the degrees of freedom too, where SciPy's
``make_smoothing_spline`` walks over the samples in Python.  Short records fall back, in the open,
to a monotone cubic through the data, or to a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..checks import check_choice
from ..errors import InputError
from . import Index, Mask, numbers
from .scheme import Array, differentiation_matrix, lagrange_matrix

KINDS = ("zoh", "linear", "spline", "polynomial")


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


_FLAT = 1e-6  # share of a signal's range that a kink has to bend it by
_FEWEST_FOR_GCV = 8
_COARSE = 4  # of the penalties that are tried: first one in four, then those beside the best


class Smoother:
    """A smooth curve through one noisy series; ``smoother(t)`` and ``smoother.derivative(t)``.

    Outside the data the curve goes on as a straight line, so that it never explodes.

    Parameters
    ----------
    times : (N,) not decreasing; values at the same time are averaged where the curve goes through them.
    values : (N,) finite or NaN; NaN rows are left out.
    penalty : the spline's smoothing parameter; None chooses it by GCV.

    Attributes
    ----------
    method : what was fitted.
    freedom : samples minus what the curve used up; 0 where it goes through the data.

    Examples
    --------
    >>> t = np.linspace(0.0, 3.0, 40)
    >>> bool(abs(Smoother(t, np.sin(t)).derivative(1.0) - np.cos(1.0)) < 1e-3)
    True
    """

    def __init__(self, times: ArrayLike, values: ArrayLike, penalty: float | None = None) -> None:
        t, y = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
        if t.shape != y.shape or t.ndim != 1:
            raise InputError(
                f"smoothing needs two rows of one length, not {t.shape} and {y.shape}."
            )
        keep = np.isfinite(y)
        t, y = t[keep], y[keep]
        if len(t) == 0:
            raise InputError("smoothing needs at least one finite value; all are NaN.")
        self._take(t, _fits(t, y[:, None], penalty)[0])

    @classmethod
    def of_columns(cls, times: Array, values: Array) -> list[Smoother | None]:
        """One of each column of (N, columns) values, by GCV; None where all are NaN.

        Columns that were measured at the same times share the factorisations.
        """
        keep = np.isfinite(values)
        found: list[Smoother | None] = [None] * values.shape[1]
        together: dict[bytes, list[int]] = {}
        for column in np.flatnonzero(keep.any(axis=0)).tolist():
            together.setdefault(keep[:, column].tobytes(), []).append(column)
        for columns in together.values():
            rows = keep[:, columns[0]]
            t = times[rows]
            for column, fit in zip(columns, _fits(t, values[rows][:, columns], None), strict=True):
                found[column] = made = cls.__new__(cls)
                made._take(t, fit)
        return found

    def _take(self, t: Array, fit: _Fit) -> None:
        self._low, self._high = float(t[0]), float(t[-1])
        self.method, self._curve, self._slope, self.freedom = fit

    def __call__(self, times: ArrayLike) -> Array:
        """Values of the curve at ``times``."""
        t = np.asarray(times, dtype=float)
        inside = np.clip(t, self._low, self._high)
        return np.asarray(self._curve(inside) + (t - inside) * self._slope(inside), dtype=float)

    def derivative(self, times: ArrayLike) -> Array:
        """First derivative of the curve at ``times``."""
        t = np.clip(np.asarray(times, dtype=float), self._low, self._high)
        return np.asarray(self._slope(t), dtype=float)


Curve = Callable[[Array], Array]
_Fit = tuple[str, Curve, Curve, float]


def _fits(t: Array, Y: Array, penalty: float | None) -> list[_Fit]:
    """Method, curve, its derivative and freedom of every column."""
    apart, whose, again = np.unique(t, return_inverse=True, return_counts=True)
    means = [np.bincount(whose, y) / again for y in Y.T]
    if len(apart) == 1:
        return [_constant(float(mean[0]), len(t)) for mean in means]
    if len(apart) >= _FEWEST_FOR_GCV:
        try:
            return [
                ("smoothing spline", spline, spline.derivative(), freedom)
                for spline, freedom in _penalised(t, Y, penalty)
            ]
        except (np.linalg.LinAlgError, ValueError):  # fall through to interpolation
            if Y.shape[1] > 1:  # of those that this happens to
                return [_fits(t, y[:, None], penalty)[0] for y in Y.T]
    curves = [scipy.interpolate.PchipInterpolator(apart, mean) for mean in means]
    freedom = float(len(t) - len(apart))
    return [("monotone cubic", curve, curve.derivative(), freedom) for curve in curves]


def _constant(value: float, count: int) -> _Fit:
    return "constant", lambda s: np.full_like(s, value), np.zeros_like, float(count - 1)


def _penalised(
    t: Array, Y: Array, penalty: float | None
) -> list[tuple[scipy.interpolate.BSpline, float]]:
    """Minimise |y - B c|² + penalty |D c|² for every column y, D the second differences of the coefficients c.

    There are about a quarter as many as samples, however long the record: all matrices are banded.
    """
    n, order = len(t), 3
    count = min(len(np.unique(t)), 40 + n // 4)
    inner = np.linspace(t[0], t[-1], count - order + 1)
    step = inner[1] - inner[0]
    outside = step * np.arange(1, order + 1)
    knots = np.concatenate([t[0] - outside[::-1], inner, t[-1] + outside])
    basis = scipy.interpolate.BSpline.design_matrix(t, knots, order)
    gram = _band(basis.T @ basis, order)
    gram[0] += 1e-10 * gram[0].mean()  # coefficients in gaps of the data
    roughness, stencil = np.zeros_like(gram), (1.0, -2.0, 1.0)
    for i, j in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
        roughness[i - j, j : j + count - 2] += stencil[i] * stencil[j]
    mean = Y.mean(axis=0)
    load = basis.T @ (Y - mean)
    tried: dict[float, tuple[Array, float, Array]] = {}

    def fitted(penalty: float) -> tuple[Array, float, Array]:
        """Generalised cross-validation of every column, degrees of freedom and coefficients."""
        if penalty not in tried:
            found, used = _solved(gram, penalty * roughness, load)
            freedom = max(n - used, 1e-9)
            missed = Y - mean - basis @ found
            tried[penalty] = np.einsum("ik,ik->k", missed, missed) / freedom**2, freedom, found
        return tried[penalty]

    def chosen(column: int) -> float:
        """The penalty of the least generalised cross-validation."""
        grid = (n / count * np.logspace(-8, 8, 161)).tolist()
        near = _COARSE * int(np.nanargmin([fitted(p)[0][column] for p in grid[::_COARSE]]))
        fine = grid[max(near - _COARSE + 1, 0) : near + _COARSE]
        return float(min(fine, key=lambda p: fitted(p)[0][column]))

    splines = []
    for column in range(Y.shape[1]):
        _, freedom, found = fitted(chosen(column) if penalty is None else penalty)
        spline = scipy.interpolate.BSpline(knots, mean[column] + found[:, column], order)
        splines.append((spline, freedom))
    return splines


def _band(matrix: scipy.sparse.sparray, width: int) -> Array:
    """(width + 1, rows) the diagonal and those below it of a symmetric matrix."""
    found = np.zeros((width + 1, matrix.shape[0]))
    for k in range(width + 1):
        below = matrix.diagonal(-k)
        found[k, : len(below)] = below
    return found


def _solved(gram: Array, rough: Array, load: Array) -> tuple[Array, float]:
    """(G + R)⁻¹ load by columns, and tr (G + R)⁻¹G: the size less d log det(G + sR)/ds at s = 1, by a complex step."""
    width, size, tiny = len(gram) - 1, gram.shape[1], 1e-30
    both = np.zeros((3 * width + 1, size), dtype=complex, order="F")
    both[2 * width :] = gram + (1.0 + 1j * tiny) * rough
    for k in range(1, width + 1):
        both[2 * width - k, k:] = both[2 * width + k, :-k]
    factors, pivots, info = scipy.linalg.lapack.zgbtrf(both, width, width, overwrite_ab=True)
    if info:
        raise np.linalg.LinAlgError("the samples do not determine the spline")
    found, _ = scipy.linalg.lapack.zgbtrs(factors, width, width, load, pivots)
    diagonal = factors[2 * width]
    return found.real, size - float((diagonal.imag / diagonal.real).sum()) / tiny
