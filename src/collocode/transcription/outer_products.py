"""Nonzeros by weights: outer products with the inputs of layers, at points or summed over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chain_rule import Node, Second

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Group:
    """One layer's weights (for one function of their basis in time) and the nodes that use them.

    Attributes
    ----------
    nodes : those of every call.
    places : (columns + 1, rows) places among the shared unknowns, ascending; -1 for none.
    function : number of the function.
    """

    nodes: list[Node]
    places: Index
    function: int


@dataclass(frozen=True, eq=False)
class _Segment:
    """Neighbouring nonzeros of one row: inputs ``columns`` times perturbations ``rows`` of a group."""

    row: int
    group: Group
    columns: slice
    rows: Any
    where: slice
    shape: tuple[int, int]


class RowProducts:
    """Rows by shared weights: sums of outer products of two vectors a node, at every point.

    Parameters
    ----------
    rows : their number.
    groups : in the order of their weights.
    structure : (row, node) -> pairs of masks, of the node's inputs (None: all) and its perturbations.

    Attributes
    ----------
    pattern : (rows, columns) of the nonzeros, row by row.
    """

    def __init__(
        self,
        rows: int,
        groups: Sequence[Group],
        structure: Callable[[int, Node], list[tuple[Mask | None, Mask]]],
    ) -> None:
        self._segments: list[_Segment] = []
        self.length = 0
        found_rows, found_columns = [], []
        for row in range(rows):
            for group in groups:
                mask = np.zeros(group.places.shape, dtype=bool)
                for node in group.nodes:
                    for left, right in structure(row, node):
                        mask |= right if left is None else left[:, None] & right
                for segment in self._split(row, group, mask):
                    self._segments.append(segment)
                    places = group.places[segment.columns, segment.rows].ravel()
                    found_rows.append(np.full(len(places), row))
                    found_columns.append(places)
        empty = [np.empty(0, dtype=np.intp)]
        self.pattern = np.concatenate(empty + found_rows), np.concatenate(empty + found_columns)

    def _split(self, row: int, group: Group, mask: Mask) -> list[_Segment]:
        """Runs of inputs with the same perturbations."""
        changes = np.flatnonzero((mask[1:] != mask[:-1]).any(axis=1)) + 1
        found = []
        for begin, end in zip([0, *changes], [*changes, len(mask)], strict=True):
            chosen = np.flatnonzero(mask[begin])
            if not len(chosen):
                continue
            shape = (int(end - begin), len(chosen))
            first, last = int(chosen[0]), int(chosen[-1]) + 1
            rows = slice(first, last) if last - first == len(chosen) else chosen
            where = slice(self.length, self.length + shape[0] * shape[1])
            self.length = where.stop
            found.append(_Segment(row, group, slice(int(begin), int(end)), rows, where, shape))
        return found

    def put(
        self,
        out: Array,
        parts: Callable[[int, Node], list[tuple[Array, Array]]],
        functions: Sequence[Array | None],
    ) -> None:
        """Write the (K, nonzeros); ``parts`` returns (K, inputs) and (K, perturbations) pairs."""
        for segment in self._segments:
            view = out[:, segment.where].reshape(len(out), *segment.shape)
            done = False
            for node in segment.group.nodes:
                basis = functions[node[0]]
                for left, right in parts(segment.row, node):
                    a = left[:, segment.columns, None]
                    if basis is not None:
                        a = a * basis[:, segment.group.function, None, None]
                    b = right[:, None, segment.rows]
                    if done:
                        view += a * b
                    else:
                        np.multiply(a, b, out=view)
                    done = True
            if not done:
                view[:] = 0.0


@dataclass(frozen=True, eq=False)
class _Block:
    """Products between two nodes, and where their sums over the points go.

    Attributes
    ----------
    later, earlier : the nodes.
    pairs : rows and columns of the matrix between them that may differ from zero; those of
        ``moved`` if the derivative of the later node's input is multiplied.
    moved : whether it is.
    active : perturbations of the later node whose gradient may differ from zero.
    adds : (places in the block or None for all, places among the nonzeros).
    """

    later: Node
    earlier: Node
    pairs: tuple[Index, Index]
    moved: bool
    active: Index
    adds: list[tuple[Index | None, Index]]


class PairProducts:
    """The upper triangle of the Hessian by the shared weights, summed over the points.

    Parameters
    ----------
    groups : layers of weights.
    structure, tangents : of `Second` and of the derivatives of a node's input by nodes before it.
    size : number of shared unknowns.

    Attributes
    ----------
    pattern : (rows, columns) of the nonzeros, row by row.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        structure: Second,
        tangents: Mapping[tuple[Node | None, Node], Array],
        size: int,
    ) -> None:
        self._places = _places_of(groups)
        there = np.zeros((size, size), dtype=bool)
        nodes = sorted(self._places)
        blocks: list[tuple[_Block, list[tuple[Index | None, Index]]]] = []
        for earlier, later in combinations_with_replacement(nodes, 2):
            matrix, tangent = structure.nodes[later, earlier], tangents.get((earlier, later))
            active = np.flatnonzero(structure.gradients[later][0])
            for moved, found in ((False, matrix), (True, tangent)):
                pairs = None if found is None else _pairs(found, moved)
                if pairs is None or not len(pairs[0]):
                    continue
                block = _Block(later, earlier, pairs, moved, active, [])
                keys = self._keys(block, size)
                for _, key in keys:
                    there.ravel()[key] = True
                blocks.append((block, keys))
        rows, columns = np.nonzero(there)
        self.pattern = rows, columns
        number = np.cumsum(there.ravel(), dtype=np.int32)
        self._blocks = []
        for block, keys in blocks:
            for chosen, key in keys:
                block.adds.append((chosen, (number[key] - 1).astype(np.intp)))
            self._blocks.append(block)

    def _keys(self, block: _Block, size: int) -> list[tuple[Index | None, Index]]:
        """Which entries of the block are used, and the flat places of those in the triangle."""
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
        if later == earlier:
            chosen = np.flatnonzero(i <= j)
            return [(chosen, i[chosen] * size + j[chosen])]
        if later[1] == earlier[1] and np.array_equal(q, r):
            # one layer in two calls: the block and its transpose fall on the same places
            return [
                (chosen, a[chosen] * size + b[chosen])
                for a, b in ((i, j), (j, i))
                for chosen in [np.flatnonzero(a <= b)]
            ]
        return [(None, np.minimum(i, j) * size + np.maximum(i, j))]

    def put(
        self,
        out: Array,
        found: Second,
        tangents: Mapping[tuple[Node | None, Node], Array],
        inputs: Mapping[Node, Array],
        functions: Sequence[Array | None],
    ) -> None:
        """Write the sums over the points; ``inputs`` are those of the nodes times their functions."""
        out[:] = 0.0
        for block in self._blocks:
            if block.moved:
                matrix: Array | None = tangents[block.earlier, block.later]
                left = found.gradients[block.later][:, block.active]
                basis = functions[block.later[0]]
                if basis is not None:
                    left = (left[:, :, None] * basis[:, None, :]).reshape(len(left), -1)
            else:
                matrix = found.nodes[block.later, block.earlier]
                left = inputs[block.later]
            if matrix is None:
                continue
            rows, columns = block.pairs
            if matrix.ndim == 2:
                chosen = matrix[:, rows]
            elif block.moved:
                chosen = matrix[:, columns, rows]
            else:
                chosen = matrix[:, rows, columns]
            both = (left[:, :, None] * inputs[block.earlier][:, None, :]).reshape(len(left), -1)
            sums = (chosen.T @ both).ravel()
            for where, places in block.adds:
                out[places] += sums if where is None else sums[where]


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
