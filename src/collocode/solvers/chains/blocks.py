"""Where the entries of Ipopt's augmented matrix belong in the blocks of chains and border.

Ipopt hands over a triangle of

    [ H      .    Jcᵀ   Jdᵀ ]     free columns, in the program's order
    [ .      D     .    -I  ]     slacks of the inequality rows
    [ Jc     .    -C     .  ]     equality rows
    [ Jd    -I     .   -Δ   ]     inequality rows

as one vector of values, in which an entry of the diagonal may come twice.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import kernels
from ...kernels import address
from ...numerics import Array, Index
from .places import Order, Places, Unsuited
from .refined import Symmetric

_KINDS = range(7)
_STRIP = 32  # ROWS of kernels/sparse.c
_X, _BORDER, _SLACK, _EQUAL, _UNEQUAL, _BORDER_EQUAL, _BORDER_UNEQUAL = _KINDS
_BY_SLOT = ("H", "H_border")
_SHARED = ("G", "K", "D_shared", "delta_shared", "C")
_TWICE = "two of its entries are for one place"
_CHANGED = ("H", "across", "H_border")  # by whoever condenses the inequalities


class Blocks:
    """The blocks of one matrix after another; see the attributes made by `load`.

    Attributes
    ----------
    H : (slots, own, own) of the columns that a slot owns; ``across`` (elements, states, own) of an
        element's left link with what it owns; ``H_border`` (slots, own, border).
    A_left, A, A_border : equality rows of the elements by left link, own columns and border.
    J_left, J, J_border : inequality rows likewise; ``D``, ``delta`` their two diagonals.
    G, K : equality and inequality rows of the border alone; ``D_shared``, ``delta_shared``.
    C : (equality rows,) −diagonal.
    kind, slot, position : of the rows of Ipopt's matrix; an equation's slot is its element's number.

    Raises
    ------
    Unsuited
        An entry that no block has room for, or two for one place.
    """

    def __init__(self, places: Places, order: Order, matrix: Symmetric) -> None:
        self.places, self.order = places, order
        self.entries = len(matrix.rows)
        kind, slot, position = _kinds(places, order)
        self.slot, self.position, self.kind = slot, position, kind
        self._tables: dict[str, tuple[Index, Array]] = {}
        self._filled: set[str] = set()
        self._values: Array = np.zeros(self.entries)
        self._corner: tuple[Index, Index]
        # whose index tables have numbers of four bytes
        self._library = kernels.library() if self.entries < 2**31 else None
        self._gathers: dict[tuple[str, int | None], _Gather] = {}
        self._used = np.zeros(self.entries, dtype=bool)
        _Fill(self, matrix).all()
        if not self._used.all():
            raise Unsuited("an entry lies outside its chains and their border")

    def load(self, values: Array) -> bool:
        """Take the values of a matrix, and put into the blocks what no element owns.

        False if the equations are relaxed: what is absent in a block is read where −C stands.
        """
        self._values = values
        self._take(_SHARED, slice(None), slice(None))
        return not self.C.any()

    def load_part(self, elements: slice, slots: slice) -> None:
        """Put into the blocks what the elements and links of a part own."""
        self._take(self._of_parts, elements, slots)

    def loading(self, elements: slice, slots: slice) -> tuple[Any, ...]:
        """The call of a kernel by which that is done, of ``values``; the values of `load` may be of another matrix."""
        return self._gather(self._of_parts, elements, slots).call

    @property
    def _of_parts(self) -> list[str]:
        return [name for name in self._tables if name not in _SHARED]

    def _take(self, names: Sequence[str], elements: slice, slots: slice) -> None:
        if self._library is None:
            for table, block in self._taken(names, elements, slots):
                np.take(self._values, table, out=block, mode="clip")
            return
        self._gather(names, elements, slots)(self._values)

    def _gather(self, names: Sequence[str], elements: slice, slots: slice) -> _Gather:
        key = names[0], elements.start
        if key not in self._gathers:
            assert self._library is not None
            self._gathers[key] = _Gather(self._library, self._taken(names, elements, slots))
        return self._gathers[key]

    def _taken(
        self, names: Sequence[str], elements: slice, slots: slice
    ) -> list[tuple[Index, Array]]:
        """Tables and blocks that a matrix changes, of a part."""
        found = []
        for name in names:
            if name in _CHANGED or self.has(name):
                where = slots if name in _BY_SLOT else elements
                table, block = self._tables[name]
                found.append((table[where], block[where]))
        return found

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

    def add_shared(self, S: Array) -> None:
        """Add the Hessian of the border to the upper triangle of a matrix in one piece."""
        places, sources = self._corner
        S.reshape(-1)[places] += self._values[sources]


class _Gather:
    """Fills some blocks from a matrix' values by their tables: always the same ones, in one call.

    Parameters
    ----------
    library : the compiled kernels.
    parts : tables and blocks, which have to stay where they are.
    """

    def __init__(self, library: ctypes.CDLL, parts: list[tuple[Index, Array]]) -> None:
        self._library = library
        shapes = [
            (table.size // table.shape[-1], table.shape[-1]) if table.size else (0, 1)
            for table, _ in parts
        ]
        strips = [
            _strips(table.reshape(shape)) for (table, _), shape in zip(parts, shapes, strict=True)
        ]
        count, blocks = len(parts), [block for _, block in parts]
        self._kept = strips, blocks
        self._count = ctypes.c_int64(count)
        sizes = ((ctypes.c_int64 * count)(*v) for v in zip(*shapes, strict=True))
        heads, tables = zip(*strips, strict=True)
        places = ((ctypes.c_void_p * count)(*map(address, v)) for v in (heads, tables))
        self._blocks = (ctypes.c_void_p * count)(*map(address, blocks))
        self._given: list[Any] = [*sizes, *places]
        *where, out = (ctypes.c_void_p(ctypes.addressof(v)) for v in (*self._given, self._blocks))
        self.call = "gather_blocks", count, *where, "values", out

    def __call__(self, values: Array) -> None:
        self._library.gather_blocks(self._count, *self._given, address(values), self._blocks)


def _strips(table: Index) -> tuple[Index, Index]:
    """As the kernel reads it: a number a strip, of the first of values in a row or of where the strip's own numbers are."""
    heads: list[Index] = [table[:0].ravel()]
    numbers: list[Index] = [table[:0].ravel()]
    count = 0
    full = len(table) // _STRIP * _STRIP
    strips_of_all = table[:full].reshape(full // _STRIP, _STRIP, table.shape[1])
    for strips in (strips_of_all, table[None, full:]):
        if strips.size:
            lines = strips.swapaxes(1, 2).reshape(-1, strips.shape[1])
            apart = (np.diff(lines, axis=1) != 1).any(axis=1)
            head = lines[:, 0].copy()
            head[apart] = -1 - count - lines.shape[1] * np.arange(apart.sum())
            heads.append(head)
            numbers.append(lines[apart].ravel())
            count += numbers[-1].size
    return np.concatenate(heads), np.concatenate(numbers)


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


def _pair(first: Any, second: Any) -> Any:
    """One small number for two kinds."""
    return first * np.int8(len(_KINDS)) + second


class _Fill:
    """Makes the index tables of `Blocks` from the pattern."""

    def __init__(self, blocks: Blocks, matrix: Symmetric) -> None:
        rows, columns = matrix.rows, matrix.columns
        self.b, self.rows, self.columns = blocks, rows, columns
        k = blocks.kind.astype(np.int8)
        self.pair = _pair(k[rows], k[columns])
        # what comes again is zero, and was added to the first
        self.pair[matrix.again], blocks._used[matrix.again] = -1, True
        on = matrix.diagonal[matrix.diagonal >= 0]
        relaxed = on[np.isin(k[rows[on]], (_EQUAL, _BORDER_EQUAL))]
        if not len(relaxed):
            raise Unsuited("its equations have no diagonal")
        self.zero = int(relaxed[0])

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
        corner = np.minimum(i, j) * n + np.maximum(i, j)
        if len(np.unique(corner)) < len(corner):
            raise Unsuited(_TWICE)
        b._corner, b._used[v] = (corner, v), True
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
        forth = np.flatnonzero(self.pair == _pair(first, second))
        i, j = self.rows[forth], self.columns[forth]
        if first != second:
            back = np.flatnonzero(self.pair == _pair(second, first))
            i, j = np.append(i, self.columns[back]), np.append(j, self.rows[back])
            forth = np.append(forth, back)
        return (i, j), forth

    def _put(
        self, name: str, shape: tuple[int, ...], where: tuple[Index, ...], sources: Index
    ) -> None:
        compiled = self.b._library is not None
        table = np.full(shape, self.zero, dtype=np.int32 if compiled else np.intp)
        table[where] = sources
        if not np.array_equal(table[where], sources):
            raise Unsuited(_TWICE)
        self.b._used[sources] = True
        if len(sources):
            self.b._filled.add(name)
        self.b._tables[name] = table, np.zeros(shape)
