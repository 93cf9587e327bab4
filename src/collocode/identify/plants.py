"""What answers to the moves of a receding horizon."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from numpy.typing import ArrayLike

from ..checks import listed
from ..errors import InputError
from ..kinds import check_type
from ..model.problem import Problem
from ..numerics import Array
from ..numerics.signals import Signal
from ..results.model import TrainedModel
from ..results.simulate import simulate
from ..transcription.discretize import discretize
from ..transcription.nlp import NLP
from .moving_window import shifted

Plant = Callable[[Array, Mapping[str, Signal], float], ArrayLike]
# (state, inputs from now on, now by the clock) -> state one sample later
Answer = Callable[[Array, Mapping[str, Signal], float], ArrayLike]


def answering(plant: Problem | Plant | None, nlp: NLP, sample: float) -> Answer:
    """Return what ``RecedingHorizon.run(plant=...)`` means, for a horizon of ``nlp``.

    The inputs that a problem's window gives are its own: what the model's window has is what the plans expect of
    them, as a disturbance that does not come.

    Raises
    ------
    InputError
        A plant of other states or inputs, or one that remembers more than its state.
    """
    if plant is not None and not isinstance(plant, Problem):
        if not callable(plant):
            check_type("RecedingHorizon.run(plant=...)", plant, Problem)
        return lambda state, inputs, now: plant(state, inputs, sample)
    problem, mine = plant or nlp.problem, nlp.problem
    if problem.states != mine.states or problem.inputs != mine.inputs:
        raise InputError(
            f"the plant has states {listed(problem.states)} and inputs "
            f"{listed(problem.inputs)}, the model {listed(mine.states)} and "
            f"{listed(mine.inputs)}; give a plant that has the same."
        )
    if problem.lags:
        raise InputError(
            f"the plant {problem.name!r} has delayed states, and a sample begins at its present state alone; "
            "give a function that remembers what was."
        )
    own = nlp if problem is mine else discretize(problem, mesh=1)
    model, planned = TrainedModel.of(own, own.start, 0), mine.experiments[0].inputs
    given = {name: u for name, u in problem.experiments[0].inputs.items() if name in planned}

    def answer(state: Array, inputs: Mapping[str, Signal], now: float) -> Array:
        made = {name: shifted(signal, -now) for name, signal in inputs.items() if name not in given}
        run = simulate(model, state, [now, now + sample], {**made, **given})
        if not run.complete:
            raise InputError(f"the plant cannot be simulated: {run.message}; check its model.")
        return run.states[-1]

    return answer
