r"""Descent over all samples: steepest, with Armijo's or Barzilai and Borwein's steps, and SciPy's L-BFGS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ...errors import check_choice
from ...forms import Numbers
from ...results.status import Termination
from .run import Run, Stop
from .training import remembered

Array = NDArray[np.float64]
_DECREASE = 1e-4  # share of the linear prediction that a step has to bring
_SHORTEST = 1e-16
_LONGEST = 1e10
_MEMORY = {
    "step?": Numbers((), finite=True),
    "values?": Numbers(("window",), finite=True),
    "turn?": Numbers((), dtype="int64"),
}
_NEVER = 10**9  # SciPy's own limits; the run has better ones


@dataclass(frozen=True)
class SteepestDescent:
    r"""θ ← θ − τ ∇J(θ) over all samples.

    ``armijo`` doubles the last step τ and halves it until
    :math:`J(\theta-\tau g)\le J(\theta)-10^{-4}\tau\|g\|^2` (Armijo 1966).
    ``barzilai-borwein`` takes τ = sᵀs/sᵀy and sᵀy/yᵀy in turn, s and y the last changes of θ and ∇J
    (IMA J. Numer. Anal. 8, 1988), made globally convergent by comparing with the largest of the last
    ``window`` values (Raydan, SIAM J. Optim. 7, 1997).

    Parameters
    ----------
    rule : ``armijo`` or ``barzilai-borwein``.
    first : length ‖τ g‖ of the first trial step.
    window : of the nonmonotone comparison.
    """

    rule: str = "barzilai-borwein"
    first: float = 0.1
    window: int = 10

    def __post_init__(self) -> None:
        check_choice("step rule", self.rule, ("armijo", "barzilai-borwein"))

    @property
    def name(self) -> str:
        """The rule."""
        return self.rule

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Descend; see `Trainer`."""
        memory = remembered(memory, _MEMORY)
        value, gradient = run.gradient(theta)
        step = float(memory.get("step", self.first / max(float(np.linalg.norm(gradient)), 1e-12)))
        values = [float(v) for v in memory.get("values", ())] or [value]
        turn = int(memory.get("turn", 0))
        while True:
            left = {
                "step": np.array(step),
                "values": np.array(values),
                "turn": np.array(turn),
            }
            run.report(theta, value, float(np.linalg.norm(gradient)), left)
            reference = value if self.rule == "armijo" else max(values)
            step = _search(run, theta, gradient, step, reference)
            new = theta - step * gradient
            value, new_gradient = run.gradient(new)
            if self.rule == "armijo":
                step *= 2.0
            else:
                turn += 1
                step = _spectral(new - theta, new_gradient - gradient, step, turn)
                values = [*values, value][-self.window :]
            theta, gradient = new, new_gradient


def _search(run: Run, theta: Array, gradient: Array, step: float, reference: float) -> float:
    """Halve the step until J is low enough."""
    squared = float(gradient @ gradient)
    while run.value(theta - step * gradient) > reference - _DECREASE * step * squared:
        step *= 0.5
        if step * np.sqrt(squared) < _SHORTEST * max(1.0, float(np.abs(theta).max())):
            raise Stop(Termination.STALLED, "steps too short to change the objective")
    return step


def _spectral(s: Array, y: Array, step: float, turn: int) -> float:
    """Return the next step; where the curvature is not positive, twice the last one."""
    curvature = float(s @ y)
    if curvature <= 0.0:
        return min(2.0 * step, _LONGEST)
    long = float(s @ s) / curvature
    short = curvature / float(y @ y)
    return float(np.clip(long if turn % 2 else short, 1e-10, _LONGEST))


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
