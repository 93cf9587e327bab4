r"""A trained model: :math:`f` with its numbers, free of the NLP it came from.

It is data (a tape of scalar operations, weight vectors, parameter values), so it can be saved
without code, pickled, sent to another process, and evaluated at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..model.network import MLP
from ..model.symbolic import output_function, rhs_function
from ..transcription.nlp import NLP
from ..transcription.tape import Tape

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network with its weights: a plain callable.

    Examples
    --------
    >>> net = TrainedNetwork(MLP((2, 1), "linear"), np.array([1.0, 2.0, 0.5]))
    >>> net([1.0, 1.0]), net([[1.0, 1.0], [0.0, 0.0]])
    (array([3.5]), array([[3.5],
           [0.5]]))
    """

    network: MLP
    weights: Array

    def __call__(self, z: ArrayLike) -> Array:
        """Evaluate at one input (inputs,) or at one a row (samples, inputs)."""
        points = np.asarray(z, dtype=float)
        if points.ndim == 0 and self.network.inputs == 1:
            points = points[None]
        if points.shape[-1:] != (self.network.inputs,) or points.ndim > 2:
            raise InputError(
                f"the network has {self.network.inputs} inputs; give (inputs,) or (samples, inputs), "
                f"not {points.shape}."
            )
        return np.asarray(self.network(points.T, self.weights), dtype=float).T

    def matrices(self) -> list[tuple[Array, Array]]:
        """Return the layers as [(W, b), ...], W of shape (outputs, inputs) of the layer."""
        return self.network.matrices(self.weights)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """The right-hand side and the outputs of a solved problem.

    Attributes
    ----------
    states, inputs, outputs, parameter_names : names, in the order of the vectors.
    tape, output_tape : f and h, functions of (t, x, u, p, theta).
    parameters : (parameters,) values; `with_parameters` exchanges them.
    networks, theta : descriptions by name, and all weights in one vector.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameter_names: tuple[str, ...]
    tape: Tape
    output_tape: Tape
    parameters: Array
    networks: Mapping[str, MLP]
    theta: Array

    @classmethod
    def of(cls, nlp: NLP, x: Array, experiment: int = 0) -> TrainedModel:
        """Read the model that an NLP's variables ``x`` stand for, as ``experiment`` sees it."""
        problem = nlp.problem
        names = tuple(q.name for q in problem.dynamics.parameters)
        tapes = nlp.cache(
            "tapes", lambda: (Tape.of(rhs_function(problem)), Tape.of(output_function(problem)))
        )
        return cls(
            problem.states,
            problem.inputs,
            problem.outputs,
            names,
            tapes[0],
            tapes[1],
            x[nlp.layout.parameter_columns(experiment, names)],
            dict(problem.dynamics.networks),
            x[nlp.layout.weights],
        )

    def __repr__(self) -> str:
        return (
            f"TrainedModel(states={self.states}, inputs={self.inputs}, "
            f"parameters={self.parameter_names}, weights={len(self.theta)})"
        )

    @cached_property
    def function(self) -> ca.Function:
        """f as a CasADi Function (t, x, u, p, theta) -> dx."""
        return self.tape.function("rhs", ["t", "x", "u", "p", "theta"], ["dx"])

    @cached_property
    def _outputs(self) -> ca.Function:
        return self.output_tape.function("outputs", ["t", "x", "u", "p", "theta"], ["y"])

    def trained_function(self, name: str = "rhs") -> ca.Function:
        """f with weights and parameters put in, a saveable CasADi Function (t, x, u) -> dx."""
        t, x, u = ca.SX.sym("t"), ca.SX.sym("x", len(self.states)), ca.SX.sym("u", len(self.inputs))
        value = self.function(t, x, u, self.parameters, self.theta)
        return ca.Function(name, [t, x, u], [value], ["t", "x", "u"], ["dx"])

    def rhs(self, t: float, x: ArrayLike, u: ArrayLike = ()) -> Array:
        """Derivative at one state (states,), or at one a row (points, states)."""
        states = np.asarray(x, dtype=float)
        inputs = np.asarray(u, dtype=float).reshape(-1, 1) if np.size(u) else np.zeros((0, 1))
        value = np.asarray(
            self.function(t, np.atleast_2d(states).T, inputs, self.parameters, self.theta)
        )
        return value.T if states.ndim == 2 else value.ravel()

    def observe(self, x: ArrayLike, u: ArrayLike | None = None) -> Array:
        """(points, outputs) outputs of (points, states) states."""
        states = np.atleast_2d(np.asarray(x, dtype=float))
        inputs = np.zeros((0, len(states))) if u is None or not self.inputs else np.asarray(u).T
        value = self._outputs(0.0, states.T, inputs, self.parameters, self.theta)
        return np.asarray(value, dtype=float).T

    def network(self, name: str | None = None) -> TrainedNetwork:
        """Return a network as a callable; the name may be left out if there is one only."""
        if name is None and len(self.networks) == 1:
            name = next(iter(self.networks))
        if name is None and not self.networks:
            raise InputError("this model has no networks, only physical parameters.")
        if name not in self.networks:
            known = ", ".join(self.networks) or "none"
            raise InputError(f"there is no network {name!r}; there are: {known}.")
        start = 0
        for label, network in self.networks.items():
            if label == name:
                return TrainedNetwork(network, self.theta[start : start + network.n_weights])
            start += network.n_weights
        raise AssertionError("unreachable")

    def with_parameters(self, values: Array) -> TrainedModel:
        """Return the model with other parameter values (an experiment's own, say)."""
        return replace(self, parameters=np.asarray(values, dtype=float))
