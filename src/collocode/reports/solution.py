"""The report of a fit: what was solved, how, how well, and what must not be overlooked."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from ..checks import counted
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..results.fitted import Penalty
from ..results.likelihood import LikelihoodScore, likelihood
from ..results.solution import Solution
from ..results.status import Termination
from .decisions import algebraics_table, bounds_table, controls_table, costs_table, windows_table
from .evidence import Evidence, findings_of
from .folder import Writer, unique_stems, write_csv
from .parts import Facts, Figure, Heading, Table, Words, figure, headline
from .programs import numbers, solver
from .record import Asked, Report
from .solution_tables import (
    diagnosis_table,
    parameters_table,
    pooled_residuals,
    residuals_table,
    scores_table,
)
from .words import formatted, size_text, times_text

PARAMETER_COLUMNS = (
    "name",
    "value",
    "unit",
    "lower",
    "upper",
    "std",
    "lower_95",
    "upper_95",
    "mesh_share",
    "note",
)


def report_solution(solution: Solution, asked: Asked) -> Report:
    """Return the report of a fit, also of one that was loaded or was not solved."""
    evidence = Evidence(solution)
    result = solution.result
    return asked.report(
        evidence.problem.source if evidence.problem else "",
        kind="solution",
        title=solution.name,
        success=solution.success,
        status=solution.status,
        interrupted=result.termination is Termination.INTERRUPTED,
        body=_body(evidence),
        findings=tuple(findings_of(evidence, asked)),
        result=numbers(result),
        details=_details(evidence),
        figures=_figures(evidence),
        files=_files(evidence),
    )


def planned(problem: Problem) -> list[str]:
    """Names of the files and figures that the report of a fit of the problem has."""
    stems = unique_stems(experiment.name for experiment in problem.experiments)
    names = ["parameters.csv", "solution.npz", "trajectories.png", "convergence.png"]
    if not all(experiment.measures for experiment in problem.experiments):
        names += ["costates.png"] if problem.index == 1 else []
    elif len(problem.states) > 1 and not problem.lags:
        names.append("phase_portrait.png")
    return names + [f"trajectory_{stem}.csv" for stem in stems.values()]


def _body(evidence: Evidence) -> tuple[Heading | Words | Facts | Table, ...]:
    solution, result = evidence.solution, evidence.solution.result
    total = f" in {result.timings['total']:.2f} s" if "total" in result.timings else ""
    after = f" after {counted(result.iterations, 'iteration')}"
    items: list[Heading | Words | Facts | Table] = [
        headline(solution.name, solution.status, solution.success, f"{after}{total}"),
        Facts(_facts(evidence)),
        *_outcome(evidence),
    ]
    if evidence.diagnosis is not None:
        items += diagnosis_table(evidence.diagnosis)
    pooled = pooled_residuals(evidence.residuals)
    items += [residuals_table(pooled)] if pooled else []
    if evidence.parameters:
        score = _likelihood(solution)
        items.append(parameters_table(evidence.parameters, evidence.trusted[1], score))
    return tuple(items)


def _likelihood(solution: Solution) -> LikelihoodScore | None:
    """-log L and its criteria, where the loss is a likelihood."""
    return likelihood(solution) if solution.loss.likelihood and solution.nlp is not None else None


def _outcome(evidence: Evidence) -> list[Table]:
    """Return errors of what was measured; costs, windows and controls of what was decided."""
    solution, scores = evidence.solution, evidence.scores
    tables = [costs_table(solution)] if solution.costs else []
    if any(row["role"] == "window" for row in scores):
        tables.append(windows_table(solution, scores))
    if solution.model.algebraics:
        tables.append(algebraics_table(solution))
    if any(part.controls for part in solution.trajectories):
        tables.append(controls_table(solution))
    active = bounds_table(solution)
    tables += [active] if active.rows else []
    errors = [row for row in scores if row["role"] != "window"]
    return (
        [scores_table(errors, pooled_residuals(evidence.residuals)), *tables] if errors else tables
    )


def _facts(evidence: Evidence) -> dict[str, str]:
    solution, result = evidence.solution, evidence.solution.result
    elements = [part.mesh.elements for part in solution.trajectories]
    windows = [part for part in solution.trajectories if not part.experiment.measures]
    what = "windows" if windows else "experiments"
    several = f" in {len(elements)} {what}" if len(elements) > 1 else ""
    scheme, linear = solution.scheme, result.linear_solver
    sizes = _problem(evidence)
    found = {
        "problem": ", ".join(
            (
                counted(len(sizes["states"]), "state"),
                *(
                    [counted(len(sizes["algebraics"]), "algebraic variable")]
                    if sizes["algebraics"]
                    else []
                ),
                *([_decided(solution)] if windows else []),
                *(
                    counted(count, word)
                    for count, word in (
                        (len(sizes["experiments"]) - len(windows), "experiment"),
                        (sizes["measurements"], "measurement"),
                        (sizes["weights"], "weight"),
                        (sizes["parameters"], "parameter"),
                    )
                    if count or not windows
                ),
            )
        )
    }
    if solution.nlp is not None:
        found["NLP"] = size_text(solution.nlp)
    found["scheme"] = (
        f"{scheme.name}, degree {scheme.degree} (order {scheme.order}), {counted(sum(elements), 'element')}"
        f"{several}"
    )
    if scheme.residual:
        found["scheme"] += f", integrated residual of weight {scheme.residual:g}"
    if solution.model.index > 1:
        found["index"] = (
            f"{solution.model.index}, solved as it stands: velocities and algebraic variables converge "
            "more slowly than the order says; simulated by derivatives of the equations"
        )
    if solution.meshing is not None:
        found["mesh"] = str(solution.meshing)
    if evidence.penalty is not None:
        found["λ"] = _penalty_text(evidence, evidence.penalty)
    ran = f"{result.solver} through {result.interface}" if result.solver else ""
    found["solver"] = ran + (f", linear solver {linear}" if linear else "")
    if result.options.get("hessian_approximation") == "gauss-newton":
        found["solver"] += ", Gauss-Newton for the networks' second derivatives"
    found["time"] = times_text(result.timings)
    found["objective"] = (
        f"{_finite(result.objective, '.6g')}, largest violation {_finite(result.violation, '.1e')}"
    )
    return {label: text for label, text in found.items() if text}


def _penalty_text(evidence: Evidence, penalty: Penalty) -> str:
    """The ridge, who chose it, and what the data say of it."""
    chosen = evidence.chooses and penalty.chosen
    words = [f"{penalty.strength:.2g}", "by evidence" if chosen else "as given"]
    if evidence.chooses and not chosen:
        words[-1] = "on the way to what the evidence asks for"
    told = []
    if not chosen and np.isfinite(penalty.asked):
        told.append(f"the evidence asks for {penalty.asked:.2g}")
    if np.isfinite(penalty.effective):
        count = len(evidence.solution.model.theta)
        told.append(f"the data determine {penalty.effective:.3g} of {counted(count, 'weight')}")
    trust = evidence.trusted[0]
    if chosen and trust is not None:
        noise = ", ".join(f"{name} {formatted(std, '.3g')}" for name, std in trust.noise.items())
        told.append(f"noise {noise}")
    if penalty.solves > 1:
        told.append(counted(penalty.solves, "solve"))
    return " ".join(words) + (f" ({'; '.join(told)})" if told else "")


def _decided(solution: Solution) -> str:
    windows = [part for part in solution.trajectories if not part.experiment.measures]
    controls = {name for part in windows for name in part.controls}
    return f"{counted(len(windows), 'window')}, {counted(len(controls), 'control')}"


def _finite(value: float, form: str) -> str:
    return formatted(value, form) if np.isfinite(value) else "not finite"


def _problem(evidence: Evidence) -> dict[str, Any]:
    solution = evidence.solution
    experiments = [part.experiment for part in solution.trajectories]
    return {
        "name": solution.name,
        "states": solution.model.states,
        "algebraics": tuple(solution.model.algebraics),
        "outputs": solution.model.outputs,
        "inputs": solution.model.inputs,
        "experiments": [_experiment(experiment) for experiment in experiments],
        "test": [_experiment(experiment) for experiment in solution.test],
        "measurements": sum(int(np.isfinite(e.values).sum()) for e in experiments)
        if evidence.problem is None
        else evidence.problem.n_measurements,
        "weights": len(solution.model.theta),
        "parameters": len(solution.model.parameter_names),
    }


def _experiment(experiment: Experiment) -> dict[str, Any]:
    window = [experiment.start, experiment.end]
    return {"name": experiment.name, "samples": experiment.samples, "window": window}


def _details(evidence: Evidence) -> dict[str, Any]:
    solution, result = evidence.solution, evidence.solution.result
    scheme, trust = solution.scheme, evidence.trusted[0]
    elements = [part.mesh.elements for part in solution.trajectories]
    found: dict[str, Any] = {
        "problem": _problem(evidence),
        "scheme": {"name": scheme.name, "degree": scheme.degree, "order": scheme.order}
        | {"residual": scheme.residual}
        | {"elements": elements},
        "solver": solver(result),
        "seconds": result.timings,
        "noise": trust.noise if trust else {},
        "residuals": [
            {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
            for row in evidence.residuals
        ],
    }
    if solution.meshing is not None:
        found["mesh"] = solution.meshing.to_dict()
    score = _likelihood(solution)
    if score is not None:
        found["likelihood"] = {**asdict(score), "aic": score.aic, "bic": score.bic}
    if evidence.penalty is not None:
        found["penalty"] = asdict(evidence.penalty)
    if solution.nlp is not None:
        functions = solution.nlp.functions
        found["nlp"] = {
            "variables": solution.nlp.columns,
            "constraints": solution.nlp.rows,
            "jacobian_nonzeros": functions.jacobian.nnz_out(1),
            "hessian_nonzeros": functions.hessian.nnz_out(0),
        }
    if evidence.diagnosis is not None:
        found["diagnosis"] = {
            "not_finite": evidence.diagnosis.not_finite.to_dict("records"),
            "at_bounds": evidence.diagnosis.at_bounds,
            "advice": evidence.diagnosis.advice.name.lower().replace("_", "-"),
        }
    return found


def _figures(evidence: Evidence) -> tuple[Figure, ...]:
    solution, trust = evidence.solution, evidence.trusted[0]
    band = "; shaded: 95 % confidence band of the fitted states" if trust else ""
    figures = [
        figure(
            "trajectories",
            f"Data, collocated and simulated trajectories{band}",
            "trajectories",
            solution,
            trust=trust,
        )
    ]
    if all(part.experiment.measures for part in solution.trajectories):
        drawn = len(solution.model.states) > 1 and not solution.model.lags
    else:
        drawn = False
        if solution.nlp is not None and solution.model.index == 1:
            caption = "Costates and Hamiltonian"
            figures.append(figure("costates", caption, "costates", solution))
    if drawn:
        caption = "Phase portrait: the learnt field, beside the true one where that is known"
        figures.append(figure("phase_portrait", caption, "phase_portrait", solution))
    if len(solution.result.history.get("objective", ())):
        caption = "Objective and infeasibilities by iteration"
        figures.append(figure("convergence", caption, "convergence", solution))
    return tuple(figures)


def _files(evidence: Evidence) -> dict[str, Writer]:
    solution = evidence.solution
    rows = evidence.parameters
    parameters = {name: [row[name] for row in rows] for name in PARAMETER_COLUMNS}
    files: dict[str, Writer] = {
        "solution.npz": solution.save,
        "parameters.csv": partial(write_csv, parameters),
    }
    names = [part.experiment.name for part in solution.trajectories]
    for name, stem in unique_stems(names).items():
        files[f"trajectory_{stem}.csv"] = partial(write_csv, solution.columns(name))
    return files
