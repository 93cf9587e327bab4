"""Scores: how far the fit is from the data, and from the truth where that is known.

Mean squared errors are means over times and outputs, in the data's units; predictions beyond a limit that a
datum is censored at miss nothing.  ``simulated`` means by
an independent integrator; only that number says what the learnt model does on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..model.experiment import Experiment
from ..model.held_out import predecessor
from ..model.initial import Initial
from ..model.truth import Truth
from ..numerics import Array
from .first_state import first_state
from .fitted import Fitted
from .integrate import integrate
from .model import TrainedModel
from .simulate import simulate

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Score:
    """Errors on one experiment.

    Attributes
    ----------
    experiment, role : its name; ``train``, ``test``, or ``window`` without data, of which only the gap
        is known.
    collocated : MSE of the collocated states against the data (train only).
    simulated : MSE of the simulated model against the data, from the fitted (train) or given (test)
        initial state, for that of a test nothing else tells from its own smoothed data; NaN where these do not.
    truth : the same against the true trajectory, where it is known.
    truth_from_true_initial : against the truth, simulated from the true initial state.
    gap : largest relative difference of collocated and simulated states (train only).
    """

    experiment: str
    role: str
    collocated: float = NAN
    simulated: float = NAN
    truth: float = NAN
    truth_from_true_initial: float = NAN
    gap: float = NAN

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, NaN as None."""
        return {
            k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()
        }


def score_all(solution: Fitted) -> list[Score]:
    """Score every experiment of a solution."""
    trained = [_train(solution, number) for number in range(len(solution.trajectories))]
    return trained + [_test(solution, experiment) for experiment in solution.test]


def _train(solution: Fitted, number: int) -> Score:
    part = solution.trajectories[number]
    experiment, model = part.experiment, solution.model.with_parameters(part.parameters)
    if not experiment.measures:
        return Score(experiment=experiment.name, role="window", gap=solution.gap(number))
    t = experiment.times
    run = solution.runs[number]
    u = _inputs_at(solution, experiment, t)
    collocated = solution.fitted(t, number)
    simulated_outputs = model.observe(run.states, u, t, run.algebraics)
    times = np.unique(np.append(part.times[0], t))
    truth = true_states(solution, experiment, times)
    from_truth = simulated = NAN
    if truth is not None:
        start, truth = (
            truth[np.searchsorted(times, part.times[0])],
            truth[np.searchsorted(times, t)],
        )
        simulated = mse(run.states, truth)
        again = solution.simulate(number, initial=start)
        from_truth = mse(again.states, truth)
    return Score(
        experiment=experiment.name,
        role="train",
        collocated=mse(experiment.met(collocated), experiment.values),
        simulated=mse(experiment.met(simulated_outputs), experiment.values),
        truth=simulated,
        truth_from_true_initial=from_truth,
        gap=solution.gap(number),
    )


def _test(solution: Fitted, experiment: Experiment) -> Score:
    assert experiment.start is not None
    times = np.unique(np.append(experiment.start, experiment.times))
    truth = true_states(solution, experiment, times)
    predicted = predict_test(solution, experiment, None if truth is None else truth[0])
    if predicted is None:
        return Score(experiment=experiment.name, role="test")
    states, outputs = predicted
    used = np.searchsorted(times, experiment.times)
    against_truth = NAN if truth is None else mse(states, truth[used])
    return Score(
        experiment=experiment.name,
        role="test",
        simulated=mse(experiment.met(outputs), experiment.values),
        truth=against_truth,
        truth_from_true_initial=against_truth if _uses_truth(solution, experiment) else NAN,
    )


