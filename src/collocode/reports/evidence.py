"""How far to trust a fit, or why it failed; and what must not be overlooked, each with one remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..errors import listed
from ..identify.uncertainty import Uncertainty, uncertainty
from ..model.problem import Problem
from ..results.diagnosis import Advice, Diagnosis, diagnose
from ..results.residuals import whiteness
from ..results.solution import Solution
from ..starts.strategies import STRATEGIES
from .parts import Finding
from .programs import not_solved
from .record import Asked
from .solution_tables import (
    parameter_rows,
    pooled_residuals,
)
from .words import formatted

LARGE_GAP = 0.05
MOST_NUMBERS = 2e7  # of the dense sensitivities; 160 MB


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


def findings_of(evidence: Evidence, asked: Asked) -> list[Finding]:
    """Return the findings; of a fit that was not solved only that, all else follows from it."""
    solution = evidence.solution
    if not solution.success:
        diagnosis, count = evidence.diagnosis, solution.result.iterations
        remedy = "" if diagnosis is None else remedy_of(diagnosis, asked.start, count)
        return [not_solved(solution.result, remedy, asked)]
    found = []
    gaps = {
        score["experiment"]: score["gap"] for score in evidence.scores if score["role"] == "train"
    }
    worst = max(gaps, key=lambda name: gaps[name] or 0.0)
    if gaps[worst] is None or gaps[worst] > LARGE_GAP:
        size, remedy = formatted(gaps[worst], ".2g"), _gap_remedy(evidence, asked)
        found.append(asked.finding("large-gap", experiment=worst, gap=size, remedy=remedy))
    bounded = [row["name"] for row in evidence.parameters if _at_bound(row)]
    if bounded:
        found.append(asked.finding("at-bound", names=", ".join(bounded)))
    trust = evidence.trusted[0]
    lost = [n for n in (trust.not_identifiable if trust else ()) if n in solution.parameters]
    if lost:
        words = (
            {"are": "is", "which": "it"}
            if len(lost) == 1
            else {"are": "are", "which": "one of them"}
        )
        found.append(asked.finding("not-identifiable", names=", ".join(lost), **words))
    if any(row["white"] is False for row in pooled_residuals(evidence.residuals)):
        found.append(asked.finding("not-white"))
    tables: dict[str, list[str]] = {}
    for part in solution.trajectories:
        if part.experiment.notes:
            tables.setdefault("; ".join(part.experiment.notes), []).append(part.experiment.name)
    found += [
        asked.finding("read-as", names=listed(names), notes=notes)
        for notes, names in tables.items()
    ]
    return found


def _at_bound(row: Mapping[str, Any]) -> bool:
    room = min(row["value"] - row["lower"], row["upper"] - row["value"])
    return room <= 1e-6 * max(1.0, abs(row["value"])) and row["lower"] < row["upper"]


def _gap_remedy(evidence: Evidence, asked: Asked) -> str:
    strength = asked.model.get("settings", {}).get("regularisation")
    if isinstance(strength, float) and strength > 0.0:
        return f"try <set.regularisation={10.0 * strength:g}>"
    own = evidence.problem.penalty if evidence.problem else None
    if (
        not asked.shell
        and own is not None
        and own.strength > 0.0
        and len(evidence.solution.model.theta)
    ):
        return f"try regularisation=cc.{type(own).__name__}({10.0 * own.strength:g})"
    elements = max(part.mesh.elements for part in evidence.solution.trajectories)
    return f"try <mesh|elements={2 * elements}>"


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
