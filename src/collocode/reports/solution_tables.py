"""The tables of a fit: errors, parameters with their intervals, residuals, violated equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import counted
from ..identify.intervals import Uncertainty
from ..results.diagnosis import Diagnosis
from ..results.likelihood import LikelihoodScore
from ..results.residuals import is_white, weighed_p
from ..results.solution import Solution
from .parts import Column, Heading, Row, Span, Table
from .words import formatted, interval_text

LEVEL = 0.95
SHOWN_RESIDUALS = 6
MESH_SHARE = 0.1  # of a standard error that the discretization may take
ALONE = 0.99  # of the squares of all outputs, which are then those of one
CANNOT_TELL = "cannot tell"


def scores_table(scores: Sequence[Row], residuals: Sequence[Row] = ()) -> Table:
    """Return mean squared errors by experiment; those against the truth where it is known.

    Where one output's units are so small that the means are its own, the note says so; ``residuals`` are by output.
    """
    squares = {row["output"]: row["samples"] * row["rms"] ** 2 for row in residuals}
    largest = max(squares, key=lambda name: squares[name], default="")
    alone = len(squares) > 1 and squares[largest] > ALONE * sum(squares.values())
    note = (
        f"Means over outputs in their own units: nearly all is of {largest}; by output see below."
    )
    heads = {
        "collocated": "collocated vs data",
        "simulated": "simulated vs data",
        "truth": "simulated vs truth",
        "truth_from_true_initial": "from true start",
        "gap": "gap",
    }
    return Table(
        name="scores",
        title="Mean squared errors",
        columns=[
            Column(
                "experiment", left=True, show=lambda row: row["experiment"].removesuffix(".csv")
            ),
            Column("role", heading="window", left=True),
            *(Column(key, ".2e", head) for key, head in heads.items()),
        ],
        rows=scores,
        note=note if alone else "",
    )


def parameter_rows(solution: Solution, trust: Uncertainty | None) -> list[dict[str, Any]]:
    """Return name, value, unit, bounds and 95 % interval of every physical parameter."""
    known: dict[str, Any] = {}
    if solution.nlp is not None:
        known = {n: p for p in solution.nlp.problem.all_parameters for n in p.names}
    intervals = None if trust is None or not solution.parameters else trust.intervals(LEVEL)
    rows = []
    for label, value in solution.parameters.items():
        parameter = known.get(label) or known.get(label.split("[", 1)[0])
        lower, upper = -np.inf, np.inf
        # the bounds of a parameter that varies in time are those of p(t), not of a coefficient
        if parameter is not None and not parameter.bounded_by_rows:
            lower, upper = parameter.lower, parameter.upper
        row = {
            "name": label,
            "value": value,
            "unit": "" if parameter is None else parameter.unit,
            "lower": lower,
            "upper": upper,
            "std": np.nan,
            "lower_95": np.nan,
            "upper_95": np.nan,
            "mesh_share": np.nan,
            "note": "",
        }
        if intervals is not None:
            found = intervals.loc[label]
            row |= {"std": found["std"], "lower_95": found["lower"], "upper_95": found["upper"]}
            row["note"], row["mesh_share"] = found["note"], found["mesh_share"]
        if parameter is not None and parameter.lower == parameter.upper:
            row["note"] = "fixed"
        rows.append(row)
    return rows


def parameters_table(
    rows: Sequence[Row], no_intervals: str, score: LikelihoodScore | None = None
) -> Table:
    """Return estimates with their intervals, or why there are none; and how likely they are."""
    notes = [f"No intervals: {no_intervals}."] if no_intervals else []
    if score is not None:
        criteria = f"AIC {score.aic:.6g}, BIC {score.bic:.6g}"
        notes.append(f"-log L {score.minus_log:.6g}, {criteria} ({score.parameters} free numbers).")
    return Table(
        name="parameters",
        title="Estimated parameters",
        columns=[
            Column("name", heading="parameter", left=True),
            Column("value", ".6g", "estimate"),
            Column("lower_95", heading="95 % interval", show=_interval, left=True),
            Column("mesh_share", heading="mesh's share", show=_mesh_share),
            Column("unit", left=True),
            Column("lower", heading="bounds", show=_bounds, left=True),
        ],
        rows=rows,
        note=" ".join(notes),
    )


def _interval(row: Row) -> Span:
    if row["note"]:
        return row["note"], "warn" if row["note"] != "fixed" else "quiet"
    low, high = row["lower_95"], row["upper_95"]
    if not np.isfinite([low, high]).all():
        return "–", "quiet"
    return interval_text(low, high), ""


def _mesh_share(row: Row) -> Span:
    """Discretization error in standard errors."""
    share = abs(row["mesh_share"])
    if not np.isfinite(share):
        return "", "quiet"
    return f"{share:.2g} std", "warn" if share > MESH_SHARE else ""


def _bounds(row: Row) -> str:
    lower, upper = row["lower"], row["upper"]
    if not np.isfinite([lower, upper]).any():
        return ""
    return f"{formatted(lower, 'g')} … {formatted(upper, 'g')}"


def pooled_residuals(residuals: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one row an output: samples, rms, and the p-value over all experiments.

    The smallest of n p-values is multiplied by n (Bonferroni); ``experiment`` is where it arose.
    """
    rows: list[dict[str, Any]] = []
    for output in dict.fromkeys(row["output"] for row in residuals):
        group = [row for row in residuals if row["output"] == output]
        weights = [row["samples"] for row in group]
        told = [row for row in group if not np.isnan(row["p_value"])]
        pick = min(told or group[:1], key=lambda row: weighed_p(row["p_value"], row["lag_one"]))
        pooled = min(1.0, pick["p_value"] * len(group)) if told else None
        rows.append(
            {
                "output": output,
                "samples": sum(weights),
                "rms": float(
                    np.sqrt(np.average([row["rms"] ** 2 for row in group], weights=weights))
                ),
                "bias": float(np.average([row["bias"] for row in group], weights=weights)),
                "lag_one": pick["lag_one"],
                "p_value": pooled,
                "white": None if pooled is None else _white(group, pooled, pick["lag_one"]),
                "experiment": pick["experiment"] if len(group) > 1 else "",
            }
        )
    return rows


