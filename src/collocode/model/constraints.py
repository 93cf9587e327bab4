"""What is known of the model beside data: bounds on functions of it.

* `PathConstraint`: held along every trajectory, or at one end of it; equal bounds make an invariant.
* `PointConstraint`: held at points of one's choice, wherever the trajectories go: a steady state
  (the right-hand side vanishes there), monotonicity (a derivative of a network has one sign on a
  grid), a limit (a rate vanishes at zero concentration).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from ..checks import as_names, check_fields
from ..errors import InputError
from ..numerics import Array
from .parameters import Parameter, check_bounds

At = Literal["path", "start", "end"]


@dataclass(frozen=True)
class PathConstraint:
    """Bounds on a function of the trajectory, held at every node; an invariant at mesh points.

    One that sees an input which is decided is held where that has a meaning to the scheme, at the
    stages.

    Parameters
    ----------
    name : for messages and exported files.
    function : ``c(t, x, u, p, nn)``, one scalar.
    lower, upper : its bounds; equal ones make an invariant.
    at : ``"start"`` or ``"end"`` of a window makes it a boundary constraint, held there alone.
    windows : names of those in which it holds; empty for all.
    """

    name: str
    function: Callable[..., Any]
    lower: float = -np.inf
    upper: float = np.inf
    _: KW_ONLY
    at: At = "path"
    windows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self.lower, self.upper, f"path constraint {self.name!r}")
        named = as_names(self.windows, f"windows= of path constraint {self.name!r}")
        object.__setattr__(self, "windows", named)
        if self.at not in get_args(At):
            raise InputError(
                f"path constraint {self.name!r} is held at {self.at!r}; choose 'path', 'start' or 'end'."
            )

    def bounds_in(self, window: str) -> tuple[float, float]:
        """Return its bounds in a window of this name."""
        held = not self.windows or window in self.windows
        return (self.lower, self.upper) if held else (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class PointConstraint:
    """Bounds on a function of parameters and networks, held at given points.

    Parameters
    ----------
    name : for messages and exported files.
    function : ``c(z, p, nn)``, a scalar or a list of them; ``z`` is one point, indexed from 0.
    points : (points, entries) or, for one entry, (points,).
    lower, upper : bounds of every value.
    times : where parameters or weights vary in time, the times at which it holds at every point.

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
    points: Array
    _: KW_ONLY
    lower: float = -np.inf
    upper: float = np.inf
    times: Sequence[float] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self.lower, self.upper, f"point constraint {self.name!r}")
        points = np.array(self.points, dtype=float)
        points = points[:, None] if points.ndim == 1 else points
        if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
            raise InputError(
                f"point constraint {self.name!r} needs a table of finite points, one per row."
            )
        points.setflags(write=False)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "times", tuple(float(t) for t in np.ravel(self.times)))

    def held_at(self, varies: bool) -> tuple[Array, Array]:
        """Return points (rows, entries) and times (rows,) for a model that varies in time or not.

        Raises
        ------
        InputError
            If it varies and no times are given.
        """
        if not varies:
            return self.points, np.zeros(len(self.points))
        if not self.times:
            raise InputError(
                f"point constraint {self.name!r} needs times=, because parameters or weights vary "
                "in time; list the times at which it has to hold."
            )
        points, count = self.points, len(self.times)
        return np.repeat(points, count, axis=0), np.tile(self.times, len(points))


def bounds_of(q: Parameter) -> PathConstraint:
    """Return the bounds of a parameter that varies in time, at every node."""
    return PathConstraint(f"{q.name}.bounds", partial(_value_of, q.name), q.lower, q.upper)


def shared_bounds_of(q: Parameter) -> PointConstraint:
    """Return the bounds of one that all experiments share, at the probes of its basis."""
    # a few times and not all nodes: with hundreds of rows IPOPT's barrier outweighs the loss
    assert q.basis is not None
    value, times = partial(_value_of, q.name), tuple(q.basis.probes().tolist())
    return PointConstraint(
        f"{q.name}.bounds", value, np.zeros((1, 1)), lower=q.lower, upper=q.upper, times=times
    )


def _value_of(name: str, *arguments: Any) -> Any:
    """Return a parameter by name; of a module, because a lambda cannot be pickled."""
    return arguments[-2][name]
