"""Optimization through Pyomo: solvers other than HiGHS, and constraints written over its variables.

SCIP runs from the wheel of ``pyscipopt``, Gurobi from ``gurobipy``; IPOPT is the one of the casadi
wheel.  All are called through Pyomo's solver interface ``pyomo.contrib.solver``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten
from typing import Any

import numpy as np

from ..errors import InputError, MissingDependency
from ..export.operations import pyomo_environ
from ..numerics import Array
from ..results.status import Termination
from .bounds import Bounds
from .embed import Embedded, write_network
from .local_search import best_sample, polished
from .problem import OptimizationProblem, OptimizationSettings, OptimumResult, assessed

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


def solve_with_pyomo(
    problem: OptimizationProblem, proved: Bounds, settings: OptimizationSettings
) -> OptimumResult:
    """Solve a problem through a Pyomo model; see `collocode.relu.maximize`."""
    local = settings.encoding == "complementarity"
    name = "ipopt" if local and settings.solver == "highs" else settings.solver
    engine = solver_named(name)
    model, added, set_start = _model(problem, proved, settings)
    began = time.perf_counter()
    network = problem.network
    # a good sample to start from, and no walk: that is the solver's work
    point = best_sample(problem) if local and settings.warm else None
    if point is not None:
        for variable, entry in zip(model.x.values(), point.tolist(), strict=True):
            variable.value = entry
        set_start((point - network.input_shift) / network.input_scale)
    with _refusing(name):
        found = engine.solve(
            model,
            time_limit=settings.time_limit,
            load_solutions=False,
            raise_exception_on_nonoptimal_result=False,
            solver_options=dict(settings.options or {}),
        )
    seconds = time.perf_counter() - began
    x, error = np.full(network.inputs, np.nan), np.nan
    if found.solution_status.name in ("optimal", "feasible"):
        found.solution_loader.load_vars()
        x = np.clip([v.value for v in model.x.values()], *problem.box.T)
        y = np.array([v.value for v in added.outputs])
        error = float((np.abs(network(x) - y) / network.output_scale).max())
    if not local and problem.callback is None:
        core, inner = problem.core(), None
        if np.isfinite(x).all():
            inner = (x - network.input_shift) / network.input_scale
        point = polished(core, inner)
        if point is not None:
            x = np.clip(network.input_shift + network.input_scale * point, *problem.box.T)
    condition = found.termination_condition.name
    bound = found.objective_bound
    termination = _TERMINATION.get(condition, Termination.ERROR)
    if local and termination is Termination.INFEASIBLE:
        termination = Termination.STALLED  # a local solver proves nothing
    note = " (a local optimum: the bound is that of the ranges)" if local else ""
    nodes = found.extra_info.get("node_count")
    return assessed(
        problem,
        proved,
        x=x,
        bound=np.nan if bound is None or local else float(bound),
        termination=termination,
        message=condition + note,
        local=local,
        nodes=-1 if nodes is None else int(nodes),
        solver=name,
        seconds=seconds,
        embedded_error=error,
        summary=added.summary,
    )


@contextmanager
def _refusing(solver: str) -> Iterator[None]:
    """Turn a solver's refusal of a model into a sentence."""
    from pyomo.contrib.solver.common.util import IncompatibleModelError

    try:
        yield
    except IncompatibleModelError as error:
        words = " ".join(str(error).split()).rstrip(".")
        others = "linear ones" if solver == "scip" else "linear ones, or take solver='scip'"
        raise InputError(
            f"{solver} cannot solve a model with these constraints ({words}); write {others}."
        ) from error


def _add_written(
    model: Any, function: Callable[..., Any], x: Sequence[Any], y: Sequence[Any]
) -> None:
    """Have a user's function add its constraints; what it returns is added too: an expression or several."""
    try:
        found = function(model, x, y)
        several = isinstance(found, list | tuple)
        for written in found if several else [found]:
            # a component is in the model already
            if written is not None and not hasattr(written, "ctype"):
                model.constraints.add(written)
    except (TypeError, ValueError) as error:
        words = shorten(str(error), 100, placeholder="...").rstrip(".")
        raise InputError(
            f"the function of constraints failed ({words}); it adds constraints to the model, or returns "
            "relations such as x[0] + y[0] <= 1."
        ) from error


def _model(
    problem: OptimizationProblem, proved: Bounds, settings: OptimizationSettings
) -> tuple[Any, Embedded, Callable[[Array], None]]:
    """Return the Pyomo model, what was embedded in it, and how to set a start."""
    pyo = pyomo_environ()
    network, box = problem.network, problem.box
    model = pyo.ConcreteModel("optimum")
    model.x = pyo.Var(range(network.inputs), bounds=lambda _, i: tuple(box[i].tolist()))
    added, start = write_network(
        model,
        network,
        list(model.x.values()),
        box,
        proved,
        settings.encoding,
        settings.partitions,
    )
    both = [*model.x.values(), *added.outputs]
    linear = problem.linear
    model.constraints = pyo.ConstraintList()
    for row, low, up in zip(linear.A.tolist(), linear.lower, linear.upper, strict=True):
        body = pyo.quicksum(c * v for c, v in zip(row, both, strict=True) if c)
        for side in {low} if low == up else {low, up}:
            if np.isfinite(side):
                model.constraints.add(
                    body == float(side) if low == up
                    else (body >= float(side) if side == low else body <= float(side))
                )  # fmt: skip
    if problem.callback is not None:
        _add_written(model, problem.callback, list(model.x.values()), list(added.outputs))
    body = pyo.quicksum(
        -problem.sense * c * v for c, v in zip(problem.cost.tolist(), both, strict=True) if c
    )
    sense = pyo.maximize if problem.sense > 0 else pyo.minimize
    model.objective = pyo.Objective(expr=body, sense=sense)
    return model, added, start
