"""What the figures show, asked of a solution: the curves of each experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..identify.uncertainty import Uncertainty
from ..model.experiment import Experiment
from ..results.score import test_initial, test_model, true_states
from ..results.simulate import simulate
from ..results.solution import Solution

Array = NDArray[np.float64]
POINTS = 600


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of one experiment, over `quantities`: its states, other outputs, then decided inputs.

    Attributes
    ----------
    experiment, role : what was measured; ``train`` or ``test``.
    times, collocated, simulated, truth : (POINTS,) and (POINTS, quantities); None if not known.
    decided : (POINTS,) by the name of a decided input.
    band : (POINTS, states) lower and upper confidence limits of the collocated states, if asked for.
    """

    experiment: Experiment
    role: str
    times: Array
    collocated: Array | None
    simulated: Array | None
    truth: Array | None
    band: tuple[Array, Array] | None = None
    decided: Mapping[str, Array] = field(default_factory=dict)


def quantities(solution: Solution) -> tuple[str, ...]:
    """Names of what can be drawn: states, outputs that are no states, inputs that were decided."""
    decided = [name for part in solution.trajectories for name in part.controls]
    return tuple(dict.fromkeys((*solution.model.states, *solution.model.outputs, *decided)))


def curves_of(solution: Solution, trust: Uncertainty | None = None) -> list[Curves]:
    """Curves of every experiment, trained ones first; with bands if the covariance is given."""
    count = len(solution.trajectories)
    trained = [train_curves(solution, number, trust) for number in range(count)]
    return trained + [test_curves(solution, experiment) for experiment in solution.test]


def train_curves(solution: Solution, number: int, trust: Uncertainty | None = None) -> Curves:
    """Curves of a fitted experiment."""
    part = solution.trajectories[number]
    times = _grid(part.experiment, part.times[0], part.times[-1])
    run = solution.simulate(number, times=times)
    return Curves(
        part.experiment,
        "train",
        times,
        _with_outputs(
            solution, part.experiment, part.parameters, times, solution.states(times, number)
        ),
        _with_outputs(solution, part.experiment, part.parameters, times, run.states),
        _truth(solution, part.experiment, times),
        None if trust is None else trust.band(times, number),
        {name: solution.control(name, times, number) for name in part.controls},
    )


def test_curves(solution: Solution, experiment: Experiment) -> Curves:
    """Curves of an experiment that was not fitted."""
    assert experiment.start is not None
    assert experiment.end is not None
    times = _grid(experiment, experiment.start, experiment.end)
    initial, simulated = test_initial(solution, experiment), None
    if initial is not None:
        model = test_model(solution, experiment)
        run = simulate(model, initial, times, experiment.inputs)
        simulated = _with_outputs(solution, experiment, model.parameters, times, run.states)
    truth = _truth(solution, experiment, times)
    return Curves(experiment, "test", times, None, simulated, truth)


def logarithmic(experiment: Experiment) -> bool:
    """Whether the samples are spread over decades of time, so that a linear axis hides most."""
    t = experiment.times[experiment.times > 0.0]
    return len(t) > 2 and experiment.times[0] >= 0.0 and bool(np.median(t) < 0.02 * t[-1])


def _grid(experiment: Experiment, start: float, end: float) -> Array:
    """(POINTS,) times to draw at, spaced as the samples are."""
    if not logarithmic(experiment):
        return np.linspace(start, end, POINTS)
    first = float(experiment.times[experiment.times > 0.0][0])
    if start > 0.0:
        return np.geomspace(start, end, POINTS)
    return np.append(start, np.geomspace(first, end, POINTS - 1))


def columns_of(solution: Solution, trust: Uncertainty | None = None) -> list[list[Curves]]:
    """Group curves that belong side by side on one time axis.

    The test windows that follow a single fitted experiment continue its axis; every other
    experiment has an axis of its own.
    """
    every = curves_of(solution, trust)
    trained = [c for c in every if c.role == "train"]
    tested = [c for c in every if c.role == "test"]
    if len(trained) > 1:
        return [[c] for c in (*trained, *tested)]
    end = trained[0].times[-1]
    slack = 1e-6 * (end - trained[0].times[0])
    following = [c for c in tested if c.times[0] >= end - slack]
    return [trained + following, *([c] for c in tested if c not in following)]


def pick(asked: Sequence[str] | None, known: Sequence[str], what: str) -> list[str]:
    """Return the names asked for, or all.

    Raises
    ------
    InputError
        A name that does not exist.
    """
    for name in asked or ():
        if name not in known:
            raise InputError(f"there is no {what} {name!r}; there are: {', '.join(known)}.")
    return list(asked) if asked else list(known)


def _with_outputs(
    solution: Solution, experiment: Experiment, parameters: Array, times: Array, states: Array
) -> Array:
    """Append the outputs that are no states."""
    extra = [j for j, n in enumerate(solution.model.outputs) if n not in solution.model.states]
    if not extra:
        return states
    inputs = [experiment.inputs[name](times) for name in solution.model.inputs]
    observed = solution.model.with_parameters(parameters).observe(
        states, np.column_stack(inputs) if inputs else None, times
    )
    return np.hstack([states, observed[:, extra]])


def _truth(solution: Solution, experiment: Experiment, times: Array) -> Array | None:
    states = true_states(solution, experiment, times)
    if states is None:
        return None
    known = dict.fromkeys((*solution.model.states, *solution.model.outputs))
    missing = len(known) - states.shape[1]
    return np.hstack([states, np.full((len(times), missing), np.nan)])
