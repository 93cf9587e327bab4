"""The report of a closed loop: how the plant was kept under plans that were made again and again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..checks import counted
from ..numerics import Array
from ..results.closed_loop import ClosedLoop
from .decisions import AT_BOUND, bounds_text
from .folder import write_csv
from .parts import Column, Facts, Finding, Row, Table, figure, headline
from .record import Asked, Report

_BEYOND = 1e-6  # of a state's range, that is beyond a bound
_SAMPLES = 10  # of a control, a move


def report_loop(loop: ClosedLoop, asked: Asked) -> Report:
    """Return the report of a closed loop."""
    moves, solved = len(loop.plans), len(loop.plans) - len(loop.failed)
    status = (
        "stopped" if loop.interrupted else "all plans solved" if not loop.failed else "plans failed"
    )
    whole = f" of {loop.wanted}" if loop.interrupted else ""
    states = _states(loop)
    return asked.report(
        "",
        kind="closed loop",
        title=loop.name,
        success=not loop.failed and not loop.interrupted,
        status=status,
        interrupted=loop.interrupted,
        body=(
            headline(
                loop.name,
                status,
                not loop.failed and not loop.interrupted,
                f", {counted(moves, 'move')}{whole}, t = 0 … {loop.times[-1]:g}",
            ),
            Facts(_facts(loop, solved)),
            _states_table(states),
            _controls_table(loop),
        ),
        findings=_findings(loop, states, asked),
        result={"moves": moves, "wanted": loop.wanted, "failed": list(loop.failed)},
        details={"sample": loop.sample, "iterations": loop.iterations},
        figures=(
            figure(
                "closed_loop",
                "States with bounds, set points and what every plan wanted, controls with bounds, gap",
                "closed_loop",
                loop,
            ),
        ),
        files={
            "loop.npz": loop.save,
            "loop.csv": partial(write_csv, {k: v.to_numpy() for k, v in loop.to_frame().items()}),
        },
    )


def _facts(loop: ClosedLoop, solved: int) -> dict[str, str]:
    scheme, mesh = loop.plans[0].scheme, loop.plans[0].trajectories[0].mesh
    later = loop.iterations[1:] or loop.iterations
    seconds = 1e3 * (loop.seconds[1:] if len(loop.seconds) > 1 else loop.seconds)
    return {
        "horizon": f"{mesh.end - mesh.start:g}, a move is held for {loop.sample:g}",
        "scheme": f"{scheme.name}, degree {scheme.degree}, {counted(mesh.elements, 'element')}",
        "plans": f"{solved} of {len(loop.plans)} solved",
        "iterations": f"{loop.iterations[0]} at first, then {np.median(later):.0f} (at most {max(later)})",
        "time": f"{np.median(seconds):.0f} ms a plan (at most {seconds.max():.0f} ms)",
    }


def _states(loop: ClosedLoop) -> Sequence[Row]:
    problem = _problem_bounds(loop)
    rows = []
    for i, name in enumerate(loop.plans[0].model.states):
        values, gap = loop.states[:, i], loop.gap[:, i]
        lower, upper = problem.get(name, (-np.inf, np.inf))
        aim = loop.setpoints.get(name)
        rows.append(
            {
                "state": name,
                "first": float(values[0]),
                "last": float(values[-1]),
                "least": float(values.min()),
                "most": float(values.max()),
                "lower": lower,
                "upper": upper,
                "beyond": float(max((values - upper).max(), (lower - values).max(), 0.0)),
                "setpoint": np.nan if aim is None else float(aim[-1]),
                "deviation": np.nan if aim is None else _rms(values - aim),
                "gap": float(np.abs(gap).max()),
            }
        )
    return rows


def _problem_bounds(loop: ClosedLoop) -> dict[str, tuple[float, float]]:
    nlp = loop.plans[0].nlp
    return {} if nlp is None else dict(nlp.problem.bounds)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _states_table(rows: Sequence[Row]) -> Table:
    return Table(
        name="states",
        title="The plant's states",
        columns=[
            Column("state", left=True),
            *(Column(key, ".5g") for key in ("first", "last", "least", "most")),
            Column("lower", heading="bounds", show=bounds_text, left=True, drop=2),
            Column("setpoint", ".5g", "last set point"),
            Column("deviation", ".2e", "rms deviation", drop=1),
            Column("gap", ".1e", "largest gap"),
        ],
        rows=rows,
        note="The gap is between the plant's answer and what the plan expected, one sample later.",
    )


def _controls_table(loop: ClosedLoop) -> Table:
    times = np.linspace(0.0, loop.times[-1], _SAMPLES * len(loop.plans), endpoint=False)
    rows = []
    for name, control in loop.plans[0].trajectories[0].controls.items():
        values, room = loop.control(name, times), AT_BOUND * control.size
        rows.append(
            {
                "control": name,
                "least": float(values.min()),
                "most": float(values.max()),
                "at_lower": float(np.mean(values <= control.lower + room)),
                "at_upper": float(np.mean(values >= control.upper - room)),
                "unit": control.unit,
            }
        )
    shares = [(key, f"at {key[3:]} bound") for key in ("at_lower", "at_upper")]
    return Table(
        name="controls",
        title="Controls as the plant saw them",
        columns=[
            Column("control", left=True),
            Column("least", ".5g"),
            Column("most", ".5g"),
            *(Column(key, ".0%", heading) for key, heading in shares),
            Column("unit", left=True),
        ],
        rows=rows,
    )


def _findings(loop: ClosedLoop, states: Sequence[Row], asked: Asked) -> tuple[Finding, ...]:
    found = []
    if loop.failed:
        first = loop.failed[0]
        facts = {
            "failed": len(loop.failed),
            "moves": len(loop.plans),
            "first": first * loop.sample,
            "status": loop.plans[first].status,
            "instead": loop.instead,
        }
        found.append(asked.finding("plans-failed", **facts))
    for row in states:
        if row["beyond"] > _BEYOND * max(row["most"] - row["least"], 1e-300):
            found.append(
                asked.finding("plant-beyond-bound", name=row["state"], beyond=row["beyond"])
            )
    return tuple(found)
