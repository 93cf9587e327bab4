"""A fit as a report: what `report.json` holds, and what warnings it deserves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import collocode

from ..results.score import Score
from ..results.solution import Solution
from ..results.status import Termination
from ..results.store import plain
from ..starts.strategies import STRATEGIES

FORMAT = "collocode report 1"
LARGE_GAP = 0.05


def make_report(
    solution: Solution,
    scores: list[Score],
    warnings: list[str],
    model: Path,
    settings: Mapping[str, Any],
    command: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the report as plain values; ``files`` is left to whoever writes them."""
    result, nlp = solution.result, solution.nlp
    assert nlp is not None
    functions = nlp.functions
    report = {
        "format": FORMAT,
        "collocode": collocode.__version__,
        "model": {"file": str(model), "settings": settings, "source": nlp.problem.source},
        "command": command,
        "problem": problem_entry(solution),
        "nlp": {
            "variables": nlp.columns,
            "constraints": nlp.rows,
            "jacobian_nonzeros": functions.jacobian.nnz_out(1),
            "hessian_nonzeros": functions.hessian.nnz_out(0),
        },
        "scheme": {
            "name": solution.scheme.name,
            "degree": solution.scheme.degree,
            "order": solution.scheme.order,
            "elements": [part.mesh.elements for part in solution.trajectories],
        },
        "result": {
            "solved": solution.success,
            "termination": result.termination,
            "status": result.status,
            "message": result.message,
            "iterations": result.iterations,
            "objective": result.objective,
            "violation": result.violation,
        },
        "solver": {
            "interface": result.interface,
            "name": result.solver,
            "linear_solver": result.linear_solver,
            "options": result.options,
        },
        "seconds": result.timings,
        "scores": [score.as_dict() for score in scores],
        "parameters": parameter_rows(solution),
        "warnings": warnings,
    }
    answer: dict[str, Any] = plain(report)
    return answer


def problem_entry(solution: Solution) -> dict[str, Any]:
    """Return what the report says of the problem."""
    assert solution.nlp is not None
    return {
        "name": solution.name,
        "states": solution.model.states,
        "outputs": solution.model.outputs,
        "inputs": solution.model.inputs,
        "experiments": [experiment_entry(part.experiment) for part in solution.trajectories],
        "test": [experiment_entry(experiment) for experiment in solution.test],
        "measurements": solution.nlp.problem.n_measurements,
        "weights": len(solution.model.theta),
        "parameters": len(solution.model.parameter_names),
    }


def experiment_entry(experiment: Any) -> dict[str, Any]:
    """Return what the report says of one experiment."""
    return {
        "name": experiment.name,
        "samples": experiment.samples,
        "window": [experiment.start, experiment.end],
    }


def parameter_rows(solution: Solution) -> list[dict[str, Any]]:
    """Return name, value, unit and bounds of every estimated parameter."""
    assert solution.nlp is not None
    known = {p.name: p for p in solution.nlp.problem.dynamics.parameters}
    rows = []
    for label, value in solution.parameters.items():
        parameter = known.get(label) or known[label.split("[", 1)[0]]
        rows.append(
            {
                "name": label,
                "value": value,
                "unit": parameter.unit,
                "lower": parameter.lower,
                "upper": parameter.upper,
            }
        )
    return rows


def warnings_of(
    solution: Solution, scores: list[Score], start: str, settings: Mapping[str, Any]
) -> list[str]:
    """Return what a reader of the summary must not overlook, each with one remedy."""
    found = []
    if not solution.success:
        found.append(_status_warning(solution, start))
    gaps = {score.experiment: score.gap for score in scores if score.role == "train"}
    worst = max(gaps, key=lambda name: gaps[name])
    if gaps[worst] > LARGE_GAP:
        found.append(
            f"the learnt model does not reproduce its collocated trajectory of {worst!r} (gap "
            f"{gaps[worst]:.2g} of its size); {_gap_remedy(solution, settings)}"
        )
    at_bound = [
        row["name"]
        for row in parameter_rows(solution)
        if min(row["value"] - row["lower"], row["upper"] - row["value"])
        <= 1e-6 * max(1.0, abs(row["value"]))
        and row["lower"] < row["upper"]
    ]
    if at_bound:
        found.append(
            f"{', '.join(at_bound)} ended at a bound; widen it unless the bound is a physical one."
        )
    return found


def _gap_remedy(solution: Solution, settings: Mapping[str, Any]) -> str:
    strength = settings.get("regularisation")
    if isinstance(strength, float) and strength > 0.0:
        return f"try --set regularisation={10.0 * strength:g}."
    elements = max(part.mesh.elements for part in solution.trajectories)
    return f"try --elements {2 * elements}."


def _status_warning(solution: Solution, start: str) -> str:
    result = solution.result
    other = f"try --start {next_start(start)}."
    remedies = {
        Termination.ITERATION_LIMIT: "raise it by --option max_iter=2000.",
        Termination.TIME_LIMIT: "give it more time, or fewer --elements.",
        Termination.INTERRUPTED: "run it again to the end; this is the best iterate so far.",
        Termination.ACCEPTABLE: "loosen it by --option tol=1e-6 if that is enough.",
        Termination.INFEASIBLE: f"check bounds and constraints of the model, or {other}",
        Termination.EVALUATION_ERROR: "keep the states where f is defined by bounds=, or " + other,
    }
    remedy = remedies.get(result.termination, other)
    return (
        f"not solved: {result.termination.value}, the point is {result.status.value} (largest "
        f"violation {result.violation:.1e}; {result.message}); {remedy}"
    )


def next_start(start: str) -> str:
    """Return the start strategy to try after ``start``."""
    if start not in STRATEGIES:
        return STRATEGIES[0]
    return STRATEGIES[(STRATEGIES.index(start) + 1) % len(STRATEGIES)]
