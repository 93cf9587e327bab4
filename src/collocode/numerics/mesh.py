"""Meshes: the elements that a time interval is cut into.

A mesh is a frozen, strictly increasing row of points.  Refinement returns a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import apart, check_whole, counted
from ..errors import InputError
from . import Index, numbers
from .scheme import Array


@dataclass(frozen=True, eq=False)
class Mesh:
    """Points t_0 < ... < t_E that bound the E elements.

    Parameters
    ----------
    points : (E+1,) finite and strictly increasing, in the unit of the data's time.

    Raises
    ------
    InputError
        Fewer than two points, a point that is not finite, or points out of order.

    Examples
    --------
    >>> Mesh.uniform(0.0, 1.0, 4).points
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """

    points: Array

    def __post_init__(self) -> None:
        points = numbers(self.points, "points of a mesh").ravel()
        if len(points) < 2:
            raise InputError(f"a mesh needs at least two points, but {len(points)} came.")
        if not np.isfinite(points).all():
            bad = int(np.flatnonzero(~np.isfinite(points))[0])
            raise InputError(f"mesh point {bad} is {points[bad]}; give finite times.")
        steps = np.diff(points)
        if (steps <= 0.0).any():
            bad = int(np.flatnonzero(steps <= 0.0)[0])
            told = apart(points[bad], points[bad + 1], digits=12)
            raise InputError(
                f"mesh points {bad} and {bad + 1} do not increase "
                f"({told[0]}, {told[1]}); sort them and drop duplicates."
            )
        points.setflags(write=False)
        object.__setattr__(self, "points", points)

    @classmethod
    def uniform(cls, start: float, end: float, elements: int) -> Mesh:
        """Cut [start, end] into ``elements`` of equal length."""
        count = check_whole("the number of elements", elements)
        if not end > start:
            told = apart(start, end, digits=12)
            raise InputError(f"a mesh needs start < end, but got [{told[0]}, {told[1]}].")
        return cls(np.linspace(start, end, count + 1))

    @property
    def elements(self) -> int:
        """Number E of elements."""
        return len(self.points) - 1

    @property
    def steps(self) -> Array:
        """(E,) lengths h_e."""
        return np.diff(self.points)

    @property
    def _rounding(self) -> float:
        return float(np.spacing(np.abs(self.points).max()))

    @property
    def start(self) -> float:
        """First point."""
        return float(self.points[0])

    @property
    def end(self) -> float:
        """Last point."""
        return float(self.points[-1])

    def locate(self, times: ArrayLike) -> tuple[Index, Array]:
        """Return the element of each time and its local coordinate in [0, 1].

        A time on an inner mesh point belongs to the element that ends there.  Times may miss the
        mesh by rounding only (a relative 1e-9 of its length).

        Raises
        ------
        InputError
            If a time lies outside the mesh.
        """
        t = np.atleast_1d(np.asarray(times, dtype=float))
        slack = 1e-9 * (self.end - self.start)
        outside = (t < self.start - slack) | (t > self.end + slack) | ~np.isfinite(t)
        if outside.any():
            told = apart(t[outside][0], self.start, self.end, digits=12)
            raise InputError(
                f"time {told[0]} lies outside the mesh [{told[1]}, {told[2]}]; "
                "extend the mesh (or the start and end of the Experiment) or drop that time."
            )
        element = np.clip(np.searchsorted(self.points, t, side="left") - 1, 0, self.elements - 1)
        local = (t - self.points[element]) / self.steps[element]
        return element, np.clip(local, 0.0, 1.0)

    @classmethod
    def through(cls, times: ArrayLike, elements: int, start: float, end: float) -> Mesh:
        """Put about ``elements`` between sample times, at their quantiles, and cut the gaps.

        No element is longer than one and a half of ``elements`` equal ones, so that the mesh is neither coarse where
        the samples are dense nor blind where there are none; it has at most twice as many elements as
        were asked for.

        Examples
        --------
        >>> Mesh.through([0.0, 0.1, 0.2, 0.4, 2.2], 4, 0.0, 2.2).points
        array([0. , 0.1, 0.2, 0.4, 1. , 1.6, 2.2])
        """
        longest = 1.5 * cls.uniform(start, end, elements).steps[0]
        inside = np.unique(np.asarray(times, dtype=float))
        known = np.concatenate([[start], inside[(inside > start) & (inside < end)], [end]])
        picked = np.linspace(0, len(known) - 1, min(elements, len(known) - 1) + 1)
        mesh = cls(known[np.unique(np.round(picked).astype(int))])
        return mesh.divide(np.maximum(1.0, np.ceil(mesh.steps / longest * (1.0 - 1e-9))))

    def divide(self, pieces: ArrayLike) -> Mesh:
        """Return a mesh in which element e is cut into ``pieces[e]`` equal ones, at least one.

        Into fewer where times would be rounded to each other.

        Raises
        ------
        InputError
            Not one positive whole number an element.
        """
        count = np.asarray(pieces, dtype=float)
        if count.shape != (self.elements,) or not ((count >= 1) & (count % 1 == 0)).all():
            raise InputError(
                f"{counted(self.elements, 'element is', 'elements are')} divided into as many positive whole numbers of pieces, "
                f"not into {count}."
            )
        count = np.minimum(count, np.maximum(1.0, self.steps // (32.0 * self._rounding)))
        n = count.astype(int)
        whose = np.repeat(np.arange(self.elements), n)
        share = (np.arange(len(whose)) - np.repeat(np.cumsum(n) - n, n)) / count[whose]
        left, right = self.points[whose], self.points[whose + 1]
        return Mesh(np.append(left * (1.0 - share) + right * share, self.end))

    def bisect(self, marked: Iterable[int]) -> Mesh:
        """Return a mesh in which every marked element is halved."""
        pieces = np.ones(self.elements)
        pieces[self._known(marked, self.elements)] = 2
        return self.divide(pieces)

    def merge(self, marked: Iterable[int]) -> Mesh:
        """Return a mesh in which every marked element is joined to the next one.

        Examples
        --------
        >>> Mesh.uniform(0.0, 1.0, 4).merge([0, 2]).points
        array([0. , 0.5, 1. ])
        """
        chosen = self._known(marked, self.elements - 1)
        return Mesh(np.delete(self.points, chosen + 1))

    def _known(self, marked: Iterable[int], count: int) -> Index:
        """Return the marked elements in order; refuse numbers outside 0 ... count - 1."""
        chosen = np.unique(np.fromiter(marked, dtype=int))
        if len(chosen) and not (chosen[0] >= 0 and chosen[-1] < count):
            raise InputError(f"marked elements must lie in 0 ... {count - 1}.")
        return chosen

    def with_points(self, times: ArrayLike) -> Mesh:
        """Return a mesh that also has ``times`` (those inside it) among its points."""
        extra = np.atleast_1d(np.asarray(times, dtype=float))
        slack = 1e-9 * (self.end - self.start)
        distance = np.abs(extra[:, None] - self.points[None, :]).min(axis=1, initial=np.inf)
        keep = (extra > self.start) & (extra < self.end) & (distance > slack)
        return Mesh(np.unique(np.concatenate([self.points, extra[keep]])))

    def __len__(self) -> int:
        return self.elements

    def __repr__(self) -> str:
        return f"Mesh([{self.start:.12g}, {self.end:.12g}], elements={self.elements})"
