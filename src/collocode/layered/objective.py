r"""The training objective, its gradient by the discrete adjoint, and the adjoint itself.

.. math:: J(\theta)=\frac1S\sum_s\ell(Wx_{s,N}+\mu,y_s)
          +\frac\alpha2\int_0^T\|K\|^2+\|b\|^2dt+\frac\beta2(\|W\|^2+\|\mu\|^2)+\frac\gamma2\|(K_0,b_0)\|^2

With :math:`P_N=\partial J/\partial x_N` and :math:`P_n=(\partial\Phi_n/\partial x_n)^TP_{n+1}` the
gradient costs about two evaluations, and memory and time are linear in the samples.  The P are what
the multipliers of the simultaneous problem are, and what refinement and layer insertion read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..checks import check_fields, counted
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array, Mask
from .forward import Back, Evaluation, backward, extend_cotangents, forward, pull_outputs, read_out
from .losses import SampleLoss, SquaredLoss, metric
from .network import LayeredNetwork
from .samples import Samples


@dataclass(frozen=True)
class Regularisation:
    r"""Ridge penalties, each with its factor ½.

    Parameters
    ----------
    weights : α of :math:`\int\|K\|^2+\|b\|^2\,dt`, taken exactly by the Gram matrix of the basis.
    readout : β of W and μ.
    opening : γ of K₀ and b₀.

    Raises
    ------
    InputError
        A factor that is negative or not finite.
    """

    weights: float = 1e-4
    readout: float = 1e-4
    opening: float = 1e-4

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("weights", "readout", "opening"):
            value = float(getattr(self, name))
            if not (np.isfinite(value) and value >= 0.0):
                raise InputError(f"regularisation of the {name} must be 0 or more, not {value}.")

    def times(self, network: LayeredNetwork, theta: Array) -> Array:
        """Return the penalty's Hessian times a vector (the penalty is ½ θᵀ of it)."""
        opening, coefficients, readout = network.split(theta)
        by_time = self.weights * (network.time_basis.gram() @ coefficients)
        return np.concatenate([self.opening * opening, by_time.ravel(), self.readout * readout])


@dataclass(frozen=True, eq=False)
class Objective:
    """Mean loss of a network on samples plus regularisation; a function of the weight vector.

    Parameters
    ----------
    network, samples : what is trained on what.
    loss : `SquaredLoss`, `RegressionLoss`, `LogisticLoss` or `SoftmaxLoss`.
    regularisation : ridge penalties.
    frozen : (n_weights,) true where weights stay as they are (`LayeredNetwork.mask` makes one); the
        gradient is zero there.

    Raises
    ------
    InputError
        Features, targets or a mask that do not fit the network.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LogisticLoss, donut2d
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 5, 5))
    >>> objective = Objective(network, donut2d(100)[0], LogisticLoss())
    >>> theta = network.initial(seed=0)
    >>> objective.gradient(theta).shape, objective.adjoint(theta).shape
    ((33,), (6, 100, 2))
    """

    network: LayeredNetwork
    samples: Samples
    loss: SampleLoss = SquaredLoss()
    regularisation: Regularisation = Regularisation()
    frozen: Mask | None = None

    def __post_init__(self) -> None:
        network, samples = self.network, self.samples
        check_type("Objective(network=...)", network, LayeredNetwork)
        check_type("Objective(samples=...)", samples, Samples)
        if samples.inputs != network.inputs:
            raise InputError(
                f"the samples have {counted(samples.inputs, 'feature')}, but the network {counted(network.inputs, 'input')}."
            )
        assert len(self.targets) == len(samples)  # refuses targets that do not fit
        if self.frozen is not None:
            mask = np.asarray(self.frozen)
            if mask.dtype != bool or mask.shape != (network.n_weights,):
                raise InputError(
                    f"frozen must be a mask of {network.n_weights} booleans, not {mask.dtype} of "
                    f"shape {mask.shape}; network.mask('readout') makes one."
                )

    @cached_property
    def targets(self) -> Array:
        """(S, outputs) targets as the loss wants them."""
        return self.loss.targets(self.samples, self.network.outputs)

    @property
    def free(self) -> Mask:
        """(n_weights,) true where weights are trained."""
        if self.frozen is None:
            return np.ones(self.network.n_weights, dtype=bool)
        return ~self.frozen

    def on(self, samples: Samples) -> Objective:
        """Return the same objective on other samples."""
        return replace(self, samples=samples)

    # ---- values ----------------------------------------------------------------------------------

    def evaluate(self, theta: ArrayLike) -> Evaluation:
        """Propagate all samples and evaluate J; what `backpropagate` goes back through."""
        weights = self.network.checked(theta)
        return self.finish(weights, forward(self.network, weights, self.samples.X))

    def finish(self, theta: Array, states: Array) -> Evaluation:
        """Evaluate J where the states are known already."""
        outputs = read_out(self.network, theta, states[-1])
        with np.errstate(over="ignore", invalid="ignore"):
            loss = self.loss.value(outputs, self.targets)
        value = loss + 0.5 * float(theta @ self.regularisation.times(self.network, theta))
        return Evaluation(theta, states, outputs, value if np.isfinite(value) else np.inf)

    def value(self, theta: ArrayLike) -> float:
        """Return J; infinite where the states overflow."""
        return self.evaluate(theta).value

    def data_loss(self, theta: ArrayLike, samples: Samples | None = None) -> float:
        """Mean loss without regularisation, on these or on other samples."""
        objective = self if samples is None else self.on(samples)
        done = objective.evaluate(theta)
        return objective.loss.value(done.outputs, objective.targets)

    def score(self, theta: ArrayLike, samples: Samples | None = None) -> float:
        """Accuracy (classes) or relative error, on these or on other samples."""
        chosen = self if samples is None else self.on(samples)
        return metric(self.loss, chosen.evaluate(theta).outputs, chosen.samples)

    # ---- derivatives -----------------------------------------------------------------------------

    def gradient(self, theta: ArrayLike) -> Array:
        """(n_weights,) gradient of J, exact for the discretized network."""
        return self.backpropagate(self.evaluate(theta))

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, Array]:
        """Return J and its gradient."""
        done = self.evaluate(theta)
        return done.value, self.backpropagate(done)

    def backpropagate(self, done: Evaluation) -> Array:
        """(n_weights,) gradient of J where its evaluation is known; not finite where J is not."""
        penalty = self.regularisation.times(self.network, done.theta)
        with np.errstate(over="ignore", invalid="ignore"):
            slope = self.loss.gradient(done.outputs, self.targets)
            pulled = pull_outputs(self.network, done, self.samples.X, slope, self._back(done))
        return np.where(self.free, pulled + penalty, 0.0)

    def _back(self, done: Evaluation) -> Back | None:
        """How cotangents go back to x₀, where it is not through the layers; see `pull_states`."""
        return None

    def adjoint(self, theta: ArrayLike) -> Array:
        """(N+1, S, state_size) derivatives P_n = ∂J/∂x_n of every sample's states (1/S included)."""
        return self.adjoint_of(self.evaluate(theta))

    def adjoint_of(self, done: Evaluation) -> Array:
        """As `adjoint`, where the evaluation is known."""
        slope = self.loss.gradient(done.outputs, self.targets)
        P = np.empty_like(done.states)
        P[-1] = extend_cotangents(self.network, slope @ self.network.readout(done.theta)[0])
        for n, p, _ in backward(self.network, done.theta, done.states, P[-1]):
            P[n] = p
        return P


