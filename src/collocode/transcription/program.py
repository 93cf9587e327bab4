r"""`Program`: the record that every solver, exporter and algorithm works on.

.. math:: \min_x f(x; p)\quad\text{s.t.}\quad \underline x\le x\le\overline x,\;
          \underline g\le g(x; p)\le\overline g

A discretized identification problem (`NLP`), the training of a layered network, an ``.nl`` file and
what a `ProgramBuilder` builds are all Programs; whoever is typed on it works for each of them.

The one sign rule: :math:`L = \sigma f + \lambda^T g`, so at a solution
:math:`\nabla f + J^T\lambda + \lambda_x = 0` (CasADi's convention).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self, TypeVar

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..checks import counted
from ..errors import InputError
from ..model.calls import Call
from ..numerics import Array, Index
from .assembly import assemble
from .functions import Functions
from .structure import ChainStructure
from .term import MappedTerm

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Program:
    """A nonlinear program: functions, bounds, a start, and what its columns and rows are called.

    Attributes
    ----------
    name : for messages and exported files.
    functions : f, ∇f, g, J and H with fixed sparsity; f is minimised.
    lower, upper : (columns,) bounds.
    row_lower, row_upper : (rows,) bounds.
    start : (columns,) starting point.
    column_blocks, row_blocks : what columns and rows are called; together they cover all of them.
    terms, linear : what the functions were assembled from; exporters and diagnosis read them.
    parameters : values of the program's parameters by block, all of them in ``p``.
    column_scale, row_scale, objective_scale : solvers work on x / column_scale, row_scale * g and
        objective_scale * f; ones by default.
    column_size, row_size : by which a violation of a bound or row is measured; ones, the default, for the
        user's units.
    maximise : whether the user's objective is −f.
    kinks : what second-order steps cannot cross, a phrase each; empty for a smooth program.
    make_structure : makes the chains of elements and their border, where there are some.
    build_seconds : wall time that it took to build.
    """

    name: str = "program"
    functions: Functions
    terms: tuple[MappedTerm, ...]
    linear: sparse.csr_matrix
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    start: Array
    column_blocks: tuple[Block, ...]
    row_blocks: tuple[Block, ...]
    parameters: Mapping[str, Array] = field(default_factory=dict)
    column_scale: Array = field(default_factory=lambda: np.ones(0))
    row_scale: Array = field(default_factory=lambda: np.ones(0))
    objective_scale: float = 1.0
    column_size: Array = field(default_factory=lambda: np.ones(0))
    row_size: Array = field(default_factory=lambda: np.ones(0))
    maximise: bool = False
    kinks: tuple[str, ...] = ()
    make_structure: Callable[[], ChainStructure] | None = None
    build_seconds: float = 0.0

    def __post_init__(self) -> None:
        for what, count in (("column", self.columns), ("row", self.rows)):
            for name in (f"{what}_scale", f"{what}_size"):
                if getattr(self, name).size == 0:
                    object.__setattr__(self, name, np.ones(count))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, variables={self.columns}, "
            f"constraints={self.rows})"
        )

    # ---- sizes and names ---------------------------------------------------------------------

    @property
    def columns(self) -> int:
        """Number of variables."""
        return len(self.lower)

    @property
    def rows(self) -> int:
        """Number of constraints."""
        return len(self.row_lower)

    @cached_property
    def p(self) -> Array:
        """(parameters,) all parameter blocks in one vector."""
        return np.concatenate([np.zeros(0), *(np.ravel(v) for v in self.parameters.values())])

    @cached_property
    def column_names(self) -> list[str]:
        """One name per column, such as ``x[3]``."""
        return names_of(self.column_blocks, self.columns)

    @cached_property
    def row_names(self) -> list[str]:
        """One name per row."""
        return names_of(self.row_blocks, self.rows)

    @cached_property
    def structure(self) -> ChainStructure | None:
        """The chains of elements and the border that they share, if it has that structure."""
        return None if self.make_structure is None else self.make_structure()

    # ---- other starts and parameters ---------------------------------------------------------

    def with_start(self, start: ArrayLike) -> Self:
        """Return the program with another starting point.

        Raises
        ------
        InputError
            Wrong length or entries that are not finite.
        """
        x = np.asarray(start, dtype=float)
        if x.shape != (self.columns,):
            raise InputError(
                f"the start has shape {x.shape}, but the program has {counted(self.columns, 'column')}."
            )
        if not np.isfinite(x).all():
            culprit = self.column_names[int(np.flatnonzero(~np.isfinite(x))[0])]
            raise InputError(f"the start of {culprit} is not finite; choose another start.")
        return replace(self, start=x)

    def with_parameters(self, **blocks: ArrayLike) -> Self:
        """Return the program with other parameter values; functions and solvers are kept.

        Raises
        ------
        InputError
            A block that the program does not have, or of another shape.
        """
        values = dict(self.parameters)
        for name, block in blocks.items():
            if name not in values:
                known = ", ".join(values) or "none"
                raise InputError(f"there is no parameter block {name!r}; there are: {known}.")
            given = np.asarray(block, dtype=float)
            if given.shape not in (np.shape(values[name]), ()):
                raise InputError(
                    f"parameter block {name!r} has shape {np.shape(values[name])}, "
                    f"not {given.shape}."
                )
            values[name] = np.broadcast_to(given, np.shape(values[name])).copy()
        return replace(self, parameters=values)

    # ---- values ------------------------------------------------------------------------------

    def objective(self, x: ArrayLike) -> float:
        """Value of f."""
        return float(self._called(self.functions.objective, x)[0])

    def gradient(self, x: ArrayLike) -> Array:
        """(columns,) ∇f."""
        return self._called(self.functions.gradient, x, 1)

    def constraints(self, x: ArrayLike) -> Array:
        """(rows,) values of g."""
        return self._called(self.functions.constraints, x)

    def _called(self, function: ca.Function, x: ArrayLike, wanted: int = 0) -> Array:
        point = np.ascontiguousarray(x, dtype=float)
        if point.size != self.columns:
            raise InputError(
                f"{self} was to be evaluated at {counted(point.size, 'value')}; give {self.columns}."
            )
        return Call(function, (point, self.p), wanted)()

    def violation(self, x: ArrayLike, g: Array | None = None) -> Array:
        """(rows,) by how much each row's bounds are violated; ``g`` where it has been evaluated."""
        g = self.constraints(x) if g is None else g
        return np.maximum(0.0, np.maximum(self.row_lower - g, g - self.row_upper))

    def largest_violation(self, x: ArrayLike, g: Array | None = None) -> float:
        """Largest violation of a row or of a variable's bound; NaN where a function is."""
        point = np.asarray(x, dtype=float)
        bounds = np.maximum(self.lower - point, point - self.upper).max(initial=0.0)
        return float(np.maximum(bounds, self.violation(point, g).max(initial=0.0)))

    def kkt_residual(self, x: ArrayLike, lam_g: ArrayLike, lam_x: ArrayLike) -> float:
        r"""Largest of :math:`|\nabla f+J^T\lambda+\lambda_x|`, violation and complementarity.

        Multipliers follow the one sign rule: positive at an active upper bound.
        """
        x, lam_g, lam_x = (np.asarray(v, dtype=float).ravel() for v in (x, lam_g, lam_x))
        jacobian = self.functions.jacobian(x, self.p)[1]
        pulled = np.asarray(ca.mtimes(jacobian.T, lam_g)).ravel()
        stationarity = self.gradient(x) + pulled + lam_x
        bounds = np.maximum(0.0, np.maximum(self.lower - x, x - self.upper))
        gaps = [
            np.where(lam > 0.0, np.minimum(upper, 1e30) - v, v - np.maximum(lower, -1e30))
            * np.abs(lam)
            for lam, v, lower, upper in (
                (lam_x, x, self.lower, self.upper),
                (lam_g, self.constraints(x), self.row_lower, self.row_upper),
            )
        ]
        free = self.lower < self.upper  # a fixed variable's stationarity is its bound's business
        parts = (stationarity[free], bounds, self.violation(x), gaps[0][free], gaps[1])
        return float(np.max([np.abs(v).max(initial=0.0) for v in parts]))

    # ---- what is derived once ----------------------------------------------------------------

    def cache(self, key: str, make: Callable[[], _T], *made_from: Any) -> _T:
        """Return what ``make`` returned for ``key`` and these very inputs, else make it.

        It is kept with the functions, which copies of the program share; ``made_from`` names all
        else that the value depends on (arrays are compared by value, the rest by identity), so that
        a copy with other scales or another layout never gets what belongs to the first.
        """
        return self.functions.cache(key, make, *made_from)

    def scaled(self) -> Self:
        """Return the program in the variables x / column_scale, with rows and objective times their scales.

        The record itself stays in the user's units; solvers are given this one, and take results
        back.  It is the same record if all scales are one.
        """
        s, r, c = self.column_scale, self.row_scale, self.objective_scale
        if (s == 1.0).all() and (r == 1.0).all() and c == 1.0:
            return self
        return replace(
            self,
            functions=self.cache(
                "scaled", lambda: self.functions.scaled(s, r, c), s, r, np.array([c])
            ),
            lower=self.lower / s,
            upper=self.upper / s,
            row_lower=self.row_lower * r,
            row_upper=self.row_upper * r,
            start=self.start / s,
            column_scale=np.ones_like(s),
            row_scale=np.ones_like(r),
            objective_scale=1.0,
            column_size=self.column_size / s,
            row_size=self.row_size * r,
        )

    def gauss_newton(self) -> Self:
        """Return the program without the networks' own second derivatives in its Hessian.

        Raises
        ------
        InputError
            No term calls a network, or none that can be told apart from the rest.
        """
        if not self.functions.exact:
            return self
        if all(term.lifted is None for term in self.terms):
            raise InputError(
                f"{self} has no network whose second derivatives could be left out; leave out "
                "hessian_approximation='gauss-newton'."
            )
        return replace(self, functions=self.cache("gauss_newton", self._without_curvature))

    def _without_curvature(self) -> Functions:
        terms = [
            term if term.lifted is None else replace(term, lifted=replace(term.lifted, exact=False))
            for term in self.terms
        ]
        return assemble(terms, self.linear, len(self.p))


