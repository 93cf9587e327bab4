"""Ways of growing a layered network that `growth.py` compares, beside those of the package."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from collocode import layered
from collocode.layered.growth.indicators import RandomPlace, Scores, Topological
from collocode.layered.growth.insertion import (
    Insertion,
    deeper,
    insert_random,
    measured,
    random_rows,
    search_insertion,
)


@dataclass(frozen=True)
class SamePlaceRandomRows(Topological):
    """The place of the topological derivative, but random unit rows; ε by the line search."""

    name = "best place, random"

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        place = int(scores.places[row])
        return insert_random(scores.objective, scores.training.theta, place, rng, self.step)


@dataclass(frozen=True)
class RandomPlaceBestRows(Topological):
    """Any place, with the weights of the topological derivative there."""

    name = "random place, best"

    def score(self, objective, training, rng) -> Scores:
        scores = super().score(objective, training, rng)
        return replace(scores, values=scores.values[rng.permutation(len(scores.values))])

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        derivative, place = scores.derivative, int(scores.places[row])
        assert derivative is not None
        way, both = derivative.direction(place), derivative.order == 2
        theta = scores.training.theta
        if not np.any(way[0]) and not np.any(way[1]):
            same = measured(scores.objective, theta, scores.objective, theta, place)
            return replace(same, accepted=False)
        return search_insertion(scores.objective, theta, place, way, step=self.step, both=both)


@dataclass(frozen=True)
class Net2Deeper(RandomPlace):
    """A layer that is the identity but for a little noise, after any layer.

    In a residual network it is a layer of zeros (Chen, Goodfellow & Shlens, ICLR 2016); the noise breaks
    the symmetry, without which no layer with φ'(0) = 0 would ever wake.
    """

    name = "net2deeper"
    noise: float = 1e-2

    def extend(self, scores: Scores, row: int, rng: np.random.Generator) -> Insertion:
        objective, theta = scores.objective, scores.training.theta
        rows, place = (
            self.noise * random_rows(rng, objective.network.width),
            int(scores.places[row]),
        )
        made = deeper(objective, theta, place, (rows[:, :-1], rows[:, -1]), self.step)
        return measured(objective, theta, *made, place)


def forward_thinking(
    problem: layered.LayeredProblem, layers: int, iterations: int, seed: int
) -> list[layered.Training]:
    """Train layer by layer: each new one stands at the end, with random rows, all before it are frozen.

    The idea of Hettinger et al., *Forward thinking* (arXiv 1706.02480); the read-out is trained always.
    """
    objective, rng = problem.objective, np.random.default_rng(seed)
    theta, done = problem.network.initial(seed), []
    how = {"validation": problem.validation, "iterations": iterations, "tolerance": 0.0}
    while True:
        done.append(layered.train(objective, "lbfgs", theta, **how))
        network = objective.network
        if network.layers == layers:
            return done
        rows = random_rows(rng, network.width)
        before = replace(objective, frozen=network.mask("opening", "coefficients"))
        objective, theta = deeper(
            before, done[-1].theta, network.layers, (rows[:, :-1], rows[:, -1])
        )
