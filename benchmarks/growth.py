"""Growing networks: the topological derivative against its controls, at equal work.

    pip install -e '.[bench,test]'
    python benchmarks/growth.py                               # all problems, ten seeds
    python benchmarks/growth.py --problems heat-inversion,spiral --seeds 5
    python benchmarks/growth.py --activation tanh --methods topological,random,scratch
    python benchmarks/growth.py --table --figure growth.png   # what the file has, nothing run

Every method trains the same number of L-BFGS iterations in all and ends with the same number of layers; a seed
draws the weights, the split of the data and what is random in the method.  Growth begins with one layer.

    topological    best place, best directions, epsilon by a line search
    p=4            the same with weights at a 4-Wasserstein distance: the better neurons more
    place          the best place, but random unit rows, epsilon by the line search
    direction      any place, with the best directions there, epsilon by the line search
    random         any place, random unit rows, epsilon by the line search
    net2deeper     any place, the identity with a little noise
    forward        a random layer at the end, all before it frozen
    dwr            the layer that a coarse step costs most is bisected
    scratch        the final depth at once

The test error is that of the weights of least validation loss (relative error, or share of wrong answers); "objective" is
J of the last weights.  Beside each stands by how much it is above that of the topological derivative: the 95 % interval
(Student's t) of the mean difference over the seeds, in per cent of the topological derivative's mean; a star where it
does not hold zero.  "soon" is by how much J falls with an insertion and the ten iterations after it, "kept" the number of
layers at the best weights, "scores" the time of scores and line searches relative to that of training.

Runs are kept in ``results/growth.csv`` as they end, and those that are there are not run again; the tables of all that
the file has go to ``results/growth.md``, which ``docs/background/growing.md`` shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd
from scipy import stats

import collocode as cc
from _growth_methods import Net2Deeper, RandomPlaceBestRows, SamePlaceRandomRows, forward_thinking
from collocode import layered
from collocode.layered.growth.grow import grow
from collocode.layered.growth.growth import Growth
from collocode.layered.growth.indicators import RandomPlace, Topological
from models import diabetes, digits, heat_conduction, heat_inversion, mnist, vorticity

ACTIVATIONS = ("silu_tanh", "tanh", "swish", "gelu")
RESULTS = Path(__file__).parent / "results" / "growth.csv"


def spiral(seed: int, activation: str) -> layered.LayeredProblem:
    samples, validation = layered.spiral2d(400, seed)
    network = layered.LayeredNetwork(
        2,
        1,
        4,
        cc.Mesh.uniform(0, 1, 1),
        block=layered.ResidualBlock(activation),
        lift="pad",
    )
    ridge = layered.Regularisation(1e-4, 1e-4)
    test = layered.spiral2d(1000, seed + 1000)[1]
    return layered.LayeredProblem(
        network, samples, layered.LogisticLoss(), ridge, validation, test, "Spiral"
    )


Maker = Callable[[int, str], layered.LayeredProblem]
PROBLEMS: dict[str, tuple[Maker, int, int]] = {  # with iterations at every depth, and layers
    "heat-inversion": (lambda s, a: heat_inversion.problem(1000, seed=s, activation=a), 50, 5),
    "heat-inversion-1500": (lambda s, a: heat_inversion.problem(1500, seed=s, activation=a), 50, 5),
    "vorticity": (lambda s, a: vorticity.problem(seed=s, activation=a), 50, 5),
    "mnist": (lambda s, a: mnist.problem(seed=s, activation=a), 30, 4),
    "diabetes": (lambda s, a: diabetes.problem(seed=s, activation=a), 30, 4),
    "spiral": (spiral, 60, 5),
    "digits": (lambda s, a: digits.problem(seed=s, activation=a), 30, 4),
    "heat-conduction": (lambda s, a: heat_conduction.problem(seed=s, activation=a), 60, 5),
}
METHODS: dict[str, object] = {
    "topological": Topological(),
    "random": RandomPlace("direction"),
    "place": SamePlaceRandomRows(),
    "direction": RandomPlaceBestRows(),
    "p=4": Topological(4),
    "net2deeper": Net2Deeper(),
    "scratch": None,
    "forward": forward_thinking,
    "dwr": "dwr",
}


def run(name: str, activation: str, method: str, seed: int, factor: float) -> dict[str, object]:
    """One run, as a row of the table of results."""
    make, iterations, layers = PROBLEMS[name]
    iterations = max(5, int(iterations * factor))
    problem, way = make(seed, activation), METHODS[method]
    share = early = float("nan")
    if way is None:
        network = replace(problem.network, mesh=cc.Mesh.uniform(0, layers, layers), basis=None)
        how = {"validation": problem.validation, "iterations": iterations * layers, "seed": seed}
        last = layered.train(problem.with_network(network).objective, **how, tolerance=0.0)
        trainings, best = [last], last
    elif way is forward_thinking:
        trainings = forward_thinking(problem, layers, iterations, seed)
        best = min(trainings, key=lambda t: t.history["validation_loss"].min())
    else:
        never = {"stall": None, "tolerance": 0.0, "gradient_tolerance": 0.0}
        growth = grow(problem, way, seed=seed, max_layers=layers, iterations=iterations, **never)  # type: ignore[arg-type]
        trainings, best = [cycle.training for cycle in growth.cycles], growth.best
        share = growth.scoring_seconds / growth.training_seconds
        early = early_gain(growth)
    error = problem.with_network(best.network).objective.score(best.best, problem.test)
    return {
        "problem": name,
        "activation": activation,
        "method": method,
        "seed": seed,
        "iterations": iterations * layers,
        "objective": trainings[-1].objective,
        "error": 1.0 - error if best.metric == "accuracy" else error,
        "kept": best.network.layers,
        "soon": early,
        "scores": share,
        "evaluations": sum(t.history["evaluations"].iloc[-1] for t in trainings),
    }


def early_gain(growth: Growth) -> float:
    """Mean relative decrease of J by an insertion and the ten iterations after it."""
    gains = []
    for cycle, following in zip(growth.cycles, growth.cycles[1:], strict=False):
        history = following.training.history
        soon = history[history["iteration"] <= 10]["objective"].iloc[-1]
        gains.append(1.0 - soon / cycle.training.objective)
    return float(np.mean(gains))


def above(reference: pd.Series, other: pd.Series) -> tuple[float, float]:
    """Mean difference over the seeds and half its 95 % interval, as shares of the reference's mean."""
    common = reference.index.intersection(other.index)
    gaps = ((other[common] - reference[common]) / reference[common].mean()).to_numpy()
    if len(gaps) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return float(gaps.mean()), float(half)


