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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..checks import apart, counted
from ..errors import InputError
from ..numerics import Array, Index
from .arguments import Function, Parameter, Shape, Term, Variable, numbers_of
from .assembly import assemble
from .program import Block, Program
from .structure import ChainStructure


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
        self._parameters: list[Parameter] = []
        self._constraints: list[ConstraintBlock] = []
        self._terms: list[Term] = []
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

    def parameter(self, name: str, value: ArrayLike) -> Parameter:
        """Declare numbers that `Program.with_parameters` can change without building anew."""
        self._take(name)
        made = Parameter(name, value)
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
            if np.any(np.not_equal(lower, -np.inf)) or np.any(np.not_equal(upper, np.inf)):
                raise InputError(
                    f"constraint {name!r} has equals= and bounds as well; leave one of them out."
                )
            lower = upper = equals
        term = None if function is None else Term.of(name, function, arguments)
        if term is None:
            shape: tuple[int, ...] = (int(rows or 0),)
        else:
            shape = (term.points,) if term.values == 1 else (term.points, term.values)
        self._take(name)
        numbers = self._rows + np.arange(int(np.prod(shape))).reshape(shape)
        sides = {"lower": lower, "upper": upper, "scale": scale}
        told = {} if equals is None else {"lower": "equals", "upper": "equals"}
        filled = {
            k: numbers_of(v, f"{told.get(k, k)} of {name!r}", shape) for k, v in sides.items()
        }
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
        terms = tuple(t.mapped(parameters, self._rows) for t in self._terms if t.points)
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
            told = apart(lower[crossed[0]], upper[crossed[0]])
            raise InputError(
                f"the bounds of {program.column_names[crossed[0]]} cross: "
                f"{told[0]} > {told[1]}; exchange them."
            )
        return program

    def _objective(
        self, sense: str, function: Function, arguments: Sequence[Any]
    ) -> ProgramBuilder:
        if self._sense not in (None, sense):
            raise InputError(f"{self.name!r} has terms to minimize and to maximize; negate some.")
        term = Term.of("objective", function, arguments, total=True)
        self._sense = sense
        self._terms.append(term.negated() if sense == "maximize" else term)
        return self

    def _add_to_rows(
        self, name: str, function: Function, arguments: Sequence[Any], rows: Index
    ) -> None:
        term = Term.of(name, function, arguments)
        if term.values != 1:
            raise InputError(
                f"the function of constraint {name!r} returns {term.values} values at a point, but adds one to "
                "a row; add them one by one, or sum them in the function."
            )
        if rows.ndim and rows.shape != (term.points,):
            raise InputError(
                f"at= of constraint {name!r} has {counted(rows.size, 'entry', 'entries')} for {counted(term.points, 'point')}."
            )
        self._terms.append(term.into(np.broadcast_to(rows, (term.points,))))

    def _take(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise InputError(f"a name must be a word, not {name!r}.")
        if name in self._names:
            raise InputError(f"the name {name!r} is taken in {self.name!r}; choose another.")
        self._names.add(name)
