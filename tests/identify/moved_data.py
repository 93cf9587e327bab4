"""Spreads by the definition of a derivative: fits of data that were moved one by one."""

import numpy as np

import collocode as cc
from collocode.solvers.solve import solve_with


def by_moved_data(fitted, read, noise, step):
    """√Σ (∂q/∂yᵢ)² σ² by differences; the program and its solver are built once."""
    nlp = fitted.nlp.with_start(fitted.result.x)
    solver, values = cc.make_solver(nlp, options={"tol": 1e-12}), nlp.parameters["measurements"]
    slopes = []
    for i in range(len(values)):
        found = []
        for sign in (1.0, -1.0):
            moved = values.copy()
            moved[i] += sign * step
            found.append(read(solve_with(solver, nlp.with_parameters(measurements=moved))))
        slopes.append((found[0] - found[1]) / (2.0 * step))
    return noise * np.sqrt(np.sum(np.square(slopes), axis=0))
