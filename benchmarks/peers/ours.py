"""Collocode itself: mapped derivatives, assembled by index, IPOPT with MUMPS.

The same task as the other peers (two-state Radau IIA collocation, [2, 32, 2] tanh network, unknown
initial state, L2 penalty): network scaled to the data's ranges, start by smoothing spline and
gradient matching, IPOPT at tol 1e-8 as by default; seven stages on N/12 elements.
"""

from __future__ import annotations

import numpy as np

import collocode as cc
from collocode.solvers.solve import make_solver, solve_with

from .common import Data, PeerResult, Stopwatch, import_collocode

import_collocode()


def run(
    data: Data,
    seed: int = 0,
    *,
    regularisation: float | None = None,
    tol: float = 1e-8,
    build_only: bool = False,
) -> PeerResult:
    """Discretise and build the solver (build), start and solve, hand back the learnt equation."""
    watch = Stopwatch()
    # a prior of fixed strength: the misfit is a mean, so its weight falls with the samples
    strength = 3e-5 * 200 / len(data.t) if regularisation is None else regularisation
    problem = cc.Problem(
        cc.NeuralODE(cc.MLP((2, 32, 2))),
        cc.Experiment(data.t, data.y, outputs=("y1", "y2")),
        regularisation=cc.L2(strength),
    )
    # seven stages an element need fewer points for a gap to simulation of 1e-3 than three
    nlp = cc.discretize(problem, "radau", 7, mesh=len(data.t) // 12)
    solver = make_solver(nlp, options={"tol": tol})
    build = watch.split()
    if build_only:
        return PeerResult("collocode", build, np.nan, None, None, "build only")
    solution = solve_with(solver, cc.start_from(nlp, seed=seed))
    solve = watch.split()
    detail = f"{solution.result.iterations} iterations, {solution.status}"
    rhs = solution.model.rhs
    return PeerResult(
        "collocode", build, solve, lambda y: rhs(0.0, y), solution.trajectories[0].states[0], detail
    )
