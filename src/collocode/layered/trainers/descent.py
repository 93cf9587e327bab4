r"""First-order methods: steepest descent (Armijo, Barzilai and Borwein), SciPy's L-BFGS, optax's Adam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ...checks import check_choice, check_fields, check_whole, installed
from ...errors import InputError
from ...forms import Numbers
from ...numerics import Array
from ...numerics.random import generator
from ...results.status import Termination
from ..continuous_jax import float64
from .run import Run, Stop
from .training import remembered

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
        check_fields(self)
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
    name = "lbfgs"

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


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with all samples or minibatches; an iteration is one epoch.

    With minibatches the gradient norm in the history is that of the epoch's mean gradient.

    Parameters
    ----------
    rate : length of a step.
    batch : samples in a minibatch; None takes all.
    seed : of the order of the samples, drawn anew for every epoch.

    Raises
    ------
    InputError
        A rate or batch that is not positive.
    """

    rate: float = 1e-3
    batch: int | None = None
    seed: int = 0
    name = "adam"

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.rate > 0.0:
            raise InputError(f"the rate of Adam must be positive, not {self.rate!r}.")
        if self.batch is not None:
            check_whole("the size of a minibatch", self.batch)

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Step; see `Trainer`."""
        optimiser = _Optimiser(self.rate, theta, memory)
        samples = len(run.objective.samples)
        if self.batch is None or self.batch >= samples:
            while True:
                value, gradient = run.gradient(theta)
                run.report(theta, value, float(np.linalg.norm(gradient)), optimiser.memory)
                theta = theta + optimiser.step(gradient)
        norm = float("inf")
        while True:
            run.report(theta, run.value(theta), norm, optimiser.memory)
            theta, norm = self._epoch(run, theta, optimiser)

    def _epoch(self, run: Run, theta: Array, optimiser: _Optimiser) -> tuple[Array, float]:
        """Go once through all samples."""
        samples = run.objective.samples
        assert self.batch is not None
        order = generator(self.seed, run.iteration).permutation(len(samples))
        mean = np.zeros_like(theta)
        for first in range(0, len(order), self.batch):
            rows = order[first : first + self.batch]
            gradient = run.objective.on(samples.take(rows)).gradient(theta)
            share = len(rows) / len(order)
            mean += share * gradient
            run.evaluations += share
            run.gradients += share
            theta = theta + optimiser.step(gradient)
        return theta, float(np.linalg.norm(mean))


class _Optimiser:
    """optax's state and update, with NumPy outside; its arrays are the memory of a training."""

    def __init__(self, rate: float, theta: Array, memory: Mapping[str, Array]) -> None:
        with installed("optax, which brings Adam,", "learn"):
            import jax
            import optax
        self._jax = jax
        with float64():
            transformation = optax.adam(rate)
            leaves, self._structure = jax.tree.flatten(transformation.init(theta))
            form = {f"adam{i}": Numbers(leaf.shape, dtype=None) for i, leaf in enumerate(leaves)}
            if memory:
                known = remembered(memory, form)
                leaves = [
                    jax.numpy.asarray(known[name], dtype=old.dtype)
                    for name, old in zip(form, leaves, strict=True)
                ]
            self._leaves = leaves
            self._update: Callable[..., Any] = jax.jit(transformation.update)

    @property
    def memory(self) -> dict[str, Array]:
        """Moments and count."""
        return {f"adam{i}": np.asarray(leaf) for i, leaf in enumerate(self._leaves)}

    def step(self, gradient: Array) -> Array:
        """Return the change of the weights."""
        with float64():
            state = self._jax.tree.unflatten(self._structure, self._leaves)
            change, state = self._update(self._jax.numpy.asarray(gradient), state)
            self._leaves = self._jax.tree.leaves(state)
            return np.asarray(change)
