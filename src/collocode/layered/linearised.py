r"""The linearised network, in both directions: products with the Jacobian and its transpose.

With :math:`u=Wx_N+\mu`, `push` is :math:`\dot u=\frac{\partial u}{\partial\theta}\dot\theta` for all
samples and `pull_outputs` is :math:`\sum_s(\partial u_s/\partial\theta)^Tv_s`.  Either costs about what an
evaluation does.  `state_rows` writes the rows of :math:`\partial x_N/\partial\vartheta` out, for networks
with few weights; ϑ is what shapes the states: opening and coefficients, not the read-out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .forward import Pass, backward, opening_factor, seeds_of
from .network import LayeredNetwork

Array = NDArray[np.float64]
_MOST = 2**23  # numbers in one chunk of rows: 64 MB


def pull_outputs(network: LayeredNetwork, done: Pass, X: Array, v: Array) -> Array:
    """(n_weights,) derivatives by all weights of Σ_s v_s · u_s, for v of (S, outputs)."""
    W, _ = network.readout(done.theta)
    by_readout = np.concatenate(
        [(v.T @ done.states[-1][:, : network.width]).ravel(order="F"), v.sum(axis=0)]
    )
    return np.concatenate([pull_states(network, done, X, v @ W), by_readout])


def pull_states(network: LayeredNetwork, done: Pass, X: Array, v: Array) -> Array:
    """Derivatives by opening and coefficients of Σ_s v_s · x_{s,N}, for v of (S, d)."""
    d, stages = network.width, len(network.block.stages)
    by_weights = np.zeros((network.layers, stages, network.row))
    p = seeds_of(network, v)
    for n, by_state, factors in backward(network, done.theta, done.states, p):
        p = by_state
        for factor in factors:
            by_matrix, by_bias = factor.gradient()
            by_weights[n, factor.stage, : d * d] += by_matrix.ravel(order="F")
            by_weights[n, factor.stage, d * d :] += by_bias
    by_coefficients = network.time_values.T @ by_weights.reshape(-1, network.row)
    if network.lift != "opening":
        return np.asarray(by_coefficients.ravel())
    by_matrix, by_bias = opening_factor(network, done.states, p, X).gradient()
    return np.concatenate([by_matrix.ravel(order="F"), by_bias, by_coefficients.ravel()])


def push_states(network: LayeredNetwork, done: Pass, X: Array, direction: Array) -> Array:
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


def push(network: LayeredNetwork, done: Pass, X: Array, direction: Array) -> Array:
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
    p = seeds_of(network, seeds)
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
    """Yield slices of the samples whose rows, of ``numbers`` entries a sample, fit into memory."""
    size = max(1, _MOST // max(1, numbers))
    for first in range(0, samples, size):
        yield slice(first, min(samples, first + size))
