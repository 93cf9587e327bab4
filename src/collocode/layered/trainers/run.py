"""One training in progress: evaluations counted, history and best iterate kept, an eye on the limits.

A trainer asks a `Run` for values and gradients and reports every iterate; the run raises `Stop` when
it is over.  So no trainer knows of limits, validation, checkpoints or Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...checks import check_fields, check_whole
from ...errors import InputError
from ...numerics import Array
from ...results.status import Termination
from ...solvers.interrupt import Interrupt
from ..losses import metric, metric_name
from ..objective import Evaluation, Objective
from ..samples import Samples
from .training import COLUMNS, Step, Training, history_table, step_of

_CHECKPOINT_SECONDS = 10.0  # between two writings of the file


@dataclass(frozen=True)
class Limits:
    """When a training stops.

    Parameters
    ----------
    iterations, seconds : most of either, in all, resumed ones included.
    tolerance : of ‖∇J‖₂; below it the training has converged.
    patience : iterations without a lower validation loss after which it stops; None goes on.
    every : how often the history takes a row, and validation is looked at.

    Raises
    ------
    InputError
        A limit that makes no sense.
    """

    iterations: int = 500
    seconds: float = float("inf")
    tolerance: float = 1e-6
    patience: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        check_whole("iterations", self.iterations, 0)
        check_whole("every", self.every)
        if self.patience is not None:
            check_whole("patience", self.patience)
        for name in ("seconds", "tolerance"):
            if not getattr(self, name) >= 0.0:
                raise InputError(f"{name} must be 0 or more, not {getattr(self, name)!r}.")


class Stop(Exception):
    """Ends a trainer."""

    def __init__(self, termination: Termination, message: str = "") -> None:
        super().__init__(message)
        self.termination, self.message = termination, message


class Trainer(Protocol):
    """A training method."""

    @property
    def name(self) -> str:
        """As the user calls it."""

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Improve ``theta`` until ``run`` raises `Stop`; ``memory`` is that of an earlier run."""


