"""Training of stream networks by Adam on minibatches; their loss and accuracy.  Import needs ``collocode[learn]``."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from ...errors import InputError
from ...numerics.random import generator
from ..continuous_jax import float64
from ..equinox_blocks import StreamNetwork
from ..losses import accuracy
from ..samples import Samples


def stream_loss(network: StreamNetwork, X: jax.Array, classes: jax.Array) -> jax.Array:
    """Mean cross-entropy of the softmax."""
    return cross_entropy(network(X), classes)


def cross_entropy(outputs: jax.Array, classes: jax.Array) -> jax.Array:
    """Return the mean cross-entropy of (S, classes) outputs."""
    chosen = jnp.take_along_axis(outputs, classes[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(outputs, axis=1) - chosen)


@eqx.filter_jit
def measured_loss(network: StreamNetwork, X: jax.Array, classes: jax.Array) -> jax.Array:
    """Compiled `stream_loss`."""
    return stream_loss(network, X, classes)


@eqx.filter_jit
def _outputs(network: StreamNetwork, X: jax.Array) -> jax.Array:
    return network(X)


def arrays_of(samples: Samples) -> tuple[jax.Array, jax.Array]:
    """Images and classes for JAX.

    Raises
    ------
    InputError
        Targets that are no classes.
    """
    if not samples.classes:
        raise InputError("a stream network tells classes apart; these targets are numbers.")
    return jnp.asarray(samples.X), jnp.asarray(samples.Y)


def train_stream(
    network: StreamNetwork,
    samples: Samples,
    validation: Samples | None = None,
    *,
    epochs: int = 20,
    rate: float = 3e-3,
    batch: int = 128,
    seed: int = 0,
) -> tuple[StreamNetwork, pd.DataFrame]:
    """Train a stream network by Adam on minibatches.

    Returns
    -------
    The network of the last epoch, and one row per epoch: loss, accuracies, seconds.
    """
    if epochs < 1 or batch < 1 or not rate > 0.0:
        raise InputError("epochs, batch and rate must be positive.")
    adam, step = _adam(rate)
    began, rows = time.perf_counter(), []
    with float64():
        X, y = arrays_of(samples)
        state = adam.init(eqx.filter(network, eqx.is_array))
        rng = generator(seed)
        count = max(1, len(samples) // batch)
        for epoch in range(1, epochs + 1):
            order = rng.permutation(len(samples))[: count * batch]  # one shape: compiled once
            for part in np.array_split(order, count):
                network, state = step(network, state, X[part], y[part])
            row = {"epoch": epoch, "loss": float(measured_loss(network, X, y))}
            row["training"] = stream_accuracy(network, samples)
            if validation is not None:
                row["validation"] = stream_accuracy(network, validation)
            rows.append({**row, "seconds": time.perf_counter() - began})
    return network, pd.DataFrame(rows)


@cache
def _adam(rate: float) -> tuple[Any, Any]:
    """Optax's Adam and a compiled step of it; kept, so that equal networks compile once."""
    import optax

    adam = optax.adam(rate)

    @eqx.filter_jit
    def step(net: StreamNetwork, state: object, X: jax.Array, y: jax.Array) -> tuple:
        gradient = eqx.filter_grad(stream_loss)(net, X, y)
        change, state = adam.update(gradient, state)
        return eqx.apply_updates(net, change), state

    return adam, step


def stream_accuracy(network: StreamNetwork, samples: Samples) -> float:
    """Share of images whose class is right."""
    with float64():
        outputs = np.asarray(_outputs(network, jnp.asarray(samples.X)))
    return accuracy(outputs.argmax(axis=1), np.asarray(samples.Y, dtype=np.intp))
