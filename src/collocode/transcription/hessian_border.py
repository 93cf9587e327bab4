"""Second derivatives by weights, summed over the points, and by weights and the points' unknowns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

import casadi as ca
import numpy as np

from ..numerics import Array, Index
from .chain_rule import Node, Second, Tangents
from .compiled import Places
from .outer_products import Group, OutOfPlace, alike_of, joined, number_of, repeated


@dataclass(frozen=True, eq=False)
class _Mixed:
    """A group's second derivatives by the points' unknowns.

    Attributes
    ----------
    group : layer of weights.
    own : unknowns of a point that occur in one of its columns.
    values : (columns + 1, perturbations, K * own).
    columns : for every column of the matrix (number among those, its nonzeros in the rows of the
        points, which of ``own`` it has or None for all).
    """

    group: Group
    own: Index
    values: Array
    columns: list[tuple[int, slice, Index | None]]


@dataclass(frozen=True, eq=False)
class _Block:
    """Products between two nodes, and where their sums over the points go.

    Attributes
    ----------
    later, earlier : the nodes.
    pairs : rows and columns of the matrix between them that may differ from zero; those of
        the derivative of the later node's input if that is what is multiplied.
    moved : whether it is.
    active : perturbations of the later node whose gradient may differ from zero.
    adds : (places in the block or None for all, places among the nonzeros, whether nothing else has
        been put there before).
    """

    later: Node
    earlier: Node
    pairs: tuple[Index, Index]
    moved: bool
    active: Index
    adds: list[tuple[Index | None, Index, bool]] = field(default_factory=list)


class HessianBorder:
    """Second derivatives by the points' unknowns and weights, and by two weights (upper triangle).

    Parameters
    ----------
    groups : in the order of their weights.
    found, tangents : structure of the second derivatives and of those of the nodes' inputs.
    places : (K, own) rows of the points' unknowns, increasing.
    shared : (weights,) rows of the weights, behind them and increasing.
    shape : of the matrix.

    Attributes
    ----------
    pattern : of the matrix; the weights' diagonal belongs to it.
    shares : which nonzeros are those by two weights.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        found: Second,
        tangents: Tangents,
        places: Index,
        shared: Index,
        shape: tuple[int, int],
    ) -> None:
        points, size = len(places), shape[1]
        lengths = np.zeros(size, dtype=np.intp)
        alike = [alike_of(group, found, tangents, places.shape[1]) for group in groups]
        for _, weights, own in (kind for kinds in alike for kind in kinds):
            lengths[weights] = points * len(own)
        before = np.cumsum(lengths)
        there = self._find_pairs(groups, found, tangents, before)
        column, row = np.divmod(there, size)
        counts = np.bincount(column, minlength=size)
        starts = before - lengths + np.cumsum(counts) - counts
        kind_of, members = np.full(size, -1), dict[bytes, Index]()
        self._mixed = []
        for group, kinds in zip(groups, alike, strict=True):
            every = np.unique(np.concatenate([np.empty(0, dtype=np.intp), *(k[2] for k in kinds)]))
            made: list[tuple[int, slice, Index | None]] = []
            for numbers, weights, own in kinds:
                begin, some = starts[weights], np.searchsorted(every, own)
                kind_of[weights] = number_of(members, own)
                made += [
                    (n, slice(a, a + points * len(own)), None if len(own) == len(every) else some)
                    for n, a in zip(numbers.tolist(), begin.tolist(), strict=True)
                ]
            values = np.zeros((*group.places.shape, points * len(every)))
            self._mixed.append(_Mixed(group, every, values, made))
        rows = [places[:, own].ravel() for own in members.values()] + [places[:0].ravel()]
        ends = np.append(np.flatnonzero(np.diff(kind_of)) + 1, size)
        mixed = joined(
            [
                repeated(rows[kind_of[end - 1]], shape[0], int(count))
                for end, count in zip(ends, np.diff(ends, prepend=0), strict=True)
            ]
        )
        shares = np.append(0, np.cumsum(counts)).tolist(), shared[row].tolist()
        self.pattern = mixed + ca.Sparsity(*shape, *shares)
        self.shares = before[column] + np.arange(len(there))

    def _find_pairs(
        self, groups: Sequence[Group], found: Second, tangents: Tangents, before: Index
    ) -> Index:
        """Make the blocks; return column * size + row of the nonzeros, increasing."""
        size = len(before)
        there = np.eye(size, dtype=bool)
        self._places = _places_of(groups)
        blocks = []
        for earlier, later in combinations_with_replacement(sorted(self._places), 2):
            active = np.flatnonzero(found.gradients[later][0])
            for moved, matrix in (
                (False, found.nodes[later, earlier]),
                (True, tangents.get((earlier, later))),
            ):
                pairs = None if matrix is None else _pairs(matrix, moved)
                if pairs is None or not len(pairs[0]):
                    continue
                block = _Block(later, earlier, pairs, moved, active)
                keys = self._keys(block, size)
                for _, key in keys:
                    there.ravel()[key] = True
                blocks.append((block, keys))
        used = np.flatnonzero(there)
        number = np.empty(there.size, dtype=np.int32)  # of the nonzeros alone
        number[used] = np.arange(len(used))
        written = np.zeros(len(used), dtype=bool)
        for block, keys in blocks:
            for chosen, key in keys:
                at = number[key]
                block.adds.append((chosen, at + before[key // size], not written[at].any()))
                written[at] = True
        self._blocks = [block for block, _ in blocks]
        return used

    def _keys(self, block: _Block, size: int) -> list[tuple[Index | None, Index]]:
        """Which entries of the block are used, and column * size + row of those in the triangle."""
        later, earlier, (first, second) = block.later, block.earlier, block.pairs
        q, r = self._places[later], self._places[earlier]  # (functions, columns + 1, rows)
        if block.moved:
            left = q[:, first][:, :, block.active].transpose(1, 2, 0)
        else:
            left = q[:, :, first].transpose(2, 0, 1)
        right = r[:, :, second].transpose(2, 0, 1)
        both = np.broadcast_arrays(
            left.reshape(len(first), -1, 1), right.reshape(len(first), 1, -1)
        )
        i, j = both[0].ravel(), both[1].ravel()
        if min(i.min(initial=0), j.min(initial=0)) < 0:
            raise OutOfPlace
        if later == earlier:
            chosen = np.flatnonzero(i <= j)
            return [(chosen, j[chosen] * size + i[chosen])]
        if later[1] == earlier[1] and np.array_equal(q, r):
            # one layer in two calls: the block and its transpose fall on the same places
            halves = []
            for a, b in ((i, j), (j, i)):
                chosen = np.flatnonzero(a <= b)
                halves.append((chosen, b[chosen] * size + a[chosen]))
            return list(halves)
        return [(None, np.maximum(i, j) * size + np.minimum(i, j))]

    def places(self) -> Places:
        """Where second derivatives by weights and points' unknowns are; see `JacobianBorder`."""
        first, kinds, members = [], [], dict[bytes, Index]()
        for part in self._mixed:
            begins = np.full(part.group.places.size, -1)
            kind = np.zeros(len(begins), dtype=int)
            for number, where, some in part.columns:
                begins[number] = where.start
                kind[number] = number_of(members, part.own if some is None else part.own[some])
            first.append(begins)
            kinds.append(kind)
        return Places(
            first=np.concatenate(first),
            kinds=np.concatenate(kinds),
            members=tuple(members.values()),
        )

    def put_mixed(
        self,
        found: Second,
        tangents: Tangents,
        inputs: Mapping[Node, Array],
        functions: Sequence[Array | None],
        points: slice,
    ) -> None:
        """Keep what some points have in their rows; ``inputs`` (points, columns + 1) of the nodes."""
        for part in self._mixed:
            group, own = part.group, part.own
            count = len(own)
            view = part.values[:, :, points.start * count : points.stop * count]
            for number, node in enumerate(group.nodes):
                # inputs times the second derivatives by y and the perturbations
                at = group.inputs(inputs[node], functions[node[0]])
                left = np.repeat(at, count, axis=1)[:, None]
                right = found.mixed[node][:, :, own].transpose(1, 0, 2).reshape(view.shape[1:])
                if number:
                    view += left * right
                else:
                    np.multiply(left, right, out=view)
                moved = tangents.get((None, node))
                if moved is None:
                    continue
                # derivatives of the inputs by y times the gradient by the perturbations
                basis, g = functions[node[0]], found.gradients[node]
                if basis is not None:
                    g = g * basis[:, group.function, None]
                left = moved[:, own].transpose(2, 0, 1).reshape(len(at) - 1, 1, -1)
                view[:-1] += left * np.repeat(g.T, count, axis=1)

    def sums(
        self,
        found: Second,
        tangents: Tangents,
        inputs: Mapping[Node, Array],
        functions: Sequence[Array | None],
    ) -> list[Array | None]:
        """Return the sums over some points of all blocks; None is zero."""
        return [self._sum(b, found, tangents, inputs, functions) for b in self._blocks]

    def put_kept(self, out: Array) -> None:
        """Write what was kept."""
        for mixed in self._mixed:
            width = len(mixed.own)
            rows = mixed.values.reshape(mixed.group.places.size, -1) if width else np.zeros(0)
            for number, where, some in mixed.columns:
                row = rows[number]
                out[where] = row if some is None else row.reshape(-1, width)[:, some].ravel()

    def put(self, out: Array, sums: Sequence[Sequence[Array | None]]) -> None:
        """Write the sums over several groups of points, added up."""
        for block, parts in zip(self._blocks, zip(*sums, strict=True), strict=True):
            given = [part for part in parts if part is not None]
            total = sum(given[1:], start=given[0]) if given else np.zeros(0)
            for chosen, places, first in block.adds if given else []:
                part = total if chosen is None else total[chosen]
                out[places] = part if first else out[places] + part

    def _sum(
        self,
        block: _Block,
        found: Second,
        tangents: Tangents,
        inputs: Mapping[Node, Array],
        functions: Sequence[Array | None],
    ) -> Array | None:
        """Sum one pair of nodes over the points."""
        right = _spread(inputs[block.earlier], functions[block.earlier[0]])
        basis = functions[block.later[0]]
        rows, columns = block.pairs
        if block.moved:
            matrix: Array | None = tangents[block.earlier, block.later]
            left = found.gradients[block.later][:, block.active]
            if basis is not None:
                left = (left[:, :, None] * basis[:, None, :]).reshape(len(left), -1)
            rows, columns = columns, rows
        else:
            matrix = found.nodes[block.later, block.earlier]
            left = _spread(inputs[block.later], basis)
        if matrix is None:
            return None
        if matrix.ndim == 2:
            chosen = matrix[:, rows]
        elif len(rows) == matrix[0].size and not block.moved:
            chosen = matrix.reshape(len(matrix), -1)
        else:
            chosen = matrix[:, rows, columns]
        both = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
        sums: Array = (chosen.T @ both).ravel()
        return sums


def _spread(inputs: Array, functions: Array | None) -> Array:
    """(K, functions * inputs) products of both."""
    if functions is None:
        return inputs
    return np.asarray((functions[:, :, None] * inputs[:, None, :]).reshape(len(inputs), -1))


def _places_of(groups: Sequence[Group]) -> dict[Node, Index]:
    """Places of a node's weights, (functions, columns + 1, rows)."""
    tables: dict[Node, list[Index]] = {}
    for group in groups:
        for node in group.nodes:
            tables.setdefault(node, []).append(group.places)
    return {node: np.stack(found) for node, found in tables.items()}


def _pairs(found: Array, moved: bool) -> tuple[Index, Index]:
    """Rows and columns of a point's matrix that may differ from zero."""
    if found.ndim == 2:
        which = np.flatnonzero(found[0])
        return which, which
    matrix = found[0].T if moved else found[0]  # (input, perturbation), or two perturbations
    rows, columns = np.nonzero(matrix)
    return rows, columns
