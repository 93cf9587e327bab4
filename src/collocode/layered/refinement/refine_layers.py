r"""`refine_layers`: train, estimate, mark, bisect, train on; a network that grows where it pays.

A bisected layer leaves its weights to both halves, so that every training begins where the last one
ended, up to the discretization error.  The loop ends when the estimated error is below a tolerance,
when validation no longer improves, or at a budget.  The setting is that of layerwise training by
optimal control (arXiv 2601.07397).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...adapt.marking import check_rule, mark
from ...errors import InputError
from ...results.status import Termination
from ...solvers.threads import one_blas_thread
from ..depth import bisect, one_each
from ..network import LayeredNetwork
from ..problem import LayeredProblem
from ..trainers.run import Trainer
from ..trainers.simultaneous import Simultaneous
from ..trainers.train import TRAINERS, train
from ..trainers.training import Step, Training, load_training
from .estimate import INDICATORS, LayerEstimate, estimate_layers
from .result import (
    LayerCycle,
    LayerRefinement,
    LayerRefinementStatus,
    best_of,
    stalled,
)

Array = NDArray[np.float64]
Index = NDArray[np.intp]
OnCycle = Callable[[LayerCycle], Any]
Status = LayerRefinementStatus
_CANCELLING = 5.0  # tolerances that Σ|η| may be


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
    >>> found.status.value, [cycle.layers for cycle in found.cycles]
    ('layer budget used up', [1, 2, 3, 4])
    """
    if not isinstance(problem, LayeredProblem):
        raise InputError(
            f"refine_layers takes a collocode.layered.LayeredProblem, not a {type(problem).__name__}; "
            "for dynamics there is collocode.refine."
        )
    problem, weights = _first(problem, start, seed)
    loop = _Loop(problem, _method(trainer), tol, max_layers, max_cycles, rule, theta, number)
    _check_indicator(problem.network, indicator)
    loop = replace(loop, indicator=indicator, stall=stall, gain=gain, seconds=seconds)
    loop = replace(loop, on_cycle=on_cycle, callback=callback, checkpoint=checkpoint)
    limits = {"iterations": iterations, "tolerance": tolerance, "patience": patience}
    loop = replace(loop, limits=limits)
    loop.check()
    estimate_layers(problem.objective, weights, freedom=False)  # refuses before hours of training
    with (
        one_blas_thread()
    ):  # the matrices of a layer are too small for more: they wait for each other
        return loop.whole(weights, compare)


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


def _check_indicator(network: LayeredNetwork, kind: str) -> None:
    if kind not in INDICATORS:
        raise InputError(f"unknown indicator {kind!r}; choose from {', '.join(INDICATORS)}.")
    if kind == "freedom" and not one_each(network):
        raise InputError(
            f"with the basis {network.time_basis!r} a bisected layer gets no weights of its own, so "
            "there is no freedom to estimate; take indicator='error'."
        )


