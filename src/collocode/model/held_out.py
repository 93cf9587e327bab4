"""Held-out experiments: which fitted one they go on from, and whether their own parameters are known.

The end of an experiment that was cut off (`collocode.split`) begins where the fitted part ends, with its state
and its parameters.  A run of its own needs values for what every experiment has of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .experiment import Experiment
from .likelihoods import Likelihood
from .problem_checks import Checked


def predecessor(held: Experiment, fitted: Sequence[Experiment]) -> int | None:
    """Return the number of the fitted experiment that a held-out one goes on from: it ends where this one starts.

    Of several the one whose name begins the window's, as `collocode.split` names it; None if that does not tell.
    """
    assert held.start is not None
    ending = [
        k for k, e in enumerate(fitted) if e.end is not None and np.isclose(e.end, held.start)
    ]
    named = [k for k in ending if held.name.startswith(fitted[k].name)]
    if len(ending) == 1:
        return ending[0]
    return max(named, key=lambda k: len(fitted[k].name)) if named else None


def check_held_out(problem: Checked) -> None:
    """Refuse a held-out run of which nobody tells a parameter that every fitted experiment has of its own.

    These are estimated by experiment, or told by every experiment's ``parameters=``.  Noise need not be known:
    nothing of a held-out run is weighed by it.
    """
    noise = _noise_parameters(problem)
    told = [set(e.parameters) for e in problem.experiments]
    own = [
        q.name
        for q in problem.all_parameters
        if (q.per_experiment or all(q.name in names for names in told)) and q.name not in noise
    ]
    for held in problem.test if own else ():
        missing = [name for name in own if name not in held.parameters]
        if missing and predecessor(held, problem.experiments) is None:
            varies = any(
                q.name == missing[0] and q.basis is not None for q in problem.all_parameters
            )
            given = "" if varies else f"give it parameters={{{missing[0]!r}: ...}}, "
            raise InputError(
                f"held-out experiment {held.name!r} has no value of parameter {missing[0]!r}, which every "
                f"experiment has of its own; {given}fit it too, or hold out the ends of experiments, as "
                "split(problem, 0.25) does."
            )


def _noise_parameters(problem: Checked) -> set[str]:
    """Names of the parameters that are σ of outputs."""
    found: set[str] = set()
    for output in problem.outputs if problem.loss.likelihood else ():
        found.add(problem.noise_name(output))
        loss: Likelihood = problem.loss.of(output)
        spread = loss.spread_of(output) if loss.dispersed else None
        sizes = spread if isinstance(spread, tuple) else (spread,)
        found |= {size for size in sizes if isinstance(size, str)}
    return found
