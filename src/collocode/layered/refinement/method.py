"""The layers of a network as what the adaptive loop goes round: which refinements are tried, and accepted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...adapt.loop import Adapted
from ...adapt.marking import Action, Marking
from ...adapt.stopping import believed_small, stalled
from ...numerics import Index
from ...results.status import Outcome, Termination
from ..objective import LayeredProblem
from ..trainers.descent import SteepestDescent
from ..trainers.run import Trainer
from ..trainers.train import TRAINERS, train
from ..trainers.training import UNIMPROVED, Training, outcome_of
from .estimate import estimate_layers
from .prolong import Prolongation, prolong
from .result import LayerCycle, LayerRefinement

_STUCK = Outcome(
    termination=Termination.EARLY_STOPPED, message="no refinement improves the network"
)
_FIT = 30  # iterations in fitting the halves of a layer
_GENTLE = 0.1  # share by which J may be above the parent's before training


@dataclass(frozen=True, eq=False)
class Attempt:
    """A network to refine, and the layers that are marked."""

    parent: Training
    marked: Index


@dataclass(frozen=True, eq=False)
class Solved:
    """A network, trained, and what was spent beside its training.

    Attributes
    ----------
    training : of the network.
    rejected : trainings of refinements of its parent that were worse than that.
    passes : layers passed by all samples in finding the weights to begin with.
    stuck : no refinement was accepted, and this is the parent itself.
    """

    training: Training
    rejected: tuple[Training, ...] = ()
    passes: float = 0.0
    stuck: bool = False


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The method; its fields are what `refine_layers` was asked."""

    problem: LayeredProblem
    trainer: str | Trainer
    tol: float | None
    marking: Marking
    most: int
    indicator: str
    stall: int | None
    gain: float
    fit: bool
    choosy: bool
    how: Mapping[str, Any]

    def train(
        self,
        start: Prolongation,
        seconds: float,
        parent: Training | None = None,
        on: Training | None = None,
    ) -> Training:
        """Train a network from its start; or train it ``on``, for as many iterations again."""
        problem, how = self.problem.with_network(start.network), dict(self.how)
        begin: dict[str, Any] = {"start": start.theta}
        if on is not None:
            begin = {"resume": on}
            how["iterations"] += on.iterations
            seconds += on.seconds
        more: dict[str, Any] = {"validation": problem.validation, "seconds": max(seconds, 1e-3)}
        return train(problem.objective, _warm(self.trainer, parent), **begin, **more, **how)

    def solve(self, attempt: Attempt, seconds: float) -> Solved:
        """Try refinements until one is accepted; one that is worse than its parent is trained on once."""
        began, parent = time.perf_counter(), attempt.parent
        rejected: list[Training] = []
        passes = 0.0
        for start, spent in self._starts(parent, attempt.marked):
            passes += spent
            done = None
            for _ in range(2):
                done = self.train(start, seconds - (time.perf_counter() - began), parent, done)
                if not self._rejects(parent, done):
                    return Solved(done, tuple(rejected), passes)
            assert done is not None
            rejected.append(done)
        return Solved(parent, tuple(rejected), passes, stuck=True)

    def _starts(self, parent: Training, marked: Index) -> Iterator[tuple[Prolongation, float]]:
        """Yield what to begin with and the passes it took: all that is marked; the gentlest layer alone.

        Where all at once lift J by more than a tenth, only those marked ones go first that do not.
        """
        whole = self._start(parent, marked.tolist())
        spent, allowed = whole.passes, (1.0 + _GENTLE) * parent.objective
        if not self.choosy or whole.value <= allowed:
            yield whole, spent
            spent = 0.0
        if not self.choosy:
            return
        singles = [self._start(parent, [n]) for n in range(parent.network.layers)]
        spent += sum(single.passes for single in singles)
        gentle = [n for n in marked.tolist() if singles[n].value <= allowed]
        if whole.value > allowed and len(gentle) > 1:
            some = self._start(parent, gentle)
            yield some, spent + some.passes
            spent = 0.0
        gentlest = min(range(len(singles)), key=lambda n: singles[n].value)
        if marked.tolist() != [gentlest] or whole.value > allowed:
            yield singles[gentlest], spent
            spent = 0.0
        for layers in (marked.tolist(), range(parent.network.layers)):
            if parent.network.layers + len(layers) <= self.most:
                copied = self._start(parent, layers, fit=False)
                yield copied, spent + copied.passes
                spent = 0.0

    def _start(self, parent: Training, layers: Iterable[int], fit: bool = True) -> Prolongation:
        objective = self.problem.with_network(parent.network).objective
        return prolong(objective, parent.theta, layers, _FIT if self.fit and fit else 0)

    def _rejects(self, parent: Training, child: Training) -> bool:
        """Whether a trained refinement is worse than its parent; one that was cut short is not judged."""
        if not self.choosy or outcome_of(child) is not None:
            return False
        return child.objective > parent.objective or child.least_loss > parent.least_loss

    def estimate(self, solved: Solved, before: Sequence[LayerCycle]) -> LayerCycle:
        """Estimate at the last weights, and score the best."""
        done = solved.training
        problem = self.problem.with_network(done.network)
        objective, tolerance = problem.objective, float(self.how["tolerance"])
        e = estimate_layers(objective, done.theta, done.adjoint, tolerance=tolerance)
        scores = {name: objective.score(done.best, s) for name, s in problem.parts.items()}
        return LayerCycle(
            estimate=e,
            training=done,
            scores=scores,
            rejected=solved.rejected,
            passes=solved.passes,
            stuck=solved.stuck,
        )

    def decide(self, cycles: Sequence[LayerCycle]) -> Outcome | None:
        """Tell whether the tolerance is reached, validation has had enough, or training went wrong."""
        outcome = outcome_of(cycles[-1].training)
        if outcome is None and cycles[-1].stuck:
            return _STUCK
        if outcome is None and self._reached(cycles):
            return Outcome(termination=Termination.CONVERGED, message="tolerance reached")
        validated = self.problem.validation is not None
        wrong = [cycle.wrong for cycle in cycles]
        if outcome is None and validated and stalled(wrong, self.stall, self.gain):
            return UNIMPROVED
        return outcome

    def _reached(self, cycles: Sequence[LayerCycle]) -> bool:
        """Whether the estimate is small, and the network before agrees: else it may be so by luck."""
        e = cycles[-1].estimate
        if self.tol is None or len(cycles) < 2 or not e.stationary:
            return False
        before = cycles[-2].estimate
        agree = before.stationary and abs(e.corrected - before.corrected) <= self.tol
        return agree and believed_small(e, self.tol)

    def mark(self, cycle: LayerCycle) -> Index:
        """Bisect by the chosen indicator."""
        return self.marking.bisections(cycle.estimate.of(self.indicator), most=self.most)

    def refine(self, solved: Solved, actions: Index) -> Attempt:
        """Bisect what is marked."""
        return Attempt(solved.training, np.flatnonzero(actions == Action.BISECT))

    def refinement(self, done: Adapted) -> LayerRefinement:
        """Return the record."""
        return LayerRefinement(
            termination=done.outcome.termination,
            message=done.outcome.message,
            cycles=done.cycles,
            tol=self.tol,
            rule=self.marking.rule,
            problem=self.problem,
            indicator=self.indicator,
        )


def _warm(trainer: str | Trainer, parent: Training | None) -> str | Trainer:
    """Return the trainer that goes on with its parent's step length, where it has one."""
    named = TRAINERS.get(trainer) if isinstance(trainer, str) else trainer
    if parent is None or not isinstance(named, SteepestDescent) or "step" not in parent.memory:
        return trainer
    last = float(parent.memory["step"]) * float(parent.history["gradient_norm"].iloc[-1])
    return replace(named, first=last) if last > 0.0 else trainer
