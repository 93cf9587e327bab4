"""What is known of the model beside data: bounds on functions of it.

* `PathConstraint`: held along every trajectory; equal bounds make an invariant.
* `PointConstraint`: held at points of one's choice, wherever the trajectories go: a steady state
  (the right-hand side vanishes there), monotonicity (a derivative of a network has one sign on a
  grid), a limit (a rate vanishes at zero concentration).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dynamics import check_bounds


@dataclass(frozen=True)
class PathConstraint:
    """Bounds on a function of the trajectory, held at every node; an invariant at mesh points.

    Parameters
    ----------
    name : for messages and exported files.
    function : ``c(t, x, u, p, nn)``, one scalar.
    lower, upper : its bounds; equal ones make an invariant.
    """

    name: str
    function: Callable[..., Any]
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        check_bounds(self.lower, self.upper, f"path constraint {self.name!r}")


@dataclass(frozen=True, eq=False)
class PointConstraint:
    """Bounds on a function of parameters and networks, held at given points.

    Parameters
    ----------
    name : for messages and exported files.
    function : ``c(z, p, nn)``, a scalar or a list of them; ``z`` is one point, indexed from 0.
    points : (points, entries) or, for one entry, (points,).
    lower, upper : bounds of every value.

    Raises
    ------
    InputError
        Crossed bounds, points that are not finite.

    Examples
    --------
    A network that must not fall with its first input, on a grid:

    >>> grid = np.linspace(0.0, 1.0, 11)
    >>> rising = PointConstraint("rising", lambda z, p, nn: nn.derivative(z[0])[0], grid, lower=0.0)
    >>> rising.points.shape
    (11, 1)
    """

    name: str
    function: Callable[..., Any]
    points: NDArray[np.float64]
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        check_bounds(self.lower, self.upper, f"point constraint {self.name!r}")
        points = np.array(self.points, dtype=float)
        points = points[:, None] if points.ndim == 1 else points
        if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
            raise InputError(
                f"point constraint {self.name!r} needs a table of finite points, one a row."
            )
        points.setflags(write=False)
        object.__setattr__(self, "points", points)
