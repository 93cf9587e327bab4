r"""Optimize over a network: the best input within a box and constraints.

.. math:: \max\ w \cdot [x; y]\quad\text{over}\quad y = N(x),\ \underline x \le x \le \overline x,\
          \underline r \le A [x; y] \le \overline r

The bounds are proved first, the encoding is written, HiGHS gets it directly, started from a point
that `collocode.relu.local_search` found; its answer is polished and evaluated by the network itself.
SCIP, Gurobi, IPOPT (for ``complementarity``) and constraints in Pyomo go through
`collocode.relu.pyomo_solvers`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.threads import single_threaded
from .bounds import Bounds, as_box, scaled, scaled_bounds
from .constraints import as_linear, require_feasible
from .encodings import encode, mip_start
from .highs import MipProgress, OnProgress, load, relaxation_bound, solve_mip
from .local_search import local_search, polished
from .mip import summarise
from .network import ReluNetwork
from .problem import (
    OptimizationProblem,
    OptimizationSettings,
    OptimumResult,
    assessed,
    objective_weights,
)
from .proved import proved_bounds
from .pyomo_solvers import solve_with_pyomo
from .splitting import split_box
from .tighten import lp_bounds

_GAP = 1e-6  # HiGHS' own 1e-4 leaves optima of different encodings visibly apart
_TERMINATION = {
    "Optimal": Termination.CONVERGED,
    "Infeasible": Termination.INFEASIBLE,
    "Time limit reached": Termination.TIME_LIMIT,
    "Iteration limit reached": Termination.ITERATION_LIMIT,
    "Solution limit reached": Termination.ITERATION_LIMIT,
    "Interrupted by user": Termination.INTERRUPTED,
}


@single_threaded
def maximize(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    *,
    objective: int | ArrayLike = 0,
    settings: OptimizationSettings | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> OptimumResult:
    """Return the input at which a network's output is largest.

    Parameters
    ----------
    box : (inputs, 2) lower and upper bounds of the inputs.
    constraints : linear constraints on inputs, or inputs and outputs (see `as_linear`), or a
        function ``f(model, x, y)`` that adds constraints to a Pyomo model, or returns them: one
        relation between variables, or a list.
    objective : number of an output, weights of the outputs, or weights of inputs and outputs.
    settings : encoding, bounds, solver, limits; see `OptimizationSettings`.
    on_progress : called with a `MipProgress` now and then (HiGHS without Pyomo).
    changes : settings by name, such as ``bounds="lp"``.

    Raises
    ------
    InputError
        An unbounded input; constraints that cannot hold, named; an unknown name.
    MissingDependency
        A solver that is not installed, with what to install.

    Examples
    --------
    >>> absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    >>> found = maximize(absolute, [(-2.0, 1.0)])
    >>> found.x, found.value, found.status.value
    (array([-2.]), 2.0, 'optimal')
    """
    how = (settings or OptimizationSettings()).changed(changes)
    return _optimise(network, box, constraints, objective, 1, how, on_progress)


@single_threaded
def minimize(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any = None,
    *,
    objective: int | ArrayLike = 0,
    settings: OptimizationSettings | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> OptimumResult:
    """Return the input at which a network's output is smallest; arguments as for `maximize`."""
    how = (settings or OptimizationSettings()).changed(changes)
    return _optimise(network, box, constraints, objective, -1, how, on_progress)


def _optimise(
    network: ReluNetwork,
    box: ArrayLike,
    constraints: Any,
    objective: int | ArrayLike,
    sense: int,
    how: OptimizationSettings,
    on_progress: OnProgress | None,
) -> OptimumResult:
    callback = constraints if callable(constraints) else None
    problem = OptimizationProblem(
        network=network,
        box=as_box(network, box),
        linear=as_linear(network, None if callback else constraints),
        cost=-sense * objective_weights(network, objective),
        sense=sense,
        callback=callback,
    )
    require_feasible(network, problem.box, problem.linear)
    with Interrupt():
        return _searched(problem, how, on_progress)


