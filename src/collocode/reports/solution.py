"""The report of a fit: what was solved, how, how well, and what must not be overlooked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from ..identify.uncertainty import Uncertainty, uncertainty
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..results.diagnosis import Advice, Diagnosis, diagnose
from ..results.residuals import whiteness
from ..results.solution import Solution
from ..results.status import Termination
from ..starts.strategies import STRATEGIES
from .folder import Writer, unique_stems
from .parts import Asked, Facts, Figure, Finding, Severity, Table, Words, drawn
from .record import Report
from .solution_tables import (
    diagnosis_table,
    parameter_rows,
    parameters_table,
    pooled_residuals,
    residuals_table,
    scores_table,
)
from .words import counted, formatted, times_text

LARGE_GAP = 0.05
MOST_NUMBERS = 2e7  # of the dense sensitivities; 160 MB
PARAMETER_COLUMNS = (
    "name",
    "value",
    "unit",
    "lower",
    "upper",
    "std",
    "lower_95",
    "upper_95",
    "note",
)


def report_solution(solution: Solution, asked: Asked) -> Report:
    """Return the report of a fit, also of one that was loaded or was not solved."""
    evidence = Evidence(solution)
    result = solution.result
    return Report(
        kind="solution",
        title=solution.name,
        success=solution.success,
        status=solution.status,
        interrupted=result.termination is Termination.INTERRUPTED,
        body=_body(evidence),
        findings=tuple(_findings(evidence, asked)),
        result={
            "termination": result.termination,
            "point": result.status,
            "message": result.message,
            "iterations": result.iterations,
            "objective": result.objective,
            "violation": result.violation,
        },
        details=_details(evidence),
        figures=_figures(evidence),
        files=_files(evidence),
        model={"source": evidence.problem.source if evidence.problem else "", **asked.model},
        command=asked.command,
    )


def planned(problem: Problem) -> list[str]:
    """Names of the files and figures that the report of a fit of the problem has."""
    stems = unique_stems(experiment.name for experiment in problem.experiments)
    names = ["parameters.csv", "solution.npz", "trajectories.png", "convergence.png"]
    names += ["phase_portrait.png"] if len(problem.states) > 1 else []
    return names + [f"trajectory_{stem}.csv" for stem in stems.values()]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How far to trust a solved fit, or why another one failed; each is found out once."""

    solution: Solution

    @property
    def problem(self) -> Problem | None:
        """The problem, unless the fit was loaded from a file."""
        return None if self.solution.nlp is None else self.solution.nlp.problem

    @cached_property
    def scores(self) -> list[dict[str, Any]]:
        """Errors by experiment, see `Solution.score`."""
        return [score.as_dict() for score in self.solution.score()]

    @cached_property
    def residuals(self) -> pd.DataFrame:
        """By experiment and output, see `whiteness`; empty if the fit was not solved."""
        if not self.solution.success:
            return pd.DataFrame()
        with np.errstate(all="ignore"):  # a simulation that breaks down leaves NaN
            return whiteness(self.solution)

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """Of a fit that was not solved."""
        known = self.solution.success or self.solution.nlp is None
        return None if known else diagnose(self.solution)

    @cached_property
    def trusted(self) -> tuple[Uncertainty | None, str]:
        """The covariance, or why there is none."""
        nlp = self.solution.nlp
        if nlp is None:
            return None, "a fit from a file has no equations to take them from"
        if not self.solution.success:
            return None, ""
        numbers = float(nlp.columns) * (len(nlp.layout.weights) + len(nlp.layout.shared))
        if numbers > MOST_NUMBERS:
            return None, f"the covariance would need {8e-9 * numbers:.1f} GB"
        try:
            return uncertainty(self.solution), ""
        except (ArithmeticError, RuntimeError, ValueError) as error:  # singular or not finite
            return None, f"the covariance could not be computed ({error})"

    @cached_property
    def parameters(self) -> list[dict[str, Any]]:
        """One row a physical parameter."""
        return parameter_rows(self.solution, self.trusted[0])


