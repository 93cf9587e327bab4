"""Flat symbolic collocation in CasADi: SX expressions in loops, derivatives left to ``nlpsol``.

This is how CasADi's own direct-collocation examples write such a problem.  Unknowns are the
weights and the states at all nodes of Radau IIA elements (three stages, one element for three
samples); rows are the collocation equations; the loss is the mean squared error at the sample
times (Lagrange interpolation inside the element) plus ``regularisation * |theta|^2``.  IPOPT with
MUMPS as in the CasADi wheel.

Settings: ``regularisation`` 1e-4 is the best of 1e-6 ... 1e-3 on this data (README); the start is
Glorot weights and the noisy data interpolated; IPOPT's defaults otherwise, except ``tol``.
"""

from __future__ import annotations

import casadi as ca
import numpy as np

from .common import HIDDEN, STATES, WEIGHTS, Data, PeerResult, Radau, Stopwatch, glorot, network

ca.load_nlpsol("ipopt")  # loading the plugin is part of the import, not of the build


def weights(theta: ca.SX):
    """W1, b1, W2, b2 in the row-major layout of `common.unpack`."""
    a, b = STATES * HIDDEN, STATES * HIDDEN + HIDDEN
    c = b + HIDDEN * STATES
    w1 = ca.reshape(theta[:a], STATES, HIDDEN).T
    w2 = ca.reshape(theta[b:c], HIDDEN, STATES).T
    return w1, theta[a:b], w2, theta[c:]


def problem(data: Data, grid: Radau, regularisation: float) -> dict[str, ca.SX]:
    """The NLP: unknowns (theta, y(0), then element by element), loss and collocation rows."""
    theta = ca.SX.sym("theta", WEIGHTS)
    w1, b1, w2, b2 = weights(theta)
    elements, stages = len(grid.times), len(grid.nodes) - 1
    unknowns, rows, nodes = [theta], [], []
    last = ca.SX.sym("y0", STATES)
    unknowns.append(last)
    for e in range(elements):
        inner = [ca.SX.sym(f"y_{e}_{k}", STATES) for k in range(1, stages + 1)]
        unknowns += inner
        values = [last, *inner]
        for k in range(stages):
            slope = sum(grid.d[k, j] * values[j] for j in range(stages + 1))
            f = w2 @ ca.tanh(w1 @ inner[k] + b1) + b2
            rows.append(slope - grid.h * f)
        nodes.append(values)
        last = inner[-1]
    error = 0
    for i, e in enumerate(grid.where):
        at_sample = sum(grid.lagrange[i, j] * nodes[e][j] for j in range(stages + 1))
        error += ca.sumsqr(at_sample - data.y[i])
    loss = error / data.y.size + regularisation * ca.sumsqr(theta)
    return {"x": ca.vertcat(*unknowns), "f": loss, "g": ca.vertcat(*rows)}


def start(data: Data, grid: Radau, seed: int) -> np.ndarray:
    """Glorot weights and the data at the nodes, in the order of `problem`."""
    values = grid.start(data)
    return np.concatenate([glorot(seed), values[0, 0], values[:, 1:].ravel()])


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float = 1e-4,
    tol: float = 1e-6,
    max_iter: int = 1000,
    build_only: bool = False,
) -> PeerResult:
    """Build the NLP and its derivatives, solve it."""
    watch = Stopwatch()
    grid = Radau.over(data.t)
    options = {"tol": tol, "max_iter": max_iter, "print_level": 0, "sb": "yes"}
    nlp = problem(data, grid, regularisation)
    solver = ca.nlpsol("solver", "ipopt", nlp, {"ipopt": options, "print_time": False})
    build = watch.split()
    if build_only:
        return PeerResult("flat CasADi SX", build, np.nan, None, None, "build only")
    found = solver(x0=start(data, grid, seed), lbg=0.0, ubg=0.0)
    x = found["x"].full().ravel()
    solve = watch.split()
    stats = solver.stats()
    detail = f"{stats['iter_count']} iterations, {stats['return_status']}"
    theta, y0 = x[:WEIGHTS], x[WEIGHTS : WEIGHTS + STATES]
    return PeerResult("flat CasADi SX", build, solve, network(theta), y0, detail)
