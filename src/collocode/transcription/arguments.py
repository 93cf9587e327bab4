"""What the terms of a `ProgramBuilder` are made of: variables, parameters, and what maps over them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..checks import counted
from ..errors import InputError
from ..numerics import Array, Index
from .term import DataFunction, MappedTerm, offsets_of

Shape = int | tuple[int, ...]
Function = Callable[..., Any]


class _Argument:
    """Refuses to be part of an expression: terms are functions of arguments."""

    def _refuse(self, *_: Any) -> Any:
        raise InputError(
            "variables are no expressions here; write a term as a function and name its arguments, "
            "say builder.minimize(lambda a: a**2, x)."
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __rtruediv__ = __pow__ = __rpow__ = __neg__ = __matmul__ = __rmatmul__ = _refuse
    __array_ufunc__ = None  # NumPy leaves it to the methods above


class Selection(_Argument):
    """Some entries of a variable, as an argument of a term or to set bounds and starts of."""

    def __init__(self, variable: Variable, numbers: Index, whole: bool = False) -> None:
        self.variable, self.numbers, self.whole = variable, numbers, whole

    def fix(self, value: ArrayLike) -> None:
        """Fix the entries: lower = upper = start = value."""
        self.bound(value, value)
        self.set_start(value)

    def bound(self, lower: ArrayLike | None = None, upper: ArrayLike | None = None) -> None:
        """Replace bounds; None leaves one as it is."""
        for side, value in (("lower", lower), ("upper", upper)):
            if value is not None:
                self._set(side, value)

    def set_start(self, value: ArrayLike) -> None:
        """Replace the starting values."""
        self._set("start", value)

    def _set(self, side: str, value: ArrayLike) -> None:
        name, where = self.variable.name, self.numbers - self.variable.first
        given = numbers_of(value, f"{side} of {name!r}", np.shape(where))
        getattr(self.variable, side)[where] = given


class Variable(_Argument):
    """An array of variables of one name.

    Attributes
    ----------
    name, shape : as they were declared.
    lower, upper, start, scale : (size,) flat, to be read.
    all : the whole array as an argument that every point of a term is given.
    """

    def __init__(self, name: str, first: int, shape: tuple[int, ...], **values: ArrayLike) -> None:
        self.name, self.first, self.shape = name, first, shape
        self.numbers = first + np.arange(int(np.prod(shape))).reshape(shape)
        for side, value in values.items():
            filled = numbers_of(value, f"{side} of {name!r}", shape, nan=False).ravel().copy()
            setattr(self, side, filled)

    lower: Array
    upper: Array
    start: Array
    scale: Array

    @property
    def all(self) -> Selection:
        """The whole array, given to every point: a vector, or a matrix of two-dimensional ones."""
        return Selection(self, self.numbers, whole=True)

    def __getitem__(self, index: Any) -> Selection:
        """Return entries by NumPy's rules of indexing.

        Raises
        ------
        InputError
            An index outside the array.
        """
        try:
            return Selection(self, np.asarray(self.numbers[index]))
        except IndexError as error:
            raise InputError(
                f"variable {self.name!r} has shape {self.shape}: {error}; correct the index."
            ) from error

    def fix(self, value: ArrayLike) -> None:
        """Fix all entries: lower = upper = start = value."""
        self[...].fix(value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"variable {self.name!r} is a scalar.")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, shape={self.shape})"


class Parameter(_Argument):
    """Numbers that may be changed between solves; indexed like a variable."""

    def __init__(self, name: str, value: ArrayLike) -> None:
        self.name = name
        self.value = numbers_of(value, f"parameter {name!r}", None)
        self.numbers = np.arange(self.value.size).reshape(self.value.shape)

    def __getitem__(self, index: Any) -> ParameterEntries:
        """Return entries by NumPy's rules of indexing."""
        try:
            return ParameterEntries(self, np.asarray(self.numbers[index]))
        except IndexError as error:
            raise InputError(
                f"parameter {self.name!r} has shape {self.value.shape}: {error}; correct the index."
            ) from error


