"""Trained networks and right-hand sides as functions for JAX: jit, grad and vmap apply.

They compute in the precision that JAX is set to; for float64 call
``jax.config.update("jax_enable_x64", True)`` first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..model.activations import jax_operations
from ..results.doors import model_of, network_of
from ..results.model import TrainedModel, TrainedNetwork
from ..results.solution import Solution
from ..transcription.tape import NAMES, SCALAR_OPERATIONS, Tape
from .operations import require


def jax_network(network: TrainedNetwork | TrainedModel | Solution) -> Callable[[Any], Any]:
    """Return z -> N(z) for (inputs,) or (samples, inputs) arrays.

    Raises
    ------
    MissingDependency
        JAX is not installed.
    """
    network = network_of("jax_network", network)
    operations = jax_operations()
    import jax.numpy as jnp

    theta = jnp.asarray(network.weights)

    def evaluate(z: Any) -> Any:
        return network.network(jnp.asarray(z).T, theta, operations).T

    return evaluate


def jax_rhs(model: TrainedModel | Solution) -> Callable[..., Any]:
    """Return (t, x, u=()) -> dx of a trained model, weights and parameters put in.

    Raises
    ------
    MissingDependency
        JAX is not installed.
    InputError
        An operation that JAX lacks.
    """
    model = model_of("jax_rhs", model)
    jax_operations()
    import jax.numpy as jnp
    from jax.scipy.special import erf

    tape = Tape.of(model.trained_function())
    operations = dict(SCALAR_OPERATIONS)
    for name, function in SCALAR_OPERATIONS.items():
        label = getattr(function, "__name__", "")
        if hasattr(jnp, label) and label != "<lambda>":
            operations[name] = getattr(jnp, label)
    operations["if_else_zero"] = lambda c, a: jnp.where(c, a, 0.0)
    operations["erf"] = erf
    require({NAMES[c] for c in tape.code.tolist()}, operations, "the right-hand side")

    def rhs(t: Any, x: Any, u: Any = ()) -> Any:
        states, inputs = jnp.asarray(x), jnp.asarray(u)
        arguments = ([t], list(states), list(inputs))
        return jnp.stack([jnp.asarray(v) for v in tape.replay(arguments, operations)[0]])

    return rhs
