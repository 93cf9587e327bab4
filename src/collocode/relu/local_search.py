r"""Local search from linear region to linear region: linear programs in exact arithmetic of the network.

In the region of x̄ (its activation pattern fixed) the network is y = J x + y_0, so an objective is
linear and the region a polytope of one row per kink.  Its optimum repairs what the tolerances of a
MIP solver left over, and moving from region to region while the objective improves gives a good
incumbent to start branch and bound with.  Many starts go down the network's own gradient first, all at once,
and the best few of them are followed by linear programs.

Tong, Zhu, Serra & Burer, Optimization over trained neural networks: going large with gradient-based
algorithms, arXiv 2512.24295 (2025); Perakis & Tsiourvas, Optimizing objective functions from trained ReLU neural networks via sampling,
2022; Tong, Cai & Serra, Optimization over trained neural networks: taking a relaxing walk,
CPAIOR 2024.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from ..numerics import Array
from ..solvers.interrupt import interrupted
from .bounds import sample_box
from .problem import OptimizationProblem


def region_optimum(problem: OptimizationProblem, x: Array) -> Array | None:
    """Return the optimum over the linear region of ``x``, None if the constraints leave nothing.

    Parameters
    ----------
    problem : without affine maps (see `OptimizationProblem.core`).
    """
    network, cost, linear = problem.network, problem.cost, problem.linear
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
    slope = cost[:n] + cost[n:] @ J
    found = linprog(slope, np.vstack(rows), np.concatenate(sides), bounds=problem.box)
    return None if found.x is None else np.clip(found.x, *problem.box.T)


def best_sample(problem: OptimizationProblem, samples: int = 2000, seed: int = 0) -> Array | None:
    """Return the best random point that satisfies the constraints, None if none does."""
    points = _sorted_samples(problem, samples, seed)
    return points[0] if len(points) else None


def _sorted_samples(problem: OptimizationProblem, samples: int, seed: int) -> Array:
    points = sample_box(problem.box, samples, seed)
    points = points[problem.linear.satisfied(problem.network, points)]
    return points[np.argsort(problem.cost_at(points))]


def gradient_walk(problem: OptimizationProblem, points: Array, steps: int = 60) -> Array:
    """Take points down the gradient within box and constraints, all at once; return them, the best first.

    A point goes by a share of the box that is halved where it would not improve, and doubled where it does.

    Parameters
    ----------
    problem : without affine maps (see `OptimizationProblem.core`).
    points : (S, inputs) that satisfy the constraints.
    steps : evaluations of every point.
    """
    low, high = problem.box.T
    width = high - low
    x, value = points.copy(), problem.cost_at(points)
    share = np.full(len(x), 0.1)
    for _ in range(steps):
        slope = _slopes(problem, x) * width
        size = np.linalg.norm(slope, axis=1, keepdims=True)
        moved = x - share[:, None] * width * slope / np.where(size > 0.0, size, 1.0)
        moved = np.clip(moved, low, high)
        reached = problem.cost_at(moved)
        better = (reached < value) & problem.linear.satisfied(problem.network, moved)
        x, value = np.where(better[:, None], moved, x), np.where(better, reached, value)
        share *= np.where(better, 2.0, 0.5)
    return np.asarray(x[np.argsort(value, kind="stable")])


def _slopes(problem: OptimizationProblem, x: Array) -> Array:
    """(S, inputs) derivatives of the cost, zero through units that are off or saturated."""
    network, n = problem.network, problem.network.inputs
    a = network.pre_activations(x)
    pulled = np.broadcast_to(problem.cost[n:], (len(x), network.outputs))
    for layer in reversed(range(len(network.weights))):
        pulled = pulled @ network.weights[layer]
        if layer:
            before = a[layer - 1]
            pulled = np.where((before > 0.0) & (before < network.level(layer - 1)), pulled, 0.0)
    return problem.cost[:n] + pulled


def local_search(
    problem: OptimizationProblem,
    samples: int = 2000,
    starts: int = 8,
    steps: int = 40,
    seed: int = 0,
) -> Array | None:
    """Return a good feasible point: samples go down the gradient, the best are followed from region to region.

    Parameters
    ----------
    problem : without affine maps (see `OptimizationProblem.core`).
    samples : random points; a tenth of them, the best, go down the gradient.
    starts : of these, how many are followed by linear programs, each through ``steps`` regions at most.

    Returns
    -------
    None if no sample satisfies the constraints.
    """
    points = _sorted_samples(problem, samples, seed)
    if not len(points):
        return None
    points = gradient_walk(problem, points[: max(starts, samples // 10)])
    best, least = points[0], float(problem.cost_at(points[0]))
    for x in points[:starts]:
        here, value = x, problem.cost_at(x)
        for _ in range(steps):
            if interrupted():
                return best
            moved = region_optimum(problem, here)
            if moved is None:
                break
            reached = problem.cost_at(moved)
            allowed = problem.linear.satisfied(problem.network, moved[None])[0]
            if not allowed or reached >= value - 1e-9:
                break
            value = reached
            if value < least:
                least, best = value, moved
            # a little beyond the region's face, into the next one
            here = np.clip(moved + 1e-6 * (moved - here), *problem.box.T)
    return best
