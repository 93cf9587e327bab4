"""One solver's factorisations: by chains where they do well, by MUMPS where they do not."""

from __future__ import annotations

import ctypes
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ... import kernels
from ...kernels import address
from ...numerics.parallel import for_each, parts_of
from ...transcription.program import Program
from .factor import ChainFactor
from .mumps import Mumps
from .places import Order, Unsuited

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_ACCURATE, _STEPS = 1e-10, 10  # of refinement, as Ipopt has it
_USABLE = 1e-8
_RUN = 2**18  # entries that one thread multiplies
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

    Attributes
    ----------
    error : what Python raised where Ipopt called.
    count : of the solve at hand.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.negative = 0
        self.count = Count()
        self._made: tuple[Index, ChainFactor] | None = None

    @property
    def parts(self) -> int:
        """How many threads it has work for."""
        return 1 if self._made is None else len(self._made[1].parts)

    def begin(self, program: Program) -> None:
        """Take note of the program that is solved next, in the scales that Ipopt sees."""
        self._program, self.count, self.error = program, Count(), None
        self._order = Order.of(program)
        self.negative = self._order.negative

    def tell(self) -> bool:
        """Warn of what went wrong in the solve that has ended; return whether that ended it."""
        if isinstance(self.error, KeyboardInterrupt):
            raise self.error
        faults = [*self.count.faults, *([] if self.error is None else [repr(self.error)])]
        if faults:
            warnings.warn(
                f"the factorisation by chains went wrong {len(faults)} times ({faults[0]}), and MUMPS "
                'took over; with options={"linear_solver": "mumps"} it is not tried.',
                RuntimeWarning,
                stacklevel=2,
            )
        return self.error is not None

    def analyse(self, start: Index, columns: Index) -> Factorisations:
        """Return a linear solver for matrices of a pattern."""
        chains = None
        if self._made is not None:
            known, made = self._made
            same = made.order.equals(self._order) and np.array_equal(known, columns)
            chains = made if same else None
            made.begin()
        if chains is None:
            try:
                chains = ChainFactor(self._program, start, columns)
                self._made = columns, chains
            except Unsuited as why:
                self.count.reason = str(why)
        return Factorisations(chains, start, columns, self.negative, self.count)


class Factorisations:
    """Factorises by chains, watches them, and lets MUMPS take over.

    Parameters
    ----------
    chains : None where the program is not made of them.
    start, columns : compressed rows of the upper triangle, from 0.
    negative : eigenvalues that Ipopt wants to see.
    count : is kept.
    """

    def __init__(
        self, chains: ChainFactor | None, start: Index, columns: Index, negative: int, count: Count
    ) -> None:
        n = len(start) - 1
        self._chains, self._negative, self._count = chains, negative, count
        self._values: Array = np.zeros(len(columns))
        many = parts_of(len(columns) / _RUN)
        ends = np.searchsorted(start, np.linspace(0, len(columns), many + 1)).tolist()
        ends[-1] = n
        self._runs = [_Rows(start, columns, self._values, slice(a, b)) for a, b in pairwise(ends)]
        rows = np.repeat(np.arange(n), np.diff(start))
        self._places = rows, columns
        self._diagonal = np.full(n, -1)
        on = np.flatnonzero(rows == columns)
        self._diagonal[rows[on]] = on
        self._mumps: Mumps | None = None
        self._by_chains = False

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; see `hook.LinearSolver`."""
        self._values[:] = values
        if self._chains is not None and len(self._count.faults) < _MOST_FAULTS:
            found = self._try_chains(values)
            if found is not None:
                return found
        return self._by_mumps()

    def _try_chains(self, values: Array) -> tuple[int, bool] | None:
        assert self._chains is not None
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
            self._values[self._diagonal[self._chains.top_columns]] += shift
        return negative, False

    def _by_mumps(self) -> tuple[int, bool]:
        self._by_chains = False
        self._count.mumps += 1
        if self._mumps is None:
            self._mumps = Mumps(*self._places, len(self._diagonal))
        return self._mumps.factor(self._values)

    def solve(self, rhs: Array) -> Array:
        """Solve and refine; see `hook.LinearSolver`."""
        if self._by_chains:
            assert self._chains is not None
            with np.errstate(all="ignore"):
                x, residual = self._refined(rhs, self._chains.solve)
            if residual <= _USABLE:
                return x
            self._count.faults.append(f"a solution has a residual of {residual:.1e}")
            negative, singular = self._by_mumps()
            if singular or negative != self._negative:
                raise WrongInertia(f"MUMPS counts {negative} negative eigenvalues")
        assert self._mumps is not None
        return self._refined(rhs, self._mumps.solve)[0]

    def _refined(self, rhs: Array, solve) -> tuple[Array, float]:  # type: ignore[no-untyped-def]
        """Return the solution and its residual, relative as Ipopt takes it."""
        x = solve(rhs)
        best, least = x, np.inf
        size = float(np.abs(rhs).max(initial=0.0))
        for _ in range(_STEPS):
            left = rhs - self._times(x)
            scale = size + min(float(np.abs(x).max(initial=0.0)), 1e6 * size)
            ratio = float(np.abs(left).max(initial=0.0)) / scale if scale else 0.0
            if not ratio < least:
                break
            best, least = x, ratio
            if ratio <= _ACCURATE:
                break
            x = x + solve(left)
        return best, least

    def _times(self, x: Array) -> Array:
        """Product with the whole, symmetric matrix, in runs of rows that are the same on all cores."""
        product = np.zeros(len(x))
        for run, (above, below) in zip(
            self._runs, for_each(lambda run: run.times(x), self._runs), strict=True
        ):
            product[run.rows] += above
            product += below
        return product

    def close(self) -> None:
        """Give MUMPS's memory back."""
        if self._mumps is not None:
            self._mumps.close()
            self._mumps = None


