"""The report of a layered network's training."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..layered.continuous import ContinuousObjective
from ..layered.losses import affine_errors
from ..layered.objective import LayeredProblem
from ..layered.trainers.training import Training
from ..results.status import Termination
from .parts import Column, Finding, Table, Words, figure
from .record import Asked, Report
from .words import counted

PARTS = ("training", "validation")


def report_training(training: Training, asked: Asked) -> Report:
    """Return the report of a training; ``asked.problem`` is its `LayeredProblem`, if there is one.

    ``asked.more`` may have the ``objective`` that was trained, where that is a continuous one.
    """
    problem: LayeredProblem | None = asked.problem
    objective = asked.more.get("objective")
    network, metric = training.network, training.metric
    rows = _training_rows(training, problem, objective)
    coefficients = network.slices["coefficients"]
    in_time = coefficients.stop - coefficients.start
    good = not training.termination.failed
    title = "Layered network" if problem is None else problem.name
    columns = [
        Column("part", heading="", left=True),
        Column("samples", "d"),
        Column("error", ".4f", metric),
        Column("continuous", ".4f", "in continuous depth"),
        Column("affine", ".4f"),
    ]
    status = training.status + (f" ({training.message})" if training.message else "")
    after = f" after {counted(training.iterations, 'iteration')}"
    work = (
        f"objective {training.objective:.4g}; {network.n_weights} weights, {in_time} of them in time; "
        f"{training.evaluations:.0f} evaluations, {training.seconds:.2f} s"
    )
    details = {"network": network.description(), "basis": repr(network.time_basis)}
    if objective is not None:
        details["right_hand_sides"] = vars(objective.work)
    caption = f"Objective and gradient, and {metric}, by iteration"
    names = ["message", "trainer", "metric", "objective", "iterations", "best_iteration"]
    names += ["evaluations", "gradients", "seconds"]
    return asked.report(
        "" if problem is None else problem.source,
        kind="training",
        title=title,
        success=good and training.termination is not Termination.INTERRUPTED,
        status=status,
        interrupted=training.termination is Termination.INTERRUPTED,
        body=(
            Words(((f"{title}: {training.trainer}, {network.time_basis!r}", "strong"),)),
            Table(name="parts", columns=columns, rows=rows),
            Words(((status, "good" if good else "bad"), (after, ""))),
            Words(((work, ""),)),
        ),
        findings=tuple(_training_findings(training, rows, problem, asked)),
        result={
            **{name: getattr(training, name) for name in names},
            "weights": network.n_weights,
            "weights_in_time": in_time,
        },
        details=details,
        figures=(figure("learning_curves", caption, "learning_curves", training, title),),
        files={
            "training.npz": training.save,
            "history.csv": partial(training.history.to_csv, index=False),
        },
    )


def _training_rows(
    training: Training, problem: LayeredProblem | None, objective: Any
) -> list[dict[str, Any]]:
    """One row a part of the data: errors of the network, in continuous depth, of an affine model."""
    if problem is None:  # the history knows the best iterate
        history = training.history
        best = history[history["iteration"] == training.best_iteration]
        known = {part: best[part].iloc[-1] for part in PARTS[:2] if len(best)}
        return [{"part": part, "error": float(e)} for part, e in known.items() if np.isfinite(e)]
    rows: list[dict[str, Any]] = []
    for name, samples in problem.parts.items():
        error = problem.with_network(training.network).objective.score(training.best, samples)
        rows.append({"part": name, "samples": len(samples), "error": error})
        if isinstance(objective, ContinuousObjective):
            rows[-1]["continuous"] = objective.score(training.best, samples)
    if not problem.samples.classes:
        for row, error in zip(rows, affine_errors(*problem.parts.values()), strict=True):
            row["affine"] = error
    return rows


def _training_findings(
    training: Training, rows: list[dict[str, Any]], problem: LayeredProblem | None, asked: Asked
) -> list[Finding]:
    by_part, found = {row["part"]: row for row in rows}, []
    judged = by_part.get("test") or by_part.get("validation") or {}
    if "affine" in judged and judged["error"] >= judged["affine"]:
        found.append(asked.finding("no-better-than-affine"))
    if "validation" in by_part and training.best_iteration < training.iterations:
        found.append(asked.finding("earlier-weights", iteration=training.best_iteration))
    if problem is not None and problem.validation is None:
        found.append(asked.finding("no-validation"))
    return found
