"""A fit as a report: what `report.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import collocode

from ..files import plain
from ..results.score import Score
from ..results.solution import Solution
from .findings import Findings, pooled_residuals

FORMAT = "collocode report 1"


def make_report(
    solution: Solution,
    scores: list[Score],
    findings: Findings,
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
        **findings_entry(solution, findings),
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


def findings_entry(solution: Solution, findings: Findings) -> dict[str, Any]:
    """Return what the report says of parameters, noise, residuals and failure."""
    diagnosis = findings.diagnosis
    entry: dict[str, Any] = {
        "parameters": parameter_rows(solution, findings),
        "noise": findings.trust.noise if findings.trust else {},
        "no_intervals": findings.no_trust,
        "residuals": findings.residuals.reset_index().to_dict("records"),
        "whiteness": pooled_residuals(findings.residuals),
        "diagnosis": None,
    }
    if diagnosis is not None:
        entry["diagnosis"] = {
            "violated": diagnosis.violated.to_dict("records"),
            "not_finite": diagnosis.not_finite.to_dict("records"),
            "at_bounds": diagnosis.at_bounds,
            "remedy": diagnosis.remedy,
        }
    return entry


def parameter_rows(solution: Solution, findings: Findings | None = None) -> list[dict[str, Any]]:
    """Return name, value, unit, bounds and 95 % interval of every physical parameter."""
    assert solution.nlp is not None
    known = {n: p for p in solution.nlp.problem.dynamics.parameters for n in p.names}
    intervals = None if findings is None else findings.intervals(solution)
    rows = []
    for label, value in solution.parameters.items():
        parameter = known.get(label) or known[label.split("[", 1)[0]]
        free = parameter.bounded_by_rows  # the bounds are those of p(t), not of a coefficient
        row = {
            "name": label,
            "value": value,
            "unit": parameter.unit,
            "lower": -np.inf if free else parameter.lower,
            "upper": np.inf if free else parameter.upper,
        }
        if intervals is not None:
            found = intervals.loc[label]
            row |= {"std": found["std"], "lower_95": found["lower"], "upper_95": found["upper"]}
            row["note"] = "fixed" if parameter.lower == parameter.upper else found["note"]
        rows.append(row)
    return rows
