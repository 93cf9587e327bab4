"""The report of an optimum over a ReLU network: the answer, how it was proved, how good the network is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..checks import counted
from ..relu import OptimumResult, ReluNetwork, Surrogate, SurrogateSamples, TrainingResult
from ..relu.analyse import RegionCounts, SurrogateError, count_regions, surrogate_error
from ..relu.constraints import as_linear
from ..relu.problem import objective_weights
from ..results.status import Termination
from .folder import Writer
from .parts import Column, Facts, Figure, Finding, Heading, Table, figure, headline
from .record import Asked, Report
from .words import formatted

_BAD_SURROGATE = 0.3  # of the standard deviation: beyond it the optimum says little of the function


def report_optimum(found: OptimumResult, asked: Asked) -> Report:
    """Return the report of an optimum; ``asked.problem`` is the `Surrogate`, if there is one.

    ``asked.more`` may have the ``trained`` network and the ``samples`` it was trained on.
    """
    run = _examine(found, asked)
    status = f"{found.termination.value} ({found.status.value})"
    after = f" after {_nodes(found.nodes)} in {found.seconds:.2f} s"
    table, word = _answer(run), "Largest" if found.sense > 0 else "Smallest"
    files: dict[str, Writer] = {"optimum.csv": partial(table.frame.to_csv, index=False)}
    if run.network is not None:
        files["network.npz"] = run.network.save
    if run.trained is not None:
        history = run.trained.history
        names = ("epoch", "train", "validation", "penalty")
        frame = pd.DataFrame({name: getattr(history, name) for name in names})
        files["history.csv"] = partial(frame.to_csv, index=False)
    return asked.report(
        run.surrogate.source if run.surrogate else "",
        kind="relu",
        title=run.name,
        success=found.success,
        status=status,
        interrupted=found.termination is Termination.INTERRUPTED
        or (run.trained is not None and run.trained.interrupted),
        body=(
            headline(run.name, status, found.success, after),
            Facts(_facts(run)),
            Heading(f"{word} value of the network"),
            table,
        ),
        findings=tuple(_findings(run, asked)),
        result={
            "termination": found.termination,
            "point": found.status,
            "message": found.message,
            "solver": found.solver,
            "sense": "maximize" if found.sense > 0 else "minimize",
            **{n: getattr(found, n) for n in ("value", "bound", "gap", "root_bound", "root_gap")},
            **{n: getattr(found, n) for n in ("nodes", "seconds", "embedded_error")},
        },
        details=_details(run),
        figures=_figures(run),
        files=files,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Run:
    """An optimum with all that is known of its origin."""

    found: OptimumResult
    name: str
    scaling: str | None
    surrogate: Surrogate | None
    trained: TrainingResult | None
    network: ReluNetwork | None
    samples: SurrogateSamples | None
    error: SurrogateError | None = None
    regions: RegionCounts | None = None
    true: Any = None  # (outputs,) the function at the optimum


def _examine(found: OptimumResult, asked: Asked) -> _Run:
    """Find out how good the network is, and what the function is worth at the optimum."""
    surrogate, trained = asked.problem, asked.more.get("trained")
    samples, network = asked.more.get("samples"), None if trained is None else trained.network
    known: dict[str, Any] = {"name": "ReLU network"}
    if surrogate is not None:
        network, known["name"] = network or surrogate.network, surrogate.name
        if samples is None and (surrogate.function is not None or surrogate.data is not None):
            samples = surrogate.draw(surrogate.training.seed)
        if np.isfinite(found.x).all():
            values = surrogate.truth(found.x[None])
            known["true"] = None if values is None else values[0]
        if network is not None:
            known["regions"] = count_regions(network, np.asarray(surrogate.box, dtype=float))
    if samples is not None and network is not None:
        known["error"] = surrogate_error(network, samples.x_test, samples.y_test)
    origin = {"surrogate": surrogate, "trained": trained, "network": network, "samples": samples}
    return _Run(found=found, scaling=asked.command.get("scaling"), **origin, **known)


def _answer(run: _Run) -> Table:
    """One row an input and one an output: the network's value beside the true one."""
    found, asked = run.found, run.surrogate
    inputs = asked.inputs if asked else [f"x{i}" for i in range(len(found.x))]
    outputs = asked.outputs if asked else [f"y{i}" for i in range(len(found.y))]
    rows: list[dict[str, Any]] = [
        {"name": name, "kind": "input", "network": float(v), "true": None, "error": None}
        for name, v in zip(inputs, found.x, strict=True)
    ]
    for k, name in enumerate(outputs):
        value, true = float(found.y[k]), None if run.true is None else float(run.true[k])
        error = None if true is None else value - true
        rows.append(
            {"name": name, "kind": "output", "network": value, "true": true, "error": error}
        )
    heads = {"network": "at the optimum", "true": "true function", "error": "difference"}
    columns = [
        Column("name", heading="", left=True),
        *(Column(key, ".6g", head) for key, head in heads.items()),
    ]
    return Table(name="optimum", columns=columns, rows=rows)


