"""Bounds of an NLP's variables and rows: of states, ends, controls, times, parameters and constraints."""

from __future__ import annotations

import casadi as ca
import numpy as np

from ..checks import apart
from ..errors import InputError
from ..model.consistent import end_constraints
from ..model.parameters import Parameter
from ..model.problem import Problem
from ..model.symbolic import Symbols, constrained
from ..numerics import Array
from ..numerics.scheme import Scheme
from .layout import Layout
from .scales import own_parameters


def column_bounds(problem: Problem, layout: Layout) -> tuple[Array, Array]:
    """(columns,) lower and upper bounds of the variables.

    Raises
    ------
    InputError
        An end that is fixed outside of the bounds of its state.
    """
    lower, upper = np.full(layout.columns, -np.inf), np.full(layout.columns, np.inf)
    for number, (experiment, part) in enumerate(
        zip(problem.experiments, layout.experiments, strict=True)
    ):
        for i, state in enumerate(problem.states):
            low, high = problem.bounds.get(state, (-np.inf, np.inf))
            lower[part.states[:, i]], upper[part.states[:, i]] = low, high
            first = problem.initial_of(experiment, state)
            ends = (
                (0, f"{state}(0)", first),
                (-1, f"the last {state}", problem.final_of(experiment, state)),
            )
            lower[part.states[0, i]] = max(low, first.lower)
            upper[part.states[0, i]] = min(high, first.upper)
            for node, what, known in ends:
                if known.is_fixed:
                    if not low <= known.value <= high:
                        told = apart(known.value, low, high)
                        raise InputError(
                            f"experiment {experiment.name!r} fixes {what} = {told[0]}, outside its "
                            f"bounds [{told[1]}, {told[2]}]; the problem is infeasible."
                        )
                    lower[part.states[node, i]] = upper[part.states[node, i]] = known.value
        for name, decided in part.decided.items():
            control = experiment.controls.get(name)
            limits = problem.bounds.get(name, (-np.inf, np.inf))
            limits = limits if control is None else (control.lower, control.upper)
            lower[decided.columns], upper[decided.columns] = limits
        for name, function in part.spanned.items():
            control = experiment.controls[name]
            lower[function.columns], upper[function.columns] = control.lower, control.upper
        if experiment.is_free:
            ends_of = (
                (experiment.start, experiment.start_bounds),
                (experiment.end, experiment.end_bounds),
            )
            pairs = [(time, time) if bounds is None else bounds for time, bounds in ends_of]
            lower[part.free_times], upper[part.free_times] = np.array(pairs, dtype=float).T
        for parameter in own_parameters(problem, experiment):
            if not parameter.bounded_by_rows:
                column = layout.parameter_columns(number, parameter.names)
                lower[column], upper[column] = parameter.decided_bounds
        for parameter in problem.all_parameters:
            if parameter.name in part.bound:
                value = parameter.decided(experiment.parameters[parameter.name])
                lower[part.bound[parameter.name]] = upper[part.bound[parameter.name]] = value
    for parameter, unseen in _unseen(problem, layout):
        lower[unseen] = upper[unseen] = parameter.coefficients[0]
    return lower, upper


def _unseen(problem: Problem, layout: Layout) -> list[tuple[Parameter, int]]:
    """Parameters that are something else in every experiment, and their columns, which nothing sees."""
    if not any(e.parameters for e in problem.experiments):
        return []
    count = len(problem.experiments)
    names = [q.name for q in problem.all_parameters if not q.per_experiment and q.basis is None]
    seen = {c for n in range(count) for c in layout.parameter_columns(n, names).tolist()}
    columns = dict(zip(layout.shared_names, layout.shared.tolist(), strict=True))
    known = {q.name: q for q in problem.all_parameters}
    return [(known[name], columns[name]) for name in names if columns[name] not in seen]


def row_bounds(problem: Problem, layout: Layout, scheme: Scheme) -> tuple[Array, Array]:
    """(rows,) lower and upper bounds of the rows: zero where no constraint, rate or duration says otherwise."""
    lower, upper = np.zeros(layout.rows), np.zeros(layout.rows)
    seen = _inputs_of_constraints(problem)
    for experiment, part in zip(problem.experiments, layout.experiments, strict=True):
        for name, rows in part.rate_rows.items():
            lower[rows], upper[rows] = experiment.controls[name].rate
        for name, function in part.spanned.items():
            lower[function.move_rows], upper[function.move_rows] = experiment.controls[name].rate
        if experiment.duration_bounds is not None:
            lower[part.duration_row], upper[part.duration_row] = experiment.duration_bounds
        for constraint, row in zip(end_constraints(problem), part.boundary_rows, strict=True):
            lower[row], upper[row] = constraint.bounds_in(experiment.name)
        for number, constraint in enumerate(problem.path_constraints):
            rows = part.path_rows[number]
            if seen[number] & {*part.decided, *part.spanned}:
                lower[rows], upper[rows] = -np.inf, np.inf
                rows = rows[np.isin(part.place, scheme.stages)]
            elif constraint.lower == constraint.upper:
                # an invariant at every node would leave the collocation rows no freedom
                lower[rows], upper[rows] = -np.inf, np.inf
                rows = rows[:: part.rows.shape[1]]
            lower[rows], upper[rows] = constraint.bounds_in(experiment.name)
    for point in problem.point_constraints:
        lower[layout.point_rows[point.name]] = point.lower
        upper[layout.point_rows[point.name]] = point.upper
    return lower, upper


def _inputs_of_constraints(problem: Problem) -> list[set[str]]:
    """Names of the inputs and algebraic variables that every path constraint depends on."""
    s, found = Symbols.of(problem), []
    used = problem.decides or problem.algebraics
    for constraint in problem.path_constraints if used else ():
        value = constrained(problem, constraint, s)
        found.append({n for j, n in enumerate(problem.carried) if ca.depends_on(value, s.u[j])})
    return found or [set()] * len(problem.path_constraints)
