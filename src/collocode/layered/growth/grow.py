r"""`grow`: train, score every place, make the network deeper at the best one, train on.

Training goes on from the last weights; what counts in the end is the depth and the iterate of least
validation loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...adapt.loop import Budget
from ...adapt.stopping import stalled
from ...checks import check_whole
from ...errors import InputError
from ...kinds import check_type
from ...numerics import Array
from ...numerics.random import generator
from ...results.status import Outcome, Termination
from ...solvers.interrupt import Interrupt, interrupted
from ...solvers.threads import single_threaded
from ..objective import LayeredProblem, Objective
from ..trainers.run import Trainer
from ..trainers.train import train
from ..trainers.training import UNIMPROVED, Step, Training, outcome_of
from .growth import Growth, GrowthCycle, load_growth, save_growth
from .indicators import Indicator, indicator_of
from .insertion import Insertion

OnCycle = Callable[[GrowthCycle], Any]
OnStep = Callable[[Step, int], Any]


@single_threaded
def grow(
    problem: LayeredProblem,
    indicator: str | Indicator = "topological",
    *,
    max_layers: int = 12,
    trainer: str | Trainer = "lbfgs",
    iterations: int = 100,
    patience: int | None = None,
    gradient_tolerance: float = 1e-6,
    tolerance: float = 1e-6,
    gain: float = 1e-3,
    stall: int | None = 2,
    tries: int = 3,
    seconds: float = float("inf"),
    start: ArrayLike | Training | None = None,
    freeze: Iterable[str] = (),
    seed: int = 0,
    checkpoint: str | Path | None = None,
    resume: Growth | str | Path | None = None,
    on_cycle: OnCycle | None = None,
    on_step: OnStep | None = None,
) -> Growth:
    """Grow a layered network from the problem's first one.

    Parameters
    ----------
    problem : what is trained on what; its network is the first.
    indicator : ``topological``, ``sensitivity``, ``dwr``, ``random``, or one of the classes in
        `collocode.layered.growth.indicators` with settings.
    max_layers : depth limit.
    trainer, seed : as for `collocode.layered.trainers.train`.
    iterations, patience, gradient_tolerance : limits of each depth's training.
    tolerance : of the best score, relative to J; below it growing ends.
    gain, stall : growing ends after ``stall`` depths (None: never) in a row that did not lower the
        least validation loss by the share ``gain``.
    tries : places tried, from the best on, before an insertion counts as rejected.
    seconds : limit of the whole.
    start : first weights, or a training that has them (its best ones): transfer to other data.
    freeze : parts of the *first* network that stay as they are: ``opening``, ``coefficients``,
        ``readout``.  New layers are free.
    checkpoint : file that is written after every depth.
    resume : an earlier growth, or its file, to go on from (instead of ``start``).
    on_cycle, on_step : called after every depth, and with every `Step` and the number of layers.

    Returns
    -------
    A `Growth`, whatever happened; Ctrl-C ends it after the iteration.

    Raises
    ------
    InputError
        A network that the indicator cannot grow, limits that make no sense, an earlier growth of
        something else.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LayeredNetwork, LogisticLoss, ResidualBlock, spiral2d
    >>> samples, validation = spiral2d(200)
    >>> first = LayeredNetwork(2, 1, 3, Mesh.uniform(0, 1, 1), None, ResidualBlock("tanh"), "pad")
    >>> problem = LayeredProblem(first, samples, LogisticLoss(), validation=validation)
    >>> growth = grow(problem, max_layers=3, iterations=20)
    >>> [cycle.layers for cycle in growth.cycles], growth.status
    ([1, 2, 3], 'depth limit')
    """
    check_type("grow", problem, LayeredProblem)
    chosen = indicator_of(indicator)
    _check(max_layers, tolerance, gain, stall, tries)
    budget = Budget(max_layers, max_layers, seconds, "layer")
    budget.check(problem.network.layers, "network")
    earlier = load_growth(resume) if isinstance(resume, str | Path) else resume
    if earlier is not None and (start is not None or tuple(freeze)):
        raise InputError("give either resume or start and freeze: a growth knows what is frozen.")
    objective, theta = _first(problem, start, tuple(freeze), seed)
    chosen.check(objective)
    how = {
        "validation": problem.validation,
        "iterations": iterations,
        "patience": patience,
        "tolerance": gradient_tolerance,
    }
    loop = _Loop(
        problem=problem,
        indicator=chosen,
        trainer=trainer,
        budget=budget,
        tolerance=tolerance,
        stall=stall,
        gain=gain,
        tries=tries,
        seed=seed,
        how=how,
        checkpoint=checkpoint,
        on_cycle=on_cycle,
        on_step=on_step,
    )
    with Interrupt():
        if earlier is not None:
            return loop.resume(objective, earlier)
        return loop.run([], objective, loop.train(objective, theta))


@dataclass(frozen=True, kw_only=True)
class _Loop:
    """The settings of a growth, and its cycles.

    It is not `collocode.adapt.loop.adapt`: what a cycle is marked with is only known once a line search
    has tried it.
    """

    problem: LayeredProblem
    indicator: Indicator
    trainer: str | Trainer
    budget: Budget
    tolerance: float
    stall: int | None
    gain: float
    tries: int
    seed: int
    how: dict[str, Any]
    checkpoint: str | Path | None
    on_cycle: OnCycle | None
    on_step: OnStep | None
    began: float = field(default_factory=time.perf_counter)

    def resume(self, objective: Objective, earlier: Growth) -> Growth:
        """Go on from the last cycle of an earlier growth."""
        *done, last = earlier.cycles
        first, old = objective.network, earlier.cycles[0].training.network
        if first.description() != old.description():
            raise InputError(f"the growth to resume began with {old}, but the problem has {first}.")
        objective = replace(objective, network=last.training.network, frozen=last.frozen)
        training = last.training
        if training.termination in (Termination.INTERRUPTED, Termination.TIME_LIMIT):
            training = self.train(objective, None, training)
        return self.run(done, objective, training)

    def run(self, done: list[GrowthCycle], objective: Objective, training: Training) -> Growth:
        """Grow from a training at some depth; ``done`` are the shallower ones."""
        cycles = list(done)
        while True:
            cycles.append(GrowthCycle(training=training, frozen=objective.frozen))
            self._growth(Outcome(termination=Termination.INTERRUPTED), cycles)
            found: Outcome | Insertion | None
            found = self._decide(cycles)
            if found is None:
                cycles[-1], found = self._extend(cycles[-1], objective, len(cycles))
            if self.on_cycle is not None:
                self.on_cycle(cycles[-1])
            if isinstance(found, Outcome):
                return self._growth(found, cycles)
            objective = found.objective
            training = self.train(objective, found.theta)

    def train(
        self, objective: Objective, theta: Array | None, earlier: Training | None = None
    ) -> Training:
        """Train at one depth."""
        left = max(1e-3, self.budget.seconds - (time.perf_counter() - self.began))
        layers, told = objective.network.layers, self.on_step
        callback = None if told is None else lambda step: told(step, layers)
        limits: dict[str, Any] = {
            "seconds": left + (earlier.seconds if earlier else 0.0),
            "callback": callback,
        }
        return train(objective, self.trainer, theta, resume=earlier, **limits, **self.how)

    def _decide(self, cycles: list[GrowthCycle]) -> Outcome | None:
        """Return why no layer is to follow; None if one may."""
        outcome = outcome_of(cycles[-1].training)
        if outcome is None and interrupted():
            outcome = Outcome(termination=Termination.INTERRUPTED)
        outcome = outcome or self.budget.outcome(0, time.perf_counter() - self.began)
        if outcome is None and stalled([c.least_loss for c in cycles], self.stall, self.gain):
            return UNIMPROVED
        if outcome is None and cycles[-1].layers >= self.budget.elements:
            return Outcome(termination=Termination.SIZE_LIMIT, message="depth limit")
        return outcome

    def _extend(
        self, cycle: GrowthCycle, objective: Objective, number: int
    ) -> tuple[GrowthCycle, Insertion | Outcome]:
        """Score, and make the network deeper at the best place that lowers J, or say why not."""
        rng = generator(self.seed, number)
        training = cycle.training
        began = time.perf_counter()
        scores = self.indicator.score(objective, training, rng)
        spent = time.perf_counter() - began
        cycle = replace(cycle, values=scores.values, depths=scores.depths, scoring_seconds=spent)
        if scores.best <= self.tolerance * abs(training.objective):
            flat = "no place scores above the tolerance"
            return cycle, Outcome(termination=Termination.CONVERGED, message=flat)
        began = time.perf_counter()
        for tried, row in enumerate(scores.ranking[: self.tries], start=1):
            found = self.indicator.extend(scores, row, rng)
            if found.accepted:
                spent = time.perf_counter() - began
                return replace(cycle, extension=found.record(tried, spent)), found
        rejected = "no insertion lowers the objective"
        return cycle, Outcome(termination=Termination.STALLED, message=rejected)

    def _growth(self, outcome: Outcome, cycles: list[GrowthCycle]) -> Growth:
        """Return the record, kept in the checkpoint's file."""
        growth = Growth(
            termination=outcome.termination,
            message=outcome.message,
            indicator=self.indicator.name,
            trainer=cycles[-1].training.trainer,
            cycles=tuple(cycles),
            name=self.problem.name,
        )
        if self.checkpoint is not None:
            save_growth(growth, self.checkpoint)
        return growth


def _first(
    problem: LayeredProblem, start: ArrayLike | Training | None, freeze: tuple[str, ...], seed: int
) -> tuple[Objective, Array]:
    """Objective and weights to begin with; those of a training bring their network along."""
    network = problem.network
    if isinstance(start, Training):
        network, theta = start.network, start.best
    else:
        theta = network.initial(seed) if start is None else network.checked(start)
    if network is not problem.network:
        problem = problem.with_network(network)
    frozen = network.mask(*freeze) if freeze else None
    return replace(problem.objective, frozen=frozen), theta


def _check(max_layers: int, tolerance: float, gain: float, stall: int | None, tries: int) -> None:
    whole = {"max_layers": max_layers, "tries": tries, "stall": 1 if stall is None else stall}
    for name, value in whole.items():
        check_whole(name, value)
    for name, number in (("tolerance", tolerance), ("gain", gain)):
        if not (np.isfinite(number) and number >= 0.0):
            raise InputError(f"{name} must be 0 or more, not {number!r}.")
