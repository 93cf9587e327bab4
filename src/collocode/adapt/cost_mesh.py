"""The mesh of a problem that decides, refined until its cost is known as well as was asked for.

What `AutoMesh` is to a fit's parameters is the estimated error of the objective here, see `cost_error`:
elements are bisected until it is at most ``AutoMesh.cost`` of the costs' size.  Where there is no cost, a
periodic orbit say, that is most of a state's size by which an independent simulation may leave it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..results.meshing import Meshing
from ..results.solution import Solution
from ..results.status import Outcome, Termination
from ..solvers.protocol import OnIteration
from .goals import ObjectiveValue
from .loop import Budget, adapt
from .marking import Action, Marking
from .refine import Meshes
from .refinement import MeshCycle

How = tuple[str, Mapping[str, Any] | None, bool]


def refine_cost_mesh(
    solution: Solution,
    share: float,
    how: How,
    budget: Budget,
    on_iteration: OnIteration | None = None,
) -> Solution:
    """Bisect a solved problem's mesh until its cost's error is small enough, or the budget ends.

    Parameters
    ----------
    solution : on any mesh, with its NLP.
    share : most of the costs' size that the error may be.
    how : interface, options and whether deterministic, as for `make_solver`.
    budget : of elements, meshes and time.

    Returns
    -------
    The solution on the last mesh that was solved; its ``meshing`` has the record.
    """
    assert solution.nlp is not None
    before = solution.meshing
    costs = solution.costs.values()
    size = max(abs(solution.result.objective), *(abs(c) for c in costs), 0.0)
    method = Meshes(
        problem=solution.nlp.problem,
        goal=ObjectiveValue(),
        tol=share * (size or 1.0),
        marking=Marking("dorfler", 0.9, 1),
        most=budget.elements,
        how=how,
        on_iteration=on_iteration,
    )
    if not costs and not solution.nlp.problem.n_measurements:
        return _by_gap(method, solution, share, budget)
    done = adapt(method, solution, 0.0, budget)
    good = done.solved if done.cycles[-1].solved else done.before or solution
    known = [cycle for cycle in done.cycles if cycle.solved]
    record = _record(done.outcome, known)
    return replace(good, meshing=record if before is None else before.then(record))


def _by_gap(method: Meshes, solution: Solution, share: float, budget: Budget) -> Solution:
    """Bisect all elements until simulations agree, or do not come closer; nothing else tells of an error."""
    began, solved = time.perf_counter(), [solution]
    gaps = [solution.gap()]
    while gaps[-1] > share and len(solved) < budget.cycles:
        last = solved[-1]
        assert last.nlp is not None
        if 2 * last.nlp.elements > budget.elements or time.perf_counter() - began > budget.seconds:
            break
        finer = method.solve(method.refine(last, np.full(last.nlp.elements, Action.BISECT)))
        if not finer.success:
            break
        solved.append(finer)
        gaps.append(finer.gap())
        if (
            not gaps[-1] < 0.5 * gaps[-2]
        ):  # what grows along an unstable path is no fault of the mesh
            break
    reached = gaps[-1] <= share
    record = Meshing(
        termination=Termination.CONVERGED if reached else Termination.SIZE_LIMIT,
        message=f"simulated within {gaps[-1]:.1e} of the states' sizes",
        elements=tuple(s.nlp.elements for s in solved if s.nlp is not None),
        iterations=tuple(s.result.iterations for s in solved),
        gaps=tuple(float("nan") for _ in solved),
        seconds=time.perf_counter() - began,
    )
    before = solution.meshing
    return replace(solved[-1], meshing=record if before is None else before.then(record))


def _record(outcome: Outcome, cycles: list[MeshCycle]) -> Meshing:
    error = cycles[-1].estimate.error if cycles else float("nan")
    if outcome.termination is Termination.ERROR and not np.isfinite(error):
        message = "no estimate on the last mesh"
        outcome = Outcome(termination=Termination.ERROR, message=message)
    return Meshing(
        termination=outcome.termination,
        message=outcome.message,
        elements=tuple(cycle.elements for cycle in cycles),
        iterations=tuple(cycle.iterations for cycle in cycles),
        gaps=tuple(float("nan") for _ in cycles),
        error=error,
        seconds=float(sum(cycle.seconds for cycle in cycles)),
    )
