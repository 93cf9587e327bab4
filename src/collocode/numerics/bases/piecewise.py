"""Bases on a mesh of their own: piecewise constants and B-splines; few functions are alive at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ...checks import check_whole, counted
from ...errors import InputError
from .. import Mask
from ..mesh import Mesh
from ..scheme import Array
from .base import _SLACK, Basis, Index, Interval

Points = tuple[float, ...]


@dataclass(frozen=True)
class PiecewiseConstant(Basis):
    """One function per piece, 1 there and 0 elsewhere: a weight of its own for every layer.

    At a jump the right piece counts (the left one where asked); the last piece is closed.

    Parameters
    ----------
    points : ends of the pieces, increasing; a `Mesh` serves too.

    Examples
    --------
    >>> PiecewiseConstant((0.0, 1.0, 3.0)).values([0.5, 1.0, 3.0])
    array([[1., 0.],
           [0., 1.],
           [0., 1.]])
    """

    points: Points
    interval: Interval = field(init=False, repr=False, compare=False)
    support, degree, bounded_by_coefficients = 1, 0, True

    def __post_init__(self) -> None:
        _set_points(self, self.points, "PiecewiseConstant")

    def __repr__(self) -> str:
        start, end = self.interval
        return f"PiecewiseConstant({counted(self.size, 'piece')} of [{start:g}, {end:g}])"

    @property
    def size(self) -> int:
        """Number of pieces."""
        return len(self.points) - 1

    @property
    def breaks(self) -> Array:
        """The inner points."""
        return np.array(self.points[1:-1])

    def active(self, t: ArrayLike, left: bool | Mask = False) -> tuple[Index, Array]:
        """Return the piece of every time; see `Basis.active`."""
        times = self._inside(t)
        # a collocation node reaches a jump only up to rounding, so compare with a slack
        slack = _SLACK * (self.interval[1] - self.interval[0])
        shifted = times + np.where(np.broadcast_to(left, times.shape), -slack, slack)
        piece = np.searchsorted(self.points, shifted, side="right") - 1
        return np.clip(piece, 0, self.size - 1)[:, None], np.ones((len(times), 1))

    def gram(self) -> Array:
        """Diagonal: the lengths of the pieces."""
        return np.diag(np.diff(self.points))

    def names(self) -> tuple[str, ...]:
        """``L0``, ``L1``, ..., for layers."""
        return tuple(f"L{j}" for j in range(self.size))

    def nodes(self) -> Array:
        """The middles of the pieces."""
        return 0.5 * (np.array(self.points[1:]) + np.array(self.points[:-1]))


@dataclass(frozen=True)
class BSpline(Basis):
    r"""B-splines of a degree with simple inner knots and clamped ends; K = pieces + degree.

    Source: de Boor, *A Practical Guide to Splines*, chapter IX; evaluated by SciPy.

    Parameters
    ----------
    points : knots, increasing; a `Mesh` serves too.
    degree : 1 (piecewise linear) or more; 3 is the cubic spline.

    Examples
    --------
    >>> BSpline((0.0, 1.0, 2.0), degree=1).values([0.0, 0.5, 2.0])
    array([[1. , 0. , 0. ],
           [0.5, 0.5, 0. ],
           [0. , 0. , 1. ]])
    """

    points: Points
    degree: int = 3  # read-only, as the property it stands for
    interval: Interval = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _set_points(self, self.points, "BSpline")
        number = check_whole("the degree of BSpline", self.degree, 0)
        if number == 0:
            raise InputError("a BSpline of degree 0 has jumps; use PiecewiseConstant instead.")
        object.__setattr__(self, "degree", number)

    def __repr__(self) -> str:
        start, end = self.interval
        return f"BSpline(degree {self.degree}, {counted(len(self.points) - 1, 'piece')} of [{start:g}, {end:g}])"

    @property
    def size(self) -> int:
        """Pieces + degree."""
        return len(self.points) - 1 + self.degree

    @property
    def support(self) -> int:
        """Degree + 1."""
        return self.degree + 1

    @property
    def bounded_by_coefficients(self) -> bool:
        """For lines: the coefficients are the values at the knots."""
        return self.degree == 1

    @property
    def breaks(self) -> Array:
        """The inner knots."""
        return np.array(self.points[1:-1])

    @cached_property
    def _knots(self) -> Array:
        ends = np.full(self.degree, self.points[0]), np.full(self.degree, self.points[-1])
        return np.concatenate([ends[0], self.points, ends[1]])

    def active(self, t: ArrayLike, left: bool | Mask = False) -> tuple[Index, Array]:
        """Return the degree + 1 splines of every time's piece; see `Basis.active`."""
        matrix = scipy.interpolate.BSpline.design_matrix(self._inside(t), self._knots, self.degree)
        shape = (matrix.shape[0], self.support)
        return matrix.indices.reshape(shape).astype(np.intp), matrix.data.reshape(shape)

    def gram(self) -> Array:
        """Banded; by Gauss quadrature on every piece, which is exact."""
        points, weights = scipy.special.roots_legendre(self.degree + 1)
        knots, steps = np.array(self.points[:-1]), np.diff(self.points)
        t = (knots[:, None] + 0.5 * steps[:, None] * (points + 1.0)).ravel()
        values = scipy.interpolate.BSpline.design_matrix(t, self._knots, self.degree)
        scaled = values.multiply((0.5 * steps[:, None] * weights).ravel()[:, None])
        return np.asarray((values.T @ scaled).toarray())

    def names(self) -> tuple[str, ...]:
        """``B0``, ``B1``, ..."""
        return tuple(f"B{j}" for j in range(self.size))

    def nodes(self) -> Array:
        """Greville's points, the means of ``degree`` neighbouring knots."""
        windows = np.lib.stride_tricks.sliding_window_view(self._knots[1:-1], self.degree)
        return np.asarray(windows.mean(axis=1))


def _set_points(basis: Any, points: Sequence[float] | Array | Mesh, what: str) -> None:
    """Store checked points and the interval they span."""
    try:
        mesh = points if isinstance(points, Mesh) else Mesh(np.asarray(points, dtype=float))
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{what}: {error}") from error
    object.__setattr__(basis, "points", tuple(mesh.points.tolist()))
    object.__setattr__(basis, "interval", (mesh.start, mesh.end))
