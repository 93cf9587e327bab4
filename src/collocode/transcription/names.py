"""Names of columns and rows: blocks of variables and of constraints, each an array with places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]
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