def _body(evidence: Evidence) -> tuple[Words | Facts | Table, ...]:
    solution, result = evidence.solution, evidence.solution.result
    total = f" in {result.timings['total']:.2f} s" if "total" in result.timings else ""
    items: list[Words | Facts | Table] = [
        Words(
            (
                (solution.name, "strong"),
                ("  ", ""),
                (solution.status, "good" if solution.success else "bad"),
                (f" after {counted(result.iterations, 'iteration')}{total}", ""),
            )
        ),
        Facts(_facts(evidence)),
        scores_table(evidence.scores),
    ]
    if evidence.diagnosis is not None:
        items += diagnosis_table(evidence.diagnosis)
    pooled = pooled_residuals(evidence.residuals)
    items += [residuals_table(pooled)] if pooled else []
    if evidence.parameters:
        items.append(parameters_table(evidence.parameters, evidence.trusted[1]))
    return tuple(items)


def _facts(evidence: Evidence) -> dict[str, str]:
    solution, result = evidence.solution, evidence.solution.result
    elements = [part.mesh.elements for part in solution.trajectories]
    several = f" in {len(elements)} experiments" if len(elements) > 1 else ""
    scheme, linear = solution.scheme, result.linear_solver
    sizes = _problem(evidence)
    found = {
        "problem": ", ".join(
            (
                counted(len(sizes["states"]), "state"),
                counted(len(sizes["experiments"]), "experiment"),
                counted(sizes["measurements"], "measurement"),
                counted(sizes["weights"], "weight"),
                counted(sizes["parameters"], "parameter"),
            )
        )
    }
    if solution.nlp is not None:
        found["NLP"] = f"{solution.nlp.columns} variables, {solution.nlp.rows} constraints"
    found["scheme"] = (
        f"{scheme.name}, degree {scheme.degree} (order {scheme.order}), {sum(elements)} elements"
        f"{several}"
    )
    ran = f"{result.solver} through {result.interface}" if result.solver else ""
    found["solver"] = ran + (f", linear solver {linear}" if linear else "")
    found["time"] = times_text(result.timings)
    found["objective"] = (
        f"{_finite(result.objective, '.6g')}, largest violation {_finite(result.violation, '.1e')}"
    )
    return {label: text for label, text in found.items() if text}


def _finite(value: float, form: str) -> str:
    return formatted(value, form) if np.isfinite(value) else "not finite"


def _problem(evidence: Evidence) -> dict[str, Any]:
    solution = evidence.solution
    experiments = [part.experiment for part in solution.trajectories]
    return {
        "name": solution.name,
        "states": solution.model.states,
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
        | {"elements": elements},
        "solver": {
            "interface": result.interface,
            "name": result.solver,
            "linear_solver": result.linear_solver,
            "options": result.options,
        },
        "seconds": result.timings,
        "noise": trust.noise if trust else {},
        "residuals": evidence.residuals.reset_index().to_dict("records"),
    }
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
        Figure(
            name="trajectories.png",
            caption=f"Data, collocated and simulated trajectories{band}",
            draw=drawn("trajectories", solution, trust=trust),
        )
    ]
    if len(solution.model.states) > 1:
        caption = "Phase portrait: the learnt field, beside the true one where that is known"
        draw = drawn("phase_portrait", solution)
        figures.append(Figure(name="phase_portrait.png", caption=caption, draw=draw))
    if len(solution.result.history.get("objective", ())):
        draw = drawn("convergence", solution)
        caption = "Objective and infeasibilities by iteration"
        figures.append(Figure(name="convergence.png", caption=caption, draw=draw))
    return tuple(figures)


def _files(evidence: Evidence) -> dict[str, Writer]:
    solution = evidence.solution
    parameters = pd.DataFrame(evidence.parameters, columns=list(PARAMETER_COLUMNS))
    files: dict[str, Writer] = {
        "solution.npz": solution.save,
        "parameters.csv": partial(parameters.to_csv, index=False),
    }
    names = [part.experiment.name for part in solution.trajectories]
    for name, stem in unique_stems(names).items():
        frame = solution.to_frame(name)
        files[f"trajectory_{stem}.csv"] = partial(frame.to_csv, index=False)
    return files


# ---- findings ------------------------------------------------------------------------------------


