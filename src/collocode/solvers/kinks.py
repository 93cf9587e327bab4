"""A solver for losses with a sharp kink: it is approached from a blunt one.

Where the slope of |r| turns within a hundredth of σ, Newton steps leap across it and back, and hundreds of
iterations end nowhere.  The minimiser moves little with the width over which the kink is rounded off, so
one solve with a width of σ, which is as smooth as least squares, and a few warm ones with ever less are
much cheaper than one with the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..model.misfit import kink_of
from ..results.status import SolverResult, Termination
from ..transcription.nlp import NLP
from ..transcription.program import Program
from .protocol import OnIteration, Solver, WarmStart

_LESS = 10.0**0.5  # by which the width shrinks
_WARM = 10.0  # times the last width that a warm start begins with
_WENT_ON = Termination.CONVERGED, Termination.ACCEPTABLE


def roundings(kink: float, first: float = np.inf) -> Iterator[float]:
    """Yield how many times its last width a kink of so many σ has, solve by solve, from ``first`` or σ down to 1."""
    factor = max(1.0, min(first, 1.0 / kink))
    while factor > 1.0:
        yield factor
        factor = sharper(factor)
    yield 1.0


def sharper(factor: float) -> float:
    """Return the next rounding after one above 1."""
    less = factor / _LESS
    return less if less > 1.0 + 1e-9 else 1.0


class Approaching:
    """A solver that solves with ever sharper kinks; see the module.

    Parameters
    ----------
    solver : of a program with a parameter block ``rounding``.
    """

    def __init__(self, solver: Solver) -> None:
        self._solver = solver

    def solve(
        self,
        program: Program,
        warm: WarmStart | None = None,
        on_iteration: OnIteration | None = None,
    ) -> SolverResult:
        """See `Solver`; an iteration limit is that of every width, and a failure ends the approach."""
        assert isinstance(program, NLP)
        first = np.inf if warm is None else _WARM
        histories, spent, start = [], dict[str, float](), program
        for factor in roundings(kink_of(program.problem), first):
            found = self._solver.solve(start.with_parameters(rounding=factor), warm, on_iteration)
            histories.append(found.history)
            spent = {k: spent.get(k, 0.0) + v for k, v in found.timings.items()}
            if found.termination not in _WENT_ON:
                break
            start, warm = program.with_start(found.x), WarmStart(found.lam_g, found.lam_x)
        joined = {
            name: np.concatenate([h[name][k > 0 :] for k, h in enumerate(histories)])
            for name in found.history
        }
        return replace(found, objective=program.objective(found.x), history=joined, timings=spent)
