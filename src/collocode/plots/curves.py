"""The curves of trajectories: what a solution says of its experiments, at times that are close enough to draw.

`quantities` are the rows of a figure and `columns_of` its columns; `collocode.plots.trajectories` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..identify.bands import Of
from ..identify.intervals import Uncertainty
from ..model.experiment import Experiment
from ..numerics import Array
from ..results.score import test_initial, test_model, true_states
from ..results.simulate import simulate
from ..results.solution import Solution

POINTS = 600


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of one experiment, over `quantities`: its states, algebraic variables, other outputs, then decided inputs.

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
    """Names of what can be drawn: states, algebraic variables, other outputs, decided inputs."""
    decided = [name for part in solution.trajectories for name in part.controls]
    model = solution.model
    return tuple(dict.fromkeys((*model.states, *model.algebraics, *model.outputs, *decided)))


def curves_of(solution: Solution, trust: Uncertainty | None = None) -> list[Curves]:
    """Curves of every experiment, trained ones first; with bands if the covariance is given."""
    count = len(solution.trajectories)
    trained = [train_curves(solution, number, trust) for number in range(count)]
    return trained + [test_curves(solution, experiment) for experiment in solution.test]


def train_curves(solution: Solution, number: int, trust: Uncertainty | None = None) -> Curves:
    """Curves of a fitted experiment."""
    part = solution.trajectories[number]
    spread = part.experiment.times if part.experiment.measures else part.mesh.points
    times = _grid(spread, part.times[0], part.times[-1])
    run = solution.simulate(number, times=times)
    return Curves(
        part.experiment,
        "train",
        times,
        _with_outputs(
            *(solution, part.experiment, part.parameters, times, solution.states(times, number)),
            solution.algebraics(times, number),
        ),
        _with_outputs(
            solution, part.experiment, part.parameters, times, run.states, run.algebraics
        ),
        _truth(solution, part.experiment, times),
        None if trust is None else _bands(trust, solution, times, number),
        {name: solution.control(name, times, number) for name in part.controls},
    )


def _bands(
    trust: Uncertainty, solution: Solution, times: Array, number: int
) -> tuple[Array, Array]:
    """(POINTS, quantities) limits in the order of `quantities`, without decided inputs."""
    model = solution.model
    kinds: tuple[Of, ...] = ("states", "algebraics") if model.algebraics else ("states",)
    others = [name for name in model.outputs if name not in (*model.states, *model.algebraics)]
    low, high = (
        np.hstack(pair)
        for pair in zip(*(trust.band(times, number, of=kind) for kind in kinds), strict=True)
    )
    if others:
        pick = [model.outputs.index(name) for name in others]
        below, above = trust.band(times, number, of="outputs")
        low, high = np.hstack([low, below[:, pick]]), np.hstack([high, above[:, pick]])
    return low, high


def test_curves(solution: Solution, experiment: Experiment) -> Curves:
    """Curves of an experiment that was not fitted."""
    assert experiment.start is not None
    assert experiment.end is not None
    times = _grid(experiment.times, experiment.start, experiment.end)
    initial, simulated = test_initial(solution, experiment), None
    if initial is not None:
        model = test_model(solution, experiment)
        run = simulate(model, initial, times, experiment.inputs, history=experiment.history)
        simulated = _with_outputs(
            solution, experiment, model.parameters, times, run.states, run.algebraics
        )
    truth = _truth(solution, experiment, times)
    return Curves(experiment, "test", times, None, simulated, truth)


def is_geometric(times: Array) -> bool:
    """Whether times to draw at grow with time, so that their axis is logarithmic; see `_grid`."""
    return bool(times[-1] - times[-2] > 2.0 * (times[2] - times[1]))


def _grid(spread: Array, start: float, end: float) -> Array:
    """(POINTS,) times to draw at, spaced as the samples are, or the mesh of a window.

    Over decades of time they are spaced geometrically, for a linear axis would hide most.
    """
    t = spread[spread > 0.0]
    if not (len(t) > 2 and spread[0] >= 0.0 and np.median(t) < 0.02 * t[-1]):
        return np.linspace(start, end, POINTS)
    if start > 0.0:
        return np.geomspace(start, end, POINTS)
    return np.append(start, np.geomspace(float(t[0]), end, POINTS - 1))


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
    solution: Solution,
    experiment: Experiment,
    parameters: Array,
    times: Array,
    states: Array,
    algebraics: Array | None,
) -> Array:
    """Append algebraic variables, and the outputs that are neither these nor states."""
    found = states if algebraics is None else np.hstack([states, algebraics])
    known = (*solution.model.states, *solution.model.algebraics)
    extra = [j for j, n in enumerate(solution.model.outputs) if n not in known]
    if not extra:
        return found
    inputs = [experiment.inputs[name](times) for name in solution.model.inputs]
    observed = solution.model.with_parameters(parameters).observe(
        states, np.column_stack(inputs) if inputs else None, times, algebraics
    )
    return np.hstack([found, observed[:, extra]])


def _truth(solution: Solution, experiment: Experiment, times: Array) -> Array | None:
    states = true_states(solution, experiment, times)
    if states is None:
        return None
    model = solution.model
    known = dict.fromkeys((*model.states, *model.algebraics, *model.outputs))
    missing = len(known) - states.shape[1]
    return np.hstack([states, np.full((len(times), missing), np.nan)])
