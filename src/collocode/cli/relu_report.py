"""The answer of ``collocode relu`` as plain values and as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

import collocode

from ..files import plain
from .terminal import plain_table

if TYPE_CHECKING:
    from .relu_run import Run

FORMAT = "collocode relu report 1"
_BAD_SURROGATE = 0.3  # of the standard deviation: beyond it the optimum says little of the function


def make_report(
    run: Run, path: Path, settings: Mapping[str, Any], how: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report as plain values; ``files`` is left to whoever writes them."""
    found, network, surrogate = run.found, run.network, run.surrogate
    big_m = np.array(found.summary.big_m or (0.0,))
    report = {
        "format": FORMAT,
        "collocode": collocode.__version__,
        "name": surrogate.name,
        "model": {"file": str(path), "settings": dict(settings), "source": surrogate.source},
        "command": {"name": "relu", **how},
        "network": {
            "sizes": network.sizes,
            "units": network.units,
            "clipped": network.clipped,
            "weights": sum(W.size for W in network.weights),
            "zero_weights": sum(int((W == 0.0).sum()) for W in network.weights),
        },
        "training": _training(run),
        "surrogate_error": None
        if run.error is None
        else {
            "rmse": run.error.rmse,
            "relative": run.error.relative,
            "largest": run.error.largest,
        },
        "regions": {
            "sampled": run.regions.sampled,
            "samples": run.regions.samples,
            "segment": run.regions.segment,
            "planar": run.regions.planar,
        },
        "bounds": {
            "kind": str(how["bounds"]),
            "scaling": run.scaling,
            "complete": found.bounds.complete,
            "programs": found.bounds.programs,
            "seconds": found.tightening_seconds,
            "units": found.summary.units,
            "stable_share": 1.0 - found.summary.units["undecided"] / max(1, network.units),
            "big_m_mean": float(big_m.mean()),
            "big_m_largest": float(big_m.max()),
        },
        "encoding": {
            "name": found.summary.encoding,
            "columns": found.summary.columns,
            "binaries": found.summary.binaries,
            "rows": found.summary.rows,
        },
        "result": {
            "solved": found.success,
            "status": found.status,
            "termination": found.termination,
            "message": found.message,
            "solver": found.solver,
            "sense": surrogate.sense,
            "value": found.value,
            "bound": found.bound,
            "gap": found.gap,
            "root_bound": found.root_bound,
            "root_gap": found.root_gap,
            "nodes": found.nodes,
            "seconds": found.seconds,
            "embedded_error": found.embedded_error,
        },
        "optimum": {"rows": _rows(run)},
    }
    return plain({**report, "warnings": _warnings(run)})


def _training(run: Run) -> dict[str, Any] | None:
    if run.trained is None:
        return None
    history = run.trained.history
    return {
        **vars(run.trained.settings),
        "epochs_run": int(history.epoch[-1]),
        "validation": float(history.validation[history.best]),
        "seconds": run.trained.seconds,
    }


def _rows(run: Run) -> list[dict[str, Any]]:
    """One row an input and one an output: the network's value beside the true one."""
    rows: list[dict[str, Any]] = [
        {"name": name, "kind": "input", "network": value, "true": None, "error": None}
        for name, value in zip(run.surrogate.inputs, run.found.x, strict=True)
    ]
    for k, name in enumerate(run.surrogate.outputs):
        true = None if run.true is None else float(run.true[k])
        value = float(run.found.y[k])
        error = None if true is None else value - true
        rows.append(
            {"name": name, "kind": "output", "network": value, "true": true, "error": error}
        )
    return rows


def _warnings(run: Run) -> list[str]:
    found, warnings = run.found, []
    if not found.success:
        warnings.append(
            f"the optimum is not proved ({found.message}); give more --time-limit, a smaller "
            "network, or train it with --train unstable=... or l1=..."
        )
    if found.embedded_error > 1e-6:
        warnings.append(
            f"the encoding's outputs differ from the network's by {found.embedded_error:.1e}; the "
            "value shown is the network's own."
        )
    if run.error is not None and max(run.error.relative) > _BAD_SURROGATE:
        warnings.append(
            f"the network's test error is {max(run.error.relative):.0%} of the standard deviation: "
            "its optimum says little about the function; train longer, wider or on more samples."
        )
    drawn = run.samples
    objective = run.surrogate.objective
    free = run.surrogate.constraints is None and isinstance(objective, int)
    if free and run.true is not None and drawn is not None:
        best = found.sense * float((found.sense * drawn.y[:, objective]).max())
        allowed = run.error.rmse[objective] if run.error is not None else 0.0
        if found.sense * (best - run.true[objective]) > allowed:
            warnings.append(
                f"a training sample ({best:.5g}) is better than the function at the network's "
                f"optimum ({run.true[objective]:.5g}); the surrogate is not accurate there."
            )
    return warnings