@dataclass(frozen=True, eq=False)
class ParameterEntries(_Argument):
    """Some entries of a parameter block."""

    block: Parameter
    numbers: Index


@dataclass(eq=False)
class Term:
    """A function with its symbols and what each point puts in for them."""

    name: str
    value: ca.SX
    points: int
    own: list[tuple[ca.SX, Index]]  # symbols, (points, symbols) columns
    shared: list[tuple[ca.SX, Index]]  # symbols, (symbols,) columns
    data: list[tuple[ca.SX, Array | tuple[str, Index]]]  # numbers, or a parameter's entries
    rows: Index | None = None

    @property
    def values(self) -> int:
        """Number of values per point."""
        return int(self.value.numel())

    @classmethod
    def of(
        cls, name: str, function: Function, arguments: Sequence[Any], total: bool = False
    ) -> Term:
        """Call the function once with symbols."""
        if not callable(function):
            raise InputError(
                f"{name!r} needs a function and then its arguments, not {function!r:.80}; write, say, "
                "lambda a: a**2."
            )
        given = [_whole(a) for a in arguments]
        points = _points(name, given)
        term = cls(name, ca.SX(0, 1), points, [], [], [])
        symbols = [term._symbol(k, a) for k, a in enumerate(given)]
        try:
            with warnings.catch_warnings():  # CasADi tells once how NumPy's functions will change
                warnings.filterwarnings("ignore", category=FutureWarning, module="casadi")
                value = function(*symbols)
            if isinstance(value, list | tuple):
                value = ca.vertcat(*value)
            value = ca.vec(ca.SX(value))
        except Exception as error:
            raise InputError(
                f"the function of {name!r} fails with its {counted(len(symbols), 'argument')} "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); it is called with "
                "CasADi symbols, so use casadi's or NumPy's functions, not math's."
            ) from error
        _check_meant(name, given, points, value)
        term.value = ca.sum1(value) if total else value
        return term

    def _symbol(self, k: int, argument: Any) -> Any:
        """Return the symbol that stands for an argument, and note what it stands for."""
        if isinstance(argument, float):
            return argument
        whole = isinstance(argument, Selection) and argument.whole
        numbers = argument if isinstance(argument, np.ndarray) else argument.numbers
        shape = numbers.shape if whole else numbers.shape[1:]
        width = int(np.prod(shape))
        symbol = ca.SX.sym(f"a{k}", width)
        if isinstance(argument, Selection):
            if whole or numbers.ndim == 0:
                self.shared.append((symbol, numbers.ravel()))
            else:
                self.own.append((symbol, numbers.reshape(self.points, width)))
        elif isinstance(argument, ParameterEntries):
            everywhere = np.broadcast_to(numbers, (self.points,)) if not numbers.ndim else numbers
            self.data.append(
                (symbol, (argument.block.name, everywhere.reshape(self.points, width)))
            )
        else:
            self.data.append((symbol, numbers.reshape(self.points, width)))
        return ca.reshape(symbol, shape[1], shape[0]).T if len(shape) == 2 else symbol

    def into(self, rows: Index) -> Term:
        """Add the values to these rows instead of to the objective."""
        self.rows = rows
        return self

    def negated(self) -> Term:
        """Change the sign."""
        self.value = -self.value
        return self

    def mapped(self, parameters: dict[str, Array], rows: int) -> MappedTerm:
        """Return the term over the program's columns, parameter vector and rows."""
        scatter = None
        if self.rows is not None:
            count = len(self.rows)
            entries = (np.ones(count), (self.rows, np.arange(count)))
            scatter = sparse.csc_matrix(entries, shape=(rows, count))
        nothing = np.empty((self.points, 0), dtype=int)
        return MappedTerm.build(
            self.name,
            self.value,
            (
                ca.vertcat(ca.SX(0, 1), *(s for s, _ in self.own)),
                np.hstack([nothing, *(c for _, c in self.own)]),
            ),
            _sorted(self.shared),
            (
                ca.vertcat(ca.SX(0, 1), *(s for s, _ in self.data)),
                _data(self.points, [d for _, d in self.data], parameters),
            ),
            scatter,
        )


