"""Named start strategies for an NLP.

===================== ==================================== ===================================
name                  states                               weights and parameters
===================== ==================================== ===================================
``auto``              the best of several, see below       of that candidate
``interpolate``       data, joined by lines; of a window   Glorot; the parameters' own starts
                      without data its guess
``smoothing``         smoothing spline (GCV)               the same
``gradient_matching`` smoothing spline (GCV)               fitted to the spline's slopes
``simulate``          simulated with the start's weights,  the same
                      windows under their guesses
``shooting``          simulated                            fitted by simulations
``horizon``           fits of growing windows, from the    fitted
                      gradient-matching start
a `Solution`          its interpolated states, continued   its own, taken to the problem's
                      by simulation on a longer record     bases in time
an array              as given                             as given
===================== ==================================== ===================================

``auto`` is a ladder (see `collocode.starts.ladder`).  If every initial state is known or guessed (of a
model without networks, measured ones are), the simulation is the first candidate; gradient matching is the next, or smoothing where the slopes of
some state are not known; the start of lower merit is used.  Only if none of them evaluates, plain
interpolation and states made positive follow.  A window without data starts from its guess and those of
its controls, unless it is simulated; without any data that is the start.  Algebraic variables are made
consistent with the states by Newton's method at every stage, whatever the strategy.  `collocode.fit` climbs higher:
if the fit from there fails, it shoots (models without networks), and if that fails it grows the horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ..checks import check_choice
from ..errors import InputError
from ..kinds import check_type
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..numerics import Array
from ..results.model import TrainedModel
from ..results.resolved import resolved
from ..results.simulate import simulate
from ..results.solution import Solution
from ..solvers.interrupt import interrupted
from ..solvers.threads import single_threaded
from ..transcription.guesses import initial_weights
from ..transcription.nlp import NLP, StartRecord
from ..transcription.windows import ExperimentLayout, nodes_of
from .consistent import settle
from .from_solution import from_solution
from .gradient_matching import match_gradients
from .horizon import grow_horizon
from .ladder import Ladder, merit_of_means, why_not
from .outputs import match_outputs
from .shooting import shoot

Start = str | Solution | Array
STRATEGIES = (
    "auto",
    "gradient_matching",
    "horizon",
    "smoothing",
    "interpolate",
    "simulate",
    "shooting",
)


@single_threaded
def start_from(nlp: NLP, strategy: Start = "auto", seed: int = 0) -> NLP:
    """Return the NLP with a starting point made by a strategy, and the record of it.

    Parameters
    ----------
    nlp : from `discretize`.
    strategy : ``auto`` (the best of several), ``gradient_matching`` (smoothed data, weights and
        parameters fitted to their slopes), ``horizon`` (fits of growing windows), ``shooting``
        (parameters fitted by simulation), ``smoothing``, ``interpolate``, ``simulate``, a `Solution` of a like problem, or (columns,) values.
    seed : of the random weights.

    Raises
    ------
    InputError
        Unknown strategy, or a solution or array that does not fit.
    """
    check_type("start_from", nlp, NLP)
    if isinstance(strategy, Solution):
        return _begun(nlp, from_solution(nlp, strategy), StartRecord(name="a solution"))
    if not isinstance(strategy, str):
        if np.asarray(strategy).dtype.kind not in "iuf":
            check_type("start_from(strategy=...)", strategy, Solution, str, np.ndarray)
        return replace(nlp.with_start(strategy), start_record=StartRecord(name="given values"))
    check_choice("start strategy", strategy, STRATEGIES)
    plain = nlp.start.copy()
    plain[nlp.layout.weights] = initial_weights(nlp.problem, seed)
    if strategy == "auto" and not nlp.problem.n_measurements:
        return _begun(nlp, plain, StartRecord(name="guess"))
    unmeasured = [e for e in nlp.problem.experiments if e.measures and e.controls]
    if unmeasured and strategy in ("auto", "smoothing"):
        return _begun(nlp, smoothed(nlp, plain), StartRecord(name="smoothing"))
    if unmeasured and strategy != "interpolate":
        raise InputError(
            f"start={strategy!r} integrates under inputs that are given, but experiment "
            f"{unmeasured[0].name!r} decides some; choose 'auto', 'smoothing' or 'interpolate'."
        )
    if strategy == "auto":
        ladder = _candidates(nlp, plain)
        return _begun(nlp, ladder.best if ladder.found else plain, ladder.record())
    if strategy == "horizon":
        nlp.problem.refuse_decisions("start='horizon'")
        x, _ = _matched(nlp, plain)
        if why_not(nlp, np.clip(x, nlp.lower, nlp.upper)):
            x = _candidates(nlp, plain).best
        x, ended = grow_horizon(nlp, x)
        return _begun(nlp, x, StartRecord(name=strategy, interrupted=ended))
    if strategy == "shooting":
        begun = _candidates(nlp, plain).best
        try:
            x, ended = simulated(nlp, shoot(nlp, smoothed(nlp, plain), begun)), False
        except KeyboardInterrupt:
            x, ended = begun, True
        return _begun(nlp, x, StartRecord(name=strategy, interrupted=ended))
    makers: Mapping[str, Callable[[], Array]] = {
        "interpolate": lambda: plain,
        "smoothing": lambda: smoothed(nlp, plain),
        "gradient_matching": lambda: _matched(nlp, plain)[0],
        "simulate": lambda: simulated(nlp, plain, windows=True),
    }
    return _begun(nlp, makers[strategy](), StartRecord(name=strategy))


def _begun(nlp: NLP, x: Array, record: StartRecord) -> NLP:
    begun = np.clip(x, nlp.lower, nlp.upper)
    settle(nlp, begun)
    return replace(nlp.with_start(begun), start_record=record)


def _candidates(nlp: NLP, plain: Array) -> Ladder:
    """Offer the candidates in turn; the makeshift ones only if none before them evaluates."""
    ladder = Ladder(nlp)
    try:
        unknown = _unknown_initial(nlp.problem)
        if unknown:
            ladder.passed["simulate"] = f"{unknown} is not known"
        else:
            ladder.offer("simulate", simulated(nlp, smoothed(nlp, plain)))
        _in_time(ladder)
        matched, worked = _matched(nlp, plain)
        if worked:
            ladder.offer("gradient_matching", matched, most=merit_of_means(nlp))
        else:
            ladder.offer("smoothing", matched)
        _in_time(ladder)
        if not ladder.found and worked:
            ladder.offer("smoothing", smoothed(nlp, plain))
        if not ladder.found:
            ladder.offer("interpolate", plain)
        if not ladder.found:
            ladder.offer("smoothing, made positive", _positive(nlp, smoothed(nlp, plain)))
    except KeyboardInterrupt:
        ladder.interrupted = True
    return ladder


def _in_time(ladder: Ladder) -> None:
    """Break off where the time is over, or Ctrl-C was pressed, with what there is."""
    if ladder.found and interrupted():
        raise KeyboardInterrupt


def _unknown_initial(problem: Problem) -> str:
    """The first initial state that is neither known nor guessed, in words; empty if there is none.

    The first values of measured states are guesses, but not beside networks of random weights.
    """
    for experiment in (e for e in problem.experiments if e.measures):
        told = (
            set()
            if problem.observe or problem.dynamics.networks
            else {*problem.smoothers(experiment)}
        )
        for state in problem.states:
            known = problem.initial_of(experiment, state)
            if state not in told and known.function is None and not np.isfinite(known.value):
                return f"{state}(0) of experiment {experiment.name!r}"
    return ""


def smoothed(nlp: NLP, x: Array) -> Array:
    """Return ``x`` with smoothing splines of the measured states, or states that match the outputs.

    A state that is not measured stays at its known initial value, if it has one.
    """
    problem, found = nlp.problem, x.copy()
    for experiment, part in _measuring(nlp):
        for i, name in enumerate(problem.states):
            known = problem.initial_of(experiment, name).value
            measured = problem.observe is None and name in problem.smoothers(experiment)
            if measured:
                found[part.states[:, i]] = problem.smoothers(experiment)[name](part.times)
            elif np.isfinite(known):
                found[part.states[:, i]] = known
    match_outputs(nlp, found)
    return found


def _measuring(nlp: NLP) -> list[tuple[Experiment, ExperimentLayout]]:
    """Experiments with data, and their layouts."""
    pairs = zip(nlp.problem.experiments, nlp.layout.experiments, strict=True)
    return [(experiment, part) for experiment, part in pairs if experiment.measures]


def _matched(nlp: NLP, x: Array) -> tuple[Array, bool]:
    """Smoothed states with weights and parameters fitted to their slopes, and whether that went."""
    found = smoothed(nlp, x)
    return found, match_gradients(nlp, found)


def carried_over(old: NLP, x: Array, new: NLP) -> Array:
    """Return the start of another program of the problem with a point's parameters and initial states."""
    y = new.start.copy()
    for there, here in zip(old.layout.experiments, new.layout.experiments, strict=True):
        y[here.parameters] = x[there.parameters]
        y[here.states[0]] = x[there.states[0]]
    y[new.layout.shared] = x[old.layout.shared]
    return y


