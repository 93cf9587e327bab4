"""The true system, where data were made by one: for reports, never for a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_fields, check_named, listed
from ..errors import InputError
from ..kinds import check_type
from ..numerics import Array, numbers


@dataclass(frozen=True)
class Truth:
    """The system that made simulated data, for reports only; no fit ever looks at it.

    Parameters
    ----------
    rhs : ``rhs(t, x, u)`` in NumPy; returns the derivatives.
    initial : true initial state of the experiments, by experiment name or one for all.
    """

    rhs: Callable[..., Any]
    initial: Mapping[str, Sequence[float]] | Sequence[float]

    def __post_init__(self) -> None:
        check_fields(self)
        by_name = self.initial if isinstance(self.initial, Mapping) else {"all": self.initial}
        for name, given in by_name.items():
            numbers(given, f"initial= of Truth, {name}")

    def covers(self, experiment: str) -> bool:
        """Whether the true initial state of an experiment is known."""
        return not isinstance(self.initial, Mapping) or experiment in self.initial

    def initial_of(self, experiment: str) -> Array:
        """Return the true initial state of an experiment."""
        given = self.initial[experiment] if isinstance(self.initial, Mapping) else self.initial
        return np.asarray(given, dtype=float)


def check_truth(truth: Truth | None, experiments: Iterable[str], states: Sequence[str]) -> None:
    """Refuse true initial states of what is no experiment, or of another number of states, both by name."""
    if truth is None:
        return
    check_type("truth=", truth, Truth)
    by_name = truth.initial if isinstance(truth.initial, Mapping) else {"": truth.initial}
    names = list(experiments)
    # true states of runs that are left out may stay; a name in error leaves a run without
    if isinstance(truth.initial, Mapping) and not set(names) <= set(truth.initial):
        check_named("initial= of Truth", truth.initial, "experiment", names)
    for name, initial in by_name.items():
        shape, wanted = np.shape(initial), (len(states),)
        if shape != wanted:
            raise InputError(
                f"initial= of Truth{name and f', {name!r},'} has shape {shape}, not {wanted}; give the "
                f"value of each state: {listed(states, 20)}."
            )
