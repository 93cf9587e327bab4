"""What an NLP starts from where nothing better is known: data interpolated, guesses, and Glorot weights."""

from __future__ import annotations

import numpy as np

from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.random import generator
from ..numerics.signals import Signal
from .algebraic import guess_algebraics
from .layout import Layout
from .scales import own_parameters
from .windows import ExperimentLayout


def first_guess(problem: Problem, layout: Layout, lower: Array, upper: Array) -> Array:
    """(columns,) interpolated data or guesses, parameters' own starts, Glorot weights; within the bounds."""
    start = np.zeros(layout.columns)
    for number, (experiment, part) in enumerate(
        zip(problem.experiments, layout.experiments, strict=True)
    ):
        for i, state in enumerate(problem.states):
            if problem.observe is None and state in problem.outputs:
                values = experiment.values[:, problem.outputs.index(state)]
                known = np.isfinite(values)
                if known.any():
                    start[part.states[:, i]] = np.interp(
                        part.times, experiment.times[known], values[known]
                    )
        guess_algebraics(problem, experiment, part, start)
        if not experiment.measures:
            _guess_window(problem, experiment, part, start)
        _guess_controls(experiment, part, start)
        for parameter in own_parameters(problem, experiment):
            columns = layout.parameter_columns(number, parameter.names)
            start[columns] = parameter.coefficients
    for link, where in zip(problem.links, layout.links, strict=True):
        chosen = [problem.states.index(name) for name in problem.linked(link)]
        start[where.columns] = start[layout.experiments[where.after].states[0, chosen]]
    start[layout.weights] = initial_weights(problem)
    return np.clip(start, lower, upper)


def _guess_window(
    problem: Problem, experiment: Experiment, part: ExperimentLayout, start: Array
) -> None:
    """Put guesses, or lines between the ends, into ``start``."""
    for i, state in enumerate(problem.states):
        guess = experiment.guess.get(state)
        if isinstance(guess, Signal):
            start[part.states[:, i]] = guess(part.times)
            continue
        ends = [problem.initial_of(experiment, state), problem.final_of(experiment, state)]
        values = [known.value for known in ends if np.isfinite(known.value)]
        if guess is not None:
            values = [float(guess)]
        if values:
            ends_of = [part.times[0], part.times[-1]]
            start[part.states[:, i]] = np.interp(part.times, ends_of, [values[0], values[-1]])
    if experiment.is_free:
        start[part.free_times] = experiment.start, experiment.end


def _guess_controls(experiment: Experiment, part: ExperimentLayout, start: Array) -> None:
    for name, control in experiment.controls.items():
        if name in part.spanned:
            start[part.spanned[name].columns] = control.coefficients()
            continue
        decided = part.decided[name]
        start[decided.columns] = control.guess(decided.times(part.mesh))


def initial_weights(problem: Problem, seed: int = 0) -> Array:
    """Glorot weights of all networks in one vector, deterministic in ``seed``."""
    rng = generator(seed)
    parts = [network.initial_weights(rng) for network in problem.dynamics.networks.values()]
    return np.concatenate([np.empty(0), *parts])