class _Rows:
    """Some rows of a symmetric matrix, of which the upper triangle is there.

    Parameters
    ----------
    start, columns, values : compressed rows of all; the values may change.
    rows : of them.
    """

    def __init__(self, start: Index, columns: Index, values: Array, rows: slice) -> None:
        at = slice(int(start[rows.start]), int(start[rows.stop]))
        self.rows, self._values = rows, values[at]
        begins, columns = start[rows.start : rows.stop + 1] - at.start, columns[at]
        of_rows = np.repeat(np.arange(rows.start, rows.stop), np.diff(begins))
        self._library = kernels.library()
        if self._library is not None:
            self._find_runs(begins, columns, of_rows)
            return
        shape = rows.stop - rows.start, len(start) - 1
        self._upper = sparse.csr_matrix((self._values, columns, begins), shape=shape)
        self._upper.data = self._values  # whatever SciPy has made of it
        self._on = np.flatnonzero(of_rows == columns)
        self._diagonal = columns[self._on]

    def _find_runs(self, begins: Index, columns: Index, rows: Index) -> None:
        """Runs of neighbouring columns, of which the diagonal is one of its own."""
        changed = (np.diff(columns) != 1) | (np.diff(rows) != 0) | (columns == rows)[:-1]
        first = np.flatnonzero(np.append(True, changed))
        self._begins = np.searchsorted(first, begins)
        self._columns = columns[first].astype(np.int32)
        self._lengths = np.diff(first, append=len(columns)).astype(np.int32)

    def times(self, x: Array) -> tuple[Array, Array]:
        """(rows,) of the product, and (n,) what the triangle's transpose adds to all of it."""
        if self._library is None:
            below: Array = self._upper.T @ x[self.rows]
            below[self._diagonal] -= self._values[self._on] * x[self._diagonal]
            return self._upper @ x, below
        above, below = np.empty(self.rows.stop - self.rows.start), np.empty(len(x))
        sizes = (ctypes.c_int64(k) for k in (self.rows.start, len(above), len(x)))
        arrays: list[NDArray[Any]] = [self._begins, self._columns, self._lengths]
        arrays += [self._values, x, above, below]
        self._library.upper_product(*sizes, *map(address, arrays))
        return above, below