@dataclass(frozen=True)
class _Loop:
    """The settings of a refinement."""

    problem: LayeredProblem
    trainer: str | Trainer
    tol: float | None
    max_layers: int
    max_cycles: int
    rule: str
    theta: float
    number: int
    indicator: str = "error"
    stall: int | None = None
    gain: float = 0.0
    seconds: float = float("inf")
    limits: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | Path | None = None
    on_cycle: OnCycle | None = None
    callback: Callable[[Step], Any] | None = None

    def check(self) -> None:
        """Refuse settings that make no sense."""
        check_rule(self.rule, self.theta, self.number)
        if self.tol is not None and not (np.isfinite(self.tol) and self.tol > 0.0):
            raise InputError(f"the tolerance must be positive and finite, not {self.tol}.")
        if self.max_cycles < 1:
            raise InputError(f"the number of cycles must be positive, not {self.max_cycles}.")
        if self.stall is not None and self.stall < 1:
            raise InputError(f"stall must be a positive number of cycles, not {self.stall}.")
        if not 0.0 <= self.gain < 1.0:
            raise InputError(f"gain must lie in [0, 1), not {self.gain}.")
        if not self.seconds > 0.0:
            raise InputError(f"the time limit must be positive, not {self.seconds}.")
        if self.problem.network.layers > self.max_layers:
            raise InputError(
                f"the first network has {self.problem.network.layers} layers, more than the budget of "
                f"{self.max_layers}; start with fewer or raise max_layers."
            )

    def whole(self, weights: Array, compare: bool) -> LayerRefinement:
        """Refine from the first weights, and once more uniformly if wanted."""
        began = time.perf_counter()
        trained = self.train(self.problem, weights)
        prepared = time.perf_counter() - began
        found = self.run(trained, prepared)
        if not compare or found.status in (Status.INTERRUPTED, Status.FAILED):
            return found
        beside = replace(self, rule="uniform", checkpoint=None)
        return found.with_uniform(beside.run(trained, prepared))

    def train(self, problem: LayeredProblem, start: Array, spent: float = 0.0) -> Training:
        """Train one network."""
        return train(
            problem.objective,
            self.trainer,
            start,
            validation=problem.validation,
            seconds=max(self.seconds - spent, 1e-3),
            callback=self.callback,
            checkpoint=self.checkpoint,
            **self.limits,
        )

    def run(self, trained: Training, seconds: float) -> LayerRefinement:
        """Refine from a first training, which took ``seconds``."""
        cycles: list[LayerCycle] = []
        spent = 0.0
        while True:
            began = time.perf_counter() - seconds
            problem = self.problem.with_network(trained.network)
            estimate = self._estimate(problem, trained)
            scores = {
                name: problem.objective.score(trained.best, samples)
                for name, samples in problem.parts.items()
            }
            cycle = LayerCycle(trained, estimate, (), scores, 0.0)
            marked, status = self._decide([*cycles, cycle], spent + seconds)
            cycle = replace(cycle, marked=tuple(marked.tolist()))
            cycle = replace(cycle, seconds=time.perf_counter() - began)
            cycles.append(cycle)
            spent += cycle.seconds
            if self.on_cycle is not None:
                self.on_cycle(cycle)
            if status is not None:
                found = (tuple(cycles), self.tol, self.rule, self.indicator, best_of(cycles))
                return LayerRefinement(self.problem, status, *found)
            began = time.perf_counter()
            network, weights = bisect(trained.network, trained.theta, marked)
            trained = self.train(self.problem.with_network(network), weights, spent)
            seconds = time.perf_counter() - began

    def _estimate(self, problem: LayeredProblem, trained: Training) -> LayerEstimate:
        tolerance = float(self.limits["tolerance"])
        return estimate_layers(
            problem.objective, trained.theta, trained.adjoint, tolerance=tolerance
        )

    def _decide(self, cycles: list[LayerCycle], spent: float) -> tuple[Index, Status | None]:
        """Return the layers to bisect, or none and why it is over."""
        last, nothing = cycles[-1], np.empty(0, dtype=np.intp)
        e, trained = last.estimate, last.training.termination
        ends = [
            (trained is Termination.INTERRUPTED, Status.INTERRUPTED),
            (trained.failed, Status.FAILED),
            (self._reached(cycles), Status.REACHED),
            (trained is Termination.TIME_LIMIT or spent >= self.seconds, Status.TIME),
            (stalled(cycles, self.stall, self.gain), Status.STALLED),
            (len(cycles) >= self.max_cycles, Status.CYCLES),
        ]
        for over, status in ends:
            if over:
                return nothing, status
        marked = self._marked(e)
        return (marked, None) if len(marked) else (nothing, Status.BUDGET)

    def _reached(self, cycles: list[LayerCycle]) -> bool:
        """Whether the estimate is small, and the network before agrees: else it may be so by luck."""
        e = cycles[-1].estimate
        if self.tol is None or len(cycles) < 2 or not e.stationary:
            return False
        before = cycles[-2].estimate
        small = abs(e.error) <= self.tol and e.magnitude <= _CANCELLING * self.tol
        agree = before.stationary and abs(e.corrected - before.corrected) <= self.tol
        return small and agree

    def _marked(self, e: LayerEstimate) -> Index:
        """Layers to bisect, the largest indicators first if the budget is short."""
        size = np.abs(e.indicators(self.indicator))
        if size.max() == 0.0:  # nothing to tell them apart
            size = np.ones_like(size)
        marked = mark(size, self.rule, self.theta, self.number)
        room = self.max_layers - len(size)
        if len(marked) > room and self.rule == "uniform":
            return np.empty(0, dtype=np.intp)
        order = np.argsort(-size[marked], kind="stable")
        return np.sort(marked[order[: max(0, room)]])
