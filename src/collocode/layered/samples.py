"""Samples: features and targets of supervised learning, checked once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..numerics.random import generator

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Pairs of features and targets.

    Parameters
    ----------
    X : (S, inputs) features; (S,) counts as one input.
    Y : (S, outputs) targets, or (S,) integers: classes 0, 1, ...

    Raises
    ------
    InputError
        Empty or mismatched tables, values that are not finite (named by row and column), classes
        below zero, one column of integers, which may be meant as either.

    Examples
    --------
    >>> data = Samples([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1])
    >>> len(data), data.inputs, data.classes
    (3, 2, 2)
    """

    X: Array
    Y: NDArray[np.generic]

    def __post_init__(self) -> None:
        X, Y = _table(self.X, "features"), np.asarray(self.Y)
        if Y.ndim == 1 and Y.dtype.kind in "iub":
            Y = np.array(Y, dtype=np.intp)
            if len(Y) and Y.min() < 0:
                raise InputError(
                    f"class {Y.min()} in row {int(Y.argmin())} is negative; number the classes from 0."
                )
        elif Y.ndim == 2 and Y.shape[1] == 1 and Y.dtype.kind in "iub":
            raise InputError(
                f"the targets are one column of integers, shape {Y.shape}; give Y.ravel() if they are "
                "classes, Y.astype(float) if they are numbers."
            )
        else:
            Y = _table(Y, "targets")
        if len(X) != len(Y):
            raise InputError(f"there are {len(X)} rows of features, but {len(Y)} of targets.")
        if not len(X):
            raise InputError("there are no samples; give at least one row.")
        X.setflags(write=False)
        Y.setflags(write=False)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "Y", Y)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        kind = f"{self.classes} classes" if self.classes else f"{self.Y.shape[1]} targets"
        return f"Samples({len(self)} rows, {self.inputs} features, {kind})"

    @property
    def inputs(self) -> int:
        """Number of features."""
        return int(self.X.shape[1])

    @property
    def classes(self) -> int:
        """Number of classes; 0 if the targets are numbers."""
        return int(self.Y.max()) + 1 if self.Y.ndim == 1 else 0

    def take(self, rows: ArrayLike) -> Samples:
        """Return some of the rows: indices or a mask."""
        return Samples(self.X[np.asarray(rows)], self.Y[np.asarray(rows)])

    def split(self, *parts: int, seed: int | None = 0) -> tuple[Samples, ...]:
        """Return disjoint parts of the given sizes and what is left, in random order.

        Parameters
        ----------
        parts : numbers of rows; the last part is the rest.
        seed : of the shuffling; None keeps the order.
        """
        if min(parts, default=0) < 1 or sum(parts) >= len(self):
            raise InputError(
                f"parts of {', '.join(map(str, parts)) or 'no'} rows and a rest cannot be cut from "
                f"{len(self)}; give smaller ones."
            )
        rows = np.arange(len(self))
        if seed is not None:
            generator(seed).shuffle(rows)
        return tuple(self.take(part) for part in np.split(rows, np.cumsum(parts)))


def _table(values: ArrayLike, what: str) -> Array:
    try:
        table = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"the {what} are no table of numbers ({error}).") from error
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2:
        raise InputError(
            f"the {what} need two dimensions (rows, columns), not shape {table.shape}."
        )
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        i, j = bad[0]
        raise InputError(
            f"the {what} are {table[i, j]} in row {i}, column {j}; drop the row or fill the gap."
        )
    return table
