r"""Local search: descent of many samples at once, then from linear region to linear region.

Descent is projected and perturbed: all samples move together along the cost's slope, by steps that
shrink, and back towards constraints that they violate.  In the region of a point (its activation
pattern fixed) the network is y = J x + y_0, so the cost is linear and the region a polytope of one row
per kink: a linear program finds its optimum, and repairs what the tolerances of a MIP solver left over.
From there the search crosses into the next region; where that does not help it looks around, at
distances from near to far.  What it returns starts branch and bound, and is what a search that was cut
short returns.

Perakis & Tsiourvas, Optimizing objective functions from trained ReLU neural networks via sampling,
2022; Tong, Cai & Serra, Optimization over trained neural networks: taking a relaxing walk, CPAIOR 2024;
Tong, Zhu, Serra & Burer, Optimization over trained neural networks: going large with gradient-based
algorithms, arXiv 2512.24295, 2025.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from ..numerics import Array
from ..numerics.random import generator
from ..solvers.interrupt import interrupted
from .bounds import sample_box
from .problem import OptimizationProblem

_DESCENTS = 512  # samples that descend: half the best, half whatever comes
_STEPS = np.geomspace(0.1, 1e-5, 60)  # of descent, as shares of the box
_LOOKS = np.geomspace(1e-5, 0.3, 10)  # distances of looking around, as shares of the box
_LOOKED_AT = 400  # points of one look
_REPAIRS = 20  # points whose region is searched for one that satisfies the constraints
_ROUNDING = 1e-9  # of the cost's size: what is no gain


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
    return _best(problem, sample_box(problem.box, samples, seed))


def local_search(
    problem: OptimizationProblem,
    samples: int = 2000,
    walks: int = 6,
    seed: int = 0,
) -> Array | None:
    """Return a good feasible point: samples descend together, the best ones walk over regions.

    Parameters
    ----------
    problem : without affine maps (see `OptimizationProblem.core`).
    samples : random points; some 500 of them descend.
    walks : best distinct points that are followed from region to region.

    Returns
    -------
    None if no point satisfies the constraints.
    """
    points = sample_box(problem.box, samples, seed)
    order = np.argsort(problem.cost_at(points))
    half = min(_DESCENTS, samples) // 2
    reached = _descended(problem, points[np.concatenate([order[:half], order[half : 2 * half]])])
    reached = _satisfying(problem, np.vstack([reached, points]))
    if not len(reached):
        return None
    walked = []
    for x in _distinct(problem, reached[np.argsort(problem.cost_at(reached))], walks):
        if interrupted():
            break
        walked.append(walk(problem, x, seed))
    return _best(problem, np.array([*walked, reached[np.argmin(problem.cost_at(reached))]]))


def walk(problem: OptimizationProblem, x: Array, seed: int = 0, steps: int = 200) -> Array:
    """Follow a feasible point from region to region until no look around it finds a better one.

    Parameters
    ----------
    problem : without affine maps.
    """
    width, rng = np.ptp(problem.box, axis=1), generator(seed)
    best, least, here = x, problem.cost_at(x), x
    for _ in range(steps):
        if interrupted():
            break
        gain = _ROUNDING * (1.0 + abs(least))
        moved = region_optimum(problem, here)
        found = None if moved is None else _best(problem, moved[None])
        if found is not None and problem.cost_at(found) < least - gain:
            # a little beyond the region's face, into the next one
            here = np.clip(found + 1e-6 * (found - here), *problem.box.T)
            best, least = found, problem.cost_at(found)
            continue
        away = rng.uniform(-1.0, 1.0, (len(_LOOKS), _LOOKED_AT // len(_LOOKS), len(width)))
        around = best + (away * _LOOKS[:, None, None] * width).reshape(-1, len(width))
        found = _best(problem, np.clip(around, *problem.box.T))
        if found is None or problem.cost_at(found) >= least - gain:
            break
        best = here = found
        least = problem.cost_at(found)
    return best


def polished(problem: OptimizationProblem, found: Array | None) -> Array | None:
    """Return the best of what a solver found, where a walk from it ends, and the start.

    Points that satisfy the constraints come first.
    """
    candidates = [p for p in (problem.start, found) if p is not None]
    if not candidates:
        return None
    points = np.clip(candidates, *problem.box.T)
    allowed = points[problem.linear.satisfied(problem.network, points, 1e-6)]
    if not len(allowed):
        return np.asarray(points[-1])
    best = np.asarray(allowed[np.argmin(problem.cost_at(allowed))])
    moved = region_optimum(problem, best)  # what a solver's tolerances left over
    if moved is not None and problem.linear.satisfied(problem.network, moved[None], 1e-6)[0]:
        best = min(best, moved, key=problem.cost_at)
    return walk(problem, best)


def _best(problem: OptimizationProblem, points: Array) -> Array | None:
    """Return the best of those points that satisfy the constraints."""
    allowed = points[problem.linear.satisfied(problem.network, points)]
    return allowed[np.argmin(problem.cost_at(allowed))] if len(allowed) else None


def _satisfying(problem: OptimizationProblem, points: Array) -> Array:
    """Return the points that satisfy the constraints, or what linear programs near the others find."""
    allowed = points[problem.linear.satisfied(problem.network, points)]
    if len(allowed) or interrupted():
        return allowed
    missed = _slopes(problem, points)[2]
    found = [region_optimum(problem, x) for x in points[np.argsort(missed)[:_REPAIRS]]]
    repaired = np.array([x for x in found if x is not None]).reshape(-1, points.shape[1])
    return repaired[problem.linear.satisfied(problem.network, repaired)]


def _distinct(problem: OptimizationProblem, points: Array, count: int) -> list[Array]:
    """Return the first points that lie apart: at least a hundredth of the box from one another."""
    width, chosen = np.maximum(np.ptp(problem.box, axis=1), 1e-300), [points[0]]
    for x in points[1:]:
        if len(chosen) == count:
            break
        if all(np.abs((x - c) / width).max() > 1e-2 for c in chosen):
            chosen.append(x)
    return chosen


def _descended(problem: OptimizationProblem, x: Array) -> Array:
    """Move points down the cost's slope, or back where they violate a constraint; the best of each."""
    width, linear = np.ptp(problem.box, axis=1), problem.linear
    best, least = x.copy(), np.full(len(x), np.inf)
    for step in _STEPS:
        if interrupted():
            break
        slope, value, missed = _slopes(problem, x)
        better = (missed <= 0.0) & (value < least)
        best[better], least[better] = x[better], value[better]
        scaled = slope * width
        length = step / np.maximum(np.abs(scaled).max(axis=1), 1e-300)
        back = missed / np.maximum((scaled**2).sum(axis=1), 1e-300)  # to where it just holds
        length = np.where(missed > 0.0, back, length)
        x = np.clip(x - length[:, None] * scaled * width, *problem.box.T)
    last = linear.satisfied(problem.network, x) & (problem.cost_at(x) < least)
    best[last] = x[last]
    return best


