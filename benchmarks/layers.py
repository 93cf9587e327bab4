"""Layers where they pay: objective and validation over refinements, against fixed depths at equal work.

    OMP_NUM_THREADS=1 python benchmarks/layers.py                # four data sets, four trainers, five seeds
    python benchmarks/layers.py --seeds 1 --samples 100 --trainer lbfgs --data spiral2d     # seconds
    python benchmarks/layers.py --effectivity                    # the estimate against a converged fine network
    python benchmarks/layers.py --where                          # does it matter which layer is bisected?

By default, for each data set and trainer, over seeds of data and first weights, with the models' T = 5 and
penalty 1e-4: refinement from two layers, its halves fitted and only networks accepted that are no worse than
their parent; the same as it is usually published, halves with copied weights and every network accepted;
and networks of fixed depth, each trained until it has used the *work of that seed's
refinement*.  Work counts the layers that all samples pass, forward and backward, rejected trainings and the
fitting of halves included, in thousands.  J is that of the last network; validation loss and accuracy are those of
the weights of least validation loss.  "J fell" and "loss fell" count the runs in which no cycle is above the one
before.

``--effectivity`` trains networks of 4, 8, 16 and 32 layers until ∇J is 1e-5, width 3, T = 2, penalty 0.003, where
they approximate a flow, and one of 64 from the last of them, against which the estimates are.  A run at whose
optimum no input counts (J = log 2) has no discretization error and is left out, and counted.

``--where`` compares fixed depths, uniform doubling and refinement by each indicator, all with copied weights and
every network accepted, and two controls that bisect one layer per cycle without an estimate: at random, or the
longest.  Fixed depths train 500 iterations there, the others 100 per network; a third set of samples, which
chooses nothing, is the test.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import collocode as cc
from collocode.adapt.stopping import stalled
from collocode.layered import LayeredProblem, Training, bisect, train
from collocode.layered.refinement.result import best_of
from collocode.solvers.threads import one_blas_thread
from models import donut1d, donut2d, spiral2d, squares2d

DATA = {"donut1d": donut1d, "spiral2d": spiral2d, "donut2d": donut2d, "squares2d": squares2d}
DEPTHS = (1, 2, 4, 8, 12, 16, 20)
OWN, FIXED = 100, 500  # iterations of a refined network, of a fixed one
USUAL: dict[str, Any] = {"prolongation": "copy", "accept": "all"}
TRAINERS = ("armijo", "barzilai-borwein", "lbfgs", "ipopt")
REFINED: dict[str, dict[str, Any]] = {
    "refined": {},
    "copied, all accepted": USUAL,
}


@dataclass(frozen=True)
class Outcome:
    """One run."""

    validation: float
    test: float
    layers: int
    work: float
    seconds: float
    share: float = 0.0


def problem(name: str, samples: int, layers: int, seed: int) -> LayeredProblem:
    made = DATA[name].problem(samples=samples, layers=layers, data_seed=seed)
    other = DATA[name].problem(samples=samples, layers=layers, data_seed=1000 + seed)
    return replace(made, test=other.validation)


def scored(p: LayeredProblem, done: Training, work: float, seconds: float) -> Outcome:
    here = p.with_network(done.network).objective
    validation, test = (here.score(done.best, part) for part in (p.validation, p.test))
    return Outcome(validation, test, done.network.layers, work, seconds)


def work_of(done: Training) -> float:
    return (done.evaluations + done.gradients) * done.network.layers / 1e3


def fixed(p: LayeredProblem, seed: int, trainer: str) -> Outcome:
    with one_blas_thread():
        done = train(
            p.objective,
            trainer,
            validation=p.validation,
            iterations=FIXED,
            tolerance=1e-4,
            seed=seed,
        )
    return scored(p, done, work_of(done), done.seconds)


def refined(p: LayeredProblem, seed: int, trainer: str, **how: object) -> Outcome:
    found = cc.refine_layers(p, trainer, iterations=OWN, seed=seed, **USUAL, **how)
    share = sum(c.estimate.seconds for c in found.cycles) / found.seconds
    return replace(scored(p, found.best.training, found.work / 1e3, found.seconds), share=share)


def blind(p: LayeredProblem, seed: int, trainer: str, pick: Callable) -> Outcome:
    """The loop of `refine_layers`, its stopping too, with a layer that no estimate has chosen."""

    @dataclass(frozen=True)
    class Cycle:
        scores: dict[str, float]
        wrong: float

    rng, began = np.random.default_rng(seed), time.perf_counter()
    network, theta = p.network, p.network.initial(seed)
    trainings, cycles = [], []
    with one_blas_thread():
        while True:
            here = p.with_network(network).objective
            done = train(
                here, trainer, theta, validation=p.validation, iterations=OWN, tolerance=1e-4
            )
            score = here.score(done.best, p.validation)
            trainings.append(done)
            cycles.append(Cycle({"validation": score}, 1.0 - score))
            if (
                stalled([c.wrong for c in cycles], 3, 0.02)
                or network.layers >= 20
                or len(cycles) >= 20
            ):
                break
            network, theta = bisect(network, done.theta, [pick(rng, network.mesh.steps)])
    work = sum(work_of(done) for done in trainings)
    return scored(p, trainings[best_of(cycles)], work, time.perf_counter() - began)


def at_random(rng: np.random.Generator, steps: np.ndarray) -> int:
    return int(rng.integers(len(steps)))


def longest(rng: np.random.Generator, steps: np.ndarray) -> int:
    return int(rng.choice(np.flatnonzero(steps > 0.999 * steps.max())))


METHODS: dict[str, tuple[Callable, dict]] = {
    "refined, error": (refined, {}),
    "refined, freedom": (refined, {"indicator": "freedom"}),
    "refined, freedom, one per cycle": (refined, {"indicator": "freedom", "rule": "fixed"}),
    "uniform doubling": (refined, {"rule": "uniform"}),
    "control: at random": (blind, {"pick": at_random}),
    "control: the longest": (blind, {"pick": longest}),
}


def column(runs: list[Outcome], name: str) -> np.ndarray:
    return np.array([getattr(run, name) for run in runs])


def row(label: str, runs: list[Outcome]) -> None:
    layers = column(runs, "layers")
    print(
        f"| {label} | {layers.mean():.1f} ({layers.min()}–{layers.max()}) | "
        + " | ".join(
            f"{column(runs, part).mean():.3f} ± {column(runs, part).std(ddof=1):.3f}"
            for part in ("validation", "test")
        )
        + f" | {column(runs, 'work').mean():.1f} | {column(runs, 'seconds').mean():.1f} |",
        flush=True,
    )


def verdict(label: str, runs: list[Outcome], best: list[Outcome], all_work: float) -> None:
    """Say whether a method reaches the best fixed depth, by paired differences over the seeds."""
    parts = []
    for part in ("validation", "test"):
        gap = column(runs, part) - column(best, part)
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        word = (
            "reached"
            if gap.mean() >= 0
            else "within the error"
            if gap.mean() >= -error
            else "MISSED"
        )
        parts.append(f"{part} {word} ({gap.mean():+.3f} ± {error:.3f})")
    layers = column(runs, "layers").mean() - column(best, "layers").mean()
    work = column(runs, "work").mean()
    print(
        f"- {label}: {', '.join(parts)}; {layers:+.1f} layers; work {work:.1f} against "
        f"{column(best, 'work').mean():.1f} for that depth alone and {all_work:.1f} for all depths"
    )


# ---- objective and validation over refinements ---------------------------------------------------


@dataclass(frozen=True)
class Course:
    """One refinement, or one fixed depth trained with the same work."""

    layers: int
    objective: float
    loss: float
    accuracy: float
    work: float
    seconds: float
    fell: tuple[bool, bool] = (True, True)
    rejected: int = 0


def refined_course(
    p: LayeredProblem, trainer: str, seed: int, iterations: int, **how: Any
) -> Course:
    began = time.process_time()
    found = cc.refine_layers(
        p, trainer, iterations=iterations, seed=seed, max_layers=16, stall=None, **how
    )
    seconds, last = time.process_time() - began, found.cycles[-1]
    own = [c for c in found.cycles if not c.stuck]
    values = [[c.estimate.value for c in own], [c.training.least_loss for c in own]]
    return Course(
        layers=last.layers,
        objective=last.estimate.value,
        loss=min(values[1]),
        accuracy=min(own, key=lambda c: c.training.least_loss).score,
        work=found.work / 1e3,
        seconds=seconds,
        fell=tuple(bool((np.diff(v) <= 0.0).all()) for v in values),  # type: ignore[arg-type]
        rejected=sum(len(c.rejected) for c in found.cycles),
    )


def fixed_course(p: LayeredProblem, trainer: str, seed: int, work: float) -> Course:
    """Train one depth until it has used the work."""
    layers, began = p.network.layers, time.process_time()
    with one_blas_thread():
        done = train(
            p.objective,
            trainer,
            validation=p.validation,
            iterations=max(
                1, int(1e3 * work / (2 * layers))
            ),  # an iteration takes two passes at least
            tolerance=1e-4,
            seed=seed,
        )
    seconds, h = time.process_time() - began, done.history
    used = (h["evaluations"] + h["gradients"]) * layers / 1e3
    h = (
        h[used <= work] if trainer != "ipopt" else h
    )  # whose history knows validation at the end only
    best = h.loc[h["validation_loss"].idxmin()]
    return Course(
        layers=layers,
        objective=float(h["objective"].iloc[-1]),
        loss=float(best["validation_loss"]),
        accuracy=float(best["validation"]),
        work=float(used.loc[h.index].max()),
        seconds=seconds,
    )


def spread(values: Iterable[float], digits: int = 3) -> str:
    v = np.array(list(values))
    return f"{v.mean():.{digits}f} ± {v.std(ddof=1) if len(v) > 1 else 0.0:.{digits}f}"


def course_row(label: str, runs: list[Course], falls: bool) -> str:
    """One row of Markdown."""
    fell = [f"{sum(run.fell[i] for run in runs)} of {len(runs)}" if falls else "" for i in (0, 1)]
    cells = [
        label,
        spread((run.layers for run in runs), 1),
        spread(run.objective for run in runs),
        spread(run.loss for run in runs),
        spread(run.accuracy for run in runs),
        *fell,
        f"{np.mean([run.rejected for run in runs]):.1f}" if falls else "",
        f"{np.mean([run.work for run in runs]):.1f}",
        f"{np.mean([run.seconds for run in runs]):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def courses(
    names: list[str],
    trainers: list[str],
    seeds: range,
    samples: int,
    iterations: int,
    depths: list[int],
) -> None:
    """Print the tables of objective and validation over refinements."""
    heads = "layers, J, validation loss, accuracy, J fell, loss fell, rejected, work, CPU s"
    for name in names:
        for trainer in trainers:
            print(f"\n**{name}, {trainer}**, {samples} samples, {len(seeds)} seeds\n")
            print(f"| | {' | '.join(heads.split(', '))} |\n|{'---|' * 10}")
            found: dict[str, list[Course]] = {}
            for label, how in REFINED.items():
                found[label] = [
                    refined_course(problem(name, samples, 2, s), trainer, s, iterations, **how)
                    for s in seeds
                ]
                print(course_row(label, found[label], True), flush=True)
            for depth in depths:
                runs = [
                    fixed_course(problem(name, samples, depth, s), trainer, s, own.work)
                    for s, own in zip(seeds, found["refined"], strict=True)
                ]
                print(course_row(f"fixed, {depth}", runs, False), flush=True)


def effectivities(names: list[str], seeds: range, samples: int) -> None:
    """Print the effectivity of converged networks: padded to width 3, T = 2, all layers bisected."""
    print(
        "\n| data | 4 layers | 8 | 16 | 32 | slope of J at most | left out |\n|---|---|---|---|---|---|---|"
    )
    for name in names:
        rows, slopes, trivial = [], [], 0
        for s in seeds:
            smooth = {"width": 3, "depth": 2.0, "penalty": 0.003}
            p = DATA[name].problem(samples=samples, layers=4, data_seed=s, **smooth)
            how = {"rule": "uniform", "max_layers": 32, "stall": None, "accept": "all"}
            done = cc.refine_layers(
                p, "lbfgs", iterations=3000, seed=s, reference=64, tolerance=1e-5, **how
            )
            if done.reference > 0.69:
                trivial += 1
                continue
            rows.append([c.estimate.effectivity(done.exact(c)) for c in done.cycles])
            slopes += [c.estimate.stationarity for c in done.cycles]
        cells = [spread(column, 2) for column in zip(*rows, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {max(slopes):.1e} | {trivial} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, 100 samples")
    parser.add_argument("--seeds", type=int, help="5; with --where 8")
    parser.add_argument("--samples", type=int, help="120; with --where 1000")
    parser.add_argument("--trainer", default="", help="of " + ", ".join(TRAINERS))
    parser.add_argument("--data", default=",".join(DATA), help="of " + ", ".join(DATA))
    parser.add_argument("--iterations", type=int, default=60, help="of every network")
    parser.add_argument("--depths", default="2,4,8,16", help="fixed ones")
    parser.add_argument("--effectivity", action="store_true")
    parser.add_argument("--where", action="store_true")
    chosen = parser.parse_args()
    names = chosen.data.split(",")
    seeds = range(chosen.seeds or (1 if chosen.quick else 8 if chosen.where else 5))
    samples = chosen.samples or (100 if chosen.quick else 1000 if chosen.where else 120)
    if chosen.where:
        where(
            names, chosen.trainer or "lbfgs", seeds, samples, (2, 8, 20) if chosen.quick else DEPTHS
        )
    elif chosen.effectivity:
        effectivities(names, seeds, samples)
    else:
        trainers = chosen.trainer.split(",") if chosen.trainer else list(TRAINERS)
        depths = [int(depth) for depth in chosen.depths.split(",")]
        courses(names, trainers, seeds, samples, chosen.iterations, depths)


# ---- which layer ---------------------------------------------------------------------------------


def where(
    names: list[str], trainer: str, seeds: range, samples: int, depths: tuple[int, ...]
) -> None:
    """Print the comparison of indicators with controls."""
    shares = []
    for name in names:
        print(f"\n**{name}**, {samples} samples, {len(seeds)} seeds, {trainer}\n")
        print(
            "| | layers | validation accuracy | test accuracy | work | seconds |\n|---|---|---|---|---|---|"
        )
        by_depth = {}
        for depth in depths:
            runs = [fixed(problem(name, samples, depth, s), s, trainer) for s in seeds]
            by_depth[depth] = runs
            row(f"fixed, {depth}", runs)
        best = max(depths, key=lambda depth: column(by_depth[depth], "validation").mean())
        every = sum(column(runs, "work").mean() for runs in by_depth.values())
        found = {}
        for label, (method, how) in METHODS.items():
            found[label] = [method(problem(name, samples, 2, s), s, trainer, **how) for s in seeds]
            row(label, found[label])
            if method is refined:
                shares += column(found[label], "share").tolist()
        print(f"\nAgainst the best fixed depth, {best} layers:\n")
        for label, runs in found.items():
            verdict(label, runs, by_depth[best], every)
    print(
        f"\nEstimates took {100 * np.mean(shares):.1f} % of the time, {100 * max(shares):.1f} % at most."
    )


if __name__ == "__main__":
    main()
