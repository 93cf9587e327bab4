"""The mesh of a problem that decides, refined until its cost is known as well as was asked for.

What `AutoMesh` is to a fit's parameters is the estimated error of the objective here, see `cost_error`:
elements are bisected until it is at most ``AutoMesh.cost`` of the costs' size.
"""

from __future__ import annotations

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
from .marking import Marking
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
    size = max(abs(solution.result.objective), *(abs(c) for c in solution.costs.values()), 0.0)
    method = Meshes(
        problem=solution.nlp.problem,
        goal=ObjectiveValue(),
        tol=share * (size or 1.0),
        marking=Marking("dorfler", 0.9, 1),
        most=budget.elements,
        how=how,
        on_iteration=on_iteration,
    )
    done = adapt(method, solution, 0.0, budget)
    good = done.solved if done.cycles[-1].solved else done.before or solution
    known = [cycle for cycle in done.cycles if cycle.solved]
    record = _record(done.outcome, known)
    return replace(good, meshing=record if before is None else before.then(record))


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
