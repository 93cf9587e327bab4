r"""A mixed-integer program as arrays, written once and handed to HiGHS or to Pyomo.

.. math:: \underline r \le A u \le \overline r,\quad \underline u \le u \le \overline u,\quad
          u_i \in \mathbb Z\ (i \in I),\quad u_p u_q \le 0\ ((p, q) \in P)

The pairs P are complementarities; only Pyomo models have them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from ..checks import counted
from ..numerics import Array, Index, Mask
from .bounds import Bounds, count_states
from .network import ReluNetwork


@dataclass(frozen=True, eq=False)
class UnitValues:
    """The values v of a layer's units: each is a column of a program or a constant.

    Attributes
    ----------
    column : (n,) indices of columns, -1 for a constant.
    constant : (n,) the constants; 0 where there is a column.
    lower, upper : (n,) a proved range.
    """

    column: Index
    constant: Array
    lower: Array
    upper: Array

    def through(self, W: Array, b: Array) -> tuple[Index, Array, Array]:
        """Return W v + b as (columns, coefficients of them, constant vector)."""
        free = self.column >= 0
        return self.column[free], W[:, free], b + W[:, ~free] @ self.constant[~free]


@dataclass(frozen=True, eq=False)
class StartRule:
    """What columns of units are, as a function of the pre-activations: for a MIP start."""

    columns: Index
    layer: int
    units: Index
    function: Callable[[Array], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class MipArrays:
    """A program's numbers: bounds and integrality of columns, the matrix, bounds of rows."""

    lower: Array
    upper: Array
    integer: Mask
    A: sp.csr_matrix
    row_lower: Array
    row_upper: Array


