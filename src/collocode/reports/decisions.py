"""The tables of what was decided: costs, windows, controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..adapt.costates import costates
from ..results.solution import Solution
from .parts import Column, Row, Table
from .words import formatted

OVERSHOOT = 0.05  # of a control's size, beyond its bounds between the stages
SAMPLES = 1001  # of a control, to tell how long it is at a bound
AT_BOUND = 1e-4  # of its range, or of its size


def overshoots(solution: Solution) -> dict[str, float]:
    """Return by how much of its size every control leaves its bounds between the stages, by name."""
    found: dict[str, float] = {}
    for part in solution.trajectories:
        times = np.linspace(part.mesh.start, part.mesh.end, SAMPLES)
        for name, control in part.controls.items():
            values = part.experiment.inputs[name](times)
            beyond = float(np.max([values - control.upper, control.lower - values])) / control.size
            if beyond > OVERSHOOT:
                found[name] = max(beyond, found.get(name, 0.0))
    return found


def costs_table(solution: Solution) -> Table:
    """Return what every cost adds to the objective."""
    return Table(
        name="costs",
        title="Costs",
        columns=[Column("cost", left=True), Column("value", ".8g")],
        rows=[{"cost": name, "value": value} for name, value in solution.costs.items()],
    )


def windows_table(solution: Solution, scores: Sequence[Row]) -> Table:
    """Return times, gap and Hamiltonian of every window without data."""
    gaps = {row["experiment"]: row["gap"] for row in scores}
    known = solution.nlp is not None and solution.model.index == 1
    energies = [c.hamiltonian for c in costates(solution)] if known else []
    rows = []
    for number, part in enumerate(solution.trajectories):
        if part.experiment.measures:
            continue
        energy = energies[number] if energies else np.array([np.nan])
        rows.append(
            {
                "window": part.experiment.name,
                "start": part.mesh.start,
                "end": part.mesh.end,
                "elements": part.mesh.elements,
                "gap": gaps[part.experiment.name],
                "hamiltonian_least": float(energy.min()),
                "hamiltonian_most": float(energy.max()),
            }
        )
    return Table(
        name="windows",
        title="Windows",
        columns=[
            Column("window", left=True),
            Column("start", ".6g"),
            Column("end", ".8g"),
            Column("elements", "d"),
            Column("gap", ".2e"),
            Column("hamiltonian_least", heading="Hamiltonian", show=_energy),
        ],
        rows=rows,
        note="The gap is between collocated states and an independent simulation under the controls.",
    )


def controls_table(solution: Solution) -> Table:
    """Return the range of every decided input, and how long it is at its bounds."""
    rows = []
    for part in solution.trajectories:
        times = np.linspace(part.mesh.start, part.mesh.end, SAMPLES)
        for name, control in part.controls.items():
            values = part.experiment.inputs[name](times)
            room = AT_BOUND * control.size
            rows.append(
                {
                    "control": name,
                    "window": part.experiment.name,
                    "least": float(values.min()),
                    "most": float(values.max()),
                    "lower": control.lower,
                    "upper": control.upper,
                    "at_lower": float(np.mean(values <= control.lower + room)),
                    "at_upper": float(np.mean(values >= control.upper - room)),
                    "unit": control.unit,
                }
            )
    return Table(
        name="controls",
        title="Controls",
        columns=[
            Column("control", left=True),
            Column("window", left=True, drop=1),
            Column("least", ".5g"),
            Column("most", ".5g"),
            Column("at_lower", heading="at lower bound", show=_share("at_lower", "lower")),
            Column("at_upper", heading="at upper bound", show=_share("at_upper", "upper")),
            Column("unit", left=True),
        ],
        rows=rows,
    )


def _energy(row: Row) -> str:
    least, most = row["hamiltonian_least"], row["hamiltonian_most"]
    if not np.isfinite([least, most]).all():
        return ""
    low, high = formatted(least, ".4g"), formatted(most, ".4g")
    return low if low == high else f"{low} … {high}"


def _share(key: str, bound: str) -> Any:
    def show(row: Row) -> str:
        if not np.isfinite(row[bound]):
            return "–"
        return f"{100.0 * row[key]:.0f} % of the time"

    return show
