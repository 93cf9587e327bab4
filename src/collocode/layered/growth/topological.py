r"""Topological derivative: what a new layer would lower the loss by, at every place, and its weights.

A layer :math:`x\mapsto x+h\,\varphi(\varepsilon(Kx+b))` that is put in after layer l changes nothing
at ε = 0, where φ(0) = 0.  With :math:`\tilde x=(x,1)`, the rows :math:`\tilde w_r` of (K, b),
:math:`P_{s,r}=\partial J/\partial x_{s,r}` and α of the regulariser :math:`\frac\alpha2\int\|K\|^2+\|b\|^2`:

============================  ==========================================================================
φ'(0) ≠ 0                     :math:`J(0)-J(\varepsilon)=\varepsilon h\varphi'(0)\langle G,(K,b)\rangle+O(\varepsilon^2)`
                              with :math:`G=-\sum_sP_s\tilde x_s^T`; the best unit direction is G itself
φ'(0) = 0, φ''(0) ≠ 0         :math:`J(0)-J(\varepsilon)=\frac{\varepsilon^2h}2\sum_r\tilde w_r^T
                              (\varphi''(0)M_r-\alpha I)\tilde w_r+O(\varepsilon^3)` with
                              :math:`M_r=-\sum_sP_{s,r}\tilde x_s\tilde x_s^T`: one eigenproblem per neuron
============================  ==========================================================================

Krishnanunni, Bui-Thanh & Dawson, *Topological derivative approach for deep neural network architecture
adaptation*, arXiv 2502.06885; the step h and the regulariser's share are added here.  The P are the
discrete adjoint, or the multipliers of the simultaneous problem: the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...checks import check_choice, counted
from ...errors import InputError
from ...kinds import check_type
from ...numerics import Array, Index
from ...results.status import Termination
from ...solvers.threads import single_threaded
from ..forward import forward
from ..network import LayeredNetwork
from ..objective import LayeredProblem, Objective
from ..trainers.training import Training
from .neurons import curvatures, exponent, order_of, selected

ADJOINTS = ("auto", "reduced", "multipliers")


@dataclass(frozen=True, eq=False, kw_only=True)
class TopologicalDerivative:
    r"""Scores of every place where a layer could be inserted, and its weights there.

    Attributes
    ----------
    network : where it would be inserted.
    order : p, 1 or 2: :math:`J(0)-J(\varepsilon)=\text{score}\cdot\varepsilon^p+O(\varepsilon^{p+1})`.
    selection : ``rows``, ``neuron`` or p.
    step : h of the new layer.
    positions : (L,) numbers that the new layer would get.
    scores : (L,) decrease of J by ε to the order p; negative where no direction lowers J.
    rows : (L, d) the neurons' own scores.
    weights : (L, d, d+1) directions (K, b): unit rows, of unit norm in all (first order), or as p says.
    objective, gradient_norm : J and ‖∇J‖ at the weights; where the latter is not small, training on
        would lower J too.
    source : ``reduced`` or ``multipliers``: where ∂J/∂x was taken from.
    seconds : wall time of the scoring.
    """

    network: LayeredNetwork
    order: int
    selection: str | float
    step: float
    positions: Index
    scores: Array
    rows: Array
    weights: Array
    objective: float
    gradient_norm: float
    source: str
    seconds: float

    @property
    def best(self) -> int:
        """Position of the largest score."""
        return int(self.positions[np.argmax(self.scores)])

    def direction(self, position: int | None = None) -> tuple[Array, Array]:
        """(d, d) K and (d,) b of the best direction at a position; the best one if left out."""
        row = self._row(self.best if position is None else position)
        return self.weights[row, :, :-1].copy(), self.weights[row, :, -1].copy()

    def predicted(self, epsilon: float, position: int | None = None) -> float:
        """Decrease of J that ε promises, to the leading order."""
        row = self._row(self.best if position is None else position)
        return float(self.scores[row] * epsilon**self.order)

    def to_frame(self) -> pd.DataFrame:
        """One row per position: its depth, its score and that of its best neuron."""
        depths = self.network.mesh.points[self.positions]
        columns = {
            "position": self.positions,
            "depth": depths,
            "score": self.scores,
            "neuron": self.rows.argmax(axis=1),
            "neuron_score": self.rows.max(axis=1),
        }
        return pd.DataFrame(columns)

    def _row(self, position: int) -> int:
        found = np.flatnonzero(self.positions == position)
        if not len(found):
            raise InputError(
                f"position {position} was not scored; choose from "
                f"{', '.join(map(str, self.positions.tolist()))}."
            )
        return int(found[0])

    def __repr__(self) -> str:
        ordinal = {1: "first", 2: "second"}[self.order]
        return (
            f"TopologicalDerivative({ordinal} order, {counted(len(self.positions), 'position')}, best "
            f"{self.scores.max():.3g} at {self.best}, |gradient| {self.gradient_norm:.1e})"
        )


@single_threaded
def topological_derivative(
    objective: Objective | LayeredProblem,
    at: ArrayLike | Training,
    *,
    selection: str | float = "rows",
    step: float = 1.0,
    positions: Iterable[int] | None = None,
    adjoint: str = "auto",
) -> TopologicalDerivative:
    """Score all places where a layer could be inserted.

    Parameters
    ----------
    objective : what the insertion shall lower; or the problem that has it.
    at : (n_weights,) weights, or a training of them: its last weights count.
    selection : ``rows``, every neuron in its best direction, ``neuron``, the best one alone, or p ≥ 1: the
        largest decrease by weights within a p-Wasserstein distance of zero; see
        `collocode.layered.growth.neurons.selected`.
    step : h of the new layer.
    positions : places to score, of 0 ... N; all if left out.
    adjoint : ``reduced``, by back-propagation; ``multipliers``, those of a training by IPOPT; or
        ``auto``, the latter where they are there and converged.

    Raises
    ------
    InputError
        An activation without a usable derivative at zero, layers that share weights, multipliers of
        an unconverged training, weights at which J is not finite, an unknown selection.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LayeredNetwork, LogisticLoss, ResidualBlock, spiral2d
    >>> network = LayeredNetwork(2, 1, 2, Mesh.uniform(0, 3, 3), block=ResidualBlock("silu_tanh"))
    >>> objective = Objective(network, spiral2d(100)[0], LogisticLoss())
    >>> found = topological_derivative(objective, network.initial(seed=0))
    >>> found.order, found.scores.shape, found.weights.shape
    (2, (4,), (4, 2, 3))
    """
    check_type("topological_derivative", objective, Objective, LayeredProblem)
    began = time.perf_counter()
    check_choice("adjoint", adjoint, ADJOINTS)
    objective = objective.objective if isinstance(objective, LayeredProblem) else objective
    network = objective.network
    order = order_of(network)
    exponent(order, selection)
    if not (np.isfinite(step) and step > 0.0):
        raise InputError(f"the step of the new layer must be positive, not {step}.")
    theta, multipliers = _weights(objective, at, adjoint)
    done = objective.evaluate(theta)
    if not np.isfinite(done.value):
        raise InputError("J is not finite at these weights; take smaller ones.")
    gradient, places = objective.backpropagate(done), _places(network, positions)
    P = (objective.adjoint(theta) if multipliers is None else multipliers)[places]
    states = done.states[places]
    alpha = objective.regularisation.weights
    scored = [_scored(network, order, x, p, step, alpha) for x, p in zip(states, P, strict=True)]
    chosen = [selected(order, selection, *found) for found in scored]
    scores = np.array([score for score, _ in chosen])
    rows, weights = np.stack([r for r, _ in scored]), np.stack([w for _, w in chosen])
    source = "reduced" if multipliers is None else "multipliers"
    norm, seconds = float(np.linalg.norm(gradient)), time.perf_counter() - began
    return TopologicalDerivative(
        network=network,
        order=order,
        selection=selection,
        step=float(step),
        positions=places,
        scores=scores,
        rows=rows,
        weights=weights,
        objective=float(done.value),
        gradient_norm=norm,
        source=source,
        seconds=seconds,
    )


def sensitivities(objective: Objective, theta: Array, step: float = 1.0) -> Array:
    """(N+1,) slopes h ‖Σ_s P_s x̃_sᵀ‖ of J in the weights of a linear layer at every place.

    For an activation with φ'(0) = 1 it is the norm of the gradient in a layer of zeros.  The state is
    the whole one, of a Hamiltonian block too.
    """
    states = forward(objective.network, theta, objective.samples.X)
    P = objective.adjoint(theta)
    by_matrix = P.swapaxes(1, 2) @ states
    return np.asarray(step * np.sqrt((by_matrix**2).sum(axis=(1, 2)) + (P.sum(axis=1) ** 2).sum(1)))


def _scored(
    network: LayeredNetwork, order: int, x: Array, p: Array, step: float, alpha: float
) -> tuple[Array, Array]:
    """(d,) scores of the neurons of one place and their (d, d+1) weights."""
    if order == 2:
        curvature = network.block.phi.at_zero[2]
        rows, weights = curvatures(x, p, curvature, alpha)
        return step * rows, weights
    # -∂J/∂(K, b) of a layer of zeros, whatever the block does with it
    d, stages = network.width, len(network.block.stages)
    zero = np.zeros((stages, d, d)), np.zeros((stages, d))
    _, factors = network.block.pullback(x, *zero, step, p)
    shares = [np.column_stack(factor.gradient()) for factor in factors]
    weights = -np.sum(shares, axis=0)
    return np.linalg.norm(weights, axis=1), weights


def _places(network: LayeredNetwork, positions: Iterable[int] | None) -> Index:
    places = np.arange(network.layers + 1) if positions is None else np.array([*positions], int)
    wrong = places[(places < 0) | (places > network.layers)]
    if not len(places) or len(wrong):
        what = f"{wrong[0]}" if len(wrong) else "none"
        raise InputError(f"a layer can be inserted at 0 ... {network.layers}, not at {what}.")
    return places


def _weights(
    objective: Objective, at: ArrayLike | Training, adjoint: str
) -> tuple[Array, Array | None]:
    """Weights, and ∂J/∂x from multipliers where these are wanted and right."""
    if not isinstance(at, Training):
        if adjoint == "multipliers":
            raise InputError("weights alone have no multipliers; give a training by 'ipopt'.")
        return objective.network.checked(at), None
    if at.network.description() != objective.network.description():
        raise InputError(
            f"the training is of {at.network}, but the objective of {objective.network}."
        )
    converged = at.termination is Termination.CONVERGED
    if adjoint == "multipliers" and at.adjoint is None:
        raise InputError(f"a training by {at.trainer!r} has no multipliers; train by 'ipopt'.")
    if adjoint == "multipliers" and not converged:
        raise InputError(
            f"the training ended with {at.status!r}, so its multipliers are not ∂J/∂x; train "
            "to convergence or take adjoint='reduced'."
        )
    usable = at.adjoint is not None and converged and adjoint != "reduced"
    fits = usable and at.adjoint.shape[1] == len(objective.samples)  # type: ignore[union-attr]
    if adjoint == "multipliers" and not fits:
        raise InputError("the multipliers belong to other samples; take adjoint='reduced'.")
    return at.theta, at.adjoint if fits else None
