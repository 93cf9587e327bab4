"""Training, validation and test: parts of the samples, their scaling, and affine least squares to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..numerics.random import generator
from .losses import relative_error
from .samples import Samples

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Share = int | float | ArrayLike | None
PARTS = ("train", "validation", "test")


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
    order = np.arange(len(samples))
    if seed is not None:
        generator(seed).shuffle(order)
    ends = np.cumsum(sizes)
    cut = [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return tuple(samples.take(part) for part in cut)  # type: ignore[return-value]


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
        raise InputError(f"{count} samples cannot be cut into {shown}; give sizes that fit.")
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
                f"the table has shape {values.shape}, but the scaling {len(self.lower)} columns."
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
    train = parts[0]
    inputs = Scaling.of(train.X) if inputs is None else inputs
    scale = Scaling.of(train.Y, interval) if targets and not train.classes else None
    done = tuple(Samples(inputs(p.X), p.Y if scale is None else scale(p.Y)) for p in parts)
    return done, inputs, scale


def affine_errors(train: Samples, *others: Samples) -> list[float]:
    """Fit targets ≈ A x + b to the training part; return the relative errors on it and on the others.

    Raises
    ------
    InputError
        Targets that are classes.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> [round(error, 12) for error in affine_errors(Samples(X, 1.0 + 2.0 * X))]
    [0.0]
    """
    if train.classes:
        raise InputError("affine least squares is for numbers, but these targets are classes.")

    def columns(samples: Samples) -> np.ndarray:
        return np.column_stack([samples.X, np.ones(len(samples))])

    W = np.linalg.lstsq(columns(train), train.Y.astype(float), rcond=None)[0]
    parts = (train, *others)
    return [relative_error(columns(part) @ W, part.Y.astype(float)) for part in parts]
