r"""`estimate_layers`: what a layered network's objective owes to its coarse steps, layer by layer.

With the adjoint :math:`P_n=\partial J/\partial x_n` and a layer's local error :math:`\tau_n`, what the
exact flow over the layer does less what its one step does,

.. math:: J(x)-J(x_h)\approx\sum_n\eta_n,\qquad \eta_n=\sum_sP_{n+1,s}\cdot\tau_{n,s}.

Explicit Euler is DG(0).  There the two halves of the dual-weighted residual, of the state and of the
adjoint equation, are the same number, and for weights constant on the layer

.. math:: \eta_n=\tfrac12h_n^2\sum_sP_{n+1,s}^Tf_xf=\tfrac12\sum_s(P_{n,s}-P_{n+1,s})\cdot(x_{n+1,s}-x_{n,s}):

states and multipliers are all that is needed.  The other blocks, and weights that vary inside a layer,
take :math:`\tau_n` from two half-steps, :math:`\tau_n=\frac{2^p}{2^p-1}(\Phi_{h/2}\Phi_{h/2}-\Phi_h)(x_n)`.

What they estimate depends on the weights.  Optimal ones make the control part
:math:`\tfrac12\rho_u` zero, if every layer has its own, and Σ η estimates min J over fine layers less
min J_h, to third order in the differences of states, adjoints *and weights*.  Weights that stay as they
are: J of their flow less J_h, to first order only.  Trained weights make use of long steps, so that the
flow with the same weights can be far away though the estimate of min J is good.

The η do not see what a finer mesh is often wanted for: halves whose weights may *differ*.  A residual of
their own tells that: with :math:`d_n` the derivative of J as the first half of layer n gets the weights
:math:`(K_n,b_n)+\delta` and the second :math:`(K_n,b_n)-\delta`, for all layers at once

.. math:: \gamma_n=\|d_n\|^2/h_n

is the squared L² norm of J's gradient in the directions that bisecting the layer adds.  It orders the
layers and has no unit of J: what J gains also depends on its curvature, which far from an optimum no
local model tells.

Sources: Becker & Rannacher, Acta Numerica 10 (2001), Prop. 2.6; Meidner & Vexler, SIAM J. Control
Optim. 46 (2007), for the control part.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...adapt.estimate import Estimate
from ...checks import check_choice
from ...errors import InputError
from ...kinds import check_type
from ...numerics import Array
from ...solvers.threads import single_threaded
from ..blocks import ResidualBlock, RungeKuttaBlock
from ..depth import bisect, one_each
from ..forward import Evaluation
from ..network import LayeredNetwork
from ..objective import Objective
from ..stable_blocks import AntisymmetricBlock, HamiltonianBlock, LeapfrogBlock

INDICATORS = ("error", "freedom")
_ORDERS = {
    ResidualBlock: 1,
    RungeKuttaBlock: 4,
    HamiltonianBlock: 1,
    AntisymmetricBlock: 1,
    LeapfrogBlock: 1,
}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LayerEstimate(Estimate):
    """An `Estimate` of a layered network's objective, layer by layer; its one part is ``error``, the η.

    Attributes
    ----------
    freedom : (N,) γ, squared slope of J by weights that differ in a layer's halves; zero where a basis
        ties the layers' weights together.
    stationarity : ‖∇J‖₂.  While it is not small, the weights are not optimal, and training again alone
        changes J by more than the indicators say.
    tolerance : what counts as small.
    """

    freedom: Array
    tolerance: float

    @property
    def mesh(self) -> Array:
        """(N+1,) layer boundaries."""
        return self.meshes[0]

    def of(self, kind: str) -> Array:
        """(N,) what marking looks at: ``error``, the η, or ``freedom``, the γ."""
        check_choice("indicator", kind, INDICATORS)
        return self.freedom if kind == "freedom" else self.indicators

    def to_frame(self) -> pd.DataFrame:
        """One row per layer: its interval, its indicator and its freedom."""
        return super().to_frame().drop(columns="indicator").assign(freedom=self.freedom)


@single_threaded
def estimate_layers(
    objective: Objective,
    theta: ArrayLike,
    adjoint: ArrayLike | None = None,
    freedom: bool = True,
    tolerance: float = 1e-4,
) -> LayerEstimate:
    """Estimate the discretization error of a layered network's objective, layer by layer.

    Parameters
    ----------
    objective, theta : what was trained, and the weights found.
    adjoint : (N+1, S, state_size) ∂J/∂x_n, such as `Training.adjoint` from IPOPT's multipliers; None
        computes it.  At an NLP's solution both are the same numbers.
    freedom : whether to estimate the γ too, which costs about as much as three evaluations of J.
    tolerance : of ‖∇J‖₂, below which the weights count as stationary.

    Raises
    ------
    InputError
        A block that no estimator is known for, an adjoint of another shape, weights at which J is
        not finite.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LogisticLoss, donut2d
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 2, 20))
    >>> objective = Objective(network, donut2d(100)[0], LogisticLoss())
    >>> theta = network.initial(seed=0)
    >>> estimate = estimate_layers(objective, theta)
    >>> 0.9 < estimate.effectivity(flow_value(objective, theta)) < 1.1
    True
    """
    check_type("estimate_layers", objective, Objective)
    began = time.perf_counter()
    network = objective.network
    _order(network)
    done = objective.evaluate(theta)
    if not np.isfinite(done.value):
        raise InputError("the objective is not finite at these weights; there is no estimate.")
    P = _adjoint(objective, done, adjoint)
    gradient = objective.backpropagate(done)
    exact = isinstance(network.block, ResidualBlock) and one_each(network)
    halves = None if exact and not freedom else Halves(network, done)
    if exact:
        eta = 0.5 * np.einsum("nsd,nsd->n", P[:-1] - P[1:], np.diff(done.states, axis=0))
    else:
        assert halves is not None
        share = 2.0 ** _order(network) / (2.0 ** _order(network) - 1.0)
        eta = share * np.einsum("nsd,nsd->n", P[1:], halves.ends - done.states[1:])
    gamma = np.zeros(network.layers)
    if freedom and one_each(network):
        assert halves is not None
        gamma = freedom_of(P, done.states, halves)
    norm = float(np.linalg.norm(gradient))
    return LayerEstimate(
        goal="objective",
        value=done.value,
        parts={"error": eta},
        meshes=(network.mesh.points,),
        stationarity=norm,
        stationary=norm <= tolerance,
        freedom=gamma,
        tolerance=tolerance,
        seconds=time.perf_counter() - began,
    )


def flow_value(objective: Objective, theta: ArrayLike, levels: int = 5) -> float:
    r"""J of the flow in depth with these weights: the reference for `LayerEstimate.effectivity`.

    All layers are bisected ``levels`` times with copied weights, and the last two values extrapolated.
    The weights are frozen; a network that is trained again on the finer mesh finds others.
    """
    network, weights = objective.network, objective.network.checked(theta)
    values = [0.0, 0.0]
    for level in range(levels):
        network, weights = bisect(network, weights, range(network.layers))
        if level >= levels - 2:
            finer = Objective(network, objective.samples, objective.loss, objective.regularisation)
            values = [values[1], finer.value(weights)]
    return values[1] + (values[1] - values[0]) / (2.0 ** _order(network) - 1.0)


def _adjoint(objective: Objective, done: Evaluation, given: ArrayLike | None) -> Array:
    if given is None:
        return objective.adjoint_of(done)
    P = np.asarray(given, dtype=float)
    if P.shape != done.states.shape:
        raise InputError(
            f"the adjoint has shape {P.shape}, but the states {done.states.shape}; it belongs to "
            "another network or other samples."
        )
    return P


def _order(network: LayeredNetwork) -> int:
    """Order of the block as a one-step method."""
    for kind, order in _ORDERS.items():
        if isinstance(network.block, kind):
            return order
    raise InputError(
        f"there is no error estimator for the block {type(network.block).__name__}; it is known for "
        f"{', '.join(kind.__name__ for kind in _ORDERS)}."
    )


class Halves:
    """The layers' two half-steps with copied weights, each from the states of the whole network.

    So one pass serves all layers, each bisected alone.
    """

    def __init__(self, network: LayeredNetwork, done: Evaluation) -> None:
        self.network = network
        finer, theta = bisect(network, done.theta, range(network.layers))
        self.K, self.b = finer.stage_weights(theta)
        self.steps = finer.mesh.steps
        step, states = network.block.step, done.states
        with np.errstate(over="ignore", invalid="ignore"):
            layers = range(network.layers)
            self.middles = np.stack([step(states[n], *self._half(2 * n)) for n in layers])
            self.ends = np.stack([step(self.middles[n], *self._half(2 * n + 1)) for n in layers])

    def _half(self, k: int) -> tuple[Array, Array, float]:
        return self.K[k], self.b[k], float(self.steps[k])

    def split_gradient(self, n: int, x: Array, p: Array) -> tuple[Array, Array]:
        """(d, d) and (d,) derivative of p·x_{n+1} by weights added to one half, taken from the other."""
        pullback = self.network.block.pullback
        middle, second = pullback(self.middles[n], *self._half(2 * n + 1), p)
        _, first = pullback(x, *self._half(2 * n), middle)
        parts = [(1.0, factor.gradient()) for factor in first]
        parts += [(-1.0, factor.gradient()) for factor in second]
        return (
            np.sum([sign * matrix for sign, (matrix, _) in parts], axis=0),
            np.sum([sign * bias for sign, (_, bias) in parts], axis=0),
        )


def freedom_of(P: Array, states: Array, halves: Halves) -> Array:
    """(N,) γ_n = ‖d_n‖² / h_n: squared L² norms of the gradient by what the halves may differ in."""
    gamma = np.empty(halves.network.layers)
    for n, h in enumerate(halves.network.mesh.steps):
        matrix, bias = halves.split_gradient(n, states[n], P[n + 1])
        gamma[n] = (float((matrix**2).sum()) + float((bias**2).sum())) / h
    return gamma
