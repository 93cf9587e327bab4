r"""The linear program over one linear region: exact arithmetic of the network around a point.

In the region of x̄ (its activation pattern fixed) the network is y = J x + y_0, so an objective is
linear and the region a polytope of one row a kink.  Its optimum repairs what the tolerances of a
MIP solver left over, and moving from region to region while the objective improves gives a good
incumbent to start branch and bound with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from .bounds import sample_box
from .constraints import Linear
from .network import ReluNetwork

Array = NDArray[np.float64]


def polish(network: ReluNetwork, cost: Array, box: Array, linear: Linear, x: Array) -> Array | None:
    """Minimise cost·[x; y] over the linear region of ``x``; return the optimum, None if empty.

    Parameters
    ----------
    network : without affine maps (see `ReluNetwork.core`), as are all other arguments.
    """
    n = network.inputs
    J, offset = np.eye(n), np.zeros(n)
    rows, sides = [], []
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        J, offset = W @ J, W @ offset + b
        if layer == len(network.clip):
            break
        a, level = J @ x + offset, network.level(layer)
        on, saturated = a > 0.0, a >= level
        linear_units = on & ~saturated
        capped = np.isfinite(level)
        for J_part, side in (
            (J[~on], -offset[~on]),  # a <= 0
            (-J[on & ~saturated], offset[on & ~saturated]),  # a >= 0
            (J[linear_units & capped], (level - offset)[linear_units & capped]),  # a <= c
            (-J[saturated], (offset - level)[saturated]),  # a >= c
        ):
            rows.append(J_part)
            sides.append(side)
        J = np.where(linear_units[:, None], J, 0.0)
        offset = np.where(linear_units, offset, np.where(saturated, level, 0.0))
    A = linear.A[:, :n] + linear.A[:, n:] @ J
    shift = linear.A[:, n:] @ offset
    for sign, side in ((1.0, linear.upper - shift), (-1.0, shift - linear.lower)):
        finite = np.isfinite(side)
        rows.append(sign * A[finite])
        sides.append(side[finite])
    found = linprog(cost[:n] + cost[n:] @ J, np.vstack(rows), np.concatenate(sides), bounds=box)
    return None if found.x is None else np.clip(found.x, box[:, 0], box[:, 1])


def objective(network: ReluNetwork, cost: Array, x: Array) -> float:
    """Return cost·[x; y] at one point, y by forward evaluation."""
    return float(cost[: network.inputs] @ x + cost[network.inputs :] @ network(x))


def walk(
    network: ReluNetwork,
    cost: Array,
    box: Array,
    linear: Linear,
    samples: int = 2000,
    starts: int = 3,
    steps: int = 40,
    seed: int = 0,
) -> Array | None:
    """Return a good feasible point: the best samples, each followed from region to region.

    Returns
    -------
    None if no sample satisfies the constraints.
    """
    points = sample_box(box, samples, seed)
    points = points[linear.satisfied(network, points)]
    if not len(points):
        return None
    values = points @ cost[: network.inputs] + network(points) @ cost[network.inputs :]
    best, least = points[int(np.argmin(values))], np.inf
    for x in points[np.argsort(values)[:starts]]:
        here, value = x, objective(network, cost, x)
        for _ in range(steps):
            moved = polish(network, cost, box, linear, here)
            if moved is None:
                break
            reached = objective(network, cost, moved)
            if not linear.satisfied(network, moved[None])[0] or reached >= value - 1e-9:
                break
            value, best_here = reached, moved
            if value < least:
                least, best = value, best_here
            # a little beyond the region's face, into the next one
            here = np.clip(moved + 1e-6 * (moved - here), box[:, 0], box[:, 1])
    return best
