"""Collocation in Pyomo, solved through an ``.nl`` file.

The NLP of `peers.flat_casadi` (Radau IIA elements, the same start, loss and regularisation), as a
Pyomo model.  The hidden layer of every stage can be written in three ways: ``inline`` in both
equations, as named ``expressions`` (shared defined variables in the file), or as ``variables`` with
equations of their own (larger but sparser).  The solve is the solver's process; everything else,
writing the ``.nl`` file and reading its ``.sol`` included, counts as build.

Solver: any executable that reads ``.nl``; the default, ``pounce``, comes as wheels
(``pounce-solver``, ``pyomo-pounce``), ``ipopt`` works where it is on the path.
Settings: the fastest hidden form of the three with that solver (README).
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pyomo_pounce  # noqa: F401  (registers the solver)

from .common import HIDDEN, STATES, WEIGHTS, Data, PeerResult, Radau, Stopwatch, glorot, network


def model(
    data: Data, grid: Radau, regularisation: float, seed: int, hidden: str
) -> pyo.ConcreteModel:
    """The Pyomo model with its start; ``theta`` in the row-major layout of `common.unpack`."""
    m = pyo.ConcreteModel()
    elements, stages = len(grid.times), len(grid.nodes) - 1
    points, states, units = range(1, 1 + elements * stages), range(STATES), range(HIDDEN)
    initial = grid.start(data)
    initial = np.vstack([initial[0, :1], initial[:, 1:].reshape(-1, STATES)])
    theta0 = glorot(seed)
    m.theta = pyo.Var(range(WEIGHTS), initialize=lambda m, i: float(theta0[i]))
    m.y = pyo.Var([0, *points], states, initialize=lambda m, p, s: float(initial[p, s]))

    theta = [m.theta[i] for i in range(WEIGHTS)]
    w1 = [theta[STATES * i : STATES * (i + 1)] for i in units]
    b1 = theta[STATES * HIDDEN :][:HIDDEN]
    rest = theta[STATES * HIDDEN + HIDDEN :]
    w2, b2 = [rest[HIDDEN * s : HIDDEN * (s + 1)] for s in states], rest[HIDDEN * STATES :]

    def unit(m, p, i):
        return pyo.tanh(sum(w1[i][s] * m.y[p, s] for s in states) + b1[i])

    if hidden == "expressions":
        m.z = pyo.Expression(points, units, rule=unit)
    elif hidden == "variables":
        w, b = np.array(theta0[:64]).reshape(HIDDEN, STATES), theta0[64:96]
        z0 = np.tanh(initial @ w.T + b)
        m.z = pyo.Var(points, units, initialize=lambda m, p, i: float(z0[p, i]))
        m.layer = pyo.Constraint(points, units, rule=lambda m, p, i: m.z[p, i] == unit(m, p, i))

    def activation(p, i):
        return unit(m, p, i) if hidden == "inline" else m.z[p, i]

    def collocation(m, p, s):
        e, k = divmod(p - 1, stages)
        slope = sum(float(grid.d[k, j]) * m.y[e * stages + j, s] for j in range(stages + 1))
        f = sum(w2[s][i] * activation(p, i) for i in units) + b2[s]
        return slope == float(grid.h) * f

    m.collocation = pyo.Constraint(points, states, rule=collocation)

    def error(i, s):
        first = int(grid.where[i]) * stages
        value = sum(float(c) * m.y[first + j, s] for j, c in enumerate(grid.lagrange[i]))
        return (value - float(data.y[i, s])) ** 2

    loss = sum(error(i, s) for i in range(len(data.t)) for s in states) / data.y.size
    m.loss = pyo.Objective(expr=loss + regularisation * sum(w**2 for w in theta))
    return m


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float = 1e-4,
    tol: float = 1e-6,
    max_iter: int = 1000,
    hidden: str = "inline",
    solver: str = "pounce",
    build_only: bool = False,
) -> PeerResult:
    """Build the model, write it, have it solved."""
    name = f"Pyomo .nl, {solver}"
    watch, children = Stopwatch(), sum(os.times()[2:4])
    m = model(data, Radau.over(data.t), regularisation, seed, hidden)
    if build_only:
        with tempfile.TemporaryDirectory() as folder:
            m.write(f"{folder}/model.nl")
        return PeerResult(name, watch.split(), np.nan, None, None, "build only")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "solver.log"
        options = {"tol": tol, "max_iter": max_iter}
        results = pyo.SolverFactory(solver).solve(m, options=options, logfile=str(log))
        total = watch.split()
        count = re.search(r"Number of Iterations[. ]*:\s*(\d+)", log.read_text())
    solve = float(results.solver.time)  # the solver's process alone
    if watch.cpu:
        solve = sum(os.times()[2:4]) - children
    theta = np.array([m.theta[i].value for i in range(WEIGHTS)])
    y0 = np.array([m.y[0, s].value for s in range(STATES)])
    iterations = count.group(1) if count else "?"
    detail = f"{iterations} iterations, {results.solver.termination_condition}"
    return PeerResult(name, total - solve, solve, network(theta), y0, detail)