class Run:
    """What a trainer works with; see the module.

    Parameters
    ----------
    objective, limits : what is minimised, and how long.
    trainer : its name, for the record.
    validation : samples that pick the best iterate.
    callback : called with every `Step` of the history.
    checkpoint : path of a file that is kept up to date.
    earlier : a training that this one continues.
    """

    def __init__(
        self,
        objective: Objective,
        limits: Limits,
        trainer: str,
        validation: Samples | None = None,
        callback: Callable[[Step], Any] | None = None,
        checkpoint: str | Path | None = None,
        earlier: Training | None = None,
    ) -> None:
        self.objective, self.limits, self.trainer = objective, limits, trainer
        self.interrupt = Interrupt()
        self.adjoint: Array | None = None
        self._validation = None if validation is None else objective.on(validation)
        self._callback, self._checkpoint = callback, checkpoint
        self._began = self._written = time.perf_counter()
        self._last: Evaluation | None = None
        self._memory: Mapping[str, Array] = {}
        self._steps: list[Step] = []
        self._resumed = earlier is not None
        self.evaluations = self.gradients = 0.0
        self._spent, self.iteration = 0.0, 0
        self._best: tuple[float, Array | None, int] = (np.inf, None, 0)
        self._theta: Array | None = None
        if earlier is not None:
            self._continue(earlier)

    def _continue(self, earlier: Training) -> None:
        self._steps = [step_of(row) for row in earlier.history[list(COLUMNS)].to_numpy()]
        self._spent, self.iteration = earlier.seconds, earlier.iterations
        self.evaluations, self.gradients = earlier.evaluations, earlier.gradients
        marks = [self._criterion(s) for s in self._steps if s.iteration == earlier.best_iteration]
        self._best = (marks[-1] if marks else np.inf, earlier.best, earlier.best_iteration)

    # ---- what trainers ask -----------------------------------------------------------------------

    def evaluate(self, theta: Array) -> Evaluation:
        """Evaluate J; the pass is remembered, so that a gradient at the same point is cheap."""
        if self._last is None or not np.array_equal(self._last.theta, theta):
            self._last = self.objective.evaluate(theta)
            self.evaluations += 1.0
        return self._last

    def adopt(self, done: Evaluation) -> Evaluation:
        """Take note of an evaluation that the trainer made itself."""
        self._last = done
        self.evaluations += 1.0
        return done

    def value(self, theta: Array) -> float:
        """Return J."""
        return self.evaluate(theta).value

    def gradient(self, theta: Array) -> tuple[float, Array]:
        """Return J and ∇J."""
        done = self.evaluate(theta)
        self.gradients += 1.0
        return done.value, self.objective.backpropagate(done)

    @property
    def seconds(self) -> float:
        """Wall time so far, earlier runs included."""
        return self._spent + time.perf_counter() - self._began

    # ---- what trainers tell ----------------------------------------------------------------------

    def report(
        self,
        theta: Array,
        value: float,
        gradient_norm: float,
        memory: Mapping[str, Array] | None = None,
        termination: Termination | None = None,
        message: str = "",
    ) -> None:
        """Take note of an iterate, the start included.

        Parameters
        ----------
        memory : what the trainer needs to go on from here.
        termination, message : given where the trainer has ended by itself.

        Raises
        ------
        Stop
            When it is over.
        """
        if not np.isfinite(value):
            raise Stop(
                Termination.EVALUATION_ERROR,
                "the objective is not finite; start from smaller weights or take smaller steps",
            )
        self._theta, self._memory = theta.copy(), dict(memory or {})
        termination = termination or self._limit(gradient_norm)
        if self._resumed:  # the history has this iterate already
            self._resumed = False
        elif termination is not None or self.iteration % self.limits.every == 0:
            self._record(theta, value, gradient_norm)
            termination = termination or self._patience()
        if termination is not None:
            raise Stop(termination, message)
        self.iteration += 1

    def note(self, iteration: int, value: float, gradient_norm: float) -> None:
        """Take note of an iterate of which only these numbers are known."""
        self.iteration = iteration
        self._append(value, gradient_norm)

    def _limit(self, gradient_norm: float) -> Termination | None:
        if gradient_norm <= self.limits.tolerance:
            return Termination.CONVERGED
        if self.interrupt.requested:
            return Termination.INTERRUPTED
        if self.iteration >= self.limits.iterations:
            return Termination.ITERATION_LIMIT
        return Termination.TIME_LIMIT if self.seconds >= self.limits.seconds else None

    def _patience(self) -> Termination | None:
        patience = self.limits.patience
        waited = self.iteration - self._best[2]
        if patience is None or self._validation is None or waited < patience:
            return None
        return Termination.EARLY_STOPPED

    def _record(self, theta: Array, value: float, gradient_norm: float) -> None:
        training = metric(self.objective.loss, self._outputs(theta), self.objective.samples)
        validation = loss = float("nan")
        if self._validation is not None:
            done = self._validation.evaluate(theta)
            loss = self._validation.loss.value(done.outputs, self._validation.targets)
            validation = metric(self._validation.loss, done.outputs, self._validation.samples)
        if self._steps and self._steps[-1].iteration == self.iteration:
            self._steps.pop()  # the same iterate, noted before its metrics were known
        known = {"training": training, "validation": validation, "validation_loss": loss}
        step = self._append(value, gradient_norm, **known)
        if self._criterion(step) < self._best[0]:
            self._best = (self._criterion(step), theta.copy(), self.iteration)
        now = time.perf_counter()
        if self._checkpoint is not None and now - self._written >= _CHECKPOINT_SECONDS:
            self._written = now
            self.training(Termination.INTERRUPTED, "checkpoint").save(self._checkpoint)

    def _append(self, value: float, gradient_norm: float, **metrics: float) -> Step:
        """Add the iterate to the history, and tell of it."""
        step = Step(
            iteration=self.iteration,
            seconds=self.seconds,
            evaluations=self.evaluations,
            gradients=self.gradients,
            objective=value,
            gradient_norm=gradient_norm,
            **metrics,
        )
        self._steps.append(step)
        if self._callback is not None:
            self._callback(step)
        return step

    def _criterion(self, step: Step) -> float:
        """Return what the best iterate has least of."""
        return step.objective if self._validation is None else step.validation_loss

    def _outputs(self, theta: Array) -> Array:
        if self._last is None or not np.array_equal(self._last.theta, theta):
            return self.objective.evaluate(theta).outputs  # a look, which is not counted
        return self._last.outputs

    # ---- the outcome -----------------------------------------------------------------------------

    def training(self, termination: Termination, message: str = "") -> Training:
        """Return what there is so far."""
        if self._theta is None:
            raise InputError(f"the training cannot begin: {message}.")
        best = self._best[1]
        return Training(
            network=self.objective.network,
            theta=self._theta,
            best=self._theta if best is None else best,
            best_iteration=self._best[2],
            history=history_table(self._steps),
            termination=termination,
            message=message,
            trainer=self.trainer,
            metric=metric_name(self.objective.samples),
            memory=self._memory,
            adjoint=self.adjoint,
        )
