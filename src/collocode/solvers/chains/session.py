"""One solver's factorisations: by chains where they do well, by MUMPS where they do not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

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
        self._made: ChainFactor | None = None
        self._fronts: Fronts | None = None
        self._matrices: list[Symmetric] = []

    @property
    def parts(self) -> int:
        """How many threads it has work for."""
        return 1 if self._made is None else len(self._made.parts)

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
        if self._made is not None and self._made.shifts:
            self._made.look(x)

    def matrix(self, size: int, rows: Index, columns: Index) -> Symmetric:
        """Return matrices of a pattern; see `hook.Client`."""
        for known in self._matrices:
            if known.equals(size, rows, columns):
                return known
        made = Symmetric(size, rows.astype(np.intp), columns.astype(np.intp))
        self._matrices = [*self._matrices, made][-2:]  # restoration may have one of its own
        return made

    def analyse(self, matrix: Symmetric) -> LinearSolver:
        """Return a linear solver for such matrices."""
        mumps = ByMumps(matrix, self.count)
        try:
            if self._narrow:
                return Narrow(self._fronts_of(matrix), mumps, self.negative, self.count)
            return Factorisations(self._chains_of(matrix), mumps, self.negative, self.count)
        except Unsuited as why:
            self.count.reason = str(why)
        return mumps

    def _chains_of(self, matrix: Symmetric) -> ChainFactor:
        made = self._made
        if made is not None and made.matrix is matrix and made.order.equals(self._order):
            made.begin()
            return made
        self._made = made = ChainFactor(self._program, matrix)
        return made

    def _fronts_of(self, matrix: Symmetric) -> Fronts:
        known, library = self._fronts, kernels.library()
        if library is None:
            raise Unsuited("there are no compiled kernels")
        if known is None or known.matrix is not matrix or not known.order.equals(self._order):
            known = self._fronts = Fronts(library, self._program, self._order, matrix)
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
        self._values: Array = np.zeros(0)

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; see `hook.LinearSolver`."""
        self._values, self._fresh = values, True
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
        shift = self._chains.shift
        if shift:
            self._count.shifted += 1
            values[self._mumps.matrix.diagonal[self._chains.top_columns]] += shift
        return negative, False

    def solve(self, rhs: Array) -> Array:
        """Solve and refine; see `hook.LinearSolver`."""
        if self._by_chains:
            matrix = self._mumps.matrix
            matrix.values = self._values
            with np.errstate(all="ignore"):
                x, residual = matrix.refined(rhs, self._chains.solve)
            if residual <= _USABLE:
                if self._fresh:  # second-order corrections come after the step
                    self._chains.stepped(rhs, x)
                    self._fresh = False
                return x
            self._by_chains = False
            self._count.faults.append(f"a solution has a residual of {residual:.1e}")
            self._mumps.replace(self._values, self._negative)
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
    matrix : of which the pattern is taken.
    count : is kept.
    """

    def __init__(self, matrix: Symmetric, count: Count) -> None:
        self.matrix, self._count = matrix, count
        self._values: Array = np.zeros(0)
        self._mumps: Mumps | None = None

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; see `hook.LinearSolver`.

        Raises
        ------
        OSError
            MUMPS is not there, or does not do what it should: Ipopt has to end, and to begin anew with its own.
        """
        self._count.mumps += 1
        self._values = values
        if self._mumps is None:
            if not available():
                raise OSError("the MUMPS of the casadi wheel is not as expected")
            self._mumps = Mumps(self.matrix.rows, self.matrix.columns, self.matrix.size)
        return self._mumps.factor(values)

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
        self.matrix.values = self._values
        return self.matrix.refined(rhs, self._mumps.solve)[0]

    def close(self) -> None:
        """Give the memory back."""
        if self._mumps is not None:
            self._mumps.close()
            self._mumps = None
