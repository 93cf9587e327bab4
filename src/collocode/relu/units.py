"""Undecided units of a layer: what an encoding gets, and how it adds columns for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .program import Index, Mark, Program

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Units:
    """Undecided units of a layer: a = W v' + b in [L, U], level c.

    Attributes
    ----------
    layer, units : which they are.
    inner : columns of v' that W multiplies.
    W, b, low, up, level : one row or entry a unit.
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

    @property
    def name(self) -> str:
        """Prefix of the names of what is added."""
        return f"layer{self.layer}"

    def note(
        self, program: Program, columns: Index, chosen: Index, function: Callable[[Array], Any]
    ) -> Index:
        """Say what columns of chosen units are at given pre-activations; return the columns."""
        program.marks.append(Mark(columns, self.layer, self.units[chosen], function))
        return columns

    def add(
        self,
        program: Program,
        name: str,
        chosen: Index,
        upper: ArrayLike,
        function: Callable[[Array], Any],
        lower: ArrayLike = 0.0,
        integer: bool = False,
    ) -> Index:
        """Add a column for each of the chosen units, with what it is."""
        low, up = (np.broadcast_to(np.asarray(s, float), chosen.shape) for s in (lower, upper))
        columns = program.add_columns(f"{self.name}.{name}", low, up, integer)
        return self.note(program, columns, chosen, function)

    def sums(self, program: Program, parts: list[tuple[Index, Any]]) -> None:
        """Add rows: the sum of the parts equals a."""
        program.add_rows(self.name, [*parts, (self.inner, -self.W)], self.b, self.b)

    def values(self, program: Program) -> Index:
        """Add the columns v with their range."""
        low, c = np.maximum(self.low, 0.0), self.level
        every = np.arange(len(c))
        return self.add(
            program,
            "v",
            every,
            np.minimum(self.up, c),
            lambda a: a.clip(0.0, c),
            np.minimum(low, c),
        )

    def at(self, units: Index, factor: float = 1.0) -> Array:
        """Return the (units, chosen) matrix that brings columns of chosen units to their rows."""
        return factor * np.eye(len(self.b))[:, units]
