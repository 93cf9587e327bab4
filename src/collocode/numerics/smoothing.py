"""Smoothing splines with a guard, for starts and for looking at data.

The smoother is a penalised cubic B-spline (Eilers & Marx, Statistical Science 11, 1996) whose
penalty minimises generalised cross-validation (Wahba, *Spline Models for Observational Data*,
1990).  One generalised eigenproblem in the coefficients gives the GCV score of every penalty at
once, so the search costs next to nothing and does not grow with the samples, where SciPy's
``make_smoothing_spline`` walks over them in Python for every trial.  Short records fall back, in the open,
to a monotone cubic through the data, or to a constant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..errors import InputError
from .scheme import Array

_FEWEST_FOR_GCV = 8


class Smoother:
    """A smooth curve through one noisy series; ``smoother(t)`` and ``smoother.derivative(t)``.

    Outside the data the curve goes on as a straight line, so that it never explodes.

    Parameters
    ----------
    times : (N,) strictly increasing.
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
        self._low, self._high = float(t[0]), float(t[-1])
        self.method, self._curve, self._slope, self.freedom = _fit(t, y, penalty)

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


def _fit(t: Array, y: Array, penalty: float | None) -> tuple[str, Curve, Curve, float]:
    if len(t) == 1:
        return "constant", lambda s: np.full_like(s, y[0]), np.zeros_like, 0.0
    if len(t) >= _FEWEST_FOR_GCV:
        try:
            spline, freedom = _penalised(t, y, penalty)
            return "smoothing spline", spline, spline.derivative(), freedom
        except (np.linalg.LinAlgError, ValueError):  # fall through to interpolation
            pass
    curve = scipy.interpolate.PchipInterpolator(t, y)
    return "monotone cubic", curve, curve.derivative(), 0.0


def _penalised(
    t: Array, y: Array, penalty: float | None
) -> tuple[scipy.interpolate.BSpline, float]:
    """Minimise |y - B c|² + penalty |D c|², D the second differences of the coefficients c."""
    n, order = len(t), 3
    count = int(min(n, 40 + n // 4, 300))
    inner = np.linspace(t[0], t[-1], count - order + 1)
    step = inner[1] - inner[0]
    outside = step * np.arange(1, order + 1)
    knots = np.concatenate([t[0] - outside[::-1], inner, t[-1] + outside])
    basis = scipy.interpolate.BSpline.design_matrix(t, knots, order)
    gram = (basis.T @ basis).toarray()
    gram += 1e-10 * np.trace(gram) / count * np.eye(count)  # coefficients in gaps of the data
    differences = np.diff(np.eye(count), 2, axis=0)
    roughness, modes = scipy.linalg.eigh(differences.T @ differences, gram)
    roughness, mean = np.maximum(roughness, 0.0), y.mean()
    loads = modes.T @ (basis.T @ (y - mean))
    tried = n / count * np.logspace(-8, 8, 161) if penalty is None else np.array([penalty])
    kept = 1.0 / (1.0 + tried[:, None] * roughness)  # (penalties, modes): what each mode keeps
    misfit = np.sum((y - mean) ** 2) + ((kept**2 - 2.0 * kept) * loads**2).sum(axis=1)
    freedom = np.maximum(n - kept.sum(axis=1), 1e-9)
    best = int(np.argmin(np.maximum(misfit, 0.0) / freedom**2))
    curve = scipy.interpolate.BSpline(knots, mean + modes @ (kept[best] * loads), order)
    return curve, float(freedom[best])
