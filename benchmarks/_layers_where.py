"""Does it matter which layer is bisected?  ``layers.py --where``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import collocode as cc
from collocode.adapt.stopping import stalled
from collocode.layered import LayeredProblem, Training, bisect, train
from collocode.layered.refinement.result import best_of
from collocode.solvers.threads import one_blas_thread

USUAL: dict[str, Any] = {"prolongation": "copy", "accept": "all"}
Maker = Callable[[str, int, int, int], LayeredProblem]  # of a name, samples, layers and a seed
DEPTHS = (1, 2, 4, 8, 12, 16, 20)
OWN, FIXED = 100, 500  # iterations of a refined network, of a fixed one


@dataclass(frozen=True)
class Outcome:
    """One run."""

    validation: float
    test: float
    layers: int
    work: float
    seconds: float
    share: float = 0.0


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


def where(
    problem: Maker,
    names: list[str],
    trainer: str,
    seeds: range,
    samples: int,
    depths: tuple[int, ...],
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
