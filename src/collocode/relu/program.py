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
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Values:
    """A vector each entry of which is a column of a program or a constant.

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
class Mark:
    """What columns of units are, as a function of the units' pre-activations."""

    columns: Index
    layer: int
    units: Index
    function: Callable[[Array], Any]


@dataclass
class Program:
    """Columns and rows, appended one group after the other."""

    lower: list[Array] = field(default_factory=list)
    upper: list[Array] = field(default_factory=list)
    integer: list[NDArray[np.bool_]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    row_lower: list[Array] = field(default_factory=list)
    row_upper: list[Array] = field(default_factory=list)
    row_names: list[str] = field(default_factory=list)
    products: list[tuple[int, int]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    _entries: list[tuple[Index, Index, Array]] = field(default_factory=list)
    _columns: int = 0
    _rows: int = 0

    @property
    def columns(self) -> int:
        """Number of columns."""
        return self._columns

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._rows

    def add_columns(
        self, name: str, lower: ArrayLike, upper: ArrayLike, integer: bool = False
    ) -> Index:
        """Append columns; return their indices."""
        low, up = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        low, up = np.atleast_1d(low), np.atleast_1d(up)
        self.lower.append(low.copy())
        self.upper.append(up.copy())
        self.integer.append(np.full(len(low), integer))
        self.names += [f"{name}[{i}]" for i in range(len(low))]
        first, self._columns = self._columns, self._columns + len(low)
        return np.arange(first, self._columns)

    def add_rows(
        self,
        name: str,
        parts: Sequence[tuple[Index, Any]],
        lower: ArrayLike,
        upper: ArrayLike,
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
            count = values.shape[0] if values.ndim == 2 else len(columns)
            if values.ndim == 2:
                i, j = np.nonzero(values)
                entry = (i + self._rows, np.asarray(columns)[j], values[i, j])
            else:
                spread = np.broadcast_to(values, (count,))
                entry = (np.arange(count) + self._rows, np.asarray(columns), spread)
            self._entries.append(entry)
        self.row_lower.append(np.broadcast_to(np.asarray(lower, float), (count,)).copy())
        self.row_upper.append(np.broadcast_to(np.asarray(upper, float), (count,)).copy())
        self.row_names += [f"{name}[{i}]" for i in range(count)]
        self._rows += count

    def binaries(self) -> Index:
        """Return the indices of the binary columns."""
        return np.flatnonzero(np.concatenate([np.zeros(0, bool), *self.integer]))

    def set_bounds(self, columns: Index, lower: Array, upper: Array) -> None:
        """Exchange the bounds of columns."""
        low, up = np.concatenate(self.lower), np.concatenate(self.upper)
        low[columns], up[columns] = lower, upper
        self.lower, self.upper = [low], [up]

    def arrays(self) -> Arrays:
        """Return the program as it stands."""

        def joined(parts: Sequence[Array]) -> Array:
            return np.concatenate([np.zeros(0), *parts])

        i, j, v = (
            np.concatenate([np.zeros(0, kind), *(e[k] for e in self._entries)])
            for k, kind in enumerate((int, int, float))
        )
        A = sp.csr_matrix((v, (i, j)), shape=(self._rows, self._columns))
        integer = np.concatenate([np.zeros(0, bool), *self.integer])
        return Arrays(
            joined(self.lower),
            joined(self.upper),
            integer,
            A,
            joined(self.row_lower),
            joined(self.row_upper),
        )


@dataclass(frozen=True, eq=False)
class Arrays:
    """A program's numbers: bounds and integrality of columns, the matrix, bounds of rows."""

    lower: Array
    upper: Array
    integer: NDArray[np.bool_]
    A: sp.csr_matrix
    row_lower: Array
    row_upper: Array
