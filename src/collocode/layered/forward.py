r"""All samples through the layers, forwards, backwards and linearised: batched matrix products.

With :math:`u=Wx_N+\mu`, `push` is :math:`\dot u=\frac{\partial u}{\partial\theta}\dot\theta` for all
samples and `pull_outputs` is :math:`\sum_s(\partial u_s/\partial\theta)^Tv_s`.  Either costs about what an
evaluation does.  `state_rows` writes the rows of :math:`\partial x_N/\partial\vartheta` out, for networks
with few weights; ϑ is what shapes the states: opening and coefficients, not the read-out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..kinds import check_type, kinds_checked
from ..numerics import Array
from .blocks import Factor
from .network import LayeredNetwork

Back = Callable[[Array], tuple[Array, Array]]
_MOST = 2**23  # numbers in one chunk of rows: 64 MB


@dataclass(frozen=True, eq=False)
class Evaluation:
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


@kinds_checked
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
    start = lifted(network, weights, X)
    states = np.empty((network.layers + 1, *start.shape))
    states[0] = start
    for n, x in enumerate(propagated(network, weights, start), start=1):
        states[n] = x
    return states


def propagated(network: LayeredNetwork, theta: Array, x: Array, first: int = 0) -> Iterator[Array]:
    """Yield what becomes of the states x behind each layer, from layer number ``first`` on."""
    K, b = network.stage_weights(theta)
    for n in range(first, network.layers):
        with np.errstate(over="ignore", invalid="ignore"):
            x = network.block.step(x, K[n], b[n], network.mesh.steps[n])
        yield x


def predict(network: LayeredNetwork, theta: ArrayLike, X: ArrayLike) -> Array:
    """(S, outputs) read-outs W x_N + μ; keeps one layer's states at a time."""
    check_type("predict", network, LayeredNetwork)
    weights = network.checked(theta)
    x = lifted(network, weights, X)
    for after in propagated(network, weights, x):
        x = after
    return read_out(network, weights, x)


def read_out(network: LayeredNetwork, theta: Array, final: Array) -> Array:
    """(S, outputs) affine read-outs of final states."""
    W, mu = network.readout(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(final[:, : network.width] @ W.T + mu)


def extend_cotangents(network: LayeredNetwork, by_features: Array) -> Array:
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


def pull_outputs(
    network: LayeredNetwork, done: Evaluation, X: Array, v: Array, back: Back | None = None
) -> Array:
    """(n_weights,) derivatives by all weights of Σ_s v_s · u_s, for v of (S, outputs)."""
    W, _ = network.readout(done.theta)
    by_readout = np.concatenate(
        [(v.T @ done.states[-1][:, : network.width]).ravel(order="F"), v.sum(axis=0)]
    )
    return np.concatenate([pull_states(network, done, X, v @ W, back), by_readout])


def pull_states(
    network: LayeredNetwork, done: Evaluation, X: Array, v: Array, back: Back | None = None
) -> Array:
    """Derivatives by opening and coefficients of Σ_s v_s · x_{s,N}, for v of (S, d).

    Parameters
    ----------
    back : takes (S, state_size) cotangents of x_N to those of x₀ and the derivatives by the
        coefficients; None goes through the layers.
    """
    p = extend_cotangents(network, v)
    p, by_coefficients = back(p) if back is not None else _through_layers(network, done, p)
    if network.lift != "opening":
        return np.asarray(by_coefficients.ravel())
    by_matrix, by_bias = opening_factor(network, done.states, p, X).gradient()
    return np.concatenate([by_matrix.ravel(order="F"), by_bias, by_coefficients.ravel()])


def _through_layers(network: LayeredNetwork, done: Evaluation, p: Array) -> tuple[Array, Array]:
    d, stages = network.width, len(network.block.stages)
    by_weights = np.zeros((network.layers, stages, network.row))
    for n, by_state, factors in backward(network, done.theta, done.states, p):
        p = by_state
        for factor in factors:
            by_matrix, by_bias = factor.gradient()
            by_weights[n, factor.stage, : d * d] += by_matrix.ravel(order="F")
            by_weights[n, factor.stage, d * d :] += by_bias
    return p, network.time_values.T @ by_weights.reshape(-1, network.row)


def push_states(network: LayeredNetwork, done: Evaluation, X: Array, direction: Array) -> Array:
    """(S, d) change of the final features in a direction (n_weights,) of the weights."""
    K, b = network.stage_weights(done.theta)
    dK, db = network.stage_weights(direction)
    dx = np.zeros_like(done.states[0])
    if network.lift == "opening":
        matrix, bias = network.opening(direction)
        start = done.states[0][:, : network.width]
        dx[:, : network.width] = (1.0 - start**2) * (X @ matrix.T + bias)
    for n, h in enumerate(network.mesh.steps):
        dx = network.block.tangent(done.states[n], K[n], b[n], h, dx, dK[n], db[n])
    return dx[:, : network.width]


def push(network: LayeredNetwork, done: Evaluation, X: Array, direction: Array) -> Array:
    """(S, outputs) change of the read-outs in a direction (n_weights,) of the weights."""
    W, _ = network.readout(done.theta)
    dW, dmu = network.readout(direction)
    final = done.states[-1][:, : network.width]
    return np.asarray(push_states(network, done, X, direction) @ W.T + final @ dW.T + dmu)


def state_rows(
    network: LayeredNetwork, theta: Array, states: Array, X: Array, seeds: Array
) -> Array:
    """Return vᵀ ∂x_N/∂ϑ, sample by sample.

    Parameters
    ----------
    states : (N+1, S, state_size), from `forward`.
    X : (S, inputs) features.
    seeds : (q, S, d) vectors v on the features that the read-out sees.

    Returns
    -------
    (q, S, opening + coefficients) rows.
    """
    basis, values = network.time_basis, network.time_values
    stages = len(network.block.stages)
    q, samples, _ = seeds.shape
    where = network.slices["coefficients"]
    table = np.zeros((q, samples, basis.size, network.row))
    p = extend_cotangents(network, seeds)
    for n, by_state, factors in backward(network, theta, states, p):
        p = by_state
        for factor in factors:
            line = values[n * stages + factor.stage]
            by_weights = factor.rows()
            for j, value in zip(line.indices, line.data, strict=True):
                table[:, :, j] += value * by_weights
    rows = table.reshape(q, samples, -1)
    if not where.start:
        return rows
    return np.concatenate([opening_factor(network, states, p, X).rows(), rows], axis=2)


def chunks(samples: int, numbers: int) -> Iterator[slice]:
    """Yield slices of the samples whose rows, of ``numbers`` entries per sample, fit into memory."""
    size = max(1, _MOST // max(1, numbers))
    for first in range(0, samples, size):
        yield slice(first, min(samples, first + size))
