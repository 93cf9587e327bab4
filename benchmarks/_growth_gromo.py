"""Networks of gromo, trained and widened by the rules of ours; `growth_gromo.py` compares them."""

from __future__ import annotations

import contextlib
import copy
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from gromo.containers.growing_mlp import GrowingMLP
from gromo.containers.growing_residual_mlp import GrowingResidualMLP
from scipy.optimize import minimize

import collocode as cc
from collocode.layered import LayeredNetwork, LayeredProblem
from collocode.layered.growth.insertion import search_size
from collocode.layered.losses import metric

torch.set_default_dtype(torch.float64)
warnings.filterwarnings("ignore", category=UserWarning, module="gromo")
TINY = {"compute_delta": False}
GRADMAX = {
    "compute_delta": False,
    "use_covariance": False,
    "alpha_zero": True,
    "use_projection": False,
    "ignore_singular_values": True,
}


class SiLUTanh(torch.nn.Module):
    """2 SiLU(a) - tanh a, the activation of ours."""

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return 2.0 * torch.nn.functional.silu(a) - torch.tanh(a)


ACTIVATIONS = {
    "tanh": torch.nn.Tanh,
    "swish": torch.nn.SiLU,
    "gelu": torch.nn.GELU,
    "selu": torch.nn.SELU,
    "silu_tanh": SiLUTanh,
}


def deep(problem: LayeredProblem, layers: int) -> LayeredNetwork:
    """The network of ours with some layers."""
    return replace(problem.network, mesh=cc.Mesh.uniform(0, layers, layers), basis=None)


@dataclass(frozen=True)
class Settings:
    """What gromo leaves to choose: the network, the update (`TINY`, `GRADMAX` or all there is), how often."""

    kind: str = "MLP"
    hidden: int = 2
    activation: str = "tanh"
    update: str = "optimal"
    growths: int | None = None  # None is as many as ours

    def build(self, problem: LayeredProblem, width: int, seed: int) -> torch.nn.Module:
        """The network with random weights of PyTorch; blocks x + W' phi(W phi(LayerNorm x)) if it is residual."""
        torch.manual_seed(seed)
        network, phi = problem.network, ACTIVATIONS[self.activation]()
        if self.kind == "MLP":
            return GrowingMLP(network.inputs, network.outputs, width, self.hidden, phi)
        inside = (network.width, width, self.hidden)
        return GrowingResidualMLP((network.inputs,), network.outputs, *inside, phi)

    def weights(self, problem: LayeredProblem, width: int) -> int:
        """Number of weights."""
        i, o, d = problem.network.inputs, problem.network.outputs, problem.network.width
        if self.kind == "MLP":
            return width * (i + 1) + (self.hidden - 1) * width * (width + 1) + o * (width + 1)
        return d * (i + 1) + self.hidden * (width * (2 * d + 1) + d) + o * (d + 1)

    def width(self, problem: LayeredProblem, layers: int) -> int:
        """Hidden width with about as many weights as ours has with some layers."""
        wanted = deep(problem, layers).n_weights
        return min(range(1, 200), key=lambda w: abs(self.weights(problem, w) - wanted))


class Spent(Exception):
    """The passes are."""


