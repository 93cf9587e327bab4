r"""Parameters, weights, decided inputs and free times as the points of a term see them.

Where they do not vary in time, they are the NLP's columns as they stand.  Where they do,
:math:`\theta(t)=\sum_j c_j\varphi_j(t)`, a point sees the functions that are alive at its time: their
values are data, their coefficients are columns.  All points share the coefficients of a global
basis; those of a piecewise one belong to the points of its piece, which leaves the border sparse.  For inputs and
times see `decided`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import casadi as ca
import numpy as np

from ..model.problem import Problem
from ..model.symbolic import Symbols
from ..numerics import Array, Index
from ..numerics.bases import Basis
from .decided import Decisions, Place
from .layout import Layout
from .term import joined


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Parameters, weights and what is decided at the points of a term.

    Attributes
    ----------
    own, own_columns : symbols that differ from point to point, and their (points, own) columns.
    shared, shared_columns : those that all points have in common.
    data, constants : symbols of the functions' values, and these as (points, functions) tables.
    stretch : factor of a step of the mesh where times are free, else 1.
    """

    own: ca.SX
    own_columns: Index
    shared: ca.SX
    shared_columns: Index
    data: ca.SX
    constants: list[Array]
    stretch: ca.SX
    _symbols: ca.SX
    _values: ca.SX
    _differ: bool

    @classmethod
    def of(cls, problem: Problem, layout: Layout, s: Symbols, places: Sequence[Place]) -> Unknowns:
        """Gather what the points of ``places``, one after the other, see."""
        at, nothing = _Alive(problem.bases, places), ca.SX(0, 1)
        own, own_columns, values = [], [], []
        shared, shared_columns = [], [np.empty(0, dtype=int)]
        for j, q in enumerate(problem.all_parameters):
            columns = np.vstack(
                [
                    np.tile(layout.parameter_columns(p.experiment, q.names), (len(p.times), 1))
                    for p in places
                ]
            )
            if q.basis is None:
                symbols = value = s.p[j]
            else:
                columns = np.take_along_axis(columns, at.indices[q.basis], axis=1)
                symbols = ca.SX.sym(q.name, columns.shape[1])
                value = ca.dot(symbols, at.phi[q.basis])
            own.append(symbols)
            own_columns.append(columns)
            values.append(value)
        start = first = 0
        for block in problem.weight_blocks:
            columns = layout.weights[start : start + block.size]
            symbols = value = s.theta[first : first + block.count]
            start, first = start + block.size, first + block.count
            if block.basis is not None:
                symbols = ca.SX.sym("c", block.count, block.basis.support)
                value = ca.mtimes(symbols, at.phi[block.basis])
                symbols = ca.vec(symbols)
            if block.basis is None or block.basis.support == block.basis.size:
                shared.append(symbols)
                shared_columns.append(columns)
            else:
                table = columns.reshape(block.basis.size, block.count)
                own.append(symbols)
                own_columns.append(table[at.indices[block.basis]].reshape(at.points, -1))
            values.append(value)
        parts = [layout.experiments[p.experiment] for p in places]
        decided = Decisions.of(problem, parts, s, places)
        own += decided.own
        own_columns += decided.own_columns
        return cls(
            joined(own, nothing),
            np.hstack([np.empty((at.points, 0), dtype=int), *own_columns]),
            joined(shared, nothing),
            np.concatenate(shared_columns),
            joined([*at.phi.values(), *decided.data], nothing),
            [*at.values.values(), *decided.constants],
            decided.stretch,
            joined([s.p, s.theta, *decided.symbols], nothing),
            joined([*values, *decided.values], nothing),
            bool(at.values or decided.symbols),
        )

    def at_states(self, s: Symbols, states: ca.SX) -> Unknowns:
        """Return them with an expression in place of the model's states."""
        symbols, values = ca.vertcat(self._symbols, s.x), ca.vertcat(self._values, states)
        return replace(self, _symbols=symbols, _values=values, _differ=True)

    def put_into(self, value: ca.SX) -> ca.SX:
        """Return an expression of the model's symbols in these unknowns."""
        return ca.substitute(value, self._symbols, self._values) if self._differ else value


class _Alive:
    """The functions of every basis that are alive at the points, their values, and symbols."""

    def __init__(self, bases: Sequence[Basis], places: Sequence[Place]) -> None:
        times = np.concatenate([p.times for p in places])
        left = np.concatenate([np.broadcast_to(p.left, p.times.shape) for p in places])
        self.points = len(times)
        self.phi = {basis: ca.SX.sym("phi", basis.support) for basis in bases}
        self.indices: dict[Basis, Index] = {}
        self.values: dict[Basis, Array] = {}
        for basis in bases:
            self.indices[basis], self.values[basis] = basis.active(times, left)
