r"""`ProgramBuilder`: a `Program` written down by hand, each term once and mapped over index sets.

.. math:: \min\sum_k f(x_{i_k}, y_{j_k}, d_k)\quad\text{s.t.}\quad
          \underline c_k\le c(x_{i_k}, y_{j_k}, d_k)\le\overline c_k,\qquad k=1,\dots,K

A cost or a constraint is a Python function of scalars, called *once* with symbols; the arguments say
which variables, parameters and data point `k` puts in: ``x[i]`` with an index array maps over its
entries, a scalar (``x[3]``, a variable without shape, a number) is the same at every point,
``x.all`` hands the whole array to every point, and an array of data has one entry per point.
Derivatives are taken of that one function, so that building takes as long for 10^5 points as it
takes to write down their indices; that is the idea of ExaModels (Shin, Anitescu, Pacaud, arXiv
2307.16830), and of every transcription in this package.

>>> import numpy as np
>>> import collocode as cc
>>> n = 100
>>> builder = cc.ProgramBuilder("chain")
>>> y = builder.variable("y", n + 1, start=np.linspace(1.0, 3.0, n + 1))
>>> k = np.arange(n)
>>> y[0].fix(1.0), y[n].fix(3.0)
(None, None)
>>> _ = builder.minimize(lambda a, b: (a + b) / 2 * ((1 / n) ** 2 + (b - a) ** 2) ** 0.5, y[k], y[k + 1])
>>> program = builder.build()
>>> solution = cc.solve(program)
>>> solution.status, solution["y"].shape
('converged (optimal)', (101,))
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import InputError
from .assembly import assemble
from .data import offsets_of
from .names import Block
from .program import Program
from .structure import ChainStructure
from .term import MappedTerm

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Shape = int | tuple[int, ...]
Function = Callable[..., Any]


class Selection:
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
        given = _numbers(value, f"{side} of {name!r}", np.shape(where))
        getattr(self.variable, side)[where] = given


class Variable:
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
            filled = _numbers(value, f"{side} of {name!r}", shape, nan=False).ravel().copy()
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

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"variable {self.name!r} is a scalar.")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, shape={self.shape})"


class ParameterBlock:
    """Numbers that may be changed between solves; indexed like a variable."""

    def __init__(self, name: str, value: ArrayLike) -> None:
        self.name = name
        self.value = _numbers(value, f"parameter {name!r}", None)
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
class ParameterEntries:
    """Some entries of a parameter block."""

    block: ParameterBlock
    numbers: Index


@dataclass(eq=False)
class ConstraintBlock:
    """Rows of one name; `add` puts more terms into them.

    Attributes
    ----------
    name, numbers : as declared, and the rows, (points,) or (points, values).
    lower, upper, scale : bounds and scale of the rows, in the same shape.
    """

    name: str
    numbers: Index
    lower: Array
    upper: Array
    scale: Array
    builder: ProgramBuilder = field(repr=False)

    def add(self, function: Function, *arguments: Any, at: ArrayLike) -> ConstraintBlock:
        """Add ``function`` at every point to the rows ``at``.

        Parameters
        ----------
        function, arguments : as for `ProgramBuilder.constraint`, with one value per point.
        at : (points,) positions in the block, some of them maybe several times, or one for all
            points: so sums over edges, neighbours or a whole index set are written.
        """
        positions = np.asarray(at)
        rows = self.numbers.ravel()
        if positions.dtype.kind not in "iu" or (
            positions.size and not (-len(rows) <= positions.min() <= positions.max() < len(rows))
        ):
            raise InputError(
                f"at= of constraint {self.name!r} must be positions from 0 to {len(rows) - 1}."
            )
        self.builder._add_to_rows(self.name, function, arguments, rows[positions])
        return self


class ProgramBuilder:
    """Variables, costs and constraints by name, until `build` makes a `Program` of them.

    Parameters
    ----------
    name : of the program.
    """

    def __init__(self, name: str = "program") -> None:
        self.name = name
        self._variables: list[Variable] = []
        self._parameters: list[ParameterBlock] = []
        self._constraints: list[ConstraintBlock] = []
        self._terms: list[_Term] = []
        self._names: set[str] = set()
        self._sense: str | None = None
        self._columns = self._rows = 0
        self._seconds = 0.0

    def variable(
        self,
        name: str,
        shape: Shape = (),
        *,
        start: ArrayLike = 0.0,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        scale: ArrayLike = 1.0,
    ) -> Variable:
        """Declare an array of variables.

        Parameters
        ----------
        name : unique; entries are called ``name[i,j]``.
        shape : a number of entries or a shape; () for a scalar.
        start, lower, upper, scale : numbers or arrays that broadcast to the shape.

        Raises
        ------
        InputError
            A name that is taken, a shape that is none, crossed bounds, NaN.
        """
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        if not all(isinstance(n, int | np.integer) and n >= 0 for n in sizes):
            raise InputError(f"variable {name!r} has no shape {shape!r}; give whole numbers.")
        self._take(name)
        values = {"start": start, "lower": lower, "upper": upper, "scale": scale}
        made = Variable(name, self._columns, tuple(int(n) for n in sizes), **values)
        self._columns += made.numbers.size
        self._variables.append(made)
        return made

    def parameter(self, name: str, value: ArrayLike) -> ParameterBlock:
        """Declare numbers that `Program.with_parameters` can change without building anew."""
        self._take(name)
        made = ParameterBlock(name, value)
        self._parameters.append(made)
        return made

    def constraint(
        self,
        name: str,
        function: Function | None = None,
        *arguments: Any,
        equals: ArrayLike | None = None,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        scale: ArrayLike = 1.0,
        rows: int | None = None,
    ) -> ConstraintBlock:
        """Add a row (or several, if the function returns several values) per point.

        Parameters
        ----------
        name : unique; rows are called ``name[k]``.
        function : of as many scalars (or vectors) as there are arguments.
        arguments : see the module's docstring.
        equals : right-hand side; or ``lower`` and ``upper``.
        scale : solvers see scale times the row.
        rows : instead of a function: so many empty rows, to be filled by `ConstraintBlock.add`.

        Raises
        ------
        InputError
            Arguments of different lengths, a function that fails, bounds that cross or are missing.
        """
        if (function is None) == (rows is None):
            raise InputError(f"constraint {name!r} needs either a function or rows=.")
        if equals is not None:
            lower = upper = equals
        term = None if function is None else _Term.of(name, function, arguments)
        if term is None:
            shape: tuple[int, ...] = (int(rows or 0),)
        else:
            shape = (term.points,) if term.values == 1 else (term.points, term.values)
        self._take(name)
        numbers = self._rows + np.arange(int(np.prod(shape))).reshape(shape)
        sides = {"lower": lower, "upper": upper, "scale": scale}
        filled = {k: _numbers(v, f"{k} of {name!r}", shape) for k, v in sides.items()}
        crossed = np.flatnonzero((filled["lower"] > filled["upper"]).ravel())
        if len(crossed):
            raise InputError(
                f"constraint {name!r} has lower > upper at position {crossed[0]}; exchange them."
            )
        if np.isinf(filled["lower"]).all() and np.isinf(filled["upper"]).all() and numbers.size:
            raise InputError(f"constraint {name!r} has no bounds; give equals=, lower= or upper=.")
        block = ConstraintBlock(
            name, numbers, filled["lower"], filled["upper"], filled["scale"], self
        )
        self._constraints.append(block)
        self._rows += numbers.size
        if term is not None:
            self._terms.append(term.into(numbers.ravel()))
        return block

    def minimize(self, function: Function, *arguments: Any) -> ProgramBuilder:
        """Add Σ_k function(…) to the objective; vectors are summed."""
        return self._objective("minimize", function, arguments)

    def maximize(self, function: Function, *arguments: Any) -> ProgramBuilder:
        """Add Σ_k function(…) to an objective that is to be maximised."""
        return self._objective("maximize", function, arguments)

    def build(self, structure: Callable[[], ChainStructure] | None = None) -> Program:
        """Assemble the program.

        Parameters
        ----------
        structure : makes the chains and border of a program that has them.

        Raises
        ------
        InputError
            No variables, or a variable whose bounds cross.
        """
        if not self._columns:
            raise InputError(f"{self.name!r} has no variables; declare some by variable().")
        began = time.perf_counter()
        lower, upper, start, column_scale = (
            np.concatenate([getattr(v, side) for v in self._variables])
            for side in ("lower", "upper", "start", "scale")
        )
        crossed = np.flatnonzero(lower > upper)
        parameters = {p.name: p.value.copy() for p in self._parameters}
        size = sum(v.size for v in parameters.values())
        shape = (self._rows, self._columns)
        terms = tuple(t.mapped(parameters, self._rows) for t in self._terms)
        linear = sparse.csr_matrix(shape)
        rows = {
            side: np.concatenate(
                [np.zeros(0), *(getattr(c, side).ravel() for c in self._constraints)]
            )
            for side in ("lower", "upper", "scale")
        }
        program = Program(
            name=self.name,
            functions=assemble(terms, linear, size),
            terms=terms,
            linear=linear,
            lower=lower,
            upper=upper,
            row_lower=rows["lower"],
            row_upper=rows["upper"],
            start=np.clip(start, lower, upper),
            column_blocks=tuple(Block(v.name, v.numbers) for v in self._variables),
            row_blocks=tuple(Block(c.name, c.numbers) for c in self._constraints),
            parameters=parameters,
            column_scale=column_scale,
            row_scale=rows["scale"],
            maximise=self._sense == "maximize",
            make_structure=structure,
            build_seconds=self._seconds + time.perf_counter() - began,
        )
        if len(crossed):
            raise InputError(
                f"the bounds of {program.column_names[crossed[0]]} cross: "
                f"{lower[crossed[0]]:g} > {upper[crossed[0]]:g}; exchange them."
            )
        return program

    def _objective(
        self, sense: str, function: Function, arguments: Sequence[Any]
    ) -> ProgramBuilder:
        if self._sense not in (None, sense):
            raise InputError(f"{self.name!r} has terms to minimize and to maximize; negate some.")
        term = _Term.of("objective", function, arguments, total=True)
        self._sense = sense
        self._terms.append(term.negated() if sense == "maximize" else term)
        return self

    def _add_to_rows(
        self, name: str, function: Function, arguments: Sequence[Any], rows: Index
    ) -> None:
        term = _Term.of(name, function, arguments, total=True)
        if rows.ndim and rows.shape != (term.points,):
            raise InputError(
                f"at= of constraint {name!r} has {rows.size} entries for {term.points} points."
            )
        self._terms.append(term.into(np.broadcast_to(rows, (term.points,))))

    def _take(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise InputError(f"a name must be a word, not {name!r}.")
        if name in self._names:
            raise InputError(f"the name {name!r} is taken in {self.name!r}; choose another.")
        self._names.add(name)


@dataclass(eq=False)
class _Term:
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
        return int(self.value.numel())

    @classmethod
    def of(
        cls, name: str, function: Function, arguments: Sequence[Any], total: bool = False
    ) -> _Term:
        """Call the function once with symbols."""
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
                f"the function of {name!r} fails with its {len(symbols)} arguments "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); it is called with "
                "CasADi symbols, so use casadi's or NumPy's functions, not math's."
            ) from error
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
                self.own.append((symbol, numbers.reshape(self.points, -1)))
        elif isinstance(argument, ParameterEntries):
            everywhere = np.broadcast_to(numbers, (self.points,)) if not numbers.ndim else numbers
            self.data.append((symbol, (argument.block.name, everywhere.reshape(self.points, -1))))
        else:
            self.data.append((symbol, numbers.reshape(self.points, -1)))
        return ca.reshape(symbol, shape[1], shape[0]).T if len(shape) == 2 else symbol

    def into(self, rows: Index) -> _Term:
        self.rows = rows
        return self

    def negated(self) -> _Term:
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
) -> ca.Function:
    """Parameter vector -> (data, points)."""
    p = ca.MX.sym("p", sum(v.size for v in parameters.values()))
    first, rows = offsets_of(parameters), [ca.MX(0, points)]
    for entry in entries:
        if isinstance(entry, tuple):
            name, numbers = entry
            picked = p[(first[name] + numbers.ravel()).tolist()]
            rows.append(ca.reshape(picked, numbers.shape[1], points))
        else:
            rows.append(ca.MX(ca.reshape(ca.DM(entry.ravel().tolist()), entry.shape[1], points)))
    return ca.Function("data", [p], [ca.vertcat(*rows)])


def _whole(argument: Any) -> Any:
    """Return an argument as a Selection, ParameterEntries, array per point, or number."""
    if isinstance(argument, Variable):
        return Selection(argument, argument.numbers)
    if isinstance(argument, ParameterBlock):
        return ParameterEntries(argument, argument.numbers)
    if isinstance(argument, Selection | ParameterEntries):
        return argument
    values = _numbers(argument, "an argument", None)
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


def _numbers(
    value: ArrayLike, what: str, shape: tuple[int, ...] | None, nan: bool = False
) -> Array:
    try:
        given = np.asarray(value, dtype=float)
        given = given if shape is None else np.broadcast_to(given, shape)
    except (TypeError, ValueError) as error:
        wanted = "" if shape is None else f" of shape {shape}"
        raise InputError(f"{what} must be numbers{wanted}, not {value!r:.80}.") from error
    if not nan and np.isnan(given).any():
        raise InputError(f"{what} has NaN at position {np.flatnonzero(np.isnan(given))[0]}.")
    return given
