"""Optimization through Pyomo: solvers other than HiGHS, and constraints written over its variables.

SCIP runs from the wheel of ``pyscipopt``, Gurobi from ``gurobipy``; IPOPT is the one of the casadi
wheel.  All are called through Pyomo's solver interface ``pyomo.contrib.solver``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingDependency
from ..export.operations import pyomo_environ
from ..results.status import Termination
from .bounds import Bounds, sample_box
from .embed import Embedded, write_network
from .question import Question, judged
from .result import OptimumResult

Array = NDArray[np.float64]
_NAMES = {"scip": "scip_direct", "gurobi": "gurobi_persistent", "ipopt": "collocode_ipopt"}
_INSTALL = {"scip": "pip install pyscipopt", "gurobi": "pip install gurobipy (needs a licence)"}
_TERMINATION = {
    "convergenceCriteriaSatisfied": Termination.CONVERGED,
    "maxTimeLimit": Termination.TIME_LIMIT,
    "iterationLimit": Termination.ITERATION_LIMIT,
    "provenInfeasible": Termination.INFEASIBLE,
    "locallyInfeasible": Termination.INFEASIBLE,
    "infeasibleOrUnbounded": Termination.INFEASIBLE,
    "interrupted": Termination.INTERRUPTED,
}


def solver_named(name: str) -> Any:
    """Return a solver of ``pyomo.contrib.solver``.

    Raises
    ------
    InputError
        A name that Pyomo does not know.
    MissingDependency
        Known, but not installed.
    """
    pyomo_environ()
    from pyomo.contrib.solver.common.factory import SolverFactory

    if name in ("ipopt", "collocode_ipopt"):
        from ..solvers.pyomo_plugin import register

        return register()()
    known = _NAMES.get(name, name)
    if known not in SolverFactory:
        raise InputError(f"unknown solver {name!r}; choose from highs, scip, gurobi.")
    solver = SolverFactory(known)
    if not solver.available():
        how = _INSTALL.get(name.split("_")[0], "install it")
        raise MissingDependency(f"the solver {name!r} is not installed; {how}, or use 'highs'.")
    return solver


def by_pyomo(
    question: Question,
    proved: Bounds,
    encoding: str,
    partitions: int,
    solver: str,
    *,
    time_limit: float | None,
    warm: bool,
    root: bool,
    options: Mapping[str, Any] | None,
    on_progress: Any,
) -> OptimumResult:
    """Answer a question through a Pyomo model; see `collocode.relu.optimise.maximize`."""
    local = encoding == "complementarity"
    name = "ipopt" if local and solver == "highs" else solver
    engine = solver_named(name)
    model, added, set_start = _model(question, proved, encoding, partitions)
    began = time.perf_counter()
    if local and warm:
        _set_start(model, question, set_start)
    found = engine.solve(
        model,
        time_limit=time_limit,
        load_solutions=False,
        raise_exception_on_nonoptimal_result=False,
        solver_options=dict(options or {}),
    )
    seconds = time.perf_counter() - began
    network = question.network
    x, error = np.full(network.inputs, np.nan), np.nan
    if found.solution_status.name in ("optimal", "feasible"):
        found.solution_loader.load_vars()
        x = np.clip([v.value for v in model.x.values()], *question.box.T)
        y = np.array([v.value for v in added.outputs])
        error = float((np.abs(network(x) - y) / network.output_scale).max())
    condition = found.termination_condition.name
    bound = found.objective_bound
    termination = _TERMINATION.get(condition, Termination.ERROR)
    if local and termination is Termination.INFEASIBLE:
        termination = Termination.STALLED  # a local solver proves nothing
    result = judged(
        question,
        proved,
        x,
        np.nan if bound is None or local else float(bound),
        termination,
        f"{condition} (a local optimum: the bound is that of the ranges)" if local else condition,
        -1 if found.extra_info.get("node_count") is None else int(found.extra_info.node_count),
        name,
        local,
    )
    return replace(result, seconds=seconds, embedded_error=error, record=added.record)


def _set_start(model: Any, question: Question, set_start: Callable[[Array], None]) -> None:
    """Start at the best of many samples, and do not walk on: that is the solver's work."""
    network, box = question.network, question.box
    points = sample_box(box, 2000, 0)
    points = points[question.linear.satisfied(network, points)]
    if len(points):
        cost = question.cost
        value = points @ cost[: network.inputs] + network(points) @ cost[network.inputs :]
        x = points[int(np.argmin(value))]
        for variable, entry in zip(model.x.values(), x.tolist(), strict=True):
            variable.value = entry
        set_start((x - network.input_shift) / network.input_scale)


def _model(
    question: Question, proved: Bounds, encoding: str, partitions: int
) -> tuple[Any, Embedded, Callable[[Array], None]]:
    """Return the Pyomo model, what was embedded in it, and how to set a start."""
    pyo = pyomo_environ()
    network, box = question.network, question.box
    model = pyo.ConcreteModel("optimum")
    model.x = pyo.Var(range(network.inputs), bounds=lambda _, i: tuple(box[i].tolist()))
    added, start = write_network(
        model, network, list(model.x.values()), box, proved, encoding, partitions
    )
    both = [*model.x.values(), *added.outputs]
    linear = question.linear
    model.constraints = pyo.ConstraintList()
    for row, low, up in zip(linear.A.tolist(), linear.lower, linear.upper, strict=True):
        body = pyo.quicksum(c * v for c, v in zip(row, both, strict=True) if c)
        for side in {low} if low == up else {low, up}:
            if np.isfinite(side):
                model.constraints.add(
                    body == float(side) if low == up
                    else (body >= float(side) if side == low else body <= float(side))
                )  # fmt: skip
    if question.callback is not None:
        try:
            question.callback(model, list(model.x.values()), list(added.outputs))
        except TypeError as error:
            raise InputError(f"the function of constraints failed: {error}.") from error
    body = pyo.quicksum(
        -question.sense * c * v for c, v in zip(question.cost.tolist(), both, strict=True) if c
    )
    sense = pyo.maximize if question.sense > 0 else pyo.minimize
    model.objective = pyo.Objective(expr=body, sense=sense)
    return model, added, start