Place = tuple[Any, ...]


def _indexed(name: str, place: Place) -> str:
    """Return ``name[i,j]``, or the bare name of a scalar."""
    return f"{name}[{','.join(map(str, place))}]" if place else name


@dataclass(frozen=True, eq=False)
class Block:
    """Columns or rows of one name: an array of variables, or of constraints.

    Attributes
    ----------
    name : what they are called together.
    numbers : the columns (or rows), in an array of any shape.
    index : returns the place of every number, flattened; by default its place in the array.
    label : (name, place) -> the name of one of them.
    """

    name: str
    numbers: Index
    index: Callable[[], Sequence[Place]] | None = None
    label: Callable[[str, Place], str] = _indexed

    @cached_property
    def places(self) -> list[Place]:
        """Place of every number, flattened."""
        if self.index is not None:
            return list(self.index())
        return list(np.ndindex(self.numbers.shape))

    def names(self) -> list[str]:
        """Name of every number, flattened."""
        return [self.label(self.name, place) for place in self.places]


def names_of(blocks: Sequence[Block], count: int) -> list[str]:
    """Return the names of ``count`` columns (or rows) that the blocks share out."""
    names = [""] * count
    for block in blocks:
        for number, name in zip(block.numbers.ravel().tolist(), block.names(), strict=True):
            names[number] = name
    return names
