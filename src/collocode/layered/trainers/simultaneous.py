"""Training by the simultaneous NLP with IPOPT; its multipliers are the adjoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import Array
from ...errors import check_choice
from ...results.status import SolverResult, Termination
from ...solvers.protocol import Progress, WarmStart
from ...solvers.solve import make_solver
from ..program import LayeredProgram, layered_program
from .run import Run

_INTERFACES = ("casadi", "cyipopt")


@dataclass(frozen=True)
class Simultaneous:
    """All states and weights at once by IPOPT, with exact second derivatives.

    Validation is looked at when it is over, so there is no early stopping; the history has IPOPT's
    objective and dual infeasibility, and in its last row J and ∇J of the weights found.

    Parameters
    ----------
    options : IPOPT options, such as ``{"linear_solver": "spral"}``.
    interface : ``casadi`` or ``cyipopt``.
    warm : start the multipliers from the adjoint of the start; pays after a refinement.

    Raises
    ------
    InputError
        Unknown interface.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    interface: str = "casadi"
    warm: bool = False
    name = "ipopt"

    def __post_init__(self) -> None:
        check_choice("interface", self.interface, _INTERFACES)

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Solve; see `Trainer`."""
        value, gradient = run.gradient(theta)
        run.report(theta, value, float(np.linalg.norm(gradient)))
        program = layered_program(run.objective, theta)
        first = run.iteration - 1

        def progress(at: Progress) -> None:
            if at.iteration:
                run.evaluations += 1.0
                run.gradients += 1.0
                run.note(first + at.iteration, at.objective, at.dual)

        result = self._solve(run, program, theta, first, progress)
        run.adjoint = program.adjoint(result.lam_g)
        theta = program.theta(result.x)
        value, gradient = run.gradient(theta)
        run.iteration = first + result.iterations
        why = result.termination
        message = "" if why is Termination.CONVERGED else result.message
        run.report(theta, value, float(np.linalg.norm(gradient)), termination=why, message=message)

    def _solve(
        self, run: Run, program: LayeredProgram, theta: Array, first: int, progress: Any
    ) -> SolverResult:
        limits: dict[str, Any] = {
            "tol": max(run.limits.tolerance, 1e-12),
            "max_iter": max(0, run.limits.iterations - first),
        }
        if np.isfinite(run.limits.seconds):
            limits["max_wall_time"] = max(1e-3, run.limits.seconds - run.seconds)
        solver = make_solver(program, self.interface, {**limits, **self.options})
        warm = None
        if self.warm:
            P = run.objective.adjoint(theta)
            warm = WarmStart(program.multipliers(P), np.zeros(program.columns))
        return solver.solve(program, warm, progress)
