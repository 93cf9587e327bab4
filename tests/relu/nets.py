"""Small random networks and the optimum by brute force."""

from itertools import pairwise, product

import numpy as np
from scipy.optimize import linprog

from collocode.relu import ReluNetwork


def random_network(seed, sizes=(2, 4, 3, 1), clip=None, affine=False):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(m, n)) * np.sqrt(2.0 / n) for n, m in pairwise(sizes)]
    biases = [0.4 * rng.normal(size=m) for m in sizes[1:]]
    outside = {}
    if affine:
        n, m = sizes[0], sizes[-1]
        outside = {
            "input_shift": rng.normal(size=n),
            "input_scale": rng.uniform(0.5, 3.0, n),
            "output_shift": rng.normal(size=m),
            "output_scale": rng.uniform(0.5, 3.0, m),
        }
    return ReluNetwork(tuple(weights), tuple(biases), **outside).with_clip(clip)


def enumerated_maximum(network, box, A=None, low=None, up=None):
    """max y_0 by one LP over the inputs for every activation pattern of a plain or clipped network."""
    box = np.asarray(box, dtype=float)
    n = network.inputs
    cases = [(0, 1, 2) if network.clipped else (0, 1)] * network.units
    best = -np.inf
    for pattern in product(*cases):
        J = np.diag(1.0 / network.input_scale)
        offset = -network.input_shift / network.input_scale
        rows, sides, left = [], [], list(pattern)
        for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
            J, offset = W @ J, W @ offset + b
            if layer == len(network.clip):
                break
            level = network.level(layer)
            for unit in range(len(b)):
                case, c = left.pop(0), level[unit]
                if case == 0:  # a <= 0
                    rows.append(J[unit].copy()), sides.append(-offset[unit])
                    J[unit], offset[unit] = 0.0, 0.0
                elif case == 1:  # 0 <= a <= c
                    rows.append(-J[unit]), sides.append(offset[unit])
                    if np.isfinite(c):
                        rows.append(J[unit].copy()), sides.append(c - offset[unit])
                else:  # a >= c
                    rows.append(-J[unit].copy()), sides.append(offset[unit] - c)
                    J[unit], offset[unit] = 0.0, c
        if A is not None:
            rows += [*np.atleast_2d(A), *(-np.atleast_2d(A))]
            sides += [*np.atleast_1d(up), *(-np.atleast_1d(low))]
        found = linprog(-J[0], np.array(rows), np.array(sides), bounds=box)
        if found.status == 0:
            best = max(best, -found.fun + offset[0])
    assert np.isfinite(best)
    assert n == len(box)
    return float(network.output_shift[0] + network.output_scale[0] * best)
