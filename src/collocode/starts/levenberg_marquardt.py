"""Levenberg-Marquardt on the normal equations, for short runs from poor starts.

SciPy's ``least_squares`` factorises by SVD, ten times dearer at the sizes met here (hundreds of
rows and weights); a start needs a few cheap steps, not a certificate.  Damping after Nielsen
(IMM-REP-1999-05, DTU).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from threadpoolctl import ThreadpoolController

Array = NDArray[np.float64]


def levenberg_marquardt(
    residual: Callable[[Array], tuple[Array, Array]], start: Array, steps: int
) -> Array:
    """Lower |r(z)|² by at most ``steps`` accepted or refused steps.

    Parameters
    ----------
    residual : z -> (r (rows,), J (rows, len(z))).
    start : (len(z),) where to begin; it is returned if its residual is not finite.

    Examples
    --------
    >>> line = lambda z: (np.array([z[0] - 3.0, z[0] + z[1] - 5.0]), np.array([[1.0, 0.0], [1.0, 1.0]]))
    >>> levenberg_marquardt(line, np.zeros(2), 10).round(3)
    array([3., 2.])
    """
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        # at these sizes a second BLAS thread costs more than it brings, many times so on a busy machine
        return _iterate(residual, start.copy(), steps)


def _iterate(residual: Callable[[Array], tuple[Array, Array]], z: Array, steps: int) -> Array:
    r, J = residual(z)
    if not (np.isfinite(r).all() and np.isfinite(J).all()):
        return z
    gram, gradient = J.T @ J, J.T @ r
    damping, growth = 1e-3 * float(np.diag(gram).max(initial=1e-12)), 2.0
    for _ in range(steps):
        try:
            factor = cho_factor(gram + damping * np.eye(len(z)), check_finite=False)
        except LinAlgError:
            damping, growth = damping * growth, 2.0 * growth
            continue
        step = -cho_solve(factor, gradient, check_finite=False)
        trial_r, trial_J = residual(z + step)
        promised = float(step @ (damping * step - gradient))
        gained = float(r @ r - trial_r @ trial_r)
        if np.isfinite(gained) and np.isfinite(trial_J).all() and gained > 0.0:
            z, r, J = z + step, trial_r, trial_J
            gram, gradient = J.T @ J, J.T @ r
            damping *= max(1.0 / 3.0, 1.0 - (2.0 * gained / promised - 1.0) ** 3)
            growth = 2.0
        else:
            damping, growth = damping * growth, 2.0 * growth
    return z
