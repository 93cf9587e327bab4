"""Starts of algebraic variables."""

from __future__ import annotations

import numpy as np

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.signals import Signal
from .windows import ExperimentLayout


def guess_algebraics(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, start: Array
) -> None:
    """Put measurements, the experiment's guesses or the variables' own into ``start``."""
    for name, usual in problem.algebraics.items():
        decided = part.decided[name]
        times, guess = decided.times(part.mesh), experiment.guess.get(name, usual)
        if isinstance(guess, Signal):
            start[decided.columns] = guess(times.ravel()).reshape(times.shape)
            continue
        start[decided.columns] = guess
        if problem.observe is None and name in problem.outputs:
            values = experiment.values[:, problem.outputs.index(name)]
            known = np.isfinite(values)
            if known.any():
                start[decided.columns] = np.interp(times, experiment.times[known], values[known])