class Fit:
    """A network of gromo in training: J of ours, passes, and what the weights of least validation loss do."""

    def __init__(self, model: torch.nn.Module, problem: LayeredProblem) -> None:
        self.model, self.problem, self.passes = model, problem, 0
        self.loss, self.ridge = problem.loss, problem.regularisation.weights
        assert problem.validation is not None
        assert problem.test is not None
        parts = (problem.samples, problem.validation, problem.test)
        self.inputs = [torch.tensor(np.asarray(s.X, dtype=float)) for s in parts]
        self.targets = [problem.objective.on(s).targets for s in parts]
        self.least, self.error = np.inf, np.nan

    def weights(self) -> np.ndarray:
        """All weights in one vector."""
        return np.concatenate([p.detach().numpy().ravel() for p in self.model.parameters()])

    def put(self, theta: np.ndarray) -> None:
        """Set all weights."""
        torch.nn.utils.vector_to_parameters(torch.tensor(theta), self.model.parameters())

    def outputs(self, part: int) -> np.ndarray:
        """(S, outputs) of training, validation or test samples."""
        with torch.no_grad():
            return self.model(self.inputs[part]).numpy()

    def objective(self) -> float:
        """J."""
        theta = self.weights()
        data = self.loss.value(self.outputs(0), self.targets[0])
        return float(data + 0.5 * self.ridge * theta @ theta)

    def backward(self, share: float) -> float:
        """Leave derivatives of the data's mean loss times a number in the network, return the loss."""
        self.passes += 1
        self.model.zero_grad()
        outputs = self.model(self.inputs[0])
        u, targets = outputs.detach().numpy(), self.targets[0]
        outputs.backward(torch.tensor(share * self.loss.gradient(u, targets)))
        return self.loss.value(u, targets)

    def look(self) -> None:
        """Take note of the weights if their validation loss is the least so far."""
        loss = self.loss.value(self.outputs(1), self.targets[1])
        if loss < self.least:
            assert self.problem.test is not None
            score = metric(self.loss, self.outputs(2), self.problem.test)
            self.least = loss
            self.error = 1.0 - score if self.problem.test.classes else score

    def train(self, until: int) -> None:
        """Go on by L-BFGS until so many passes are spent."""
        last = self.weights()
        self.look()

        def evaluate(theta: np.ndarray) -> tuple[float, np.ndarray]:
            if self.passes >= until:
                raise Spent
            self.put(theta)
            value = self.backward(1.0) + 0.5 * self.ridge * theta @ theta
            slopes = [p.grad.numpy().ravel() for p in self.model.parameters()]
            return float(value), np.concatenate(slopes) + self.ridge * theta

        def accepted(intermediate_result) -> None:
            last[:] = intermediate_result.x
            self.put(last)
            self.look()

        options = {"maxcor": 20, "maxiter": 10**9, "maxfun": 10**9, "ftol": 0.0, "gtol": 0.0}
        how = {"method": "L-BFGS-B", "jac": True, "callback": accepted}
        with contextlib.suppress(Spent):
            minimize(evaluate, last.copy(), **how, options={**options, "maxls": 50})
        self.put(last)

    def widen(self, place: int, neurons: int, update: str) -> None:
        """Add neurons before a layer, as gromo's tutorial does, but with the line search of ours on J."""
        model, before = self.model, self.objective()
        model.set_growing_layers(index=place)
        layer = model._growing_layers[0]
        if update == "random":
            layer.create_layer_extensions(neurons)
        else:
            model.init_computation()
            self.backward(float(len(self.targets[0])))  # gromo divides by the samples itself
            model.update_computation()
            options = {"TINY": TINY, "GradMax": GRADMAX}.get(update, {})
            exact = {"dtype": torch.float64, "numerical_threshold": 1e-10}
            most = {"maximum_added_neurons": neurons, "statistical_threshold": 0.0}
            model.compute_optimal_updates(**most, **exact, **options)
            model.reset_computation()
            model.zero_grad()
        model.dummy_select_update()
        for module in model.modules():  # what is left of the pass cannot be copied
            if hasattr(module, "_pre_activity"):
                module._pre_activity = module._input = None
        added = layer.extended_input_layer.in_features

        def value(scale: float) -> float:
            self.model = copy.deepcopy(model)
            self.model.set_scaling_factor(scale)
            self.model.apply_change(extension_size=added)
            return self.objective()

        scale, _ = search_size(value, before, 2.0**-6, both=False)
        small = 1.0 if update == "GradMax" else 1e-2  # its neurons have no effect at first
        value(scale or small)  # where nothing lowers J neurons begin small, as our random layers do
