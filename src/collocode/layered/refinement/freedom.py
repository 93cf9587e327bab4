r"""What the two halves of a layer would do: the ground of `layers_estimate`, layer by layer.

`Halves` takes every layer's two half-steps from the states of the whole network, so that one pass
serves all layers, each bisected alone; `freedom_of` asks what different weights in the halves are worth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..depth import bisect
from ..forward import Pass
from ..network import LayeredNetwork

Array = NDArray[np.float64]


class Halves:
    """The layers' two half-steps from the states of the whole ones, with copied weights."""

    def __init__(self, network: LayeredNetwork, done: Pass) -> None:
        self.network = network
        finer, theta = bisect(network, done.theta, range(network.layers))
        self.K, self.b = finer.stage_weights(theta)
        self.steps = finer.mesh.steps
        step, states = network.block.step, done.states
        with np.errstate(over="ignore", invalid="ignore"):
            self.middles = np.stack(
                [step(states[n], *self._first(n)) for n in range(network.layers)]
            )
            self.ends = np.stack(
                [step(self.middles[n], *self._second(n)) for n in range(network.layers)]
            )

    def _first(self, n: int) -> tuple[Array, Array, float]:
        return self.K[2 * n], self.b[2 * n], float(self.steps[2 * n])

    def _second(self, n: int) -> tuple[Array, Array, float]:
        return self.K[2 * n + 1], self.b[2 * n + 1], float(self.steps[2 * n + 1])

    def split_gradient(self, n: int, x: Array, p: Array) -> tuple[Array, Array]:
        """(d, d) and (d,) derivative of p·x_{n+1} by weights added to one half, taken from the other."""
        pullback = self.network.block.pullback
        middle, second = pullback(self.middles[n], *self._second(n), p)
        _, first = pullback(x, *self._first(n), middle)
        shape = self.network.width
        by_matrix, by_bias = np.zeros((shape, shape)), np.zeros(shape)
        for sign, factors in ((1.0, first), (-1.0, second)):
            for factor in factors:
                matrix, bias = factor.gradient()
                by_matrix += sign * matrix
                by_bias += sign * bias
        return by_matrix, by_bias


def freedom_of(P: Array, states: Array, halves: Halves) -> Array:
    """(N,) γ_n = ‖d_n‖² / h_n: squared L² norms of the gradient by what the halves may differ in."""
    gamma = np.empty(halves.network.layers)
    for n, h in enumerate(halves.network.mesh.steps):
        matrix, bias = halves.split_gradient(n, states[n], P[n + 1])
        gamma[n] = (float((matrix**2).sum()) + float((bias**2).sum())) / h
    return gamma
