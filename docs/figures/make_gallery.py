"""Solve the models of the gallery; write ``docs/gallery.md`` and a picture of each into ``docs/img/gallery``.

    python docs/figures/make_gallery.py                 # all, a minute or two
    python docs/figures/make_gallery.py shuttle         # one picture; the page needs all

What the page says comes from the models: the question and the source from their docstrings, the value
found from their solution.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import collocode as cc
from collocode.plots.style import new_figure, save_figure, styled

ROOT = Path(__file__).parents[2]
PICTURES, PAGE = ROOT / "docs" / "img" / "gallery", ROOT / "docs" / "gallery.md"
STATE, CONTROL, DATA = "#3556a8", "#c4552d", "#777777"
HEAD = """# Gallery

Dynamic optimization and estimation problems of the literature, each a model file with its formulation, units and source.
The pictures show the solution that `collocode solve` finds, or the loop that `collocode horizon` runs; what was
published, or what made the data, is beside what is found here. States are blue, controls red, measurements grey; page and pictures are made by
`docs/figures/make_gallery.py`.
"""


@dataclass(frozen=True)
class Entry:
    """A model, the quantities to draw, and what was published of it.

    Attributes
    ----------
    found : of a solution, or a loop, what to hold against it.
    loop : whether its receding horizon is run against its plant.
    """

    model: str
    panels: tuple[str, ...]
    published: str
    found: Callable[[Any], str]
    time: str = "t"
    logarithmic: bool = False
    loop: bool = False


def cost(form: str, sign: float = 1.0) -> Callable[[cc.Solution], str]:
    return lambda s: form.format(sign * s.result.objective)


def squares(s: cc.Solution) -> str:
    run = s.trajectories[0].experiment
    return f"least squares {np.nansum((s.fitted(run.times) - run.values) ** 2):.6g}"


def at_end(*names: str) -> Callable[[cc.Solution], str]:
    def found(s: cc.Solution) -> str:
        end = s.trajectories[0].times[-1:]
        return ", ".join(f"{name} = {curve(s, name, end, 0)[0]:.7g}" for name in names)

    return found


def values(*names: str) -> Callable[[cc.Solution], str]:
    return lambda s: ", ".join(f"{name} {s.parameters[name]:.3g}" for name in names)


def typical(*names: str) -> Callable[[cc.Solution], str]:
    def found(s: cc.Solution) -> str:
        own = {n: [v for k, v in s.parameters.items() if k.startswith(f"{n}[")] for n in names}
        return ", ".join(f"{n} {np.exp(np.mean(np.log(v))):.2g}" for n, v in own.items())

    return found


def law(name: str) -> Callable[[cc.Solution], str]:
    return lambda s: (
        f"largest gap of the simulation {max(map(s.gap, range(len(s.trajectories)))):.0e}"
    )


def held(loop: cc.ClosedLoop) -> str:
    """The states with a set point, halfway between the changes of it."""
    found = []
    for name, wanted in loop.setpoints.items():
        ends = np.append(0, np.append(np.flatnonzero(np.diff(wanted)) + 1, len(wanted) - 1))
        middle = (ends[:-1] + ends[1:]) // 2
        reached = loop.states[middle, loop.plans[0].model.states.index(name)]
        found.append(f"{name} = " + ", ".join(f"{v:.3f}" for v in reached) + " halfway")
    return "; ".join(found)


SECTIONS = {
    "Optimal control": [
        Entry("control/brachistochrone", ("x", "y", "angle"), "0.565901 s, closed form", cost("{:.6f} s")),
        Entry("control/bryson_denham", ("x", "v", "a"), "4, closed form", cost("{:.6f}")),
        Entry("control/double_integrator", ("x", "v", "a"), "2, closed form", cost("{:.6f}")),
        Entry("control/steering", ("x", "y", "angle"), "0.554577, COPS on 200 intervals", cost("{:.6f}")),
        Entry("control/rocket", ("h", "v", "thrust"), "1.01283, COPS", cost("{:.5f}", -1.0)),
        Entry("control/robot_arm", ("th", "u1", "u2", "u3"), "9.14138, COPS on 200 intervals", cost("{:.5f}")),
        Entry("control/hang_glider", ("x", "y", "lift"), "1247.99 m, COPS in the limit", cost("{:.2f} m", -1.0), "t, s"),
        Entry("control/catalyst_mixing", ("x1", "x2", "share"), "-4.80556e-2, COPS on 100 intervals", cost("{:.6g}")),
        Entry("control/batch_reactor", ("A", "B", "T"), "0.610775 mol/l", cost("{:.6f} mol/l", -1.0), "t, h"),
        Entry("control/penicillin", ("X", "S", "P", "feed"), "87.99 g, Banga et al.", cost("{:.2f} g", -1.0), "t, h"),
        Entry("control/cart_pole", ("q", "angle", "force"), "58.8077 N² s, Pontryagin's equations", cost("{:.4f} N² s"), "t, s"),
        Entry("control/shuttle", ("h", "latitude", "attack", "bank"), "34.1412°, Betts", cost("{:.4f}°", -1.0), "t, s"),
        Entry("control/delta_iii", ("x", "y", "m", "uy"), "7529.71 kg, Betts", cost("{:.2f} kg", -1.0), "t, s"),
        Entry("control/cstr_setpoint", ("c", "T", "Tc"), "0.970 with the true rate", cost("{:.3f}"), "t, min"),
        Entry("control/cstr_tracking", ("c", "T", "Tc"), "set points 0.5, 0.6, 0.45 mol/l", held, "t, min", loop=True),
        Entry("control/channel_flow", ("u", "u1", "u2"), "a boundary-value problem, u(1) = 1", at_end("u", "u2")),
        Entry("control/dido", ("y", "slope"), "0.199385, closed form", cost("{:.6f}", -1.0)),
        Entry("control/lifeguard", ("x", "y", "angle"), "20.76306 s, Snell's law", cost("{:.5f} s"), "t, s"),
    ],
    "Parameter estimation": [
        Entry("alpha_pinene", ("y1", "y2", "y3", "y5"), "19.8721, COPS", squares, "t, min"),
        Entry("gas_oil", ("y1", "y2"), "5.2366e-3, COPS", squares),
        Entry("methanol", ("y1", "y2", "y3"), "9.02229e-3, COPS", squares),
        Entry("marine", ("y1", "y3", "y5", "y8"), "1.97462e7, COPS", squares),
    ],
    "What laboratories measure": [
        Entry("theophylline", ("depot", "c"), "ka 1.5, CL 0.040, V 0.46, typical", typical("ka", "CL", "V"), "t, h"),
        Entry("influenza", ("S", "I"), "beta 1.73, gamma 0.54 a day, Grinsztajn et al.", values("beta", "gamma"), "t, days"),
        Entry("sir", ("S", "I", "cases"), "beta 1.8, share 0.3 made the data", values("beta", "seen"), "t, weeks"),
        Entry("dead_time", ("y",), "K 2, tau 20, theta 15 made the data", values("K", "tau", "theta"), "t, s"),
        Entry("hutchinson", ("N",), "r 0.3, K 100, tau 6 made the data", values("r", "K", "tau"), "t, days"),
        Entry("leak", ("h",), "c 0.2, l 0.1, T 3.7 made the data", values("c", "l", "T"), "t, h"),
    ],
    "Algebraic equations": [
        Entry("dae/robertson", ("y1", "y2", "y3"), "y1 = 2.083340e-8, y2 = 8.333361e-14 at t = 1e11", at_end("y1", "y2"), "t, s", True),
        Entry("dae/akzo_nobel", ("y1", "y3", "y6"), "y1 = 0.1150795, y6 = 4.873531e-3 at t = 180", at_end("y1", "y6"), "t, min"),
        Entry("dae/distillation", ("x1", "x17", "x32"), "α = 1.6 made the data", lambda s: f"α = {next(iter(s.parameters.values())):.4f}", "t, min"),
        Entry("dae/pendulum", ("x", "y", "tension"), "tension = 29.43, v = -4.4294 m/s at the lowest", at_end("tension", "v"), "t, s"),
        Entry("dae/tank_manifold", ("h1", "h2", "q1", "m"), "the head law within 1 %", law("head"), "t, min"),
        Entry("dae/quarter_vehicle", ("zb", "zw", "F"), "both laws within 3 %", law("forces"), "t, s"),
    ],
}  # fmt: skip


def solved(entry: Entry) -> cc.Solution | cc.ClosedLoop:
    module = import_module("models." + entry.model.replace("/", "."))
    if entry.loop:
        told = module.HORIZON
        horizon = cc.RecedingHorizon(
            module.problem(),
            sample=told["sample"],
            mesh=module.DEFAULTS["mesh"],
            setpoints=told["setpoints"],
        )
        loop = horizon.run(module.START, told["moves"], module.plant())
        assert not loop.failed, (entry.model, loop.failed)
        return loop
    found = cc.fit(module.problem(), **getattr(module, "DEFAULTS", {}))
    assert found.success, (entry.model, found.status)
    return found


def curve(s: cc.Solution, name: str, times: np.ndarray, window: int) -> np.ndarray:
    """A state, an algebraic variable or an input at times within a window."""
    if name in s.model.states:
        return s.states(times, window)[:, s.model.states.index(name)]
    if name in s.model.algebraics:
        return s.algebraics(times, window)[:, list(s.model.algebraics).index(name)]
    if name in s.model.outputs:
        return s.fitted(times, window)[:, s.model.outputs.index(name)]
    return s.control(name, times, window)


@styled
def loop_picture(entry: Entry, loop: cc.ClosedLoop):
    """One panel a quantity: the plant's states with their set points, the moves."""
    figure = new_figure(2.1 * len(entry.panels), 1.75)
    names = loop.plans[0].model.states
    for ax, name in zip(figure.subplots(1, len(entry.panels)), entry.panels, strict=True):
        if name in names:
            ax.plot(loop.times, loop.states[:, names.index(name)], color=STATE, linewidth=1.3)
        else:
            moves = [plan.control(name, [0.0])[0] for plan in loop.plans]
            ax.stairs(moves, loop.times, baseline=None, color=CONTROL, linewidth=1.3)
        if name in loop.setpoints:
            wanted = loop.setpoints[name][:-1]
            ax.stairs(wanted, loop.times, baseline=None, color=DATA, linestyle="--", zorder=0)
        labelled(ax, entry, name)
    return figure


