"""Collocation in CasADi with one mapped Function, derivatives left to ``nlpsol``.

The same NLP as `peers.flat_casadi`, written as CasADi's manual advises for large problems: the
network is one SX Function, ``map`` applies it to all stages at once, and the NLP around it is MX.
The graph is short, so it builds fast; the Jacobian and Hessian that CasADi derives from it are
slower to evaluate than those of the flat graph.

Settings as in `peers.flat_casadi`.
"""

from __future__ import annotations

import casadi as ca
import numpy as np

from .common import STATES, WEIGHTS, Data, PeerResult, Radau, Stopwatch, network
from .flat_casadi import start, weights


def network_function() -> ca.Function:
    """f(y, theta) for one point."""
    y, theta = ca.SX.sym("y", STATES), ca.SX.sym("theta", WEIGHTS)
    w1, b1, w2, b2 = weights(theta)
    return ca.Function("f", [y, theta], [w2 @ ca.tanh(w1 @ y + b1) + b2])


def problem(data: Data, grid: Radau, regularisation: float, parallel: str) -> dict[str, ca.MX]:
    """The NLP of `flat_casadi.problem`, in matrices: all states are one 2 x (1 + 3E) matrix."""
    elements, stages = len(grid.times), len(grid.nodes) - 1
    points = elements * stages
    theta, y = ca.MX.sym("theta", WEIGHTS), ca.MX.sym("y", STATES * (1 + points))
    states = ca.reshape(y, STATES, 1 + points)

    differentiate = np.zeros((1 + points, points))  # states @ it = h * slopes at the stages
    for e in range(elements):
        columns = slice(e * stages, (e + 1) * stages)
        differentiate[e * stages : e * stages + stages + 1, columns] = grid.d.T
    interpolate = np.zeros((1 + points, len(data.t)))  # states @ it = values at the samples
    for i, e in enumerate(grid.where):
        interpolate[e * stages : e * stages + stages + 1, i] = grid.lagrange[i]

    f = network_function().map(points, parallel)(states[:, 1:], ca.repmat(theta, 1, points))
    rows = states @ ca.sparsify(ca.DM(differentiate)) - grid.h * f
    residual = states @ ca.sparsify(ca.DM(interpolate)) - data.y.T
    loss = ca.sumsqr(residual) / data.y.size + regularisation * ca.sumsqr(theta)
    return {"x": ca.vertcat(theta, y), "f": loss, "g": ca.vec(rows)}


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float = 1e-4,
    tol: float = 1e-6,
    max_iter: int = 1000,
    parallel: str = "serial",
    build_only: bool = False,
) -> PeerResult:
    """Build the NLP and its derivatives, solve it."""
    watch = Stopwatch()
    grid = Radau.over(data.t)
    options = {"tol": tol, "max_iter": max_iter, "print_level": 0, "sb": "yes"}
    nlp = problem(data, grid, regularisation, parallel)
    solver = ca.nlpsol("solver", "ipopt", nlp, {"ipopt": options, "print_time": False})
    build = watch.split()
    if build_only:
        return PeerResult("mapped CasADi MX", build, np.nan, None, None, "build only")
    found = solver(x0=start(data, grid, seed), lbg=0.0, ubg=0.0)
    x = found["x"].full().ravel()
    solve = watch.split()
    stats = solver.stats()
    detail = f"{stats['iter_count']} iterations, {stats['return_status']}"
    theta, y0 = x[:WEIGHTS], x[WEIGHTS : WEIGHTS + STATES]
    return PeerResult("mapped CasADi MX", build, solve, network(theta), y0, detail)
