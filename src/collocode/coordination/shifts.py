r"""The least shift of a Hessian whose step stays within a trust region.

.. math:: \lVert (C+\delta I)^{-1} g\rVert \le R

In the axes of C it is a root of one function (Moré, Sorensen, *SIAM J. Sci. Stat. Comput.* 4, 1983, 553-572).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from ..numerics import Array


def length(curvatures: Array, gradient: Array, shift: float) -> float:
    """Return the length of a step; both arrays along the axes of the Hessian."""
    with np.errstate(over="ignore"):  # of no curvature, as Huber's beyond δ: a step without end
        return float(np.linalg.norm(gradient / (curvatures + shift)))


def shift_within(curvatures: Array, gradient: Array, least: float, radius: float) -> float:
    """Return the least shift, no less than ``least``, whose step is no longer than a radius.

    With ``least`` the shifted curvatures are positive.
    """
    if not length(curvatures, gradient, least) > radius:
        return least
    lowest = float(curvatures.min())
    most = 2.0 * float(np.linalg.norm(gradient)) / radius + abs(lowest)
    found = brentq(
        lambda d: 1.0 / length(curvatures, gradient, d) - 1.0 / radius,
        *(least, most),
        xtol=1e-300,
        rtol=1e-12,
    )
    return float(found)
