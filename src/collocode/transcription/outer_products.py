"""Nonzeros by weights: outer products with the inputs of layers, column by column as CasADi has them.

A weight is a column.  What the points' rows have of it is one vector of the inputs, (points x rows), times
one of the perturbations, written where it belongs; what two weights have of each other is summed over
the points by one product of matrices for every pair of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import casadi as ca
import numpy as np

from ..numerics import Array, Index, Mask
from .chain_rule import Node, Second, Tangents
from .compiled import Places

_MANY = 8


class OutOfPlace(ArithmeticError):
    """A weight of which the graph says that nothing depends on it."""


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

    def inputs(self, at: Array, functions: Array | None) -> Array:
        """(columns + 1, K) inputs of a node, times the function of time."""
        if functions is None:
            return np.ascontiguousarray(at.T)
        return np.asarray(at.T * functions[:, self.function])


@dataclass(frozen=True, eq=False)
class _Run:
    """Neighbouring perturbations of a group whose columns have the same rows of a point."""

    which: slice
    rows: Index
    where: slice


class JacobianBorder:
    """Derivatives of the points' values by the shared weights.

    Parameters
    ----------
    groups : in the order of their weights.
    structure : by node, (values, perturbations) of what may differ from zero.
    places : (K, values) rows of the points' values, increasing.
    shape : of the matrix.

    Attributes
    ----------
    pattern : of the matrix.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        structure: Mapping[Node, Mask],
        places: Index,
        shape: tuple[int, int],
    ) -> None:
        points, offset, height = len(places), 0, shape[0]
        self._groups: list[tuple[Group, slice, int, list[_Run]]] = []
        layers = []
        for group in groups:
            mask = np.logical_or.reduce([structure[node] for node in group.nodes])
            runs, width, once = [], 0, []
            for which in _equal_columns(mask):
                chosen, count = np.flatnonzero(mask[:, which.start]), which.stop - which.start
                once.append(repeated(places[:, chosen].ravel(), height, count))
                if not len(chosen):
                    continue
                if group.places[:, which].min() < 0:
                    raise OutOfPlace
                size = count * points * len(chosen)
                runs.append(_Run(which, chosen, slice(width, width + size)))
                width += size
            end = offset + len(group.places) * width
            self._groups.append((group, slice(offset, end), width, runs))
            layers.append(ca.kron(ca.Sparsity.dense(1, len(group.places)), joined(once)))
            offset = end
        self.pattern = joined(layers)
        there = np.concatenate([group.places.ravel() for group in groups]) >= 0
        if not there.all():
            kept = np.flatnonzero(there).tolist()
            self.pattern = self.pattern.sub(list(range(height)), kept)[0]
        assert self.pattern.shape == shape

    def put(
        self,
        out: Array,
        parts: Callable[[Node], tuple[Array, Array | None]],
        functions: Sequence[Array | None],
        points: slice,
    ) -> None:
        """Write the nonzeros of some points.

        ``parts`` are a node's (points, inputs) and (points, values, perturbations).
        """
        for group, where, width, runs in self._groups:
            block = out[where].reshape(len(group.places), width)
            done = False
            for node in group.nodes:
                at, by_node = parts(node)
                if by_node is None:
                    continue
                inputs = group.inputs(at, functions[node[0]])
                for run in runs:
                    count = run.which.stop - run.which.start
                    view = block[:, run.where].reshape(len(inputs), count, -1)
                    view = view[:, :, points.start * len(run.rows) : points.stop * len(run.rows)]
                    moved = by_node[:, run.rows][:, :, run.which].transpose(2, 0, 1)
                    right = moved.reshape(1, count, -1)
                    left = np.repeat(inputs, len(run.rows), axis=1)[:, None, :]
                    if done:
                        view += left * right
                    else:
                        np.multiply(left, right, out=view)
                done = True
            if not done:
                block[:] = 0.0

    def places(self) -> Places:
        """Where all of that is written, for the kernels; of networks that are called once."""
        first, kinds, members = [], [], dict[bytes, Index]()
        for group, where, width, runs in self._groups:
            begins, kind = np.full(group.places.shape, -1), np.zeros(group.places.shape, dtype=int)
            for run in runs:
                count = run.which.stop - run.which.start
                each = (run.where.stop - run.where.start) // count
                at = where.start + run.where.start + each * np.arange(count)
                begins[:, run.which] = at + width * np.arange(len(begins))[:, None]
                kind[:, run.which] = number_of(members, run.rows)
            first.append(begins.ravel())
            kinds.append(kind.ravel())
        return Places(
            first=np.concatenate(first),
            kinds=np.concatenate(kinds),
            members=tuple(members.values()),
        )


def number_of(members: dict[bytes, Index], rows: Index) -> int:
    """Number of some rows among the ``members``, which they are added to if they are new."""
    key = rows.tobytes()
    members.setdefault(key, rows)
    return list(members).index(key)


def _equal_columns(mask: Mask) -> list[slice]:
    """Runs of columns that are the same."""
    changes = np.flatnonzero((mask[:, 1:] != mask[:, :-1]).any(axis=0)) + 1
    return [
        slice(int(a), int(b)) for a, b in zip([0, *changes], [*changes, mask.shape[1]], strict=True)
    ]


def repeated(rows: Index, height: int, count: int) -> ca.Sparsity:
    """Return a column's pattern so many times."""
    column = ca.Sparsity(height, 1, [0, len(rows)], rows.tolist())
    return ca.kron(ca.Sparsity.dense(1, count), column)  # several times as fast as lists of all


def joined(parts: Sequence[ca.Sparsity]) -> ca.Sparsity:
    """Return patterns side by side; CasADi's own way takes several times as long for a few."""
    if len(parts) > _MANY:
        return ca.horzcat(*parts)
    whole = ca.Sparsity(parts[0])
    for part in parts[1:]:
        whole.appendColumns(part)
    return whole


def alike_of(
    group: Group, found: Second, tangents: Tangents, own: int
) -> list[tuple[Index, Index, Index]]:
    """Weights that meet the same unknowns of a point: numbers in the group, places, and these unknowns."""
    mask = np.zeros((*group.places.shape, own), dtype=bool)
    for node in group.nodes:
        mask |= found.mixed[node][0] != 0.0
        moved = tangents.get((None, node))
        if moved is not None:
            there = found.gradients[node][0] != 0.0
            mask[:-1] |= (moved[0].T != 0.0)[:, None, :] & there[:, None]
    kinds, which = np.unique(mask.reshape(-1, own), axis=0, return_inverse=True)
    made = []
    for k in np.flatnonzero(kinds.any(axis=1)):
        numbers = np.flatnonzero(which.ravel() == k)
        weights = group.places.ravel()[numbers]
        if weights.min() < 0:
            raise OutOfPlace
        made.append((numbers, weights, np.flatnonzero(kinds[k])))
    return made
