"""The start of a window that has moved along: the last plan, a sample later."""

from __future__ import annotations

import numpy as np

from ..numerics import Array, Index
from ..results.status import SolverResult
from ..solvers.protocol import WarmStart
from ..transcription.nlp import NLP


class MovedPlan:
    """Where a plan takes its start from: columns and rows of the last one, a sample later.

    Beyond the end there is nothing to take.  So the last plan is lengthened by one sample where it moves
    least (along the turnpike, if it has one): before that time places are read a sample later, after it
    as they are.

    Parameters
    ----------
    nlp : of one window.
    sample : by how much the window moves.
    """

    def __init__(self, nlp: NLP, sample: float) -> None:
        part = nlp.layout.experiments[0]
        middle = 0.5 * (part.mesh.points[:-1] + part.mesh.points[1:])
        self._columns, self._rows = np.arange(nlp.columns), np.arange(nlp.rows)
        self._states, self._scale, self._times = part.states, nlp.problem.state_scale, part.times
        self._later = _nearest(part.times, part.times + sample)
        self._within = part.times <= part.mesh.end - sample * (1.0 - 1e-9)
        columns = [(part.times, part.states)]
        for decided in part.decided.values():
            numbers, first = np.unique(decided.columns.ravel(), return_index=True)
            columns.append((decided.times(part.mesh).ravel()[first], numbers))
        held = [f for f in part.spanned.values() if f.basis.bounded_by_coefficients]
        values = [f for f in held if f.basis.size > 1]
        columns += [(f.basis.nodes(), f.columns) for f in values]
        rows = [(middle, part.rows), *((part.times, r) for r in part.path_rows)]
        rows += [(middle, r) for r in part.rate_rows.values()]
        rows += [(f.basis.nodes()[:-1], f.move_rows) for f in values if len(f.move_rows)]
        rows.append((middle, part.algebraic_rows))
        self._tables = [
            [(t, numbers, numbers[_nearest(t, t + sample)]) for t, numbers in tables]
            for tables in (columns, rows)
        ]

    def of(self, result: SolverResult) -> tuple[Array, WarmStart]:
        """Point and multipliers to start from."""
        x = result.x[self._states] / self._scale
        step = np.abs(x[self._later] - x).max(axis=1)
        still = self._times[int(np.where(self._within, step, np.inf).argmin())]
        chosen = []
        for numbers, tables in zip((self._columns, self._rows), self._tables, strict=True):
            source = numbers.copy()
            for t, here, later in tables:
                early = t < still
                source[here[early]] = later[early]
            chosen.append(source)
        columns, rows = chosen
        return result.x[columns], WarmStart(result.lam_g[rows], result.lam_x[columns])


def _nearest(times: Array, wanted: Array) -> Index:
    """(N,) which of some increasing times is nearest to each wanted one."""
    right = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    nearer = wanted - times[right - 1] <= times[right] - wanted
    return np.asarray(right - nearer)