def _findings(evidence: Evidence, asked: Asked) -> list[Finding]:
    """Return the findings; of a fit that was not solved only that, all else follows from it."""
    solution = evidence.solution
    if not solution.success:
        return [_not_solved(solution, evidence.diagnosis, asked)]
    found = []
    gaps = {
        score["experiment"]: score["gap"] for score in evidence.scores if score["role"] == "train"
    }
    worst = max(gaps, key=lambda name: gaps[name] or 0.0)
    if gaps[worst] is None or gaps[worst] > LARGE_GAP:
        text = (
            f"the learnt model does not reproduce its collocated trajectory of {worst!r} (gap "
            f"{formatted(gaps[worst], '.2g')} of its size)"
        )
        found.append(asked.finding("large-gap", text, _gap_remedy(evidence, asked)))
    bounded = [row["name"] for row in evidence.parameters if _at_bound(row)]
    if bounded:
        text, remedy = (
            f"{', '.join(bounded)} ended at a bound",
            "widen it unless the bound is a physical one",
        )
        found.append(asked.finding("at-bound", text, remedy))
    trust = evidence.trusted[0]
    lost = [n for n in (trust.not_identifiable if trust else ()) if n in solution.parameters]
    if lost:
        one = len(lost) == 1
        text = f"{', '.join(lost)} {'is' if one else 'are'} not identifiable: other values fit these data as well"
        remedy = f"fix {'it' if one else 'one of them'} or measure more"
        found.append(asked.finding("not-identifiable", text, remedy))
    if any(row["white"] is False for row in pooled_residuals(evidence.residuals)):
        text = "residuals are not white: the model misses something that lasts in time"
        found.append(asked.finding("not-white", text, severity=Severity.NOTE))
    return found


def _at_bound(row: Mapping[str, Any]) -> bool:
    room = min(row["value"] - row["lower"], row["upper"] - row["value"])
    return room <= 1e-6 * max(1.0, abs(row["value"])) and row["lower"] < row["upper"]


def _gap_remedy(evidence: Evidence, asked: Asked) -> str:
    strength = asked.model.get("settings", {}).get("regularisation")
    if isinstance(strength, float) and strength > 0.0:
        return f"try <set.regularisation={10.0 * strength:g}>"
    own = evidence.problem.regularisation if evidence.problem else None
    if (
        not asked.shell
        and own is not None
        and own.strength > 0.0
        and len(evidence.solution.model.theta)
    ):
        return f"try regularisation=cc.{type(own).__name__}({10.0 * own.strength:g})"
    elements = max(part.mesh.elements for part in evidence.solution.trajectories)
    return f"try <mesh|elements={2 * elements}>"


def _not_solved(solution: Solution, diagnosis: Diagnosis | None, asked: Asked) -> Finding:
    result = solution.result
    text = (
        f"not solved: {result.termination.value}, the point is {result.status.value} (largest "
        f"violation {result.violation:.1e}; {result.message})"
    )
    remedy = "" if diagnosis is None else remedy_of(diagnosis, asked.start, result.iterations)
    return asked.finding("not-solved", text, remedy, Severity.ERROR)


def remedy_of(diagnosis: Diagnosis, start: str, iterations: int) -> str:
    """Return a diagnosis's advice, see `words.spoken`."""
    remedies = {
        Advice.KEEP_DEFINED: "keep the states by bounds= in the model where its functions are defined",
        Advice.MORE_ITERATIONS: f"raise it by <options.max_iter={max(2000, 4 * iterations)}>",
        Advice.RELAX: f"relax the constraint {diagnosis.contradicted!r}, which the data contradict",
        Advice.CHECK_BOUNDS: "check the model's bounds and fixed initial states",
        Advice.LOOSEN: "loosen it by <options.tol=1e-6> if that is enough",
        Advice.GO_ON: "run it again to the end; this is the best iterate so far",
        Advice.MORE_TIME: "give it more time by <options.max_wall_time>",
    }
    return remedies.get(diagnosis.advice, f"try <start={next_start(start)}>")


def next_start(start: str) -> str:
    """Return the start strategy to try after ``start``: growing horizons, then those in turn.

    Examples
    --------
    >>> next_start("gradient_matching"), next_start("smoothing"), next_start("horizon")
    ('horizon', 'horizon', 'smoothing')
    """
    if start != "horizon":
        return "horizon"
    return STRATEGIES[STRATEGIES.index(start) + 1]
