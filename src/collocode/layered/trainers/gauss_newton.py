"""Gauss-Newton's method with Levenberg-Marquardt damping, the affine read-out eliminated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ...errors import check_choice
from ...forms import Numbers
from ...results.status import Termination
from ..curvature import Curvature, ProjectedCurvature, best_readout, can_eliminate
from ..forward import Evaluation, forward
from .run import Run, Stop
from .training import remembered

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Product = Callable[[Array], Array]
_LARGEST = 1e12  # damping, relative to the first one, at which nothing moves any more
_MEMORY = {"damping?": Numbers((), finite=True), "growth?": Numbers((), finite=True)}
_FEW = 400  # weights up to which the matrix is written out


@dataclass(frozen=True)
class GaussNewton:
    """Damped Gauss-Newton steps over all samples; the matrix is that of `curvature`.

    For the squared loss the read-out is the best one for given states at every iterate (variable
    projection).  The damping follows the ratio of true to predicted decrease (Nielsen 1999).  Up to
    400 weights the equations are solved by Cholesky's method, above by conjugate gradients, whose
    memory is linear in samples and weights.

    Parameters
    ----------
    damping : the first one, relative to the curvature along the gradient.
    eliminate : whether the read-out is eliminated where the loss allows it.
    solver : ``auto``, ``direct`` or ``cg``.
    accuracy : residual, relative to the gradient, at which conjugate gradients end.
    most : their largest number.

    Raises
    ------
    InputError
        Unknown solver.
    """

    damping: float = 1e-2
    eliminate: bool = True
    solver: str = "auto"
    accuracy: float = 0.1
    most: int = 200

    def __post_init__(self) -> None:
        check_choice("solver", self.solver, ("auto", "direct", "cg"))

    @property
    def name(self) -> str:
        """``gauss-newton``."""
        return "gauss-newton"

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Step; see `Trainer`."""
        objective, memory = run.objective, remembered(memory, _MEMORY)
        projected = self.eliminate and can_eliminate(objective)
        moving = objective.free.copy()
        if projected:
            moving[objective.network.slices["readout"]] = False
        done = _evaluate(run, theta, projected)
        damping, growth = float(memory.get("damping", -1.0)), float(memory.get("growth", 2.0))
        first = damping
        while True:
            value, gradient = run.gradient(done.theta)
            left = {"damping": np.array(damping), "growth": np.array(growth)}
            run.report(done.theta, value, float(np.linalg.norm(gradient)), left)
            curvature = (ProjectedCurvature if projected else Curvature)(objective, done)
            model = _Model(run, curvature, gradient, moving, self)
            if first < 0.0:
                first = max(model.along_gradient(), 1e-12)
                damping = self.damping * first if damping < 0.0 else damping
            while True:
                change, predicted = model.step(damping)
                trial = _evaluate(run, done.theta + change, projected)
                gain = (value - trial.value) / predicted if predicted > 0.0 else -1.0
                if gain > 0.0:
                    break
                damping, growth = damping * growth, 2.0 * growth
                if damping > _LARGEST * first:
                    run.adopt(done)
                    raise Stop(Termination.STALLED, "no damping gives a decrease")
            damping, growth = damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3), 2.0
            done = trial


class _Model:
    """The quadratic model g·δ + ½ δᵀHδ of the moving weights at one iterate."""

    def __init__(
        self, run: Run, curvature: Curvature, gradient: Array, moving: Mask, settings: GaussNewton
    ) -> None:
        self.run, self.curvature, self.settings = run, curvature, settings
        self.moving, self.gradient = moving, gradient[moving]
        self.matrix: Array | None = None
        few = settings.solver == "auto" and int(moving.sum()) <= _FEW
        if few or settings.solver == "direct":
            self.matrix = curvature.matrix()[np.ix_(moving, moving)]
            run.gradients += min(curvature.network.outputs, curvature.network.width)

    def times(self, direction: Array) -> Array:
        """H times a vector of the moving weights."""
        if self.matrix is not None:
            return np.asarray(self.matrix @ direction)
        whole = np.zeros(len(self.moving))
        whole[self.moving] = direction
        self.run.evaluations += 1.0  # a push costs what an evaluation does
        self.run.gradients += 1.0
        return self.curvature.times(whole)[self.moving]

    def along_gradient(self) -> float:
        """Curvature along the gradient."""
        g = self.gradient
        return float(g @ self.times(g)) / max(float(g @ g), 1e-300)

    def step(self, damping: float) -> tuple[Array, float]:
        """Return the damped step of all weights and the decrease that the model predicts."""
        g = self.gradient
        if self.matrix is not None:
            change, residual = _direct(self.matrix, g, damping), 0.0 * g
        else:
            tolerance = self.settings.accuracy
            change, residual = _conjugate(self.times, g, damping, tolerance, self.settings.most)
        # (H + λ) δ = −g − r, so −g·δ − ½ δᵀHδ is
        predicted = 0.5 * float(change @ (damping * change - g + residual))
        whole = np.zeros(len(self.moving))
        whole[self.moving] = change
        return whole, predicted


def _evaluate(run: Run, theta: Array, projected: bool) -> Evaluation:
    if not projected:
        return run.evaluate(theta)
    objective = run.objective
    states = forward(objective.network, theta, objective.samples.X)
    if not np.isfinite(states[-1]).all():
        return run.adopt(replace(objective.finish(theta, states), value=np.inf))
    return run.adopt(objective.finish(best_readout(objective, theta, states), states))


def _direct(matrix: Array, gradient: Array, damping: float) -> Array:
    """Return −(H + λ I)⁻¹ g; no step where rounding makes that indefinite."""
    damped = matrix.copy()
    damped[np.diag_indices_from(damped)] += damping
    try:
        factor = linalg.cho_factor(damped, lower=True, overwrite_a=True)
    except linalg.LinAlgError:
        return np.zeros_like(gradient)
    return np.asarray(-linalg.cho_solve(factor, gradient))


def _conjugate(
    times: Product, gradient: Array, damping: float, tolerance: float, most: int
) -> tuple[Array, Array]:
    """Solve (H + λ I) δ = −g by conjugate gradients; return δ and −g − (H + λ I) δ."""
    change, residual = np.zeros_like(gradient), -gradient
    direction, squared = residual, float(gradient @ gradient)
    goal = tolerance**2 * squared
    for _ in range(most):
        if squared <= goal:
            break
        image = times(direction) + damping * direction
        length = squared / float(direction @ image)
        change = change + length * direction
        residual = residual - length * image
        before, squared = squared, float(residual @ residual)
        direction = residual + (squared / before) * direction
    return change, residual