def versus(reference: pd.Series, other: pd.Series) -> str:
    """The interval in per cent, with a star where it does not hold zero."""
    mean, half = above(reference, other)
    if mean != mean:
        return "–"
    low, high = 100.0 * (mean - half), 100.0 * (mean + half)
    return f"{low:+.1f} … {high:+.1f} %" + (" *" if low > 0.0 or high < 0.0 else "")


def table(results: pd.DataFrame, name: str, activation: str) -> str:
    """One problem as a table in Markdown."""
    rows = results[(results["problem"] == name) & (results["activation"] == activation)]
    first = rows[rows["method"] == "topological"].set_index("seed")
    lines = [
        f"\n**{name}, {activation}** ({len(first)} seeds, {int(rows['iterations'].median())} iterations)\n",
        "| | objective | above | test error | above | soon | kept | scores |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = rows[rows["method"] == method].set_index("seed")
        if len(own) < 2:
            continue
        cells = [method if len(own) == len(first) else f"{method} ({len(own)} seeds)"]
        for column in ("objective", "error"):
            values, reference = own[column], first[column]
            cells.append(f"{values.mean():.4g} ± {values.std():.2g}")
            cells.append("" if method == "topological" else versus(reference, values))
        soon, share = own["soon"].mean(), own["scores"].mean()
        cells.append("" if soon != soon else f"{100 * soon:.1f} %")
        cells.append(f"{own['kept'].mean():.1f}")
        cells.append("" if share != share else f"{100 * share:.0f} %")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: pd.DataFrame, activation: str, path: Path) -> None:
    """Draw how far the others are above the topological derivative, with the paired intervals."""
    from collocode.plots import save_figure, style

    shown = results[results["activation"] == activation]
    names = [n for n in PROBLEMS if n in set(shown["problem"])]
    methods = [m for m in METHODS if m != "topological" and m in set(shown["method"])]
    colours = [
        style.ORANGE,
        style.BLUE,
        style.GREEN,
        style.PURPLE,
        style.MUTED,
        style.INK,
        "#9c6b4a",
        "#c2a100",
    ]

    @style.styled
    def picture():
        figure = style.new_figure(9.0, 0.62 * len(names) + 2.0)
        for ax, column in zip(
            figure.subplots(1, 2, sharey=True), ("objective", "error"), strict=True
        ):
            for row, name in enumerate(names):
                part = shown[shown["problem"] == name]
                series = {m: g.set_index("seed")[column] for m, g in part.groupby("method")}
                for k, (method, colour) in enumerate(zip(methods, colours, strict=False)):
                    if method not in series:
                        continue
                    mean, half = above(series["topological"], series[method])
                    y = row + 0.8 * (k + 0.5) / len(methods) - 0.4
                    label = method if row == 0 else None
                    ax.errorbar(
                        mean, y, xerr=half, fmt="o", ms=3, lw=1.2, color=colour, label=label
                    )
            ax.axvline(0.0, color=style.INK, lw=0.8)
            ticks = np.array([-0.5, -0.25, 0.0, 0.25, 0.5, 0.75])
            ax.set_xlim(*({"objective": (-0.6, 0.9), "error": (-0.25, 0.35)}[column]))
            ticks = ticks if column == "objective" else 0.4 * ticks
            ax.set_xticks(ticks, [f"{100 * t:+.0f} %" for t in ticks])
            ax.set_yticks(range(len(names)), names)
            ax.set_title({"objective": "training objective", "error": "test error"}[column])
        ax.invert_yaxis()
        style.heading(
            figure, "Above the topological derivative", "95 % intervals, paired over seeds"
        )
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=8.5)
        return figure

    save_figure(picture(), path)
    print(f"\nwrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--activation", default="silu_tanh", choices=ACTIVATIONS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two seeds, a sixth of the iterations")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where runs are kept")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--figure", type=Path, help="where to draw the intervals")
    asked = parser.parse_args()
    seeds, factor = (2, 0.17) if asked.quick else (asked.seeds, 1.0)
    path = None if asked.quick else asked.results
    done = pd.read_csv(path) if path is not None and path.exists() else pd.DataFrame()
    key = ["problem", "activation", "method", "seed"]
    known = set(done[key].itertuples(index=False, name=None)) if len(done) else set()
    names, methods = asked.problems.split(","), asked.methods.split(",")
    wanted = [(n, asked.activation, m, s) for m in methods for n in names for s in range(seeds)]
    for job in [] if asked.table else [job for job in wanted if job not in known]:
        done = pd.concat([done, pd.DataFrame([run(*job, factor)])], ignore_index=True)
        if path is not None:
            done.to_csv(path, index=False, float_format="%.6g")
    pairs = [(n, a) for a in ACTIVATIONS for n in PROBLEMS]
    have = set(done[["problem", "activation"]].itertuples(index=False, name=None))
    text = "\n".join(table(done, n, a) for n, a in pairs if (n, a) in have)
    print(text)
    if path is not None:
        path.with_suffix(".md").write_text(text.strip() + "\n")
    if asked.figure is not None:
        draw(done, asked.activation, asked.figure)


if __name__ == "__main__":
    main()
