"""Samples of supervised learning: features and targets, their parts and scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import as_values, counted
from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array, Index, numbers
from ..numerics.random import generator


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
            raise InputError(
                f"there are {counted(len(X), 'row')} of features, but {len(Y)} of targets."
            )
        if not len(X):
            raise InputError("there are no samples; give at least one row.")
        X.setflags(write=False)
        Y.setflags(write=False)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "Y", Y)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        kind = (
            f"{counted(self.classes, 'class', 'classes')}"
            if self.classes
            else f"{counted(self.Y.shape[1], 'target')}"
        )
        return f"Samples({counted(len(self), 'row')}, {counted(self.inputs, 'feature')}, {kind})"

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
        rows = _shuffled(len(self), seed)
        return tuple(self.take(part) for part in np.split(rows, np.cumsum(parts)))


def _table(values: ArrayLike, what: str) -> Array:
    table = numbers(values, f"the {what}")
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


Share = int | float | ArrayLike | None
PARTS = ("train", "validation", "test")


@kinds_checked
def split_samples(
    samples: Samples,
    train: Share = None,
    validation: Share = 0.2,
    test: Share = 0.2,
    seed: int | None = 0,
    first: int = 0,
) -> tuple[Samples, Samples, Samples]:
    """Cut samples into a training, a validation and a test part that share no row.

    Parameters
    ----------
    samples : all of them.
    train, validation, test : numbers of rows; or shares of all, below 1; or, all three, arrays of
        rows. One of them may be None: the rest.
    seed : of the shuffling; None keeps the order. Arrays of rows are taken as they are.
    first : number of the first row, 1 for indices from MATLAB.

    Raises
    ------
    InputError
        Parts that are too large, empty, of mixed kinds, that overlap, or rows that do not exist.

    Examples
    --------
    >>> data = Samples(np.zeros((10, 2)), np.zeros((10, 1)))
    >>> [len(part) for part in split_samples(data, 5, 3, 2)]
    [5, 3, 2]
    >>> [len(part) for part in split_samples(data, validation=0.3, test=0.3)]
    [4, 3, 3]
    """
    given = dict(zip(PARTS, (train, validation, test), strict=True))
    arrays = [value is not None and np.ndim(value) > 0 for value in given.values()]
    if any(arrays):
        if not all(arrays):
            raise InputError("give rows for all three parts, or numbers for all three.")
        rows = {name: _rows(value, name, len(samples), first) for name, value in given.items()}
        _refuse_shared(rows, first)
        return tuple(samples.take(rows[name]) for name in PARTS)  # type: ignore[return-value]
    sizes = _sizes(given, len(samples))
    cut = np.split(_shuffled(len(samples), seed), np.cumsum(sizes))
    return tuple(samples.take(part) for part in cut[: len(PARTS)])  # type: ignore[return-value]


def _shuffled(count: int, seed: int | None) -> Index:
    rows = np.arange(count)
    if seed is not None:
        generator(seed).shuffle(rows)
    return rows


def _sizes(given: dict[str, Share], count: int) -> list[int]:
    if sum(value is None for value in given.values()) > 1:
        raise InputError("only one of train, validation and test may be the rest; size the others.")
    sizes: dict[str, int] = {}
    for name, value in given.items():
        if value is None:
            continue
        number = float(value)  # type: ignore[arg-type]
        if not 0.0 < number < np.inf or (number >= 1.0 and number % 1.0):
            raise InputError(f"{name} must be a number of rows or a share below 1, not {value!r}.")
        sizes[name] = int(number) if number >= 1.0 else round(number * count)
    for name in given.keys() - sizes.keys():
        sizes[name] = count - sum(sizes.values())
    if min(sizes.values()) < 1 or sum(sizes.values()) > count:
        shown = ", ".join(f"{name} {sizes[name]}" for name in PARTS)
        raise InputError(
            f"{counted(count, 'sample')} cannot be cut into {shown}; give sizes that fit."
        )
    return [sizes[name] for name in PARTS]


def _rows(value: Share, name: str, count: int, first: int) -> Index:
    given = np.asarray(value).ravel()
    if given.dtype.kind == "b" and len(given) == count:
        return np.flatnonzero(given)
    if not len(given) or given.dtype.kind not in "iuf" or (given % 1 != 0).any():
        raise InputError(f"the rows of {name} must be integers, at least one.")
    rows = given.astype(np.intp) - first
    if rows.min() < 0 or rows.max() >= count:
        bad = int(given[(rows < 0) | (rows >= count)][0])
        hint = "; first=1 counts from 1" if first == 0 and bad == count else ""
        raise InputError(
            f"{name} asks for row {bad}, but there are rows {first} to {count - 1 + first}{hint}."
        )
    return rows


def _refuse_shared(rows: dict[str, Index], first: int) -> None:
    every = np.concatenate(list(rows.values()))
    found, counts = np.unique(every, return_counts=True)
    if (counts > 1).any():
        bad = int(found[counts > 1][0])
        owners = " and ".join(name for name, part in rows.items() if bad in part)
        raise InputError(f"row {bad + first} is taken twice, in {owners}; parts must not overlap.")


@dataclass(frozen=True, eq=False)
class Scaling:
    r"""Columns from their ranges to one interval: :math:`z=a+(b-a)(x-l)/(u-l)`.

    Parameters
    ----------
    lower, upper : (columns,) ranges; a column with l = u goes to the interval's middle.
    interval : (a, b).

    Raises
    ------
    InputError
        Ranges that are not finite or reversed.

    Examples
    --------
    >>> scaling = Scaling.of(np.array([[0.0, 5.0], [2.0, 15.0]]))
    >>> scaling(np.array([[1.0, 15.0]]))
    array([[0., 1.]])
    >>> scaling.inverse(np.array([[0.0, 1.0]]))
    array([[ 1., 15.]])
    """

    lower: Array
    upper: Array
    interval: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        lower, upper = (np.array(v, dtype=float).ravel() for v in (self.lower, self.upper))
        if lower.shape != upper.shape:
            raise InputError(
                f"there are {len(lower)} lower, but {len(upper)} upper ends of ranges."
            )
        bad = ~(np.isfinite(lower) & np.isfinite(upper) & (lower <= upper))
        if bad.any():
            j = int(np.flatnonzero(bad)[0])
            raise InputError(f"the range [{lower[j]:g}, {upper[j]:g}] of column {j} is none.")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @classmethod
    def of(cls, table: ArrayLike, interval: tuple[float, float] = (-1.0, 1.0)) -> Scaling:
        """Return the scaling by the smallest and largest value of every column."""
        values = np.asarray(table, dtype=float)
        return cls(values.min(axis=0), values.max(axis=0), interval)

    @property
    def _factor(self) -> Array:
        """(u − l) / (b − a), 1 where the column is constant."""
        span = self.upper - self.lower
        return np.where(span > 0.0, span, 1.0) / (self.interval[1] - self.interval[0])

    @property
    def _middle(self) -> Array:
        return 0.5 * (self.lower + self.upper)

    def __call__(self, table: ArrayLike) -> Array:
        """(S, columns) scaled values; those outside the range go outside the interval."""
        return (self._fitting(table) - self._middle) / self._factor + 0.5 * sum(self.interval)

    def inverse(self, table: ArrayLike) -> Array:
        """(S, columns) values in their own units."""
        return (self._fitting(table) - 0.5 * sum(self.interval)) * self._factor + self._middle

    def _fitting(self, table: ArrayLike) -> Array:
        values = np.asarray(table, dtype=float)
        if values.ndim != 2 or values.shape[1] != len(self.lower):
            raise InputError(
                f"the table has shape {values.shape}, but the scaling {counted(len(self.lower), 'column')}."
            )
        return values


def scale_parts(
    parts: tuple[Samples, ...],
    inputs: Scaling | None = None,
    targets: bool = True,
    interval: tuple[float, float] = (0.0, 1.0),
) -> tuple[tuple[Samples, ...], Scaling, Scaling | None]:
    """Scale features to [-1, 1] and targets to [0, 1], by the ranges in the first part.

    Parameters
    ----------
    parts : training, then others.
    inputs : scaling of the features, where their ranges are known; None takes those of training.
    targets : whether numeric targets are scaled too; classes never are.
    interval : of the targets.

    Returns
    -------
    The parts, the scaling of the features, and that of the targets or None.
    """
    parts = as_values(parts, "scale_parts", Samples)
    train = parts[0]
    inputs = Scaling.of(train.X) if inputs is None else inputs
    scale = Scaling.of(train.Y, interval) if targets and not train.classes else None
    done = tuple(Samples(inputs(p.X), p.Y if scale is None else scale(p.Y)) for p in parts)
    return done, inputs, scale
