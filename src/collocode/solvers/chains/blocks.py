"""Where the entries of Ipopt's augmented matrix belong in the blocks of chains and border.

Ipopt hands over the upper triangle of

    [ H      .    Jcᵀ   Jdᵀ ]     free columns, in the program's order
    [ .      D     .    -I  ]     slacks of the inequality rows
    [ Jc     .    -C     .  ]     equality rows
    [ Jd    -I     .   -Δ   ]     inequality rows

as one vector of values.  An element *owns* its inner columns and its right link; the first link of
every chain is a slot of its own, so that every column of a chain is owned once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...transcription.program import Program
from ...transcription.structure import ChainStructure

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_PART = 2**18  # entries of a part's basis: small enough for a core's cache, large enough for NumPy
_X, _BORDER, _SLACK, _EQUAL, _UNEQUAL, _BORDER_EQUAL, _BORDER_UNEQUAL = range(7)
_BY_SLOT = ("H", "H_border")
_SHARED = ("H_shared", "G", "K", "D_shared", "delta_shared", "C")
_CHANGED = ("H", "across", "H_border", "H_shared")  # by whoever condenses the inequalities


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
        part = (ends - counts) * size // _PART  # depends on the program alone, so sums are the same
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


class Blocks:
    """The blocks of one matrix after another; see the attributes made by `load`.

    Attributes
    ----------
    H : (slots, own, own) of the columns that a slot owns; ``across`` (elements, states, own) of an
        element's left link with what it owns; ``H_border`` (slots, own, border).
    H_shared : (border, border).
    A_left, A, A_border : equality rows of the elements by left link, own columns and border.
    J_left, J, J_border : inequality rows likewise; ``D``, ``delta`` their two diagonals.
    G, K : equality and inequality rows of the border alone; ``D_shared``, ``delta_shared``.
    C : (equality rows,) −diagonal.
    kind, slot, position : of the rows of Ipopt's matrix; an equation's slot is its element's number.

    Raises
    ------
    Unsuited
        An entry that no block has room for.
    """

    def __init__(self, places: Places, order: Order, start: Index, columns: Index) -> None:
        self.places, self.order = places, order
        n = order.size
        self.entries = len(columns)
        rows = np.repeat(np.arange(n), np.diff(start))
        kind, slot, position = _kinds(places, order)
        self.slot, self.position, self.kind = slot, position, kind
        self._tables: dict[str, tuple[Index, Array]] = {}
        self._filled: set[str] = set()
        self._values = np.zeros(self.entries + 1)
        self._used = np.zeros(self.entries, dtype=bool)
        _Fill(self, rows, columns).all()
        if not self._used.all():
            raise Unsuited("an entry lies outside its chains and their border")

    def load(self, values: Array) -> None:
        """Take the values of a matrix, and put into the blocks what no element owns."""
        self._values[:-1] = values
        for name in _SHARED:
            self._take(name, slice(None))

    def load_part(self, elements: slice, slots: slice) -> None:
        """Put into the blocks what the elements and links of a part own."""
        for name in self._tables:
            if name not in _SHARED:
                self._take(name, slots if name in _BY_SLOT else elements)

    def _take(self, name: str, where: slice) -> None:
        if name in _CHANGED or self.has(name):
            table, block = self._tables[name]
            np.take(self._values, table[where], out=block[where], mode="clip")

    def part(self, name: str, elements: slice, slots: slice) -> Array:
        """What a part owns of a block."""
        return self._tables[name][1][slots if name in _BY_SLOT else elements]

    def __getattr__(self, name: str) -> Array:
        try:
            return self.__dict__["_tables"][name][1]
        except KeyError:
            raise AttributeError(name) from None

    def has(self, name: str) -> bool:
        """Whether the block has an entry that is not always zero."""
        return name in self._filled


def _kinds(p: Places, order: Order) -> tuple[Index, Index, Index]:
    """Kind, slot and position of every row of Ipopt's matrix."""
    x = order.columns
    parts = [(np.where(p.slot[x] < 0, _BORDER, _X), p.slot[x], p.position[x])]
    for rows, inside, outside in (
        (order.inequalities, _SLACK, _SLACK),
        (order.equalities, _EQUAL, _BORDER_EQUAL),
        (order.inequalities, _UNEQUAL, _BORDER_UNEQUAL),
    ):
        slot = p.row_slot[rows]
        parts.append((np.where(slot < 0, outside, inside), slot, p.row_position[rows]))
    kind, slot, position = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return kind, slot, position


