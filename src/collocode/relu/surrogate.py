"""A surrogate and the optimum asked of it: samples of a function, a network, a box, constraints.

It is what a model file of ``collocode relu`` returns, and what the benchmarks are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ..checks import check_choice, counted
from ..errors import InputError
from ..numerics import Array
from ..numerics.random import generator
from .bounds import as_box
from .network import ReluNetwork
from .readers import checked_samples
from .train import TrainingResult, TrainingSettings, train

Function = Callable[[Array], ArrayLike]
SENSES = ("maximize", "minimize")
_HELD = 0.2  # share of given samples that tests the network


@dataclass(frozen=True, eq=False)
class SurrogateSamples:
    """Samples to train on and others to test with: x (samples, inputs), y (samples, outputs)."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array


@dataclass(frozen=True, eq=False)
class Surrogate:
    """What is to be trained, and where its optimum is sought.

    Attributes
    ----------
    box : (inputs, 2) lower and upper bounds of the inputs.
    function : (samples, inputs) -> (samples,) or (samples, outputs), the truth, if it can be called.
    data : (x, y) samples instead; without ``function`` they are needed, unless there is a network.
    network : a trained network; None trains one.
    hidden, training : widths of the hidden layers, and how they are trained.
    samples : how many points of the function to train on (a Latin hypercube), half as many to test.
    inputs, outputs : names for tables and figures.
    sense, objective, constraints : ``maximize`` or ``minimize``, as of `collocode.relu.maximize`.
    name, source : for headings and reports.

    Raises
    ------
    InputError
        A box that is not bounded, names that do not fit, nothing to train on.

    Examples
    --------
    >>> bowl = Surrogate([(-1.0, 1.0)] * 2, lambda x: (x**2).sum(axis=1), samples=100)
    >>> drawn = bowl.draw()
    >>> drawn.x.shape, drawn.y.shape, drawn.x_test.shape
    ((100, 2), (100, 1), (50, 2))
    """

    box: ArrayLike
    function: Function | None = None
    _: KW_ONLY
    data: tuple[ArrayLike, ArrayLike] | None = None
    network: ReluNetwork | None = None
    hidden: Sequence[int] = (16, 16)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    samples: int = 2000
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ("y",)
    sense: str = "maximize"
    objective: Any = 0
    constraints: Any = None
    name: str = "Surrogate"
    source: str = ""

    def __post_init__(self) -> None:
        box = np.asarray(self.box, dtype=float)
        if box.ndim != 2 or box.shape[1] != 2 or not np.isfinite(box).all():
            raise InputError(
                f"the box of a surrogate has shape {box.shape}; give one finite (lower, upper) pair "
                "per input."
            )
        object.__setattr__(self, "box", box)
        check_choice("sense", self.sense, SENSES)
        if self.function is None and self.data is None and self.network is None:
            raise InputError("a surrogate needs a function, data or a network; give one of them.")
        names = tuple(self.inputs) or tuple(f"x{i}" for i in range(len(box)))
        if len(names) != len(box):
            raise InputError(
                f"{counted(len(names), 'name is given', 'names are given')} for {counted(len(box), 'input')}."
            )
        object.__setattr__(self, "inputs", names)
        if self.network is not None:
            self._check(self.network)

    def _check(self, network: ReluNetwork) -> None:
        as_box(network, self.box)
        if network.outputs != len(self.outputs):
            raise InputError(
                f"the network has {counted(network.outputs, 'output')}, but {len(self.outputs)} are named "
                f"({', '.join(self.outputs)})."
            )

    def truth(self, x: ArrayLike) -> Array | None:
        """Return the function at (samples, inputs) points as (samples, outputs), None without one.

        Raises
        ------
        InputError
            The function returns another shape, or values that are not finite.
        """
        return None if self.function is None else self._called(self.function, np.asarray(x, float))

    def _called(self, function: Function, points: Array) -> Array:
        y = np.asarray(function(points), dtype=float)
        y = y[:, None] if y.ndim == 1 else y
        if y.shape != (len(points), len(self.outputs)):
            raise InputError(
                f"the function of {self.name} returns shape {y.shape} for {counted(len(points), 'point')}; it "
                f"must be ({len(points)}, {len(self.outputs)})."
            )
        bad = np.flatnonzero(~np.isfinite(y).all(axis=1))
        if len(bad):
            raise InputError(f"the function of {self.name} is not finite at {points[bad[0]]}.")
        return y

    def draw(self, seed: int = 0) -> SurrogateSamples:
        """Return samples: those given, the last fifth for the test, or points of the function.

        Raises
        ------
        InputError
            There is neither a function nor data, or they are unfit.
        """
        if self.data is not None:
            x, y = checked_samples(*self.data)
            if (x.shape[1], y.shape[1]) != (len(self.inputs), len(self.outputs)):
                raise InputError(
                    f"the data of {self.name} have {counted(x.shape[1], 'input')} and {counted(y.shape[1], 'output')}, "
                    f"but {len(self.inputs)} and {len(self.outputs)} are named."
                )
            order = generator(seed).permutation(len(x))
            test, seen = np.split(order, [round(_HELD * len(x))])
            return SurrogateSamples(x[seen], y[seen], x[test], y[test])
        if self.function is None:
            raise InputError(f"{self.name} has neither a function nor data to draw samples from.")
        box = np.asarray(self.box, dtype=float)
        cube = scipy.stats.qmc.LatinHypercube(len(box), rng=generator(seed)).random(self.samples)
        rest = generator(seed, 1).random((max(2, self.samples // 2), len(box)))
        points = [box[:, 0] + unit * (box[:, 1] - box[:, 0]) for unit in (cube, rest)]
        values = [self._called(self.function, part) for part in points]
        return SurrogateSamples(points[0], values[0], points[1], values[1])

    def train(
        self,
        drawn: SurrogateSamples | None = None,
        on_check: Callable[[int, float], Any] | None = None,
    ) -> TrainingResult:
        """Train a network on samples, on those of ``draw(training.seed)`` if None."""
        samples = self.draw(self.training.seed) if drawn is None else drawn
        found = train(samples.x, samples.y, self.hidden, self.training, self.box, on_check)
        self._check(found.network)
        return found
