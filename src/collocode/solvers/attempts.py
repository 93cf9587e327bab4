"""`Ipopt`: what its interfaces share, from a program to an answer that holds in the user's units.

A program whose rows without free variables are violated is not solved at all; one whose answer violates, or
lies where sizes are a thousand times those that its scales were made for, is solved once more, in better
scales; see `collocode.solvers.outcome`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..checks import apart, listed
from ..numerics import Index
from ..results.status import SolverResult, Termination
from ..transcription.nlp import NLP
from ..transcription.program import Program
from ..transcription.resized import resized
from .checks import check_solvable, decided_rows, fixed_in
from .outcome import SOLVED, allowances, called_solved, largest_terms, result
from .protocol import OnIteration, WarmStart

# where the point of a first attempt is worth a second one in better scales
_ENDED = (*SOLVED, Termination.ITERATION_LIMIT, Termination.STALLED, Termination.INFEASIBLE)


class Ipopt(ABC):
    """An interface to IPOPT; what it calls solved holds in the user's units.

    Parameters
    ----------
    program, options : as given; the options serve a second solver of the same kind.
    """

    name: str

    def __init__(self, program: Program, options: Mapping[str, Any]) -> None:
        self._given = dict(options)

    def solve(
        self,
        program: Program,
        warm: WarmStart | None = None,
        on_iteration: OnIteration | None = None,
    ) -> SolverResult:
        """Solve; see `Solver`."""
        check_solvable(program)
        decided = decided_rows(program)
        if len(decided):
            known = self._decided(program, decided)
            if isinstance(known, SolverResult):
                # of a trajectory, the least violation tells more than the start; Pyomo refuses to look for it
                if not isinstance(program, NLP) or self.name == "pyomo":
                    return known
                found = self._attempt(program, warm, on_iteration)
                infeasible = found.termination is Termination.INFEASIBLE
                return replace(found, message=known.message) if infeasible else found
            program = known
        first = self._attempt(program, warm, on_iteration)
        again = None
        if isinstance(program, NLP):
            short = first.termination is Termination.ITERATION_LIMIT  # as was asked for
            again = resized(program, first.x, first.success or short)
        if again is not None and first.termination in _ENDED:
            # where the costs alone are weighed otherwise, the multipliers still hold
            same = again.column_scale is program.column_scale
            multipliers = WarmStart(first.lam_g, first.lam_x) if same else None
            second = type(self)(again, self._given)._attempt(again, multipliers, on_iteration)
            second = _joined(first, second)
            if second.success or not first.success:
                first, program = second, again
        if not called_solved(first):
            return first
        rows = 1.0 / np.maximum(program.row_size, largest_terms(program, first.x))
        _, allowed = allowances(program, first.x, self._given)
        tight = max(1e-12, 0.1 * float((rows * allowed).min(initial=1.0)))
        options = {"constr_viol_tol": tight, **self._given, "nlp_scaling_method": "none"}
        plain = replace(program, row_scale=rows).with_start(first.x)
        second = type(self)(plain, options)._attempt(plain, None, on_iteration)
        return _joined(first, second)

    def _decided(self, program: Program, rows: Index) -> Program | SolverResult:
        """Say which row without free variables is violated; else return what is left to solve.

        Rows that hold are taken out only where solvers would count them against the free variables.
        """
        point = np.clip(program.start, program.lower, program.upper)
        g = program.constraints(point)
        excess, allowed = allowances(program, point, self._given, g)
        share = np.where(excess[rows] > 0.0, excess[rows] / allowed[rows], 0.0)
        worst = int(rows[np.nan_to_num(share).argmax()])
        if np.nan_to_num(share).max() > 1.0:
            names = fixed_in(program, worst)
            held = (
                f"its variables are fixed: {listed(names, 4)}" if names else "it has no variables"
            )
            low, high = program.row_lower[worst], program.row_upper[worst]
            remedy = "free one of them" if names else "leave it out"
            zeros = np.zeros(program.rows), np.zeros(program.columns)
            scaled = (point / program.column_scale, *zeros)
            answer = result(program, scaled, None, "Infeasible_Problem_Detected", self._given)
            told = apart(g[worst], low, high)
            return replace(
                answer,
                message=f"{program.row_names[worst]} is {told[0]} and not within [{told[1]}, {told[2]}], and "
                f"{held}; {remedy} or correct the bounds",
                interface=self.name,
            )
        equal = program.row_lower == program.row_upper
        if equal.sum() <= (program.lower < program.upper).sum():
            return program
        lower, upper = program.row_lower.copy(), program.row_upper.copy()
        lower[rows], upper[rows] = -np.inf, np.inf
        return replace(program, row_lower=lower, row_upper=upper)

    @abstractmethod
    def _attempt(
        self, program: Program, warm: WarmStart | None, on_iteration: OnIteration | None
    ) -> SolverResult:
        """Solve once, in the program's scales."""


def _joined(first: SolverResult, second: SolverResult) -> SolverResult:
    """The second of two attempts, with the history and the time of both."""
    return replace(
        second,
        history={
            k: np.append(v, second.history[k][1:])
            for k, v in first.history.items()
            if k in second.history
        },
        timings={k: v + second.timings.get(k, 0.0) for k, v in first.timings.items()},
        options=first.options,
    )
