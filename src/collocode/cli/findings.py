"""What a fit tells beyond its curves: intervals, residuals, and what went wrong if it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..identify.uncertainty import Uncertainty, uncertainty
from ..results.diagnosis import Diagnosis, diagnose
from ..results.residuals import whiteness
from ..results.solution import Solution

LEVEL = 0.95
MOST_NUMBERS = 2e7  # of the dense sensitivities; 160 MB


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found out about a solution.

    Attributes
    ----------
    trust : covariance of a solved fit; None if there is none.
    no_trust : why there is none, for a solved fit.
    residuals : by experiment and output, see `whiteness`; empty if not solved.
    diagnosis : of a fit that was not solved.
    """

    trust: Uncertainty | None
    no_trust: str
    residuals: pd.DataFrame
    diagnosis: Diagnosis | None

    def intervals(self, solution: Solution) -> pd.DataFrame:
        """``std``, ``lower``, ``upper`` and ``note`` by physical parameter; NaN where unknown."""
        names = list(solution.parameters)
        if self.trust is None or not names:
            table = pd.DataFrame(np.nan, index=names, columns=["std", "lower", "upper"])
            return table.assign(note="")
        return self.trust.intervals(LEVEL)

    def unknown(self, solution: Solution) -> list[str]:
        """Names of the physical parameters that the data do not determine."""
        lost = self.trust.not_identifiable if self.trust else ()
        return [name for name in lost if name in solution.parameters]


def examine(solution: Solution) -> Findings:
    """Find out how far to trust a solved fit, or why another one failed."""
    if not solution.success:
        return Findings(None, "", pd.DataFrame(), diagnose(solution))
    with np.errstate(all="ignore"):  # a simulation that breaks down leaves NaN
        residuals = whiteness(solution)
    trust, why = _trust(solution)
    return Findings(trust, why, residuals, None)


def _trust(solution: Solution) -> tuple[Uncertainty | None, str]:
    nlp = solution.nlp
    assert nlp is not None
    numbers = float(nlp.columns) * (len(nlp.layout.weights) + len(nlp.layout.shared))
    if numbers > MOST_NUMBERS:
        return None, f"the covariance would need {8e-9 * numbers:.1f} GB"
    try:
        return uncertainty(solution), ""
    except (ArithmeticError, RuntimeError, ValueError) as error:  # singular or not finite
        return None, f"the covariance could not be computed ({error})"


def pooled_residuals(residuals: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row an output: samples, rms, and the p-value over all experiments.

    The smallest of n p-values is multiplied by n (Bonferroni); ``experiment`` is where it arose.
    """
    rows: list[dict[str, Any]] = []
    if residuals.empty:
        return rows
    for output, group in residuals.groupby(level="output", sort=False):
        weights, p = group["samples"], group["p_value"]
        worst = None if p.isna().all() else p.idxmin()
        pick = worst if worst is not None else group.index[0]
        rows.append(
            {
                "output": str(output),
                "samples": int(weights.sum()),
                "rms": float(np.sqrt(np.average(group["rms"] ** 2, weights=weights))),
                "bias": float(np.average(group["bias"], weights=weights)),
                "lag_one": float(group.loc[pick, "lag_one"]),
                "p_value": None if worst is None else min(1.0, float(p.min()) * len(group)),
                "experiment": str(pick[0]) if len(group) > 1 else "",
            }
        )
    return rows