class _Fill:
    """Makes the index tables of `Blocks` from the pattern."""

    def __init__(self, blocks: Blocks, rows: Index, columns: Index) -> None:
        self.b, self.rows, self.columns = blocks, rows, columns
        k = blocks.kind
        self.pair = k[rows], k[columns]

    def all(self) -> None:
        p, b = self.b.places, self.b
        slots, own, d, n = p.elements + p.chains, p.own, p.states, p.border
        self._hessian(slots, own, d)
        u, v = self._pick(_X, _BORDER)
        self._put(
            "H_border", (slots, own, n), (b.slot[u[0]], b.position[u[0]], b.position[u[1]]), v
        )
        u, v = self._pick(_BORDER, _BORDER)
        i, j = b.position[u[0]], b.position[u[1]]
        self._put("H_shared", (n, n), (np.append(i, j), np.append(j, i)), np.append(v, v))
        for name, kind, count in (("A", _EQUAL, p.equal), ("J", _UNEQUAL, p.unequal)):
            u, v = self._pick(_X, kind)
            e, k = b.slot[u[1]], b.position[u[1]]
            s, q = b.slot[u[0]], b.position[u[0]]
            mine = s == p.element_slots[e]
            left = ~mine & (s == p.before[e]) & (q >= p.inner)
            shape = (p.elements, count)
            self._put(name, (*shape, own), (e[mine], k[mine], q[mine]), v[mine])
            self._put(f"{name}_left", (*shape, d), (e[left], k[left], q[left] - p.inner), v[left])
            u, v = self._pick(_BORDER, kind)
            where = b.slot[u[1]], b.position[u[1]], b.position[u[0]]
            self._put(f"{name}_border", (*shape, n), where, v)
        for name, kind, count in (
            ("G", _BORDER_EQUAL, p.border_equal),
            ("K", _BORDER_UNEQUAL, p.border_unequal),
        ):
            u, v = self._pick(_BORDER, kind)
            self._put(name, (count, n), (b.position[u[1]], b.position[u[0]]), v)
        self._diagonals()

    def _hessian(self, slots: int, own: int, d: int) -> None:
        p, b = self.b.places, self.b
        u, v = self._pick(_X, _X)
        (s, q), (t, r) = ((b.slot[i], b.position[i]) for i in u)
        same = s == t
        i = tuple(np.append(x[same], y[same]) for x, y in ((s, s), (q, r), (r, q)))
        self._put("H", (slots, own, own), i, np.append(v[same], v[same]))
        before, element = np.full(slots, -1), np.full(slots, -1)
        before[p.element_slots], element[p.element_slots] = p.before, np.arange(p.elements)
        places, values = [], []
        for (s1, q1), (t1, r1) in (((s, q), (t, r)), ((t, r), (s, q))):
            left = ~same & (before[t1] == s1) & (q1 >= p.inner)
            places.append((element[t1[left]], q1[left] - p.inner, r1[left]))
            values.append(v[left])
        across = tuple(np.concatenate([x[k] for x in places]) for k in range(3))
        self._put("across", (p.elements, d, own), across, np.concatenate(values))

    def _diagonals(self) -> None:
        p, b = self.b.places, self.b
        m = len(b.order.inequalities)
        first = len(b.order.columns)
        shape = (p.elements, p.unequal)
        for name, kind, low in (
            ("D", _SLACK, first),
            ("delta", _UNEQUAL, first + m + len(b.order.equalities)),
        ):
            other = _SLACK if kind == _SLACK else _BORDER_UNEQUAL
            for label, k, size in (
                (name, kind, shape),
                (f"{name}_shared", other, (p.border_unequal,)),
            ):
                u, v = self._pick(k, k)
                inside = (b.slot[u[0]] >= 0) == (len(size) == 2)
                i = u[0][inside & (u[0] == u[1])]
                v = v[inside & (u[0] == u[1])]
                assert (i >= low).all()
                where = (b.slot[i], b.position[i]) if len(size) == 2 else (b.position[i],)
                self._put(label, size, where, v)
        u, v = self._pick(_SLACK, _UNEQUAL)
        v2 = self._pick(_SLACK, _BORDER_UNEQUAL)
        shift = m + len(b.order.equalities)
        for (i, j), entries in ((u, v), v2):
            b._used[entries[j - i == shift]] = True
        places, sources = [], []
        for kind in (_EQUAL, _BORDER_EQUAL):
            (i, j), v = self._pick(kind, kind)
            places.append(i[i == j] - first - m)
            sources.append(v[i == j])
        self._put(
            "C", (len(b.order.equalities),), (np.concatenate(places),), np.concatenate(sources)
        )

    def _pick(self, first: int, second: int) -> tuple[tuple[Index, Index], Index]:
        """Entries between two kinds, as rows of the first, rows of the second, and numbers."""
        a, b = self.pair
        forth = np.flatnonzero((a == first) & (b == second))
        i, j = self.rows[forth], self.columns[forth]
        if first != second:
            back = np.flatnonzero((a == second) & (b == first))
            i, j = np.append(i, self.columns[back]), np.append(j, self.rows[back])
            forth = np.append(forth, back)
        return (i, j), forth

    def _put(
        self, name: str, shape: tuple[int, ...], where: tuple[Index, ...], sources: Index
    ) -> None:
        table = np.full(shape, self.b.entries)
        table[where] = sources
        self.b._used[sources] = True
        if len(sources):
            self.b._filled.add(name)
        self.b._tables[name] = table, np.zeros(shape)