def labelled(ax, entry: Entry, name: str) -> None:
    ax.set_title(name, fontsize=9)
    ax.set_xlabel(entry.time, fontsize=8)
    ax.tick_params(labelsize=7)


@styled
def picture(entry: Entry, s: cc.Solution):
    """One panel a quantity, side by side."""
    figure = new_figure(2.1 * len(entry.panels), 1.75)
    axes = np.atleast_1d(figure.subplots(1, len(entry.panels)))
    for ax, name in zip(axes, entry.panels, strict=True):
        for number, part in enumerate(s.trajectories):
            start, end = part.mesh.start, part.mesh.end
            t = np.linspace(start, end, 801)
            if entry.logarithmic:
                t = np.geomspace(part.mesh.points[1], end, 801)
            decided = name in part.experiment.inputs and name not in s.model.algebraics
            values = curve(s, name, t, number)
            ax.plot(t, values, color=CONTROL if decided else STATE, linewidth=1.3)
            run = part.experiment
            if name in run.outputs and run.measures:
                known = run.values[:, run.outputs.index(name)]
                ax.plot(run.times, known, ".", color=DATA, markersize=2.5, zorder=0)
        if entry.logarithmic:
            ax.set_xscale("log")
        labelled(ax, entry, name)
    return figure


def told(entry: Entry, s: cc.Solution | cc.ClosedLoop) -> str:
    """Question, picture, value, source and command of one model."""
    module = import_module("models." + entry.model.replace("/", "."))
    text = (module.__doc__ or "").strip()
    title, name = text.splitlines()[0], entry.model.rsplit("/", 1)[-1]
    source = re.sub(r"\s+", " ", text.split("Source:", 1)[1].split("\n\n")[0]).strip()
    command = "horizon" if entry.loop else "solve"
    return (
        f"### {title}\n\n![{title}](img/gallery/{name}.png)\n\n"
        f"| published | found |\n|---|---|\n| {entry.published} | {entry.found(s)} |\n\n"
        f"Source: {source}\n\n`collocode {command} models/{entry.model}.py`\n"
    )


def main() -> None:
    wanted = sys.argv[1:]
    PICTURES.mkdir(exist_ok=True)
    page = [HEAD]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for heading, entries in SECTIONS.items():
            page.append(f"## {heading}\n")
            for entry in entries:
                name = entry.model.rsplit("/", 1)[-1]
                if wanted and name not in wanted:
                    continue
                s = solved(entry)
                drawn = loop_picture(entry, s) if entry.loop else picture(entry, s)
                save_figure(drawn, PICTURES / f"{name}.png")
                page.append(told(entry, s))
                print(f"{entry.model:28} {entry.published:45} {entry.found(s)}", flush=True)
    if not wanted:
        PAGE.write_text("\n".join(page), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
