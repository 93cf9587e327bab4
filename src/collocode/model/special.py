r"""Two functions that likelihoods need and CasADi lacks, in arithmetic that every backend has.

:math:`-\log\Phi(-z)`, the normal law's tail, by erf near the middle and by Laplace's continued fraction
:math:`\varphi(z)/(z+\tfrac1{z+\tfrac2{z+\cdots}})` far out; :math:`\log\Gamma(z)`, z > 0, by Stirling's
series at z + 8.  Both to about 1e-13.  Source: Abramowitz and Stegun, 1964, 6.1.40 and 26.2.14.
"""

from __future__ import annotations

import math
from typing import Any

import casadi as ca
import numpy as np

from .activations import NUMPY, Operations

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_FAR, _LEVELS, _SHIFT = 3.0, 60, 8
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def log_normal_tail(z: Any, ops: Operations = NUMPY) -> Any:
    """-log of the probability that a standard normal number is more than ``z``.

    Examples
    --------
    >>> import scipy
    >>> z = np.array([-8.0, 0.3, 2.9, 3.1, 30.0])
    >>> bool(np.allclose(log_normal_tail(z), -scipy.special.log_ndtr(-z), rtol=1e-12, atol=1e-14))
    True
    """
    if ops is NUMPY:
        import scipy

        return -scipy.special.log_ndtr(-np.asarray(z))
    far = ca.fmax(z, _FAR)
    fraction = far
    for level in range(_LEVELS, 0, -1):
        fraction = far + level / fraction
    tail = 0.5 * far**2 + _HALF_LOG_2PI + ca.log(fraction)
    middle = -ca.log(0.5 - 0.5 * ca.erf(ca.fmin(z, _FAR) / math.sqrt(2.0)))
    return ca.if_else(z > _FAR, tail, middle)


def log_gamma(z: Any, ops: Operations = NUMPY) -> Any:
    """Logarithm of the Gamma function of a positive number.

    Examples
    --------
    >>> round(float(np.exp(log_gamma(5.0))), 9)
    24.0
    """
    if ops is NUMPY:
        import scipy

        return scipy.special.gammaln(z)
    product = z
    for k in range(1, _SHIFT):
        product *= z + k
    w = z + _SHIFT
    series = sum(c / w ** (2 * k + 1) for k, c in enumerate(_STIRLING))
    return (w - 0.5) * ops.log(w) - w + _HALF_LOG_2PI + series - ops.log(product)
