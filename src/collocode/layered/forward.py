"""Propagation of all samples through the layers: batched matrix products, a loop over layers only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .arithmetic import Factor
from .network import LayeredNetwork

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pass:
    """One evaluation: the weights, all states, the read-outs, and the value of J."""

    theta: Array
    states: Array
    outputs: Array
    value: float


def lifted(network: LayeredNetwork, theta: Array, X: ArrayLike) -> Array:
    """(S, state_size) states x₀ of the features."""
    features = np.asarray(X, dtype=float)
    if features.ndim != 2 or features.shape[1] != network.inputs:
        raise InputError(
            f"the features have shape {features.shape}, but the network needs (S, {network.inputs})."
        )
    if network.lift == "opening":
        K, b = network.opening(theta)
        start = np.tanh(features @ K.T + b)
    else:
        start = features
    room = network.state_size - start.shape[1]
    return np.pad(start, ((0, 0), (0, room))) if room else start


def forward(network: LayeredNetwork, theta: ArrayLike, X: ArrayLike) -> Array:
    """Return the states of all samples at all layers.

    Parameters
    ----------
    theta : (n_weights,) weights.
    X : (S, inputs) features.

    Returns
    -------
    (N+1, S, state_size) states x_0 ... x_N.  Values may be infinite where the weights are large.
    """
    weights = network.checked(theta)
    K, b = network.stage_weights(weights)
    start = lifted(network, weights, X)
    states = np.empty((network.layers + 1, *start.shape))
    states[0] = start
    with np.errstate(over="ignore", invalid="ignore"):
        for n, h in enumerate(network.mesh.steps):
            states[n + 1] = network.block.step(states[n], K[n], b[n], h)
    return states


def predict(network: LayeredNetwork, theta: ArrayLike, X: ArrayLike) -> Array:
    """(S, outputs) read-outs W x_N + μ; keeps one layer's states at a time."""
    weights = network.checked(theta)
    K, b = network.stage_weights(weights)
    x = lifted(network, weights, X)
    with np.errstate(over="ignore", invalid="ignore"):
        for n, h in enumerate(network.mesh.steps):
            x = network.block.step(x, K[n], b[n], h)
        return read_out(network, weights, x)


def read_out(network: LayeredNetwork, theta: Array, final: Array) -> Array:
    """(S, outputs) affine read-outs of final states."""
    W, mu = network.readout(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(final[:, : network.width] @ W.T + mu)


def seeds_of(network: LayeredNetwork, by_features: Array) -> Array:
    """(..., S, state_size) cotangents of x_N from those of the d features that the read-out sees."""
    room = network.state_size - network.width
    if not room:
        return by_features
    return np.concatenate([by_features, np.zeros((*by_features.shape[:-1], room))], axis=-1)


def backward(
    network: LayeredNetwork, theta: Array, states: Array, p: Array
) -> Iterator[tuple[int, Array, list[Factor]]]:
    """Take cotangents (..., S, state_size) of x_N back through the layers, the last one first.

    Yields
    ------
    The layer n, the cotangents of x_n, and the factors of the derivatives by the layer's weights.
    """
    K, b = network.stage_weights(theta)
    steps = network.mesh.steps
    for n in range(network.layers - 1, -1, -1):
        p, factors = network.block.pullback(states[n], K[n], b[n], steps[n], p)
        yield n, p, factors


def opening_factor(network: LayeredNetwork, states: Array, p: Array, X: Array) -> Factor:
    """Return the factor of the derivatives by (K₀, b₀), given the cotangents of x₀."""
    start = states[0][:, : network.width]
    return Factor(0, (1.0 - start**2) * p[..., : network.width], X)
