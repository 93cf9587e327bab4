"""Growing networks: the topological derivative against its controls, at equal iterations.

    python benchmarks/growth.py                       # tables and figure, some 8 minutes on one core
    python benchmarks/growth.py --quick               # two seeds, a sixth of the iterations, half a minute
    python benchmarks/growth.py --figure growth.png
    python benchmarks/growth.py --blocks              # convolution and attention blocks, some minutes

Every method trains the same number of L-BFGS iterations in all and ends with the same number of layers;
a seed draws the weights and splits or draws the data.  Growth begins with one layer.

    topological        best place, best directions, epsilon by a line search
    best place, random the same place and the same epsilon, but random unit rows
    random, random     any place, random unit rows, epsilon by a line search
    random, zero       any place, zeros (for silu_tanh these have no gradient and never wake)
    dwr                the layer that a coarse step costs most is bisected
    from scratch       the final depth at once

The test error is that of the weights of least validation loss (relative error, or share of
wrong answers); "objective" is J of the last weights; "wins" counts the seeds on which the topological
derivative has the smaller test error; "first 10" is by how much J falls with an insertion and the ten
iterations after it, "kept" the number of layers at the best weights, "scores" the time of scores and
line searches relative to that of training.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import collocode as cc
from collocode import layered
from collocode.layered.growth.grow import grow
from collocode.layered.growth.growth import Growth
from collocode.layered.growth.indicators import RandomPlace, Topological
from collocode.layered.growth.insertion import Insertion, deeper, random_rows
from models import diabetes, digits, heat_conduction

LAYERS = 6


@dataclass(frozen=True)
class SamePlaceRandomRows(Topological):
    """The place and the size of the topological derivative, but not its direction."""

    name = "best place, random"

    def extend(self, scores, row, rng) -> Insertion:
        objective, training = scores.objective, scores.training
        best = super().extend(scores, row, rng)
        if not best.accepted:
            return best
        rows = best.epsilon * random_rows(rng, objective.network.width)
        weights = rows[:, :-1], rows[:, -1]
        grown, theta = deeper(objective, training.theta, best.position, weights, self.step)
        after = grown.value(theta)
        return replace(best, objective=grown, theta=theta, after=after, predicted=float("nan"))


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
PROBLEMS: dict[str, tuple[Maker, int]] = {  # with the iterations at every depth
    "heat conduction": (lambda s, a: heat_conduction.problem(seed=s, activation=a), 120),
    "diabetes": (lambda s, a: diabetes.problem(seed=s, activation=a), 40),
    "digits": (lambda s, a: digits.problem(seed=s, activation=a), 40),
    "spiral2d": (spiral, 100),
}
METHODS = {
    "topological": Topological(),
    "best place, random": SamePlaceRandomRows(),
    "random, random": RandomPlace("direction"),
    "random, zero": RandomPlace("zero"),
    "dwr": "dwr",
    "from scratch": None,
}


@dataclass(frozen=True)
class Result:
    """One run."""

    objective: float
    error: float
    layers: int
    share: float
    early: float
    curve: np.ndarray


def run(problem: layered.LayeredProblem, method: object, iterations: int, seed: int) -> Result:
    if method is not None:
        limits = {"max_layers": LAYERS, "iterations": iterations}
        never = {"stall": None, "tolerance": 0.0, "gradient_tolerance": 0.0}
        growth = grow(problem, method, seed=seed, **limits, **never)
        share, early = scoring_share(growth), early_gain(growth)
        last, network, theta = growth.last, growth.network, growth.theta
        history = growth.history
    else:
        network = replace(problem.network, mesh=cc.Mesh.uniform(0, LAYERS, LAYERS), basis=None)
        how = {"validation": problem.validation, "iterations": iterations * LAYERS, "seed": seed}
        objective = problem.with_network(network).objective
        last = layered.train(objective, **how, tolerance=0.0)
        theta, history = last.best, last.history
        share = early = float("nan")
    error = problem.with_network(network).objective.score(theta, problem.test)
    error = 1.0 - error if last.metric == "accuracy" else error
    at = np.arange(iterations * LAYERS + 1)
    curve = np.interp(at, history["iteration"], history["objective"])
    return Result(last.objective, error, network.layers, share, early, curve)


def scoring_share(growth: Growth) -> float:
    """Of the training time: scores and line searches."""
    return growth.scoring_seconds / growth.training_seconds


def early_gain(growth: Growth) -> float:
    """Mean relative decrease of J by an insertion and the ten iterations after it."""
    gains = []
    for cycle, following in zip(growth.cycles, growth.cycles[1:], strict=False):
        history = following.training.history
        soon = history[history["iteration"] <= 10]["objective"].iloc[-1]
        gains.append(1.0 - soon / cycle.training.objective)
    return float(np.mean(gains))


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def table(activation: str, name: str, seeds: int, factor: float) -> dict[str, list[Result]]:
    make, iterations = PROBLEMS[name]
    iterations = max(5, int(iterations * factor))
    print(
        f"\n{name}, {activation}: {iterations} iterations per depth, 1 to {LAYERS} layers, {seeds} seeds"
    )
    print(
        f"{'':20} {'objective':>19} {'test error':>19} {'wins':>5} {'layers kept':>12} {'scores':>7}"
    )
    found: dict[str, list[Result]] = {}
    for method, indicator in METHODS.items():
        runs = [run(make(s, activation), indicator, iterations, s) for s in range(seeds)]
        found[method] = runs
        kept = np.mean([r.layers for r in runs])
        share = np.mean([r.share for r in runs])
        early = np.mean([r.early for r in runs])
        cost = "" if share != share else f"{100 * share:.1f} %"
        soon = "" if early != early else f"{100 * early:.1f} %"
        wins = sum(a.error < b.error for a, b in zip(found["topological"], runs, strict=True))
        against = "" if method == "topological" else f"{wins}/{seeds}"
        print(
            f"{method:20} {spread([r.objective for r in runs]):>19} "
            f"{spread([r.error for r in runs]):>19} {against:>5} {soon:>9} {kept:5.1f} {cost:>7}",
            flush=True,
        )
    return found


def draw(found: dict[str, dict[str, list[Result]]], path: Path) -> None:
    """Draw medians of the objective over the iterations, one panel per problem."""
    from collocode.plots import save_figure, style

    colours = [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.MUTED, style.INK]

    @style.styled
    def picture():
        figure = style.new_figure(9.0, 6.0)
        axes = figure.subplots(2, 2)
        for ax, (name, methods) in zip(axes.flat, found.items(), strict=False):
            ax.set_yscale("log")
            medians = {m: np.median([r.curve for r in runs], axis=0) for m, runs in methods.items()}
            for colour, (method, median) in zip(colours, medians.items(), strict=True):
                look = "--" if method == "from scratch" else "-"
                ax.plot(median, look, color=colour, linewidth=1.5, label=method)
            length = len(median) - 1
            ax.set_xticks([depth * length // LAYERS for depth in range(LAYERS + 1)])
            after = np.concatenate([m[length // (2 * LAYERS) :] for m in medians.values()])
            ax.set_ylim(0.7 * after.min(), 1.5 * np.quantile(after, 0.98))
            ax.set_title(name, fontsize=9.5)
        for ax in axes[1]:
            ax.set_xlabel("L-BFGS iterations; a layer more at every tick")
        style.heading(figure, "Training objective", "silu_tanh, median over seeds")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=8.5)
        return figure

    save_figure(picture(), path)
    print(f"\nwrote {path}")


def blocks(seeds: int) -> None:
    """Digits by tokens of 2 x 2 pixels: 20 epochs, one block more or none, 20 epochs."""
    from collocode.layered.equinox_blocks import stream_network
    from collocode.layered.growth.topological_blocks import (
        block_scores,
        insert_block,
        put_block,
        train_stream,
    )

    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        samples, validation = layered.dataset("digits", seed=seed)
        first = stream_network(8, 10, 12, ("attention", "token"), patch=2, seed=seed)
        first, _ = train_stream(first, samples, validation, seed=seed)
        kinds = ("token", "attention", "convolution")
        scores = block_scores(first, samples.take(range(256)), kinds)
        starts = {"no block more": first}
        for kind in kinds:
            part = scores.table[scores.table["kind"] == kind]
            done = insert_block(first, samples, scores, int(part["score"].idxmax()))
            assert done is not None
            starts[f"{kind}, topological"] = done.network
            size = np.linalg.norm(scores.weights[int(part["score"].idxmax())]) * abs(done.epsilon)
            shape = scores.weights[int(part["score"].idxmax())].shape
            drawn = np.random.default_rng(seed).standard_normal(shape)
            drawn *= size / np.linalg.norm(drawn)
            starts[f"{kind}, random"] = put_block(first, done.position, kind, drawn)
        for name, network in starts.items():
            _, history = train_stream(network, samples, validation, seed=seed + 100)
            last = history.iloc[-1]
            rows.setdefault(name, []).append((last["loss"], 1.0 - last["validation"]))
    print(f"\ndigits, blocks on 16 tokens of 12 channels, {seeds} seeds: after 20 epochs more")
    print(f"{'':26} {'training loss':>19} {'validation error':>19}")
    for name, found in rows.items():
        print(f"{name:26} " + " ".join(f"{spread([f[k] for f in found]):>19}" for k in (0, 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seeds, a sixth of the iterations")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--figure", type=Path, help="where to draw the objectives of silu_tanh")
    parser.add_argument("--blocks", action="store_true", help="convolution and attention instead")
    asked = parser.parse_args()
    seeds, factor = (2, 0.17) if asked.quick else (asked.seeds, 1.0)
    if asked.blocks:
        return blocks(seeds)
    began = time.perf_counter()
    for activation in ("silu_tanh", "tanh"):
        found = {name: table(activation, name, seeds, factor) for name in PROBLEMS}
        if asked.figure is not None and activation == "silu_tanh":
            draw(found, asked.figure)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
