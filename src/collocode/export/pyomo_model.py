r"""A program as a Pyomo model that a reader recognises.

It has a Var per block of columns and a Constraint per block of rows; a program that maximises is
written as the minimum of minus its objective.  The variables of an `NLP` carry the problem's names: ``model.y1[experiment, element, node]`` for states,
``model.mu`` and ``model.k[experiment]`` for parameters, ``model.nn_W1[i, j]`` and
``model.nn_b1[i]`` for weights.  Equations are ``model.collocation[experiment, element, node, state]``
and one Constraint by path constraint, ``model.<name>[experiment, element, node]``, or point
constraint, ``model.<name>[k]``.  The Expressions
``model.misfit``, ``model.ridge`` and ``model.prior`` are the parts of ``model.objective``.  Characters
that Python names cannot have become underscores; a name that Pyomo uses itself gets one appended.

Multipliers: Pyomo's ``dual`` is :math:`-\lambda` of the NLP's one rule :math:`L=f+\lambda^T g`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import casadi as ca
import numpy as np
from scipy import sparse

from ..checks import apart
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array
from ..results.doors import program_of
from ..results.program_solution import ProgramSolution
from ..results.solution import Solution
from ..transcription.program import Block, Program
from ..transcription.tape import Tape
from ..transcription.term import MappedTerm
from .operations import ReplayedTape, pyomo_environ, pyomo_tape_operations, rewritten, with_exp


@dataclass(frozen=True, eq=False)
class PyomoExport:
    """A Pyomo model, and what in it belongs to the NLP.

    Attributes
    ----------
    model : the ConcreteModel.
    variables : the Var of every column.
    constraints : the Constraint of every row; None for a row without unknowns or bounds.
    """

    model: Any
    variables: list[Any]
    constraints: list[Any]


def to_pyomo(
    program: Program | Solution | ProgramSolution,
    values: str | Solution | ProgramSolution = "start",
    multipliers: bool = True,
    rewrite: Iterable[str] = (),
) -> PyomoExport:
    """Write an NLP, with its current data, as a Pyomo model.

    Parameters
    ----------
    program : the NLP, in its own units.
    values : ``"start"``, or a `Solution` whose point the variables take.
    multipliers : whether to declare the suffixes ``dual``, ``ipopt_zL_out`` and ``ipopt_zU_out``
        that bring multipliers back; some solver plugins refuse suffixes that they cannot fill.
    rewrite : functions to be written with exp instead, for readers that lack them; see
        `collocode.export.operations`.

    Raises
    ------
    InputError
        An operation that Pyomo cannot express, named; a row that no point can satisfy.
    MissingDependency
        If Pyomo is not installed.
    """
    if isinstance(program, Solution | ProgramSolution) and values == "start":
        values = program
    program = program_of("to_pyomo", program)
    check_type("values=", values, Solution, ProgramSolution, str)
    pyo = pyomo_environ()
    from pyomo.common.gc_manager import PauseGC

    point = program.start if isinstance(values, str) else values.result.x
    if isinstance(values, str) and values != "start":
        raise InputError(f"values must be 'start' or a Solution, not {values!r}.")
    if point.shape != (program.columns,):
        raise InputError("the solution belongs to another NLP; give one of the same structure.")
    with PauseGC():  # a million small objects, none of them garbage
        model = pyo.ConcreteModel(name=program.name)
        variables = _variables(pyo, model, program, point)
        bodies = _bodies(pyo, model, program, variables, rewritten(rewrite))
        constraints = _constraints(pyo, model, program, bodies)
        _scaling(pyo, model, program, variables, constraints)
        for name in ("dual", "ipopt_zL_out", "ipopt_zU_out") if multipliers else ():
            model.add_component(name, pyo.Suffix(direction=pyo.Suffix.IMPORT))
    return PyomoExport(model, variables, constraints)


def _variables(pyo: Any, model: Any, program: Program, point: Array) -> list[Any]:
    """Add a Var per block; return the one of every column."""
    found: list[Any] = [None] * program.columns
    start, lower, upper = point.tolist(), program.lower.tolist(), program.upper.tolist()
    for block in program.column_blocks:
        index = _index_of(block)
        var = pyo.Var() if index is None else pyo.Var(index)
        model.add_component(_free_name(model, block.name), var)
        places = [None] if index is None else index
        for place, column in zip(places, block.numbers.ravel().tolist(), strict=True):
            entry = found[column] = var[place]
            if lower[column] == upper[column]:
                entry.fix(lower[column], skip_validation=True)
            else:
                entry.set_value(start[column], skip_validation=True)
            entry.setlb(lower[column])  # Pyomo takes infinite bounds for none
            entry.setub(upper[column])
    return found


def _index_of(block: Block) -> list[Any] | None:
    """Return Pyomo's index of a block: a tuple or a single label per entry, None for a scalar."""
    if block.numbers.ndim == 0:
        return None
    return [place if len(place) > 1 else place[0] for place in block.places]


