r"""The functions of a basis as CasADi expressions of time, for models that are simulated or exported.

An NLP has no need of them: there, the basis at the collocation points is data.  Beyond its interval
an expression goes on as it may; whoever evaluates it has to mind the interval.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import pairwise

import casadi as ca
import numpy as np

from ..errors import InputError
from ..numerics.bases import (
    Basis,
    BSpline,
    Chebyshev,
    Constant,
    Fourier,
    Legendre,
    Monomial,
    PiecewiseConstant,
)


@singledispatch
def basis_symbols(basis: Basis, t: ca.SX) -> ca.SX:
    """Return the values of a basis at ``t`` as an SX column of one entry a function.

    Raises
    ------
    InputError
        A basis of a kind of its own.
    """
    raise InputError(f"{basis!r} has no symbolic form; use one of the bases of collocode.")


def _unit(basis: Basis, t: ca.SX) -> ca.SX:
    start, end = basis.interval
    return (t - start) / (end - start)


@basis_symbols.register
def _constant(basis: Constant, t: ca.SX) -> ca.SX:
    return ca.SX(1.0)


@basis_symbols.register
def _monomial(basis: Monomial, t: ca.SX) -> ca.SX:
    s, powers = _unit(basis, t) if basis.unit else t - basis.interval[0], [ca.SX(1.0)]
    for _ in range(basis.order):
        powers.append(powers[-1] * s)
    return ca.vertcat(*powers)


@basis_symbols.register
def _legendre(basis: Legendre, t: ca.SX) -> ca.SX:
    """Bonnet's recursion: (j+1) P_{j+1} = (2j+1) x P_j − j P_{j−1}."""
    x = 2.0 * _unit(basis, t) - 1.0
    values = [ca.SX(1.0), x]
    for j in range(1, basis.order):
        values.append(((2 * j + 1) * x * values[j] - j * values[j - 1]) / (j + 1))
    return ca.vertcat(*values[: basis.size])


@basis_symbols.register
def _chebyshev(basis: Chebyshev, t: ca.SX) -> ca.SX:
    x = 2.0 * _unit(basis, t) - 1.0
    values = [ca.SX(1.0), x]
    for j in range(1, basis.order):
        values.append(2.0 * x * values[j] - values[j - 1])
    return ca.vertcat(*values[: basis.size])


@basis_symbols.register
def _fourier(basis: Fourier, t: ca.SX) -> ca.SX:
    angle = 2.0 * np.pi * _unit(basis, t)
    waves = [f(j * angle) for j in range(1, basis.harmonics + 1) for f in (ca.cos, ca.sin)]
    return ca.vertcat(ca.SX(1.0), *waves)


@basis_symbols.register
def _piecewise_constant(basis: PiecewiseConstant, t: ca.SX) -> ca.SX:
    return _pieces(basis.points, t)


@basis_symbols.register
def _bspline(basis: BSpline, t: ca.SX) -> ca.SX:
    """Cox and de Boor's recursion from the indicators of the pieces."""
    d = basis.degree
    knots = [basis.points[0]] * d + list(basis.points) + [basis.points[-1]] * d
    empty = [ca.SX(0.0)] * d
    values = [*empty, *ca.vertsplit(_pieces(basis.points, t)), *empty]
    for k in range(1, d + 1):
        values = [
            _ramp(t, knots[i], knots[i + k]) * a + _ramp(t, knots[i + k + 1], knots[i + 1]) * b
            for i, (a, b) in enumerate(pairwise(values))
        ]
    return ca.vertcat(*values)


def _ramp(t: ca.SX, zero: float, one: float) -> ca.SX:
    """The line that is 0 at ``zero`` and 1 at ``one``; 0 where the two meet."""
    return (t - zero) / (one - zero) if one != zero else ca.SX(0.0)


def _pieces(points: tuple[float, ...], t: ca.SX) -> ca.SX:
    """Indicators of the pieces, the first and the last open to the outside."""
    after = [ca.SX(1.0), *(ca.if_else(t >= p, 1.0, 0.0) for p in points[1:-1]), ca.SX(0.0)]
    return ca.vertcat(*(a - b for a, b in pairwise(after)))
