"""One solver's factorisations: by chains where they do well, by MUMPS where they do not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ... import kernels
from ...checks import counted
from ...errors import caller_level
from ...numerics import Array, Index
from ...transcription.program import Program
from .factor import ChainFactor
from .fronts import Fronts
from .hook import LinearSolver
from .mumps import Mumps, available
from .places import Order, Unsuited
from .refined import ACCURATE, STEPS, Symmetric

_USABLE = 1e-8
_MOST_FAULTS = 3  # of a solve, then chains are given up


class WrongInertia(ArithmeticError):
    """Chains told Ipopt an inertia that MUMPS does not find; the solve has to be done again."""


@dataclass
class Count:
    """Which factorisations of a solve were done by what.

    Attributes
    ----------
    chains, mumps, shifted : factorisations; those by chains whose curvature was shifted.
    faults : what went wrong with chains, a phrase each.
    reason : why the program was not taken for chains, if it was not.
    """

    chains: int = 0
    mumps: int = 0
    shifted: int = 0
    faults: list[str] = field(default_factory=list)
    reason: str = ""

    def __str__(self) -> str:
        if not self.chains:
            return "mumps"
        if not self.mumps:
            return "chains"
        return f"chains, mumps for {self.mumps} of {self.chains + self.mumps} factorisations"


class Session:
    """The linear solver of one program's solves, as `hook` calls it.

    Parameters
    ----------
    narrow : whether the border is so narrow that `Fronts` are for it.

    Attributes
    ----------
    error : what Python raised where Ipopt called.
    count, seconds : of the solve at hand, the latter of wall time.
    """

    def __init__(self, *, narrow: bool) -> None:
        self._narrow = narrow
        self.error: BaseException | None = None
        self.negative, self.seconds = 0, 0.0
        self.count = Count()
        self._made: tuple[Index, ChainFactor] | None = None
        self._fronts: Fronts | None = None

    @property
    def parts(self) -> int:
        """How many threads it has work for."""
        return 1 if self._made is None else len(self._made[1].parts)

    def begin(self, program: Program) -> None:
        """Take note of the program that is solved next, in the scales that Ipopt sees."""
        self._program, self.count, self.error, self.seconds = program, Count(), None, 0.0
        self._order = Order.of(program)
        self.negative = self._order.negative

    @property
    def gave_up(self) -> bool:
        """Whether what went wrong ended the solve; Ctrl-C is raised."""
        if isinstance(self.error, KeyboardInterrupt):
            raise self.error
        return self.error is not None

    def tell(self) -> None:
        """Warn of what went wrong in the solve that has ended.

        Not of a program that turns out infeasible: near a least violation multipliers grow without end and
        every matrix becomes singular, whoever factorises it.
        """
        faults = [*self.count.faults, *([] if self.error is None else [repr(self.error)])]
        if faults:
            warnings.warn(
                f"the factorisation by chains went wrong {counted(len(faults), 'time')} ({faults[0]}), and MUMPS "
                'took over; with options={"linear_solver": "mumps"} it is not tried.',
                RuntimeWarning,
                stacklevel=caller_level(),
            )

    def look(self, x: Array) -> None:
        """Take note of an iterate, in the scales that Ipopt sees."""
        if self._made is not None and self._made[1].shifts:
            self._made[1].look(x)

    def analyse(self, start: Index, columns: Index) -> LinearSolver:
        """Return a linear solver for matrices of a pattern."""
        mumps = ByMumps(start, columns, self.count)
        try:
            if self._narrow:
                fronts = self._fronts_of(start, columns)
                return Narrow(fronts, mumps, self.negative, self.count)
            chains = self._chains_of(start, columns)
            return Factorisations(chains, mumps, self.negative, self.count)
        except Unsuited as why:
            self.count.reason = str(why)
        return mumps

    def _chains_of(self, start: Index, columns: Index) -> ChainFactor:
        if self._made is not None:
            known, made = self._made
            if made.order.equals(self._order) and np.array_equal(known, columns):
                made.begin()
                return made
        chains = ChainFactor(self._program, start, columns)
        self._made = columns, chains
        return chains

    def _fronts_of(self, start: Index, columns: Index) -> Fronts:
        known, library = self._fronts, kernels.library()
        if library is None:
            raise Unsuited("there are no compiled kernels")
        same = known is not None and known.order.equals(self._order)
        if known is None or not same or not np.array_equal(known.columns, columns):
            known = self._fronts = Fronts(library, self._program, self._order, start, columns)
        return known


class Factorisations:
    """Factorises by chains, watches them, and lets MUMPS take over.

    Parameters
    ----------
    chains : they do, and solve, as `ChainFactor` does.
    mumps : of the same pattern.
    negative : eigenvalues that Ipopt wants to see.
    count : is kept.
    """

    def __init__(self, chains: ChainFactor, mumps: ByMumps, negative: int, count: Count) -> None:
        self._chains, self._mumps = chains, mumps
        self._negative, self._count = negative, count
        self._by_chains = self._fresh = False

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; see `hook.LinearSolver`."""
        self._fresh = True
        if len(self._count.faults) < _MOST_FAULTS:
            found = self._try_chains(values)
            if found is not None:
                return found
        self._by_chains = False
        return self._mumps.factor(values)

    def _try_chains(self, values: Array) -> tuple[int, bool] | None:
        try:
            with np.errstate(all="ignore"):
                negative, singular = self._chains.factor(values)
        except Unsuited as why:
            if "finite" in str(why) and np.isfinite(values).all():
                self._count.faults.append("a factor is not finite")
            return None
        except np.linalg.LinAlgError as problem:
            self._count.faults.append(str(problem))
            return None
        wanted = negative == self._negative or (
            not self._chains.shifts and negative > self._negative
        )
        if not singular and not wanted:
            self._count.faults.append(f"it counts {negative} negative eigenvalues")
            return None
        self._count.chains += 1
        self._by_chains = True
        if singular or negative != self._negative:
            return negative, singular
        matrix, shift = self._mumps.matrix, self._chains.shift
        matrix.values[:] = values
        if shift:
            self._count.shifted += 1
            matrix.values[matrix.diagonal[self._chains.top_columns]] += shift
        return negative, False

    def solve(self, rhs: Array) -> Array:
        """Solve and refine; see `hook.LinearSolver`."""
        if self._by_chains:
            with np.errstate(all="ignore"):
                x, residual = self._mumps.matrix.refined(rhs, self._chains.solve)
            if residual <= _USABLE:
                if self._fresh:  # second-order corrections come after the step
                    self._chains.stepped(rhs, x)
                    self._fresh = False
                return x
            self._by_chains = False
            self._count.faults.append(f"a solution has a residual of {residual:.1e}")
            self._mumps.replace(self._mumps.matrix.values, self._negative)
        return self._mumps.solve(rhs)

    def close(self) -> None:
        """Give MUMPS's memory back."""
        self._mumps.close()


