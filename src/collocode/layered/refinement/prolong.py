r"""`prolong`: bisected layers whose halves do together what the layer did.

With copied weights two half-steps are the flow's step, and trained networks are often far from their flow: their
objective jumps.  Here the halves' weights are fitted to the layer's own step, layer by layer,

.. math:: \min_{K_1,b_1,K_2,b_2}\ \frac1{2S}\sum_s\|\Phi_{h/2}(\Phi_{h/2}(x_{n,s};K_1,b_1);K_2,b_2)-x_{n+1,s}\|^2
          +\frac\rho2\frac h2\sum_i\|(K_i,b_i)\|^2,

from the copied weights on, by L-BFGS.  It costs passes through two layers, not through the network.  A step that
folds, so that no two half-steps can do the same, leaves a gap; `Prolongation.value` tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from ...kinds import check_type
from ...numerics import Array
from ..blocks import Factor
from ..depth import bisect, one_each
from ..forward import forward
from ..network import LayeredNetwork
from ..objective import Objective

_RIDGE = 1e-6  # ρ: keeps the halves' weights moderate where the data leave them free


@dataclass(frozen=True, eq=False, kw_only=True)
class Prolongation:
    """A network with the weights to begin with.

    Attributes
    ----------
    network, theta : the network and its weights.
    value : J there, to be compared with that of the network before; nan for a first one.
    fitted : whether its halves were fitted; otherwise copied weights had the lower J.
    passes : layers passed, forward or backward, by all samples, in finding it.
    """

    network: LayeredNetwork
    theta: Array
    value: float = float("nan")
    fitted: bool = False
    passes: float = 0.0


def prolong(
    objective: Objective,
    theta: ArrayLike,
    layers: Iterable[int],
    iterations: int = 30,
    rows: int = 300,
) -> Prolongation:
    """Halve some layers so that the function changes as little as may be.

    Parameters
    ----------
    objective, theta : of the network that is refined.
    layers : numbers of the layers, from 0.
    iterations : of L-BFGS for every layer; 0 copies the weights, as `collocode.layered.bisect` does.
    rows : samples that the fit looks at, at most, evenly taken.

    Returns
    -------
    The start of lower J: with fitted halves or with copied ones.  Where a basis ties the layers' weights
    together, they are copied.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LogisticLoss, spiral2d, train
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 5, 2))
    >>> coarse = train(Objective(network, spiral2d(200)[0], LogisticLoss()), iterations=40)
    >>> objective = Objective(network, spiral2d(200)[0], LogisticLoss())
    >>> copied, fitted = (prolong(objective, coarse.theta, [0], n).value for n in (0, 30))
    >>> abs(fitted - coarse.objective) < 0.1 * abs(copied - coarse.objective)
    True
    """
    check_type("prolong", objective, Objective)
    network, chosen = objective.network, sorted(set(layers))
    weights = network.checked(theta)
    finer, copied = bisect(network, weights, chosen)
    fine = Objective(finer, objective.samples, objective.loss, objective.regularisation)
    value, passes = fine.value(copied), float(finer.layers)
    if iterations < 1 or not one_each(network):
        return Prolongation(network=finer, theta=copied, value=value, fitted=False, passes=passes)
    X = objective.samples.X
    some = X[np.unique(np.linspace(0, len(X) - 1, min(rows, len(X))).astype(int))]
    states, share = forward(network, weights, some), len(some) / len(X)
    fitted = copied.copy()
    coefficients = finer.split(fitted)[1]
    passes += share * network.layers + finer.layers
    for shift, n in enumerate(chosen):
        halves, evaluations = _fit(
            network, states[n : n + 2], coefficients[n + shift], n, iterations
        )
        coefficients[n + shift : n + shift + 2] = halves
        passes += 4.0 * share * evaluations  # two layers, there and back
    better = fine.value(fitted)
    if not better < value:
        return Prolongation(network=finer, theta=copied, value=value, fitted=False, passes=passes)
    return Prolongation(network=finer, theta=fitted, value=better, fitted=True, passes=passes)


def _fit(
    network: LayeredNetwork, states: Array, row: Array, n: int, iterations: int
) -> tuple[Array, int]:
    """(2, d(d+1)) weights of two halves that take ``states[0]`` to ``states[1]``; and the evaluations."""
    block, d, h = network.block, network.width, 0.5 * float(network.mesh.steps[n])
    (x, target), stages = states, len(block.stages)

    def weights(half: Array) -> tuple[Array, Array]:
        K = half[: d * d].reshape(d, d, order="F")
        return np.broadcast_to(K, (stages, d, d)), np.broadcast_to(half[d * d :], (stages, d))

    def evaluate(flat: Array) -> tuple[float, Array]:
        first, second = flat.reshape(2, -1)
        with np.errstate(over="ignore", invalid="ignore"):
            middle = block.step(x, *weights(first), h)
            gap = block.step(middle, *weights(second), h) - target
            p, by_second = block.pullback(middle, *weights(second), h, gap / len(x))
            _, by_first = block.pullback(x, *weights(first), h, p)
        penalty = _RIDGE * h * flat
        value = 0.5 * float((gap**2).sum()) / len(x) + 0.5 * float(flat @ penalty)
        return value, np.concatenate([_gradient(by_first), _gradient(by_second)]) + penalty

    options = {"maxiter": iterations, "maxfun": 3 * iterations}
    start = np.concatenate([row, row])
    found = minimize(evaluate, start, jac=True, method="L-BFGS-B", options=options)
    best = found.x if np.isfinite(found.fun) else start
    return best.reshape(2, -1), int(found.nfev)


def _gradient(factors: list[Factor]) -> Array:
    """(d(d+1),) derivatives by [K column by column, b] of all stages, which share them."""
    pairs = [factor.gradient() for factor in factors]
    K, b = (np.sum([pair[i] for pair in pairs], axis=0) for i in (0, 1))
    return np.concatenate([K.ravel(order="F"), b])
