r"""`refine_layers`: train, estimate, mark, bisect, train on; a network that grows where it pays.

A bisected layer leaves its weights to both halves, so that every training begins where the last one
ended, up to the discretization error.  The loop ends when the estimated error is below a tolerance,
when validation no longer improves, or at a budget.  The setting is that of Hintermüller, Hinze &
Korolev, *Layerwise goal-oriented adaptivity for neural ODEs: an optimal control perspective*, arXiv
2601.07397.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...adapt.loop import Adapted, Budget, adapt
from ...adapt.marking import Action, Marking
from ...adapt.stopping import believed_small, stalled
from ...errors import InputError, check_choice, check_type, check_whole
from ...numerics import Array, Index
from ...results.status import Outcome, Termination
from ...solvers.interrupt import Interrupt
from ...solvers.threads import one_blas_thread
from ..depth import bisect, one_each
from ..network import LayeredNetwork
from ..objective import LayeredProblem
from ..trainers.run import Trainer
from ..trainers.train import TRAINERS, Simultaneous, train
from ..trainers.training import UNIMPROVED, Step, Training, load_training, outcome_of
from .estimate import INDICATORS, estimate_layers
from .result import LayerCycle, LayerRefinement

Discrete = tuple[LayeredNetwork, Array]
OnCycle = Callable[[LayerCycle], Any]


def refine_layers(
    problem: LayeredProblem,
    trainer: str | Trainer = "lbfgs",
    *,
    tol: float | None = None,
    max_layers: int = 20,
    max_cycles: int = 20,
    rule: str = "dorfler",
    theta: float = 0.5,
    number: int = 1,
    indicator: str = "error",
    stall: int | None = 3,
    gain: float = 0.02,
    iterations: int = 100,
    tolerance: float = 1e-4,
    patience: int | None = None,
    seconds: float = float("inf"),
    start: ArrayLike | Training | str | Path | None = None,
    seed: int = 0,
    compare: bool = False,
    checkpoint: str | Path | None = None,
    on_cycle: OnCycle | None = None,
    callback: Callable[[Step], Any] | None = None,
) -> LayerRefinement:
    """Train a layered network on a layer mesh that is refined where it pays.

    Parameters
    ----------
    problem : network to begin with, samples, loss, validation.
    trainer : as for `collocode.layered.trainers.train`.
    tol : bound of the estimated discretization error of the objective; None leaves it to validation.
        It counts as reached if the weights are optimal and the network before, corrected by its
        estimate, agrees: so train long enough (``iterations``, ``tolerance``).
    max_layers, max_cycles, seconds : budget.
    rule, theta, number : as for `collocode.adapt.marking.mark`.
    indicator : what is marked: ``error``, layers that the discretization error comes from; ``freedom``,
        layers whose halves want weights of their own.
    stall : cycles without a better validation score after which it stops; None goes on.
    gain : share of the validation error (one less accuracy) that a better score has to take away.
    iterations, tolerance, patience : limits of every cycle's training; see `collocode.layered.Limits`.
    start : weights of the first network; or a training, or its file, whose network goes before the
        problem's: so a run goes on from its checkpoint.
    seed : of the first weights.
    compare : whether to bisect all layers in a second run from the same first training.
    checkpoint : file that keeps the last cycle's training.
    on_cycle, callback : called with every `LayerCycle`, and with every `Step` of a training.

    Returns
    -------
    A `LayerRefinement`; its ``network`` and ``theta`` are those of the best validation score.

    Raises
    ------
    InputError
        A rule, indicator or budget that makes no sense, a block without an estimator, ``freedom``
        where a basis ties the layers' weights together.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LayeredNetwork, LogisticLoss, squares2d
    >>> samples, validation = squares2d(n=200)
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 8, 1))
    >>> problem = LayeredProblem(network, samples, LogisticLoss(), validation=validation)
    >>> found = refine_layers(problem, max_layers=4, iterations=60, stall=None)
    >>> found.status, [cycle.layers for cycle in found.cycles]
    ('layer budget used up', [1, 2, 3, 4])
    """
    check_type("refine_layers", problem, LayeredProblem)
    _check(problem.network, tol, indicator, stall, gain)
    budget = Budget(max_layers, max_cycles, seconds, "layer")
    problem, weights = _first(problem, start, seed)
    budget.check(problem.network.layers, "network")
    how: dict[str, Any] = {"iterations": iterations, "tolerance": tolerance, "patience": patience}
    how |= {"callback": callback, "checkpoint": checkpoint}
    method = _Layers(
        problem=problem,
        trainer=_method(trainer),
        tol=tol,
        marking=Marking(rule, theta, number),
        most=max_layers,
        indicator=indicator,
        stall=stall,
        gain=gain,
        how=how,
    )
    estimate_layers(problem.objective, weights, freedom=False)  # refuses before hours of training
    # the matrices of a layer are too small for more threads: they wait for each other
    with one_blas_thread(), Interrupt():
        began = time.perf_counter()
        trained = method.solve((problem.network, weights), seconds)
        spent = time.perf_counter() - began
        found = method.refinement(adapt(method, trained, spent, budget, on_cycle))
        if not compare or found.termination is Termination.INTERRUPTED or found.termination.failed:
            return found
        how = {**how, "checkpoint": None}
        beside = replace(method, marking=Marking("uniform"), how=how)
        uniform = beside.refinement(adapt(beside, trained, spent, budget, on_cycle))
        return found.with_uniform(uniform)


def _first(
    problem: LayeredProblem, start: ArrayLike | Training | str | Path | None, seed: int
) -> tuple[LayeredProblem, Array]:
    """Return the problem with the network to begin with, and its weights."""
    earlier = load_training(start) if isinstance(start, str | Path) else start
    if isinstance(earlier, Training):
        return problem.with_network(earlier.network), earlier.theta
    if earlier is None:
        return problem, problem.network.initial(seed)
    return problem, problem.network.checked(earlier)


def _method(trainer: str | Trainer) -> str | Trainer:
    """Return the trainer; a named IPOPT starts its multipliers from the adjoint, which pays here."""
    named = TRAINERS.get(trainer) if isinstance(trainer, str) else trainer
    return replace(named, warm=True) if isinstance(named, Simultaneous) else trainer


def _check(
    network: LayeredNetwork, tol: float | None, indicator: str, stall: int | None, gain: float
) -> None:
    """Refuse settings that make no sense."""
    if tol is not None and not (np.isfinite(tol) and tol > 0.0):
        raise InputError(f"the tolerance must be positive and finite, not {tol}.")
    if stall is not None:
        check_whole("stall", stall)
    if not 0.0 <= gain < 1.0:
        raise InputError(f"gain must lie in [0, 1), not {gain}.")
    check_choice("indicator", indicator, INDICATORS)
    if indicator == "freedom" and not one_each(network):
        raise InputError(
            f"with the basis {network.time_basis!r} a bisected layer gets no weights of its own, so "
            "there is no freedom to estimate; take indicator='error'."
        )


@dataclass(frozen=True, kw_only=True)
class _Layers:
    """The layers of a network, trained, as what the loop goes round."""

    problem: LayeredProblem
    trainer: str | Trainer
    tol: float | None
    marking: Marking
    most: int
    indicator: str
    stall: int | None
    gain: float
    how: Mapping[str, Any]

    def solve(self, discrete: Discrete, seconds: float) -> Training:
        """Train one network."""
        network, start = discrete
        problem = self.problem.with_network(network)
        more: dict[str, Any] = {"validation": problem.validation, "seconds": max(seconds, 1e-3)}
        return train(problem.objective, self.trainer, start, **more, **self.how)

    def estimate(self, solved: Training, before: Sequence[LayerCycle]) -> LayerCycle:
        """Estimate at the last weights, and score the best."""
        problem = self.problem.with_network(solved.network)
        objective, tolerance = problem.objective, float(self.how["tolerance"])
        e = estimate_layers(objective, solved.theta, solved.adjoint, tolerance=tolerance)
        scores = {name: objective.score(solved.best, s) for name, s in problem.parts.items()}
        return LayerCycle(estimate=e, training=solved, scores=scores)

    def decide(self, cycles: Sequence[LayerCycle]) -> Outcome | None:
        """Tell whether the tolerance is reached, validation has had enough, or training went wrong."""
        outcome = outcome_of(cycles[-1].training)
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

    def refine(self, solved: Training, actions: Index) -> Discrete:
        """Bisect with copied weights."""
        return bisect(solved.network, solved.theta, np.flatnonzero(actions == Action.BISECT))

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
