r"""`grow`: train, score every place, make the network deeper at the best one, train on.

Training goes on from the last weights; what counts in the end is the depth and the iterate of least
validation loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..reduced.objective import Objective
from ..reduced.problem import LayeredProblem
from ..reduced.run import Trainer
from ..reduced.train import train
from ..reduced.training import Step, Training, TrainingStatus
from .growth import Extension, Growth, GrowthCycle, GrowthStatus
from .growth_store import load_growth, save_growth
from .indicators import Indicator, Scores, indicator_of
from .insertion import Insertion

Array = NDArray[np.float64]
OnCycle = Callable[[GrowthCycle], Any]
OnStep = Callable[[Step, int], Any]


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
        `collocode.adapt.indicators` with settings.
    max_layers : depth limit.
    trainer, seed : as for `collocode.reduced.train`.
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
    >>> from collocode.reduced import LayeredNetwork, LogisticLoss, ResidualBlock, spiral2d
    >>> samples, validation = spiral2d(200)
    >>> first = LayeredNetwork(2, 1, 3, Mesh.uniform(0, 1, 1), None, ResidualBlock("tanh"), "pad")
    >>> problem = LayeredProblem(first, samples, LogisticLoss(), validation=validation)
    >>> growth = grow(problem, max_layers=3, iterations=20)
    >>> [cycle.layers for cycle in growth.cycles], growth.status.value
    ([1, 2, 3], 'depth limit')
    """
    chosen = indicator_of(indicator)
    _check(problem, max_layers, tolerance, gain, stall, tries)
    earlier = load_growth(resume) if isinstance(resume, str | Path) else resume
    if earlier is not None and (start is not None or freeze):
        # TODO-free by construction: a resumed growth has its masks in its cycles
        raise InputError("give either resume or start and freeze, not both.")
    objective, theta = _first(problem, start, tuple(freeze), seed)
    chosen.check(objective)
    how = {
        "validation": problem.validation,
        "iterations": iterations,
        "patience": patience if problem.validation is not None else None,
        "tolerance": gradient_tolerance,
    }
    rules = _Rules(chosen, max_layers, tolerance, gain, stall, tries, seconds, seed)
    return _Loop(rules, trainer, how, problem.name, checkpoint, on_cycle, on_step).run(
        objective, theta, earlier
    )