@dataclass
class MixedIntegerProgram:
    """Columns and rows, appended one group after the other."""

    columns: int = 0
    rows: int = 0
    names: list[str] = field(default_factory=list)
    products: list[tuple[int, int]] = field(default_factory=list)
    start_rules: list[StartRule] = field(default_factory=list)
    _lower: list[Array] = field(default_factory=list)
    _upper: list[Array] = field(default_factory=list)
    _integer: list[Mask] = field(default_factory=list)
    _row_lower: list[Array] = field(default_factory=list)
    _row_upper: list[Array] = field(default_factory=list)
    _entries: list[tuple[Index, Index, Array]] = field(default_factory=list)

    def add_columns(
        self, name: str, lower: ArrayLike, upper: ArrayLike, integer: bool = False
    ) -> Index:
        """Append columns; return their indices."""
        low, up = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        low, up = np.atleast_1d(low), np.atleast_1d(up)
        self._lower.append(low.copy())
        self._upper.append(up.copy())
        self._integer.append(np.full(len(low), integer))
        self.names += [f"{name}[{i}]" for i in range(len(low))]
        first, self.columns = self.columns, self.columns + len(low)
        return np.arange(first, self.columns)

    def add_rows(
        self, parts: Sequence[tuple[Index, Any]], lower: ArrayLike, upper: ArrayLike
    ) -> None:
        """Append rows.

        Parameters
        ----------
        parts : (columns, coefficients): a (rows, columns) matrix, or a vector or number that is
            the diagonal of one, so that row i gets coefficient i of column i.
        lower, upper : (rows,) or numbers; the number of rows comes from the parts.
        """
        count = 0
        for columns, coefficients in parts:
            values = np.asarray(coefficients, dtype=float)
            if values.ndim == 2:
                count = len(values)
                i, j = np.nonzero(values)
                entry = (i + self.rows, np.asarray(columns)[j], values[i, j])
            else:
                count = len(columns)
                diagonal = np.broadcast_to(values, (count,))
                entry = (np.arange(count) + self.rows, np.asarray(columns), diagonal)
            self._entries.append(entry)
        self._row_lower.append(np.broadcast_to(np.asarray(lower, float), (count,)))
        self._row_upper.append(np.broadcast_to(np.asarray(upper, float), (count,)))
        self.rows += count

    def binaries(self) -> Index:
        """Return the indices of the binary columns."""
        return np.flatnonzero(np.concatenate([np.zeros(0, bool), *self._integer]))

    def set_bounds(self, columns: Index, lower: Array, upper: Array) -> None:
        """Exchange the bounds of columns."""
        low, up = np.concatenate(self._lower), np.concatenate(self._upper)
        low[columns], up[columns] = lower, upper
        self._lower, self._upper = [low], [up]

    def arrays(self) -> MipArrays:
        """Return the program as it stands."""

        def joined(parts: Sequence[Array]) -> Array:
            return np.concatenate([np.zeros(0), *parts])

        i, j, v = (
            np.concatenate([np.zeros(0, kind), *(e[k] for e in self._entries)])
            for k, kind in enumerate((int, int, float))
        )
        return MipArrays(
            lower=joined(self._lower),
            upper=joined(self._upper),
            integer=np.concatenate([np.zeros(0, bool), *self._integer]),
            A=sp.csr_matrix((v, (i, j)), shape=(self.rows, self.columns)),
            row_lower=joined(self._row_lower),
            row_upper=joined(self._row_upper),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class UndecidedUnits:
    """Units of a layer that bounds do not decide: a = W v' + b in [L, U], level c.

    Attributes
    ----------
    layer, units : which they are.
    inner : columns of v' that W multiplies.
    W, b, low, up, level : one row or entry per unit.
    inner_low, inner_up : the range of v'.
    partitions : groups of the ``partition`` encoding.
    """

    layer: int
    units: Index
    inner: Index
    W: Array
    b: Array
    low: Array
    up: Array
    level: Array
    inner_low: Array
    inner_up: Array
    partitions: int

    def add(
        self,
        program: MixedIntegerProgram,
        name: str,
        chosen: Index,
        upper: ArrayLike,
        function: Callable[[Array], Any],
        lower: ArrayLike = 0.0,
        integer: bool = False,
    ) -> Index:
        """Add a column for each of the chosen units; ``function`` of the pre-activations is its value."""
        low, up = (np.broadcast_to(np.asarray(s, float), chosen.shape) for s in (lower, upper))
        columns = program.add_columns(f"layer{self.layer}.{name}", low, up, integer)
        program.start_rules.append(StartRule(columns, self.layer, self.units[chosen], function))
        return columns

    def add_values(self, program: MixedIntegerProgram) -> Index:
        """Add the columns v with their range."""
        c = self.level
        low, up = np.clip(self.low, 0.0, c), np.minimum(self.up, c)
        return self.add(program, "v", np.arange(len(c)), up, lambda a: a.clip(0.0, c), low)

    def add_sums(self, program: MixedIntegerProgram, parts: list[tuple[Index, Any]]) -> None:
        """Add rows: the sum of the parts equals a."""
        program.add_rows([*parts, (self.inner, -self.W)], self.b, self.b)

    def rows_of(self, chosen: Index, factor: float = 1.0) -> Array:
        """Return the (units, chosen) matrix that brings columns of chosen units to their rows."""
        return factor * np.eye(len(self.b))[:, chosen]


@dataclass(frozen=True, kw_only=True)
class EncodingSummary:
    """What an encoded network consists of.

    Attributes
    ----------
    encoding, bounds : names of both.
    columns, binaries, rows, nonzeros, products : counts; products are complementarities.
    units : how many hidden units the bounds decided: off, on, saturated, undecided.
    big_m : (undecided units,) max(|L|, |U|).
    tightening_seconds : time the bounds took.
    """

    encoding: str
    bounds: str
    columns: int
    binaries: int
    rows: int
    nonzeros: int
    products: int
    units: dict[str, int]
    big_m: tuple[float, ...]
    tightening_seconds: float

    def __repr__(self) -> str:
        largest = f", big-M up to {max(self.big_m):.3g}" if self.big_m else ""
        return (
            f"EncodingSummary({self.encoding} on {self.bounds} bounds: {counted(self.columns, 'column')}, "
            f"{counted(self.binaries, 'binary', 'binaries')}, {counted(self.rows, 'row')}, "
            f"{self.units['undecided']} undecided units{largest})"
        )


def summarise(
    network: ReluNetwork, program: MixedIntegerProgram, encoding: str, bounds: Bounds
) -> EncodingSummary:
    """Count what a program consists of."""
    states, arrays = bounds.stable(network), program.arrays()
    return EncodingSummary(
        encoding=encoding,
        bounds=bounds.kind,
        columns=program.columns,
        binaries=int(arrays.integer.sum()),
        rows=program.rows,
        nonzeros=int(arrays.A.nnz),
        products=len(program.products),
        units=count_states(states),
        big_m=tuple(bounds.big_m(network).tolist()),
        tightening_seconds=bounds.seconds,
    )
