"""Which columns of a batch are what to Newton's method, and where the entries of its matrices go."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..errors import InputError
from ..numerics import Array, Index, Mask
from ..solvers.evaluations import Evaluations
from ..transcription.layout import Layout
from ..transcription.nlp import NLP
from .barrier import inside
from .partition import LAST, Batch
from .subproblem import Subproblem


class Split:
    """Which columns of a batch's NLP are dependent, its own and free, and copies of the consensus.

    Parameters
    ----------
    nlp, name : the batch's, the latter for messages.
    copies, units : columns that are copies, and the sizes that they are measured in.
    ends : (copies,) which of them are last states, where another window begins.

    Raises
    ------
    InputError
        Rows beside the collocation equations, which would determine other columns.
    """

    def __init__(self, nlp: NLP, name: str, copies: Index, units: Array, ends: Mask) -> None:
        parts = nlp.layout.experiments
        given = [part.states[0, part.determined] for part in parts]
        later = [part.states[1:].ravel() for part in parts]
        self.dependent = np.sort(np.concatenate([*given, *later]))
        held = (nlp.lower == nlp.upper)[self.dependent].any()
        if held or not only_collocation(nlp.layout):
            raise InputError(
                f"batch {name!r} has constraints beside its collocation equations, which NewtonRules "
                "does not take; give rules=ADMMRules()."
            )
        self.copies, self.ends, self.ports = copies, np.flatnonzero(ends), np.flatnonzero(~ends)
        own = np.setdiff1d(np.arange(nlp.columns), np.concatenate([self.dependent, copies]))
        self.own = own[nlp.lower[own] < nlp.upper[own]]
        self.free = np.concatenate([self.own, copies[self.ports]])
        self.held = np.concatenate([self.dependent, self.own])
        self.scale = nlp.column_scale.copy()
        self.scale[copies] = units
        d, k = np.full(nlp.columns, -1), np.full(nlp.columns, -1)
        d[self.dependent], k[self.free] = np.arange(len(self.dependent)), np.arange(len(self.free))
        self.end_rows = d[copies[self.ends]]
        calls = nlp.functions.cache("buffers", lambda: Evaluations(nlp.functions))
        self._jacobian(nlp, *calls.jacobian_pattern, d, k)
        self._hessian(*calls.hessian_pattern, d, k)

    @classmethod
    def of(cls, subproblem: Subproblem) -> Split:
        """Sort the columns of a batch."""
        batch, copies = subproblem.batch, subproblem.columns
        ends = ends_of(batch, len(copies))
        return cls(subproblem.nlp, batch.name, copies, subproblem.units, ends)

    def _jacobian(self, nlp: NLP, i: Index, j: Index, d: Index, k: Index) -> None:
        self.J_size, self.J_row, self.J_column = nlp.row_scale[i] * self.scale[j], i, j
        at = self.J_d = np.flatnonzero(d[j] >= 0)
        m = len(self.dependent)
        starts = np.append(0, np.cumsum(np.bincount(d[j[at]], minlength=m)))
        self.A = sparse.csc_array((np.zeros(len(at)), i[at], starts), shape=(m, m))
        at = self.J_k = np.flatnonzero(k[j] >= 0)
        self.J_k_at = i[at], k[j[at]]

    def _hessian(self, i: Index, j: Index, d: Index, k: Index) -> None:
        self.W_size = self.scale[i] * self.scale[j]
        below = i != j
        both = np.flatnonzero((d[i] >= 0) & (d[j] >= 0))
        twice = both[below[both]]
        m = len(self.dependent)
        self.W_dd = np.concatenate([both, twice])
        rows, columns = np.append(d[i[both]], d[j[twice]]), np.append(d[j[both]], d[i[twice]])
        self.W_dd_at = np.append(rows, np.arange(m)), np.append(columns, np.arange(m))
        first = np.flatnonzero((d[i] >= 0) & (k[j] >= 0))
        second = np.flatnonzero((k[i] >= 0) & (d[j] >= 0))
        self.W_dk = np.append(first, second)
        self.W_dk_at = np.append(d[i[first]], d[j[second]]), np.append(k[j[first]], k[i[second]])
        self.W_kk = np.flatnonzero((k[i] >= 0) & (k[j] >= 0))
        self.W_kk_at = k[i[self.W_kk]], k[j[self.W_kk]]

    def inside(self, nlp: NLP, x: Array) -> Array:
        """Return a point whose own columns are strictly between their bounds."""
        x = x.copy()
        x[self.held] = inside(x[self.held], nlp.lower[self.held], nlp.upper[self.held])
        return x


def ends_of(batch: Batch, copies: int) -> Mask:
    """(copies,) which of a batch's copies are last states, where another window begins."""
    ends, states = np.zeros(copies, dtype=bool), len(batch.problem.states)
    for number, shared in enumerate(batch.shared_states):
        ends[number * states : (number + 1) * states] = shared.node == LAST
    return ends


def only_collocation(layout: Layout) -> bool:
    """Whether there are no rows but collocation equations and initial states that parameters give."""
    return layout.rows == sum(p.rows.size + p.initial_rows.size for p in layout.experiments)