def _slopes(problem: OptimizationProblem, x: Array) -> tuple[Array, Array, Array]:
    """Slopes of what is to be made smaller, cost and worst violation of every point.

    That is the violation where there is one, and the cost elsewhere.
    """
    network, linear, n = problem.network, problem.linear, problem.network.inputs
    passed, values = [], x
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        a = values @ W.T + b
        if layer == len(network.clip):
            values = a
            break
        level = network.level(layer)
        passed.append((a > 0.0) & (a < level))
        values = np.clip(a, 0.0, level)
    both = np.hstack([x, values])
    rows = np.tile(problem.cost, (len(x), 1))
    missed = np.zeros(len(x))
    if len(linear.A):
        sides = both @ linear.A.T
        excess = np.stack([sides - linear.upper, linear.lower - sides])
        side, row = np.unravel_index(
            excess.transpose(1, 0, 2).reshape(len(x), -1).argmax(axis=1), (2, len(linear.A))
        )
        missed = excess[side, np.arange(len(x)), row]
        out = missed > 1e-9 * (1.0 + np.abs(sides).max(axis=1))
        missed = np.where(out, missed, 0.0)
        rows[out] = np.where(side == 0, 1.0, -1.0)[out, None] * linear.A[row[out]]
    slope = rows[:, n:] @ network.weights[-1]
    for W, mask in zip(network.weights[-2::-1], passed[::-1], strict=True):
        slope = (slope * mask) @ W
    return rows[:, :n] + slope, both @ problem.cost, missed
