"""A way back for a plant that has overstepped bounds.

Bounds hold at every node, and a state cannot leap: of a plant beyond a bound, be it by a rounding, every plan would be
infeasible.  So bounds that the plant has overstepped are as wide as it has gone for some samples, the fewest of
1, 2, 4, ... from which on they can be held (J. B. Rawlings and K. R. Muske, The stability of constrained receding
horizon control, IEEE Transactions on Automatic Control 38, 1993).  That is so of states, of algebraic variables that
the state determines whatever is decided, and of path constraints on them; what looks at a control may be met now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import casadi as ca
import numpy as np
from scipy import sparse

from ..model.algebraic import incidence
from ..model.symbolic import Symbols, constrained, of_coefficients, residuals
from ..numerics import Array, Index, Mask
from ..results.model import TrainedModel
from ..transcription.nlp import NLP

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class _Held:
    """What bounds hold over time: where (columns or rows), when, and its value now."""

    where: Index
    times: Array
    now: float

    def overstepped(self, lower: Array, upper: Array) -> bool:
        """Whether it is beyond its bounds now."""
        soon = self.where[1]  # at the start what is seen of algebraic variables is not held
        return not lower[soon] <= self.now <= upper[soon]

    def widen(self, until: float, lower: Array, upper: Array) -> None:
        """Let the bounds reach as far as it has gone, up to a time."""
        early = self.where[self.times < until]
        lower[early] = np.minimum(lower[early], self.now)
        upper[early] = np.maximum(upper[early], self.now)


class WayBack:
    """Widens what the plant has overstepped, of one horizon.

    Parameters
    ----------
    nlp : of one window.
    sample : how long a move is held.
    """

    def __init__(self, nlp: NLP, sample: float) -> None:
        problem, part = nlp.problem, nlp.layout.experiments[0]
        self._nlp, self._part, self._sample = nlp, part, sample
        self._length = part.mesh.end - part.mesh.start
        s, own = Symbols.of(problem), problem.experiments[0].inputs
        decided = [s.u[j] for j, name in enumerate(problem.inputs) if name not in own]
        algebraics = s.u[len(problem.inputs) :]
        self._settled = _settled(residuals(problem, s), algebraics, ca.vertcat(*decided))
        if problem.index > 1:
            self._settled[:] = False
        open_ = ca.vertcat(*decided, *(algebraics[int(j)] for j in np.flatnonzero(~self._settled)))
        self._constraints = [
            number
            for number, constraint in enumerate(problem.path_constraints)
            if not ca.depends_on(constrained(problem, constraint, s), open_)
        ]

    @cached_property
    def _values(self) -> ca.Function:
        """(t, x, u, p, theta) -> path constraints."""
        problem = self._nlp.problem
        s = Symbols.of(problem)
        values = [constrained(problem, problem.path_constraints[k], s) for k in self._constraints]
        return of_coefficients(problem, s, "path", ca.vertcat(ca.SX(0, 1), *values), "c")

    def programs(self, program: NLP) -> Iterator[NLP]:
        """Yield the program as it stands, or, of a plant that is beyond, with ever more samples to come back."""
        columns, rows = self._held(program)
        columns = [h for h in columns if h.overstepped(program.lower, program.upper)]
        rows = [h for h in rows if h.overstepped(program.row_lower, program.row_upper)]
        if not columns and not rows:
            yield program
            return
        samples = 1
        while samples * self._sample < self._length * (1.0 + _ROUNDING):
            until = self._part.mesh.start + self._sample * (samples - _ROUNDING)
            lower, upper = program.lower.copy(), program.upper.copy()
            row_lower, row_upper = program.row_lower.copy(), program.row_upper.copy()
            for held in columns:
                held.widen(until, lower, upper)
            for held in rows:
                held.widen(until, row_lower, row_upper)
            yield replace(
                program, lower=lower, upper=upper, row_lower=row_lower, row_upper=row_upper
            )
            samples *= 2

    def _held(self, program: NLP) -> tuple[list[_Held], list[_Held]]:
        """States and settled algebraic variables, columns; path constraints on them, rows."""
        part = self._part
        x = program.lower[part.states[0]]
        columns = [
            _Held(where, part.times[1:], value)
            for where, value in zip(part.states[1:].T, x.tolist(), strict=True)
        ]
        if not self._settled.any() and not self._constraints:
            return columns, []
        u, model, good = self._now(program, x)
        rows: list[_Held] = []
        if not good:
            return columns, rows
        names, first = list(program.problem.algebraics), len(program.problem.inputs)
        for k in np.flatnonzero(self._settled).tolist():
            at = part.decided[names[k]]
            where, times = at.columns.ravel(), at.times(part.mesh).ravel()
            columns.append(_Held(where, times, float(u[first + k])))
        values = self._values(part.mesh.start, x, u, model.parameters, model.theta)
        for number, value in zip(
            self._constraints, np.asarray(values, dtype=float).ravel(), strict=True
        ):
            rows.append(_Held(part.path_rows[number], part.times, float(value)))
        return columns, rows

    def _now(self, program: NLP, x: Array) -> tuple[Array, TrainedModel, bool]:
        """Inputs and algebraic variables at the plant's state, the model, and whether there are such."""
        problem, model = program.problem, TrainedModel.of(program, program.start, 0)
        given = problem.experiments[0].inputs
        now = np.array([self._part.mesh.start])
        u = np.array([float(given[n](now)[0]) if n in given else 0.0 for n in problem.inputs])
        if not len(self._settled):
            return u, model, True
        z, good = model.consistent(now, x, u)
        return np.append(u, z[0]), model, bool(good[0])


def _settled(g: ca.SX, algebraics: ca.SX, decided: ca.SX) -> Mask:
    """(algebraic variables,) which of them the states determine by equations that nothing decided enters.

    Every equation determines the variable that it is matched with; one that a control enters, or a variable that
    is moved, moves its own.
    """
    count = algebraics.numel()
    if not count or not decided.numel():
        return np.ones(count, dtype=bool)
    seen = incidence(g, algebraics)
    own = sparse.csgraph.maximum_bipartite_matching(sparse.csr_array(seen), perm_type="column")
    by_control, moved = incidence(g, decided).any(axis=1), np.zeros(count, dtype=bool)
    for _ in range(count):
        moved[own[by_control | seen[:, moved].any(axis=1)]] = True
    return ~moved
