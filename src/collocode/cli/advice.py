"""What a reader of the summary must not overlook: each warning with one remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..results.diagnosis import Advice, Diagnosis
from ..results.score import Score
from ..results.solution import Solution
from ..starts.strategies import STRATEGIES
from .findings import Findings
from .report import parameter_rows

LARGE_GAP = 0.05


def warnings_of(
    solution: Solution,
    scores: list[Score],
    findings: Findings,
    start: str,
    settings: Mapping[str, Any],
) -> list[str]:
    """Return the warnings; of a fit that was not solved only that, all else follows from it."""
    if findings.diagnosis is not None:
        return [_status_warning(solution, findings.diagnosis, start)]
    found = []
    gaps = {score.experiment: score.gap for score in scores if score.role == "train"}
    worst = max(gaps, key=lambda name: gaps[name])
    if gaps[worst] > LARGE_GAP:
        found.append(
            f"the learnt model does not reproduce its collocated trajectory of {worst!r} (gap "
            f"{gaps[worst]:.2g} of its size); {_gap_remedy(solution, settings)}"
        )
    at_bound = _at_bound(solution)
    if at_bound:
        found.append(
            f"{', '.join(at_bound)} ended at a bound; widen it unless the bound is a physical one."
        )
    unknown = findings.unknown(solution)
    if unknown:
        what = "is" if len(unknown) == 1 else "are"
        found.append(
            f"{', '.join(unknown)} {what} not identifiable: other values fit these data as well; "
            f"fix {'it' if len(unknown) == 1 else 'one of them'} or measure more."
        )
    return found


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


def _at_bound(solution: Solution) -> list[str]:
    return [
        row["name"]
        for row in parameter_rows(solution)
        if min(row["value"] - row["lower"], row["upper"] - row["value"])
        <= 1e-6 * max(1.0, abs(row["value"]))
        and row["lower"] < row["upper"]
    ]


def _gap_remedy(solution: Solution, settings: Mapping[str, Any]) -> str:
    strength = settings.get("regularisation")
    if isinstance(strength, float) and strength > 0.0:
        return f"try --set regularisation={10.0 * strength:g}."
    elements = max(part.mesh.elements for part in solution.trajectories)
    return f"try --elements {2 * elements}."


def _status_warning(solution: Solution, diagnosis: Diagnosis, start: str) -> str:
    result = solution.result
    return (
        f"not solved: {result.termination.value}, the point is {result.status.value} (largest "
        f"violation {result.violation:.1e}; {result.message}); "
        f"{remedy_of(diagnosis, start, result.iterations)}"
    )


def remedy_of(diagnosis: Diagnosis, start: str, iterations: int) -> str:
    """Return a diagnosis's advice in the words of the command line."""
    other = f"try --start {next_start(start)}."
    remedies = {
        Advice.KEEP_DEFINED: "keep the states by bounds= in the model where its functions are "
        "defined.",
        Advice.MORE_ITERATIONS: f"raise it by --option max_iter={max(2000, 4 * iterations)}.",
        Advice.RELAX: f"relax the constraint {diagnosis.contradicted!r}, which the data "
        "contradict.",
        Advice.CHECK_BOUNDS: "check the model's bounds and fixed initial states.",
        Advice.LOOSEN: "loosen it by --option tol=1e-6 if that is enough.",
        Advice.GO_ON: "run it again to the end; this is the best iterate so far.",
        Advice.MORE_TIME: "give it more time by --option max_wall_time.",
    }
    return remedies.get(diagnosis.advice, other)
