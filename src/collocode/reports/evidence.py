"""How far to trust a fit, or why it failed; and what must not be overlooked, each with one remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..checks import listed
from ..identify.evidence import evidence_of
from ..identify.intervals import Uncertainty
from ..identify.uncertainty import uncertainty
from ..model import losses
from ..model.counts import Poisson
from ..model.misfit import likelihood_of
from ..model.problem import Problem
from ..results.agreement import Agreement, agreements
from ..results.diagnosis import Diagnosis, diagnose
from ..results.doubts import (
    SHARE,
    Doubt,
    doubts_of,
    kinks_of,
    mesh_text,
    sigma_text,
    unexplained_text,
)
from ..results.fitted import Penalty
from ..results.released import NOISE_FREE
from ..results.residuals import is_white, whiteness_rows
from ..results.score import mse, predict_test, test_initial
from ..results.solution import Solution
from .bending import bent
from .decisions import overshoots, ringing
from .levers import (
    Remedy,
    another_start,
    by_evidence,
    finer,
    for_bound,
    for_gap,
    for_misfit,
    for_unsolved,
    regularise,
)
from .parts import Finding, Lever, ranked
from .programs import not_solved
from .record import Asked
from .solution_tables import (
    CANNOT_TELL,
    parameter_rows,
    pooled_residuals,
)

WORSE = 10.0  # mean squared error of what was not fitted, over that of what was
UNEXPLAINED = 0.1  # of the data's variance, where nothing tells whether it is noise
LONG_GAP = 0.15  # of a window
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
    def agreements(self) -> list[Agreement]:
        """By experiment and output, see `collocode.results.doubts`."""
        return agreements(self.solution)

    @cached_property
    def doubts(self) -> list[Doubt]:
        """Why it should not be believed."""
        return doubts_of(self.solution, self.agreements if self.finite else [])

    @property
    def finite(self) -> bool:
        """Whether the point is one."""
        return bool(np.isfinite(self.solution.result.x).all())

    @cached_property
    def residuals(self) -> list[dict[str, Any]]:
        """One row an experiment and output, see `whiteness`; none if the fit was not solved."""
        if not self.solution.success:
            return []
        with np.errstate(all="ignore"):  # a simulation that breaks down leaves NaN
            return whiteness_rows(self.solution)

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
        if not self.solution.success or not nlp.problem.n_measurements:
            return None, ""  # what is decided without data has no noise
        numbers = float(nlp.columns) * (len(nlp.layout.weights) + len(nlp.layout.shared))
        if numbers > MOST_NUMBERS:
            return None, f"the covariance would need {8e-9 * numbers:.1f} GB"
        try:
            return uncertainty(self.solution), ""
        except (ArithmeticError, RuntimeError, ValueError) as error:  # singular or not finite
            return None, f"the covariance could not be computed ({error})"

    @property
    def rounded(self) -> list[str]:
        """Outputs whose data the fit goes through as far as residuals alone tell, of a fit from a file."""
        noisy = [a for a in self.agreements if a.given or a.collocated > NOISE_FREE * a.spread]
        kept = {a.output for a in noisy}
        return [name for name in self.solution.model.outputs if name not in kept]

    @cached_property
    def penalty(self) -> Penalty | None:
        """The ridge of the weights, beside what the evidence asks for; None without weights."""
        solution = self.solution
        if solution.penalty is None or not len(solution.model.theta):
            return None
        if np.isfinite(solution.penalty.asked) or self.trusted[0] is None:
            return solution.penalty
        best = evidence_of(solution)
        return replace(solution.penalty, asked=best.strength, effective=best.effective)

    @property
    def chooses(self) -> bool:
        """Whether the problem left λ to the evidence."""
        given = None if self.problem is None else self.problem.regularisation
        return isinstance(given, losses.Evidence)

    @cached_property
    def parameters(self) -> list[dict[str, Any]]:
        """One row a physical parameter."""
        return parameter_rows(self.solution, self.trusted[0])


def findings_of(fit: Solution | Evidence, asked: Asked) -> list[Finding]:
    """Return the findings; of a fit that was not solved only that, all else follows from it."""
    evidence = Evidence(fit) if isinstance(fit, Solution) else fit
    solution = evidence.solution
    if not solution.success:
        agreed = evidence.agreements if evidence.finite else []
        remedy = for_unsolved(solution, evidence.diagnosis, agreed, asked)
        found = [not_solved(solution.result, remedy.text, asked, remedy.lever)]
        kinks = kinks_of(solution)
        return [*found, asked.finding("not-smooth", text=kinks)] if kinks else found
    found = [_of_doubt(doubt, evidence, asked) for doubt in evidence.doubts]
    found += _of_noise(evidence, asked)
    penalty = evidence.penalty if evidence.chooses else None
    if penalty is not None and not penalty.chosen and np.isfinite(penalty.asked):
        facts = {"strength": penalty.strength, "asked": penalty.asked, "solves": penalty.solves}
        found.append(asked.finding("strength-unsettled", **facts))
    return [*ranked([*found, *_of_parameters(evidence, asked)]), *_notes(evidence, asked)]


def _of_parameters(evidence: Evidence, asked: Asked) -> list[Finding]:
    """What must be known of the estimates; without any, no covariance is taken."""
    solution, found = evidence.solution, []
    if not solution.parameters:
        return []
    shares = {row["name"]: row["mesh_share"] for row in evidence.parameters}
    known = {doubt.code for doubt in evidence.doubts}
    if any(abs(share) > SHARE for share in shares.values()) and not known & {
        "large-gap",
        "mesh-share",
    }:
        lever, remedy = finer(solution, asked)
        found.append(asked.finding("mesh-share", lever, text=mesh_text(shares), remedy=remedy))
    given = () if evidence.problem is None else evidence.problem.all_parameters
    starts = {q.name: q.start for q in given}
    bounded = [
        row["name"]
        for row in evidence.parameters
        if _at_bound(row, starts.get(row["name"].split("[", 1)[0], 0.0))
    ]
    if bounded:
        found.append(asked.finding("at-bound", names=", ".join(bounded)))
    trust = evidence.trusted[0]
    found += _of_bending(evidence, asked)
    lost = [n for n in (trust.not_identifiable if trust else ()) if n in solution.parameters]
    exact = [n for n in (trust.exact if trust else ()) if n in solution.parameters]
    if trust and exact:
        found.append(
            asked.finding("noise-free", outputs=listed(trust.noise_free), names=listed(exact))
        )
    if lost:
        words = (
            {"are": "is", "which": "it"}
            if len(lost) == 1
            else {"are": "are", "which": "one of them"}
        )
        found.append(asked.finding("not-identifiable", names=", ".join(lost), **words))
    return found


def _of_bending(evidence: Evidence, asked: Asked) -> list[Finding]:
    trust, nlp = evidence.trusted[0], evidence.solution.nlp
    if trust is None or nlp is None or nlp.problem.decides or len(nlp.layout.weights):
        return []
    try:
        sure = bent(trust, evidence.parameters, nlp.columns)
    except (ArithmeticError, RuntimeError, ValueError):  # away from the optimum
        return []
    if not sure:
        return []
    return [asked.finding("bent-interval", names=listed(sure), share=min(sure.values()))]


def _of_doubt(doubt: Doubt, evidence: Evidence, asked: Asked) -> Finding:
    solution, agreed = evidence.solution, evidence.agreements
    if doubt.code == "sigma-contradicted":
        assert doubt.worst is not None
        return asked.finding(doubt.code, text=doubt.text, sigma=doubt.worst.smooth)
    if doubt.code in ("jump-inside", "loose-cost", "another-optimum"):
        return asked.finding(doubt.code, text=doubt.text)
    if doubt.code == "state-bound":
        remedy = for_bound(solution, doubt, asked)
    elif doubt.code == "window-gap":
        elements = max(part.mesh.elements for part in solution.trajectories)
        remedy = Remedy(Lever.MESH, f"give a finer mesh, <mesh|elements={2 * elements}>")
    elif doubt.code == "mesh-share":
        remedy = finer(solution, asked)
    else:
        remedy = (for_gap if doubt.code == "large-gap" else for_misfit)(solution, agreed, asked)
    return asked.finding(doubt.code, remedy.lever, text=doubt.text, remedy=remedy.text)


def _of_noise(evidence: Evidence, asked: Asked) -> list[Finding]:
    """What residuals and data say of the noise: it was given wrongly, or the network follows it."""
    solution, agreed = evidence.solution, evidence.agreements
    known = {doubt.code for doubt in evidence.doubts}
    wrong = [a for a in agreed if a.contradicted]
    found = []
    if wrong and not known & {"sigma-contradicted", "large-gap"}:
        worst = max(wrong, key=lambda a: abs(np.log(a.smooth / a.noise)))
        text = sigma_text(worst)
        found.append(asked.finding("sigma-contradicted", text=text, sigma=worst.smooth))
    elif not known:
        found += _of_scatter(evidence, asked)
    left = max(agreed, key=lambda a: a.unexplained, default=None)
    if left is not None and left.unexplained > UNEXPLAINED and not known:
        remedy = another_start(solution, asked)
        text = unexplained_text(left)
        found.append(asked.finding("left-unexplained", remedy.lever, text=text, remedy=remedy.text))
    below = [a for a in agreed if a.below and not a.contradicted]
    if (
        below
        and len(solution.model.theta)
        and not by_evidence(solution)
        and "large-gap" not in known
    ):
        worst = min(below, key=lambda a: a.collocated / a.least)
        found.append(
            asked.finding(
                "below-noise",
                output=worst.output,
                experiment=worst.experiment,
                rms=worst.collocated,
                noise=worst.least,
                remedy=regularise(solution, agreed, asked, stronger=True).text,
            )
        )
    return found


def _of_scatter(evidence: Evidence, asked: Asked) -> list[Finding]:
    """Residuals that are larger than a given σ, or the law of counts, has them; of what has parameters."""
    trust = evidence.trusted[0] if evidence.solution.parameters else None
    if trust is None or not trust.scatter:
        return []
    loss, found = evidence.solution.loss, []
    counts = {n: f for n, f in trust.scatter.items() if isinstance(likelihood_of(loss, n), Poisson)}
    given = {n: f for n, f in trust.scatter.items() if n not in counts}
    if counts:
        facts = {"names": listed(counts), "factor": max(counts.values())}
        found.append(asked.finding("counts-scatter", **facts))
    if given:
        worst = max(given, key=lambda name: given[name])
        text = (
            f"the residuals of {worst} are {given[worst] ** 0.5:.2g} times as large as the σ that was given has "
            "them: that is too small, or the model misses something"
        )
        found.append(asked.finding("sigma-contradicted", text=text, sigma=trust.noise[worst]))
    return found


def _notes(evidence: Evidence, asked: Asked) -> list[Finding]:
    """What is good to know."""
    found = []
    rows = pooled_residuals(evidence.residuals)
    trust = evidence.trusted[0] if evidence.solution.parameters else None
    rounding = trust.noise_free if trust else evidence.rounded  # is never white
    coloured = [row for row in rows if row["white"] is False and row["output"] not in rounding]
    # of many outputs one has a small p-value by chance
    if any(not is_white(row["p_value"] * len(rows), row["lag_one"]) for row in coloured):
        found.append(
            asked.finding("not-white", outputs=listed([row["output"] for row in coloured]))
        )
    unclear = [row["output"] for row in rows if row["white"] == CANNOT_TELL]
    unclear = [name for name in unclear if name not in rounding]
    if unclear:
        found.append(asked.finding("cannot-tell", outputs=", ".join(unclear)))
    rings, beyond = ringing(evidence.solution), overshoots(evidence.solution)
    beyond = {name: size for name, size in beyond.items() if name not in rings}
    for code, sizes in (("control-rings", rings), ("control-overshoots", beyond)):
        if sizes:
            found.append(asked.finding(code, names=listed(sizes), worst=max(sizes.values())))
    found += _not_looked_at(evidence.solution, asked)
    found += _inputs_that_end(evidence, asked)
    untold = [e.name for e in evidence.solution.test if test_initial(evidence.solution, e) is None]
    if untold:
        found.append(asked.finding("test-untold", names=listed(map(repr, untold))))
    if len(evidence.solution.model.theta):
        found += _worse_held_out(evidence, asked)
        found += _gap_in_data(evidence, asked)
    tables: dict[str, list[str]] = {}
    for part in evidence.solution.trajectories:
        if part.experiment.notes:
            tables.setdefault("; ".join(part.experiment.notes), []).append(part.experiment.name)
    found += [
        asked.finding("read-as", names=listed(names), notes=notes)
        for notes, names in tables.items()
    ]
    return found


def _not_looked_at(solution: Solution, asked: Asked) -> list[Finding]:
    """What only the equations tell, of a fit from a file."""
    if solution.nlp is not None:
        return []
    untold = ["whether parameters are identifiable or at a bound"] if solution.parameters else []
    untold += ["what the tolerances are worth in the cost"] if solution.costs else []
    return [asked.finding("from-file", untold=" and ".join(untold))] if untold else []


def _worse_held_out(evidence: Evidence, asked: Asked) -> list[Finding]:
    solution = evidence.solution
    if not solution.test:
        return []
    train = [
        mse(solution.predict(part.experiment.times, number), part.experiment.values)
        for number, part in enumerate(solution.trajectories)
    ]
    predicted = {e.name: (predict_test(solution, e), e.values) for e in solution.test}
    test = {name: mse(p[1], values) for name, (p, values) in predicted.items() if p is not None}
    if not test:
        return []
    worst, usual = max(test, key=lambda name: test[name]), float(np.mean(train))
    if not test[worst] > WORSE * usual:
        return []
    remedy = regularise(evidence.solution, evidence.agreements, asked, stronger=True)
    facts = {"experiment": worst, "test": test[worst], "train": usual, "times": test[worst] / usual}
    text = f"measure more of that region, or {remedy.text}"
    return [asked.finding("held-out-worse", remedy.lever, remedy=text, **facts)]


def _gap_in_data(evidence: Evidence, asked: Asked) -> list[Finding]:
    for part in evidence.solution.trajectories:
        experiment = part.experiment
        t = experiment.times[np.isfinite(experiment.values).any(axis=1)]
        steps = np.diff(t)
        if not len(steps):
            continue
        k, window = int(np.argmax(steps)), part.times[-1] - part.times[0]
        if steps[k] > max(LONG_GAP * window, 5.0 * float(np.median(steps))):
            facts = {"experiment": experiment.name, "begin": t[k], "end": t[k + 1]}
            return [asked.finding("data-gap", **facts)]
    return []


def _inputs_that_end(evidence: Evidence, asked: Asked) -> list[Finding]:
    """Curves through samples that a run outlasts: they stay what they were last, as levels held on purpose do."""
    found: dict[str, tuple[float, float]] = {}
    for part in evidence.solution.trajectories:
        e = part.experiment
        assert e.start is not None
        assert e.end is not None
        for name in evidence.solution.model.inputs:
            signal = e.inputs.get(name)
            if signal is None or name in part.controls or len(signal.times) < 2:
                continue
            room = max(float(np.diff(signal.times).max()), 0.01 * (e.end - e.start))
            ends = float(signal.times[0]), float(signal.times[-1])
            if (
                signal.kind in ("linear", "spline")
                and max(ends[0] - e.start, e.end - ends[1]) > room
            ):
                found[f"{name} of {e.name!r}"] = ends
    if not found:
        return []
    first, last = next(iter(found.values()))
    return [asked.finding("input-ends", names=listed(found, 3), first=first, last=last)]


def _at_bound(row: Mapping[str, Any], start: float) -> bool:
    """Whether an estimate is at a bound, as seen from its standard error, or else from its size."""
    if row["lower"] == row["upper"]:
        return False
    room = min(row["value"] - row["lower"], row["upper"] - row["value"])
    if 0.0 < row["std"] < np.inf:
        return bool(room <= 1e-3 * row["std"])
    return bool(room <= 1e-6 * max(abs(row["value"]), abs(start)))
