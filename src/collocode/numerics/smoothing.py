"""Smoothing splines with a guard, for starts and for looking at data.

The smoother is SciPy's cubic smoothing spline whose penalty is chosen by generalised
cross-validation (`scipy.interpolate.make_smoothing_spline`; Wahba, *Spline Models for
Observational Data*, 1990).  GCV occasionally fails on short or odd records, so the fall-backs are
explicit: a monotone cubic through the data, a line, a constant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator, make_smoothing_spline

from ..errors import InputError
from .barycentric import Array

_FEWEST_FOR_GCV = 8


class Smoother:
    """A smooth curve through one noisy series; ``smoother(t)`` and ``smoother.derivative(t)``.

    Outside the data the curve goes on as a straight line, so that it never explodes.

    Parameters
    ----------
    times : (N,) strictly increasing.
    values : (N,) finite or NaN; NaN rows are left out.
    penalty : the spline's smoothing parameter; None chooses it by GCV.

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
        self.method, self._curve, self._slope = _fit(t, y, penalty)

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


def _fit(t: Array, y: Array, penalty: float | None) -> tuple[str, Curve, Curve]:
    if len(t) == 1:
        return "constant", lambda s: np.full_like(s, y[0]), np.zeros_like
    if len(t) >= _FEWEST_FOR_GCV:
        # unit time step and unit spread: GCV's search works on a scale of its own
        step, centre, spread = (t[-1] - t[0]) / (len(t) - 1), y.mean(), y.std() or 1.0
        try:
            spline = make_smoothing_spline((t - t[0]) / step, (y - centre) / spread, lam=penalty)
            slope = spline.derivative()
            fitted = spline((t - t[0]) / step)
            if np.isfinite(fitted).all() and np.abs(fitted).max() < 1e3:
                return (
                    "smoothing spline",
                    lambda s: centre + spread * spline((s - t[0]) / step),
                    lambda s: spread / step * slope((s - t[0]) / step),
                )
        except (ValueError, np.linalg.LinAlgError):  # fall through to interpolation
            pass
    curve = PchipInterpolator(t, y)
    return "monotone cubic", curve, curve.derivative()
