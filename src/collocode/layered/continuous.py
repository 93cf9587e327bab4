r"""Optimize-then-discretize: the layers' differential equation itself, solved adaptively by diffrax.

.. math:: z'=F(z;K(t),b(t)),\quad z(0)=\ell(y),\quad u=Wz(T)+\mu

with :math:`F=\varphi(Kz+b)`, or :math:`(\varphi(KZ+b),-\varphi(K^TY+b))` for a Hamiltonian block,
:math:`(v,-K^T\varphi(Kx+b))` for leapfrog, :math:`\tfrac12(K-K^T)` for K in an antisymmetric one; the mesh of
layers plays no part.  The gradient is that of the continuous problem: costates run backwards together
with the states and the sum of derivatives,

.. math:: p'=-F_z^Tp,\qquad g'=-F_\theta^Tp,\qquad p(T)=\partial J/\partial z(T),

again adaptively, so it agrees with the derivative of the computed value up to the tolerance only.
``adjoint_method="exact"`` differentiates the accepted steps instead and has no such gap, at the price of
remembering them.  A `ContinuousObjective` goes wherever a gradient is enough: ``lbfgs``, ``adam``,
``armijo``, ``barzilai-borwein``.

Source: Chen et al., *Neural ordinary differential equations*, NeurIPS 2018, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..checks import check_choice
from ..errors import InputError
from ..kinds import kinds_checked
from ..numerics import Array
from ..numerics.mesh import Mesh
from .blocks import ResidualBlock, RungeKuttaBlock
from .continuous_jax import Flow
from .forward import Back, Evaluation, extend_cotangents, lifted
from .network import LayeredNetwork
from .objective import Objective

ADJOINTS = ("continuous", "exact")


@dataclass
class Work:
    """Evaluations of the right-hand side for all samples at once, forwards and backwards.

    A backward one is that of the augmented equation; with ``adjoint_method="exact"`` the backward pass takes
    as many as its forward pass.
    """

    forward: int = 0
    backward: int = 0
    failures: int = 0


@dataclass(frozen=True, eq=False)
class ContinuousObjective(Objective):
    """The objective of `Objective` for the network in continuous depth.

    Regularisation is the same; `value`, `gradient`, `score` and `train` with a gradient method work as
    they do there.  The trained weights are those of the same `LayeredNetwork`: how far its layers are
    from the differential equation, comparing `score` with that of the `Objective` tells.

    Parameters
    ----------
    network, samples, loss, regularisation, frozen : as for `Objective`.
    rtol, atol : of the integrator, Tsitouras' method of order five under a PI controller.
    adjoint_method : ``continuous`` or ``exact``; see the module.
    steps : most steps of one solve; where it needs more, J is infinite.
    work : what has been spent so far.

    Raises
    ------
    InputError
        A tolerance that is not positive, an unknown adjoint.
    MissingDependency
        Without JAX or diffrax.
    """

    rtol: float = 1e-6
    atol: float = 1e-8
    adjoint_method: str = "continuous"
    steps: int = 4096
    work: Work = field(default_factory=Work)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rtol", "atol"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise InputError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}.")
        check_choice("adjoint", self.adjoint_method, ADJOINTS)
        assert self.flow is not None  # tells now what is not installed

    @classmethod
    def of(cls, objective: Objective, **settings: Any) -> ContinuousObjective:
        """Return the continuous counterpart of an objective."""
        return cls(
            *(objective.network, objective.samples, objective.loss, objective.regularisation),
            frozen=objective.frozen,
            **settings,
        )

    @property
    def flow(self) -> Flow:
        """The compiled solves, shared by all objectives of the same network."""
        return _flow(self.network, self.steps)

    def evaluate(self, theta: ArrayLike) -> Evaluation:
        """Solve for all samples and evaluate J; ``states`` has those at 0 and T."""
        weights = self.network.checked(theta)
        start = lifted(self.network, weights, self.samples.X)
        tolerances = (self.rtol, self.atol)
        end, spent = self.flow.forward(self._coefficients(weights), start, tolerances)
        self.work.forward += spent
        if not np.isfinite(end).all():
            self.work.failures += 1
            return replace(self.finish(weights, np.stack([start, start])), value=np.inf)
        return self.finish(weights, np.stack([start, end]))

    def adjoint(self, theta: ArrayLike) -> Array:
        """(2, S, state_size) costates p(0) and p(T) of every sample (1/S included)."""
        done = self.evaluate(theta)
        slope = self.loss.gradient(done.outputs, self.targets)
        end = extend_cotangents(self.network, slope @ self.network.readout(done.theta)[0])
        return np.stack([self._back(done)(end)[0], end])

    def _back(self, done: Evaluation) -> Back:
        """P(T) to p(0) and ∫ F_θᵀ p dt, by the chosen adjoint."""
        coefficients, tolerances = self._coefficients(done.theta), (self.rtol, self.atol)
        exact = self.adjoint_method == "exact"

        def back(end: Array) -> tuple[Array, Array]:
            *found, spent = self.flow.backward(coefficients, done.states, end, tolerances, exact)
            self.work.backward += spent
            return found[0], found[1]

        return back

    def _coefficients(self, theta: Array) -> Array:
        return self.network.split(theta)[1]


@lru_cache(maxsize=32)
def _flow(network: LayeredNetwork, steps: int) -> Flow:
    return Flow(network, steps)


def on_fine_layers(objective: Objective, pieces: int = 32) -> Objective:
    """Return the objective with every layer cut into pieces: what discretize-then-optimize tends to.

    The weights are the same function of time, and the same vector. Residual and Runge-Kutta blocks take
    the classical method of order four, the others their own, of order one.
    """
    network, block = objective.network, objective.network.block
    points = network.mesh.points
    inner = np.linspace(points[:-1], points[1:], pieces, endpoint=False, axis=1).ravel()
    if isinstance(block, ResidualBlock):
        block = RungeKuttaBlock(block.activation)
    fine = replace(
        network, mesh=Mesh(np.append(inner, points[-1])), basis=network.time_basis, block=block
    )
    return Objective(
        *(fine, objective.samples, objective.loss, objective.regularisation, objective.frozen)
    )


@kinds_checked
def gradient_gap(
    objective: Objective,
    theta: ArrayLike,
    tolerances: Sequence[float] = (1e-2, 1e-4, 1e-6, 1e-8),
    pieces: int = 32,
) -> pd.DataFrame:
    """Compare the continuous gradient with discretize-then-optimize as the tolerance shrinks.

    Parameters
    ----------
    objective : whose continuous counterpart is taken.
    theta : weights at which.
    tolerances : relative ones; the absolute one is a hundredth of each.
    pieces : into which the layers are cut for the fine mesh; see `on_fine_layers`.

    Returns
    -------
    Table of one row per tolerance: ``rtol``; relative distances of the continuous gradient, ``to_exact``
    from the derivative of the value computed at that tolerance and ``to_fine`` from the gradient on the
    fine mesh; evaluations ``forward`` and ``backward``.
    """
    fine = on_fine_layers(objective, pieces).gradient(theta)
    rows = []
    for rtol in tolerances:
        continuous = ContinuousObjective.of(objective, rtol=rtol, atol=0.01 * rtol)
        found = continuous.gradient(theta)
        exact = replace(continuous, adjoint_method="exact", work=Work()).gradient(theta)
        rows.append(
            {
                "rtol": rtol,
                "to_exact": np.linalg.norm(found - exact) / np.linalg.norm(exact),
                "to_fine": np.linalg.norm(found - fine) / np.linalg.norm(fine),
                "forward": continuous.work.forward,
                "backward": continuous.work.backward,
            }
        )
    return pd.DataFrame(rows)
