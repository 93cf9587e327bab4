"""Where every column and row of a program stands among chains, parts of them, and border.

An element *owns* its inner columns and its right link; the first link of every chain is a slot of its
own, so that every column of a chain is owned once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...numerics import Index
from ...numerics.parallel import parts_of
from ...transcription.program import Program
from ...transcription.structure import ChainStructure

_PART = 2**17  # entries of a part's basis: small enough for a core's cache, large enough for NumPy


class Unsuited(Exception):
    """Why a matrix cannot be factorised by chains, in words."""


@dataclass(frozen=True, eq=False)
class Order:
    """Which columns and rows of a program stand where in Ipopt's matrix.

    Attributes
    ----------
    columns : those that are not fixed.
    equalities, inequalities : rows.
    """

    columns: Index
    equalities: Index
    inequalities: Index

    @classmethod
    def of(cls, program: Program) -> Order:
        """Ipopt takes fixed variables out, and tells equalities by equal bounds."""
        equal = program.row_lower == program.row_upper
        columns = np.flatnonzero(program.lower != program.upper)
        return cls(columns, np.flatnonzero(equal), np.flatnonzero(~equal))

    def equals(self, other: Order) -> bool:
        """Whether two orders are the same."""
        pairs = (
            (self.columns, other.columns),
            (self.equalities, other.equalities),
            (self.inequalities, other.inequalities),
        )
        return all(np.array_equal(a, b) for a, b in pairs)

    @property
    def size(self) -> int:
        """Number of rows of Ipopt's matrix."""
        return len(self.columns) + len(self.equalities) + 2 * len(self.inequalities)

    @property
    def negative(self) -> int:
        """Number of negative eigenvalues that Ipopt wants to see."""
        return len(self.equalities) + len(self.inequalities)


class Places:
    """Slot and position of every column and row of the chains.

    Chains are taken together in parts, which are worked on one beside the other.  The slots of a part
    are its elements, chain by chain, and then the first links of its chains.

    Attributes
    ----------
    parts : (elements, slots) ranges of every part.
    element_slots : (elements,) slots.
    before : (elements,) slot of the element's left link.

    Raises
    ------
    Unsuited
        Chains whose elements are not all alike.
    """

    def __init__(self, structure: ChainStructure, order: Order, columns: int, rows: int) -> None:
        chains = structure.chains
        widths = {(c.links.shape[1], c.inner.shape[1]) for c in chains}
        if len(widths) != 1:
            raise Unsuited("the elements of its chains differ in size")
        self.states, self.inner = widths.pop()
        self.own = self.inner + self.states
        is_free = np.zeros(columns, dtype=bool)
        is_free[order.columns] = True
        border = structure.border[is_free[structure.border]]
        self.border = len(border)
        firsts = self._number([c.elements for c in chains])
        self.slot, self.position = np.full(columns, -1), np.zeros(columns, dtype=int)
        inside = np.concatenate([c.inner for c in chains])
        ends = np.concatenate([c.links[1:] for c in chains])
        slots = self.element_slots[:, None]
        self.slot[inside], self.position[inside] = slots, np.arange(self.inner)
        for where, numbers in (
            (ends, slots),
            (np.stack([c.links[0] for c in chains]), firsts[:, None]),
        ):
            self.slot[where], self.position[where] = numbers, self.inner + np.arange(self.states)
        self.position[border] = np.arange(self.border)
        # what is fixed at the end of a chain keeps its place, with a one on the diagonal
        last = np.cumsum([c.elements for c in chains]) - 1
        if not is_free[inside].all() or not is_free[np.delete(ends, last, axis=0)].all():
            raise Unsuited("a variable inside a chain is fixed")
        self.fixed = np.zeros((self.elements + self.chains, self.own), dtype=bool)
        held = np.flatnonzero(~is_free & (self.slot >= 0))
        self.fixed[self.slot[held], self.position[held]] = True
        self._rows(structure, order, rows)

    def _number(self, counts: list[int]) -> Index:
        """Number the slots, part by part; return those of the first links."""
        ends = np.cumsum(counts)
        self.elements, self.chains = int(ends[-1]), len(counts)
        size = self.own * (2 * self.states + self.border)
        many = parts_of(self.elements * size / _PART)
        middle = ends - 0.5 * np.array(counts)
        part = (middle * many / self.elements).astype(int)
        begins = np.flatnonzero(np.append(True, np.diff(part) > 0))
        self.parts, chains_before = [], np.zeros(self.chains, dtype=int)
        firsts, done = np.zeros(self.chains, dtype=int), 0
        for a, b in zip(begins, [*begins[1:], self.chains], strict=True):
            end = int(ends[b - 1])
            self.parts.append((slice(done, end), slice(done + a, end + b)))
            chains_before[a:b], firsts[a:b], done = a, end + np.arange(a, b), end
        self.element_slots = np.arange(self.elements) + np.repeat(chains_before, counts)
        self.before = self.element_slots - 1
        self.before[ends - counts] = firsts
        return firsts

    def _rows(self, structure: ChainStructure, order: Order, rows: int) -> None:
        width = max(c.rows.shape[1] for c in structure.chains)
        table = np.full((self.elements, width), -1)
        first = 0
        for c in structure.chains:
            table[first : first + c.elements, : c.rows.shape[1]] = c.rows
            first += c.elements
        is_equal = np.zeros(rows + 1, dtype=bool)  # the last entry answers for -1
        is_equal[order.equalities] = True
        equal = is_equal[table]
        unequal = (table >= 0) & ~equal
        self.equal = self.inner + self.states
        if (equal.sum(axis=1) != self.equal).any():
            raise Unsuited("its elements have more or fewer equations than they determine unknowns")
        self.unequal = int(unequal.sum(axis=1).max())
        self.row_slot, self.row_position = np.full(rows, -1), np.zeros(rows, dtype=int)
        for mask in (equal, unequal):
            e, k = np.nonzero(mask)
            self.row_slot[table[e, k]] = e
            self.row_position[table[e, k]] = (np.cumsum(mask, axis=1) - 1)[e, k]
        shared = is_equal[structure.border_rows]
        for mask in (shared, ~shared):
            self.row_position[structure.border_rows[mask]] = np.arange(mask.sum())
        self.border_equal, self.border_unequal = int(shared.sum()), int((~shared).sum())
