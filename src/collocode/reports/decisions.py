"""The tables of what was decided: costs, windows, controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..adapt.costates import costates
from ..model.control import Control
from ..numerics import Array, Mask
from ..results.solution import Solution
from .parts import Column, Row, Table
from .words import formatted

OVERSHOOT = 0.05  # of a control's range, beyond its bounds between the stages
SWING = 0.02  # of a control's range, inside an element, that is no rounding
IN_A_ROW = 3  # elements that make a ringing
MOST_INTERVALS = 4  # that are shown of one bound
SAMPLES = 1001  # of a control, to tell how long it is at a bound
AT_BOUND = 1e-4  # of its range, or of its size
ROUNDING = 1e-9  # of the costs' sizes, that their sum may miss the objective by


def overshoots(solution: Solution) -> dict[str, float]:
    """Return by how much of its range every control leaves its bounds between the stages, by name."""
    found: dict[str, float] = {}
    for part in solution.trajectories:
        times = np.linspace(part.mesh.start, part.mesh.end, SAMPLES)
        for name, control in part.controls.items():
            values = part.experiment.inputs[name](times)
            beyond = float(np.max([values - control.upper, control.lower - values])) / _range(
                control
            )
            if beyond > OVERSHOOT:
                found[name] = max(beyond, found.get(name, 0.0))
    return found


def ringing(solution: Solution) -> dict[str, float]:
    """Return by how much of its range every control swings inside elements without getting anywhere, by name.

    Along a singular arc the cost sees the mean of a control that is free at the stages, not its swing: in
    `IN_A_ROW` elements or more the stages then differ from their mean by more than twice what the means
    of neighbours differ by.  A curved control does so at an extremum only, a switch in one element.
    """
    found: dict[str, float] = {}
    for part in solution.trajectories:
        for name, control in part.controls.items():
            if control.kind != "stages" or part.mesh.elements < IN_A_ROW:
                continue
            values = part.experiment.inputs[name].values.reshape(part.mesh.elements, -1)
            mean = values.mean(axis=1)
            swing = np.abs(values - mean[:, None]).max(axis=1)
            step = np.abs(np.diff(mean))
            step = np.maximum(np.append(step[:1], step), np.append(step, step[-1:]))
            rings = (swing > 2.0 * step) & (swing > SWING * _range(control))
            rows = np.lib.stride_tricks.sliding_window_view(rings, IN_A_ROW).all(axis=1)
            if rows.any():
                worst = float(swing[rings].max()) / _range(control)
                found[name] = max(worst, found.get(name, 0.0))
    return found


def _range(control: Control) -> float:
    """From bound to bound, as Kelvin from 298 to 398 have 100; without both its size."""
    width = control.upper - control.lower
    return float(width) if 0.0 < width < np.inf else control.size


def costs_table(solution: Solution) -> Table:
    """Return what every cost adds to the objective, and what is left of it where nothing is measured."""
    rows = [{"cost": name, "value": value} for name, value in solution.costs.items()]
    rest = solution.result.objective - sum(solution.costs.values())
    size = abs(solution.result.objective) + sum(map(abs, solution.costs.values()))
    measured = any(part.experiment.measures for part in solution.trajectories)
    if not measured and abs(rest) > ROUNDING * size:
        rows.append({"cost": "priors and weighted ends", "value": rest})
    return Table(
        name="costs",
        title="Costs",
        columns=[Column("cost", left=True), Column("value", ".8g")],
        rows=rows,
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
        energy = energies[number] if energies else np.empty(0)
        energy = energy[np.isfinite(energy)] if np.isfinite(energy).any() else np.array([np.nan])
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


def algebraics_table(solution: Solution) -> Table:
    """Return the range of every algebraic variable, and how far the simulation is from it."""
    rows = []
    for number, part in enumerate(solution.trajectories):
        columns = solution.columns(number)
        for name in solution.model.algebraics:
            values = columns[name]
            size = max(float(np.abs(values).max()), 1e-300)
            away = columns.get(f"{name}_simulated", np.full(len(values), np.nan)) - values
            bounds = (-np.inf, np.inf)
            if solution.nlp is not None:
                bounds = solution.nlp.problem.bounds.get(name, bounds)
            rows.append(
                {
                    "variable": name,
                    "window": part.experiment.name,
                    "least": float(values.min()),
                    "most": float(values.max()),
                    "lower": bounds[0],
                    "upper": bounds[1],
                    "gap": float(np.abs(away).max()) / size,
                }
            )
    return Table(
        name="algebraics",
        title="Algebraic variables",
        columns=[
            Column("variable", left=True),
            Column("window", left=True, drop=1),
            Column("least", ".5g"),
            Column("most", ".5g"),
            Column("lower", heading="bounds", show=bounds_text, left=True, drop=2),
            Column("gap", ".2e"),
        ],
        rows=rows,
    )


def bounds_text(row: Row) -> str:
    """Return the bounds of a row, if it has any."""
    if not np.isfinite([row["lower"], row["upper"]]).any():
        return ""
    return f"{formatted(row['lower'], 'g')} … {formatted(row['upper'], 'g')}"


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


def bounds_table(solution: Solution) -> Table:
    """Return where bounds of states and controls and path constraints are active, window by window."""
    rows = []
    for number, part in enumerate(solution.trajectories):
        if part.experiment.measures:
            continue
        for name, times, values, (lower, upper), size in _bounded(solution, number):
            for bound, held in (
                ("lower", values <= lower + AT_BOUND * size),
                ("upper", values >= upper - AT_BOUND * size),
            ):
                if held.any():
                    rows.append(
                        {
                            "name": name,
                            "window": part.experiment.name,
                            "bound": bound,
                            "value": lower if bound == "lower" else upper,
                            "where": _intervals(times, held),
                        }
                    )
    return Table(
        name="active bounds",
        title="Active bounds",
        columns=[
            Column("name", heading="of", left=True),
            Column("window", left=True, drop=1),
            Column("bound", left=True),
            Column("value", ".5g"),
            Column("where", heading="from … to", show=_where, left=True),
        ],
        rows=rows,
    )


def _bounded(
    solution: Solution, number: int
) -> Iterator[tuple[str, Array, Array, tuple[float, float], float]]:
    """Name, times, values, bounds and size of all that is bounded along a window."""
    part, nlp = solution.trajectories[number], solution.nlp
    for name, control in part.controls.items():
        times = np.linspace(part.mesh.start, part.mesh.end, SAMPLES)
        values = part.experiment.inputs[name](times)
        yield name, times, values, (control.lower, control.upper), control.size
    if nlp is None:
        return
    # a value that is fixed at an end is no bound that became active
    inner = slice(1, -1)
    for name, bounds in nlp.problem.bounds.items():
        if name in solution.model.states:
            values = part.states[:, solution.model.states.index(name)]
            size = float(np.ptp(values)) or 1.0
            yield name, part.times[inner], values[inner], bounds, size
    layout, rows = nlp.layout.experiments[number], nlp.constraints(solution.result.x)
    for constraint, places in zip(nlp.problem.path_constraints, layout.path_rows, strict=True):
        values, bounds = rows[places], constraint.bounds_in(part.experiment.name)
        size = float(np.ptp(values)) or 1.0
        if bounds[0] < bounds[1]:
            yield constraint.name, part.times, values, bounds, size


def _intervals(times: Array, held: Mask) -> list[tuple[float, float]]:
    """First and last time of every run of what is held."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]).astype(int)))
    return [(float(times[a]), float(times[b - 1])) for a, b in edges.reshape(-1, 2)]


def _where(row: Row) -> str:
    shown = [
        formatted(a, ".4g") if a == b else f"{formatted(a, '.4g')} … {formatted(b, '.4g')}"
        for a, b in row["where"][:MOST_INTERVALS]
    ]
    more = len(row["where"]) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


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