def print_report(console: Console, report: Mapping[str, Any]) -> None:
    """Print what was asked, of what, how it was answered, and the answer."""
    result = report["result"]
    console.print()
    console.print(
        Text.assemble(
            (report["name"], "bold"),
            "  ",
            (
                f"{result['termination']} ({result['status']})",
                "green" if result["solved"] else "red",
            ),
            f" after {_nodes(result['nodes'])} in {result['seconds']:.2f} s",
        )
    )
    console.print()
    facts = plain_table("", "")
    facts.show_header = False
    for label, text in _facts(report).items():
        facts.add_row(Text(label, "dim"), Text(text))
    console.print(facts)
    console.print()
    word = "Largest" if result["sense"] == "maximize" else "Smallest"
    console.print(f"{word} value of the network", style="bold")
    has_truth = any(row["true"] is not None for row in report["optimum"]["rows"])
    heads = ["", "at the optimum", *(["true function", "difference"] if has_truth else [])]
    table = plain_table(*heads, right=1)
    for row in report["optimum"]["rows"]:
        cells = [str(row["name"]), _value(row["network"])]
        if has_truth:
            cells += [_value(row["true"]), _value(row["error"])]
        table.add_row(*cells)
    console.print(table)
    console.print()


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    result, bounds, encoding = report["result"], report["bounds"], report["encoding"]
    found, regions = {"network": _network(report)}, report["regions"]
    training = report["training"]
    if training is not None:
        found["training"] = f"{training['epochs_run']} epochs in {training['seconds']:.2f} s"
    error = report["surrogate_error"]
    if error is not None:
        shown = ", ".join(f"{100 * e:.3g} %" for e in error["relative"])
        found["test error"] = f"{shown} of the standard deviation"
    exact = "" if regions["planar"] is None else f", {regions['planar']} in all"
    found["regions"] = (
        f"{regions['sampled']} at {regions['samples']} random inputs, {regions['segment']:.1f} along "
        f"a segment{exact}"
    )
    stopped = "" if bounds["complete"] else " (budget over)"
    scaling = f", scaled per {bounds['scaling']}" if bounds["scaling"] else ""
    found["bounds"] = (
        f"{bounds['kind']}{stopped} in {bounds['seconds']:.2f} s: {100 * bounds['stable_share']:.0f} % "
        f"of the units decided, big-M {bounds['big_m_mean']:.3g} on average, at most "
        f"{bounds['big_m_largest']:.3g}{scaling}"
    )
    found["encoding"] = (
        f"{encoding['name']}: {encoding['columns']} columns, {encoding['binaries']} binaries, "
        f"{encoding['rows']} rows"
    )
    root = "" if result["root_gap"] is None else f"root gap {100 * result['root_gap']:.3g} %, "
    found["search"] = (
        f"{result['solver']}, {root}{_nodes(result['nodes'])}, {result['seconds']:.2f} s"
    )
    gap = "" if result["gap"] is None else f" (gap {result['gap']:.1e})"
    side = "above" if result["sense"] == "maximize" else "below"
    found["proved"] = f"no allowed input gives a value {side} {_value(result['bound'])}{gap}"
    embedded = result["embedded_error"]
    if embedded is not None:
        found["check"] = f"encoding and forward evaluation differ by {embedded:.1e}"
    return found


def _network(report: Mapping[str, Any]) -> str:
    network = report["network"]
    zeros = f", {network['zero_weights']} of them zero" if network["zero_weights"] else ""
    kind = "clipped ReLU" if network["clipped"] else "ReLU"
    sizes = "-".join(str(n) for n in network["sizes"])
    return f"{sizes}, {network['units']} {kind} units, {network['weights']} weights{zeros}"


def _nodes(count: int) -> str:
    return "unknown nodes" if count < 0 else f"{count} node{'' if count == 1 else 's'}"


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"