def simulated(nlp: NLP, x: Array, windows: bool = False, rtol: float = 1e-6) -> Array:
    """Return ``x`` with states replaced by a simulation, as far as that goes.

    Parameters
    ----------
    windows : whether those without data are simulated too, under their guesses.
    rtol : relative tolerance of the integrator.
    """
    found = nlp.with_initial(x)
    experiments = zip(nlp.problem.experiments, nlp.layout.experiments, strict=True)
    for number, (experiment, part) in enumerate(experiments):
        if not (experiment.measures or windows):
            continue
        model = TrainedModel.of(nlp, x, number)
        initial = np.clip(
            found[part.states[0]], nlp.lower[part.states[0]], nlp.upper[part.states[0]]
        )
        experiment, mesh = resolved(nlp, x, number)
        inputs, times = experiment.inputs, nodes_of(mesh, nlp.scheme)
        guess = [float(x[part.decided[name].columns[0, 0]]) for name in nlp.problem.algebraics]
        run = simulate(model, initial, times, inputs, rtol=rtol, guess=guess)
        good = np.isfinite(run.states).all(axis=1)
        found[part.states[good]] = run.states[good]
        for name, decided in part.decided.items():
            if run.algebraics is not None and name in nlp.problem.algebraics:
                values = run.algebraics[:, tuple(nlp.problem.algebraics).index(name)]
                at = decided.times(part.mesh)
                known = np.isfinite(values)
                found[decided.columns] = np.interp(at, part.times[known], values[known])
    return found


def _positive(nlp: NLP, x: Array) -> Array:
    """Return ``x`` with states lifted to where logarithms, roots and quotients have a value.

    What is measured is lifted to a hundredth of its size, what is not to its typical size.
    """
    found, problem = x.copy(), nlp.problem
    for experiment, part in _measuring(nlp):
        for i, name in enumerate(problem.states):
            measured = problem.observe is None and name in problem.smoothers(experiment)
            floor = problem.state_scale[i] * (1e-2 if measured else 1.0)
            values = x[part.states[:, i]]
            found[part.states[:, i]] = np.where(values < 1e-2 * floor, floor, values)
    return found