@dataclass(frozen=True, eq=False)
class LayeredProblem:
    """What is trained on what, and what it is judged by.

    Parameters
    ----------
    network : the first network; `refine_layers` and other verbs make it deeper.
    samples : to train with.
    loss, regularisation : as for `Objective`.
    validation : samples that choose the weights, the depth, and when to stop; None if there are none.
    test : samples that choose nothing.
    name, source : for titles and reports.

    Raises
    ------
    InputError
        Samples of either part that do not fit the network or the loss.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LogisticLoss, donut2d
    >>> samples, validation = donut2d(n=100)
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 4, 2))
    >>> LayeredProblem(network, samples, LogisticLoss(), validation=validation, name="Donut")
    LayeredProblem('Donut': 2 -> 2 -> 1, 2 layers, 15 weights; samples 100 + 100 validation)
    """

    network: LayeredNetwork
    samples: Samples
    loss: SampleLoss = SquaredLoss()
    regularisation: Regularisation = Regularisation()
    validation: Samples | None = None
    test: Samples | None = None
    name: str = "layered network"
    source: str = ""

    def __post_init__(self) -> None:
        for part, samples in self.parts.items():
            try:
                Objective(self.network, samples, self.loss, self.regularisation)
            except InputError as error:
                raise InputError(f"{part}: {error}") from error

    @property
    def parts(self) -> dict[str, Samples]:
        """The samples that there are, by the name of their part."""
        every = {"training": self.samples, "validation": self.validation, "test": self.test}
        return {name: samples for name, samples in every.items() if samples is not None}

    @cached_property
    def objective(self) -> Objective:
        """The function of the weights that training minimises."""
        return Objective(self.network, self.samples, self.loss, self.regularisation)

    def with_network(self, network: LayeredNetwork) -> LayeredProblem:
        """Return the same problem for another network."""
        return replace(self, network=network)

    def __repr__(self) -> str:
        net = self.network
        sizes = [f"{len(self.samples)}"]
        sizes += [f"{len(s)} {name}" for name, s in self.parts.items() if name != "training"]
        return (
            f"LayeredProblem({self.name!r}: {net.inputs} -> {net.width} -> {net.outputs}, "
            f"{counted(net.layers, 'layer')}, {counted(net.n_weights, 'weight')}; samples {' + '.join(sizes)})"
        )