def _searched(
    problem: OptimizationProblem, how: OptimizationSettings, on_progress: OnProgress | None
) -> OptimumResult:
    """Search, prove, solve; Ctrl-C cuts each of these short, and the best known point counts."""
    if problem.callback is None and (how.warm or how.bounds == "split"):
        began = time.perf_counter()
        start = local_search(problem.core())
        problem = replace(problem, start=start, start_seconds=time.perf_counter() - began)
    problem, proved = _proved(problem, how)
    if how.scaling is not None:
        network = problem.network
        problem = replace(problem, network=scaled(network, proved, how.scaling))
        proved = scaled_bounds(network, proved, how.scaling)
    if how.solver == "highs" and problem.callback is None and how.encoding != "complementarity":
        return _solve_with_highs(problem, proved, how, on_progress)
    return solve_with_pyomo(problem, proved, how)


def _proved(
    problem: OptimizationProblem, how: OptimizationSettings
) -> tuple[OptimizationProblem, Bounds]:
    """Prove bounds; with ``split`` and a known point, only where it can be beaten."""
    began = time.perf_counter()
    network, linear = problem.network, problem.linear
    if isinstance(how.bounds, str) and how.bounds == "split" and problem.callback is None:
        core = problem.core()
        value = np.inf if core.start is None else float(core.cost_at(core.start))
        hull, known = split_box(
            core.network, core.box, core.linear, core.cost, value, None, how.time_budget
        )
        shift, scale = network.input_shift[:, None], network.input_scale[:, None]
        low, up = problem.box.T[:, :, None]
        problem = replace(problem, box=np.clip(shift + scale * hull, low, up))
        budget = how.time_budget
        if budget is not None:
            budget = max(0.0, budget - known.seconds)
        proved = lp_bounds(network, problem.box, linear, budget, how.workers, known)
    else:
        proved = proved_bounds(
            network, problem.box, how.bounds, linear, how.time_budget, how.workers
        )
    return problem, replace(proved, seconds=time.perf_counter() - began)


def _solve_with_highs(
    problem: OptimizationProblem,
    proved: Bounds,
    how: OptimizationSettings,
    on_progress: OnProgress | None,
) -> OptimumResult:
    network, sense, core = problem.network, problem.sense, problem.core()
    program, x, y = encode(network, proved, core.box, how.encoding, how.partitions)
    both = np.concatenate([x, y])
    if len(core.linear.A):
        program.add_rows([(both, core.linear.A)], core.linear.lower, core.linear.upper)
    arrays, cost = program.arrays(), np.zeros(program.columns)
    cost[both] = core.cost
    constant = float(problem.cost @ np.concatenate([network.input_shift, network.output_shift]))
    relaxed = relaxation_bound(arrays, cost) + constant if how.root else np.nan
    began = time.perf_counter()
    start = core.start if how.warm else None
    highs = load(arrays, cost, True, {"mip_rel_gap": _GAP, **(how.options or {})})

    def told(line: MipProgress) -> None:
        sides = (-sense * (v + constant) for v in (line.incumbent, line.bound))
        assert on_progress is not None
        on_progress(MipProgress(line.seconds, line.nodes, *sides))

    answer = solve_mip(
        highs,
        None if how.time_limit is None else max(0.0, how.time_limit - problem.start_seconds),
        None if start is None else mip_start(program, core.network, x, y, start),
        None if on_progress is None else told,
    )
    error = np.nan
    if answer.x is not None:
        error = float(np.abs(core.network(answer.x[x]) - answer.x[y]).max())
    point = polished(core, None if answer.x is None else answer.x[x])
    if point is not None:
        outside = network.input_shift + network.input_scale * point
        point = np.clip(outside, *problem.box.T)
    return assessed(
        problem,
        proved,
        x=np.full(network.inputs, np.nan) if point is None else point,
        # of no allowed point every value is a bound; the sharpest is the one that none can be equal to
        bound=-sense * (np.inf if answer.status == "Infeasible" else answer.bound + constant),
        termination=_TERMINATION.get(answer.status, Termination.ERROR),
        message=answer.status,
        nodes=answer.nodes,
        solver="highs",
        seconds=problem.start_seconds + time.perf_counter() - began,
        root_bound=-sense * relaxed,
        embedded_error=error,
        summary=summarise(network, program, how.encoding, proved),
    )
