"""L-BFGS, SciPy's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ...results.status import Termination
from .run import Run, Stop

Array = NDArray[np.float64]
_NEVER = 10**9  # SciPy's own limits; the run has better ones


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS over all samples (Liu & Nocedal, Math. Program. 45, 1989).

    A resumed run begins with an empty memory, for SciPy hands none out.

    Parameters
    ----------
    memory : number of remembered steps.
    """

    memory: int = 20

    @property
    def name(self) -> str:
        """``lbfgs``."""
        return "lbfgs"

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Minimise; see `Trainer`."""
        value, gradient = run.gradient(theta)
        run.report(theta, value, float(np.linalg.norm(gradient)))
        newest: dict[str, Array] = {"theta": theta, "gradient": gradient}

        def evaluate(x: Array) -> tuple[float, Array]:
            f, g = run.gradient(x)
            if not np.isfinite(f):  # the line search interpolates, so it needs a number
                f, g = 1e3 * (1.0 + abs(value)), np.zeros_like(g)
            newest.update(theta=x.copy(), gradient=g)
            return f, g

        def accepted(intermediate_result: object) -> None:
            x, f = intermediate_result.x, float(intermediate_result.fun)  # type: ignore[attr-defined]
            if not np.array_equal(x, newest["theta"]):
                f, _ = evaluate(x)
            run.report(x, f, float(np.linalg.norm(newest["gradient"])))

        options = {
            "maxcor": self.memory,
            "maxiter": _NEVER,
            "maxfun": _NEVER,
            "ftol": 0.0,
            "gtol": 0.0,
            "maxls": 50,
        }
        answer = minimize(
            evaluate, theta, jac=True, method="L-BFGS-B", callback=accepted, options=options
        )
        raise Stop(Termination.STALLED, f"line search: {str(answer.message).strip().lower()}")
