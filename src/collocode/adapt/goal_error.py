"""Indicators of a goal's error, element by element: of a misfit, and of goals beside it; see `estimate`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..numerics import Array
from ..results.solution import Solution
from .defects import Defects
from .duals import System, state_weights
from .elements import Elements
from .goals import Goal, ObjectiveValue, SimulatedMisfit
from .reconstruction import reconstruct


class Found(NamedTuple):
    """Value of a goal, (E,) parts of its indicators by name, and how many elements could not be solved again."""

    value: float
    parts: dict[str, Array]
    unconverged: int


def misfit_error(
    solution: Solution, elements: Elements, goal: ObjectiveValue | SimulatedMisfit, second: bool
) -> Found:
    """Both halves, weighed by the multipliers, or by those of the simulation alone."""
    nlp, x, simulated = elements.nlp, elements.x, isinstance(goal, SimulatedMisfit)
    value, multipliers = solution.result.objective, solution.result.lam_g
    if simulated:
        value = _misfit(elements)
        gradient = np.asarray(nlp.functions.gradient(x, nlp.p)[1], dtype=float).ravel()
        multipliers = state_weights(nlp, x, gradient)
    better = reconstruct(elements)
    defects, weights = Defects(better), multipliers[elements.rows]
    linear, full = defects.linear().lagrangian(weights), defects.full()
    whole, zero = full.lagrangian(weights), np.zeros(len(elements))
    curvature = zero
    if second:
        system = (
            System.of_simulation(nlp, x, multipliers)
            if simulated
            else System.of(nlp, solution.result)
        )
        curvature = 0.5 * (whole - linear) + _second(elements, defects, full.rows, system)
    parts = {"state": 0.5 * linear, "adjoint": 0.5 * whole, "control": zero, "curvature": curvature}
    return Found(value, parts, int((~better.converged).sum()))


def _misfit(e: Elements) -> float:
    s = e.measurements
    x = np.einsum("ij,ijx->ix", e.nlp.scheme.interpolation(s.tau), e.states[s.element])
    found = e.call(e.functions.misfit, s.element, s.tau, x, s.inputs, *s.data)
    return float(found[0].sum())


def _second(elements: Elements, defects: Defects, rows: Array, system: System) -> Array:
    """(E,) second-order part, from the shift of states and multipliers that the defects cause."""
    nlp, slope = elements.nlp, defects.misfit_slope()
    right_x, right_g = np.zeros(nlp.columns), np.zeros(nlp.rows)
    np.add.at(right_x, elements.columns, -slope)
    right_g[elements.rows] = rows
    dx, dl = system.solve(right_x, right_g)
    return np.asarray(
        0.5 * np.einsum("ejx,ejx->e", slope, dx[elements.columns])
        - 0.5 * np.einsum("ekx,ekx->e", rows, dl[elements.rows])
    )


class GoalErrors:
    """Residuals of the three equations, weighed by solutions of one KKT system, for any number of goals."""

    def __init__(self, solution: Solution, elements: Elements) -> None:
        self.elements, nlp = elements, elements.nlp
        self.system = System.of(nlp, solution.result)
        self.better = reconstruct(elements)
        self.defects = Defects(self.better)
        self.multipliers = solution.result.lam_g[elements.rows]
        self.full = self.defects.full()

    def found(self, goal: Goal) -> tuple[Found, float]:
        """Return value and indicators, and the curvature ∇Eᵀ H⁻¹ ∇E along the rows."""
        elements, nlp = self.elements, self.elements.nlp
        gradient = goal.gradient(elements)
        v, w = self.system.solve(-gradient, np.zeros(nlp.rows))
        truncation = np.einsum("ekx,ekx->e", w[elements.rows], self.full.rows)
        state = goal.defect(self.better) - truncation
        nodes, dp = v[elements.columns], v[elements.parameter_columns]
        dtheta = v[nlp.layout.weights]
        along = self.defects.along
        adjoint = along(nodes, 0.0 * dp, 0.0 * dtheta).lagrangian(self.multipliers)
        control = along(0.0 * nodes, dp, dtheta).lagrangian(self.multipliers)
        parts = {"state": state, "adjoint": adjoint, "control": control, "curvature": 0.0 * state}
        unconverged = int((~self.better.converged).sum())
        return Found(goal.value(elements), parts, unconverged), float(-gradient @ v)