class Narrow:
    """Factorises by fronts, whose inertia is whatever the matrix has, and lets MUMPS take over.

    Parameters
    ----------
    fronts : of the same pattern as
    mumps, negative, count : see `Factorisations`.
    """

    def __init__(self, fronts: Fronts, mumps: ByMumps, negative: int, count: Count) -> None:
        self._fronts, self._mumps = fronts, mumps
        self._negative, self._count = negative, count
        self._values: Array | None = None  # what fronts have factorised

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; see `hook.LinearSolver`."""
        self._values = None
        if len(self._count.faults) < _MOST_FAULTS:
            try:
                found = self._fronts.factor(values)
            except Unsuited as why:
                if np.isfinite(values).all():
                    self._count.faults.append(str(why))
            else:
                self._values = values
                self._count.chains += 1
                return found
        return self._mumps.factor(values)

    def solve(self, rhs: Array) -> Array:
        """Solve and refine; see `hook.LinearSolver`."""
        if self._values is not None:
            x = rhs.copy()
            residual = self._fronts.solve(x, ACCURATE, STEPS)
            if residual <= _USABLE:
                return x
            self._count.faults.append(f"a solution has a residual of {residual:.1e}")
            self._mumps.replace(self._values, self._negative)
            self._values = None
        return self._mumps.solve(rhs)

    def close(self) -> None:
        """Give MUMPS's memory back."""
        self._mumps.close()


class ByMumps:
    """Factorises by MUMPS, which is made when it is first needed, as is the matrix.

    Parameters
    ----------
    start, columns : compressed rows of the upper triangle, from 0.
    count : is kept.
    """

    def __init__(self, start: Index, columns: Index, count: Count) -> None:
        self._pattern, self._count = (start, columns), count
        self._mumps: Mumps | None = None

    @cached_property
    def matrix(self) -> Symmetric:
        """What is factorised."""
        return Symmetric(*self._pattern)

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; see `hook.LinearSolver`.

        Raises
        ------
        OSError
            MUMPS is not there, or does not do what it should: Ipopt has to end, and to begin anew with its own.
        """
        self._count.mumps += 1
        self.matrix.values[:] = values
        if self._mumps is None:
            if not available():
                raise OSError("the MUMPS of the casadi wheel is not as expected")
            self._mumps = Mumps(self.matrix.rows, self.matrix.columns, len(self.matrix.diagonal))
        return self._mumps.factor(self.matrix.values)

    def replace(self, values: Array, negative: int) -> None:
        """Factorise a matrix whose inertia Ipopt was told already.

        Raises
        ------
        WrongInertia
            It has another one.
        """
        found, singular = self.factor(values)
        if singular or found != negative:
            raise WrongInertia(f"MUMPS counts {found} negative eigenvalues")

    def solve(self, rhs: Array) -> Array:
        """Solve and refine; see `hook.LinearSolver`."""
        assert self._mumps is not None
        return self.matrix.refined(rhs, self._mumps.solve)[0]

    def close(self) -> None:
        """Give the memory back."""
        if self._mumps is not None:
            self._mumps.close()
            self._mumps = None