def _bodies(
    pyo: Any, model: Any, program: Program, variables: list[Any], rewrite: frozenset[str]
) -> list[list[Any]]:
    """Return the summands of every row; add the objective's terms on the way."""
    linear = sparse.csr_matrix(program.linear)
    rows: list[list[Any]] = [
        [_times(c, variables[j]) for c, j in zip(data, columns, strict=True)]
        for data, columns in _rows_of(linear)
    ]
    objective: list[Any] = []
    for term in program.terms:
        values = _term_values(pyo, model, program, term, variables, rewrite)
        if term.scatter is None:
            # the Expression is for the reader: inside the objective it would be a defined variable
            # of all unknowns in the .nl file, which makes a solve three times slower
            summands = [v[0] for v in values]
            expression = pyo.Expression(expr=pyo.quicksum(summands))
            model.add_component(_free_name(model, term.name), expression)
            objective += summands
            continue
        flat = [v for point in values for v in point]
        for row, (data, entries) in zip(rows, _rows_of(term.scatter.tocsr()), strict=True):
            row += [_times(c, flat[j]) for c, j in zip(data, entries, strict=True)]
    total = pyo.Objective(expr=pyo.quicksum(objective), sense=pyo.minimize)
    model.add_component(_free_name(model, "objective"), total)
    return rows


def _term_values(
    pyo: Any,
    model: Any,
    program: Program,
    term: MappedTerm,
    variables: list[Any],
    rewrite: frozenset[str],
) -> list[list[Any]]:
    """Evaluate a term at all its points; shared intermediate results get names."""
    operations = {**pyomo_tape_operations(), **with_exp(rewrite)}
    replayed = ReplayedTape(Tape.of(term.function), operations, f"term {term.name!r}", rewrite)
    named: Any = None
    if replayed.names:
        named = pyo.Expression(range(term.points), range(replayed.names))
        model.add_component(_free_name(model, f"{term.name}_parts"), named)
    shared = [variables[j] for j in term.shared_columns.tolist()]
    data = np.asarray(term.data_function(program.p), dtype=float).T.tolist()
    results = []
    for k, own in enumerate(term.own_columns.tolist()):

        def name(number: int, value: Any, k: int = k) -> Any:
            named[k, number] = value
            return named[k, number]

        arguments = ([variables[j] for j in own], shared, data[k] if data else [])
        results.append(replayed.run(arguments, name))
    return results


def _constraints(pyo: Any, model: Any, program: Program, bodies: list[list[Any]]) -> list[Any]:
    """Add a Constraint per block of rows; return the one of every row."""
    found: list[Any] = [None] * program.rows
    lower, upper = program.row_lower.tolist(), program.row_upper.tolist()
    for block in program.row_blocks:
        numbers = block.numbers.ravel().tolist()
        index = _index_of(block)
        constraint = pyo.Constraint() if index is None else pyo.Constraint(index)
        model.add_component(_free_name(model, block.name), constraint)
        for place, row in zip([None] if index is None else index, numbers, strict=True):
            body, low, high = pyo.quicksum(bodies[row]), lower[row], upper[row]
            if isinstance(body, int | float):
                _check_constant(body, low, high, program.row_names[row])
            elif low == high:
                found[row] = constraint.add(place, body == low)
            elif np.isfinite(low) or np.isfinite(high):
                limits = [v if np.isfinite(v) else None for v in (low, high)]
                found[row] = constraint.add(place, (limits[0], body, limits[1]))
    return found


