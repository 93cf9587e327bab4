"""Adam, optax's, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, MissingDependency
from ...forms import Numbers
from ..continuous_jax import float64
from .run import Run
from .training import remembered

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with all samples or minibatches; an iteration is one epoch.

    With minibatches the gradient norm in the history is that of the epoch's mean gradient.

    Parameters
    ----------
    rate : length of a step.
    batch : samples in a minibatch; None takes all.
    seed : of the order of the samples, drawn anew for every epoch.

    Raises
    ------
    InputError
        A rate or batch that is not positive.
    """

    rate: float = 1e-3
    batch: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rate > 0.0:
            raise InputError(f"the rate of Adam must be positive, not {self.rate!r}.")
        if self.batch is not None and self.batch < 1:
            raise InputError(f"a minibatch needs at least one sample, not {self.batch!r}.")

    @property
    def name(self) -> str:
        """``adam``."""
        return "adam"

    def run(self, run: Run, theta: Array, memory: Mapping[str, Array]) -> None:
        """Step; see `Trainer`."""
        optimiser = _Optimiser(self.rate, theta, memory)
        samples = len(run.objective.samples)
        if self.batch is None or self.batch >= samples:
            while True:
                value, gradient = run.gradient(theta)
                run.report(theta, value, float(np.linalg.norm(gradient)), optimiser.memory)
                theta = theta + optimiser.step(gradient)
        norm = float("inf")
        while True:
            run.report(theta, run.value(theta), norm, optimiser.memory)
            theta, norm = self._epoch(run, theta, optimiser)

    def _epoch(self, run: Run, theta: Array, optimiser: _Optimiser) -> tuple[Array, float]:
        """Go once through all samples."""
        samples = run.objective.samples
        assert self.batch is not None
        order = np.random.default_rng([self.seed, run.iteration]).permutation(len(samples))
        mean = np.zeros_like(theta)
        for first in range(0, len(order), self.batch):
            rows = order[first : first + self.batch]
            gradient = run.objective.on(samples.take(rows)).gradient(theta)
            share = len(rows) / len(order)
            mean += share * gradient
            run.evaluations += share
            run.gradients += share
            theta = theta + optimiser.step(gradient)
        return theta, float(np.linalg.norm(mean))


class _Optimiser:
    """optax's state and update, with NumPy outside; its arrays are the memory of a training."""

    def __init__(self, rate: float, theta: Array, memory: Mapping[str, Array]) -> None:
        try:
            import jax
            import optax
        except ImportError as error:
            raise MissingDependency(
                "optax, which brings Adam, is not installed; run: pip install 'collocode[learn]'."
            ) from error
        self._jax = jax
        with float64():
            transformation = optax.adam(rate)
            leaves, self._structure = jax.tree.flatten(transformation.init(theta))
            form = {f"adam{i}": Numbers(leaf.shape, dtype=None) for i, leaf in enumerate(leaves)}
            if memory:
                known = remembered(memory, form)
                leaves = [
                    jax.numpy.asarray(known[name], dtype=old.dtype)
                    for name, old in zip(form, leaves, strict=True)
                ]
            self._leaves = leaves
            self._update: Callable[..., Any] = jax.jit(transformation.update)

    @property
    def memory(self) -> dict[str, Array]:
        """Moments and count."""
        return {f"adam{i}": np.asarray(leaf) for i, leaf in enumerate(self._leaves)}

    def step(self, gradient: Array) -> Array:
        """Return the change of the weights."""
        with float64():
            state = self._jax.tree.unflatten(self._structure, self._leaves)
            change, state = self._update(self._jax.numpy.asarray(gradient), state)
            self._leaves = self._jax.tree.leaves(state)
            return np.asarray(change)