def _findings(run: _Run, asked: Asked) -> list[Finding]:
    found, said = run.found, []
    if not found.success:
        said.append(asked.finding("not-proved", message=found.message))
    if found.embedded_error > 1e-6:
        said.append(asked.finding("encoding-differs", error=found.embedded_error))
    if run.error is not None and max(run.error.relative) > _BAD_SURROGATE:
        said.append(asked.finding("bad-surrogate", error=max(run.error.relative)))
    return said + _better_sample(run, asked)


def _better_sample(run: _Run, asked: Asked) -> list[Finding]:
    """A training sample beats the function at the optimum by more than the network's error."""
    surrogate, drawn = run.surrogate, run.samples
    network = run.network
    if surrogate is None or drawn is None or run.true is None or network is None:
        return []
    if callable(surrogate.constraints):  # over the variables of another program
        return []
    weights = objective_weights(network, surrogate.objective)
    points, here = np.hstack([drawn.x, drawn.y]), np.concatenate([run.found.x, run.true])
    linear = as_linear(network, surrogate.constraints)
    sides = points @ linear.A.T
    box = np.asarray(surrogate.box, dtype=float)
    allowed = ((sides >= linear.lower) & (sides <= linear.upper)).all(axis=1)
    allowed &= ((drawn.x >= box[:, 0]) & (drawn.x <= box[:, 1])).all(axis=1)
    if not allowed.any():
        return []
    sense, true = run.found.sense, float(here @ weights)
    best = sense * float((sense * (points[allowed] @ weights)).max())
    error = 0.0
    if run.error is not None:
        error = float(np.abs(weights[network.inputs :]) @ np.asarray(run.error.rmse))
    if sense * (best - true) <= error:
        return []
    return [asked.finding("better-sample", sample=best, value=true)]


