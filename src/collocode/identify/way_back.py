"""A way back for a plant that has overstepped bounds of its states.

Bounds hold at every node, and a state cannot leap: of a plant beyond a bound, be it by a rounding, every plan would be
infeasible.  So bounds that the plant has overstepped are as wide as it has gone for some samples, the fewest of
1, 2, 4, ... from which on they can be held (J. B. Rawlings and K. R. Muske, The stability of constrained receding
horizon control, IEEE Transactions on Automatic Control 38, 1993).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..model.symbolic import Symbols, constrained
from ..transcription.nlp import NLP

Array = NDArray[np.float64]
_ROUNDING = 1e-9


class WayBack:
    """Widens what the plant has overstepped, of one horizon.

    Parameters
    ----------
    nlp : of one window.
    sample : how long a move is held.
    """

    def __init__(self, nlp: NLP, sample: float) -> None:
        problem, part = nlp.problem, nlp.layout.experiments[0]
        self._part, self._sample = part, sample
        self._length = part.mesh.end - part.mesh.start
        s, own = Symbols.of(problem), problem.experiments[0].inputs
        decided = [s.u[j] for j, name in enumerate(problem.carried) if name not in own]
        # one that looks at what is decided may be met now, wherever the plant is
        self._constraints = [
            number
            for number, constraint in enumerate(problem.path_constraints)
            if not ca.depends_on(constrained(problem, constraint, s), ca.vertcat(*decided))
        ]

    def programs(self, program: NLP) -> Iterator[NLP]:
        """Yield the program as it stands, or, of a plant that is beyond, with ever more samples to come back."""
        part, constraints = self._part, self._part.path_rows[self._constraints]
        here, values = program.lower[part.states[0]], np.zeros(0)
        if len(constraints):
            values = program.constraints(program.start)[constraints[:, 0]]
        columns = _overstepped(part.states[1:].T, here, program.lower, program.upper)
        rows = _overstepped(constraints, values, program.row_lower, program.row_upper)
        if not columns and not rows:
            yield program
            return
        samples = 1
        while samples * self._sample < self._length * (1.0 + _ROUNDING):
            early = part.times - part.mesh.start < self._sample * (samples - _ROUNDING)
            lower, upper = _widened(columns, early[1:], program.lower, program.upper)
            row_lower, row_upper = _widened(rows, early, program.row_lower, program.row_upper)
            yield replace(
                program, lower=lower, upper=upper, row_lower=row_lower, row_upper=row_upper
            )
            samples *= 2


def _overstepped(
    places: NDArray[np.intp], values: Array, lower: Array, upper: Array
) -> list[tuple[NDArray[np.intp], float]]:
    """Those of places (what, nodes) whose value now is beyond their bounds, each with it."""
    return [
        (where, value)
        for where, value in zip(places, values.tolist(), strict=True)
        if not lower[where[0]] <= value <= upper[where[0]]
    ]


def _widened(
    beyond: list[tuple[NDArray[np.intp], float]],
    early: NDArray[np.bool_],
    lower: Array,
    upper: Array,
) -> tuple[Array, Array]:
    """Bounds that reach as far as the values, at the early nodes."""
    lower, upper = lower.copy(), upper.copy()
    for where, value in beyond:
        lower[where[early]] = np.minimum(lower[where[early]], value)
        upper[where[early]] = np.maximum(upper[where[early]], value)
    return lower, upper