def _sorted(shared: list[tuple[ca.SX, Index]]) -> tuple[ca.SX, Index]:
    """Return shared symbols in the order of their columns, which shows a dense border."""
    symbols = ca.vertcat(ca.SX(0, 1), *(s for s, _ in shared))
    columns = np.concatenate([np.empty(0, dtype=int), *(c for _, c in shared)])
    order = np.argsort(columns, kind="stable")
    return (symbols[order.tolist()] if len(order) else symbols), columns[order]


def _data(
    points: int, entries: Sequence[Array | tuple[str, Index]], parameters: dict[str, Array]
) -> DataFunction:
    """Parameter vector -> (data, points)."""
    first = offsets_of(parameters)
    tables = [
        first[e[0]] + e[1] if isinstance(e, tuple) else np.asarray(e, dtype=float) for e in entries
    ]
    size = sum(v.size for v in parameters.values())
    return DataFunction(size, [np.empty((points, 0)), *tables])


def _whole(argument: Any) -> Any:
    """Return an argument as a Selection, ParameterEntries, array per point, or number."""
    if isinstance(argument, Variable):
        return Selection(argument, argument.numbers)
    if isinstance(argument, Parameter):
        return ParameterEntries(argument, argument.numbers)
    if isinstance(argument, Selection | ParameterEntries):
        return argument
    values = numbers_of(argument, "an argument", None)
    return float(values) if values.ndim == 0 else values


def _points(name: str, arguments: Sequence[Any]) -> int:
    """Return how many points the arguments map over; they have to agree."""
    lengths: dict[int, int] = {}
    for k, argument in enumerate(arguments):
        if isinstance(argument, float) or getattr(argument, "whole", False):
            continue
        numbers = argument if isinstance(argument, np.ndarray) else argument.numbers
        if numbers.ndim:
            lengths[k] = len(numbers)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"argument {k + 1} has {n}" for k, n in lengths.items())
        raise InputError(
            f"the arguments of {name!r} map over different numbers of points: {told}; an array that "
            "every point needs as a whole is given as x.all."
        )
    return next(iter(lengths.values()), 1)


def numbers_of(
    value: ArrayLike, what: str, shape: tuple[int, ...] | None, nan: bool = False
) -> Array:
    """Return numbers, broadcast to a shape if one is given; else refuse them by what they are."""
    try:
        given = np.asarray(value, dtype=float)
        given = given if shape is None else np.broadcast_to(given, shape)
    except (TypeError, ValueError) as error:
        wanted = "" if shape is None else f" of shape {shape}"
        raise InputError(f"{what} must be numbers{wanted}, not {value!r:.80}.") from error
    if not nan and np.isnan(given).any():
        raise InputError(f"{what} has NaN at position {np.flatnonzero(np.isnan(given))[0]}.")
    return given


def _check_meant(name: str, given: Sequence[Any], points: int, value: ca.SX) -> None:
    """Refuse ``lambda v, c: c @ v`` of ``x.all`` and as many numbers: each point is given one of them."""
    arrays = [a for a in given if not isinstance(a, float)]
    whole = [a for a in arrays if isinstance(a, Selection) and a.whole]
    mapped = [a for a in arrays if not (isinstance(a, Selection) and a.whole) and _length(a)]
    if value.numel() != points or points < 2 or not any(a.numbers.size == points for a in whole):
        return
    if mapped and all(_length(a) == points and not isinstance(a, Selection) for a in mapped):
        raise InputError(
            f"{name!r} has {counted(points, 'point')}, one per number of its data, and {counted(points, 'value')} at each, since "
            "x.all is there as a whole; give x in place of x.all, or put the array of numbers into the "
            "function."
        )


def _length(argument: Any) -> int:
    """Number of points that a list of numbers or of parameters is mapped over; 0 if it is none."""
    numbers = argument if isinstance(argument, np.ndarray) else argument.numbers
    return len(numbers) if numbers.ndim == 1 else 0