def _scaling(
    pyo: Any, model: Any, program: Program, variables: list[Any], constraints: list[Any]
) -> None:
    """Add the scales that our own solvers use as the suffix ``scaling_factor``."""
    suffix = pyo.Suffix(direction=pyo.Suffix.EXPORT)
    factors = [1.0 / program.column_scale, program.row_scale]
    fixed = {id(v) for v in variables if v.fixed}  # not in the file, so not scaled
    for components, values in zip((variables, constraints), factors, strict=True):
        for component, factor in zip(components, values.tolist(), strict=True):
            if component is None or factor == 1.0 or id(component) in fixed:
                continue
            body = getattr(component, "body", None)  # a row of fixed variables alone is not written
            if body is None or not body.is_fixed():
                suffix[component] = factor
    if program.objective_scale != 1.0:
        suffix[next(model.component_data_objects(pyo.Objective))] = program.objective_scale
    model.add_component(_free_name(model, "scaling_factor"), suffix)


def _check_constant(value: float, lower: float, upper: float, name: str) -> None:
    if not lower - 1e-8 <= value <= upper + 1e-8:
        told = apart(value, lower, upper)
        raise InputError(
            f"{name} is the constant {told[0]}, outside [{told[1]}, {told[2]}], whatever the "
            "unknowns are; correct the constraint."
        )


def _times(factor: float, value: Any) -> Any:
    return value if factor == 1.0 else factor * value


def _rows_of(matrix: sparse.csr_matrix) -> Any:
    """Yield (values, columns) of every row as lists."""
    data, columns, starts = matrix.data.tolist(), matrix.indices.tolist(), matrix.indptr.tolist()
    for first, last in pairwise(starts):
        yield data[first:last], columns[first:last]


def _free_name(model: Any, name: str) -> str:
    """Return a Python name like ``name`` that the model has not taken."""
    safe = re.sub(r"\W", "_", name)
    safe = f"_{safe}" if safe[:1].isdigit() else safe
    while hasattr(model, safe):
        safe += "_"
    return safe


def load_from_pyomo(
    program: Program | Solution | ProgramSolution, export: PyomoExport
) -> tuple[Array, Array, Array]:
    """Read point and multipliers of a solved model in the NLP's sign.

    Returns
    -------
    x, lam_g, lam_x : (columns,), (rows,), (columns,).  Where the solver gave no bound multipliers
        they come from stationarity, at the bounds that hold with equality.

    Raises
    ------
    InputError
        A variable without a value, or a model without ``dual`` values.
    """
    program = program_of("load_from_pyomo", program)
    check_type("load_from_pyomo", export, PyomoExport)
    model = export.model
    x = np.array([v.value for v in export.variables], dtype=float)
    if not np.isfinite(x).all():
        culprit = program.column_names[int(np.flatnonzero(~np.isfinite(x))[0])]
        raise InputError(f"the Pyomo model has no value for {culprit}; solve it first.")
    dual = model.component("dual")
    if not dual:
        raise InputError(
            "the Pyomo model has no dual values; export it with multipliers=True and solve it."
        )
    lam_g = np.array([0.0 if c is None else -dual.get(c, 0.0) for c in export.constraints])
    outs = [model.component(f"ipopt_z{side}_out") for side in "LU"]
    given = None
    filled = [s for s in outs if s]
    if filled:
        given = -np.array([sum(s.get(v, 0.0) for s in filled) for v in export.variables])
    return x, lam_g, bound_multipliers(program, x, lam_g, given)


def bound_multipliers(program: Program, x: Array, lam_g: Array, given: Array | None) -> Array:
    """(columns,) the given bound multipliers, and by stationarity those that a solver leaves out.

    Stationarity serves fixed variables always, and active bounds if ``given`` is None.
    """
    gradient = np.asarray(program.functions.gradient(x, program.p)[1], dtype=float).ravel()
    jacobian = program.functions.jacobian(x, program.p)[1]
    stationary = -(gradient + np.asarray(ca.mtimes(jacobian.T, lam_g)).ravel())
    fixed = program.lower == program.upper
    if given is not None:
        return np.where(fixed, stationary, given)
    near = 1e-6 * np.maximum(1.0, np.abs(x))
    at_lower = (x - program.lower <= near) & (stationary < 0.0)
    at_upper = (program.upper - x <= near) & (stationary > 0.0)
    return np.where(fixed | at_lower | at_upper, stationary, 0.0)
