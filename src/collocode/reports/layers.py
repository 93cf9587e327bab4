"""Reports of layered networks: trained, and made deeper by refinement or by growth."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..checks import counted
from ..layered.continuous import ContinuousObjective
from ..layered.growth.growth import Growth, save_growth
from ..layered.losses import affine_errors
from ..layered.objective import LayeredProblem
from ..layered.refinement.result import LayerRefinement
from ..layered.trainers.training import Training
from ..results.status import Termination
from .folder import Writer
from .parts import Column, Figure, Finding, Row, Span, Table, Words, figure
from .record import Asked, Report
from .words import formatted

PARTS = ("training", "validation", "test")
RULER = 24  # characters of a layer mesh
CLASSES = 5  # that the plot of decision regions has colours for


def report_layers(found: LayerRefinement, asked: Asked) -> Report:
    """Return the report of a refinement of layers."""
    best, e = found.best, found.estimate
    runs = [(found, found.rule), *([(found.uniform, "uniform")] if found.uniform else [])]
    tables = [(run, run.table(), rule) for run, rule in runs]
    whole = pd.concat([table.reset_index().assign(rule=rule) for _, table, rule in tables])
    body: list[Table | Words] = []
    for number, (run, table, rule) in enumerate(tables):
        title = f"{found.problem.name}, layers refined ({rule})"
        body += _networks(run, table, title, "uniform" if number else "networks")
    return asked.report(
        found.problem.source,
        kind="layers",
        title=found.problem.name,
        success=found.success,
        status=found.status,
        interrupted=any(run.termination is Termination.INTERRUPTED for run, _ in runs),
        body=tuple(body),
        findings=tuple(_layer_findings(found, asked)),
        result={
            "layers": best.layers,
            "weights": best.network.n_weights,
            "metric": found.metric,
            "scores": best.scores,
            "estimate": e.error,
            "magnitude": e.magnitude,
            "gradient_norm": e.stationarity,
            "stationary": e.stationary,
            "seconds": found.seconds,
        },
        details={"network": best.network.description()},
        figures=_layer_figures(found),
        files=_layer_files(found, whole),
    )


def ruler(mesh: Any, length: int = RULER) -> str:
    """Return layer boundaries as a line of characters.

    Examples
    --------
    >>> ruler([0.0, 2.0, 3.0, 4.0], 16)
    '├───────┼───┼───┤'
    """
    ends = {round((p - mesh[0]) / (mesh[-1] - mesh[0]) * length) for p in mesh}
    inner = "".join("┼" if i in ends else "─" for i in range(1, length))
    return f"├{inner}┤"


def _networks(
    run: LayerRefinement, table: pd.DataFrame, title: str, name: str
) -> list[Table | Words]:
    """One row a network, and how it ended."""
    rows = table.reset_index().to_dict("records")
    for row, cycle in zip(rows, run.cycles, strict=True):
        row["mesh"] = [float(t) for t in cycle.estimate.mesh]
    rows = [row for row, cycle in zip(rows, run.cycles, strict=True) if not cycle.stuck]
    parts = [part for part in PARTS if part in table]
    columns = [
        Column("layers", "d"),
        Column("objective", ".4g"),
        Column("estimate", ".1e", "estimated error"),
        Column("effectivity", ".2f", drop=3),
        Column("flow", ".3g", "as a flow"),
        *(Column(part, ".4f", f"{run.metric} {part}") for part in parts),
        Column("evaluations", ".0f", drop=1),
        Column("seconds", ".2f", drop=2),
        Column("mesh", "", "layer mesh", show=lambda row: ruler(row["mesh"]), left=True, drop=4),
    ]
    best = run.best
    judged = "validation" if "validation" in best.scores else "training"
    text = (
        f"{run.status}; chosen: {counted(best.layers, 'layer')}, {counted(best.network.n_weights, 'weight')}, "
        f"{judged} {run.metric} {best.score:.4f}; {run.seconds:.2f} s in all"
    )
    return [
        Table(name=name, title=title, columns=columns, rows=rows, strong=run.chosen),
        Words(((text, "good" if run.success else "bad"),)),
    ]


def _layer_findings(found: LayerRefinement, asked: Asked) -> list[Finding]:
    """Say what the numbers do not: a tolerance missed, weights not optimal."""
    e, said = found.cycles[-1].estimate, []
    if found.tol is not None and not found.success:
        errors = {"error": abs(e.error), "magnitude": e.magnitude}
        said.append(asked.finding("tolerance-missed", tol=found.tol, status=found.status, **errors))
    if not e.stationary:
        slopes = {"gradient": e.stationarity, "wanted": e.tolerance}
        said.append(asked.finding("weights-not-optimal", **slopes))
    return said


def _layer_figures(found: LayerRefinement) -> tuple[Figure, ...]:
    meshes = "The layer meshes, shaded by their indicators; framed: bisected next"
    course = f"{found.metric.capitalize()} against layers and against work"
    figures = [
        figure("layers", meshes, "layer_mesh", found),
        figure("refinement", course, "layer_history", found),
    ]
    samples = found.problem.samples
    if samples.inputs == 2 and 0 < samples.classes <= CLASSES:
        caption = "Decision regions of some of the networks"
        figures.append(figure("regions", caption, "decision_regions", found))
    return tuple(figures)


def _layer_files(found: LayerRefinement, table: pd.DataFrame) -> dict[str, Writer]:
    frames = [c.estimate.to_frame().assign(cycle=n) for n, c in enumerate(found.cycles)]
    indicators = pd.concat(frames)
    return {
        "network.npz": found.best.training.save,
        "last.npz": found.cycles[-1].training.save,
        "refinement.csv": partial(table.to_csv, index=False),
        "indicators.csv": partial(indicators.to_csv, index=False),
    }


def report_growth(growth: Growth, asked: Asked) -> Report:
    """Return the report of a growth; ``asked.problem`` is its `LayeredProblem`, if there is one."""
    problem: LayeredProblem | None = asked.problem
    best, spent = growth.best, growth.training_seconds
    share = f", {100 * growth.scoring_seconds / spent:.1f} % of it for scores" if spent else ""
    text = (
        f"{growth.status}; best with {counted(growth.network.layers, 'layer')}; training "
        f"{spent:.2f} s{share}"
    )
    body: list[Table | Words] = [_depths(growth)]
    body.append(Words(((text, "good" if growth.success else "bad"),)))
    places = "Scores of all places by cycle; full: where it grew"
    course = "Objective and validation loss; lines stand where the network grew"
    scores: dict[str, float] = {}
    if problem is not None and problem.test is not None:
        score = problem.with_network(growth.network).objective.score(growth.theta, problem.test)
        scores["test"] = score
        body.append(Words(((f"test {best.metric} {score:.4g}", ""),)))
    return asked.report(
        "" if problem is None else problem.source,
        kind="growth",
        title=growth.name,
        success=growth.success,
        status=growth.status,
        interrupted=growth.termination is Termination.INTERRUPTED,
        body=tuple(body),
        result={
            "layers": growth.network.layers,
            **{name: getattr(best, name) for name in ("metric", "objective")},
            **{name: getattr(growth, name) for name in ("iterations", "indicator", "trainer")},
            "scores": scores,
        },
        details={
            "network": best.network.description(),
            "seconds": {"training": spent, "scores": growth.scoring_seconds},
        },
        figures=(
            figure("scores", places, "growth_scores", growth),
            figure("history", course, "growth_history", growth),
        ),
        files={
            "growth.npz": partial(save_growth, growth),
            "network.npz": best.save,
            "cycles.csv": partial(growth.table().to_csv, index=False),
            "scores.csv": partial(growth.scores.to_csv, index=False),
            "history.csv": partial(growth.history.to_csv, index=False),
        },
    )


def _depths(growth: Growth) -> Table:
    """One row a depth."""

    def of_insertion(key: str) -> Any:
        def show(row: Row) -> str | Span:
            grew = row["position"] == row["position"]
            form = "d" if key == "position" else ".3g"
            return formatted(int(row[key]) if form == "d" else row[key], form) if grew else ""

        return show

    return Table(
        name="depths",
        title=f"{growth.name}: growth by {growth.indicator}, {growth.trainer}",
        columns=[
            Column("layers", "d"),
            Column("iterations", "d", drop=2),
            Column("objective", ".3g"),
            Column("training", ".4f"),
            Column("validation", ".4f"),
            Column("score", ".3g", "best score"),
            Column("position", heading="new layer", show=of_insertion("position")),
            Column("predicted", show=of_insertion("predicted")),
            Column("decrease", show=of_insertion("decrease")),
            Column("seconds", ".2f", drop=1),
        ],
        rows=growth.table().to_dict("records"),
        strong=growth.best_cycle,
    )


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
        f"objective {training.objective:.4g}; {counted(network.n_weights, 'weight')}, {in_time} of them in time; "
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