def predict_test(
    solution: Fitted, experiment: Experiment, true: Array | None = None
) -> tuple[Array, Array] | None:
    """States and outputs of a test experiment, simulated; None without an initial state.

    ``true`` is the true state at its start, if that was computed already.
    """
    initial = test_initial(solution, experiment, true)
    if initial is None:
        return None
    assert experiment.start is not None
    times = np.unique(np.append(experiment.start, experiment.times))
    model = test_model(solution, experiment)
    run = simulate(model, initial, times, experiment.inputs, history=experiment.history)
    used = np.searchsorted(times, experiment.times)
    z = None if run.algebraics is None else run.algebraics[used]
    u = _inputs_at(solution, experiment, experiment.times)
    return run.states[used], model.observe(run.states[used], u, experiment.times, z)


def test_initial(
    solution: Fitted, experiment: Experiment, true: Array | None = None
) -> Array | None:
    """Initial state of a test experiment: the given, the true, the fit's last, or its own first one, smoothed."""
    given = [experiment.initial.get(name) for name in solution.model.states]
    if all(isinstance(v, Initial) and np.isfinite(v.value) for v in given):
        return np.array([v.value for v in given if isinstance(v, Initial)])
    assert experiment.start is not None
    if true is not None:
        return true
    truth = true_states(solution, experiment, np.array([experiment.start, experiment.start + 1e-9]))
    if truth is not None:
        return truth[0]
    number = predecessor(experiment, [p.experiment for p in solution.trajectories])
    if number is not None:
        return solution.states(experiment.start, number)[0]
    own = first_state(solution.model, experiment, experiment.start)
    return own if np.isfinite(own).all() and experiment.steady is None else None


def test_model(solution: Fitted, experiment: Experiment) -> TrainedModel:
    """Return the model with a test window's parameters, those of the fitted experiment that it follows beside them."""
    parts, model = solution.trajectories, solution.model
    number = predecessor(experiment, [p.experiment for p in parts])
    model = model if number is None else model.with_parameters(parts[number].parameters)
    known = solution.parameters if experiment.parameters else {}
    bound = {k: known[v] if isinstance(v, str) else v for k, v in experiment.parameters.items()}
    return model.with_values(bound)


def _uses_truth(solution: Fitted, experiment: Experiment) -> bool:
    return solution.truth is not None and not experiment.initial


def true_states(solution: Fitted, experiment: Experiment, times: Array) -> Array | None:
    """(N, states) true states at ``times``, or None if the truth is not known."""
    truth = solution.truth
    if truth is None or not truth.covers(experiment.name):
        return None
    start, initial = _true_start(solution, truth, experiment)
    jumps = experiment.jumps
    names = [n for n in solution.model.inputs if n in experiment.inputs]

    def rhs(t: float, x: Array) -> Array:
        return np.asarray(truth.rhs(t, x, [float(experiment.inputs[n](t)[0]) for n in names]))

    # LSODA, since an explicit method takes minutes over a stiff truth
    grid = times if times[0] == start else np.append(start, times)
    slack = solution.model.tolerance(1e-12)
    run = integrate(rhs, initial, grid, jumps, method="LSODA", rtol=1e-10, atol=slack)
    return run.states[-len(times) :]


def _true_start(solution: Fitted, truth: Truth, experiment: Experiment) -> tuple[float, Array]:
    """One initial state for all means one trajectory, from the start of the first experiment."""
    if isinstance(truth.initial, Mapping):
        assert experiment.start is not None
        return experiment.start, truth.initial_of(experiment.name)
    return float(solution.trajectories[0].times[0]), truth.initial_of(experiment.name)


def mse(a: Array, b: Array) -> float:
    """Mean of the squared differences where ``b`` is finite; inf if ``a`` breaks down there."""
    known = np.isfinite(b)
    if not known.any():
        return NAN
    error = float(np.mean((a[known] - b[known]) ** 2))
    return error if np.isfinite(error) else float("inf")


def _inputs_at(solution: Fitted, experiment: Experiment, times: Array) -> Array | None:
    columns = [experiment.inputs[name](times) for name in solution.model.inputs]
    return np.column_stack(columns) if columns else None
