"""Smooth curves through noisy series.

The smoother is a penalised cubic B-spline (Eilers & Marx, Statistical Science 11, 1996) whose
penalty minimises generalised cross-validation (Wahba, *Spline Models for Observational Data*,
1990).  Every trial is one banded factorisation, which gives the degrees of freedom too, where SciPy's
``make_smoothing_spline`` walks over the samples in Python.  Short records fall back, in the open,
to a monotone cubic through the data, or to a constant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..errors import InputError
from . import Array

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