def _white(group: Sequence[Row], pooled: float, lag_one: float) -> bool | str:
    """The verdict on all experiments; with too few samples in each only "no" can be told."""
    white, unclear = is_white(pooled, lag_one), all(row["white"] is None for row in group)
    return CANNOT_TELL if white and unclear else white


def residuals_table(rows: Sequence[Row]) -> Table:
    """Return by output what simulation leaves of the data, and whether that is white noise."""
    return Table(
        name="residuals",
        title="Residuals of the simulation, Ljung-Box test",
        columns=[
            Column("output", left=True),
            Column("samples", "d"),
            Column("rms", ".2e"),
            Column("bias", ".2e"),
            Column("lag_one", "+.2f", "lag one"),
            Column("p_value", heading="p-value", show=_p_value),
            Column("white", heading="", show=_verdict, left=True),
        ],
        rows=rows,
    )


def _p_value(row: Row) -> str:
    p = row["p_value"]
    return "< 0.001" if p is not None and p < 0.0005 else formatted(p, ".3f")


def _verdict(row: Row) -> Span:
    if row["white"] is None:
        return "", ""
    if row["white"] == CANNOT_TELL:
        return "too few samples to tell", "quiet"
    where = f" in {row['experiment']!r}" if row["experiment"] else ""
    return ("white", "good") if row["white"] else (f"not white{where}", "warn")


def diagnosis_table(diagnosis: Diagnosis) -> list[Heading | Table]:
    """Return where functions are not finite, and which equations are violated most."""
    found: list[Heading | Table] = []
    broken = diagnosis.not_finite
    if len(broken):
        first = broken.iloc[0]
        text = (
            f"Not finite at {counted(len(broken), 'point')}{' or more' if len(broken) >= 10 else ''}, first: "
            f"{first['term']} of {first['experiment']!r} at t = {first['time']:g}"
        )
        found.append(Heading(text))
    rows = [r for r in diagnosis.violated.to_dict("records") if np.isfinite(r["residual"])]
    if rows:
        found.append(
            Table(
                name="violated",
                title="Largest violations (scaled rows)",
                columns=[
                    Column("equation", left=True),
                    Column("experiment", left=True),
                    Column("element", show=_in_time("element", "d")),
                    Column("stage", "d"),
                    Column("state", left=True),
                    Column("time", show=_in_time("time", "")),
                    Column("residual", ".1e"),
                ],
                rows=rows[:SHOWN_RESIDUALS],
            )
        )
    return found


def _in_time(key: str, form: str) -> Any:
    def show(row: Mapping[str, Any]) -> str:
        if not np.isfinite(row["time"]):
            return "–"
        return format(row[key], form or (".4g" if abs(row[key]) < 1e3 else ".6g"))

    return show