def _facts(run: _Run) -> dict[str, str]:
    found, record, regions = run.found, run.found.summary, run.regions
    facts = {} if run.network is None else {"network": _network(run.network)}
    if run.trained is not None:
        epochs = int(run.trained.history.epoch[-1])
        facts["training"] = f"{epochs} epochs in {run.trained.seconds:.2f} s"
    if run.error is not None:
        shown = ", ".join(f"{100 * e:.3g} %" for e in run.error.relative)
        facts["test error"] = f"{shown} of the standard deviation"
    if regions is not None:
        exact = "" if regions.planar is None else f", {regions.planar} in all"
        facts["regions"] = (
            f"{regions.sampled} at {regions.samples} random inputs, {regions.segment:.1f} along a "
            f"segment{exact}"
        )
    big_m = np.array(record.big_m or (0.0,))
    scaling = run.scaling
    facts["bounds"] = (
        f"{record.bounds}{'' if found.bounds.complete else ' (budget over)'} in "
        f"{found.tightening_seconds:.2f} s: {100 * _stable(found):.0f} % of the units decided, big-M "
        f"{big_m.mean():.3g} on average, at most {big_m.max():.3g}"
        f"{f', scaled per {scaling}' if scaling else ''}"
    )
    facts["encoding"] = (
        f"{record.encoding}: {counted(record.columns, 'column')}, "
        f"{counted(record.binaries, 'binary', 'binaries')}, {counted(record.rows, 'row')}"
    )
    root = f"root gap {100 * found.root_gap:.3g} %, " if np.isfinite(found.root_gap) else ""
    facts["search"] = f"{found.solver}, {root}{_nodes(found.nodes)}, {found.seconds:.2f} s"
    gap = f" (gap {found.gap:.1e})" if np.isfinite(found.gap) else ""
    side = "above" if found.sense > 0 else "below"
    facts["proved"] = f"no allowed input gives a value {side} {formatted(found.bound, '.6g')}{gap}"
    if np.isfinite(found.embedded_error):
        facts["check"] = f"encoding and forward evaluation differ by {found.embedded_error:.1e}"
    return facts


def _stable(found: OptimumResult) -> float:
    units = found.summary.units
    return 1.0 - units["undecided"] / max(1, sum(units.values()))


def _zeros(network: ReluNetwork) -> int:
    return sum(int((W == 0.0).sum()) for W in network.weights)


def _network(network: ReluNetwork) -> str:
    zeros = f", {_zeros(network)} of them zero" if _zeros(network) else ""
    kind = "clipped ReLU" if network.clipped else "ReLU"
    weights = sum(W.size for W in network.weights)
    sizes = "-".join(str(n) for n in network.sizes)
    return f"{sizes}, {counted(network.units, f'{kind} unit')}, {counted(weights, 'weight')}{zeros}"


def _nodes(count: int) -> str:
    return "unknown nodes" if count < 0 else counted(count, "node")


def _details(run: _Run) -> dict[str, Any]:
    found, network, record = run.found, run.network, run.found.summary
    big_m = np.array(record.big_m or (0.0,))
    details: dict[str, Any] = {
        "bounds": {
            "kind": record.bounds,
            "scaling": run.scaling,
            "complete": found.bounds.complete,
            "programs": found.bounds.programs,
            "seconds": found.tightening_seconds,
            "units": record.units,
            "stable_share": _stable(found),
            "big_m_mean": float(big_m.mean()),
            "big_m_largest": float(big_m.max()),
        },
        "encoding": {
            "name": record.encoding,
            **{n: getattr(record, n) for n in ("columns", "binaries", "rows")},
        },
    }
    if network is not None:
        details["network"] = {
            **{n: getattr(network, n) for n in ("sizes", "units", "clipped")},
            "weights": sum(W.size for W in network.weights),
            "zero_weights": _zeros(network),
        }
    if run.trained is not None:
        history = run.trained.history
        details["training"] = {
            **vars(run.trained.settings),
            "epochs_run": int(history.epoch[-1]),
            "validation": float(history.validation[history.best]),
            "seconds": run.trained.seconds,
        }
    if run.error is not None:
        details["surrogate_error"] = vars(run.error)
    if run.regions is not None:
        details["regions"] = vars(run.regions)
    return details


def _figures(run: _Run) -> tuple[Figure, ...]:
    figures, found, asked = [], run.found, run.surrogate
    plane = asked is not None and len(asked.inputs) > 1 and bool(np.isfinite(found.x).all())
    if run.network is not None and asked is not None and plane:
        how = {"at": found.x, "surrogate": asked}
        caption = "Linear regions of the network, coloured by its value; the star is the optimum"
        figures.append(figure("regions", caption, "relu_regions", run.network, asked.box, **how))
    if run.trained is not None:
        figures.append(figure("training", "Errors by epoch", "training_curve", run.trained))
    return tuple(figures)
